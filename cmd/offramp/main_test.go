package main_test

import (
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"offramp/internal/cli"
)

// TestMain lets tests run the real command: with OFFRAMP_TEST_MAIN set, this
// binary is offramp. Scripts have it as offramp in their path.
func TestMain(m *testing.M) {
	if os.Getenv("OFFRAMP_TEST_MAIN") != "" {
		os.Exit(cli.Main(os.Args[1:]))
	}
	// The tests mostly wait for other processes: they may do so side by side, whatever
	// the command line says of all packages.
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"offramp": func() { os.Exit(cli.Main(os.Args[1:])) }})
}
