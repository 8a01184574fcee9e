package amplitudefake

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// call is one request on its way to an answer. The answer is kept as a value
// and turned into JSON after the lock is given back, so a value must not share
// memory with the state.
type call struct {
	r       *http.Request
	surface *surface
	at      time.Time
	path    []string // segments below the surface's prefix, unescaped
	query   url.Values
	body    []byte
	project *project // set by gates that take project keys

	drop  bool // answer as if changed, change nothing
	busy  bool // more calls at once than the surface allows
	abort bool // break the connection instead of answering
	half  bool // send only the first half of the body
	pause time.Duration

	status  int
	header  http.Header
	value   any
	raw     []byte
	fault   string
	effect  string
	objects string
}

func newCall(r *http.Request) *call {
	return &call{r: r, query: r.URL.Query(), header: http.Header{}}
}

// under reports whether the call's path is prefix or below it, and if so cuts
// the rest into segments. An escaped slash stays inside its segment.
func (c *call) under(prefix string) bool {
	rest, ok := strings.CutPrefix(c.r.URL.EscapedPath(), prefix)
	if !ok || (rest != "" && rest[0] != '/') {
		return false
	}
	c.path = nil
	for part := range strings.SplitSeq(strings.Trim(rest, "/"), "/") {
		if plain, err := url.PathUnescape(part); err == nil && part != "" {
			c.path = append(c.path, plain)
		}
	}
	return true
}

// is reports whether the call has this method and these path segments; "*"
// stands for any one segment.
func (c *call) is(method string, pattern ...string) bool {
	return c.r.Method == method && c.matches(pattern...)
}

func (c *call) matches(pattern ...string) bool {
	if len(pattern) != len(c.path) {
		return false
	}
	for i, p := range pattern {
		if p != "*" && p != c.path[i] {
			return false
		}
	}
	return true
}

// reply answers with v as JSON.
func (c *call) reply(status int, v any) {
	c.status, c.value, c.raw = status, v, nil
	if c.header.Get("Content-Type") == "" {
		c.header.Set("Content-Type", "application/json")
	}
}

// send answers with a body as it is; an empty kind sends no Content-Type.
func (c *call) send(status int, kind string, body []byte) {
	c.status, c.value, c.raw = status, nil, body
	c.header.Del("Content-Type")
	if kind != "" {
		c.header.Set("Content-Type", kind)
	}
}

// none answers without a body.
func (c *call) none(status int) { c.send(status, "", nil) }

// fail answers in the surface's own error shape.
func (c *call) fail(status int, code, detail string) {
	c.header.Del("Content-Type")
	c.surface.fail(c, status, code, detail)
}

func (c *call) notFound() { c.fail(http.StatusNotFound, "", "no such resource") }

// mostObjects bounds the text of one log entry when a call changes thousands.
const mostObjects = 1000

// did records that the call changed something: each kind of change once, and
// what was changed as far as it fits.
func (c *call) did(effect, object string) {
	switch {
	case c.effect == "":
		c.effect = effect
	case !strings.Contains(c.effect, effect):
		c.effect += ", " + effect
	}
	switch {
	case c.objects == "":
		c.objects = object
	case len(c.objects) < mostObjects:
		c.objects += "," + object
	}
}

func (c *call) write(w http.ResponseWriter) {
	body := c.raw
	if c.value != nil {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(c.value); err != nil {
			http.Error(w, "simulator: "+err.Error(), http.StatusInternalServerError)
			return
		}
		body = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	}
	if c.half {
		body = body[:len(body)/2]
	}
	maps.Copy(w.Header(), c.header)
	w.WriteHeader(c.status)
	_, _ = w.Write(body)
}

// json decodes the body; when it is not JSON the call is answered with 400.
func (c *call) json(into any) bool {
	if kind := c.r.Header.Get("Content-Type"); kind != "" && !strings.Contains(kind, "json") {
		c.fail(http.StatusUnsupportedMediaType, "", "the body must be JSON")
		return false
	}
	if err := json.Unmarshal(c.body, into); err != nil {
		c.fail(http.StatusBadRequest, "invalidSyntax", "the body is not the JSON that was expected")
		return false
	}
	return true
}

// number reads a query parameter; absent gives fallback, and ok is false when
// it is not a number.
func (c *call) number(name string, fallback int) (n int, ok bool) {
	text := c.query.Get(name)
	if text == "" {
		return fallback, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

func (c *call) bearer() string {
	token, _ := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	return token
}

type object = map[string]any

// plainFail is the error shape of the surfaces that document none.
func plainFail(c *call, status int, _, detail string) {
	c.reply(status, object{"error": detail})
}

// problemFail is RFC 9457 problem JSON.
func problemFail(c *call, status int, code, detail string) {
	p := object{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail, "instance": c.r.URL.Path,
		"retryable": status == http.StatusTooManyRequests || status >= 500,
	}
	if code != "" {
		p["type"] = "https://amplitude.com/problems/" + code
		p["code"], p["error_code"] = code, code
	}
	c.header.Set("Content-Type", "application/problem+json")
	c.reply(status, p)
}
