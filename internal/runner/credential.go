package runner

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"offramp/amplitude"
	"offramp/internal/offboard"
	"offramp/transfer"
)

// Credential is a shared secret of the registry.
type Credential struct {
	Name string
	transfer.Credential
	ManagedBy string        `json:",omitempty"` // address that gets the tasks; empty: any operator
	Tell      []string      `json:",omitempty"` // addresses that are told when it is replaced
	How       string        `json:",omitempty"` // for the tasks of a person
	Overlap   time.Duration // how long the old one lives beside its replacement
	Incident  time.Duration // the same in a security incident
	Every     time.Duration // a replacement made within this time serves those who leave later as well

	// Projects, if not empty, means that the person knew it only if they had
	// access to one of these: the registry knows nothing else that connects them.
	Projects []int `json:"-"`
}

// credentials lists what the leaver knew, and says what could not be seen: where
// access to a project is not known, they count as having had it.
func (a *attempt) credentials() (known []Credential, unseen []string) {
	if a.opts.Credentials == nil {
		return nil, nil
	}
	for _, c := range a.opts.Credentials(a.file.Person) {
		if len(c.Projects) == 0 {
			known = append(known, c)
			continue
		}
		had, certain := a.reached(c)
		if had || !certain {
			known = append(known, c)
		}
		if !certain {
			unseen = append(unseen, "who has access to the project of "+c.Name+" cannot be seen: the leaver counts as somebody who had it")
		}
	}
	return known, unseen
}

// reached tells whether the leaver had access to one of a credential's projects.
func (a *attempt) reached(c Credential) (had, certain bool) {
	for _, st := range a.before().Seats {
		if st.Organization != c.Organization {
			continue
		}
		held := slices.Clone(st.Reach)
		for _, h := range st.Assignments {
			held = append(held, h.Project)
		}
		if slices.ContainsFunc(held, func(p int) bool { return slices.Contains(c.Projects, p) }) {
			return true, true
		}
		return false, st.ReachKnown || st.Sighting.clear()
	}
	return false, false
}

// reachOf reads which projects the leaver may open, directly and through
// groups, where a credential of the registry depends on it. Its path is not
// documented in full, so an answer that there is no such thing means that
// only the direct roles are known.
func (a *attempt) reachOf(ctx context.Context, org *organization, st *seat) error {
	if a.opts.Credentials == nil || !slices.ContainsFunc(a.opts.Credentials(a.file.Person), func(c Credential) bool {
		return len(c.Projects) > 0 && c.Organization == org.Name
	}) {
		return nil
	}
	grants, err := org.Client.Access(ctx, a.file.Case.Address)
	if notFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	st.ReachKnown = true
	for _, g := range grants {
		if !slices.Contains(st.Reach, g.ProjectID) {
			st.Reach = append(st.Reach, g.ProjectID)
		}
	}
	return nil
}

// own is the fingerprint of the value that Offramp itself uses, empty where it
// uses none of this kind.
func (r *Runner) own(c Credential) string {
	if r.opts.Own == nil {
		return ""
	}
	return r.opts.Own(c.Credential)
}

// need is a case's wish for a replacement of c.
func (a *attempt) need(c Credential) offboard.RotationNeed {
	k := a.file.Case
	n := offboard.RotationNeed{
		Credential: c.Name, Configured: c.ID, Fingerprint: a.own(c), Since: k.Opened, Due: k.Due, Incident: k.Incident(),
		Spec: func(id string) json.RawMessage { c.ID = id; return encode(c) },
	}
	if since := a.now().Add(-c.Every); !k.Incident() && since.Before(n.Since) {
		n.Since = since
	}
	if n.Due.IsZero() {
		n.Due = k.Opened.Add(24 * time.Hour)
	}
	return n
}

// probe asks Amplitude whether the value that Offramp itself holds still works.
// It changes nothing there. known is false where no harmless request is known,
// or Offramp holds another value by now.
func (r *Runner) probe(ctx context.Context, c Credential, fingerprint string) (works, known bool, err error) {
	org := r.orgs[c.Organization]
	if fingerprint == "" || org == nil || r.own(c) != fingerprint {
		return false, false, nil
	}
	client := org.Client.WithShare(amplitude.ShareOther)
	project, _ := strconv.Atoi(c.Project) // 0 is of no project: the client says so
	switch c.Kind {
	case transfer.CredentialAPIKey, transfer.CredentialSecretKey, transfer.CredentialExport:
		works, err = client.ProjectKeysWork(ctx, project)
	case transfer.CredentialManagementKey:
		works, err = client.ManagementKeyWorks(ctx, project)
	case transfer.CredentialSCIMKey:
		works, err = client.SCIMKeyWorks(ctx)
	case transfer.CredentialOrgKey:
		works, err = client.OrgKeyWorks(ctx)
	case transfer.CredentialDeploymentKey, transfer.CredentialWarehouse, transfer.CredentialSlack, transfer.CredentialWebhook,
		transfer.CredentialDataToken, transfer.CredentialPersonalToken, transfer.CredentialServiceAccount, transfer.CredentialDestination:
		return false, false, nil
	}
	return works, true, err
}
