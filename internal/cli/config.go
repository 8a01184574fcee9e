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
	var file string
	cmd := &cobra.Command{
		Use: "check", Short: "Print everything that is wrong with the configuration", Args: noArgs,
		Long: "Print everything that is wrong with the configuration, with line and column, and start nothing. Secrets are read\n" +
			"and never shown. Exits 2 when anything is wrong.",
		RunE: func(_ *cobra.Command, _ []string) error {
			if _, err := loadConfig(env, file); err != nil {
				return err
			}
			_, err := fmt.Fprintf(env.Stdout, "%s is valid\n", file)
			return err
		},
	}
	configFlag(cmd, &file)
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
