package cli

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"offramp/internal/console"
)

func casesExplain(o *operate) *cobra.Command {
	return &cobra.Command{
		Use: "explain CASE", Short: "Tell why a case is as it is, what it waits for, and what comes next", Args: oneID("case"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			var e console.Explanation
			if err := c.call(cmd.Context(), http.MethodGet, "cases/"+url.PathEscape(args[0])+"/explain", nil, nil, &e); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, e)
			}
			for _, s := range e.Sentences {
				if _, err := fmt.Fprintf(o.env.Stdout, "%-8s  %s\n", words(s.About), wrap(s.Text, 10)); err != nil {
					return fmt.Errorf("print: %w", err)
				}
			}
			return nil
		},
	}
}
