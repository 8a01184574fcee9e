package daemon

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"offramp/internal/config"
	"offramp/internal/offboard"
	"offramp/internal/runner"
	"offramp/internal/store"
)

// gauges are read from the record whenever Prometheus asks, so that every
// replica tells the same and a restart forgets nothing.
type gauges struct {
	store       *store.Store
	connections []string
	orgs        []config.Organization
	cases       *prometheus.Desc
	oldest      *prometheus.Desc
	overdue     *prometheus.Desc
	tasks       *prometheus.Desc
	expiry      *prometheus.Desc
	failed      *prometheus.Desc
	used        *prometheus.Desc
	eta         *prometheus.Desc
	rotations   *prometheus.Desc
	reviewDue   *prometheus.Desc
	undecided   *prometheus.Desc
}

func newGauges(s *store.Store, cfg *config.Config) *gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("offramp_"+name, help, labels, nil)
	}
	return &gauges{
		store: s, connections: connectionNames(cfg), orgs: cfg.Organizations,
		cases:     desc("cases", "Live cases by plan and state.", "plan", "state"),
		oldest:    desc("oldest_open_case_seconds", "Age of the oldest live case, from when it might begin.", "plan"),
		overdue:   desc("cases_overdue", "Live cases past their due time.", "plan"),
		tasks:     desc("tasks_overdue", "Open tasks past their due time.", "kind"),
		expiry:    desc("token_expiry_timestamp_seconds", "When the last token of a connection expires; 0: never.", "connection"),
		used:      desc("amplitude_budget_used_ratio", "Requests of the last minute against the rate.", "organization"),
		eta:       desc("queue_eta_seconds", "How long the cases that wait for a request will take.", "organization"),
		rotations: desc("rotations", "Replacements of credentials, by how far they have come.", "state"),
		reviewDue: desc("review_due_timestamp_seconds", "When the access review that is live has to be decided; 0: none is live."),
		undecided: desc("review_undecided", "Seats of the live access review that nobody has decided about."),
		failed:    desc("gauges_failed", "1 while the record could not be read for these gauges."),
	}
}

// Describe names the gauges.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.cases, g.oldest, g.overdue, g.tasks, g.expiry, g.failed, g.used, g.eta, g.rotations, g.reviewDue, g.undecided} {
		ch <- d
	}
}

// Collect reads the record.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	set := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	st, err := g.store.Stats(ctx)
	if err != nil {
		set(g.failed, 1)
		return
	}
	set(g.failed, 0)
	count := map[[2]string]int{}
	oldest := map[offboard.PlanName]time.Time{}
	for _, c := range st.Cases {
		count[[2]string{string(c.Plan), string(c.State)}] = c.Number
		if t := oldest[c.Plan]; t.IsZero() || c.Oldest.Before(t) {
			oldest[c.Plan] = c.Oldest
		}
	}
	for _, p := range offboard.Plans() {
		for _, s := range offboard.States() {
			if s.Live() {
				set(g.cases, float64(count[[2]string{string(p), string(s)}]), string(p), string(s))
			}
		}
		age := 0.0
		if t := oldest[p]; !t.IsZero() {
			age = max(time.Since(t).Seconds(), 0) // a case that waits for its time has no age yet
		}
		set(g.oldest, age, string(p))
		set(g.overdue, float64(st.Overdue[p]), string(p))
	}
	for _, k := range offboard.TaskKinds() {
		set(g.tasks, float64(st.TasksOverdue[k]), string(k))
	}
	if counts, err := g.store.RotationCounts(ctx); err == nil {
		for _, s := range offboard.RotationStates() {
			set(g.rotations, float64(counts[s]), string(s))
		}
	}
	g.review(ctx, set)
	for _, o := range g.orgs {
		load, err := g.store.Load(ctx, o.Name)
		if err != nil {
			continue
		}
		set(g.used, float64(load.Used)/float64(o.Rate), o.Name)
		set(g.eta, 60*float64(load.Waiting)/float64(runner.Ordinary(o.Rate)), o.Name)
	}
	for _, c := range g.connections {
		g.tokens(ctx, c, set)
	}
}

// review tells how the live access review stands.
func (g *gauges) review(ctx context.Context, set func(*prometheus.Desc, float64, ...string)) {
	list, err := g.store.Reviews(ctx, 1)
	if err != nil {
		return
	}
	if len(list) == 0 || !list[0].Live() {
		set(g.reviewDue, 0)
		set(g.undecided, 0)
		return
	}
	if p, err := g.store.ReviewProgress(ctx, list[0].ID); err == nil {
		set(g.reviewDue, float64(list[0].Due.Unix()))
		set(g.undecided, float64(p.Undecided))
	}
}

// tokens tells when the last live token of a connection expires.
func (g *gauges) tokens(ctx context.Context, connection string, set func(*prometheus.Desc, float64, ...string)) {
	list, err := g.store.Tokens(ctx, connection)
	if err != nil {
		return
	}
	last, live := 0.0, false
	for _, t := range list {
		switch {
		case !t.Live(time.Now()):
		case t.Expires.IsZero():
			set(g.expiry, 0, connection)
			return
		default:
			live = true
			last = max(last, float64(t.Expires.Unix()))
		}
	}
	if live || len(list) == 0 {
		set(g.expiry, last, connection)
	}
}
