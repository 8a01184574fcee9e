package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"offramp/internal/offboard"
	"offramp/transfer"
)

// askListers asks every hook that knows owners what the leaver owns in one
// organization. A hook that refuses, or answers nonsense again and again, is
// told as a list that was not seen.
func (a *attempt) askListers(ctx context.Context, org *organization, found *findings) ([]looked, error) {
	var out []looked
	for _, hook := range a.opts.Listers {
		seen := looked{Source: org.Name + ": hook " + hook.Name(), name: "hook " + hook.Name(), hook: true, kinds: hook.Lists()}
		attempt := a.file.Step(offboard.StepInventory).Attempts + 1
		list, err := hook.List(ctx, transfer.Inquiry{
			Key: hookKey(a.key(offboard.StepInventory, object(org.Name, hook.Name()))), Case: a.file.Case.ID, Organization: org.Name,
			Leaver: transfer.Person{Email: a.file.Case.Address, Name: a.file.Person.Name()}, Kinds: hook.Lists(), Attempt: attempt,
		})
		if e, ok := errors.AsType[*transfer.Error](err); ok && (!e.Retry || attempt > silent) {
			seen.Unseen = e.Error()
			out = append(out, seen)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("inventory of %s: %w", org.Name, err)
		}
		seen.Entries = len(list)
		for _, as := range list {
			project, _ := strconv.Atoi(as.Project) // 0: of the organization, or in words that are no id
			id := object(string(as.Kind), org.Name, strconv.Itoa(project), as.ID)
			if !found.has(id) {
				seen.Listed++
			}
			found.add(offboard.Asset{
				ID: id, Kind: string(as.Kind), Organization: org.Name, Project: project, RemoteID: as.ID, Name: as.Name,
				State: offboard.AssetOwned, Source: "hook " + hook.Name() + ": owner",
			})
		}
		out = append(out, seen)
	}
	return out, nil
}

// unlistableBesides are the kinds that neither an API nor a hook which answered
// lists.
func unlistableBesides(sources []looked) []string {
	return slices.DeleteFunc(unlistable(), func(kind string) bool {
		return slices.ContainsFunc(sources, func(l looked) bool {
			return l.hook && l.Unseen == "" && slices.ContainsFunc(l.kinds, func(k transfer.AssetKind) bool { return string(k)+"s" == kind })
		})
	})
}

// decodeResult reads what a step recorded; nothing recorded is the zero value.
func decodeResult(result json.RawMessage, into any) error {
	if len(result) == 0 {
		return nil
	}
	if err := json.Unmarshal(result, into); err != nil {
		return fmt.Errorf("read the result so far: %w", err)
	}
	return nil
}
