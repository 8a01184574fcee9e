package console

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"offramp/internal/offboard"
)

// Reviews carries access reviews through.
type Reviews interface {
	List(ctx context.Context, most int) ([]offboard.Review, error)
	Read(ctx context.Context, id string) (offboard.Review, []offboard.ReviewItem, error)
	Start(ctx context.Context, by string, due time.Duration) (offboard.Review, error)
	Decide(ctx context.Context, id string, addresses []string, w offboard.ReviewWord) ([]offboard.ReviewDecided, error)
	KeepUnremarkable(ctx context.Context, id, by, because string) (int, error)
	Finish(ctx context.Context, id, by string) error
	Progress(ctx context.Context, id string) (offboard.Progress, error)
	// Next is when the review after one begins; zero: when somebody asks.
	Next(r offboard.Review) time.Time
	// Report writes a review in one of the forms csv and html.
	Report(w io.Writer, format string, r offboard.Review, items []offboard.ReviewItem, p offboard.Progress) error
}

// Review is an access review and how far it has come.
type Review struct {
	ID       string               `json:"id"`
	State    offboard.ReviewState `json:"state"`
	By       string               `json:"by"`
	Note     string               `json:"note,omitempty"`    // what could not be seen
	Trouble  string               `json:"trouble,omitempty"` // why the members cannot be read
	Troubled time.Time            `json:"trouble_since,omitzero"`
	Started  time.Time            `json:"started"`
	Due      time.Time            `json:"due"`
	Overdue  bool                 `json:"overdue,omitempty"`
	Compared time.Time            `json:"compared,omitzero"`
	Closed   time.Time            `json:"closed,omitzero"`
	ClosedBy string               `json:"closed_by,omitempty"`
	Next     time.Time            `json:"next,omitzero"`      // when the review after this one begins
	Progress *offboard.Progress   `json:"progress,omitempty"` // of one review, not in lists
	Items    []ReviewItem         `json:"items,omitempty"`    // likewise
}

// ReviewItem is one seat under review.
type ReviewItem struct {
	Organization string                  `json:"organization"`
	Address      string                  `json:"address"`
	Name         string                  `json:"name,omitempty"`
	Connection   string                  `json:"connection,omitempty"`
	Seat         offboard.ReviewedSeat   `json:"seat"`
	Reasons      []string                `json:"reasons,omitempty"`
	Decision     offboard.ReviewDecision `json:"decision,omitempty"`
	By           string                  `json:"by,omitempty"`
	Because      string                  `json:"because,omitempty"`
	Decided      time.Time               `json:"decided,omitzero"`
	Case         string                  `json:"case,omitempty"`
	Note         string                  `json:"note,omitempty"`
	Words        []offboard.ReviewWord   `json:"words,omitempty"`
	After        *offboard.ReviewedSeat  `json:"after,omitempty"`
	Result       string                  `json:"result,omitempty"`
}

// ReviewList is the latest reviews, newest first.
type ReviewList struct {
	Reviews []Review `json:"reviews"`
}

// ReviewRequest begins a review.
type ReviewRequest struct {
	Days int `json:"days,omitempty"` // to decide; 0: as configured
}

// ReviewWord is a reviewer's decision about some seats.
type ReviewWord struct {
	Addresses    []string                `json:"addresses,omitempty"`
	Unremarkable bool                    `json:"unremarkable,omitempty"` // keep everybody without a reason to look
	Decision     offboard.ReviewDecision `json:"decision"`
	Because      string                  `json:"because"`
}

// ReviewResult tells how many seats a decision was about, and what became of
// each address.
type ReviewResult struct {
	Decided   int                      `json:"decided"`
	Addresses []offboard.ReviewDecided `json:"addresses,omitempty"`
}

func (c *Console) reviewOf(r offboard.Review) Review {
	return Review{
		ID: r.ID, State: r.State, By: r.By, Note: r.Note, Started: r.Started, Due: r.Due,
		Overdue: r.Live() && c.opts.Now().After(r.Due), Compared: r.Compared, Closed: r.Closed, ClosedBy: r.ClosedBy,
		Trouble: r.Trouble, Troubled: r.Troubled, Next: c.opts.Reviews.Next(r),
	}
}

func (c *Console) listReviews(r *http.Request, _ Operator) (int, any, error) {
	q, err := query(r, "limit")
	if err != nil {
		return 0, nil, err
	}
	limit, err := most(q)
	if err != nil {
		return 0, nil, err
	}
	all, err := c.opts.Reviews.List(r.Context(), limit)
	if err != nil {
		return 0, nil, err
	}
	out := ReviewList{Reviews: []Review{}}
	for _, one := range all {
		out.Reviews = append(out.Reviews, c.reviewOf(one))
	}
	return http.StatusOK, out, nil
}

func (c *Console) startReview(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[ReviewRequest](r)
	if err != nil {
		return 0, nil, err
	}
	if in.Days < 0 || in.Days > 366 {
		return 0, nil, bad(http.StatusUnprocessableEntity, "days is a number from 1 to 366, or left out")
	}
	review, err := c.opts.Reviews.Start(r.Context(), by.Name, time.Duration(in.Days)*24*time.Hour)
	if err != nil {
		return 0, nil, err
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", "start a review"), zap.String("review", review.ID))
	return http.StatusCreated, c.reviewOf(review), nil
}

// review reads the review of the path; "latest" is the newest one.
func (c *Console) review(r *http.Request) (offboard.Review, []offboard.ReviewItem, error) {
	id, err := pathID(r)
	if err != nil {
		return offboard.Review{}, nil, err
	}
	if id == "latest" {
		all, err := c.opts.Reviews.List(r.Context(), 1)
		if err != nil {
			return offboard.Review{}, nil, err
		}
		if len(all) == 0 {
			return offboard.Review{}, nil, bad(http.StatusNotFound, "there was no access review yet; begin one with: offramp review run")
		}
		id = all[0].ID
	}
	return c.opts.Reviews.Read(r.Context(), id)
}

func (c *Console) showReview(r *http.Request, _ Operator) (int, any, error) {
	review, items, err := c.review(r)
	if err != nil {
		return 0, nil, err
	}
	progress, err := c.opts.Reviews.Progress(r.Context(), review.ID)
	if err != nil {
		return 0, nil, err
	}
	out := c.reviewOf(review)
	out.Progress, out.Items = &progress, []ReviewItem{}
	for _, i := range items {
		out.Items = append(out.Items, ReviewItem{
			Organization: i.Organization, Address: i.Address, Name: i.Name, Connection: i.Connection, Seat: i.Seat, Reasons: i.Reasons,
			Decision: i.Decision, By: i.By, Because: i.Because, Decided: i.Decided, Case: i.Case, Note: i.Note, Words: i.Words, After: i.After, Result: i.Result(),
		})
	}
	return http.StatusOK, out, nil
}

// Report is a review as a file.
type Report struct {
	Format string `json:"format"`
	Text   string `json:"text"`
}

func (c *Console) reportReview(r *http.Request, _ Operator) (int, any, error) {
	q, err := query(r, "format")
	if err != nil {
		return 0, nil, err
	}
	review, items, err := c.review(r)
	if err != nil {
		return 0, nil, err
	}
	progress, err := c.opts.Reviews.Progress(r.Context(), review.ID)
	if err != nil {
		return 0, nil, err
	}
	var text strings.Builder
	if err := c.opts.Reviews.Report(&text, q.Get("format"), review, items, progress); err != nil {
		return 0, nil, bad(http.StatusBadRequest, "%s", err)
	}
	return http.StatusOK, Report{Format: q.Get("format"), Text: text.String()}, nil
}

func (c *Console) decideReview(r *http.Request, by Operator) (int, any, error) {
	in, err := decode[ReviewWord](r)
	if err == nil {
		err = tidy(&in.Because)
	}
	for i := range in.Addresses {
		if err == nil {
			err = tidy(&in.Addresses[i])
		}
	}
	if err != nil {
		return 0, nil, err
	}
	review, _, err := c.review(r)
	if err != nil {
		return 0, nil, err
	}
	out := ReviewResult{}
	switch {
	case in.Unremarkable && (len(in.Addresses) > 0 || in.Decision != offboard.ReviewKeep):
		return 0, nil, bad(http.StatusUnprocessableEntity, "unremarkable goes with the decision keep and without addresses")
	case in.Unremarkable:
		if strings.TrimSpace(in.Because) == "" {
			return 0, nil, bad(http.StatusUnprocessableEntity, "say because of what: it is what an auditor will read")
		}
		out.Decided, err = c.opts.Reviews.KeepUnremarkable(r.Context(), review.ID, by.Name, in.Because)
	case len(in.Addresses) == 0 || len(in.Addresses) > 1000:
		return 0, nil, bad(http.StatusUnprocessableEntity, "name 1 to 1000 addresses")
	default:
		out.Addresses, err = c.opts.Reviews.Decide(r.Context(), review.ID, in.Addresses,
			offboard.ReviewWord{Decision: in.Decision, By: by.Name, Because: in.Because})
		for _, one := range out.Addresses {
			out.Decided += one.Seats
		}
	}
	if err != nil {
		return 0, nil, err
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", "review: "+string(in.Decision)),
		zap.String("review", review.ID), zap.Int("seats", out.Decided))
	return http.StatusOK, out, nil
}

func (c *Console) closeReview(r *http.Request, by Operator) (int, any, error) {
	review, _, err := c.review(r)
	if err != nil {
		return 0, nil, err
	}
	if err := c.opts.Reviews.Finish(r.Context(), review.ID, by.Name); err != nil {
		return 0, nil, err
	}
	c.opts.Log.Info("operator", zap.String("operator", by.Name), zap.String("decision", "close a review"), zap.String("review", review.ID))
	if review, _, err = c.opts.Reviews.Read(r.Context(), review.ID); err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.reviewOf(review), nil
}
