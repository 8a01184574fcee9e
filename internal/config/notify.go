package config

import (
	"fmt"
	"slices"
	"strings"
)

// Notify says by what ways people are told. The URLs are secrets, since they
// hold passwords and tokens; what is wrong with one is told by who sends.
type Notify struct {
	Email    Secret    `yaml:"email"`    // smtp:// URL of the mail server, without recipients; not set: no mail
	Channels []Channel `yaml:"channels"` // none: nothing is announced
}

// Channel is a place where several people read.
type Channel struct {
	Name  string   `yaml:"name"`  // required, unique
	URL   Secret   `yaml:"url"`   // required; a shoutrrr URL
	About []string `yaml:"about"` // required; see ChannelSubjects
}

// ChannelSubjects lists what a channel may be about.
func ChannelSubjects() []string {
	return []string{"approvals", "tasks", "security", "removals", "drift", "brake"}
}

// FollowUp is what somebody does elsewhere after a removal.
type FollowUp struct {
	Title    string `yaml:"title"`    // required
	Text     string `yaml:"text"`     // what to do
	Assignee string `yaml:"assignee"` // an address; empty: any operator
}

// maxTitle is how long a follow-up's title may be: it is a message's subject.
const maxTitle = 120

func (v *validator) notify() {
	names := map[string]string{}
	for i, c := range v.c.Notify.Channels {
		key := fmt.Sprintf("notify.channels[%d]", i)
		v.name(names, c.Name, key+".name")
		v.require(c.URL.IsSet(), "add the URL of the channel, as {env: NAME} or {file: PATH}", key+".url")
		v.require(len(c.About) > 0, "add what the channel is told about: "+strings.Join(ChannelSubjects(), ", "), key+".about")
		v.strings(c.About, func(s string) bool { return slices.Contains(ChannelSubjects(), s) },
			"write one of "+strings.Join(ChannelSubjects(), ", "), key+".about")
	}
}

func (v *validator) followUps(list []FollowUp, key string) {
	titles := map[string]string{}
	for i, f := range list {
		at := fmt.Sprintf("%s[%d]", key, i)
		title := strings.TrimSpace(f.Title)
		v.require(title != "" && len(title) <= maxTitle && !strings.ContainsAny(title, "\r\n"),
			fmt.Sprintf("write in a line of at most %d characters what is to be done", maxTitle), at+".title")
		v.unique(titles, title, "write another title", "%s", at+".title")
		v.require(f.Assignee == "" || isAddress(f.Assignee), "write an e-mail address", at+".assignee")
	}
}
