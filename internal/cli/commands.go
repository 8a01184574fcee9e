package cli

import "github.com/spf13/cobra"

// commands lists the constructors of every command, in the order of the help.
// A new command is named here and nowhere else.
func commands() []func(Env) *cobra.Command {
	return []func(Env) *cobra.Command{
		demoCommand,
		serveCommand,
		simulateCommand,
		configCommand,
		doctorCommand,
		casesCommand,
		tasksCommand,
		driftCommand,
		reviewCommand,
		tokenCommand,
		brakeCommand,
		pauseCommand,
		resumeCommand,
		statusCommand,
		versionCommand,
	}
}
