package doctor

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"offramp/internal/config"
	"offramp/internal/console"
	"offramp/internal/offboard"
	"offramp/scim"
)

// life is the life of a made-up person and their group, in the dialect of the
// connection's identity provider.
type life struct {
	visit
	address string
	user    string // id, empty: not there
	group   string
}

// stage is one part of a life; the later ones need the earlier.
type stage struct {
	what, well string
	do         func(context.Context) error
}

// live plays the life and cleans up after it, whatever happens.
func (v visit) live(ctx context.Context) {
	name := strings.ToLower(rand.Text())
	l := &life{visit: v, address: name + "@offramp-doctor.invalid"}
	stages := []stage{
		{"match and create", "a made-up person was created and is found", l.create},
		{"read and update", "the person was changed as " + idpName(v.conn.IdP) + " does it", l.update},
		{"group", "created; the person was added and removed", l.push},
		{"deactivate", "the person is inactive and still shown", l.deactivate},
	}
	failed := ""
	for _, st := range stages {
		if failed != "" {
			v.s.skip(st.what, "not tried after: %s", failed)
			continue
		}
		if !v.s.tell(st.what, st.well, st.do(ctx)) {
			failed = st.what
		}
	}
	switch {
	case failed != "":
		v.s.skip("case", "not tried after: %s", failed)
	case v.d.opts.OperatorToken == "":
		v.s.skip("case", "set OFFRAMP_OPERATOR_TOKEN to see also that a case opens and closes")
	default:
		v.s.tell("case", "opened by the deactivation and closed as observed; nothing was asked of Amplitude", l.closes(ctx))
	}
	if l.user == "" && l.group == "" {
		v.s.skip("delete", "there is nothing to delete")
		return
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	v.s.tell("delete", "person and group are gone", l.end(clean))
}

// create looks for the person, creates them and finds them.
func (l *life) create(ctx context.Context) error {
	match := "/Users?filter=" + eq("userName", l.address)
	if l.conn.IdP == config.Okta {
		match += "&startIndex=1&count=100"
	}
	before, err := l.list(ctx, match)
	if err != nil {
		return err
	}
	body := object{
		"schemas": []string{scim.UserURN, scim.EnterpriseURN}, "userName": l.address, "externalId": rand.Text(), "active": true,
		"displayName": "Offramp Doctor", "name": object{"givenName": "Offramp", "familyName": "Doctor"},
		"emails":           []object{{"primary": true, "type": "work", "value": l.address}},
		scim.EnterpriseURN: object{"department": "None"},
	}
	switch l.conn.IdP {
	case config.Okta:
		body["locale"], body["groups"], body["password"] = "en-US", []any{}, rand.Text()
	case config.Entra:
		body["meta"], body["roles"], body["active"] = object{"resourceType": "User"}, []any{}, "True"
	case config.Other:
	}
	made, err := l.client.call(ctx, http.MethodPost, scimPath+"/Users", body, http.StatusCreated)
	if err != nil {
		return err
	}
	l.user, _ = made["id"].(string)
	after, err := l.list(ctx, match)
	if err != nil {
		return err
	}
	if l.user == "" || before.total != 0 || after.total != 1 || after.items[0]["active"] != true {
		return strange("a person who was created is not found by user name, once and active")
	}
	return nil
}

// update changes the person: Okta reads, merges and PUTs, the others PATCH.
func (l *life) update(ctx context.Context) error {
	const title = "Throw-away"
	is, err := l.client.call(ctx, http.MethodGet, l.userPath(), nil, http.StatusOK)
	if err != nil {
		return err
	}
	var now object
	switch l.conn.IdP {
	case config.Okta:
		is["title"] = title
		now, err = l.client.call(ctx, http.MethodPut, l.userPath(), is, http.StatusOK)
	case config.Entra:
		now, err = l.client.call(ctx, http.MethodPatch, l.userPath(), patch(
			object{"op": "Add", "path": "title", "value": title},
			object{"op": "Replace", "path": `emails[type eq "work"].value`, "value": l.address},
			object{"op": "Remove", "path": scim.EnterpriseURN + ":department"}), http.StatusOK)
	case config.Other:
		now, err = l.client.call(ctx, http.MethodPatch, l.userPath(),
			patch(object{"op": "replace", "path": "title", "value": title}), http.StatusOK)
	}
	if err != nil {
		return err
	}
	if now["title"] != title || now["active"] != true {
		return strange("a change was accepted and is not shown")
	}
	return nil
}

// push creates a group, which cannot be an access group, adds the person and
// removes them.
func (l *life) push(ctx context.Context) error {
	made, err := l.client.call(ctx, http.MethodPost, scimPath+"/Groups",
		object{"schemas": []string{scim.GroupURN}, "displayName": "Offramp doctor " + rand.Text()}, http.StatusCreated)
	if err != nil {
		return err
	}
	l.group, _ = made["id"].(string)
	member := []object{{"value": l.user}}
	add := object{"op": "add", "path": "members", "value": member}
	remove := object{"op": "remove", "path": `members[value eq "` + l.user + `"]`}
	if l.conn.IdP == config.Entra {
		member[0]["$ref"] = nil
		add["op"], remove = "Add", object{"op": "Remove", "path": "members", "value": member}
	}
	for i, op := range []object{add, remove} {
		if _, err := l.client.call(ctx, http.MethodPatch, l.groupPath(), patch(op), http.StatusNoContent); err != nil {
			return err
		}
		g, err := l.client.call(ctx, http.MethodGet, l.groupPath(), nil, http.StatusOK)
		if err != nil {
			return err
		}
		if members, _ := g["members"].([]any); len(members) != 1-i {
			return strange("a change of a group's members was accepted and is not shown")
		}
	}
	return nil
}

// deactivate is what opens a case.
func (l *life) deactivate(ctx context.Context) error {
	op := object{"op": "replace", "path": "active", "value": false}
	switch l.conn.IdP {
	case config.Okta:
		op = object{"op": "replace", "value": object{"active": false}}
	case config.Entra:
		op = object{"op": "Replace", "path": "active", "value": "False"}
	case config.Other:
	}
	if _, err := l.client.call(ctx, http.MethodPatch, l.userPath(), patch(op), http.StatusOK); err != nil {
		return err
	}
	is, err := l.client.call(ctx, http.MethodGet, l.userPath(), nil, http.StatusOK)
	if err != nil {
		return err
	}
	if is["active"] != false {
		return strange("a deactivation was accepted and is not shown")
	}
	return nil
}

// closes waits until the case of the deactivation has closed.
func (l *life) closes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.d.opts.Patience)
	defer cancel()
	operator := client{
		http: l.d.opts.HTTP, base: l.d.opts.Admin, token: l.d.opts.OperatorToken, what: "the admin listener", where: "--server",
	}
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	var last []console.Case
	for {
		all, err := operator.cases(ctx, l.address)
		switch {
		case err != nil && ctx.Err() == nil:
			return err
		case err == nil:
			last = all
		}
		if len(last) > 0 && !last[0].State.Live() {
			return l.judge(last)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return l.judge(last)
		}
	}
}

// judge tells whether the cases are what they have to be: one, closed, of this
// connection.
func (l *life) judge(cases []console.Case) error {
	switch {
	case len(cases) == 0:
		return &trouble{"the deactivation opened no case", "check that --server and --server-public lead to the same Offramp"}
	case cases[0].Connection != l.conn.Name:
		return &trouble{
			"the token belongs to connection " + cases[0].Connection,
			"give the identity provider of " + l.conn.Name + " its own token: offramp token new --connection " + l.conn.Name,
		}
	case cases[0].State.Live():
		return &trouble{
			fmt.Sprintf("the case is still %s after %s", cases[0].State, l.d.opts.Patience),
			"look in the log of offramp serve whether its workers run, and whether the queue is long (offramp status)",
		}
	case len(cases) > 1 || cases[0].Outcome != offboard.OutcomeObserved:
		return strange(fmt.Sprintf("there are %d cases, and the last closed as %s", len(cases), cases[0].Outcome))
	}
	return nil
}

// end deletes the person and the group.
func (l *life) end(ctx context.Context) error {
	var failed error
	for _, path := range []string{l.userPath(), l.groupPath()} {
		if strings.HasSuffix(path, "/") {
			continue // was never made
		}
		if _, err := l.client.call(ctx, http.MethodDelete, path, nil, http.StatusNoContent); err != nil {
			failed = err
			continue
		}
		if _, err := l.client.call(ctx, http.MethodGet, path, nil, http.StatusNotFound); err != nil {
			failed = err
		}
	}
	if failed != nil {
		return &trouble{because(failed), "what is left is harmless; run the doctor again to see whether it was chance"}
	}
	return nil
}

func (l *life) userPath() string  { return scimPath + "/Users/" + l.user }
func (l *life) groupPath() string { return scimPath + "/Groups/" + l.group }

// strange is an answer that Offramp never gives.
func strange(say string) error {
	return &trouble{say, "check that offramp serve has the doctor's version, and that nothing in between keeps answers for later"}
}
