package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"offramp/internal/config"
	"offramp/internal/daemon"
)

func configCommand(env Env) *cobra.Command {
	return group("config", "Check the configuration", configCheck(env))
}

func configCheck(env Env) *cobra.Command {
	var file, people, output string
	cmd := &cobra.Command{
		Use: "check", Short: "Print everything that is wrong with the configuration", Args: noArgs,
		Long: "Print everything that is wrong with the configuration, with line and column, and start nothing. Secrets are read\n" +
			"and never shown. Exits 2 when anything is wrong.\n\n" +
			"With --people, print which policy each person of a file would meet if they were deactivated now, or, where the file\n" +
			"says what they were before (was.department, …), by that change. The file is CSV with a head, or a JSON object a line:\n" +
			"userName, address, displayName, department, title, manager, connection, groups, leaveReason, leaveDate, ticket, ….\n" +
			"Exits 1 when a condition fails for anybody.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return usage(cmd, "--output is table or json")
			}
			cfg, err := loadConfig(env, file)
			if err != nil {
				return err
			}
			if people != "" {
				return checkPeople(env, cfg, people, output)
			}
			_, err = fmt.Fprintf(env.Stdout, "%s is valid\n", file)
			return err
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&people, "people", "", "a file of people: print the policy that each of them meets")
	cmd.Flags().StringVar(&output, "output", "table", "table or json, with --people")
	return cmd
}

// configFlag adds --config to a command.
func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "config", "offramp.yaml", "the configuration file")
}

// loadConfig reads the configuration. Its problems are printed, one a line; the
// error then only carries the exit code.
func loadConfig(env Env, file string) (*config.Config, error) {
	c, problems := config.Load(file, env.Environ, os.ReadFile)
	if len(problems) == 0 {
		problems = daemon.Check(c)
	}
	for _, p := range problems {
		_, _ = fmt.Fprintln(env.Stderr, plain(p.String()))
	}
	if len(problems) > 0 {
		return nil, &usageError{}
	}
	return c, nil
}
