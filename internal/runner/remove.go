package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"offramp/amplitude"
	"offramp/internal/offboard"
)

// removed tells what was removed, and how often the case had to begin again.
type removed struct {
	Round int       `json:"round"` // raised where a removal turned out not to hold
	Seats []removal `json:"seats"`
}

type removal struct {
	Organization string `json:"organization"`
	Address      string `json:"address"`
	Answer       string `json:"answer"`
}

// noMember is the answer where there was nobody to remove.
const noMember = "no such member"

// remove deletes the member in every organization where they have a seat. In
// an incident it asks for every address the directory knows, everywhere, at once.
func remove(ctx context.Context, a *attempt, s *offboard.Step) (outcome, error) {
	res := removed{Round: 1}
	if len(s.Result) > 0 {
		if err := json.Unmarshal(s.Result, &res); err != nil {
			return outcome{}, fmt.Errorf("read the removal so far: %w", err)
		}
	}
	targets, err := a.targets(ctx)
	if err != nil {
		return outcome{}, err
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
		if one(i); errs[i] != nil || !outs[i].zero() {
			break
		}
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return outcome{}, firstError(errs)
	}
	for _, o := range outs {
		if !o.zero() {
			return o, nil
		}
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
}

// targets are the seats found; before they are known, as in an incident, every
// organization for every address that is this person's alone.
func (a *attempt) targets(ctx context.Context) ([]target, error) {
	var out []target
	if !a.file.Case.Incident() {
		for _, st := range a.found().Seats {
			if org := a.orgs[st.Organization]; org != nil && !st.Sighting.clear() {
				out = append(out, target{org: org, address: a.file.Case.Address})
			}
		}
		return out, nil
	}
	addresses := []string{a.file.Case.Address}
	for _, other := range a.file.Person.Addresses() {
		if slices.Contains(addresses, other) || other == offboard.Fold(a.file.Case.Address) {
			continue
		}
		holders, err := a.opts.Store.Holders(ctx, other)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(holders, func(p offboard.Person) bool { return p.ID != a.file.Person.ID && p.Deleted.IsZero() }) {
			addresses = append(addresses, other)
		}
	}
	for _, org := range a.reach(a.file.Case.Connection) {
		for _, address := range addresses {
			out = append(out, target{org: org, address: address})
		}
	}
	return out, nil
}

func (a *attempt) removeOne(ctx context.Context, t target, round int) (outcome, removal, error) {
	client := t.org.Client.WithShare(a.share(amplitude.ShareRemove))
	res := removal{Organization: t.org.Name, Address: t.address}
	obj := object(t.org.Name, offboard.Fold(t.address))
	if round > 1 {
		obj = object(obj, fmt.Sprint(round))
	}
	perm, _, err := a.do(ctx, change{
		step: offboard.StepRemove, object: obj, claim: []string{t.org.Name},
		text: "about to remove the member from " + t.org.Name,
		read: func(ctx context.Context) (bool, string, error) {
			_, err := client.Member(ctx, t.address)
			if !notFound(err) {
				return false, "", err
			}
			_, err = t.org.roster.prove(ctx, client, t.address)
			return err == nil, "removed", err
		},
		call: func(ctx context.Context) (string, bool, error) {
			r, err := client.RemoveMember(ctx, t.address)
			if r.AlreadyGone {
				if !a.file.Case.Incident() {
					return "no such member: somebody else removed them after the case opened", false, err
				}
				return noMember, false, err
			}
			return "removed", false, err
		},
	})
	if err != nil || !perm.Allowed {
		return refused(perm), res, err
	}
	res.Answer = a.file.Effect(a.key(offboard.StepRemove, obj)).Response
	return outcome{}, res, nil
}
