package notify_test

import (
	"strings"
	"testing"

	"offramp/internal/notify"
	"offramp/internal/notify/notifytest"
)

func TestURLsThatCannotWorkAreRefusedWithoutBeingShown(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"smtp://u:SECRET@mail.example.com:587/?from=offramp%40example.com":          "",
		"smtp://mail.example.com:25/?from=a%40example.com&encryption=none":          "",
		"smtp://u:SECRET@mail.example.com/?from=a%40example.com&encryption=none":    "in the clear",
		"smtp://u:SECRET@mail.example.com/":                                         "add from=",
		"smtp://u:SECRET@mail.example.com/?from=a%40example.com&to=b%40example.com": "write only encryption, from, fromname",
		"smtp://u@mail.example.com/?from=a%40example.com":                           "both a user and a password",
		"smtp://u:SEC RET@mail.example.com:99999/?from=a%40example.com":             "percent-encoded",
		"smtp://u:SECRET@mail.example.com:99999/?from=a%40example.com":              "port",
		"https://hooks.example.com/SECRET":                                          "write smtp://",
	} {
		err := notify.CheckMail(url)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SEC")) {
			t.Errorf("%s: %v", url, err)
		}
	}
	for url, want := range map[string]string{
		"slack://hook:WNA3PBYV6-F20DUQND3RQ-Webc4MAvoacrpPakR8phF0zi@webhook":       "",
		"generic://hooks.example.com/path?template=json":                            "",
		"generic+http://127.0.0.1:1/x":                                              "",
		"generic+http://hooks.example.com/SECRET":                                   "use https",
		"generic://hooks.example.com/SECRET?disabletls=yes":                         "use https",
		"smtp://u:SECRET@mail.example.com/?from=a%40example.com&to=b%40example.com": "",
		"smtp://u:SECRET@mail.example.com/?from=a%40example.com":                    "add to=",
		"logger://":               "tells people",
		"carrier-pigeon://SECRET": "does not understand",
		"slack://SECRET":          "does not understand",
		"SECRET":                  "write a URL",
	} {
		err := notify.CheckChannel(url)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "SECRET")) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestTryingAMailServerSendsNothing(t *testing.T) {
	t.Parallel()
	server := notifytest.New(t)
	if err := notify.TryMail(t.Context(), server.URL("offramp", password)); err != nil {
		t.Error(err)
	}
	server.Misbehave(notifytest.Fault{Login: "535 no, " + password})
	if err := notify.TryMail(t.Context(), server.URL("offramp", password)); err == nil || strings.Contains(err.Error(), password) {
		t.Errorf("error %v", err)
	}
	if len(server.Mails()) != 0 {
		t.Error("it sent something")
	}
}
