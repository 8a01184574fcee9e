package console

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"offramp/internal/offboard"
)

//go:embed templates/*.html
var templates embed.FS

// pages parses the templates.
func pages() (*template.Template, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"when": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"word": func(s any) string { return words(fmt.Sprint(s)) },
	}).ParseFS(templates, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("read the pages: %w", err)
	}
	return t, nil
}

// page makes the data of a page for an operator who may read.
type page func(r *http.Request) (name string, data any, err error)

// paged shows a page. Browsers send the operator's token as the password of a
// Basic login, with any user name; that opens pages only, which change nothing.
func (c *Console) paged(do page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, token, _ := r.BasicAuth()
		if token == "" {
			token = bearer(r)
		}
		if _, known := c.who(token); !known {
			w.Header().Set("WWW-Authenticate", `Basic realm="offramp: any name, and an operator token as the password", charset="UTF-8"`)
			http.Error(w, "log in with any name, and the token of an operator as the password", http.StatusUnauthorized)
			return
		}
		name, data, err := do(r)
		if err != nil {
			c.failPage(w, r, err)
			return
		}
		var out bytes.Buffer
		if err := c.pages.ExecuteTemplate(&out, name, data); err != nil {
			c.failPage(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(out.Bytes()) // whoever asked has gone
	}
}

func (c *Console) failPage(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*requestError](err); ok {
		http.Error(w, e.detail, e.status)
		return
	}
	switch {
	case errors.Is(err, offboard.ErrNotFound):
		http.Error(w, "there is no such case", http.StatusNotFound)
	case errors.Is(err, offboard.ErrUnavailable) || r.Context().Err() != nil:
		http.Error(w, "the database did not answer in time; try again", http.StatusServiceUnavailable)
	default:
		c.opts.Log.Error("operator page", zap.Error(err))
		http.Error(w, "this went wrong inside Offramp; its log says more", http.StatusInternalServerError)
	}
}

func (c *Console) casesPage(r *http.Request) (string, any, error) {
	list, err := c.cases(r)
	if err != nil {
		return "", nil, err
	}
	pause, err := c.paused(r.Context())
	if err != nil {
		return "", nil, err
	}
	next := ""
	if list.Next != "" {
		q := r.URL.Query()
		q.Set("before", list.Next)
		next = "/?" + q.Encode()
	}
	return "cases.html", struct {
		CaseList
		Older  string
		Mode   string
		Pause  Pause
		States []offboard.State
		Query  url.Values
	}{list, next, c.opts.Mode, pause, offboard.States(), r.URL.Query()}, nil
}

func (c *Console) casePage(r *http.Request) (string, any, error) {
	id, err := pathID(r)
	if err != nil {
		return "", nil, err
	}
	f, err := c.file(r.Context(), id)
	if err != nil {
		return "", nil, err
	}
	e, err := c.explain(r.Context(), id)
	return "case.html", struct {
		CaseFile
		Explained []offboard.Sentence
	}{f, e.Sentences}, err
}
