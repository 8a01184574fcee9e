package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"offramp/internal/offboard"
)

// openSunset proposes everybody whose only access is one project, as one held
// batch. Each case opens in a transaction of its own; what fails stops it, and
// the same call goes on from there.
func (c *Console) openSunset(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[SunsetRequest](r)
	if err == nil {
		err = tidy(&in.Organization, &in.Because, &in.Ticket, &in.Policy)
	}
	switch {
	case err != nil:
		return 0, nil, err
	case in.Project <= 0:
		return 0, nil, bad(http.StatusUnprocessableEntity, "name the project by its number")
	case in.Because == "":
		return 0, nil, bad(http.StatusUnprocessableEntity, "say because of what the project ends: it stands in the timeline of each case")
	case c.opts.Access == nil:
		return 0, nil, bad(http.StatusUnprocessableEntity, "this Offramp cannot ask Amplitude who has access to a project")
	}
	sole, err := c.opts.Access.SoleAccess(r.Context(), in.Organization, in.Project)
	if err != nil {
		return 0, nil, err
	}
	s := sunset{
		Console: c, sole: sole, batch: c.opts.Store.NewBatch(),
		order: offboard.Order{
			Reason: offboard.ProjectSunset, By: by.Name, Ticket: in.Ticket, Policy: in.Policy,
			Why: fmt.Sprintf("their only access in %s was project %d: %s", sole.Organization, sole.Project, in.Because),
		},
		out: SunsetResult{
			Organization: sole.Organization, Looked: append([]int{}, sole.Looked...), Opened: []Case{}, Live: []string{}, Left: []Left{},
		},
	}
	all, ctx := errgroup.WithContext(r.Context())
	all.SetLimit(beside)
	for _, address := range sole.People {
		all.Go(func() error { return s.propose(ctx, address) })
	}
	if err := all.Wait(); err != nil {
		return 0, nil, err
	}
	if len(s.out.Opened) > 0 {
		s.out.Batch = s.batch
	}
	slices.SortFunc(s.out.Opened, func(a, b Case) int { return strings.Compare(a.Address, b.Address) })
	slices.SortFunc(s.out.Left, func(a, b Left) int { return strings.Compare(a.Address, b.Address) })
	slices.Sort(s.out.Live)
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", "sunset"),
		zap.Int("project", in.Project), zap.Int("opened", len(s.out.Opened)))
	return http.StatusCreated, s.out, nil
}

// sunset is one request at work.
type sunset struct {
	*Console
	sole  offboard.SoleAccess
	batch string
	order offboard.Order

	mu  sync.Mutex
	out SunsetResult
}

func (s *sunset) add(change func(out *SunsetResult)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.out)
}

// propose opens a held case for one address, or says why not.
func (s *sunset) propose(ctx context.Context, address string) error {
	person, err := s.find(ctx, address, "")
	if e, ok := errors.AsType[*requestError](err); ok {
		s.add(func(out *SunsetResult) { out.Left = append(out.Left, Left{Address: address, Why: e.detail}) })
		return nil
	}
	if err != nil {
		return err
	}
	rules := s.opts.Rules(person.Connection)
	why, err := s.elsewhere(ctx, address, person, rules)
	if err != nil {
		return err
	}
	if why != "" {
		s.add(func(out *SunsetResult) { out.Left = append(out.Left, Left{Address: address, Why: why}) })
		return nil
	}
	live := false
	id, err := s.opts.Store.Propose(ctx, s.batch, person.ID,
		func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
			if live = prior.Live; live {
				return p.Removal, offboard.Verdict{}, nil
			}
			return s.sole.Propose(p, prior, s.order, rules, s.opts.Now())
		})
	if err != nil {
		return err
	}
	if live {
		s.add(func(out *SunsetResult) { out.Live = append(out.Live, address) })
		return nil
	}
	f, err := s.opts.Store.Case(ctx, id)
	if err == nil {
		s.add(func(out *SunsetResult) { out.Opened = append(out.Opened, s.caseOf(f.Case)) })
	}
	return err
}

// elsewhere tells why somebody's case would take away more than access to the
// project, or could not; empty: it would not.
func (s *sunset) elsewhere(ctx context.Context, address string, p offboard.Person, rules offboard.Rules) (string, error) {
	if slices.Contains(s.sole.More, address) {
		return "they have access to a project too that does not stand under organization " + s.sole.Organization + " in the configuration", nil
	}
	if p.Adopted() {
		return "no identity provider knows them; look for them in Amplitude under Settings > Members & Groups", nil
	}
	if offboard.Fold(p.Address) != offboard.Fold(address) {
		return "the seat of who holds this address is recorded under another one; look whether it is a second seat", nil
	}
	if !slices.Contains(rules.Organizations, s.sole.Organization) {
		return fmt.Sprintf("connection %s, through which they are known, does not reach organization %s", p.Connection, s.sole.Organization), nil
	}
	if rules.Reachable != nil && !rules.Reachable(p.Address) {
		return fmt.Sprintf("their address is outside the domains of connection %s", p.Connection), nil
	}
	for _, organization := range rules.Organizations {
		if organization == s.sole.Organization {
			continue
		}
		seated, err := s.opts.Access.Seated(ctx, organization, p.Address)
		if err != nil {
			return "", err
		}
		if seated {
			return "they have a seat in organization " + organization + " too, which a removal would take as well", nil
		}
	}
	return "", nil
}
