package scim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/elimity-com/scim/schema"
)

// valueType is the type of an attribute's values (RFC 7643 section 2.3), as
// far as our schemas use them.
type valueType string

const (
	typeString    valueType = "string"
	typeBoolean   valueType = "boolean"
	typeReference valueType = "reference"
	typeDateTime  valueType = "dateTime"
	typeComplex   valueType = "complex"
)

// attribute describes one attribute: what is stored, echoed and advertised.
type attribute struct {
	name     string
	kind     valueType
	about    string
	multi    bool
	exact    bool // compared with case
	required bool
	readOnly bool
	common   bool // of every resource (RFC 7643 section 3.1), not listed in a schema
	unique   bool // within the connection
	key      bool // may be indexed, so its length is limited to maxKey
	// notFiltered attributes are shown and cannot be asked for.
	notFiltered bool
	oneOf       []string // canonical values; others are accepted
	refs        []string // reference types
	subs        []*attribute
}

// Longest strings, in bytes: of attributes that a directory may index, and of
// all others. The second leaves room for roles that hold JSON in a string.
const (
	maxKey  = 1024
	maxText = 16 << 10
)

// maxValues bounds the elements of one multi-valued attribute of a user.
const maxValues = 500

func (a *attribute) sub(name string) *attribute {
	for _, s := range a.subs {
		if strings.EqualFold(s.name, name) {
			return s
		}
	}
	return nil
}

func text(name, about string) *attribute {
	return &attribute{name: name, kind: typeString, about: about}
}

func key(name, about string) *attribute {
	return &attribute{name: name, kind: typeString, about: about, key: true}
}

func complexOf(name, about string, subs ...*attribute) *attribute {
	return &attribute{name: name, kind: typeComplex, about: about, subs: subs}
}

// plural is a multi-valued attribute with the usual value, display, type and
// primary (RFC 7643 section 2.4).
func plural(name, about string, value *attribute, types ...string) *attribute {
	kind := text("type", "What the value is used for.")
	kind.oneOf = types
	return &attribute{name: name, kind: typeComplex, about: about, multi: true, subs: []*attribute{
		value, text("display", "A name for people to read."), kind,
		{name: "primary", kind: typeBoolean, about: "Whether this is the preferred value; true at most once."},
	}}
}

func reference(name, about string, kinds ...string) *attribute {
	return &attribute{name: name, kind: typeReference, about: about, exact: true, refs: kinds}
}

func readOnly(a *attribute) *attribute {
	a.readOnly = true
	return a
}

// definition is one schema: the core of a resource or an extension.
type definition struct {
	urn, name, about string
	attrs            []*attribute
}

func commonAttributes() []*attribute {
	id := &attribute{name: "id", kind: typeString, exact: true, readOnly: true, common: true}
	external := &attribute{name: "externalId", kind: typeString, exact: true, common: true, key: true}
	meta := complexOf("meta", "", text("resourceType", ""),
		&attribute{name: "created", kind: typeDateTime}, &attribute{name: "lastModified", kind: typeDateTime},
		&attribute{name: "location", kind: typeReference, notFiltered: true}, &attribute{name: "version", kind: typeString, notFiltered: true})
	meta.readOnly, meta.common = true, true
	schemas := &attribute{name: "schemas", kind: typeReference, multi: true, readOnly: true, common: true, notFiltered: true}
	return []*attribute{id, external, meta, schemas}
}

func userDefinition() definition {
	userName := key("userName", "The name by which the provider signs the person in. Unique without regard to case.")
	userName.required, userName.unique = true, true
	address := complexOf("addresses", "Postal addresses.",
		text("formatted", "The whole address."), text("streetAddress", "Street and number."),
		text("locality", "City."), text("region", "State or region."), text("postalCode", "Postal code."),
		text("country", "Country."), text("type", "What the address is used for."),
		&attribute{name: "primary", kind: typeBoolean, about: "Whether this is the preferred address; true at most once."})
	address.multi = true
	address.sub("type").oneOf = []string{"work", "home", "other"}
	groups := complexOf("groups", "The groups in which the user is a direct member; changed through Groups.",
		readOnly(text("value", "The group's id.")), readOnly(reference("$ref", "The group's location.", "Group")),
		readOnly(text("display", "The group's displayName.")), readOnly(text("type", "Always direct.")))
	groups.multi, groups.readOnly = true, true
	return definition{urn: UserURN, name: "User", about: "A person as the identity provider sees them.", attrs: []*attribute{
		userName,
		complexOf("name", "The parts of the person's name.",
			text("formatted", "The whole name."), text("familyName", "Family name."), text("givenName", "Given name."),
			text("middleName", "Middle name."), text("honorificPrefix", "Such as Dr."), text("honorificSuffix", "Such as Jr.")),
		key("displayName", "The name shown to people."),
		text("nickName", "The casual name."),
		reference("profileUrl", "A page about the person.", "external"),
		text("title", "The person's position."),
		text("userType", "The relation to the organization, such as Employee."),
		text("preferredLanguage", "Preferred language."),
		text("locale", "Locale for dates and numbers."),
		text("timezone", "Time zone, such as Europe/Berlin."),
		{name: "active", kind: typeBoolean, about: "Whether the person may use the service. Setting it to false starts the removal."},
		plural("emails", "E-mail addresses.", key("value", "The address."), "work", "home", "other"),
		plural("phoneNumbers", "Phone numbers.", text("value", "The number, as sent."), "work", "home", "mobile", "fax", "pager", "other"),
		plural("ims", "Instant messaging addresses.", text("value", "The address.")),
		plural("photos", "Pictures of the person.", reference("value", "Where the picture is.", "external"), "photo", "thumbnail"),
		address,
		groups,
		plural("entitlements", "Entitlements, as the provider names them.", text("value", "The entitlement.")),
		plural("roles", "Roles, as the provider names them.", text("value", "The role.")),
	}}
}

func enterpriseDefinition() definition {
	return definition{urn: EnterpriseURN, name: "EnterpriseUser", about: "What an employer knows about the person.", attrs: []*attribute{
		text("employeeNumber", "Number or code of the person."),
		text("costCenter", "Cost center."), text("organization", "Organization."),
		text("division", "Division."), text("department", "Department."),
		complexOf("manager", "The person's manager.",
			key("value", "The manager's id here; or externalId, userName or e-mail if the provider sends that."),
			readOnly(text("displayName", "The manager's displayName."))),
	}}
}

func offrampDefinition() definition {
	return definition{urn: OfframpURN, name: "OfframpUser", about: "What the provider claims about a departure.", attrs: []*attribute{
		text("leaveReason", "Why the person leaves, such as termination or contract_end. Set it before active becomes false."),
		text("successor", "Who takes over: an id here, externalId, userName or e-mail."),
		text("managerEmail", "The manager's e-mail address, where manager cannot be mapped."),
		text("ticket", "The ticket that asked for the removal."),
		text("approvedBy", "Who approved the removal."),
		text("leaveDate", "The last day, as a date or a time with offset."),
	}}
}

func groupDefinition() definition {
	name := key("displayName", "The group's name.")
	name.required = true
	value := key("value", "The user's id here.")
	value.exact = true
	members := complexOf("members", "The direct members.",
		value, reference("$ref", "The user's location.", "User"),
		text("display", "The user's displayName."), text("type", "Always User."))
	members.multi = true
	members.sub("type").oneOf = []string{"User"}
	for _, s := range members.subs[1:] {
		s.readOnly = true
	}
	return definition{urn: GroupURN, name: "Group", about: "A group of users.", attrs: []*attribute{name, members}}
}

// resourceKind is one resource type with an index of what its attributes are
// called. It is immutable.
type resourceKind struct {
	name, endpoint, about string
	core                  definition
	extensions            []definition
	byName                map[string]*attribute            // core and common, folded
	byURN                 map[string]*definition           // folded
	inExtension           map[string]map[string]*attribute // URN, folded name
	owner                 map[string]string                // folded extension attribute → URN, if only one has it
}

func newKind(endpoint, about string, core definition, extensions ...definition) *resourceKind {
	k := &resourceKind{
		name: core.name, endpoint: endpoint, about: about, core: core, extensions: extensions,
		byName: map[string]*attribute{}, byURN: map[string]*definition{Fold(core.urn): &core},
		inExtension: map[string]map[string]*attribute{}, owner: map[string]string{},
	}
	for _, a := range append(commonAttributes(), core.attrs...) {
		k.byName[Fold(a.name)] = a
	}
	for i, ext := range extensions {
		k.byURN[Fold(ext.urn)] = &extensions[i]
		k.inExtension[ext.urn] = map[string]*attribute{}
		for _, a := range ext.attrs {
			name := Fold(a.name)
			k.inExtension[ext.urn][name] = a
			if _, ambiguous := k.owner[name]; ambiguous {
				k.owner[name] = ""
				continue
			}
			k.owner[name] = ext.urn
		}
	}
	return k
}

func userKind() *resourceKind {
	return newKind("/Users", "People of this connection.", userDefinition(), enterpriseDefinition(), offrampDefinition())
}

func groupKind() *resourceKind {
	return newKind("/Groups", "Groups of this connection.", groupDefinition())
}

// lookup finds an attribute by URN (spelled as in the schema; empty or the
// core's for core and common attributes) and name. A bare name that only one
// extension has is found there.
func (k *resourceKind) lookup(urn, name string) (owner string, a *attribute) {
	name = Fold(name)
	if urn == "" || urn == k.core.urn {
		if a := k.byName[name]; a != nil {
			return "", a
		}
		if urn != "" {
			return "", nil
		}
		urn = k.owner[name]
	}
	return urn, k.inExtension[urn][name]
}

// splitURN cuts a leading schema URN that k knows, in any case, from path.
// known is false where path begins with a URN that k does not know.
func (k *resourceKind) splitURN(path string) (urn, rest string, known bool) {
	if len(path) < 4 || !strings.EqualFold(path[:4], "urn:") {
		return "", path, true
	}
	if d := k.byURN[Fold(path)]; d != nil {
		return d.urn, "", true
	}
	head := path
	if i := strings.IndexByte(head, '['); i >= 0 {
		head = head[:i]
	}
	i := strings.LastIndexByte(head, ':')
	if d := k.byURN[Fold(path[:i])]; d != nil {
		return d.urn, path[i+1:], true
	}
	return "", path, false
}

// library translates d for the library, which then validates POST and PUT
// bodies against the same rules that Schemas advertises. Its attribute names
// cannot begin with a dollar, so $ref, readOnly everywhere, is left out.
func (d definition) library() (schema.Schema, error) {
	var s schema.Schema
	plain := d
	plain.attrs = nil
	for _, a := range d.attrs {
		c := *a
		c.subs = slices.DeleteFunc(slices.Clone(a.subs), func(s *attribute) bool { return s.name[0] == '$' })
		plain.attrs = append(plain.attrs, &c)
	}
	raw, err := json.Marshal(plain.document())
	if err == nil {
		err = s.UnmarshalJSON(raw)
	}
	if err != nil {
		return s, fmt.Errorf("schema %s: %w", d.name, err)
	}
	return s, nil
}

// document renders d as RFC 7643 section 7 describes it, without meta.
func (d definition) document() map[string]any {
	return map[string]any{
		"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:Schema"},
		"id":      d.urn, "name": d.name, "description": d.about, "attributes": documents(d.attrs),
	}
}

func documents(attrs []*attribute) []map[string]any {
	out := make([]map[string]any, len(attrs))
	for i, a := range attrs {
		doc := map[string]any{
			"name": a.name, "type": a.kind, "description": a.about, "multiValued": a.multi,
			"required": a.required, "mutability": "readWrite", "returned": "default",
		}
		if a.readOnly {
			doc["mutability"] = "readOnly"
		}
		switch a.kind {
		case typeComplex:
			doc["subAttributes"] = documents(a.subs)
		case typeString, typeReference, typeDateTime:
			doc["caseExact"], doc["uniqueness"] = a.exact, "none"
			if a.unique {
				doc["uniqueness"] = "server"
			}
		case typeBoolean:
		}
		if len(a.oneOf) > 0 {
			doc["canonicalValues"] = a.oneOf
		}
		if len(a.refs) > 0 {
			doc["referenceTypes"] = a.refs
		}
		out[i] = doc
	}
	return out
}
