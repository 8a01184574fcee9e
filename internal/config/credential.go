package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Credential is a shared secret and who knew it. When one of them leaves, it is
// replaced: a deployment key and a destination's credential through Amplitude's
// API, others through a hook that rotates their kind, or by a person.
type Credential struct {
	Name         string   `yaml:"name"`         // required, unique
	Kind         string   `yaml:"kind"`         // required; one of CredentialKinds, or a kind that a hook rotates
	Organization string   `yaml:"organization"` // default: the only one
	Project      string   `yaml:"project"`      // id; required for a deployment key and a destination
	ID           string   `yaml:"id"`           // in Amplitude, such as the deployment's id; default: the name
	Field        string   `yaml:"field"`        // destination: the setting that holds the credential; with it the API replaces it
	People       []string `yaml:"people"`       // addresses of those who knew it
	Groups       []string `yaml:"groups"`       // IdP groups whose members knew it
	Projects     []string `yaml:"projects"`     // ids: everybody with access to one of these knew it
	ManagedBy    string   `yaml:"managed_by"`   // address that gets its tasks; empty: any operator
	Tell         []string `yaml:"tell"`         // addresses that are told when it was replaced
	How          string   `yaml:"how"`          // what whoever does its tasks has to know
	Publish      Publish  `yaml:"publish"`      // where the new value goes; required where the API replaces it

	Overlap         time.Duration `yaml:"overlap"`          // how long the old one lives beside the new one; default 72h
	OverlapIncident time.Duration `yaml:"overlap_incident"` // the same in a security incident; default 0: not at all
	Every           time.Duration `yaml:"every"`            // a replacement made within this time serves those who leave later too; default 24h; incidents always get a new one
	OtherKey        bool          `yaml:"other_key"`        // Offramp holds a key of this kind as well, and this is another one
}

func (c *Credential) defaults() { *c = Credential{Overlap: 72 * time.Hour, Every: 24 * time.Hour} }

// Publish says where a new value goes: a directory that gets it as a file of
// mode 0600, or a hook that is sent it once.
type Publish struct {
	Dir  string `yaml:"-"`    // written as the value itself
	Hook string `yaml:"hook"` // name of a hook
}

// CredentialKinds is what a credential can be, besides what a hook rotates.
func CredentialKinds() []string {
	return []string{
		"deployment_key", "api_key", "secret_key", "management_key", "scim_key", "org_key", "export", "warehouse", "slack", "webhook",
		"data_token", "personal_access_token", "service_account", "destination",
	}
}

// ByAPI reports whether Offramp itself makes the replacement.
func (c Credential) ByAPI() bool {
	return c.Kind == "deployment_key" || c.Kind == "destination" && c.Field != ""
}

// publishes reports whether a hook is sent the new values of a credential.
func (v *validator) publishes(hook string) bool {
	return slices.ContainsFunc(v.c.Credentials, func(c Credential) bool { return hook != "" && c.Publish.Hook == hook })
}

func (v *validator) credentials() {
	seen := map[string]string{}
	for i, c := range v.c.Credentials {
		key := fmt.Sprintf("credentials[%d]", i)
		v.name(seen, c.Name, key+".name")
		v.credentialKind(c, key)
		known := c.Organization == "" && len(v.c.Organizations) == 1 ||
			slices.ContainsFunc(v.c.Organizations, func(o Organization) bool { return o.Name == c.Organization })
		v.require(known, "name one of the organizations", key+".organization")
		v.require(len(c.People)+len(c.Groups)+len(c.Projects) > 0, "name the people, groups or projects who know it; otherwise it is never replaced", key)
		v.require(c.Overlap >= 0 && c.OverlapIncident >= 0 && c.Every >= 0, "write durations of zero or more", key)
		v.require(c.ManagedBy == "" || isAddress(c.ManagedBy), "write an e-mail address", key+".managed_by")
		v.strings(c.People, isAddress, "write an e-mail address", key+".people")
		v.strings(c.Tell, isAddress, "write an e-mail address", key+".tell")
		v.strings(c.Projects, numberPattern.MatchString, "write the id of a project", key+".projects")
		v.require(c.Field == "" || c.Kind == "destination", "remove it; only a destination has such a setting", key+".field")
		v.publish(c, key)
	}
}

func (v *validator) credentialKind(c Credential, key string) {
	rotated := slices.ContainsFunc(v.c.Hooks, func(h Hook) bool { return slices.Contains(h.Rotates, c.Kind) })
	if !rotated && !slices.Contains(CredentialKinds(), c.Kind) {
		v.tell("write one of "+strings.Join(CredentialKinds(), ", ")+", or a kind that one of the hooks rotates", key+".kind")
	}
	if c.Kind == "deployment_key" || c.Kind == "destination" {
		v.require(numberPattern.MatchString(c.Project), "write the id of the project that it belongs to", key+".project")
	}
}

func (v *validator) publish(c Credential, key string) {
	known := slices.ContainsFunc(v.c.Hooks, func(h Hook) bool { return h.Name == c.Publish.Hook })
	switch {
	case c.Publish.Hook != "" && !known:
		v.tell("name one of the hooks", key+".publish.hook")
	case c.Publish.Dir != "" && !filepath.IsAbs(c.Publish.Dir):
		v.tell("write the directory that gets the new value, as an absolute path, or hook: NAME", key+".publish")
	case !c.ByAPI() && c.Publish != (Publish{}):
		v.tell("remove it; only what Offramp replaces through Amplitude's API is published by it: a deployment_key, or a destination with field", key+".publish")
	case c.ByAPI() && c.Publish == (Publish{}) && !v.bad[key+".publish"]:
		v.tell("write the directory that gets the new value, as an absolute path, or hook: NAME", key+".publish")
	}
}
