package console

import (
	"errors"
	"io"
	"net/http"

	"github.com/gorilla/mux"
	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// maxCallback bounds a hook's late answer.
const maxCallback = 64 << 10

// hookRouter serves the call-backs of hooks. The receipt in the path is the
// only credential; whether it never was, was used, has expired, or belongs to a
// case that has ended is told to nobody.
func (c *Console) hookRouter() http.Handler {
	m := mux.NewRouter().SkipClean(true) // a redirect would lose the body
	m.HandleFunc("/hooks/{receipt}", c.callback).Methods(http.MethodPost)
	m.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", http.MethodPost)
		problem(w, http.StatusMethodNotAllowed, "call back with POST", "")
	})
	m.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { unknownReceipt(w) })
	return headers(m)
}

func unknownReceipt(w http.ResponseWriter) {
	problem(w, http.StatusNotFound, "no answer is expected here", "")
}

// callback reads the body before it touches the receipt: one that cannot be
// understood, or that says "still at work", leaves the receipt good.
func (c *Console) callback(w http.ResponseWriter, r *http.Request) {
	if c.opts.Callback == nil {
		unknownReceipt(w)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallback))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			problem(w, http.StatusRequestEntityTooLarge, "the answer is longer than 64 KiB", "")
			return
		}
		problem(w, http.StatusBadRequest, "the answer ended too early", "")
		return
	}
	change, err := c.opts.Callback(body)
	if err != nil {
		problem(w, http.StatusBadRequest, "the answer cannot be understood: send one JSON object with a state of done, accepted or failed", "")
		return
	}
	if change == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	err = c.opts.Store.Receive(r.Context(), mux.Vars(r)["receipt"], change)
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, offboard.ErrNotFound) || errors.Is(err, offboard.ErrEnded):
		unknownReceipt(w)
	case errors.Is(err, offboard.ErrUnavailable) || r.Context().Err() != nil:
		w.Header().Set("Retry-After", "10")
		problem(w, http.StatusServiceUnavailable, "try again", "")
	default:
		c.opts.Log.Error("hook call-back", zap.Error(err))
		problem(w, http.StatusInternalServerError, "this went wrong inside Offramp; its log says more", "")
	}
}
