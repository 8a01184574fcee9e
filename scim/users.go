package scim

import (
	"net/http"

	scimlib "github.com/elimity-com/scim"
)

// userHandler is what the library calls for Users. Every answer is made in the
// exchange; what it returns only tells the library to stop.
type userHandler struct{ *server }

var _ scimlib.ResourceHandler = userHandler{}

// answer renders u with its entity tag.
func (h userHandler) answer(ex *exchange, status int, u User) error {
	ex.id = u.ID
	ex.header.Set("ETag", entityTag(u.Version))
	return ex.reply(status, h.userDoc(u, ex.query.projection))
}

// Create stores a user: 201 with the resource, or 409 if the name is taken, so
// that a repeated create never makes a second person.
func (h userHandler) Create(r *http.Request, validated scimlib.ResourceAttributes) (scimlib.Resource, error) {
	ex := exchangeOf(r)
	u, err := h.opt.Directory.CreateUser(r.Context(), ex.conn, User{Attributes: validated})
	if err != nil {
		return scimlib.Resource{}, ex.fail(err)
	}
	ex.header.Set("Location", h.location(h.users, u.ID))
	return scimlib.Resource{}, h.answer(ex, http.StatusCreated, u)
}

// Get returns one user, active or not.
func (h userHandler) Get(r *http.Request, id string) (scimlib.Resource, error) {
	ex := exchangeOf(r)
	u, err := h.opt.Directory.User(r.Context(), ex.conn, id)
	if err != nil {
		return scimlib.Resource{}, ex.fail(err)
	}
	unchanged, err := ex.ifMatch.unchanged(u.Version)
	if err != nil {
		return scimlib.Resource{}, ex.fail(err)
	}
	if unchanged {
		ex.header.Set("ETag", entityTag(u.Version))
		ex.status = http.StatusNotModified
		return scimlib.Resource{}, nil
	}
	return scimlib.Resource{}, h.answer(ex, http.StatusOK, u)
}

// GetAll lists users. No hit is an empty list with 200.
func (h userHandler) GetAll(r *http.Request, _ scimlib.ListRequestParams) (scimlib.Page, error) {
	ex := exchangeOf(r)
	page, err := h.opt.Directory.Users(r.Context(), ex.conn, ex.query.Query)
	if err != nil {
		return scimlib.Page{}, ex.fail(err)
	}
	return scimlib.Page{}, ex.reply(http.StatusOK, listOf(page, ex.query.Start, func(u User) map[string]any {
		return h.userDoc(u, ex.query.projection)
	}))
}

// Replace is PUT; see sent.over for what a silent body leaves alone.
func (h userHandler) Replace(r *http.Request, id string, validated scimlib.ResourceAttributes) (scimlib.Resource, error) {
	ex := exchangeOf(r)
	body := sent{attributes: validated, named: ex.sent.named}
	return scimlib.Resource{}, h.update(r, ex, id, func(u User) (User, error) {
		u.Attributes = body.over(u.Attributes)
		return u, nil
	})
}

// Patch applies the lifted operations, all or none.
func (h userHandler) Patch(r *http.Request, id string, _ []scimlib.PatchOperation) (scimlib.Resource, error) {
	ex := exchangeOf(r)
	return scimlib.Resource{}, h.update(r, ex, id, func(u User) (User, error) {
		next, err := applyOps(u.Attributes, ex.ops)
		u.Attributes = next
		return u, err
	})
}

func (h userHandler) update(r *http.Request, ex *exchange, id string, change func(User) (User, error)) error {
	u, err := h.opt.Directory.UpdateUser(r.Context(), ex.conn, id, func(u User) (User, error) {
		if err := ex.ifMatch.check(u.Version); err != nil {
			return User{}, err
		}
		return change(u)
	})
	if err != nil {
		return ex.fail(err)
	}
	return h.answer(ex, http.StatusOK, u)
}

// Delete removes the user: 204, and 404 from then on.
func (h userHandler) Delete(r *http.Request, id string) error {
	ex := exchangeOf(r)
	err := h.opt.Directory.DeleteUser(r.Context(), ex.conn, id, func(u User) error { return ex.ifMatch.check(u.Version) })
	if err != nil {
		return ex.fail(err)
	}
	ex.status = http.StatusNoContent
	return nil
}
