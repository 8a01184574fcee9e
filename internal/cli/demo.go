package cli

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"offramp/internal/daemon"
)

func demoCommand(env Env) *cobra.Command {
	var o daemon.DemoOptions
	var switches []string
	cmd := &cobra.Command{
		Use: "demo", Short: "Play the main job against a simulated Amplitude", Args: noArgs,
		Long: "Play the main job on embedded parts: a simulated Amplitude, the bridge on loopback with a database of its own, Okta\n" +
			"and Entra, and the people who approve and hand over. Exits 0 only when every case ended as it should and the\n" +
			"simulator's ground truth agrees. Waiting times are shortened. Nothing outside this machine is touched.",
		Example: "  offramp demo\n  offramp demo --scenario termination\n  offramp demo --switch drop_write=true    Amplitude answers each write and does nothing\n" +
			"  offramp demo --switch answer_404=true    Amplitude answers 404 to everything",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Switches, err = parseSwitches(switches); err != nil {
				return usage(cmd, "--switch: %s", err)
			}
			o.Out, o.Version = env.Stdout, Version()
			o.Color = isTerminal(env.Stdout) && env.Getenv("NO_COLOR") == ""
			if err = daemon.Demo(cmd.Context(), o); errors.Is(err, daemon.ErrScenario) {
				return usage(cmd, "--scenario: %s", err)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Scenario, "scenario", "", "one use case: "+strings.Join(daemon.Scenarios(), ", ")+", or all; default a tour of what providers send")
	f.StringVar(&o.Keep, "keep", "", "empty or new directory in which configuration, database and log stay")
	f.StringArrayVar(&switches, "switch", nil, "behaviour of the simulator as name=value; may be given again")
	f.BoolVar(&o.Quiet, "quiet", false, "print the result alone")
	return cmd
}

// isTerminal tells whether somebody reads along.
func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Stat() (os.FileInfo, error) })
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
