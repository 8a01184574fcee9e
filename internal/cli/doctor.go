package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"offramp/internal/config"
	"offramp/internal/daemon"
	"offramp/internal/doctor"
)

// diagnosis is the doctor's answer as JSON.
type diagnosis struct {
	OK     bool           `json:"ok"`
	Checks []doctor.Check `json:"checks"`
}

func doctorCommand(env Env) *cobra.Command {
	var in doctorFlags
	cmd := &cobra.Command{
		Use: "doctor", Short: "Test the running bridge as the identity providers would, and every Amplitude key", Args: noArgs,
		Long: "Behave towards the running bridge as the identity provider of each connection would: the connection test, then the\n" +
			"whole life of a made-up person whose address is under .invalid, which never reaches Amplitude and is deleted at the\n" +
			"end. Then read once with every Amplitude credential, and look for domains and access groups that are missing. A few\n" +
			"SCIM requests to Amplitude are made beside the bridge's budget.\n\n" +
			"A line for each check: ok, FAIL with what to do, or skip. Exits 0 when nothing failed. To see the made-up person's\n" +
			"case too it needs an operator's token: OFFRAMP_OPERATOR_TOKEN, or one in the configuration.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.output != "table" && in.output != "json" {
				return usage(cmd, "--output is table or json")
			}
			c, err := loadConfig(env, in.file)
			if err != nil {
				return err
			}
			o, err := in.options(env, c)
			if err != nil {
				return usage(cmd, "%s", err)
			}
			d, err := doctor.New(o)
			if err != nil {
				return usage(cmd, "%s", err)
			}
			checks := d.Run(cmd.Context())
			if in.output == "json" {
				if err := printJSON(env.Stdout, diagnosis{OK: doctor.Sound(checks), Checks: checks}); err != nil {
					return err
				}
			}
			if !doctor.Sound(checks) {
				return errors.New("something is wrong; each failure says what to do")
			}
			return cmd.Context().Err()
		},
	}
	configFlag(cmd, &in.file)
	f := cmd.Flags()
	f.StringVar(&in.connection, "connection", "", "only this connection and its organizations")
	f.StringVar(&in.tokenFile, "token-file", "", "file with a SCIM token of the connection, made by offramp token new")
	f.StringVar(&in.public, "server-public", "", "address of the public listener; public_url tests the whole way of an identity provider (default: listen)")
	f.StringVar(&in.server, "server", "", "address of the admin listener (OFFRAMP_SERVER; default: admin_listen)")
	f.StringVar(&in.output, "output", "table", "table or json")
	return cmd
}

// doctorFlags are what the command was given.
type doctorFlags struct{ file, connection, tokenFile, public, server, output string }

func (in doctorFlags) options(env Env, c *config.Config) (doctor.Options, error) {
	o := doctor.Options{
		Config: c, Connection: in.connection, Amplitude: daemon.AmplitudeOptions, Now: env.Now, OperatorToken: operatorToken(env, c),
		Public: cmp.Or(in.public, localPublic(c)), Admin: cmp.Or(in.server, env.Getenv("OFFRAMP_SERVER"), "http://"+here(c.AdminListen)),
	}
	for flag, base := range map[string]string{"--server-public": o.Public, "--server": o.Admin} {
		if u, err := url.Parse(base); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return o, fmt.Errorf("%s has to be a URL such as %s", flag, defaultServer)
		}
	}
	nearby := ""
	if in.public == "" {
		nearby = strings.TrimPrefix(strings.TrimPrefix(o.Public, "https://"), "http://")
	}
	o.HTTP = doctorClient(nearby, here(c.Listen))
	if in.output == "table" {
		o.Each = func(c doctor.Check) { _, _ = fmt.Fprintln(env.Stdout, checkLine(c)) }
	}
	if in.tokenFile == "" {
		return o, nil
	}
	b, err := os.ReadFile(in.tokenFile)
	if err != nil {
		return o, fmt.Errorf("the token file: %w", err)
	}
	if o.Token = strings.TrimSpace(string(b)); o.Token == "" || strings.ContainsAny(o.Token, "\r\n") {
		return o, errors.New("the token file has to hold one token")
	}
	return o, nil
}

// checkLine is one check in a line.
func checkLine(c doctor.Check) string {
	mark := string(c.Result)
	if c.Result == doctor.Failed {
		mark = "FAIL"
	}
	line := fmt.Sprintf("%-4s  %s: %s: %s", mark, c.About, c.What, c.Say)
	if c.Fix != "" {
		line += ". To do: " + c.Fix
	}
	return strings.ReplaceAll(plain(line), "\n", " ")
}

// here is how this machine reaches a listener.
func here(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen // refused when it was read
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// localPublic is the public listener on this machine. With TLS it has the public
// name, which the certificate is for; doctorClient knows where that is.
func localPublic(c *config.Config) string {
	if !c.TLS.Enabled() {
		return "http://" + here(c.Listen)
	}
	name := ""
	if u, err := url.Parse(c.PublicURL); err == nil {
		name = u.Hostname()
	}
	_, port, _ := net.SplitHostPort(c.Listen) // was checked when it was read
	return "https://" + net.JoinHostPort(name, port)
}

// operatorToken is the environment's, else the first that the file holds.
func operatorToken(env Env, c *config.Config) string {
	if token := strings.TrimSpace(env.Getenv("OFFRAMP_OPERATOR_TOKEN")); token != "" {
		return token
	}
	for _, o := range c.Operators {
		if o.Token.IsSet() {
			return o.Token.Reveal()
		}
	}
	return ""
}

// doctorClient calls the server. What is asked of the host and port nearby is
// asked of the listener on this machine; empty: nothing is.
func doctorClient(nearby, listener string) *http.Client {
	var dialer net.Dialer
	t := &http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		Proxy: func(r *http.Request) (*url.URL, error) {
			if r.URL.Host == nearby {
				return nil, nil
			}
			return http.ProxyFromEnvironment(r)
		},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == nearby {
				address = listener
			}
			return dialer.DialContext(ctx, network, address)
		},
	}
	return &http.Client{
		Transport: t, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token stays here
	}
}
