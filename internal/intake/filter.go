package intake

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"offramp/internal/offboard"
	"offramp/scim"
)

// candidates is how many people or groups a filter may leave to be looked at
// one by one. A filter that no index narrows to so few is refused, rather than
// answered by reading a whole directory.
const candidates = 1000

// alternatives bounds the `or` branches that are looked up one by one.
const alternatives = 50

// Users lists users. A filter that the record can answer by itself is paged
// there; any other is narrowed by what is indexed, and the candidates are
// checked one by one.
func (in *Intake) Users(ctx context.Context, conn string, q scim.Query) (scim.Page[scim.User], error) {
	if one, exact := answerable(q.Filter); exact {
		one.Connection, one.Slice = conn, slice(q)
		return in.userPage(ctx, one)
	}
	var found []offboard.Person
	for _, one := range userLookups(q.Filter) {
		one.Connection, one.Slice = conn, offboard.Slice{Limit: candidates + 1, Uncounted: true}
		some, _, err := in.opts.Store.People(ctx, one)
		if err != nil {
			return scim.Page[scim.User]{}, translate("find users", err)
		}
		if found = append(found, some...); len(found) > candidates {
			return scim.Page[scim.User]{}, scim.ErrTooBroad
		}
	}
	users, err := in.mapUsers(ctx, found)
	if err != nil {
		return scim.Page[scim.User]{}, err
	}
	users = slices.DeleteFunc(users, func(u scim.User) bool { return !scim.MatchesUser(q.Filter, u) })
	return pageOf(users, q, func(a, b scim.User) int {
		switch q.SortBy {
		case scim.SortUserName:
			return strings.Compare(offboard.Fold(a.UserName()), offboard.Fold(b.UserName()))
		case scim.SortDisplayName:
			return strings.Compare(offboard.Fold(a.DisplayName()), offboard.Fold(b.DisplayName()))
		case scim.SortExternalID:
			return strings.Compare(a.ExternalID(), b.ExternalID())
		case scim.SortCreated:
			return a.Created.Compare(b.Created)
		case scim.SortLastModified:
			return a.Modified.Compare(b.Modified)
		}
		return 0
	}, func(u scim.User) string { return u.ID }), nil
}

func (in *Intake) userPage(ctx context.Context, q offboard.PeopleQuery) (scim.Page[scim.User], error) {
	people, total, err := in.opts.Store.People(ctx, q)
	if err != nil {
		return scim.Page[scim.User]{}, translate("list users", err)
	}
	users, err := in.mapUsers(ctx, people)
	return scim.Page[scim.User]{Total: total, Items: users}, err
}

// groups lists groups without members, like Users.
func (in *Intake) groups(ctx context.Context, conn string, q scim.Query) (page scim.Page[scim.Group], err error) {
	if q.Filter == nil {
		found, total, err := in.opts.Store.Groups(ctx, offboard.GroupsQuery{Connection: conn, Slice: slice(q)})
		if err != nil {
			return page, translate("list groups", err)
		}
		page.Total = total
		for _, g := range found {
			page.Items = append(page.Items, mapGroup(g))
		}
		return page, nil
	}
	var hits []scim.Group
	seen := 0
	for _, one := range groupLookups(q.Filter) {
		one.Connection, one.Slice = conn, offboard.Slice{Limit: candidates + 1, Uncounted: true}
		some, _, err := in.opts.Store.Groups(ctx, one)
		if err != nil {
			return page, translate("find groups", err)
		}
		if seen += len(some); seen > candidates {
			return page, scim.ErrTooBroad
		}
		for _, g := range some {
			matches, err := in.matchesGroup(ctx, conn, q.Filter, mapGroup(g))
			if err != nil {
				return page, err
			}
			if matches {
				hits = append(hits, mapGroup(g))
			}
		}
	}
	return pageOf(hits, q, func(a, b scim.Group) int {
		switch q.SortBy {
		case scim.SortDisplayName:
			return strings.Compare(offboard.Fold(a.DisplayName), offboard.Fold(b.DisplayName))
		case scim.SortExternalID:
			return strings.Compare(a.ExternalID, b.ExternalID)
		case scim.SortCreated:
			return a.Created.Compare(b.Created)
		case scim.SortLastModified:
			return a.Modified.Compare(b.Modified)
		}
		return 0
	}, func(g scim.Group) string { return g.ID }), nil
}

// matchesGroup asks the record about single members, never for all of them.
func (in *Intake) matchesGroup(ctx context.Context, conn string, e scim.Expr, g scim.Group) (matches bool, err error) {
	matches = scim.MatchesGroup(e, g, func(user string) bool {
		if !storable(user) || err != nil {
			return false
		}
		_, n, asked := in.opts.Store.Groups(ctx, offboard.GroupsQuery{Connection: conn, ID: g.ID, Member: user})
		err = asked
		return n > 0
	})
	if err != nil {
		return false, translate("look for a member", err)
	}
	return matches, nil
}

func slice(q scim.Query) offboard.Slice {
	s := offboard.Slice{Offset: q.Start - 1, Limit: q.Count, Descending: q.Descending}
	switch q.SortBy {
	case scim.SortUserName:
		s.Sort = offboard.SortUserName
	case scim.SortDisplayName:
		s.Sort = offboard.SortDisplayName
	case scim.SortExternalID:
		s.Sort = offboard.SortExternalID
	case scim.SortCreated:
		s.Sort = offboard.SortCreated
	case scim.SortLastModified:
		s.Sort = offboard.SortModified
	}
	return s
}

// pageOf sorts hits, drops those found twice, and cuts the page out.
func pageOf[T any](hits []T, q scim.Query, compare func(a, b T) int, id func(T) string) scim.Page[T] {
	slices.SortFunc(hits, func(a, b T) int {
		by := cmp.Or(compare(a, b), strings.Compare(id(a), id(b)))
		if q.Descending {
			return -by
		}
		return by
	})
	hits = slices.CompactFunc(hits, func(a, b T) bool { return id(a) == id(b) })
	start := min(q.Start-1, len(hits))
	return scim.Page[T]{Total: len(hits), Items: hits[start : start+min(q.Count, len(hits)-start)]}
}

// conjuncts are the parts that all have to hold.
func conjuncts(e scim.Expr) []scim.Expr {
	and, ok := e.(scim.And)
	if !ok {
		return []scim.Expr{e}
	}
	var out []scim.Expr
	for _, p := range and.Parts {
		out = append(out, conjuncts(p)...)
	}
	return out
}

// answerable translates a filter that the record answers exactly, whatever the
// number of hits: none at all, active, the beginning of userName, a group.
func answerable(e scim.Expr) (q offboard.PeopleQuery, exact bool) {
	if e == nil {
		return q, true
	}
	for _, part := range conjuncts(e) {
		c, ok := part.(scim.Compare)
		text, isText := c.Value.(string)
		yes, isBool := c.Value.(bool)
		switch path := c.Path.String(); {
		case !ok || isText && (text == "" || text != strings.TrimSpace(text) || !storable(text)):
			return q, false
		case path == "active" && isBool && c.Op == scim.OpEqual && q.Active == nil:
			q.Active = &yes
		case path == "userName" && isText && c.Op == scim.OpStartsWith && q.UserNamePrefix == "":
			q.UserNamePrefix = text
		case path == "groups.value" && isText && c.Op == scim.OpEqual && q.Group == "":
			q.Group = text
		default:
			return q, false
		}
	}
	return q, true
}

// userLookups are the indexed questions whose answers together hold every
// match of e. One without any narrowing reads the beginning of the directory.
func userLookups(e scim.Expr) []offboard.PeopleQuery {
	return lookups(e, func(conj scim.Expr) (q offboard.PeopleQuery, narrowed bool) {
		for _, t := range scim.Equality(conj) {
			if field := userField(&q, t.Path); field != nil && *field == "" && storable(t.Value) {
				*field = t.Value
			}
		}
		for _, part := range conjuncts(conj) {
			one, exact := answerable(part)
			if exact && one.Active != nil {
				q.Active = one.Active
			}
			if exact && q.UserNamePrefix == "" {
				q.UserNamePrefix = one.UserNamePrefix
			}
		}
		return q, q != offboard.PeopleQuery{Active: q.Active}
	})
}

func userField(q *offboard.PeopleQuery, path scim.AttrPath) *string {
	switch path.String() {
	case "id":
		return &q.ID
	case "userName":
		return &q.UserName
	case "externalId":
		return &q.ExternalID
	case "displayName":
		return &q.DisplayName
	case "emails.value":
		return &q.Email
	case "groups.value":
		return &q.Group
	case scim.EnterpriseURN + ":manager.value":
		return &q.Manager
	}
	return nil
}

func groupLookups(e scim.Expr) []offboard.GroupsQuery {
	return lookups(e, func(conj scim.Expr) (q offboard.GroupsQuery, narrowed bool) {
		for _, t := range scim.Equality(conj) {
			if field := groupField(&q, t.Path); field != nil && *field == "" && storable(t.Value) {
				*field = t.Value
			}
		}
		return q, q != offboard.GroupsQuery{}
	})
}

func groupField(q *offboard.GroupsQuery, path scim.AttrPath) *string {
	switch path.String() {
	case "id":
		return &q.ID
	case "displayName":
		return &q.DisplayName
	case "externalId":
		return &q.ExternalID
	case "members.value":
		return &q.Member
	}
	return nil
}

// lookups asks each branch of an `or` apart, and everything else once. A
// conjunction that narrows nothing by itself may hold an `or` that does.
func lookups[Q any](e scim.Expr, narrow func(scim.Expr) (Q, bool)) []Q {
	out, _ := lookupsOf(e, narrow)
	return out
}

// lookupsOf tells as well whether every question is answered by an index.
func lookupsOf[Q any](e scim.Expr, narrow func(scim.Expr) (Q, bool)) (out []Q, narrowed bool) {
	if or, ok := e.(scim.Or); ok {
		for _, p := range or.Parts {
			some, ok := lookupsOf(p, narrow)
			if out = append(out, some...); !ok || len(out) > alternatives {
				return make([]Q, 1), false
			}
		}
		return out, true
	}
	q, narrowed := narrow(e)
	if narrowed {
		return []Q{q}, true
	}
	for _, part := range conjuncts(e) {
		if or, ok := part.(scim.Or); ok {
			if some, ok := lookupsOf(scim.Expr(or), narrow); ok {
				return some, true
			}
		}
	}
	return []Q{q}, false
}
