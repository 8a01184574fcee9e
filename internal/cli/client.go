package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"offramp/internal/console"
)

const (
	defaultServer = "http://127.0.0.1:8081"
	maxAnswer     = 64 << 20
)

// operate holds what every operator command needs: the server, the operator's
// token, and the form of the output.
type operate struct {
	env       Env
	server    string
	tokenFile string
	output    string
}

// flags adds the common flags to a command and to those below it.
func (o *operate) flags(cmd *cobra.Command) *cobra.Command {
	f := cmd.PersistentFlags()
	f.StringVar(&o.server, "server", "", "address of the admin listener (OFFRAMP_SERVER; default "+defaultServer+")")
	f.StringVar(&o.tokenFile, "token-file", "", "file with the operator's token (or OFFRAMP_OPERATOR_TOKEN)")
	f.StringVar(&o.output, "output", "table", "table or json")
	return cmd
}

// client is the operator API as one operator.
type client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// client checks the common flags.
func (o *operate) client(cmd *cobra.Command) (*client, error) {
	if o.output != "table" && o.output != "json" {
		return nil, usage(cmd, "--output is table or json")
	}
	base, err := url.Parse(cmp.Or(o.server, o.env.Getenv("OFFRAMP_SERVER"), defaultServer))
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" || base.User != nil {
		return nil, usage(cmd, "the server has to be a URL such as %s", defaultServer)
	}
	token := o.env.Getenv("OFFRAMP_OPERATOR_TOKEN")
	if o.tokenFile != "" {
		b, err := os.ReadFile(o.tokenFile)
		if err != nil {
			return nil, usage(cmd, "the token file: %s", err)
		}
		token = string(b)
	}
	token = strings.TrimSpace(token)
	if token == "" {
		return nil, usage(cmd, "set OFFRAMP_OPERATOR_TOKEN, or name a file with --token-file")
	}
	if strings.ContainsAny(token, "\r\n") {
		return nil, usage(cmd, "the operator's token is more than one line")
	}
	return &client{base: base, token: token, http: &http.Client{
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token stays here
	}}, nil
}

// problemError is an answer of the server that says no.
type problemError struct{ console.Problem }

func (e *problemError) Error() string {
	text := e.Detail
	if e.Case != "" {
		text += "\nThe case: offramp cases show " + e.Case
	}
	return text
}

// call makes one request. in and out may be nil.
func (c *client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	u := c.base.JoinPath("api", "v1", path)
	u.RawQuery = query.Encode()
	var body io.Reader = http.NoBody
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return c.unreachable(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return c.unreachable(err)
	}
	media, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	switch {
	case media == "application/problem+json":
		var p problemError
		if err := json.Unmarshal(b, &p.Problem); err == nil && p.Detail != "" {
			return &p
		}
	case answer.StatusCode == http.StatusNoContent:
		return nil
	case answer.StatusCode/100 == 2 && media == "application/json":
		if out == nil {
			return nil
		}
		if err := json.Unmarshal(b, out); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s answered %d and not as Offramp's operator API does; is it the admin listener?", c.base.Host, answer.StatusCode)
}

// unreachable says in a sentence why there was no answer.
func (c *client) unreachable(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return fmt.Errorf("%s did not answer in time: what was asked may have been done", c.base.Host)
	}
	return fmt.Errorf("cannot reach Offramp at %s: %w", c.base.Host, err)
}
