package console

import (
	"context"
	"errors"
	"net/http"
	"net/mail"

	"offramp/internal/offboard"
)

// errNobody means that no identity provider ever told about an address.
var errNobody = bad(http.StatusNotFound, "nobody that the identity providers told about holds this address; "+
	"if there is a seat and this is an incident, give the reason security_incident, otherwise remove it in Amplitude under Settings > Members & Groups")

// adopt makes a person for the seat of an address that no identity provider
// sent: in an incident whoever has a seat has to go. The connection says which
// organizations are meant, so it is asked for where there are several.
func (c *Console) adopt(ctx context.Context, address, connection string) (offboard.Person, error) {
	if connection == "" {
		if len(c.opts.Connections) != 1 {
			return offboard.Person{}, bad(http.StatusUnprocessableEntity, "no identity provider told about this address: "+
				"say through which of the connections %q its seat is to be removed", c.opts.Connections)
		}
		connection = c.opts.Connections[0]
	}
	if err := c.connection(connection); err != nil {
		return offboard.Person{}, err
	}
	if at, err := mail.ParseAddress(address); err != nil || at.Address != address {
		return offboard.Person{}, bad(http.StatusUnprocessableEntity, "no identity provider told about this person: give the exact e-mail address of the seat")
	}
	if c.opts.Reachable != nil && !c.opts.Reachable(connection, address) {
		return offboard.Person{}, bad(http.StatusUnprocessableEntity, "the domain %s is outside the domains of connection %s: "+
			"add it there, or remove the seat in Amplitude under Settings > Members & Groups", offboard.Domain(address), connection)
	}
	p, err := c.opts.Store.AdoptPerson(ctx, connection, address)
	if taken, ok := errors.AsType[*offboard.TakenError](err); ok {
		return p, bad(http.StatusConflict, "%s by somebody whom the identity provider has just sent; ask again", taken)
	}
	return p, err
}
