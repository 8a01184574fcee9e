package amplitudefake

import (
	"encoding/json"
	"net/http"
	"strconv"
)

func cohortFail(c *call, status int, code, detail string) {
	c.reply(status, object{"error": object{"http_code": status, "type": code, "message": detail, "metadata": object{}}})
}

// gateCohorts also holds a project to five calls at once.
func (f *Fake) gateCohorts(c *call) bool { return f.gateProjectKeys(c) }

func (f *Fake) handleCohorts(c *call) {
	switch {
	case c.is(http.MethodGet):
		f.listCohorts(c)
	case c.is(http.MethodPost, "upload"):
		f.uploadCohort(c)
	case c.is(http.MethodPost, "membership"):
		f.cohortMembership(c)
	default:
		c.notFound()
	}
}

func (f *Fake) listCohorts(c *call) {
	items := []object{}
	for _, a := range c.project.shelf(KindCohort).order {
		if !a.Unlisted {
			items = append(items, a.renderCohort(c.query.Get("includeSyncInfo") == "true"))
		}
	}
	f.weigh(c, len(items))
	c.reply(http.StatusOK, object{"cohorts": items})
}

func (a *asset) renderCohort(sync bool) object {
	definition := object{"version": 11, "andClauses": []any{}, "countGroup": "User"}
	kind := "redshift"
	if a.Destroyed {
		definition, kind = object{"static": true}, "upload"
	}
	out := object{
		"appId": a.Project, "archived": a.Archived, "definition": definition, "description": "", "finished": true,
		"id": a.ID, "name": a.Name, "owners": append([]string{}, a.Owners...), "viewers": []string{}, "published": true,
		"size": 100 + len(a.Name), "type": kind, "lastMod": a.modified.Unix(), "createdAt": a.created.Unix(),
		"lastComputed": a.modified.Unix(), "hidden": false, "metadata": nil, "view_count": nil, "popularity": nil,
		"last_viewed": nil, "chart_id": nil, "edit_id": nil, "is_predictive": false, "is_official_content": false,
		"location_id": nil, "shortcut_ids": []string{},
	}
	if sync {
		info := []object{}
		if a.Type != "" && a.CreatedBy != "" { // a cohort with a sync: Type names the target
			info = append(info, object{
				"target": a.Type, "frequency": "daily", "last_successful": a.modified.Unix(), "last_failure": nil,
				"params": object{"user_id": a.CreatedBy},
			})
		}
		out["syncMetadata"] = info
	}
	return out
}

// uploadCohort makes a static cohort. With existing_cohort_id it throws the
// definition of that cohort away and does not change its owner.
func (f *Fake) uploadCohort(c *call) {
	var in struct {
		Name     string      `json:"name"`
		AppID    json.Number `json:"app_id"`
		IDType   string      `json:"id_type"`
		IDs      []string    `json:"ids"`
		Owner    string      `json:"owner"`
		Existing string      `json:"existing_cohort_id"`
	}
	if !c.json(&in) {
		return
	}
	switch {
	case in.Name == "" || in.AppID.String() != strconv.Itoa(c.project.id) || len(in.IDs) > 100_000:
		c.fail(http.StatusBadRequest, "invalid_request", "name, app_id of the project, and at most 100,000 ids are required")
		return
	case in.IDType != "BY_AMP_ID" && in.IDType != "BY_USER_ID":
		c.fail(http.StatusBadRequest, "invalid_request", "id_type is BY_AMP_ID or BY_USER_ID")
		return
	case f.members[keyOf(in.Owner)] == nil:
		c.fail(http.StatusBadRequest, "invalid_owner", "owner is not the login e-mail of a member")
		return
	}
	a := c.project.shelf(KindCohort).byID[in.Existing]
	if in.Existing != "" && a == nil {
		c.fail(http.StatusBadRequest, "invalid_request", "existing_cohort_id does not exist")
		return
	}
	id := in.Existing
	switch {
	case c.drop:
		if id == "" {
			id = f.token(8)
		}
	case a != nil:
		a.Destroyed, a.modified = true, c.at
		c.did("cohort definition replaced", a.ID)
	default:
		id = f.place(c.project, Asset{Kind: KindCohort, Name: in.Name, Owners: []string{in.Owner}}).ID
		c.did("cohort created", id)
	}
	c.reply(http.StatusOK, object{
		"cohortId": id,
		"metadata": []object{{"matched": len(in.IDs), "totals": len(in.IDs), "invalid_ids_sample": []string{}}},
	})
}

func (f *Fake) cohortMembership(c *call) {
	var in struct {
		ID string `json:"cohort_id"`
	}
	if !c.json(&in) {
		return
	}
	a := c.project.shelf(KindCohort).byID[in.ID]
	if a == nil {
		c.fail(http.StatusNotFound, "not_found", "no such cohort")
		return
	}
	if !c.drop {
		a.modified = c.at
		c.did("cohort members changed", a.ID)
	}
	c.reply(http.StatusOK, object{"cohort_id": a.ID, "memberships_result": []any{}})
}
