package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"offramp/internal/console"
	"offramp/internal/offboard"
)

// decide sends a decision about one case and prints the case as it is then.
func (o *operate) decide(cmd *cobra.Command, id, action, what string, in any) error {
	c, err := o.client(cmd)
	if err != nil {
		return err
	}
	var k console.Case
	if err := c.call(cmd.Context(), http.MethodPost, "cases/"+url.PathEscape(id)+"/"+action, nil, in, &k); err != nil {
		return err
	}
	return o.decided(what, k)
}

func casesApprove(o *operate) *cobra.Command {
	var in console.ApproveRequest
	var files []string
	cmd := &cobra.Command{
		Use: "approve CASE", Short: "Approve the removal, in your own name", Args: oneID("case"),
		Long: "Approve the removal, in your own name. Of an attached file the name and the SHA-256 are recorded; the file itself\n" +
			"stays where it is.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if in.Attachments, err = attachments(files); err != nil {
				return usage(cmd, "attach: %s", err)
			}
			return o.decide(cmd, args[0], "approve", "approved", in)
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Role, "role", "", "in what role, such as manager or security; default the one that is still needed")
	f.StringVar(&in.Ticket, "ticket", "", "ticket")
	f.StringVar(&in.Note, "note", "", "what an auditor should know")
	f.StringArrayVar(&files, "attach", nil, "a file that backs it; may be given several times")
	return cmd
}

// casesBecause is a decision that takes no more than a reason.
func casesBecause(o *operate, action, short string) *cobra.Command {
	var in console.BecauseRequest
	cmd := &cobra.Command{
		Use: action + " CASE", Short: short, Args: oneID("case"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.decide(cmd, args[0], action, "done", in)
		},
	}
	cmd.Flags().StringVar(&in.Because, "because", "", "why, for the timeline")
	return cmd
}

func casesRetry(o *operate) *cobra.Command {
	var in console.RetryRequest
	cmd := &cobra.Command{
		Use: "retry CASE", Short: "Try the step at hand again, now", Args: oneID("case"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.Override && in.Because == "" {
				return usage(cmd, "say why with --because: it is what an auditor will read")
			}
			return o.decide(cmd, args[0], "retry", "retry", in)
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Because, "because", "", "why, for the timeline")
	f.BoolVar(&in.Override, "override", false, "let it pass the guards of protected people and admins; for admins, with --because")
	return cmd
}

// casesOrBatch is casesBecause for one case or for all that one change to a
// group has put on hold.
func casesOrBatch(o *operate, action, short string) *cobra.Command {
	var in console.BecauseRequest
	var batch string
	cmd := &cobra.Command{
		Use: action + " CASE | --batch BATCH", Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if batch == "" {
				return oneID("case")(cmd, args)
			}
			if len(args) > 0 {
				return usage(cmd, "give one case, or --batch, not both")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if batch == "" {
				return o.decide(cmd, args[0], action, "done", in)
			}
			if action == "cancel" && in.Because == "" {
				return usage(cmd, "say why with --because: it stands in the timeline of each case")
			}
			c, err := o.client(cmd)
			if err != nil {
				return err
			}
			var out console.BatchResult
			if err := c.call(cmd.Context(), http.MethodPost, "batches/"+url.PathEscape(batch)+"/"+action, nil, in, &out); err != nil {
				return err
			}
			if o.output == "json" {
				return printJSON(o.env.Stdout, out)
			}
			text := fmt.Sprintf("%s: done for %d cases", action, out.Decided)
			if out.Left > 0 {
				text += fmt.Sprintf("; %d no longer waited for it and stay as they are", out.Left)
			}
			_, err = fmt.Fprintln(o.env.Stdout, text)
			return err
		},
	}
	cmd.Flags().StringVar(&in.Because, "because", "", "why, for the timeline")
	cmd.Flags().StringVar(&batch, "batch", "", "every case that this change to a group has put on hold; see cases list")
	return cmd
}

// heldBatch is how many of some cases wait for a word about one batch.
type heldBatch struct {
	id   string
	held int
}

func batches(cases []console.Case) (out []heldBatch) {
	for _, k := range cases {
		if k.Batch == "" || k.State != offboard.StateHeld {
			continue
		}
		i := slices.IndexFunc(out, func(b heldBatch) bool { return b.id == k.Batch })
		if i < 0 {
			i, out = len(out), append(out, heldBatch{id: k.Batch})
		}
		out[i].held++
	}
	return out
}

func casesResolve(o *operate) *cobra.Command {
	var in console.ResolveRequest
	var files []string
	cmd := &cobra.Command{
		Use: "resolve CASE --because TEXT", Short: "Close a case that needs attention, on your word", Args: oneID("case"),
		Long: "Close a case that needs attention, on your word. Of an attached file the name and the SHA-256 are recorded; the\n" +
			"file itself stays where it is.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if in.Because == "" {
				return usage(cmd, "say why with --because: it is what an auditor will read")
			}
			if in.Attachments, err = attachments(files); err != nil {
				return usage(cmd, "attach: %s", err)
			}
			return o.decide(cmd, args[0], "resolve", "resolved", in)
		},
	}
	f := cmd.Flags()
	f.StringVar(&in.Because, "because", "", "what was done, or why nothing has to be")
	f.StringArrayVar(&files, "attach", nil, "a file that backs it; may be given several times")
	return cmd
}

// attachments names files by their hashes. The files stay where they are.
func attachments(files []string) (out []offboard.Attachment, err error) {
	for _, name := range files {
		sum, err := fileHash(name)
		if err != nil {
			return nil, err
		}
		out = append(out, offboard.Attachment{Name: filepath.Base(name), SHA256: sum})
	}
	return out, nil
}

// fileHash is the SHA-256 of a file in hexadecimal.
func fileHash(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
