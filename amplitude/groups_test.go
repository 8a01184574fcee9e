package amplitude_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"offramp/amplitude"
)

// Lists write a group's id as a number, single answers as a string.
const (
	groupList = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"startIndex":1,"itemsPerPage":100,"totalResults":2,
		"Resources":[{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":632,"displayName":"Marketing",
		"members":[{"value":"Jo.Smith@example.com","display":"Jo Smith"},{"value":"al@example.com","display":"undefined undefined"}],
		"meta":{"resourceType":"Group","created":"2022-02-03T20:40:22.000+00:00","lastModified":"2022-02-03T20:40:22.000+00:00"}},
		{"id":633,"displayName":"Empty"}]}`
	oneGroup = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"632","displayName":"Marketing",
		"members":[{"value":"al@example.com","display":"undefined undefined"}],"meta":{"resourceType":"Group"}}`
)

func TestGroupsHaveOneKindOfID(t *testing.T) {
	c := against(t, says(groupList))
	list, err := c.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []amplitude.Group{
		{ID: "632", Name: "Marketing", Members: []amplitude.GroupMember{
			{Email: "Jo.Smith@example.com", Display: "Jo Smith"}, {Email: "al@example.com", Display: "undefined undefined"},
		}},
		{ID: "633", Name: "Empty"},
	}
	if !reflect.DeepEqual(list, want) {
		t.Errorf("groups are %+v", list)
	}
	if !list[0].Has(leaver) || list[1].Has(leaver) {
		t.Error("membership is not read from the groups")
	}
	one, err := against(t, says(oneGroup)).Group(t.Context(), "632")
	if err != nil || one.ID != "632" || one.Has(leaver) {
		t.Errorf("group is %+v, %v", one, err)
	}
	if _, err := against(t, says(oneGroup)).Group(t.Context(), "7"); err == nil {
		t.Error("an answer about another group was taken")
	}
	if _, err := against(t, says(`{"totalResults":1,"Resources":[{"displayName":"x"}]}`)).Groups(t.Context()); err == nil {
		t.Error("a group without an id was taken")
	}
}

func TestMoreThanAHundredGroupsTakeSeveralPages(t *testing.T) {
	page := func(from, to int) recorded {
		var groups []map[string]any
		for i := from; i < to; i++ {
			groups = append(groups, map[string]any{"id": i + 1, "displayName": fmt.Sprint("g", i)})
		}
		body, _ := json.Marshal(map[string]any{"totalResults": 130, "Resources": groups})
		return recorded{Body: string(body)}
	}
	list, err := against(t, play(page(0, 100), page(100, 130))).Groups(t.Context())
	if err != nil || len(list) != 130 {
		t.Errorf("%d groups, %v", len(list), err)
	}
	list, err = against(t, play(page(0, 100), page(100, 129), page(130, 130))).Groups(t.Context())
	if !errors.Is(err, amplitude.ErrShortList) || len(list) != 129 {
		t.Errorf("%d groups, %v; want what was seen and ErrShortList", len(list), err)
	}
}

func TestGroupMembersChangeByArraysOfValues(t *testing.T) {
	for _, row := range []struct {
		name string
		call func(*amplitude.Client) error
		body string
	}{
		{
			"remove", func(c *amplitude.Client) error {
				return c.RemoveFromGroup(t.Context(), "632", leaver, "al@example.com")
			},
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"members","value":[{"value":"jo.smith@example.com"},{"value":"al@example.com"}]}]}`,
		},
		{
			"add", func(c *amplitude.Client) error { return c.AddToGroup(t.Context(), "632", leaver) },
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":"jo.smith@example.com"}]}]}`,
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := says(oneGroup)
			if err := row.call(against(t, s)); err != nil {
				t.Fatal(err)
			}
			r := s.only(t)
			if r.Method != "PATCH" || r.URI != "/scim/1/Groups/632" || r.Type != "application/json" || r.Body != row.body {
				t.Errorf("asked %s %s %s %s", r.Method, r.URI, r.Type, r.Body)
			}
			err := row.call(against(t, play(recorded{Status: 400, Body: `{"detail":"no jo.smith@example.com","scimType":"invalidValue"}`})))
			if e := asError(t, err); e.Code != "invalidValue" {
				t.Errorf("error is %v", err)
			}
			mustNotLeak(t, err)
		})
	}
}
