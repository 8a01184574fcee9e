package daemon_test

import (
	"bytes"
	"testing"
	"time"

	"offramp/internal/daemon"
)

func TestDemo(t *testing.T) {
	var out bytes.Buffer
	err := daemon.Demo(t.Context(), daemon.DemoOptions{Out: &out, Version: "test", Patience: 45 * time.Second, Keep: ""})
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
}
