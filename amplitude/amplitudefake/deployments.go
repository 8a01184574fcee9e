package amplitudefake

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// labelForm is what the label of a deployment may be.
var labelForm = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// listDeployments shows archived ones too, and every key in clear.
func (f *Fake) listDeployments(c *call) {
	start, limit, ok := c.offset()
	if !ok {
		return
	}
	all := c.project.shelf(KindDeployment).order
	from, to, next := slice(len(all), start, limit)
	items := []object{}
	for _, a := range all[from:to] {
		items = append(items, object{
			"id": a.ID, "projectId": strconv.Itoa(a.Project), "label": a.Name, "key": a.Key, "deleted": a.Archived,
		})
	}
	out := object{"deployments": items}
	if next > 0 {
		out["nextCursor"] = next
	}
	c.reply(http.StatusOK, out)
}

func (p *project) labelTaken(label string, by *asset) bool {
	return slices.ContainsFunc(p.shelf(KindDeployment).order, func(a *asset) bool { return a != by && a.Name == label })
}

func (f *Fake) createDeployment(c *call) {
	var in struct {
		ProjectID json.RawMessage `json:"projectId"`
		Label     string          `json:"label"`
		Type      string          `json:"type"`
	}
	if !c.json(&in) {
		return
	}
	switch {
	case strings.Trim(string(in.ProjectID), `"`) != strconv.Itoa(c.project.id):
		c.fail(http.StatusBadRequest, "", "projectId is not a project of this key")
		return
	case !labelForm.MatchString(in.Label):
		c.fail(http.StatusBadRequest, "", "label must be letters, digits, _ and -")
		return
	case in.Type != "client" && in.Type != "server":
		c.fail(http.StatusBadRequest, "", "type is client or server")
		return
	case c.project.labelTaken(in.Label, nil):
		c.fail(http.StatusBadRequest, "", "there is a deployment of that label")
		return
	case c.drop:
		c.reply(http.StatusOK, object{"id": strconv.Itoa(f.id())})
		return
	}
	a := f.place(c.project, Asset{Kind: KindDeployment, Name: in.Label, Type: in.Type, CreatedBy: "api"})
	c.did("deployment created", a.Name)
	c.reply(http.StatusOK, object{"id": a.ID}) // the key has to be read from the list
}

func (c *call) ok() { c.send(http.StatusOK, "text/plain; charset=utf-8", []byte("OK")) }

func (f *Fake) editDeployment(c *call) {
	a := c.project.shelf(KindDeployment).byID[c.path[1]]
	if a == nil {
		c.notFound()
		return
	}
	var in struct {
		Label   *string `json:"label"`
		Archive *bool   `json:"archive"`
	}
	if !c.json(&in) {
		return
	}
	if in.Label != nil && (!labelForm.MatchString(*in.Label) || c.project.labelTaken(*in.Label, a)) {
		c.fail(http.StatusBadRequest, "", "label is not valid or taken")
		return
	}
	if !c.drop {
		if in.Label != nil && *in.Label != a.Name {
			a.Name = *in.Label
			c.did("deployment renamed", a.Name)
		}
		if in.Archive != nil && *in.Archive != a.Archived {
			a.Archived = *in.Archive
			word := "deployment restored"
			if a.Archived {
				word = "deployment archived"
			}
			c.did(word, a.Name)
		}
	}
	c.ok()
}

// flagDeployments lists, attaches and detaches the deployments of a flag or
// experiment.
func (f *Fake) flagDeployments(c *call, kind string) {
	a := c.project.shelf(kind).byID[c.path[1]]
	if a == nil {
		c.notFound()
		return
	}
	shelf := c.project.shelf(KindDeployment)
	switch {
	case len(c.path) == 3 && c.r.Method == http.MethodGet:
		items := []object{}
		for _, id := range a.Deployments {
			if d := shelf.byID[id]; d != nil {
				items = append(items, object{"id": d.ID, "projectId": strconv.Itoa(d.Project), "label": d.Name, "key": d.Key, "deleted": d.Archived})
			}
		}
		c.reply(http.StatusOK, items)
	case a.Web:
		c.fail(http.StatusMethodNotAllowed, "", "this one can be edited in the app only")
	case len(c.path) == 3 && c.r.Method == http.MethodPost:
		f.attach(c, a)
	case len(c.path) == 4 && c.r.Method == http.MethodDelete:
		at := slices.Index(a.Deployments, c.path[3])
		if at < 0 {
			c.notFound()
			return
		}
		if !c.drop {
			a.Deployments = slices.Delete(a.Deployments, at, at+1)
			f.saved(a)
			c.did("deployment detached", c.path[3]+" from "+a.ID)
		}
		c.ok()
	default:
		c.fail(http.StatusMethodNotAllowed, "", "method not allowed")
	}
}

func (f *Fake) attach(c *call, a *asset) {
	var in struct {
		Deployments []json.RawMessage `json:"deployments"`
	}
	if !c.json(&in) {
		return
	}
	ids := []string{}
	for _, raw := range in.Deployments {
		id := strings.Trim(string(raw), `"`)
		if d := c.project.shelf(KindDeployment).byID[id]; d == nil || d.Archived {
			c.fail(http.StatusBadRequest, "", "a deployment does not exist in this project or is archived")
			return
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		c.fail(http.StatusBadRequest, "", "deployments are required")
		return
	}
	changed := false
	for _, id := range ids {
		if !c.drop && !slices.Contains(a.Deployments, id) {
			a.Deployments, changed = append(a.Deployments, id), true
			c.did("deployment attached", id+" to "+a.ID)
		}
	}
	if changed {
		f.saved(a)
	}
	c.ok()
}

// handleEvaluation answers the flags that a deployment's key evaluates. The key
// of an archived deployment stops at once.
func (f *Fake) handleEvaluation(c *call) {
	if len(c.path) != 0 || (c.r.Method != http.MethodGet && c.r.Method != http.MethodPost) {
		c.notFound()
		return
	}
	key, isKey := strings.CutPrefix(c.r.Header.Get("Authorization"), "Api-Key ")
	d := f.keys[key]
	if !isKey || d == nil || d.Kind != KindDeployment || d.Archived {
		c.fail(http.StatusUnauthorized, "", "invalid deployment key")
		return
	}
	out := object{}
	p := f.projectByID(d.Project)
	for _, kind := range []string{KindFlag, KindExperiment} {
		for _, a := range p.shelf(kind).order {
			if a.flag.enabled && !a.Archived && slices.Contains(a.Deployments, d.ID) {
				out[a.Key] = object{"key": "on", "value": "on"}
			}
		}
	}
	c.reply(http.StatusOK, out)
}
