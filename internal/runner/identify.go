package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// recent is how old a sweep may be that shows a member who is there. An
// absence is always looked at anew.
const recent = 5 * time.Minute

// seats is what identify and snapshot found: the "before" of the evidence.
type seats struct {
	Seats  []seat   `json:"seats"`
	Likely []string `json:"likely_other_seats,omitempty"`
}

type seat struct {
	Organization string     `json:"organization"`
	Sighting     sighting   `json:"seen"`
	Roles        string     `json:"roles"` // known, not enrolled, not configured
	Assignments  []roleHeld `json:"assignments,omitempty"`
	Unknown      string     `json:"unknown,omitempty"`     // why nobody could look; empty: somebody did
	Reach        []int      `json:"reach,omitempty"`       // projects, directly or through groups
	ReachKnown   bool       `json:"reach_known,omitempty"` // Reach is all of them
}

type roleHeld struct {
	ID      string `json:"id"`
	Project int    `json:"project"`
	Role    string `json:"role"`
}

// countSeats lets the brake count a leaver for the seats that were found, of which
// nobody may have known when the case opened.
func (a *attempt) countSeats(ctx context.Context, organizations []string) error {
	if a.opts.Observe || a.opts.Brake == nil || len(organizations) == 0 || a.file.Case.Incident() || a.file.RemoveBegan() {
		return nil
	}
	rules := a.opts.Brake(a.file.Case.Connection)
	if rules.Count == 0 && rules.Percent == 0 {
		return nil
	}
	held, err := a.opts.Store.Found(ctx, a.fence, organizations, rules, a.opts.Settle)
	if err == nil && held {
		a.log.Info("the brake holds the case")
		err = offboard.ErrFenced // this attempt has no more say
	}
	return err
}

// present lists the organizations where the leaver has a seat or is in a group.
func (s seats) present() []string {
	var out []string
	for _, st := range s.Seats {
		if !st.Sighting.clear() {
			out = append(out, st.Organization)
		}
	}
	return out
}

// identify finds the seat in every organization of the connection. One that
// cannot be looked at for long keeps nobody's seat in the others: remove waits
// for it.
func identify(ctx context.Context, a *attempt, step *offboard.Step) (outcome, error) {
	if a.file.Standing.HeldBy != "" && !a.file.RemoveBegan() {
		return outcome{attention: "somebody else at the identity provider holds this address now; " +
			"check who has the seat, then resolve the case"}, nil
	}
	var found seats
	var likely, unknown []string
	var blind error
	for _, org := range a.reach(a.file.Case.Connection) {
		s, err := a.seat(ctx, org)
		if _, down := errors.AsType[*amplitude.Error](err); down && step.Attempts >= silent {
			blind = err
			unknown = append(unknown, org.Name)
			found.Seats = append(found.Seats, seat{Organization: org.Name, Sighting: sighting{Address: a.file.Case.Address}, Unknown: err.Error()})
			continue
		}
		if err != nil {
			return outcome{}, err
		}
		found.Seats = append(found.Seats, seat{Organization: org.Name, Sighting: s})
		others, err := org.roster.likely(ctx, a.file.Case.Address, a.file.Person.Name())
		if err != nil {
			return outcome{}, err
		}
		likely = append(likely, others...)
	}
	if blind != nil && len(found.present()) == 0 {
		return outcome{}, blind // nobody is without a seat because nobody could look
	}
	if !a.file.RemoveBegan() && len(found.present()) == 0 {
		if err := a.lookTwice(ctx, &found); err != nil {
			return outcome{}, err
		}
	}
	slices.Sort(likely)
	found.Likely = slices.Compact(likely)
	out := outcome{result: found}
	if len(found.Likely) > 0 {
		out.update.Timeline = append(out.update.Timeline, offboard.Entry{
			Actor: "offramp", Kind: "finding",
			Text: fmt.Sprintf("%d other seats may belong to the same human; nothing is done about them", len(found.Likely)),
			Data: encode(found.Likely),
		})
	}
	if !a.file.RemoveBegan() {
		if out, err := a.sunsetOver(ctx); err != nil || out.attention != "" {
			return out, err
		}
	}
	if err := a.countSeats(ctx, found.present()); err != nil {
		return outcome{}, err
	}
	if a.file.RemoveBegan() || len(found.present()) > 0 {
		out.say = "identify: seat in " + strings.Join(found.present(), ", ")
		if len(found.present()) == 0 {
			out.say = "identify: no seat is left"
		}
		if blind != nil {
			out.say += "; " + strings.Join(unknown, ", ") + " could not be looked at: " + blind.Error()
		}
		return out, nil
	}
	if len(found.Likely) > 0 {
		out.attention = "no seat has this address, but others may belong to the same human; look at the finding, then resolve the case"
		return out, nil
	}
	out.end, out.note = offboard.OutcomeNoSeat, "the address has no seat in "+names(a.reach(a.file.Case.Connection))
	return out, nil
}

// lookTwice looks in a second way where no seat was found at all: a case must
// not end as without a seat because one way to look did not show it.
func (a *attempt) lookTwice(ctx context.Context, found *seats) error {
	for i := range found.Seats {
		s := &found.Seats[i]
		org := a.orgs[s.Organization]
		seen, _, err := org.roster.second(ctx, org.Client.WithShare(a.share(amplitude.ShareOther)), s.Sighting)
		if err != nil {
			return err
		}
		s.Sighting = seen
	}
	return nil
}

// seat looks for the leaver's seat in one organization. Cases wait for each
// other to share what is read; an incident does not. A list proves no absence
// by itself: a case must not end because a list left somebody out.
func (a *attempt) seat(ctx context.Context, org *organization) (sighting, error) {
	address, share := a.file.Case.Address, a.share(amplitude.ShareOther)
	client, q := org.Client.WithShare(share), question{address: address, after: a.now().Add(-recent)}
	if a.file.Case.Incident() {
		return org.roster.alone(ctx, client, q)
	}
	if a.reduced() { // what was read before may show access that this case took away
		q.after = a.now()
		return org.roster.ask(ctx, client, q)
	}
	s, err := org.roster.shared(ctx, share, a.file.Case.ID+"/identify", q)
	if err != nil || s.Present || s.How != fromList {
		return s, err
	}
	q.after = s.At
	return org.roster.ask(ctx, client, q)
}

// snapshot records roles, project access and groups as they are before
// anything is changed.
func snapshot(ctx context.Context, a *attempt, _ *offboard.Step) (outcome, error) {
	found := a.found()
	for i := range found.Seats {
		st := &found.Seats[i]
		org := a.orgs[st.Organization]
		st.Roles = "not configured"
		if org == nil || !org.Roles {
			continue
		}
		held, err := org.Client.Assignments(ctx, a.file.Case.Address)
		if errors.Is(err, amplitude.ErrNotEnrolled) {
			st.Roles = "not enrolled"
			continue
		}
		if err != nil {
			return outcome{}, err
		}
		st.Roles = "known"
		for _, h := range held {
			st.Assignments = append(st.Assignments, roleHeld{ID: h.ID, Project: h.ProjectID, Role: h.RoleID})
		}
		if err := a.reachOf(ctx, org, st); err != nil {
			return outcome{}, err
		}
	}
	return outcome{result: found}, nil
}

// found is what snapshot, or else identify, recorded.
func (a *attempt) found() seats {
	var s seats
	for _, n := range []offboard.StepName{offboard.StepSnapshot, offboard.StepIdentify} {
		if st := a.file.Step(n); st != nil && len(st.Result) > 0 && json.Unmarshal(st.Result, &s) == nil {
			return s
		}
	}
	return s
}

// share is the budget share of ordinary work, or the incidents': until the seat
// is removed nothing goes before it.
func (a *attempt) share(s amplitude.Share) amplitude.Share {
	switch {
	case !a.file.Case.Incident():
		return s
	case s == amplitude.ShareRemove, a.file.Case.Removed.IsZero():
		return amplitude.ShareEmergency
	}
	return amplitude.ShareIncident
}

func names(orgs []*organization) string {
	out := make([]string, 0, len(orgs))
	for _, o := range orgs {
		out = append(out, o.Name)
	}
	return strings.Join(out, ", ")
}

// encode turns one of our own values into JSON. They always can be.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage(`"` + "not encodable" + `"`)
	}
	return b
}
