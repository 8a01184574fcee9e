package cli

import (
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"offramp/internal/config"
	"offramp/internal/daemon"
)

func serveCommand(env Env) *cobra.Command {
	var file, listen, adminListen string
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the bridge", Args: noArgs,
		Long: "Run the bridge until SIGTERM or SIGINT: then it accepts nothing more, finishes what it began, and exits 0.\n" +
			"What was accepted is in the database; killing the process at any moment loses nothing.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(env, file)
			if err != nil {
				return err
			}
			if listen != "" {
				c.Listen = listen
			}
			if adminListen != "" {
				c.AdminListen = adminListen
			}
			log, err := newLog(c.Log)
			if err != nil {
				return err
			}
			defer func() { _ = log.Sync() }() // a terminal refuses it, and there is nobody left to tell
			if env.Getenv("GOGC") == "" {
				// What a request needs is soon garbage, and little lives long:
				// half as many collections cost a few megabytes.
				debug.SetGCPercent(200)
			}
			d, err := daemon.New(cmd.Context(), c, daemon.Options{Log: log, Version: Version()})
			if err != nil {
				return err
			}
			return d.Run(cmd.Context())
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&listen, "listen", "", "public listener, over the configuration's")
	cmd.Flags().StringVar(&adminListen, "admin-listen", "", "admin listener, over the configuration's")
	return cmd
}

// newLog writes to standard error, as lines of JSON or for people.
func newLog(c config.Log) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(c.Level)
	if err != nil {
		return nil, err
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoder := zapcore.NewJSONEncoder(encoding)
	if c.Format == config.Console {
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), level)), nil
}
