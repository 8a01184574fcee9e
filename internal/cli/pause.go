package cli

import (
	"fmt"
	"net/http"

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
			return o.setPause(cmd, http.MethodPut, in)
		},
	}
	cmd.Flags().StringVar(&in.Why, "because", "", "why")
	return o.flags(cmd)
}

func resumeCommand(env Env) *cobra.Command {
	o := &operate{env: env}
	return o.flags(&cobra.Command{
		Use: "resume", Short: "End the pause", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.setPause(cmd, http.MethodDelete, nil) },
	})
}

func (o *operate) setPause(cmd *cobra.Command, method string, in any) error {
	c, err := o.client(cmd)
	if err != nil {
		return err
	}
	var p console.Pause
	if err := c.call(cmd.Context(), method, "pause", nil, in, &p); err != nil {
		return err
	}
	if o.output == "json" {
		return printJSON(o.env.Stdout, p)
	}
	_, err = fmt.Fprintf(o.env.Stdout, "paused: %s\n", plain(o.pauseWords(p)))
	return err
}
