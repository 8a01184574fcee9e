package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"offramp/internal/config"
	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/transfer"
)

// sinks take new credentials to where their users find them, by the
// credential's name.
type sinks map[string]sink

type sink struct {
	transfer.Sink
	id string // in the configuration: a file keeps its name when the credential's id changes with its replacement
}

// newSinks opens the directories, and finds the hooks among those configured.
func newSinks(cfg *config.Config, hooks map[string]transfer.Sink) (sinks, error) {
	s := sinks{}
	for _, c := range cfg.Credentials {
		switch {
		case c.Publish.Dir != "":
			file, err := transfer.NewFileSink(c.Publish.Dir)
			if err != nil {
				return nil, fmt.Errorf("credential %s: %w", c.Name, err)
			}
			s[c.Name] = sink{Sink: file, id: c.ID}
		case hooks[c.Publish.Hook] != nil:
			s[c.Name] = sink{Sink: hooks[c.Publish.Hook], id: c.ID}
		}
	}
	return s, nil
}

// Publish hands the new value to the credential's own sink.
func (s sinks) Publish(ctx context.Context, p transfer.Publication) error {
	own, ok := s[p.Credential.Name]
	if !ok {
		return &transfer.Error{Hook: "publish", Op: "publish", Detail: "neither a directory nor a hook is configured for the new value of " + p.Credential.Label()}
	}
	p.Credential.ID = own.id
	return own.Publish(ctx, p)
}

// credentials matches the registry with a person: by address, by group, or,
// for the runner to find out, by access to a project.
func credentials(cfg *config.Config) func(offboard.Person) []runner.Credential {
	return func(p offboard.Person) []runner.Credential {
		var out []runner.Credential
		for _, c := range cfg.Credentials {
			knew := slices.ContainsFunc(c.People, func(a string) bool { return slices.Contains(p.Addresses(), offboard.Fold(a)) }) ||
				slices.ContainsFunc(c.Groups, func(g string) bool {
					return slices.ContainsFunc(p.Groups, func(in string) bool { return strings.EqualFold(in, g) })
				})
			if !knew && len(c.Projects) == 0 {
				continue
			}
			one := credentialOf(cfg, c)
			for _, project := range c.Projects {
				if n, err := strconv.Atoi(project); err == nil && !knew {
					one.Projects = append(one.Projects, n)
				}
			}
			out = append(out, one)
		}
		return out
	}
}

func credentialOf(cfg *config.Config, c config.Credential) runner.Credential {
	return runner.Credential{
		Name: c.Name, ManagedBy: c.ManagedBy, Tell: c.Tell, How: c.How, Overlap: c.Overlap, Incident: c.OverlapIncident, Every: c.Every,
		Credential: transfer.Credential{
			Kind: transfer.CredentialKind(c.Kind), ID: or(c.ID, c.Name), Name: c.Name, Project: c.Project,
			Organization: or(c.Organization, cfg.Organizations[0].Name), Field: c.Field,
		},
	}
}

// own tells the fingerprint of the value of a registered credential that is the
// one which Offramp itself uses: the same kind, organization and project. Such
// a one is never replaced without a person, and its end can be probed. The
// fingerprint shows later whether Offramp still holds the same value; what it is
// made of is too long to be guessed.
func own(cfg *config.Config) func(transfer.Credential) string {
	return func(c transfer.Credential) string {
		registered := slices.ContainsFunc(cfg.Credentials, func(r config.Credential) bool { return r.Name == c.Name && !r.OtherKey })
		if !registered {
			return ""
		}
		for _, o := range cfg.Organizations {
			if o.Name == c.Organization {
				return fingerprint(ownValues(o, c))
			}
		}
		return ""
	}
}

func ownValues(o config.Organization, c transfer.Credential) []config.Secret {
	switch c.Kind {
	case transfer.CredentialSCIMKey:
		return []config.Secret{o.SCIMKey}
	case transfer.CredentialOrgKey:
		return []config.Secret{o.OrgKey, o.OrgSecret}
	case transfer.CredentialAPIKey, transfer.CredentialSecretKey, transfer.CredentialManagementKey:
	case transfer.CredentialDeploymentKey, transfer.CredentialExport, transfer.CredentialWarehouse, transfer.CredentialSlack,
		transfer.CredentialWebhook, transfer.CredentialDataToken, transfer.CredentialPersonalToken, transfer.CredentialServiceAccount,
		transfer.CredentialDestination:
		return nil
	}
	for _, p := range o.Projects {
		switch {
		case p.ID != c.Project:
		case c.Kind == transfer.CredentialManagementKey:
			return []config.Secret{p.ManagementKey}
		default:
			return []config.Secret{p.APIKey, p.SecretKey}
		}
	}
	return nil
}

func fingerprint(values []config.Secret) string {
	h := sha256.New()
	some := false
	for _, v := range values {
		some = some || v.Reveal() != ""
		_, _ = fmt.Fprintf(h, "%d:%s", len(v.Reveal()), v.Reveal()) // a hash takes everything
	}
	if !some {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
