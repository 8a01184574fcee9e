package amplitudefake_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// liveServer serves w over a socket. ask begins a request with the keys of the
// first project and returns how to give it up, which waits until it has ended.
func liveServer(t *testing.T, w *world) (server *httptest.Server, ask func(method, path string) (stop func())) {
	t.Helper()
	server = httptest.NewServer(w.Fake)
	return server, func(method, path string) func() {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, method, server.URL+path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		basic(w.creds.Projects[0].APIKey, w.creds.Projects[0].SecretKey)(r)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if res, err := server.Client().Do(r); err == nil {
				_ = res.Body.Close()
			}
		}()
		return func() {
			cancel()
			<-ended
		}
	}
}

// waitFor gives other goroutines the processor until ok, or the test's time is up.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for !ok() {
		if t.Context().Err() != nil {
			t.Fatal("the test ended")
		}
		runtime.Gosched()
	}
}
