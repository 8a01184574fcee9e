package config

import (
	"strings"
	"time"
)

// Drift says how often every organization is compared with what is meant.
type Drift struct {
	Interval     time.Duration `yaml:"interval"`      // between two sweeps; default 6h; 0: only by `offramp drift run`
	PendingAfter time.Duration `yaml:"pending_after"` // how old an invitation may get; default 336h; 0: not looked at
	AdminGroups  []string      `yaml:"admin_groups"`  // display names of IdP groups whose members may be admins; none: admins are not looked at
}

func (v *validator) drift() {
	d := v.c.Drift
	v.require(d.Interval == 0 || d.Interval >= 10*time.Minute && d.Interval <= 24*time.Hour,
		"write a duration from 10m to 24h, or 0s to compare only when an operator asks", "drift.interval")
	v.require(d.PendingAfter == 0 || d.PendingAfter >= time.Hour, "write a duration of 1h or more, such as 336h for two weeks, or 0s not to look", "drift.pending_after")
	v.strings(d.AdminGroups, func(s string) bool { return strings.TrimSpace(s) != "" }, "write the display name of a group", "drift.admin_groups")
}
