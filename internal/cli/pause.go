package cli

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"offramp/internal/console"
)

func pauseCommand(env Env) *cobra.Command {
	o := &operate{env: env}
	var in console.PauseRequest
	cmd := &cobra.Command{
		Use: "pause --because TEXT", Short: "Stop every outward change, incidents included, until resume", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.Why == "" {
				return usage(cmd, "say why with --because: whoever looks at a waiting case will read it")
			}
			return o.setPause(cmd, http.MethodPut, nil, in)
		},
	}
	cmd.Flags().StringVar(&in.Why, "because", "", "why")
	return o.flags(cmd)
}

func resumeCommand(env Env) *cobra.Command {
	o := &operate{env: env}
	why := ""
	cmd := &cobra.Command{
		Use: "resume [--because TEXT]", Short: "End the pause", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{}
			if why != "" {
				query.Set("why", why)
			}
			return o.setPause(cmd, http.MethodDelete, query, nil)
		},
	}
	cmd.Flags().StringVar(&why, "because", "", "why; kept with the pause")
	return o.flags(cmd)
}

func (o *operate) setPause(cmd *cobra.Command, method string, query url.Values, in any) error {
	c, err := o.client(cmd)
	if err != nil {
		return err
	}
	var p console.Pause
	if err := c.call(cmd.Context(), method, "pause", query, in, &p); err != nil {
		return err
	}
	if o.output == "json" {
		return printJSON(o.env.Stdout, p)
	}
	_, err = fmt.Fprintf(o.env.Stdout, "paused: %s\n", plain(o.pauseWords(p)))
	return err
}
