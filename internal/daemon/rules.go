package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"offramp/internal/config"
	"offramp/internal/console"
	"offramp/internal/offboard"
)

// rules turns the file's settings into the rules that decisions take.
type rules struct {
	cfg         *config.Config
	policies    *offboard.Policies
	protected   func(offboard.Person) string
	protectedBy func(offboard.Group) bool
	connections map[string]config.Connection
}

func newRules(cfg *config.Config) (*rules, error) {
	r := &rules{cfg: cfg, protected: protected(cfg), protectedBy: protectedBy(cfg), connections: map[string]config.Connection{}}
	for _, c := range cfg.Connections {
		r.connections[c.Name] = c
	}
	var problems config.Problems
	r.policies, problems = policies(cfg)
	return r, problems.Err()
}

// Check tells what is wrong with the parts of a configuration that only other
// packages understand, such as the conditions of policies.
func Check(cfg *config.Config) config.Problems {
	_, problems := policies(cfg)
	return append(problems, checkNotify(cfg)...)
}

func policies(cfg *config.Config) (*offboard.Policies, config.Problems) {
	h := cfg.Handover
	var problems config.Problems
	if _, err := offboard.NewCondition(cfg.Protect.When); err != nil {
		problems = append(problems, cfg.Problem("protect.when", err.Error()))
	}
	list := make([]offboard.Conditional, 0, len(cfg.Policies)+1)
	for i, p := range cfg.Policies {
		reason, known := offboard.KnownReason(p.Reason)
		if p.Reason != "" && !known {
			problems = append(problems, cfg.Problem(fmt.Sprintf("policies[%d].reason", i), fmt.Sprintf("write one of %q", offboard.Reasons())))
		}
		list = append(list, offboard.Conditional{When: p.When, Trigger: p.Trigger, Reason: reason, Policy: offboard.Policy{
			Name: p.Name, Plan: offboard.PlanName(p.Plan), NotBefore: p.NotBefore.After, AtLeave: p.NotBefore.LeaveDate, Due: p.Due,
			Approvals: p.Approvals.People, Roles: p.Approvals.Roles, AlsoApprove: alsoApprove(p.AlsoApprove), ApprovalExpires: p.ApprovalExpires,
			Contain: offboard.Contain(p.Contain), Successor: or(p.Successor, h.Successor),
			Handover: or(p.Deadline, h.Deadline), AtHand: offboard.Deadline(or(p.AtDeadline, h.AtDeadline)),
			Unlisted: offboard.Unlisted(or(p.Unlisted, h.Unlisted)), Trust: p.TrustReceipt, Unseen: unseen(p.Unseen), FollowUp: followUps(p.FollowUp),
			Revoke: revokes(p.Revoke),
		}})
	}
	builtIn := offboard.Fallback()
	builtIn.Successor, builtIn.Handover = h.Successor, h.Deadline
	builtIn.AtHand, builtIn.Unlisted = offboard.Deadline(h.AtDeadline), offboard.Unlisted(h.Unlisted)
	ps, bad := offboard.NewPolicies(list, builtIn)
	for _, b := range bad {
		problems = append(problems, cfg.Problem(fmt.Sprintf("policies[%d].%s", b.Index, b.Key), b.Err.Error()))
	}
	return ps, problems
}

// revokes is what a mover's policy takes away.
func revokes(r config.Revoke) offboard.Revoke {
	out := offboard.Revoke{
		All: r.Projects.All, Leave: r.Groups.Leave, Join: r.Groups.Join, Role: r.Role, OrganizationRole: r.OrganizationRole,
	}
	for _, id := range r.Projects.IDs {
		if n, err := strconv.Atoi(id); err == nil { // checked to be the id of a project
			out.Projects = append(out.Projects, n)
		}
	}
	return out
}

// Rules returns the rules of each connection as the file has them, for a look
// at what they would decide.
func Rules(cfg *config.Config) (func(connection string) offboard.Rules, error) {
	r, err := newRules(cfg)
	if err != nil {
		return nil, err
	}
	return r.of, nil
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// of returns the rules of one connection.
func (r *rules) of(connection string) offboard.Rules {
	c := r.connections[connection]
	return offboard.Rules{
		AccessConfigured: len(r.cfg.Access.Groups) > 0, Grace: r.cfg.Access.Grace, Settle: r.cfg.Brake.Settle, Brake: r.brake(c),
		TrustIncidents: c.Trust.Incidents, TrustApprovals: c.Trust.Approvals, Location: c.Location(),
		Policy: r.policies.For, Triggers: r.policies, Organizations: r.organizations(c),
		Protected: r.protected, ProtectedBy: r.protectedBy,
		Reachable: func(address string) bool {
			return len(c.Domains) == 0 || slices.Contains(c.Domains, offboard.Domain(address))
		},
	}
}

// brake is what holds too many leavers of a connection at once.
func (r *rules) brake(c config.Connection) offboard.BrakeRules {
	b := r.cfg.Brake
	out := offboard.BrakeRules{Count: b.Count, Percent: b.Percent, Window: b.Window, Emergencies: b.Count > 0 || b.Percent > 0}
	for _, name := range r.organizations(c) {
		reach := offboard.BrakeReach{Name: name}
		for _, other := range r.cfg.Connections {
			if slices.Contains(r.organizations(other), name) {
				reach.Connections = append(reach.Connections, other.Name)
			}
		}
		out.Organizations = append(out.Organizations, reach)
	}
	slices.SortFunc(out.Organizations, func(x, y offboard.BrakeReach) int { return strings.Compare(x.Name, y.Name) }) // locked in this order
	return out
}

// organizations lists what a connection reaches; naming none means all.
func (r *rules) organizations(c config.Connection) []string {
	if len(c.Organizations) > 0 {
		return c.Organizations
	}
	var out []string
	for _, o := range r.cfg.Organizations {
		out = append(out, o.Name)
	}
	return out
}

// byEmail tells whether a connection's seats are found by the primary e-mail.
func (r *rules) byEmail(connection string) bool {
	return r.connections[connection].Address == config.AddressPrimaryEmail
}

// reachable tells whether an address is in a connection's domains.
func reachable(cfg *config.Config) func(connection, address string) bool {
	domains := map[string][]string{}
	for _, c := range cfg.Connections {
		domains[c.Name] = c.Domains
	}
	return func(connection, address string) bool {
		d := domains[connection]
		return len(d) == 0 || slices.Contains(d, offboard.Domain(address))
	}
}

// unseen is what a policy says about what the guards cannot see.
func unseen(word string) offboard.Unseen {
	if word == "ask" {
		return offboard.UnseenAsk
	}
	return offboard.UnseenProceed
}

// protected tells why a person is never removed without a person's word.
func protected(cfg *config.Config) func(offboard.Person) string {
	condition, err := offboard.NewCondition(cfg.Protect.When)
	if err != nil {
		condition = func(offboard.Person) (bool, error) { return true, err } // Check has told it
	}
	return func(p offboard.Person) string {
		renamed := p // by names that groups had before, too
		renamed.Groups = slices.Concat(p.Groups, p.GroupKeys)
		for _, known := range []offboard.Person{p, renamed} {
			switch yes, err := condition(known); {
			case err != nil:
				return "protect.when could not be told for this person, and is taken as true"
			case yes:
				return "this person is protected by protect.when"
			}
		}
		for _, address := range p.Addresses() {
			if slices.Contains(cfg.Protect.People, address) {
				return "this person is on the protected list"
			}
		}
		if name := named(cfg.Protect.Groups, renamed.Groups); name != "" {
			return "this person is in the protected group " + name
		}
		return ""
	}
}

// protectedBy tells whether being in a group may protect.
func protectedBy(cfg *config.Config) func(offboard.Group) bool {
	conditional := strings.Contains(cfg.Protect.When, ".groups")
	return func(g offboard.Group) bool { return conditional || named(cfg.Protect.Groups, g.Keys()) != "" }
}

// named returns the first of names that is among the keys of groups; empty: none is.
func named(names, keys []string) string {
	for _, name := range names {
		if slices.ContainsFunc(keys, func(k string) bool { return offboard.Fold(k) == offboard.Fold(name) }) {
			return name
		}
	}
	return ""
}

func operators(cfg *config.Config) []console.Operator {
	var out []console.Operator
	for _, o := range cfg.Operators {
		op := console.Operator{Name: o.Name, TokenHash: o.TokenHash}
		for _, r := range o.Roles {
			op.Roles = append(op.Roles, console.Role(r))
		}
		out = append(out, op)
	}
	return out
}

func connectionNames(cfg *config.Config) []string {
	var out []string
	for _, c := range cfg.Connections {
		out = append(out, c.Name)
	}
	return out
}

// bootstrap maps the file's tokens to their connections.
func bootstrap(cfg *config.Config) map[string]string {
	out := map[string]string{}
	for _, c := range cfg.Connections {
		if c.BootstrapToken.IsSet() {
			out[c.BootstrapToken.Reveal()] = c.Name
		}
	}
	return out
}

// clients knows from which addresses a connection may be used.
type clients struct {
	trusted []netip.Prefix
	allowed map[string][]netip.Prefix
}

func newClients(cfg *config.Config) *clients {
	c := &clients{trusted: cfg.TrustedProxies, allowed: map[string][]netip.Prefix{}}
	for _, conn := range cfg.Connections {
		c.allowed[conn.Name] = conn.AllowFrom
	}
	return c
}

// allow checks the client's address: the peer's, or behind trusted proxies the
// last one in X-Forwarded-For that is not a trusted proxy itself.
func (c *clients) allow(connection string, r *http.Request) error {
	allowed := c.allowed[connection]
	if len(allowed) == 0 {
		return nil
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return errors.New("the client's address cannot be read")
	}
	client, err := netip.ParseAddr(host)
	if err != nil {
		return errors.New("the client's address cannot be read")
	}
	client = client.Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && within(c.trusted, client); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		client = hop.Unmap()
	}
	if !within(allowed, client) {
		return errors.New("the client's address is not in allow_from")
	}
	return nil
}

func within(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// approvers is who may approve now. The file is read at the start, so whoever
// is taken off its list does not count from the next start on.
func approvers(cfg *config.Config) offboard.Approvers {
	trusted := map[string]bool{}
	for _, c := range cfg.Connections {
		trusted[c.Name] = c.Trust.Approvals
	}
	a := offboard.Approvers{Trusts: func(connection string) bool { return trusted[connection] }}
	for _, p := range cfg.Approvers {
		a.Listed = append(a.Listed, offboard.Approver{Address: p.Email, Roles: p.Roles})
	}
	return a
}

func alsoApprove(list []config.AlsoApprove) []offboard.ApprovalRule {
	var out []offboard.ApprovalRule
	for _, r := range list {
		out = append(out, offboard.ApprovalRule{When: r.When, Role: r.Role})
	}
	return out
}
