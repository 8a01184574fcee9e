// Package ready holds the ready-made policies, one file for each use case,
// for those who want them without a copy of the repository. The files are for
// people to take into their own configuration; nothing here reads them as such.
package ready

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// Names lists the files without their ending, in the order in which their
// policies have to stand: the first whose condition holds is taken.
func Names() []string {
	return []string{"security-incident", "termination", "contract-end", "role-change", "access-review", "sso-removal"}
}

// All is every policy, as the entries of the list `policies`.
func All() (string, error) {
	var out strings.Builder
	for _, name := range Names() {
		text, err := files.ReadFile(name + ".yaml")
		if err != nil {
			return "", fmt.Errorf("ready-made policy: %w", err)
		}
		_, entries, found := strings.Cut(string(text), "\npolicies:\n")
		if !found {
			return "", fmt.Errorf("ready-made policy %s has no list of policies", name)
		}
		out.WriteString(entries)
	}
	return out.String(), nil
}
