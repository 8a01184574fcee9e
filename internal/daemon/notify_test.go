package daemon_test

import (
	"strings"
	"testing"

	"offramp/internal/config"
	"offramp/internal/daemon"
)

func TestURLsThatNothingCanBeSentToAreToldAtTheirPlaceAndNotShown(t *testing.T) {
	t.Parallel()
	const file = `mode: observe
public_url: https://offramp.example.com
connections: [{name: okta}]
organizations: [{name: main, scim_key: {env: KEY}}]
notify:
  email: {env: MAIL}
  channels:
    - {name: team, url: {env: CHAT}, about: [tasks]}
    - {name: good, url: {env: GOOD}, about: [drift]}
`
	cfg, problems := config.Load("offramp.yaml", []string{
		"KEY=key", "MAIL=smtp://u:hunter2@mail.example.com/", "CHAT=carrier-pigeon://hunter2", "GOOD=generic://hooks.example.com/hunter2",
	}, func(string) ([]byte, error) { return []byte(file), nil })
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	told := daemon.Check(cfg).Error()
	for _, want := range []string{"offramp.yaml:6:3: notify.email: add from=ADDRESS", "offramp.yaml:8:20: notify.channels[0].url: shoutrrr does not understand"} {
		if !strings.Contains(told, want) {
			t.Errorf("%q is not told:\n%s", want, told)
		}
	}
	if strings.Contains(told, "hunter2") || strings.Contains(told, "channels[1]") {
		t.Errorf("told:\n%s", told)
	}
}
