package cli

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"offramp/internal/console"
)

func tasksConfirm(o *operate) *cobra.Command {
	var in console.NoteRequest
	cmd := &cobra.Command{
		Use: "confirm ROTATION", Short: "Say that every consumer uses the new value of a credential: the old one ends now", Args: oneID("rotation"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			var r console.Rotation
			if err := c.call(cmd.Context(), http.MethodPost, "rotations/"+url.PathEscape(args[0])+"/confirm", nil, in, &r); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, r)
			}
			_, err = fmt.Fprintf(o.env.Stdout, "confirmed: the old %s is ended now\n", plain(r.Credential))
			return err
		},
	}
	cmd.Flags().StringVar(&in.Note, "note", "", "who uses it, and how that was checked")
	return cmd
}
