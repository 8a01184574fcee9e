package daemon

import (
	"context"

	"offramp/internal/offboard"
	"offramp/internal/review"
)

// newReviews builds what carries access reviews through.
func (d *Daemon) newReviews(rules *rules) (*review.Reviews, error) {
	orgs, err := d.organizations()
	if err != nil {
		return nil, err
	}
	o := review.Options{
		Store: d.store, Reach: d.reach(), Connections: connectionNames(d.cfg), Rules: rules.of, Reachable: reachable(d.cfg),
		Access: len(d.cfg.Access.Groups) > 0, Every: d.cfg.Review.Every, Due: d.cfg.Review.Due, Inactive: d.cfg.Review.Inactive,
		Downgrade: d.cfg.Review.Downgrade, Log: d.opts.Log.Named("review"),
		Logins: d.store.Logins,
		Announce: func(ctx context.Context, key, subject, body string) error {
			return d.sender.Announce(ctx, offboard.AboutReview, key, subject, body)
		},
	}
	for _, org := range orgs {
		one := review.Organization{Name: org.Name, Client: org.Client, Roles: org.Roles}
		for _, p := range org.Projects {
			one.Projects = append(one.Projects, review.Project{ID: p.ID, Name: p.Name})
		}
		o.Organizations = append(o.Organizations, one)
	}
	return review.New(o)
}
