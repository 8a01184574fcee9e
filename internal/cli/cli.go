// Package cli owns the commands: their flags, what they print, and their exit
// codes. Commands for operators talk to the operator API and know nothing of the
// database; a file for each command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	done   = 0
	failed = 1
	wrong  = 2 // usage or configuration: nothing was tried
)

// Env is what a command may use of the process.
type Env struct {
	Args    []string // without the program's name
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Environ []string         // as os.Environ gives it
	Now     func() time.Time // nil: time.Now
}

// Getenv returns a variable of the environment, empty when it is not set.
func (e Env) Getenv(name string) string {
	value := ""
	for _, line := range e.Environ {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			value = v
		}
	}
	return value
}

// Main runs the command of a process until it is done or a signal stops it. A
// second signal ends the process at once.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, Env{Args: args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ()})
}

// Run runs one command and returns its exit code: 0 done, 1 failed, 2 wrong
// usage or configuration.
func Run(ctx context.Context, env Env) int {
	if env.Now == nil {
		env.Now = time.Now
	}
	root := group("offramp", "Deprovisioning bridge between identity providers and Amplitude")
	root.SilenceErrors, root.SilenceUsage = true, true
	for _, command := range commands() {
		root.AddCommand(command(env))
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%s", err) })
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return done
	}
	if e, ok := errors.AsType[*usageError](err); ok {
		if e.text != "" {
			_, _ = fmt.Fprintf(env.Stderr, "offramp: %s\n", e.text)
		}
		if e.help != "" {
			_, _ = fmt.Fprintf(env.Stderr, "See: %s --help\n", e.help)
		}
		return wrong
	}
	_, _ = fmt.Fprintf(env.Stderr, "offramp: %s\n", plain(err.Error()))
	return failed
}

// usageError is a command that cannot be tried as it was given.
type usageError struct {
	text string // empty: it was told already
	help string // the command whose help helps, empty: none
}

func (e *usageError) Error() string { return e.text }

func usage(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...), help: cmd.CommandPath()}
}

// group is a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				_, _ = fmt.Fprint(cmd.ErrOrStderr(), cmd.UsageString())
				return &usageError{}
			}
			text := fmt.Sprintf("unknown command %q", args[0])
			cmd.SuggestionsMinimumDistance = 2
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				text += ", did you mean " + strings.Join(near, " or ") + "?"
			}
			return usage(cmd, "%s", text)
		},
	}
	cmd.AddCommand(children...)
	return cmd
}

// noArgs and oneID are the arguments that commands take.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd, "%s takes no arguments, only flags", cmd.CommandPath())
	}
	return nil
}

func oneID(of string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" {
			return usage(cmd, "give the id of one %s", of)
		}
		return nil
	}
}
