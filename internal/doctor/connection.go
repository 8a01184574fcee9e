package doctor

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"offramp/internal/config"
	"offramp/internal/offboard"
)

const scimPath = "/scim/v2"

// servers checks each connection against the running server, and then whether
// the access groups are known to any of them.
func (d *Doctor) servers(ctx context.Context, r *report) {
	found := map[string]bool{}
	asked := 0
	for _, c := range d.connections {
		s := r.of("connection " + c.Name)
		token := d.opts.Token
		if token == "" {
			token = c.BootstrapToken.Reveal()
		}
		if token == "" {
			s.skip("token", "its tokens are not in the configuration: run offramp doctor --connection %s --token-file FILE", c.Name)
			continue
		}
		v := visit{d: d, s: s, conn: c, client: client{
			http: d.opts.HTTP, base: d.opts.Public, token: token, what: "the public listener", where: "--server-public",
		}}
		if !v.arrive(ctx) {
			continue
		}
		v.people(ctx)
		groups, err := v.groups(ctx)
		if err != nil {
			s.tell("access groups", "", err)
		} else {
			asked++
			for _, g := range groups {
				found[g] = true
			}
		}
		v.live(ctx)
	}
	d.access(r.of("access"), found, asked)
}

// access reports access groups that no directory has: until one arrives, nobody
// is entitled by it and leaving it is not noticed.
func (d *Doctor) access(s subject, found map[string]bool, asked int) {
	for _, g := range d.opts.Config.Access.Groups {
		what := fmt.Sprintf("group %q", g)
		switch {
		case found[g]:
			s.ok(what, "is in the directory")
		case asked < len(d.opts.Config.Connections):
			s.skip(what, "is not in the directories that could be asked; others were not")
		default:
			s.tell(what, "", &trouble{
				"no directory has it yet, so nobody gets access by it and nobody who leaves it is noticed",
				"push it (Okta: Push Groups; Entra ID: assign it to the app), or correct access.groups: display name or external id",
			})
		}
	}
}

// visit is the checks of one connection.
type visit struct {
	d      *Doctor
	s      subject
	conn   config.Connection
	client client
}

// arrive makes the connection test as the identity provider makes it. What
// answers here is the token of some connection: see life for whether it is this.
func (v visit) arrive(ctx context.Context) bool {
	raw, status, err := v.client.exchange(ctx, http.MethodGet, scimPath+"/Users?startIndex=1&count=1", nil)
	if err != nil {
		return v.s.tell("server", "", err)
	}
	said := struct {
		Detail string `json:"detail"`
	}{}
	_ = json.Unmarshal(raw, &said) // something else than Offramp is told below
	switch status {
	case http.StatusUnauthorized:
		fix := "write the token that the running server has into bootstrap_token and restart it after a change, " +
			"or make one: offramp token new --connection " + v.conn.Name
		if v.d.opts.Token != "" {
			fix = "look whether it is revoked or expired (offramp token list --connection " + v.conn.Name + "), " +
				"or make another one: offramp token new --connection " + v.conn.Name
		}
		return v.s.tell("token", "", &trouble{"the server refuses the token", fix})
	case http.StatusNotFound:
		return v.s.tell("server", "", &trouble{
			"no SCIM at " + host(v.client.base) + scimPath,
			"check that --server-public leads to the public listener (not the admin one), and that a proxy passes " + scimPath + " on unchanged",
		})
	case http.StatusForbidden:
		return v.s.tell("token", "", &trouble{
			"the server refuses this machine's address: " + cleaned(said.Detail),
			"run the doctor where allow_from of the connection permits it, or add this machine's address there",
		})
	}
	list := func(what string, paths ...string) bool {
		for _, path := range paths {
			if _, err := v.list(ctx, path); err != nil {
				return v.s.tell(what, "", err)
			}
		}
		return v.s.tell(what, "answered as "+idpName(v.conn.IdP)+" expects", nil)
	}
	const what = "connection test"
	switch v.conn.IdP {
	case config.Entra:
		nobody := rand.Text()
		return list(what, "/Users?filter="+eq("userName", nobody), "/Groups?excludedAttributes=members&filter="+eq("displayName", nobody))
	case config.Okta, config.Other:
	}
	return list(what, "/Users?startIndex=1&count=2", "/Groups?startIndex=1&count=100")
}

// page is a list answer.
type page struct {
	total int
	items []object
}

// list reads a ListResponse.
func (v visit) list(ctx context.Context, path string) (page, error) {
	doc, err := v.client.call(ctx, http.MethodGet, scimPath+path, nil, http.StatusOK)
	if err != nil {
		return page{}, err
	}
	total, counted := doc["totalResults"].(float64)
	items, isList := doc["Resources"].([]any)
	if !counted || !isList && total > 0 {
		return page{}, &trouble{
			shape(http.MethodGet, path) + " was not answered with a list",
			"check that --server-public leads to Offramp's public listener",
		}
	}
	p := page{total: int(total)}
	for _, i := range items {
		one, _ := i.(map[string]any)
		p.items = append(p.items, one)
	}
	return p, nil
}

// people looks for people in the directory whose seat is outside the
// connection's domains: their case would wait for a person.
func (v visit) people(ctx context.Context) {
	const what = "domains"
	if len(v.conn.Domains) == 0 {
		v.s.ok(what, "none configured, so it reaches every address")
		return
	}
	outside, looked := map[string]int{}, 0
	for range maxPages {
		p, err := v.list(ctx, "/Users?startIndex="+strconv.Itoa(looked+1)+"&count=100&attributes=userName,emails,active")
		if err != nil {
			v.s.tell(what, "", err)
			return
		}
		for _, u := range p.items {
			looked++
			person := personOf(u)
			domain := offboard.Domain(offboard.SeatAddress(person, v.conn.Address == config.AddressPrimaryEmail))
			if person.Active && !person.Placeholder() && !slices.Contains(v.conn.Domains, domain) {
				outside[domain]++
			}
		}
		if looked >= p.total || len(p.items) == 0 {
			break
		}
	}
	if len(outside) == 0 {
		v.s.ok(what, "cover all of the %d people looked at", looked)
		return
	}
	count, names := tally(outside)
	v.s.tell(what, "", &trouble{
		fmt.Sprintf("%d of %d people looked at have an address outside them: %s; their case would wait for a person", count, looked, names),
		"add the missing domain to the domains of this connection, or see whether address should be emails.primary",
	})
}

// personOf reads what SeatAddress needs.
func personOf(u object) offboard.Person {
	var p offboard.Person
	p.UserName, _ = u["userName"].(string)
	p.Active, _ = u["active"].(bool)
	emails, _ := u["emails"].([]any)
	for _, e := range emails {
		m, _ := e.(map[string]any)
		value, _ := m["value"].(string)
		primary, _ := m["primary"].(bool)
		p.Emails = append(p.Emails, offboard.Email{Value: value, Primary: primary})
	}
	return p
}

// groups lists the access groups that the directory has.
func (v visit) groups(ctx context.Context) ([]string, error) {
	var found []string
	for _, g := range v.d.opts.Config.Access.Groups {
		for _, attribute := range []string{"displayName", "externalId"} {
			p, err := v.list(ctx, "/Groups?excludedAttributes=members&filter="+eq(attribute, g))
			if err != nil {
				return found, err
			}
			if p.total > 0 {
				found = append(found, g)
				break
			}
		}
	}
	return found, nil
}

// eq is an escaped filter for one value.
func eq(attribute, value string) string {
	quoted, err := json.Marshal(value)
	if err != nil { // cannot happen: a string
		return ""
	}
	return strings.ReplaceAll(url.QueryEscape(attribute+" eq "+string(quoted)), "+", "%20")
}

func idpName(i config.IdP) string {
	switch i {
	case config.Okta:
		return "Okta"
	case config.Entra:
		return "Entra ID"
	case config.Other:
	}
	return "an identity provider"
}

// because is the text of a failure, for those that were not tried after it.
func because(err error) string {
	if t, ok := errors.AsType[*trouble](err); ok {
		return t.say
	}
	return err.Error()
}
