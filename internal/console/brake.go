package console

import (
	"context"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// Brakes is what the console needs of the record about brakes.
type Brakes interface {
	Brakes(ctx context.Context, most int) ([]offboard.Brake, error)
	BrakeCases(ctx context.Context, brakeID, after string, most int) ([]offboard.BrakedCase, error)
	ReleaseBrake(ctx context.Context, id, by, why string) (left int, ended bool, err error)
}

// rounds is how often a word about all cases of a brake is said, at most, while
// more of them arrive.
const rounds = 10

// brakesShown is how many released brakes are told beside the engaged ones.
const brakesShown = 5

// Brake is one time that a brake engaged.
type Brake struct {
	ID       string              `json:"id"`
	Scope    offboard.BrakeScope `json:"scope"`
	Name     string              `json:"name"` // of the organization or connection
	Because  string              `json:"because"`
	Engaged  time.Time           `json:"engaged"`
	Released time.Time           `json:"released,omitzero"`
	By       string              `json:"by,omitempty"`
	Why      string              `json:"why,omitempty"`
	Total    int                 `json:"total"` // cases that it concerns
	Held     int                 `json:"held"`  // of them, those that wait for a word
	Cases    []BrakedCase        `json:"cases"` // the first of them, up to 1000
}

// BrakedCase is a case that a brake concerns.
type BrakedCase struct {
	ID      string           `json:"id"`
	Address string           `json:"address"`
	State   offboard.State   `json:"state"`
	Held    bool             `json:"held"` // waits for a word
	Outcome offboard.Outcome `json:"outcome,omitempty"`
	Done    string           `json:"done"` // what was changed already, in words
}

// BrakeList is the engaged brakes, then the last ones that were released.
type BrakeList struct {
	Brakes []Brake `json:"brakes"`
}

// BrakeRequest decides about the cases of a brake: exactly one of All, None and
// Cases.
type BrakeRequest struct {
	All     bool     `json:"all,omitempty"`   // every case goes on
	None    bool     `json:"none,omitempty"`  // every case is cancelled
	Cases   []string `json:"cases,omitempty"` // these go on; the others wait further
	Because string   `json:"because"`
}

// BrakeResult tells what a decision came to.
type BrakeResult struct {
	Brake   string `json:"brake"`
	Decided int    `json:"decided"` // cases to which it applied
	Left    int    `json:"left"`    // cases that still wait for a word
	Ended   bool   `json:"ended"`   // the brake counts anew
}

func (c *Console) listBrakes(r *http.Request, _ Operator) (int, any, error) {
	all, err := c.opts.Store.Brakes(r.Context(), brakesShown)
	if err != nil {
		return 0, nil, err
	}
	out := BrakeList{Brakes: []Brake{}}
	for _, b := range all {
		one := Brake{
			ID: b.ID, Scope: b.Scope, Name: b.Name, Because: b.Because, Engaged: b.Engaged, Released: b.Released, By: b.By, Why: b.Why,
			Total: b.Cases, Held: b.Waiting, Cases: []BrakedCase{},
		}
		cases, err := c.opts.Store.BrakeCases(r.Context(), b.ID, "", 1000)
		if err != nil {
			return 0, nil, err
		}
		for _, k := range cases {
			one.Cases = append(one.Cases, BrakedCase{
				ID: k.Case.ID, Address: k.Case.Address, State: k.Case.State, Held: k.Case.Batched(), Outcome: k.Case.Outcome, Done: k.Told(),
			})
		}
		out.Brakes = append(out.Brakes, one)
	}
	return http.StatusOK, out, nil
}

// brakeOf finds a brake by its id, or the engaged one by its organization or
// connection.
func (c *Console) brakeOf(ctx context.Context, ref string) (offboard.Brake, error) {
	all, err := c.opts.Store.Brakes(ctx, brakesShown)
	if err != nil {
		return offboard.Brake{}, err
	}
	var named []offboard.Brake
	for _, b := range all {
		if b.ID == ref {
			return b, nil
		}
		if b.Name == ref && b.Released.IsZero() {
			named = append(named, b)
		}
	}
	switch len(named) {
	case 0:
	case 1:
		return named[0], nil
	default:
		return offboard.Brake{}, bad(http.StatusConflict, "two brakes are engaged by the name %q: say %s for that of the %s, %s for that of the %s",
			ref, named[0].ID, named[0].Scope, named[1].ID, named[1].Scope)
	}
	for _, b := range all {
		if b.Name == ref {
			return b, bad(http.StatusConflict, "the brake of %s was released already, by %s; it is not engaged", ref, b.By)
		}
	}
	return offboard.Brake{}, bad(http.StatusNotFound, "no brake is engaged for %q; see: offramp brake show", ref)
}

func (c *Console) releaseBrake(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[BrakeRequest](r)
	if err == nil {
		err = tidy(&in.Because)
	}
	if err != nil {
		return 0, nil, err
	}
	ways := 0
	for _, given := range []bool{in.All, in.None, len(in.Cases) > 0} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1 || len(in.Cases) > 1000:
		return 0, nil, bad(http.StatusUnprocessableEntity, "say one of all, none, and up to 1000 cases")
	case in.Because == "":
		return 0, nil, bad(http.StatusUnprocessableEntity, "say because of what: it stands in the timeline of each of the cases")
	}
	ref, err := pathID(r)
	if err != nil {
		return 0, nil, err
	}
	b, err := c.brakeOf(r.Context(), ref)
	if err != nil {
		return 0, nil, err
	}
	out := BrakeResult{Brake: b.ID, Ended: !b.Released.IsZero()}
	for range rounds { // what is caught while the others are let go belongs to them
		n, err := c.decideBraked(r.Context(), b.ID, in, by)
		if out.Decided += n; err != nil {
			return 0, nil, err
		}
		left, ended, err := c.opts.Store.ReleaseBrake(r.Context(), b.ID, by.Name, in.Because)
		if err != nil {
			return 0, nil, err
		}
		out.Left, out.Ended = left, out.Ended || ended
		if left == 0 || n == 0 || len(in.Cases) > 0 {
			break
		}
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", "release of a brake"), zap.String("brake", b.ID), zap.Int("cases", out.Decided))
	return http.StatusOK, out, nil
}

// decideBraked records the word about the cases that wait for it. One that is
// named and does not wait changes nothing.
func (c *Console) decideBraked(ctx context.Context, brake string, in BrakeRequest, by Operator) (decided int, err error) {
	waiting, err := c.waitingFor(ctx, brake)
	if err != nil {
		return 0, err
	}
	if len(in.Cases) > 0 {
		var named []offboard.Case
		for _, id := range in.Cases {
			i := slices.IndexFunc(waiting, func(k offboard.Case) bool { return k.ID == id })
			if i < 0 {
				return 0, bad(http.StatusConflict, "case %.100q does not wait for this brake; nothing was decided. See: offramp brake show", id)
			}
			named = append(named, waiting[i])
		}
		waiting = named
	}
	return each(ctx, waiting, func(ctx context.Context, id string) error {
		if in.None {
			_, err := c.withdraw(ctx, id, by, in.Because, offboard.CancelBatched)
			return err
		}
		_, err := c.act(ctx, id, by, "release of a braked case", func(f offboard.File) (offboard.Update, error) {
			return offboard.ReleaseBatched(f, by.Name, in.Because)
		})
		return err
	})
}

// waitingFor lists the cases that wait for a word about a brake.
func (c *Console) waitingFor(ctx context.Context, brake string) (out []offboard.Case, err error) {
	for after := ""; ; {
		page, err := c.opts.Store.BrakeCases(ctx, brake, after, 1000)
		if err != nil {
			return nil, err
		}
		for _, k := range page {
			if after = k.Case.ID; k.Case.Batched() {
				out = append(out, k.Case)
			}
		}
		if len(page) < 1000 {
			return out, nil
		}
	}
}
