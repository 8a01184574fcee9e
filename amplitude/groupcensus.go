package amplitude

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
)

// groupPageSize is how many groups are read at once where there are few of
// them: a page holds every member of its groups, so small pages keep one answer
// from filling memory. It is ours; Amplitude allows 100.
const (
	groupPageSize = 10
	fewGroups     = 300
)

// GroupCensus is one complete reading of the permission groups with their
// members that holds one page at a time in memory. One goroutine at a time may
// use it.
type GroupCensus struct {
	walk *walker[Group]
}

// GroupCensus begins a reading of the groups and sends nothing.
func (c *Client) GroupCensus() *GroupCensus {
	const op = "list groups"
	size := groupPageSize
	return &GroupCensus{walk: newWalker(op, func(g Group) string { return g.ID },
		func(ctx context.Context, start int) (page[Group], error) {
			q := url.Values{"startIndex": {strconv.Itoa(start)}, "itemsPerPage": {strconv.Itoa(size)}}
			r := c.scim(http.MethodGet, op, "/Groups"+query(q))
			r.list = true
			p, err := fetchPage(ctx, c, r, group.group)
			if err == nil && p.total > fewGroups {
				size = scimPageSize
			}
			return p, err
		})}
}

// Next is Census.Next for groups.
func (s *GroupCensus) Next(ctx context.Context) (page []Group, done bool, err error) {
	return s.walk.next(ctx)
}
