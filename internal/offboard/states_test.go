package offboard_test

import (
	"os"
	"regexp"
	"testing"

	"offramp/internal/offboard"
)

// TestStatesAsDocumented holds the diagram in docs/states.md against the code.
func TestStatesAsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/states.md")
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[[2]offboard.State]bool{}
	for _, m := range regexp.MustCompile(`(?m)^    (\w+) --> (\w+)`).FindAllStringSubmatch(string(text), -1) {
		drawn[[2]offboard.State{offboard.State(m[1]), offboard.State(m[2])}] = true
	}
	for _, from := range offboard.States() {
		for _, to := range offboard.States() {
			if from == to {
				continue
			}
			if may := from.CanBecome(to); may != drawn[[2]offboard.State{from, to}] {
				t.Errorf("%s --> %s: code %v, picture %v", from, to, may, !may)
			}
		}
	}
}
