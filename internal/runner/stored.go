package runner

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"offramp/internal/offboard"
)

// stored is what the ownership sweeps of one organization kept for a case.
type stored struct {
	lists  map[listKey]offboard.OwnedList
	things map[listKey][]offboard.Owned
}

// storedOf reads what the last sweeps saw of the leaver: by their address, and
// where owners are free text by their name.
func (a *attempt) storedOf(ctx context.Context, org *organization) (stored, error) {
	out := stored{lists: map[listKey]offboard.OwnedList{}, things: map[listKey][]offboard.Owned{}}
	lists, err := a.opts.Store.OwnedLists(ctx, org.Name)
	if err != nil {
		return out, err
	}
	for _, l := range lists {
		out.lists[listKey{project: l.Project, name: l.List}] = l
	}
	names := []string{offboard.Fold(a.file.Case.Address), offboard.Fold(a.file.Person.Name())}
	slices.Sort(names)
	for _, who := range slices.Compact(names) {
		things, err := a.opts.Store.Owned(ctx, org.Name, who)
		if err != nil {
			return out, err
		}
		for _, o := range things {
			if o.FreeText == (who == offboard.Fold(a.file.Case.Address)) {
				continue // a name that is an address, or the reverse, is somebody else's
			}
			k := listKey{project: o.Project, name: o.List}
			out.things[k] = append(out.things[k], o)
		}
	}
	return out, nil
}

// fill adds what the last sweep stored where a list could not be read, or was
// read only after the removal, when what the leaver owned is nobody's.
func (a *attempt) fill(ctx context.Context, seen *looked, kept stored, org *organization, p Project, s source, found *findings) {
	removed := a.file.Case.Removed
	if seen.Unseen == "" && removed.IsZero() {
		return
	}
	k := listKey{project: p.ID, name: s.name}
	l, ok := kept.lists[k]
	if !ok {
		return
	}
	seen.Stored = l.Seen
	if l.Truncated && seen.Unseen != "" {
		seen.Without = append(seen.Without, fmt.Sprintf("what comes after the first %d: the API ends its list there", l.Entries))
	}
	for _, o := range kept.things[k] {
		as := offboard.Asset{
			ID:   object(o.Kind, org.Name, strconv.Itoa(p.ID), o.RemoteID),
			Kind: o.Kind, Organization: org.Name, Project: p.ID, RemoteID: o.RemoteID, Name: o.Name, State: offboard.AssetOwned,
			Source: o.Source + ", as the last ownership sweep stored it at " + l.Seen.UTC().Format(time.RFC3339),
		}
		if o.FreeText {
			others, known := org.roster.namesakes(ctx, a.file.Case.Address, o.Owner)
			if others > 0 {
				continue
			}
			if !known {
				as.By = "the owner is written as a display name, and other members may have the same one"
			}
		}
		if found.has(as.ID) {
			continue
		}
		seen.FromStored++
		found.add(as)
	}
}

// has reports whether a thing was found already.
func (f *findings) has(id string) bool {
	_, ok := f.index[id]
	return ok
}

// unknown reports whether an empty result means nothing: it was read after the
// removal, and some list has no reading from before it.
func (o owned) unknown(removed time.Time) bool {
	if removed.IsZero() {
		return false
	}
	covered := false
	for _, l := range o.Sources {
		if l.hook || l.name == projectsList {
			continue
		}
		if l.Stored.IsZero() || l.Stored.After(removed) {
			return true
		}
		covered = true
	}
	return !covered
}

// stored sums up in words what a sweep filled in, and from when it is.
func (o owned) stored() string {
	n, lists := 0, 0
	var oldest time.Time
	for _, l := range o.Sources {
		if l.Stored.IsZero() {
			continue
		}
		lists++
		n += l.FromStored
		if oldest.IsZero() || l.Stored.Before(oldest) {
			oldest = l.Stored
		}
	}
	if lists == 0 {
		return ""
	}
	return fmt.Sprintf("what the last ownership sweep stored at %s stands in for %d lists and adds %d things",
		oldest.UTC().Format(time.RFC3339), lists, n)
}

// inventoried is what the inventory step found out; its zero value before.
func (a *attempt) inventoried() owned {
	var o owned
	if st := a.file.Step(offboard.StepInventory); st != nil && decodeResult(st.Result, &o) != nil {
		return owned{}
	}
	return o
}

// unlisted tells whether the kinds no API can list become a task or a note, and
// for a note that nobody asked for, why.
func (a *attempt) unlisted(ctx context.Context) (offboard.Unlisted, string, error) {
	if u := a.file.Case.Policy.Unlisted; u != offboard.UnlistedByUse {
		return u, "", nil
	}
	if o := a.inventoried(); o.Unknown && o.Listed == 0 {
		return offboard.UnlistedTask, "", nil // nothing seen after a removal is not nothing owned
	}
	seated := map[string]bool{}
	for _, s := range a.before().Seats {
		if s.Sighting.Pending {
			return offboard.UnlistedNote, "the invitation was never accepted", nil
		}
		if s.Sighting.Present {
			seated[s.Organization] = true
		}
	}
	list, err := a.logins(ctx, a.file.Case.Address, func(org string) bool { return len(seated) == 0 || seated[org] })
	if err != nil {
		return "", "", err
	}
	if offboard.Unused(list, a.now()) == offboard.AnswerYes {
		return offboard.UnlistedNote, "by the audit log the seat was not used for 90 days", nil
	}
	return offboard.UnlistedTask, "", nil
}
