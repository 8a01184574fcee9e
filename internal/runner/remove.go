package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// removed tells what was removed, and how often the case had to begin again.
type removed struct {
	Round  int       `json:"round"` // raised where a removal turned out not to hold
	Seats  []removal `json:"seats"`
	Before []seat    `json:"before,omitempty"` // in an incident: what was read alongside
}

type removal struct {
	Organization string `json:"organization"`
	Address      string `json:"address"`
	Answer       string `json:"answer"`
	// Reading is the newest reading of the member list that had begun when the
	// removal was answered: a list up to it may show the seat still.
	Reading int64 `json:"reading,omitempty"`
}

const leftAlone = "left alone: "

// left reports whether the seat was not asked to be removed.
func (r removal) left() bool { return strings.HasPrefix(r.Answer, leftAlone) }

// Answers of a removal that went well: now, and in an earlier round of the case,
// where another of its seats did not go.
const (
	wasRemoved    = "removed"
	removedBefore = "still gone, as this case removed it in an earlier round"
)

// remove deletes the member in every organization where they have a seat. In
// an incident it asks for every address the directory knows, everywhere, at once.
func remove(ctx context.Context, a *attempt, s *offboard.Step) (outcome, error) {
	res := removed{Round: 1}
	if len(s.Result) > 0 {
		if err := json.Unmarshal(s.Result, &res); err != nil {
			return outcome{}, fmt.Errorf("read the removal so far: %w", err)
		}
	}
	targets, blind, err := a.targets(ctx)
	if err != nil {
		return outcome{}, err
	}
	var before func() []seat
	if a.file.Case.Incident() && len(res.Before) == 0 {
		before = a.alongside(ctx)
	}
	if a.file.Case.Incident() {
		if err := a.guardSeats(ctx, targets, res.Round); err != nil {
			return outcome{}, err
		}
	}
	res.Seats = make([]removal, len(targets))
	outs := make([]outcome, len(targets))
	errs := make([]error, len(targets))
	var all sync.WaitGroup
	one := func(i int) {
		outs[i], res.Seats[i], errs[i] = a.removeOne(ctx, targets[i], res.Round)
	}
	for i := range targets {
		if a.file.Case.Incident() {
			b := *a // each has its own view of the case
			all.Go(func() { outs[i], res.Seats[i], errs[i] = b.removeOne(ctx, targets[i], res.Round) })
			continue
		}
		if one(i); !outs[i].zero() {
			break
		}
	}
	all.Wait()
	if before != nil {
		res.Before = before()
		res.settled()
	}
	if err := errors.Join(errs...); err != nil {
		return outcome{}, firstError(errs)
	}
	for _, o := range outs {
		if !o.zero() {
			return o, nil
		}
	}
	if blind != nil {
		return outcome{}, blind
	}
	return outcome{result: res, say: res.sentence(), update: offboard.Update{Removed: a.now()}}, nil
}

// sentence tells what Amplitude answered, per seat.
func (r removed) sentence() string {
	var parts []string
	for _, s := range r.Seats {
		parts = append(parts, s.Organization+": "+s.Answer)
	}
	return "remove: " + strings.Join(parts, "; ")
}

func firstError(errs []error) error {
	for _, e := range errs {
		if e != nil {
			return e
		}
	}
	return nil
}

// target is one seat to remove.
type target struct {
	org     *organization
	address string
	beyond  int64 // readings of the member list up to this one say nothing
	ours    bool  // a removal of this case is to be proven
}

// targets are the seats found; before they are known, as in an incident, every
// organization for every address that is this person's and within reach. blind
// is why an organization could not be looked at: it keeps no seat in the others.
func (a *attempt) targets(ctx context.Context) (out []target, blind, err error) {
	orgs := a.reach(a.file.Case.Connection)
	if a.file.Case.Incident() {
		for _, org := range orgs {
			for _, address := range a.addresses() {
				out = append(out, target{org: org, address: address})
			}
		}
		if len(out) == 0 {
			return nil, nil, &permanentError{text: "no address of this person is within the connection's reach; remove them by hand, then resolve the case"}
		}
		return out, nil, nil
	}
	seated := map[string]bool{}
	for _, st := range a.found().Seats {
		if !st.Sighting.clear() {
			seated[st.Organization] = true
		}
	}
	for _, org := range orgs {
		if !seated[org.Name] { // one may have appeared while the case waited
			s, err := org.roster.look(ctx, amplitude.ShareOther, question{address: a.file.Case.Address, after: a.now().Add(-recent)})
			if err != nil {
				blind = firstError([]error{blind, err})
				continue
			}
			if s.clear() {
				continue
			}
		}
		delete(seated, org.Name)
		out = append(out, target{org: org, address: a.file.Case.Address})
	}
	for name := range seated {
		return nil, nil, &permanentError{text: "organization " + name + ", where the person has a seat, is not configured any more; " +
			"add it again, then retry"}
	}
	return out, blind, nil
}

// addresses are what the directory knows of the person: the seat's first. What
// is no address or out of the connection's reach is left out.
func (a *attempt) addresses() []string {
	out := []string{}
	for _, address := range append([]string{a.file.Case.Address}, a.file.Person.Addresses()...) {
		known := slices.ContainsFunc(out, func(o string) bool { return offboard.Fold(o) == offboard.Fold(address) })
		if !known && strings.Contains(address, "@") && a.outside(address) == "" {
			out = append(out, address)
		}
	}
	return out
}

// outside tells why an address must not be touched for this case's connection.
func (a *attempt) outside(address string) string { return a.outsideOf(a.file.Case.Connection, address) }

func (r *Runner) outsideOf(connection, address string) string {
	if r.opts.Reachable == nil || r.opts.Reachable(connection, address) {
		return ""
	}
	return "the seat's domain " + offboard.Domain(address) + " is outside this connection's domains: add it to the connection, " +
		"then retry, or resolve the case"
}

// objectOf names the removal of a seat in one round.
func objectOf(t target, round int) string {
	obj := object(t.org.Name, offboard.Fold(t.address))
	if round > 1 {
		return object(obj, fmt.Sprint(round))
	}
	return obj
}

func (a *attempt) removeOne(ctx context.Context, t target, round int) (outcome, removal, error) {
	client := t.org.Client.WithShare(a.share(amplitude.ShareRemove))
	res := removal{Organization: t.org.Name, Address: t.address}
	obj, ours := objectOf(t, round), false
	for n := 1; n < round; n++ {
		ours = ours || strings.HasPrefix(a.file.Effect(a.key(offboard.StepRemove, objectOf(t, n))).Response, wasRemoved)
	}
	perm, _, err := a.do(ctx, change{
		step: offboard.StepRemove, object: obj, claim: []string{t.org.Name}, address: t.address,
		text: "about to remove the member from " + t.org.Name,
		reserve: func(ctx context.Context) (err error) {
			paid, err := client.Reserve(ctx)
			if err == nil {
				client = paid
			}
			return err
		},
		read: func(ctx context.Context) (bool, string, error) {
			_, err := client.Member(ctx, t.address)
			if !notFound(err) {
				return false, "", err
			}
			listed, err := a.unknownEverywhere(ctx, t, client)
			return err == nil && !listed, wasRemoved, err
		},
		call: func(ctx context.Context) (string, bool, error) {
			r, err := client.RemoveMember(ctx, t.address)
			if err == nil && r.AlreadyGone {
				listed, err := a.unknownEverywhere(ctx, t, client)
				if err == nil && listed {
					err = a.contradicted(t, obj)
				}
				if err != nil {
					return "", false, err
				}
				if ours {
					return removedBefore, false, nil
				}
				if !a.file.Case.Incident() {
					return offboard.NoMember + ": they were removed after the case opened, and not by it", false, nil
				}
				return offboard.NoMember, false, nil
			}
			if err == nil {
				t.org.roster.removed(t.address)
			}
			return wasRemoved, false, err
		},
	})
	if err != nil {
		return outcome{}, res, err
	}
	if !perm.Allowed {
		if t.address != a.file.Case.Address && perm.State == offboard.StateNeedsAttention {
			res.Answer = leftAlone + perm.Because // another address of theirs; it is a finding, not a stop
			return outcome{}, res, nil
		}
		return refused(perm), res, nil
	}
	res.Answer = a.file.Effect(a.key(offboard.StepRemove, obj)).Response
	res.Reading, err = t.org.roster.newestBegun(ctx)
	return outcome{}, res, err
}

// unknownEverywhere checks a 404: an API that is broken says so of everybody, and
// one that shows them in its list has not removed them.
func (a *attempt) unknownEverywhere(ctx context.Context, t target, c *amplitude.Client) (listed bool, err error) {
	if _, err := t.org.roster.prove(ctx, c, t.address, a.now().Add(-controlAge)); err != nil {
		return false, err
	}
	seen, _, err := t.org.roster.second(ctx, c, sighting{Address: t.address})
	return seen.Present, err
}

// contradicted is what becomes of a removal that Amplitude answers with 404 while
// its list shows the seat: a list lags for a while, then it is a person's question.
func (a *attempt) contradicted(t target, obj string) error {
	since := a.file.Effect(a.key(offboard.StepRemove, obj)).Intended
	if since.IsZero() || a.now().Sub(since) < a.opts.Tolerance { // zero: intended by this very attempt
		return &laterError{until: a.now().Add(a.again()), note: "Amplitude knows no such member in " + t.org.Name + ", but its list shows them; it may lag behind"}
	}
	return &permanentError{text: "Amplitude answers that there is no such member in " + t.org.Name + ", but its member list still shows them; " +
		"remove them in Amplitude's own pages, then retry with: offramp cases retry " + a.file.Case.ID}
}

// again is how soon something is looked at again that may only lag behind.
func (a *attempt) again() time.Duration { return max(a.opts.Tolerance/10, 100*time.Millisecond) }
