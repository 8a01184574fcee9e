package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"offramp/internal/offboard"
	"offramp/scim"
)

// mapPerson returns was with everything that u says. A user who never said
// active stays as they were.
func mapPerson(was offboard.Person, u scim.User) (offboard.Person, error) {
	if offboard.Fold(u.UserName()) == "" {
		return was, &scim.BadValue{Attribute: "userName", Reason: "must not be empty"}
	}
	active, said := u.Active()
	if !said {
		active = was.Active
		u.Attributes = maps.Clone(u.Attributes)
		u.Attributes["active"] = active
	}
	resource, err := json.Marshal(u.Attributes)
	if err != nil {
		return was, fmt.Errorf("encode user: %w", err)
	}
	is := was
	is.ExternalID, is.UserName, is.DisplayName = u.ExternalID(), u.UserName(), u.DisplayName()
	is.GivenName, is.FamilyName, is.Title = u.GivenName(), u.FamilyName(), u.Title()
	is.Manager, is.Department, is.Active = u.Manager(), u.Department(), active
	is.Claims = offboard.Claims(u.Claims())
	is.Emails = nil
	for _, e := range u.Emails() {
		is.Emails = append(is.Emails, offboard.Email{Value: e.Value, Type: e.Type, Primary: e.Primary})
	}
	is.Resource = string(resource)
	return is, nil
}

// mapUser returns what the provider said about p.
func mapUser(p offboard.Person, groups []offboard.GroupRef) (scim.User, error) {
	u := scim.User{ID: p.ID, Version: p.Version, Created: p.Created, Modified: p.Modified}
	if err := json.Unmarshal([]byte(p.Resource), &u.Attributes); err != nil {
		return u, fmt.Errorf("read the resource of person %s: %w", p.ID, err)
	}
	for _, g := range groups {
		u.Groups = append(u.Groups, scim.GroupRef{Value: g.ID, Display: g.Name})
	}
	return u, nil
}

// mapUsers maps people with their groups, which are read at once.
func (in *Intake) mapUsers(ctx context.Context, people []offboard.Person) ([]scim.User, error) {
	ids := make([]string, len(people))
	for i, p := range people {
		ids[i] = p.ID
	}
	groups, err := in.opts.Store.GroupsOfPeople(ctx, ids)
	if err != nil {
		return nil, translate("read groups of users", err)
	}
	users := make([]scim.User, len(people))
	for i, p := range people {
		if users[i], err = mapUser(p, groups[p.ID]); err != nil {
			return nil, err
		}
	}
	return users, nil
}

func mapGroup(g offboard.Group) scim.Group {
	return scim.Group{
		ID: g.ID, Version: g.Version, Created: g.Created, Modified: g.Modified,
		DisplayName: g.DisplayName, ExternalID: g.ExternalID,
	}
}
