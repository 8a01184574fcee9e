// Command offramp is the SCIM deprovisioning bridge for Amplitude.
package main

import (
	"os"

	"offramp/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
