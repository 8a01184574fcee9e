package amplitudefake

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// ErrConnection is wrapped by the error of a call whose connection a fault broke.
var ErrConnection = errors.New("amplitudefake: connection broken")

// Transport returns a RoundTripper that hands each request to the simulator
// without a network, whatever its host. It works in a synctest bubble.
func (f *Fake) Transport() http.RoundTripper { return transport{f} }

type transport struct{ f *Fake }

// RoundTrip calls the simulator. A context that ends while the simulator
// answers slowly is the error; what was changed by then stays changed.
func (t transport) RoundTrip(r *http.Request) (res *http.Response, err error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer func() { _ = in.Body.Close() }()
	w := &answer{header: http.Header{}}
	defer func() {
		broken := recover()
		if broken == nil {
			return
		}
		if abort, ok := broken.(error); !ok || !errors.Is(abort, http.ErrAbortHandler) {
			panic(broken)
		}
		res, err = nil, ErrConnection
		if ended := r.Context().Err(); ended != nil {
			err = ended
		}
	}()
	t.f.ServeHTTP(w, in)
	if w.status == 0 {
		return nil, ErrConnection
	}
	return &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// answer collects what the handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}
