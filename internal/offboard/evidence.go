package offboard

import "time"

// Bundle is the evidence of one ended case: what was so before, what was
// decided by whom, what was done, what every answer was, and what was seen
// afterwards. The timeline's last hash covers every entry before it.
type Bundle struct {
	Format    string         `json:"format"`
	Made      time.Time      `json:"made"`
	Case      Case           `json:"case"`
	Person    EvidencePerson `json:"person"`
	Steps     []Step         `json:"steps"`
	Assets    []Asset        `json:"assets"`
	Tasks     []Task         `json:"tasks"`
	Approvals []Approval     `json:"approvals"`
	Effects   []Effect       `json:"effects"`
	Rotations []Rotation     `json:"rotations"`
	Timeline  []Entry        `json:"timeline"`
}

// EvidencePerson is what the evidence keeps about the leaver: enough to know
// whom it is about, nothing else that the identity provider sent.
type EvidencePerson struct {
	ID         string `json:"id"`
	Connection string `json:"connection"`
	ExternalID string `json:"external_id"`
	Address    string `json:"address"`
	Name       string `json:"name"`
}

// NewBundle puts the evidence of an ended case together.
func NewBundle(f File, timeline []Entry, now time.Time) Bundle {
	return Bundle{
		Format: "offramp-evidence/1", Made: now, Case: f.Case, Steps: f.Steps, Assets: f.Assets, Tasks: f.Tasks,
		Approvals: f.Approvals, Effects: f.Effects, Rotations: f.Rotations, Timeline: timeline,
		Person: EvidencePerson{
			ID: f.Person.ID, Connection: f.Person.Connection, ExternalID: f.Person.ExternalID,
			Address: f.Case.Address, Name: f.Person.Name(),
		},
	}
}
