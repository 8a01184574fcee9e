// Package config owns the one configuration file: its shape, its defaults, and
// telling everything that is wrong with it at once, each with line and column.
// It must not know who uses a setting: it imports nothing else of this module,
// opens no connection and changes nothing.
package config

import (
	"net/netip"
	"time"
	// The zones of connections must mean the same on a machine or in an image
	// that has no zone files.
	_ "time/tzdata"
)

// Mode says whether anything is changed in Amplitude.
type Mode string

// The modes. There is no default: a bridge that silently removes nothing and
// one that silently removes people are both surprises.
const (
	// Observe reads Amplitude and writes nothing to it; cases close as observed.
	Observe Mode = "observe"
	// Enforce carries the plans out.
	Enforce Mode = "enforce"
)

// Config is a checked configuration file with defaults filled in. A value that
// Load returned without problems needs no further checks, except those that
// need other packages; Problem tells those at the right place.
type Config struct {
	Listen         string         `yaml:"listen"`          // public listener; default ":8080"
	AdminListen    string         `yaml:"admin_listen"`    // console, operator API, metrics; default "127.0.0.1:8081"
	PublicURL      string         `yaml:"public_url"`      // how the IdP and people reach Listen; required; without a trailing slash
	TLS            TLS            `yaml:"tls"`             // zero: plain HTTP, behind a proxy that ends TLS
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"` // whose X-Forwarded-For is believed; none: nobody's
	Database       Database       `yaml:"database"`        // default sqlite:offramp.db
	Mode           Mode           `yaml:"mode"`            // required

	Connections   []Connection   `yaml:"connections"`   // at least one
	Access        Access         `yaml:"access"`        // zero: being active is enough
	Organizations []Organization `yaml:"organizations"` // at least one
	Hooks         []Hook         `yaml:"hooks"`         // none: what no API can hand over becomes a task
	Policies      []Policy       `yaml:"policies"`      // none: the built-in one
	Credentials   []Credential   `yaml:"credentials"`   // none: nothing is rotated
	Handover      Handover       `yaml:"handover"`
	Verify        Verify         `yaml:"verify"`
	Brake         Brake          `yaml:"brake"`
	Protect       Protect        `yaml:"protect"`
	Drift         Drift          `yaml:"drift"`
	Review        Review         `yaml:"review"`
	Approvers     []Approver     `yaml:"approvers"`
	Operators     []Operator     `yaml:"operators"`
	Notify        Notify         `yaml:"notify"` // zero: nobody is told, and messages stand on timelines
	Log           Log            `yaml:"log"`

	source source
}

// TLS names the certificate of the public listener. Both files or neither. A
// relative path is relative to the directory of the configuration file.
type TLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Enabled says whether the public listener speaks TLS itself.
func (t TLS) Enabled() bool { return t.Cert != "" && t.Key != "" }

// Database is where the state lives: exactly one of Path and URL is set.
type Database struct {
	Path string // SQLite file; a relative path was made relative to the configuration file's directory
	URL  Secret // PostgreSQL connection URL; a Secret since it may hold a password
}

// IdP is the kind of identity provider behind a connection.
type IdP string

// The identity providers. Other speaks plain SCIM.
const (
	Okta  IdP = "okta"
	Entra IdP = "entra"
	Other IdP = "other"
)

// Address says which attribute of a person is the address of their seat.
type Address string

// The attributes that may hold the address of a seat.
const (
	AddressUserName     Address = "userName"
	AddressPrimaryEmail Address = "emails.primary"
)

// Connection is one identity provider app that is pointed at us: its own
// directory, tokens and reach.
type Connection struct {
	Name           string         `yaml:"name"`            // required, unique
	IdP            IdP            `yaml:"idp"`             // default Other
	Organizations  []string       `yaml:"organizations"`   // names; none: all, allowed while there is one connection
	Domains        []string       `yaml:"domains"`         // lower case, without @; none: all, allowed while there is one connection
	Address        Address        `yaml:"address"`         // default AddressUserName
	Timezone       string         `yaml:"timezone"`        // IANA name; default UTC; see Location
	Trust          Trust          `yaml:"trust"`           // zero: claims of the IdP count for nothing
	BootstrapToken Secret         `yaml:"bootstrap_token"` // accepted beside the tokens of `offramp token`; not set: only those
	AllowFrom      []netip.Prefix `yaml:"allow_from"`      // client addresses; none: any
}

// Location returns the time zone in which a date without time, such as a leave
// date, is read.
func (c Connection) Location() *time.Location {
	location, err := time.LoadLocation(c.Timezone)
	if err != nil {
		return time.UTC // only for a Connection that Load did not check
	}
	return location
}

// Trust says which claims in the offramp extension of SCIM are taken as true.
type Trust struct {
	Approvals bool `yaml:"approvals"` // approvedBy counts, though never as one of two
	Incidents bool `yaml:"incidents"` // leaveReason security_incident starts the emergency plan
}

// Access names the groups that give access to Amplitude.
type Access struct {
	Groups []string      `yaml:"groups"` // display names or external ids; none: every active person has access
	Grace  time.Duration `yaml:"grace"`  // how long a leaver of the last group may come back unnoticed; default 5m
}

// Region is where an Amplitude organization is hosted.
type Region string

// The regions.
const (
	US Region = "us"
	EU Region = "eu"
)

// Organization is one Amplitude organization and what opens it.
type Organization struct {
	Name           string    `yaml:"name"`            // required, unique
	Region         Region    `yaml:"region"`          // default US
	Slug           string    `yaml:"slug"`            // "Org URL" of its general settings; empty: links in tasks lead to the start page
	Endpoints      Endpoints `yaml:"endpoints"`       // zero: those of the region
	SCIMKey        Secret    `yaml:"scim_key"`        // required: without it nobody can be removed
	OrgID          string    `yaml:"org_id"`          // needed for the audit log
	OrgKey         Secret    `yaml:"org_key"`         // with OrgSecret: user management and audit log
	OrgSecret      Secret    `yaml:"org_secret"`      // goes with OrgKey
	DeveloperToken Secret    `yaml:"developer_token"` // not set: the developer API is not used
	Rate           int       `yaml:"rate"`            // SCIM requests a minute, 1 to 90; default 60
	Projects       []Project `yaml:"projects"`        // none: inventory and handover per project are tasks
}

// Endpoints are base URLs that replace those of the region, for a simulator or
// a proxy. An empty one means the region's.
type Endpoints struct {
	SCIM           string `yaml:"scim"`
	UserManagement string `yaml:"user_management"`
	Audit          string `yaml:"audit"`
	Analytics      string `yaml:"analytics"`
	Experiment     string `yaml:"experiment"`
	Developer      string `yaml:"developer"`
	Data           string `yaml:"data"`
	Evaluation     string `yaml:"evaluation"`
}

// Project is one project of an organization, with the keys that read and
// change it. Every key is optional; what has no key becomes a task.
type Project struct {
	ID            string `yaml:"id"`             // required, unique in its organization
	Name          string `yaml:"name"`           // for people; default the id
	APIKey        Secret `yaml:"api_key"`        // goes with SecretKey: taxonomy, cohorts
	SecretKey     Secret `yaml:"secret_key"`     // goes with APIKey
	ManagementKey Secret `yaml:"management_key"` // Experiment management API
}

// HookKind is how a hook is called.
type HookKind string

// The kinds of hook.
const (
	Webhook HookKind = "webhook"
	Command HookKind = "command"
)

// Hook hands assets over or rotates credentials where Amplitude's APIs cannot.
type Hook struct {
	Name    string        `yaml:"name"`    // required, unique
	Kind    HookKind      `yaml:"kind"`    // required
	Handles []string      `yaml:"handles"` // asset kinds; this, Rotates or Inventories is required
	Rotates []string      `yaml:"rotates"` // credential kinds
	Timeout time.Duration `yaml:"timeout"` // of one call; default 30s

	Inventories []string `yaml:"inventories"` // asset kinds whose owners it can list

	URL          string `yaml:"url"`           // webhook: required
	Secret       Secret `yaml:"secret"`        // webhook: required; signs the calls
	AllowPrivate bool   `yaml:"allow_private"` // webhook: may be at a private or loopback address

	Argv []string `yaml:"argv"` // command: required; constant, run without a shell; argv[0] is an absolute path
	Env  []string `yaml:"env"`  // command: names of variables that are passed on; none: an empty environment
	Dir  string   `yaml:"dir"`  // command: working directory; relative to the configuration file's; default "/"
}

// Handover says what happens with what a leaver owns.
type Handover struct {
	Unlisted   Unlisted      `yaml:"unlisted"`    // default UnlistedByUse
	Deadline   time.Duration `yaml:"deadline"`    // from the opening of the step; default 72h
	AtDeadline AtDeadline    `yaml:"at_deadline"` // default AtDeadlineByReason
	Successor  string        `yaml:"successor"`   // address of last resort; empty: a person is asked
	Confirm    time.Duration `yaml:"confirm"`     // how long an attested transfer waits for the audit log; default 15m; 0: not at all
}

// Unlisted says what is made of the asset kinds that no API can list.
type Unlisted string

// What is made of unlistable kinds. UnlistedByUse, the zero value, means a note
// for pending members, who can own nothing, and for those who by the audit log
// did not use their seat for 90 days, else a task.
const (
	UnlistedByUse Unlisted = ""
	UnlistedTask  Unlisted = "task"
	UnlistedNote  Unlisted = "note"
)

// AtDeadline says how a handover that is not finished in time goes on.
type AtDeadline string

// What happens at the handover deadline. AtDeadlineByReason, the zero value,
// means remove for termination and contract end, else escalate.
const (
	AtDeadlineByReason AtDeadline = ""
	AtDeadlineRemove   AtDeadline = "remove"
	AtDeadlineEscalate AtDeadline = "escalate"
	AtDeadlineHold     AtDeadline = "hold"
)

// Verify says when a removal is looked at again after the first look, which is
// always at once.
type Verify struct {
	After  []time.Duration `yaml:"after"`  // ascending, from the removal; default 5m, 15m, 30m
	Gather time.Duration   `yaml:"gather"` // how long the first look waits, so that removals share it; incidents do not; default 20s
}

// Brake gives people time to notice a mistake before anything is changed, and
// holds the cases of a window in which too many opened. With Count and Percent
// both 0 there is none, not even for incidents.
type Brake struct {
	Count   int           `yaml:"count"`   // more cases than this in Window engage it; default 25; 0: no limit by number
	Percent int           `yaml:"percent"` // more than this share of an organization's members, from 5 cases on; default 10; 0: no limit by share
	Window  time.Duration `yaml:"window"`  // default 10m
	Settle  time.Duration `yaml:"settle"`  // how long a case waits before its first outward change; default 2m; 0: not at all
}

// Protect names who is never removed without a person saying so.
type Protect struct {
	People []string `yaml:"people"`          // addresses, lower case
	Groups []string `yaml:"groups"`          // display names or external ids of IdP groups
	When   string   `yaml:"when"`            // CEL over person; empty: nobody is protected by it
	Admins []string `yaml:"admins"`          // addresses of every organization's admins, where the User Management API shows none
	Token  []string `yaml:"developer_token"` // addresses of those in whose name the organizations' developer_tokens were made
}

// Review says how access reviews are held.
type Review struct {
	Every     time.Duration `yaml:"every"`     // from one to the next; default 2160h; 0: only when an operator begins one
	Due       time.Duration `yaml:"due"`       // how long people have to decide; default 336h
	Inactive  time.Duration `yaml:"inactive"`  // a seat not used for so long is a reason to look; default 2160h; at most 4320h; 0: never
	Downgrade string        `yaml:"downgrade"` // policy of plan mover for downgrades; empty: they are refused
}

// Approver is a person who may approve a case.
type Approver struct {
	Email string   `yaml:"email"` // required, unique, lower case
	Roles []string `yaml:"roles"` // such as manager, security, data_governance; none: any approval
}

// Role is what an operator may do. Every role may read.
type Role string

// The roles of operators.
const (
	RoleViewer   Role = "viewer"   // reads
	RoleOperator Role = "operator" // opens, holds, retries and resolves cases, does tasks
	RoleApprover Role = "approver" // approves
	RoleAdmin    Role = "admin"    // everything, and alone: pauses, and makes tokens
)

// Operator is a person or a program that calls the operator API.
type Operator struct {
	Name      string `yaml:"name"`       // required, unique, lower case; recorded as the actor; an approver has their e-mail address here
	Token     Secret `yaml:"token"`      // this or TokenHash
	TokenHash string `yaml:"token_hash"` // SHA-256 of the token, lower-case hexadecimal; Load fills it from Token
	Roles     []Role `yaml:"roles"`      // at least one
}

// LogFormat is how a log line is written.
type LogFormat string

// The log formats.
const (
	JSON    LogFormat = "json"
	Console LogFormat = "console"
)

// Log says what is logged, to standard error.
type Log struct {
	Level  string    `yaml:"level"`  // debug, info, warn or error; default info
	Format LogFormat `yaml:"format"` // default JSON
}

// Default returns the settings of an empty file. It is not valid: connections,
// organizations, public_url and mode have no default.
func Default() *Config {
	return &Config{
		Listen:      ":8080",
		AdminListen: "127.0.0.1:8081",
		Database:    Database{Path: "offramp.db"},
		Access:      Access{Grace: 5 * time.Minute},
		Handover:    Handover{Deadline: 72 * time.Hour, Confirm: 15 * time.Minute},
		Verify:      Verify{After: []time.Duration{5 * time.Minute, 15 * time.Minute, 30 * time.Minute}, Gather: 20 * time.Second},
		Brake:       Brake{Count: 25, Percent: 10, Window: 10 * time.Minute, Settle: 2 * time.Minute},
		Drift:       Drift{Interval: 6 * time.Hour, PendingAfter: 14 * 24 * time.Hour},
		Review:      Review{Every: 90 * 24 * time.Hour, Due: 14 * 24 * time.Hour, Inactive: 90 * 24 * time.Hour},
		Log:         Log{Level: "info", Format: JSON},
	}
}

func (c *Connection) defaults() {
	*c = Connection{IdP: Other, Address: AddressUserName, Timezone: "UTC"}
}

func (o *Organization) defaults() { *o = Organization{Region: US, Rate: 60} }

func (h *Hook) defaults() { *h = Hook{Timeout: 30 * time.Second} }
