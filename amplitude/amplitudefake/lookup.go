package amplitudefake

import (
	"net/http"
	"strconv"
)

func lookupFail(c *call, status int, code, detail string) {
	c.reply(status, object{"statusCode": status, "message": detail, "errorCode": code, "extraParams": object{}})
}

// renderTable has no id: a table is known by its name.
func (a *asset) renderTable() object {
	return object{
		"appId": strconv.Itoa(a.Project), "name": a.Name, "createdBy": a.CreatedBy, "lastModifiedBy": a.modifiedBy,
		"createdAt": a.created.Unix(), "lastModifiedAt": a.modified.Unix(), "columnHeaders": []string{"value"}, "keyColumnHeader": "key",
		"isDeleted": a.Archived, "isConfigured": true, "fileName": a.Name + ".csv", "rowCount": 3, "sizeBytes": 5,
	}
}

// handleLookup lists lookup tables and shows one by name; it changes none.
func (f *Fake) handleLookup(c *call) {
	tables := c.project.shelf(KindLookupTable).order
	switch {
	case c.is(http.MethodGet):
		items := []object{}
		for _, a := range tables {
			items = append(items, a.renderTable())
		}
		c.reply(http.StatusOK, items)
		return
	case c.is(http.MethodGet, "*"):
		for _, a := range tables {
			if a.Name == c.path[0] {
				c.reply(http.StatusOK, a.renderTable())
				return
			}
		}
	}
	c.fail(http.StatusNotFound, "not_found", "no such lookup table")
}
