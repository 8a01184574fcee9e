package daemon

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"offramp/internal/config"
	"offramp/internal/offboard"
	"offramp/internal/store"
)

// braked tells everybody that a brake engaged. It is called after the commit and
// must not hold it up.
func (d *Daemon) braked(b offboard.Brake) {
	d.opts.Log.Warn("the brake engaged: cases are held for an operator to decide", zap.String("scope", string(b.Scope)),
		zap.String("name", b.Name), zap.String("because", b.Because))
	if d.sender == nil {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		err := d.sender.Announce(ctx, offboard.AboutBrake, "brake/"+b.ID, "The brake engaged for "+b.Name,
			"Cases are held: "+b.Because+". Nothing more is done in them until somebody decides. See: offramp brake show")
		if err != nil {
			d.opts.Log.Warn("announce the brake", zap.Error(err))
		}
	}()
}

// brakeGauge tells which brakes are engaged.
type brakeGauge struct {
	store   *store.Store
	names   [][2]string // scope and name
	engaged *prometheus.Desc
}

func newBrakeGauge(s *store.Store, cfg *config.Config) *brakeGauge {
	g := &brakeGauge{store: s, engaged: prometheus.NewDesc(
		"offramp_brake_engaged", "1 while the brake of an organization, or of a connection's incidents, holds cases.", []string{"scope", "name"}, nil,
	)}
	for _, o := range cfg.Organizations {
		g.names = append(g.names, [2]string{string(offboard.BrakeOrganization), o.Name})
	}
	for _, c := range cfg.Connections {
		g.names = append(g.names, [2]string{string(offboard.BrakeConnection), c.Name})
	}
	return g
}

// Describe names the gauge.
func (g *brakeGauge) Describe(ch chan<- *prometheus.Desc) { ch <- g.engaged }

// Collect reads the record.
func (g *brakeGauge) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	list, err := g.store.Brakes(ctx, 0)
	if err != nil {
		return // offramp_gauges_failed tells
	}
	on := map[[2]string]float64{}
	for _, b := range list {
		on[[2]string{string(b.Scope), b.Name}] = 1
	}
	for _, n := range g.names {
		ch <- prometheus.MustNewConstMetric(g.engaged, prometheus.GaugeValue, on[n], n[0], n[1])
	}
}
