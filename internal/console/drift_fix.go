package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// FixRequest asks for cases that would end findings.
type FixRequest struct {
	Findings []string `json:"findings,omitempty"` // ids; none: every leaver who is still there or back
	Apply    bool     `json:"apply,omitempty"`    // open the cases; else only tell
	Again    bool     `json:"again,omitempty"`    // also where the leaver came back too often
	Because  string   `json:"because,omitempty"`
}

// Fixed is what is done, or would be, about one finding.
type Fixed struct {
	Finding string         `json:"finding"`
	Address string         `json:"address"`
	Does    string         `json:"does,omitempty"`
	Refused string         `json:"refused,omitempty"` // why nothing is done
	Case    string         `json:"case,omitempty"`    // the one that was opened
	State   offboard.State `json:"state,omitempty"`   // of that case: a brake may hold it
	Note    string         `json:"note,omitempty"`    // on what it waits for
}

// FixResult is what came of a FixRequest.
type FixResult struct {
	Applied bool    `json:"applied"`
	Fixed   []Fixed `json:"fixed"`
}

// opener opens a case for a finding, or only says what would become of that.
type opener interface {
	open(ctx context.Context, f offboard.Finding) (caseID string, err error)
}

// noting decides as opening does, and records nothing.
type noting struct {
	*Console
	fix offboard.Fix
}

// errNoted ends the transaction of a decision that is not meant to be recorded.
var errNoted = errors.New("decided, and not recorded")

func (o noting) open(ctx context.Context, f offboard.Finding) (string, error) {
	decide := func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
		d, v, err := o.reopen(p, prior, f, o.fix)
		if err == nil {
			err = errNoted
		}
		return d, v, err
	}
	person, err := o.adoptable(ctx, f)
	if err != nil {
		return "", err
	}
	if person == "" {
		_, _, err = decide(offboard.Person{Connection: f.Connection, UserName: f.Address, Address: f.Address}, offboard.PriorCase{})
	} else {
		_, err = o.opts.Store.Reconsider(ctx, person, decide)
	}
	if errors.Is(err, errNoted) {
		err = nil
	}
	return "", err
}

// adoptable is the person whom a case for the finding would be about; empty: a
// record would be made for the address.
func (c *Console) adoptable(ctx context.Context, f offboard.Finding) (person string, err error) {
	if f.PersonID != "" {
		return f.PersonID, nil
	}
	holders, err := c.opts.Store.Holders(ctx, f.Address)
	if err != nil {
		return "", err
	}
	for _, p := range holders {
		switch {
		case p.Connection != f.Connection:
		case p.Deleted.IsZero():
			return "", errKnown
		case offboard.Fold(p.Address) == offboard.Fold(f.Address):
			person = p.ID
		}
	}
	return person, nil
}

// errKnown refuses a case for an address that was nobody's when it was found.
var errKnown = &offboard.RefusedError{Because: "an identity provider knows the address by now; compare again: offramp drift run"}

// opening opens cases in an operator's name.
type opening struct {
	*Console
	fix offboard.Fix
}

func (o opening) open(ctx context.Context, f offboard.Finding) (string, error) {
	person := f.PersonID
	if person == "" {
		p, err := o.opts.Store.AdoptPerson(ctx, f.Connection, f.Address)
		if _, taken := errors.AsType[*offboard.TakenError](err); taken {
			return "", errKnown
		}
		if err != nil {
			return "", err
		}
		person = p.ID
	}
	id, err := o.opts.Store.Reconsider(ctx, person, func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
		return o.reopen(p, prior, f, o.fix)
	})
	if err != nil {
		return "", err
	}
	o.opts.Log.Info("operator", zap.String("operator", o.fix.By), zap.String("decision", "drift fix"), zap.String("case", id), zap.String("finding", f.ID))
	if err := o.opts.Store.LinkFinding(ctx, f.ID, id); err != nil { // the case is open all the same
		o.opts.Log.Error("the finding does not name the case that was opened for it", zap.String("finding", f.ID), zap.Error(err))
	}
	return id, nil
}

func (c *Console) reopen(p offboard.Person, prior offboard.PriorCase, f offboard.Finding, fix offboard.Fix) (*offboard.Decision, offboard.Verdict, error) {
	return offboard.Reopen(p, prior, f, fix, c.opts.Rules(p.Connection), c.opts.Now())
}

func (c *Console) fixFindings(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[FixRequest](r)
	if err == nil {
		err = tidy(&in.Because)
	}
	if err != nil {
		return 0, nil, err
	}
	findings, err := c.toFix(r.Context(), in.Findings)
	if err != nil {
		return 0, nil, err
	}
	fix := offboard.Fix{By: by.Name, Because: in.Because, Named: len(in.Findings) > 0, Alone: len(in.Findings) == 1, Again: in.Again}
	var through opener = noting{Console: c, fix: fix}
	if in.Apply {
		through = opening{Console: c, fix: fix}
	}
	out := FixResult{Applied: in.Apply, Fixed: []Fixed{}}
	for _, f := range findings {
		if err := r.Context().Err(); err != nil {
			return 0, nil, err // whoever asked has gone
		}
		out.Fixed = append(out.Fixed, c.fixed(r.Context(), f, fix, through))
	}
	return http.StatusOK, out, nil
}

// fixed deals with one finding. What fails is that finding's: the cases that
// were opened before it stand, and the others are dealt with all the same.
func (c *Console) fixed(ctx context.Context, f offboard.Finding, fix offboard.Fix, through opener) Fixed {
	one := Fixed{Finding: f.ID, Address: f.Address}
	err := offboard.Fixable(f, fix)
	if err == nil {
		one.Case, err = through.open(ctx, f)
	}
	no, refused := errors.AsType[*offboard.RefusedError](err)
	switch {
	case refused:
		one.Refused = no.Because
	case errors.Is(err, offboard.ErrNotFound):
		one.Refused = "the person of the finding is on record no longer; compare again: offramp drift run"
	case err != nil:
		c.opts.Log.Error("a finding was not dealt with", zap.String("finding", f.ID), zap.Error(err))
		one.Refused = "it could not be decided or recorded; ask again"
	default:
		one.Does = fmt.Sprintf("open a case for exactly %s through connection %s, reason %s", f.Address, f.Connection, f.Reason)
	}
	if one.Case == "" {
		return one
	}
	file, err := c.opts.Store.Case(ctx, one.Case)
	if err != nil {
		c.opts.Log.Error("read a case that was just opened", zap.String("case", one.Case), zap.Error(err))
		return one
	}
	one.State, one.Note = file.Case.State, file.Case.Note
	return one
}

// toFix reads the named findings, or every leaver who is still there or back.
func (c *Console) toFix(ctx context.Context, ids []string) (out []offboard.Finding, err error) {
	if len(ids) > 1000 {
		return nil, bad(http.StatusUnprocessableEntity, "name up to 1000 findings at once")
	}
	for _, id := range ids {
		f, err := c.opts.Store.Finding(ctx, id)
		if errors.Is(err, offboard.ErrNotFound) {
			return nil, bad(http.StatusNotFound, "there is no finding %.100q", id)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	if len(ids) > 0 {
		return out, nil
	}
	for _, kind := range []offboard.FindingKind{offboard.LeaverStillThere, offboard.LeaverBack} {
		f := offboard.FindingFilter{Kind: kind, Most: 1000}
		for {
			page, err := c.opts.Store.Findings(ctx, f)
			if err != nil {
				return nil, err
			}
			out = append(out, page...)
			if len(page) < f.Most {
				break
			}
			f.Before = page[len(page)-1].ID
		}
	}
	return out, nil
}
