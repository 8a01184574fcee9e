package console

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// Links is what personal links need of the record.
type Links interface {
	NewLink(ctx context.Context, l offboard.Link) (secret string, err error)
	Link(ctx context.Context, secret string) (offboard.Link, offboard.File, error)
	UseLink(ctx context.Context, secret string, decide func(offboard.Link, offboard.File) (offboard.Update, error)) (offboard.File, error)
	NoteLink(ctx context.Context, secret, text string) error
}

const (
	maxForm     = 64 << 10
	linkLife    = 14 * 24 * time.Hour
	maxLinkDays = 90
)

// Links serves the pages under /t/ that a personal link opens. It belongs on
// the public listener.
func (c *Console) Links() http.Handler { return c.links }

// linkRouter serves personal links. The token in the path is the only
// credential. Looking changes nothing, so that mail scanners and browsers that
// load ahead do no harm; acting takes a POST that repeats the token, which no
// page of somebody else can know.
func (c *Console) linkRouter() http.Handler {
	m := mux.NewRouter().SkipClean(true)
	m.HandleFunc("/t/{token}", c.showLink).Methods(http.MethodGet, http.MethodHead)
	m.HandleFunc("/t/{token}", c.useLink).Methods(http.MethodPost)
	m.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", "GET, HEAD, POST")
		c.linkPage(w, http.StatusMethodNotAllowed, linkView{Title: "This link cannot be used like that", Text: "Open it in a browser."})
	})
	m.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.unknownLink(w) })
	return headers(noRobots(m))
}

// noRobots keeps search engines off.
func noRobots(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Robots-Tag", "noindex, nofollow")
		next.ServeHTTP(w, r)
	})
}

// linkView is what the page of a link shows. Without Form there is nothing to do.
type linkView struct {
	Title string
	Text  string // what is to be known, or what went wrong
	Warn  string // why what was asked was refused; empty: nothing was

	Form      bool
	Approve   bool
	Token     string
	Person    string // whose link it is
	Leaver    string
	Address   string
	Reason    string
	Ticket    string
	Needs     string // approvals
	Owns      []string
	Task      *offboard.Task
	Where     string // an address in Amplitude, https only
	Successor bool   // the task has to name one
	In        linkForm
}

// linkForm is what somebody wrote into the page.
type linkForm struct{ Note, Successor, Ticket string }

func (c *Console) showLink(w http.ResponseWriter, r *http.Request) {
	token := mux.Vars(r)["token"]
	l, f, ok := c.openLink(w, r, token)
	if !ok {
		return
	}
	c.linkPage(w, http.StatusOK, c.viewOf(l, f, token))
}

// openLink reads a link that is good; otherwise it has answered.
func (c *Console) openLink(w http.ResponseWriter, r *http.Request, token string) (l offboard.Link, f offboard.File, ok bool) {
	if !plausible(token) {
		c.unknownLink(w)
		return l, f, false
	}
	l, f, err := c.opts.Store.Link(r.Context(), token)
	if err == nil {
		if over := l.Over(c.opts.Now()); over != nil {
			err = over
		}
	}
	if err != nil {
		c.failLink(w, r, token, l, f, err)
		return l, f, false
	}
	return l, f, true
}

// plausible reports whether a token has the form of one, so that nothing is
// asked of the database for others.
func plausible(token string) bool {
	return len(token) == 52 && strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

func (c *Console) unknownLink(w http.ResponseWriter) {
	c.linkPage(w, http.StatusNotFound, linkView{
		Title: "There is no such link",
		Text:  "Check that the whole address was copied. Otherwise ask whoever sent it, or whoever runs Offramp, for a new one.",
	})
}

func (c *Console) useLink(w http.ResponseWriter, r *http.Request) {
	token := mux.Vars(r)["token"]
	l, f, ok := c.openLink(w, r, token)
	if !ok {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		c.linkPage(w, http.StatusBadRequest, linkView{Title: "The form could not be read", Text: "Go back and send it again, with a shorter text."})
		return
	}
	if subtle.ConstantTimeCompare([]byte(r.PostForm.Get("token")), []byte(token)) != 1 {
		c.linkPage(w, http.StatusForbidden, linkView{Title: "Nothing was changed", Text: "This did not come from the page of the link. Open the link and use its buttons."})
		return
	}
	in := linkForm{Note: r.PostForm.Get("note"), Successor: r.PostForm.Get("successor"), Ticket: r.PostForm.Get("ticket")}
	if err := tidy(&in.Note, &in.Successor, &in.Ticket); err != nil {
		c.refuseLink(w, http.StatusUnprocessableEntity, c.viewOf(l, f, token), in, err.Error())
		return
	}
	done := ""
	_, err := c.opts.Store.UseLink(r.Context(), token, func(l offboard.Link, f offboard.File) (u offboard.Update, err error) {
		done, u, err = c.byLink(l, f, r.PostForm.Get("do"), in)
		return u, err
	})
	if no, refused := errors.AsType[*offboard.RefusedError](err); refused {
		status := http.StatusConflict
		if no.Incomplete {
			status = http.StatusUnprocessableEntity
		}
		c.refuseLink(w, status, c.viewOf(l, f, token), in, no.Because)
		return
	}
	if err != nil {
		c.failLink(w, r, token, l, f, err)
		return
	}
	c.opts.Log.Info("personal link used", zap.String("case", l.CaseID), zap.String("task", l.TaskID))
	c.linkPage(w, http.StatusOK, linkView{
		Title: "Thank you", Text: done + " It is recorded with your name, " + l.Person + ". The link is used up; you can close this page.",
	})
}

// byLink is what a link's person decides.
func (c *Console) byLink(l offboard.Link, f offboard.File, do string, in linkForm) (done string, u offboard.Update, err error) {
	now := c.opts.Now()
	switch {
	case do == "approve" && l.TaskID == "":
		u, err = c.opts.Approvers.Approve(f, offboard.Approval{
			By: l.Person, Ticket: in.Ticket, Note: in.Note, At: now, Via: offboard.ViaLink,
		})
		return "You approved it.", u, err
	case do == "done" && l.TaskID != "":
		u, err = offboard.CompleteTask(f, l.TaskID, offboard.TaskAnswer{By: l.Person, Note: in.Note, Successor: in.Successor}, now)
		return "You said that the task is done.", u, err
	case do == "decline" && l.TaskID != "":
		u, err = offboard.DeclineTask(f, l.TaskID, l.Person, in.Note, now)
		return "You declined the task.", u, err
	}
	return "", u, &offboard.RefusedError{Because: "use one of the buttons of this page", Incomplete: true}
}

// viewOf is the page of a link that is good.
func (c *Console) viewOf(l offboard.Link, f offboard.File, token string) linkView {
	v := linkView{
		Token: token, Person: l.Person, Leaver: f.Person.Name(), Address: f.Case.Address, Reason: words(string(f.Case.Reason)),
		Ticket: f.Case.Ticket, Form: true, Approve: l.TaskID == "",
	}
	if v.Approve {
		v.Title = "Approve the removal of " + v.Leaver + "?"
		if f.Case.Plan == offboard.Mover {
			v.Title = "Approve that " + v.Leaver + " has less access?"
			v.Text = "They keep the seat. Amplitude is to " + strings.Join(f.Case.Policy.Revoke.Sentences(), ", ") + "."
		}
		t := c.opts.Approvers.Count(f, c.opts.Now())
		v.Needs = t.Needs.Sentence()
		for _, a := range f.Assets {
			if a.State == offboard.AssetOwned && len(v.Owns) < 50 {
				v.Owns = append(v.Owns, strings.TrimSpace(words(a.Kind)+" "+a.Name))
			}
		}
		if t.Needs.People > 1 {
			v.Form = false
			v.Warn = "More than one person has to approve this, and a link is not enough for that: log in to Offramp's console, or say: offramp cases approve " + f.Case.ID
		}
		return v
	}
	for i := range f.Tasks {
		if t := &f.Tasks[i]; t.ID == l.TaskID {
			v.Task, v.Title, v.Successor = t, t.Title, t.Kind == offboard.TaskSuccessor || t.Kind == offboard.TaskAdmin
			if u, err := url.Parse(t.Link); err == nil && u.Scheme == "https" {
				v.Where = t.Link
			}
		}
	}
	return v
}

// refuseLink shows the page again with what was wrong; the link stays good.
func (c *Console) refuseLink(w http.ResponseWriter, status int, v linkView, in linkForm, because string) {
	v.Warn, v.In = "Nothing was changed: "+because, in
	c.linkPage(w, status, v)
}

// failLink tells why a link does nothing, and whom to ask. A link that was good
// once leaves a sentence in its case's timeline, a few times at most.
func (c *Console) failLink(w http.ResponseWriter, r *http.Request, token string, l offboard.Link, f offboard.File, err error) {
	over, ended := errors.AsType[*offboard.LinkError](err)
	switch {
	case ended:
	case errors.Is(err, offboard.ErrNotFound):
		c.unknownLink(w)
		return
	case errors.Is(err, offboard.ErrUnavailable) || r.Context().Err() != nil:
		w.Header().Set("Retry-After", "10")
		c.linkPage(w, http.StatusServiceUnavailable, linkView{Title: "Try again in a moment", Text: "Nothing was changed; the link stays good."})
		return
	default:
		c.opts.Log.Error("personal link", zap.Error(err))
		c.linkPage(w, http.StatusInternalServerError, linkView{Title: "This went wrong inside Offramp", Text: "Its log says more. Nothing was changed."})
		return
	}
	if r.Method != http.MethodHead {
		verb := "opened"
		if r.Method == http.MethodPost {
			verb = "used"
		}
		text := fmt.Sprintf("a link of %s for %s was %s again, which changed nothing: %s", l.Person, l.Purpose(f), verb, because(over.End))
		if err := c.opts.Store.NoteLink(r.Context(), token, text); err != nil {
			c.opts.Log.Warn("note of a personal link", zap.Error(err))
		}
	}
	status := http.StatusGone
	if r.Method == http.MethodPost && over.End == offboard.LinkUsed {
		status = http.StatusConflict
	}
	c.linkPage(w, status, linkView{
		Title: "This link is not good any more",
		Text: "Nothing was changed: " + because(over.End) + ". A link is for one person and one use. If something is still to be done, ask whoever " +
			"runs Offramp for a new one, and name case " + l.CaseID + ".",
	})
}

func because(end offboard.LinkEnd) string {
	switch end {
	case offboard.LinkUsed:
		return "it has been used"
	case offboard.LinkExpired:
		return "it has expired"
	case offboard.LinkSettled:
		return "what it was for is settled"
	case offboard.LinkLeft:
		return "the person whom it was sent to has left"
	}
	return string(end)
}

func (c *Console) linkPage(w http.ResponseWriter, status int, v linkView) {
	var out bytes.Buffer
	if err := c.pages.ExecuteTemplate(&out, "link.html", v); err != nil {
		c.opts.Log.Error("page of a personal link", zap.Error(err))
		http.Error(w, "this went wrong inside Offramp; its log says more", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // whoever asked has gone
}

// taskLink makes a link to one task for one person, for an operator to hand over.
func (c *Console) taskLink(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[LinkRequest](r)
	if err == nil {
		err = tidy(&in.To)
	}
	if err != nil {
		return 0, nil, err
	}
	if in.Days < 0 || in.Days > maxLinkDays {
		return 0, nil, bad(http.StatusUnprocessableEntity, "days has to be a number up to %d; 0 means 14", maxLinkDays)
	}
	id, err := pathID(r)
	if err != nil {
		return 0, nil, err
	}
	t, err := c.opts.Store.Task(r.Context(), id)
	if err != nil {
		return 0, nil, err
	}
	until := c.opts.Now().Add(linkLife)
	if in.Days > 0 {
		until = c.opts.Now().Add(time.Duration(in.Days) * 24 * time.Hour)
	}
	secret, err := c.opts.Store.NewLink(r.Context(), offboard.Link{CaseID: t.CaseID, TaskID: id, Person: in.To, Until: until, By: by.Name})
	if err != nil {
		return 0, nil, err
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", "task link"), zap.String("case", t.CaseID), zap.String("task", id))
	return http.StatusCreated, NewLink{URL: c.opts.PublicURL + "/t/" + secret, To: in.To, Expires: until.UTC()}, nil
}
