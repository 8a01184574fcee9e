package cli

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"offramp/internal/console"
)

func tokenCommand(env Env) *cobra.Command {
	o := &operate{env: env}
	var connection string
	cmd := group("token", "Make, list and revoke the SCIM tokens of a connection",
		tokenNew(o, &connection), tokenList(o, &connection), tokenRevoke(o, &connection))
	cmd.PersistentFlags().StringVar(&connection, "connection", "", "the connection")
	return o.flags(cmd)
}

// connected is client for commands that need a connection.
func (o *operate) connected(cmd *cobra.Command, connection string) (*client, error) {
	if connection == "" {
		return nil, usage(cmd, "name the connection with --connection")
	}
	return o.client(cmd)
}

func tokenNew(o *operate, connection *string) *cobra.Command {
	var days int
	cmd := &cobra.Command{
		Use: "new --connection NAME", Short: "Make a token; it is printed once", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.connected(cmd, *connection)
			if err != nil {
				return err
			}
			var t console.NewToken
			in := console.TokenRequest{Connection: *connection, Days: days}
			if err := c.call(cmd.Context(), http.MethodPost, "tokens", nil, in, &t); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, t)
			}
			_, _ = fmt.Fprintf(o.env.Stderr, "Token %s of %s. Paste it into the identity provider; it is not shown again.\n", t.ID, *connection)
			_, err = fmt.Fprintln(o.env.Stdout, t.Secret)
			return err
		},
	}
	cmd.Flags().IntVar(&days, "days", 0, "days until it expires; 0: never")
	return cmd
}

func tokenList(o *operate, connection *string) *cobra.Command {
	return &cobra.Command{
		Use: "list --connection NAME", Short: "List tokens, without their secrets", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.connected(cmd, *connection)
			if err != nil {
				return err
			}
			var all console.TokenList
			q := url.Values{"connection": {*connection}}
			if err := c.call(cmd.Context(), http.MethodGet, "tokens", q, nil, &all); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, all)
			}
			now := o.env.Now()
			var rows [][]string
			for _, t := range all.Tokens {
				state := "live"
				switch {
				case !t.Revoked.IsZero():
					state = "revoked " + relative(t.Revoked, now)
				case !t.Live:
					state = "expired"
				case t.EndsSoon:
					state = "ends soon"
				}
				expires := "never"
				if !t.Expires.IsZero() {
					expires = relative(t.Expires, now)
				}
				rows = append(rows, []string{t.ID, state, relative(t.Created, now), expires})
			}
			return table(o.env.Stdout, 1, []string{"TOKEN", "STATE", "CREATED", "EXPIRES"}, rows)
		},
	}
}

func tokenRevoke(o *operate, connection *string) *cobra.Command {
	return &cobra.Command{
		Use: "revoke --connection NAME TOKEN", Short: "Revoke a token at once", Args: oneID("token"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.connected(cmd, *connection)
			if err != nil {
				return err
			}
			q := url.Values{"connection": {*connection}}
			if err := c.call(cmd.Context(), http.MethodDelete, "tokens/"+url.PathEscape(args[0]), q, nil, nil); err != nil {
				return err
			}
			_, err = fmt.Fprintln(o.env.Stdout, "revoked")
			return err
		},
	}
}
