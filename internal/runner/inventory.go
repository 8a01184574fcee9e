package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"offramp/amplitude"
	"offramp/internal/offboard"
	"offramp/transfer"
)

// owned is what inventory found out, and what it cannot see.
type owned struct {
	Listed     int      `json:"listed"`
	Sources    []string `json:"sources"`
	Unseen     []string `json:"unseen,omitempty"` // sources that could not be asked, with why
	Unlistable []string `json:"unlistable"`       // kinds no API can list
	LowerBound bool     `json:"lower_bound"`
	Unknown    bool     `json:"unknown,omitempty"` // read after the removal: empty means unknown
}

// unlistable are the kinds whose owners no public API shows.
func unlistable() []string {
	return []string{"dashboards", "notebooks", "metrics", "unlisted cohorts", "alerts and subscriptions", "keys"}
}

// inventory lists what the leaver owns, as far as APIs show it.
func inventory(ctx context.Context, a *attempt, _ *offboard.Step) (outcome, error) {
	o := owned{Unlistable: unlistable(), LowerBound: true, Unknown: !a.file.Case.Removed.IsZero()}
	var assets []offboard.Asset
	for _, org := range a.reach(a.file.Case.Connection) {
		for _, p := range org.Projects {
			where := org.Name + "/" + p.Name
			if !p.Taxonomy {
				o.Unseen = append(o.Unseen, where+": no project keys are configured")
				continue
			}
			found, err := a.listed(ctx, org, p)
			if refusedKey(err) {
				o.Unseen = append(o.Unseen, where+": Amplitude refused the project keys")
				continue
			}
			if err != nil {
				return outcome{}, err
			}
			assets = append(assets, found...)
			o.Sources = append(o.Sources, where+": events", where+": cohorts")
		}
	}
	o.Listed = len(assets)
	say := fmt.Sprintf("inventory: %d things listed by APIs, a lower bound", o.Listed)
	if o.Unknown && o.Listed == 0 {
		say = "inventory: read after the removal, so an empty list means unknown"
	}
	return outcome{result: o, say: say, update: offboard.Update{Assets: assets}}, nil
}

func (a *attempt) listed(ctx context.Context, org *organization, p Project) ([]offboard.Asset, error) {
	var out []offboard.Asset
	asset := func(kind transfer.AssetKind, id, name, source string) {
		out = append(out, offboard.Asset{
			ID:   object(string(kind), org.Name, strconv.Itoa(p.ID), id),
			Kind: string(kind), Organization: org.Name, Project: p.ID, RemoteID: id, Name: name,
			State: offboard.AssetOwned, Source: source,
		})
	}
	events, err := org.Client.Events(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		if a.isLeaver(e.Owner) {
			asset(transfer.AssetEvent, e.Name, e.DisplayName, "taxonomy API: event owner")
		}
	}
	cohorts, err := org.Client.Cohorts(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	for _, c := range cohorts {
		if slices.ContainsFunc(c.Owners, a.isLeaver) {
			asset(transfer.AssetCohort, c.ID, c.Name, "cohorts API: owners of discoverable cohorts")
		}
	}
	return out, nil
}

// isLeaver compares an owner, which is an address or a name, with the leaver.
func (a *attempt) isLeaver(owner string) bool {
	o := offboard.Fold(owner)
	return o != "" && (o == offboard.Fold(a.file.Case.Address) || o == offboard.Fold(a.file.Person.Name()))
}

// unlisted tells whether the kinds no API can list become a task or a note.
func (a *attempt) unlisted() offboard.Unlisted {
	pending := false
	for _, s := range a.found().Seats {
		pending = pending || s.Sighting.Pending
	}
	if u := a.file.Case.Policy.Unlisted; u != offboard.UnlistedByUse {
		return u
	}
	if pending {
		return offboard.UnlistedNote
	}
	return offboard.UnlistedTask
}

func refusedKey(err error) bool {
	if errors.Is(err, amplitude.ErrNotConfigured) {
		return true
	}
	e, ok := errors.AsType[*amplitude.Error](err)
	return ok && e.Unauthorized()
}

// approve waits until as many people as the policy asks for have said yes.
func approve(_ context.Context, a *attempt, _ *offboard.Step) (outcome, error) {
	need, got := a.file.Case.Policy.Approvals, len(a.file.Approvals)
	if got >= need {
		if need == 0 {
			return outcome{skip: true, say: "approve: the policy asks for no approval"}, nil
		}
		return outcome{say: fmt.Sprintf("approve: %d of %d", got, need)}, nil
	}
	return outcome{
		wait: offboard.WaitApproval,
		note: fmt.Sprintf("%d of %d approvals; give one with: offramp cases approve %s", got, need, a.file.Case.ID),
	}, nil
}
