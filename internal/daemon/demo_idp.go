package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"offramp/scim"
)

const patchURN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// object is a JSON object on its way.
type object map[string]any

func patchOf(ops ...object) object {
	return object{"schemas": []string{patchURN}, "Operations": ops}
}

// provider is one identity provider as its SCIM client behaves.
type provider struct {
	name    string
	base    string // of SCIM
	token   string
	headers map[string]string
	http    *http.Client
	calls   int
	group   string // id of the access group
}

// call makes one request that has to be answered with want.
func (p *provider) call(ctx context.Context, method, path string, body any, want int) (object, error) {
	p.calls++
	var sent io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		sent = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, p.base+path, sent)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	for name, value := range p.headers {
		r.Header.Set(name, value)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
	answer, err := p.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	var out object
	if len(b) > 0 {
		if err := json.Unmarshal(b, &out); err != nil {
			return nil, fmt.Errorf("%s: the bridge answered %s %s with something that is not JSON", p.name, method, shape(path))
		}
	}
	if answer.StatusCode != want {
		return nil, fmt.Errorf("%s: the bridge answered %s %s with %d instead of %d: %v",
			p.name, method, shape(path), answer.StatusCode, want, out["detail"])
	}
	return out, nil
}

// shape is a path without ids and query.
func shape(path string) string {
	path, _, _ = strings.Cut(path, "?")
	if parts := strings.Split(path, "/"); len(parts) > 2 {
		return "/" + parts[1] + "/{id}"
	}
	return path
}

// onlyHit reads a list answer, which has to have no more than one hit.
func onlyHit(list object) (object, error) {
	items, ok := list["Resources"].([]any)
	if !ok && list["Resources"] != nil || len(items) > 1 {
		return nil, fmt.Errorf("a search for one resource has %d hits", len(items))
	}
	if len(items) == 0 {
		return nil, nil
	}
	one, _ := items[0].(map[string]any)
	return one, nil
}

// idOf is our id of a resource, empty where the answer has none.
func idOf(resource object) string {
	id, _ := resource["id"].(string)
	return id
}

// okta speaks as Okta does: blanks as %20, create with a placeholder password,
// groups by push.
func newOkta(base, token string) *provider {
	return &provider{name: oktaName, base: base, token: token, http: demoClient(), headers: map[string]string{
		"Accept": "application/scim+json", "Accept-Charset": "utf-8", "User-Agent": "Okta SCIM Client 1.0.0",
	}}
}

func oktaFilter(attribute, value string) string {
	return "?filter=" + strings.ReplaceAll(url.QueryEscape(attribute+` eq "`+value+`"`), "+", "%20") + "&startIndex=1&count=100"
}

// oktaBegins tests the connection, assigns the people and pushes their group.
func oktaBegins(ctx context.Context, p *provider, people []*actor) error {
	for _, path := range []string{"/Users?startIndex=1&count=2", "/Groups?startIndex=1&count=100"} {
		if _, err := p.call(ctx, http.MethodGet, path, nil, http.StatusOK); err != nil {
			return err
		}
	}
	for i, a := range people {
		list, err := p.call(ctx, http.MethodGet, "/Users"+oktaFilter("userName", a.address()), nil, http.StatusOK)
		if err != nil {
			return err
		}
		if there, err := onlyHit(list); err != nil || there != nil {
			return errors.Join(errors.New("okta: somebody is found before they were created"), err)
		}
		body := object{
			"schemas":  []string{scim.UserURN, scim.EnterpriseURN},
			"userName": a.address(), "name": object{"givenName": a.given, "familyName": a.family},
			"emails":      []object{{"primary": true, "value": a.address(), "type": "work"}},
			"displayName": a.name(), "title": a.title, "locale": "en-US", "externalId": fmt.Sprintf("00u%017d", i+1),
			"groups": []any{}, "password": "1mz050nq", "active": true,
			scim.EnterpriseURN: oktaEnterprise(a),
		}
		made, err := p.call(ctx, http.MethodPost, "/Users", body, http.StatusCreated)
		if err != nil {
			return err
		}
		a.id = idOf(made)
	}
	return p.oktaPush(ctx, people)
}

// oktaEnterprise names the manager by user name, as an admin maps it in Okta.
func oktaEnterprise(a *actor) object {
	e := object{"department": a.department}
	if a.manager != nil {
		e["manager"] = object{"value": a.manager.address(), "displayName": a.manager.name()}
	}
	return e
}

// oktaPush links or creates the group, then pushes name and members.
func (p *provider) oktaPush(ctx context.Context, people []*actor) error {
	if _, err := p.call(ctx, http.MethodGet, "/Groups"+oktaFilter("displayName", oktaGroup), nil, http.StatusOK); err != nil {
		return err
	}
	made, err := p.call(ctx, http.MethodPost, "/Groups",
		object{"schemas": []string{scim.GroupURN}, "displayName": oktaGroup, "members": []any{}}, http.StatusCreated)
	if err != nil {
		return err
	}
	p.group = idOf(made)
	var members []object
	for _, a := range people {
		members = append(members, object{"value": a.id, "display": a.address()})
	}
	for _, ops := range []object{
		patchOf(object{"op": "replace", "value": object{"id": p.group, "displayName": oktaGroup}}),
		patchOf(object{"op": "add", "path": "members", "value": members}),
	} {
		if _, err := p.call(ctx, http.MethodPatch, "/Groups/"+p.group, ops, http.StatusNoContent); err != nil {
			return err
		}
	}
	return nil
}

// oktaActive is what OIN apps send: no path, an object as value.
func (p *provider) oktaActive(ctx context.Context, a *actor, active bool) error {
	_, err := p.call(ctx, http.MethodPatch, "/Users/"+a.id,
		patchOf(object{"op": "replace", "value": object{"active": active}}), http.StatusOK)
	return err
}

// oktaPut is what AIW apps send: everything that was read, with what changed.
func (p *provider) oktaPut(ctx context.Context, a *actor, change object) error {
	is, err := p.call(ctx, http.MethodGet, "/Users/"+a.id, nil, http.StatusOK)
	if err != nil {
		return err
	}
	maps.Copy(is, change)
	_, err = p.call(ctx, http.MethodPut, "/Users/"+a.id, is, http.StatusOK)
	return err
}

// oktaBack matches somebody who was assigned again, activates and updates them.
func (p *provider) oktaBack(ctx context.Context, a *actor) error {
	list, err := p.call(ctx, http.MethodGet, "/Users"+oktaFilter("userName", a.address()), nil, http.StatusOK)
	if err != nil {
		return err
	}
	there, err := onlyHit(list)
	if err != nil || idOf(there) != a.id {
		return errors.Join(errors.New("okta: a deactivated person is not found again"), err)
	}
	if err := p.oktaActive(ctx, a, true); err != nil {
		return err
	}
	return p.oktaPut(ctx, a, object{"active": true, "displayName": a.name()})
}

// entra speaks as Entra does in its default format: capitalised operations,
// booleans as text, members as value lists.
func newEntra(base, token string) *provider {
	return &provider{name: entraName, base: base, token: token, http: demoClient(), headers: map[string]string{"Accept": "application/scim+json"}}
}

func entraFilter(attribute, value string) string {
	return "filter=" + url.QueryEscape(attribute+` eq "`+value+`"`)
}

// entraBegins tests the connection, matches and creates the people, then their
// managers, then the group with its members.
func entraBegins(ctx context.Context, p *provider, people []*actor) error {
	const nobody = "6f2a4c1e-0d8b-4e57-9a63-2c1f7b9e5d04"
	for _, path := range []string{
		"/Users?" + entraFilter("userName", nobody),
		"/Groups?excludedAttributes=members&" + entraFilter("displayName", nobody),
	} {
		if _, err := p.call(ctx, http.MethodGet, path, nil, http.StatusOK); err != nil {
			return err
		}
	}
	for i, a := range people {
		if _, err := p.call(ctx, http.MethodGet, "/Users?"+entraFilter("userName", a.address()), nil, http.StatusOK); err != nil {
			return err
		}
		made, err := p.call(ctx, http.MethodPost, "/Users", object{
			"schemas":    []string{scim.UserURN, scim.EnterpriseURN},
			"externalId": strings.ToLower(a.given), "userName": a.address(), "active": "True", "displayName": a.name(), "title": a.title,
			"emails": []object{{"primary": true, "type": "work", "value": a.address()}}, "meta": object{"resourceType": "User"},
			"name": object{"formatted": a.name(), "familyName": a.family, "givenName": a.given}, "roles": []any{},
			scim.EnterpriseURN: object{"department": a.department, "employeeNumber": fmt.Sprint(701 + i)},
		}, http.StatusCreated)
		if err != nil {
			return err
		}
		a.id = idOf(made)
	}
	for _, a := range people {
		if a.manager == nil {
			continue
		}
		ops := patchOf(object{"op": "Add", "path": scim.EnterpriseURN + ":manager", "value": a.manager.id})
		if _, err := p.call(ctx, http.MethodPatch, "/Users/"+a.id, ops, http.StatusOK); err != nil {
			return err
		}
	}
	return p.entraGroup(ctx, people)
}

func (p *provider) entraGroup(ctx context.Context, people []*actor) error {
	path := "/Groups?excludedAttributes=members&" + entraFilter("displayName", entraGroup)
	if _, err := p.call(ctx, http.MethodGet, path, nil, http.StatusOK); err != nil {
		return err
	}
	made, err := p.call(ctx, http.MethodPost, "/Groups", object{
		"schemas":    []string{scim.GroupURN, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"},
		"externalId": "8aa1c0de-0d8b-4e57-9a63-2c1f7b9e5d04", "displayName": entraGroup, "meta": object{"resourceType": "Group"},
	}, http.StatusCreated)
	if err != nil {
		return err
	}
	p.group = idOf(made)
	return p.entraMembers(ctx, "Add", people...)
}

// entraMembers adds or removes members by a list of values.
func (p *provider) entraMembers(ctx context.Context, op string, people ...*actor) error {
	var values []object
	for _, a := range people {
		values = append(values, object{"$ref": nil, "value": a.id})
	}
	_, err := p.call(ctx, http.MethodPatch, "/Groups/"+p.group,
		patchOf(object{"op": op, "path": "members", "value": values}), http.StatusNoContent)
	return err
}

func (p *provider) entraDisable(ctx context.Context, a *actor) error {
	_, err := p.call(ctx, http.MethodPatch, "/Users/"+a.id,
		patchOf(object{"op": "Replace", "path": "active", "value": "False"}), http.StatusOK)
	return err
}

func (p *provider) entraDelete(ctx context.Context, a *actor) error {
	_, err := p.call(ctx, http.MethodDelete, "/Users/"+a.id, nil, http.StatusNoContent)
	return err
}

// claimed is a change with what an admin has mapped to the offramp schema.
func claimed(claims, change object) object {
	out := object{"schemas": []string{scim.UserURN, scim.EnterpriseURN, scim.OfframpURN}, scim.OfframpURN: claims}
	maps.Copy(out, change)
	return out
}

// providersAct plays both providers: first everybody arrives, then the
// scenario takes its course.
func (d *demo) providersAct(ctx context.Context) error {
	base := d.public.url + "/scim/v2"
	okta, entra := newOkta(base, d.keys.okta), newEntra(base, d.keys.entra)
	people := map[string][]*actor{}
	for _, a := range d.cast {
		if !a.unknown {
			people[a.connection] = append(people[a.connection], a)
		}
	}
	d.stage.heading("The identity providers connect")
	for _, p := range []struct {
		*provider
		called, group string
		begins        func(context.Context, *provider, []*actor) error
	}{{okta, "Okta", oktaGroup, oktaBegins}, {entra, "Entra", entraGroup, entraBegins}} {
		theirs := people[p.name]
		if len(theirs) == 0 {
			continue
		}
		if err := p.begins(ctx, p.provider, theirs); err != nil {
			return err
		}
		d.stage.linef(p.called, "tested the connection, created %d people and the group %q: %d requests", len(theirs), p.group, p.calls)
	}
	d.stage.heading("People leave")
	return d.scene.act(ctx, d, okta, entra)
}

// does lets somebody of the cast act and tells how long the bridge took.
func (d *demo) does(given string, act func(*actor) error) error {
	a := d.called(given)
	began := time.Now()
	if err := act(a); err != nil {
		return err
	}
	d.stage.linef(a.name(), "%s; answered in %d ms", a.how, time.Since(began).Milliseconds())
	return nil
}
