package doctor_test

import (
	"strings"
	"testing"

	"offramp/internal/config"
	"offramp/internal/doctor"
	"offramp/internal/notify/notifytest"
)

func TestTheMailServerIsLoggedInToAndNothingIsSent(t *testing.T) {
	t.Parallel()
	fake, base := newAmplitude(t, 1)
	f := file{base: base, keys: fake.Credentials(), connections: "  - {name: staff, idp: okta, domains: [example.com], bootstrap_token: {env: OKTA}}\n"}
	cfg := f.load(t, oktaToken)
	mail := notifytest.New(t)
	cfg.Notify = config.Notify{
		Email:    config.NewSecret(mail.URL("offramp", "hunter2")),
		Channels: []config.Channel{{Name: "team", URL: config.NewSecret("generic://hooks.example.com/hunter2"), About: []string{"tasks"}}},
	}
	public, admin := serve(t, cfg)
	about := func() (mail, channel doctor.Check) {
		for _, c := range examine(t, doctor.Options{Config: cfg, Public: public, Admin: admin, OperatorToken: operatorToken}) {
			if strings.Contains(c.Say+c.Fix, "hunter2") {
				t.Errorf("a secret is in %+v", c)
			}
			switch c.What {
			case "mail server":
				mail = c
			case "channel team":
				channel = c
			}
		}
		return mail, channel
	}
	if server, channel := about(); server.Result != doctor.OK || channel.Result != doctor.Skipped {
		t.Errorf("mail %+v, channel %+v", server, channel)
	}
	mail.Misbehave(notifytest.Fault{Login: "535 5.7.8 no, hunter2"})
	if server, _ := about(); server.Result != doctor.Failed || server.Say != "the mail server answered 535" || !strings.Contains(server.Fix, "notify.email") {
		t.Errorf("mail %+v", server)
	}
	mail.Down()
	if server, _ := about(); server.Result != doctor.Failed || server.Say != "the mail server refused the connection" {
		t.Errorf("mail %+v", server)
	}
	if len(mail.Mails()) != 0 {
		t.Error("the doctor sent something")
	}
}
