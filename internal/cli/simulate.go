package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"offramp/internal/daemon"
)

func simulateCommand(env Env) *cobra.Command {
	var o daemon.SimulateOptions
	var rate string
	var switches []string
	cmd := &cobra.Command{
		Use: "simulate", Short: "Serve a simulated Amplitude organization", Args: noArgs,
		Long: "Serve a simulated Amplitude organization until it is interrupted. DIR gets offramp.yaml for `offramp serve`,\n" +
			"scim.token for an identity provider and operator.token for the operator commands.\n" +
			"What it really holds is at /_sim/state, every call it got at /_sim/requests.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Members < 0 {
				return usage(cmd, "--members is a number of people")
			}
			var err error
			if o.Rate, err = perMinute(rate); err != nil {
				return usage(cmd, "--rate: %s", err)
			}
			if o.Switches, err = parseSwitches(switches); err != nil {
				return usage(cmd, "--switch: %s", err)
			}
			o.Ready = func(base string) {
				_, _ = fmt.Fprintf(env.Stdout, "simulated Amplitude with %d members on %s\n", o.Members, base)
				if o.Dir != "" {
					_, _ = fmt.Fprintf(env.Stdout, "bridge: offramp serve --config %s/offramp.yaml\n", o.Dir)
				}
			}
			return daemon.Simulate(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Listen, "listen", "127.0.0.1:9090", "address to listen on")
	f.IntVar(&o.Members, "members", 50, "how many members to make up")
	f.Int64Var(&o.Seed, "seed", 1, "same seed, same organization")
	f.StringVar(&rate, "rate", "100/min", "SCIM requests a minute that are answered; 0: no limit")
	f.DurationVar(&o.Latency, "latency", 50*time.Millisecond, "typical time to answer")
	f.StringArrayVar(&switches, "switch", nil, "behaviour as name=value; may be given again")
	f.StringVar(&o.Dir, "write-config", "", "directory that gets a configuration and tokens")
	return cmd
}

// perMinute reads "100/min" or a plain number; 0 means no limit, told as -1.
func perMinute(text string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSuffix(text, "/min"))
	if err != nil || n < 0 {
		return 0, fmt.Errorf("write a number of requests a minute, such as 100/min")
	}
	if n == 0 {
		return -1, nil
	}
	return n, nil
}

func parseSwitches(list []string) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range list {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("write name=value, such as drop_write=true")
		}
		out[name] = value
	}
	return out, nil
}
