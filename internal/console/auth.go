package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"
)

// key is an operator with the hash that opens their door.
type key struct {
	hash     [32]byte
	operator Operator
}

// who finds the operator of a token. Every key is compared, in constant time,
// so that the time tells nothing.
func (c *Console) who(token string) (Operator, bool) {
	hash := sha256.Sum256([]byte(token))
	found := -1
	for i := range c.keys {
		if subtle.ConstantTimeCompare(hash[:], c.keys[i].hash[:]) == 1 {
			found = i
		}
	}
	if found < 0 || token == "" {
		return Operator{}, false
	}
	return c.keys[found].operator, true
}

// may reports whether an operator may do what needs the role.
func (o Operator) may(need Role) bool {
	return need == Viewer || slices.Contains(o.Roles, need) || slices.Contains(o.Roles, Admin)
}

// bearer returns the token of an Authorization header, empty when there is none.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// endpoint answers one request of an operator who may make it.
type endpoint func(r *http.Request, by Operator) (status int, body any, err error)

// guarded lets an endpoint run for operators with the needed role only.
func (c *Console) guarded(need Role, do endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, known := c.who(bearer(r))
		switch {
		case !known:
			c.opts.Log.Warn("operator API: no valid token", zap.String("method", r.Method))
			w.Header().Set("WWW-Authenticate", `Bearer realm="offramp"`)
			problem(w, http.StatusUnauthorized, "send the token of an operator, as: Authorization: Bearer TOKEN; what was sent is none, or of nobody who stands under operators", "")
			return
		case !op.may(need):
			c.opts.Log.Warn("operator API: role missing", zap.String("operator", op.Name), zap.String("method", r.Method))
			problem(w, http.StatusForbidden, "this needs the role "+string(need)+", which "+op.Name+" does not have", "")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		status, body, err := do(r, op)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		if body == nil {
			w.WriteHeader(status)
			return
		}
		answer(w, status, "application/json", body)
	})
}
