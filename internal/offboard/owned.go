package offboard

import "time"

// OwnedList tells how one list of one project was last read completely.
type OwnedList struct {
	Organization string
	Project      int
	List         string // its name for people
	Entries      int
	Truncated    bool // the API ends its list early
	Seen         time.Time
}

// Owned is something that names its owner, as the last ownership sweep saw it.
type Owned struct {
	Organization string
	Project      int
	List         string
	Owner        string // folded: an address, or with FreeText whatever people wrote
	FreeText     bool
	RemoteID     string
	Kind         string
	Name         string
	Source       string // which API, and in which places it names the owner
	Seen         time.Time
}
