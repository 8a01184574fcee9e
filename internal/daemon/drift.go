package daemon

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"offramp/internal/config"
	"offramp/internal/drift"
	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/internal/store"
)

// newSweeper builds what compares each organization with what is meant.
func (d *Daemon) newSweeper(orgs []runner.Organization) (*drift.Sweeper, error) {
	o := drift.Options{
		Store: d.store, AccessConfigured: len(d.cfg.Access.Groups) > 0, Observe: d.cfg.Mode == config.Observe, Every: d.cfg.Drift.Interval,
		PendingAfter: d.cfg.Drift.PendingAfter, AdminGroups: d.cfg.Drift.AdminGroups, Tolerance: d.opts.Tempo.Tolerance,
		Audience: d.sender.Audience(), Log: d.opts.Log.Named("drift"),
	}
	for _, org := range orgs {
		one := drift.Organization{Name: org.Name, Client: org.Client.ReadOnly(), Roles: org.Roles, Audit: org.Audit}
		for _, p := range org.Projects {
			one.Projects = append(one.Projects, p.ID)
		}
		o.Organizations = append(o.Organizations, one)
	}
	for _, c := range d.cfg.Connections {
		o.Connections = append(o.Connections, drift.Connection{Name: c.Name, Organizations: c.Organizations, Domains: c.Domains})
	}
	return drift.New(o)
}

// driftGauges are read from the record, like gauges.
type driftGauges struct {
	store    *store.Store
	cfg      *config.Config
	findings *prometheus.Desc
	last     *prometheus.Desc
}

func newDriftGauges(s *store.Store, cfg *config.Config) *driftGauges {
	return &driftGauges{
		store: s, cfg: cfg,
		findings: prometheus.NewDesc("offramp_drift_findings", "Open findings of the comparison with Amplitude.", []string{"kind", "severity"}, nil),
		last: prometheus.NewDesc("offramp_drift_last_sweep_timestamp_seconds",
			"When the last comparison ended that can be trusted; 0: none did.", []string{"organization"}, nil),
	}
}

// Describe names the gauges.
func (g *driftGauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- g.findings
	ch <- g.last
}

// Collect reads the record. Where that fails, offramp_gauges_failed tells.
func (g *driftGauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	counts, err := g.store.CountFindings(ctx)
	if err != nil {
		return
	}
	number := map[[2]string]int{}
	for _, k := range offboard.FindingKinds() {
		number[[2]string{string(k), string(k.Severity())}] = 0
	}
	for _, c := range counts {
		number[[2]string{string(c.Kind), string(c.Severity)}] = c.Number
	}
	for labels, n := range number {
		ch <- prometheus.MustNewConstMetric(g.findings, prometheus.GaugeValue, float64(n), labels[0], labels[1])
	}
	if g.cfg.Drift.Interval == 0 {
		return // nothing is late that is not on a schedule
	}
	for _, o := range g.cfg.Organizations {
		w, err := g.store.SweepOf(ctx, o.Name)
		if err != nil {
			return
		}
		at := 0.0
		if !w.Trusted.IsZero() {
			at = float64(w.Trusted.Unix())
		}
		ch <- prometheus.MustNewConstMetric(g.last, prometheus.GaugeValue, at, o.Name)
	}
}

func organizationNames(cfg *config.Config) []string {
	var out []string
	for _, o := range cfg.Organizations {
		out = append(out, o.Name)
	}
	return out
}
