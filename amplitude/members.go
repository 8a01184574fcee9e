package amplitude

import (
	"context"
	"errors"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Member is a seat in the organization. Amplitude's SCIM tells no role, no
// login and no time.
type Member struct {
	Email      string // as Amplitude writes it; its case carries no meaning
	GivenName  string
	FamilyName string
	Active     bool // true for joined and for pending members alike
}

// Names that SCIM shows for somebody who has never joined any organization.
const (
	noGivenName  = "NO_GIVEN_NAME"
	noFamilyName = "NO_FAMILY_NAME"
)

// Pending guesses that the member was invited and never joined. It is a hint:
// somebody who has an Amplitude account elsewhere shows a real name before
// joining here, so false does not mean joined.
func (m Member) Pending() bool {
	return m.GivenName == noGivenName || m.FamilyName == noFamilyName
}

// Page is one page of the member list.
type Page struct {
	Members []Member
	Start   int // position of the first, from 1
	Total   int // members in the whole list, as announced
}

// Removal is what RemoveMember achieved.
type Removal struct {
	// AlreadyGone: Amplitude knows no such member. It may also say so because
	// it is broken; see Error.NotFound.
	AlreadyGone bool
}

// Member reads one member. Error.NotFound says that there is none. An answer
// about somebody else is an error.
func (c *Client) Member(ctx context.Context, email string) (Member, error) {
	const op = "read member"
	if err := checkAddress(apiSCIM, op, email); err != nil {
		return Member{}, err
	}
	r := c.scim(http.MethodGet, op, "/Users/"+segment(email))
	r.hide = addressForms(email)
	var u user
	if err := c.get(ctx, r, &u); err != nil {
		return Member{}, err
	}
	m, err := u.member(r)
	if err != nil {
		return Member{}, err
	}
	if !u.isOnly(email) {
		return Member{}, r.wrong(http.StatusOK, "the answer is about another member", false)
	}
	return m, nil
}

// FindMembers asks the member list for an address by a filter, a second way to
// see whether somebody is there. No match is an empty result. A list that
// names somebody else, as a server that ignores filters would, is an error.
func (c *Client) FindMembers(ctx context.Context, email string) ([]Member, error) {
	const op = "find members"
	if err := checkAddress(apiSCIM, op, email); err != nil {
		return nil, err
	}
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(email)
	params := url.Values{"filter": {`userName eq "` + quoted + `"`}}
	return collect(newWalker(op, memberKey, func(ctx context.Context, start int) (page[Member], error) {
		r := c.scimList(op, "/Users", start, params)
		r.hide = addressForms(email)
		p, err := c.members(ctx, r)
		if err != nil {
			return page[Member]{}, err
		}
		for _, m := range p.items {
			if !sameAddress(m.Email, email) {
				return page[Member]{}, r.wrong(http.StatusOK, "the answer names members that were not asked for", false)
			}
		}
		return p, nil
	}).all(ctx))
}

// MembersPage reads one page of at most 100 members from position start,
// counted from 1.
func (c *Client) MembersPage(ctx context.Context, start int) (Page, error) {
	start = max(start, 1)
	p, err := c.members(ctx, c.scimList("list members", "/Users", start, nil))
	if err != nil {
		return Page{}, err
	}
	return Page{Members: p.items, Start: start, Total: p.total}, nil
}

// Members reads the whole member list, 100 at a time, and yields each member
// once. The list may change while it is read: see ErrShortList and
// ErrListMoved, one of which comes last where members may be missing. After an
// error nothing follows; what was yielded before it is true.
func (c *Client) Members(ctx context.Context) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		c.Census().walk.all(ctx)(yield)
	}
}

// RemoveMember takes a member out of the organization, or revokes the
// invitation of a pending one. What they own stays without an owner, and there
// is no way back. A second call finds them AlreadyGone. Nil means that
// Amplitude accepted it; that it happened is seen by reading.
func (c *Client) RemoveMember(ctx context.Context, email string) (Removal, error) {
	const op = "remove member"
	if err := checkAddress(apiSCIM, op, email); err != nil {
		return Removal{}, err
	}
	r := c.scim(http.MethodDelete, op, "/Users/"+segment(email))
	r.hide = addressForms(email)
	err := c.put(ctx, r)
	if e, ok := errors.AsType[*Error](err); ok && e.NotFound() {
		return Removal{AlreadyGone: true}, nil
	}
	return Removal{}, err
}

// scim describes a SCIM request.
func (c *Client) scim(method, op, path string) *request {
	return &request{
		api: apiSCIM, op: op, method: method,
		url:    c.at.SCIM + path,
		auth:   c.scimAuth,
		header: map[string]string{"Accept": "application/scim+json, application/json"},
	}
}

// scimList describes a request for one page. Amplitude's size parameter is
// itemsPerPage, not the count of RFC 7644.
func (c *Client) scimList(op, path string, start int, params url.Values) *request {
	q := url.Values{
		"startIndex":   {strconv.Itoa(start)},
		"itemsPerPage": {strconv.Itoa(scimPageSize)},
	}
	maps.Copy(q, params)
	r := c.scim(http.MethodGet, op, path+query(q))
	r.list = true
	return r
}

// members reads one page of the member list.
func (c *Client) members(ctx context.Context, r *request) (page[Member], error) {
	return fetchPage(ctx, c, r, user.member)
}

// listResponse is RFC 7644's list. itemsPerPage is not read: whether it is the
// size asked for or the number returned is not documented.
type listResponse[T any] struct {
	TotalResults number `json:"totalResults"`
	Resources    []T    `json:"Resources"`
}

// fetchPage sends r and reads a page of resources, each made into an item.
func fetchPage[R, T any](ctx context.Context, c *Client, r *request, item func(R, *request) (T, error)) (page[T], error) {
	var list listResponse[R]
	if err := c.get(ctx, r, &list); err != nil {
		return page[T]{}, err
	}
	if !list.TotalResults.set || list.TotalResults.int() < len(list.Resources) {
		return page[T]{}, r.wrong(http.StatusOK, "the answer is not a list that tells its length", false)
	}
	p := page[T]{items: make([]T, 0, len(list.Resources)), total: list.TotalResults.int()}
	for _, res := range list.Resources {
		t, err := item(res, r)
		if err != nil {
			return page[T]{}, err
		}
		p.items = append(p.items, t)
	}
	return p, nil
}

// user is a SCIM User as Amplitude writes it. Its groups attribute is left
// alone: it is documented as empty, membership is read from the groups.
type user struct {
	ID       text `json:"id"`
	UserName text `json:"userName"`
	Name     struct {
		GivenName  text `json:"givenName"`
		FamilyName text `json:"familyName"`
	} `json:"name"`
	Emails []struct {
		Value text `json:"value"`
	} `json:"emails"`
	Active flag `json:"active"`
}

// member makes a Member. The id is the address that DELETE acts on, so it wins.
func (u user) member(r *request) (Member, error) {
	m := Member{
		GivenName:  string(u.Name.GivenName),
		FamilyName: string(u.Name.FamilyName),
		Active:     bool(u.Active),
	}
	for _, address := range u.addresses() {
		if strings.Contains(address, "@") {
			m.Email = address
			return m, nil
		}
	}
	return Member{}, r.wrong(http.StatusOK, "the answer holds a member without an address", false)
}

func (u user) addresses() []string {
	out := []string{string(u.ID), string(u.UserName)}
	for _, e := range u.Emails {
		out = append(out, string(e.Value))
	}
	return out
}

// isOnly says whether every address of u is email.
func (u user) isOnly(email string) bool {
	for _, a := range u.addresses() {
		if a != "" && !sameAddress(a, email) {
			return false
		}
	}
	return true
}

func memberKey(m Member) string { return lowerASCII(m.Email) }

// sameAddress compares two addresses without regard to ASCII case. Unicode
// case rules would call more addresses equal than mail systems do.
func sameAddress(a, b string) bool { return lowerASCII(a) == lowerASCII(b) }

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// checkAddress refuses what cannot be an address before it becomes a path: an
// empty one would make a request about all users.
func checkAddress(a api, op, email string) error {
	at := strings.LastIndexByte(email, '@')
	if at <= 0 || at == len(email)-1 || len(email) > 320 || !utf8.ValidString(email) {
		return invalid(a, op, "the address is not an e-mail address")
	}
	for _, r := range email {
		if r <= ' ' || r == 0x7f {
			return invalid(a, op, "the address is not an e-mail address")
		}
	}
	return nil
}

// addressForms lists how a server may repeat an address in an error.
func addressForms(email string) []string {
	return []string{email, url.PathEscape(email), url.QueryEscape(email), segment(email)}
}
