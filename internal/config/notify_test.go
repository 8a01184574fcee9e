package config_test

import (
	"strings"
	"testing"

	"offramp/internal/config"
)

func TestWhoIsToldIsReadAndChecked(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, minimal+`notify:
  email: {env: KEY}
  channels: [{name: team, url: {env: OTHER_KEY}, about: [tasks, drift]}]
policies:
  - name: leavers
    follow_up: [{title: Update the roster, text: In the wiki., assignee: jo@example.com}]
`)
	if c.Notify.Email.Reveal() != "the-scim-key" || len(c.Notify.Channels) != 1 || c.Notify.Channels[0].About[1] != "drift" {
		t.Errorf("notify %+v", c.Notify)
	}
	if f := c.Policies[0].FollowUp; len(f) != 1 || f[0] != (config.FollowUp{Title: "Update the roster", Text: "In the wiki.", Assignee: "jo@example.com"}) {
		t.Errorf("follow-ups %+v", f)
	}
	if c := mustLoad(t, minimal); c.Notify.Email.IsSet() || len(c.Notify.Channels) != 0 {
		t.Error("somebody is told by default")
	}
	channel := func(keys string) string { return minimal + "notify: {channels: [{" + keys + "}]}\n" }
	followUp := func(keys string) string {
		return minimal + "policies: [{name: p, follow_up: [{" + keys + "}]}]\n"
	}
	for _, row := range []struct{ sentence, file, want string }{
		{"a URL in the file", minimal + "notify: {email: 'smtp://u:hunter2@mail'}\n", "notify.email: "},
		{"a channel without a name", channel("url: {env: KEY}, about: [tasks]"), "notify.channels[0].name: write a name"},
		{"a channel without a URL", channel("name: a, about: [tasks]"), "notify.channels[0].url: add the URL"},
		{"a channel about nothing", channel("name: a, url: {env: KEY}"), "notify.channels[0].about: add what the channel is told about: approvals"},
		{"a channel about something else", channel("name: a, url: {env: KEY}, about: [weather]"), "notify.channels[0].about[0]: write one of approvals"},
		{"a channel twice about the same", channel("name: a, url: {env: KEY}, about: [tasks, tasks]"), "notify.channels[0].about[1]: remove it"},
		{"two channels of one name", channel("name: a, url: {env: KEY}, about: [tasks]}, {name: a, url: {env: KEY}, about: [drift]"), "notify.channels[1].name: choose another name"},
		{"a follow-up without a title", followUp("text: x"), "policies[0].follow_up[0].title: write in a line"},
		{"a follow-up for no address", followUp("title: x, assignee: jo"), "policies[0].follow_up[0].assignee: write an e-mail address"},
		{"a follow-up twice", followUp("title: x}, {title: x"), "policies[0].follow_up[1].title: write another title"},
	} {
		_, problems := load(row.file)
		if got := problems.Error(); !strings.Contains(got, row.want) || strings.Contains(got, "hunter2") {
			t.Errorf("%s: told %q, want %q", row.sentence, got, row.want)
		}
	}
}
