package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// A link that is not good any more may put this many sentences into the
// timeline of its case, and one in this time: whoever holds it must not be able
// to fill the record.
const (
	linkNotes     = 5
	linkNoteEvery = time.Hour
)

// NewLink makes a personal link and returns its secret, which is stored
// nowhere: 256 random bits as text, fit for the last part of a URL's path. It
// may be called again for the same person and task; each link is good by itself
// until one of them settles the matter.
// *offboard.RefusedError: what it would be for is not open.
func (s *Store) NewLink(ctx context.Context, l offboard.Link) (secret string, err error) {
	secret = NewSecret()
	err = s.transact(ctx, func(t *tx) error {
		_, f, err := s.locked(ctx, t, offboard.Fence{CaseID: l.CaseID})
		if err != nil {
			return err
		}
		if err := offboard.CheckLink(f, l, t.now); err != nil {
			return err
		}
		_, err = t.LinkByHash(ctx, secretHash(secret))
		if err == nil {
			return nil // the first attempt did commit
		}
		if !errors.Is(missing(err), ErrNotFound) {
			return fmt.Errorf("read link: %w", err)
		}
		err = t.InsertLink(ctx, db.InsertLinkParams{
			Hash: secretHash(secret), CaseID: l.CaseID, TaskID: l.TaskID, Person: l.Person, CreatedAt: t.now.UnixMilli(),
			ExpiresAt: millis(l.Until),
		})
		if err != nil {
			return fmt.Errorf("insert link: %w", err)
		}
		if l.By == "" {
			return nil
		}
		text := fmt.Sprintf("made a link for %s, good until %s, to %s", l.Purpose(f), l.Until.UTC().Format(time.RFC3339), l.Person)
		return t.write(ctx, l.CaseID, offboard.Entry{Actor: l.By, Kind: "link", Text: text})
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// Link returns what a link is for, also when it is not good any more, with its
// case. It changes nothing. ErrNotFound: there never was such a link.
func (s *Store) Link(ctx context.Context, secret string) (offboard.Link, offboard.File, error) {
	l, err := s.link(ctx, s.queries(), secret)
	if err != nil {
		return l, offboard.File{}, err
	}
	f, err := s.Case(ctx, l.CaseID)
	return l, f, err
}

// link reads a link and whether its person is still there.
func (s *Store) link(ctx context.Context, q *db.Queries, secret string) (offboard.Link, error) {
	r, err := q.LinkByHash(ctx, secretHash(secret))
	if err != nil {
		return offboard.Link{}, fmt.Errorf("read link: %w", missing(err))
	}
	l := offboard.Link{
		CaseID: r.CaseID, TaskID: r.TaskID, Person: r.Person, Until: moment(r.ExpiresAt), Created: moment(r.CreatedAt),
		Used: moment(r.UsedAt), Ended: moment(r.EndedAt),
	}
	holders, err := q.PeopleByAddress(ctx, offboard.Fold(l.Person))
	if err != nil {
		return l, fmt.Errorf("find the person of a link: %w", err)
	}
	l.Left = len(holders) > 0 // somebody whom no identity provider told about cannot have left
	for _, p := range holders {
		l.Left = l.Left && (!p.Active || p.DeletedAt != 0)
	}
	return l, nil
}

// UseLink lets a link's person decide, once. decide sees the link and the case
// as they are in the transaction that records both the decision and the use;
// where it refuses, the link stays good.
// ErrNotFound: there never was such a link; *offboard.LinkError: it is not good
// any more.
func (s *Store) UseLink(ctx context.Context, secret string, decide func(offboard.Link, offboard.File) (offboard.Update, error)) (f offboard.File, err error) {
	err = s.transact(ctx, func(t *tx) error {
		l, err := s.link(ctx, t.Queries, secret)
		if err != nil {
			return err
		}
		f, err = s.act(ctx, t, l.CaseID, func(f offboard.File) (offboard.Update, error) {
			// The case is locked now: nobody else settles it, or uses the link.
			l, err := s.link(ctx, t.Queries, secret)
			if err != nil {
				return offboard.Update{}, err
			}
			if over := l.Over(t.now); over != nil {
				return offboard.Update{}, over
			}
			u, err := decide(l, f)
			if err != nil {
				return u, err
			}
			n, err := t.UseLink(ctx, db.UseLinkParams{Now: t.now.UnixMilli(), Hash: secretHash(secret)})
			if err == nil && n == 0 {
				return u, &offboard.LinkError{End: offboard.LinkUsed, At: t.now}
			}
			return u, err
		})
		if errors.Is(err, ErrEnded) {
			return overAt(l, f.Case.Closed, t.now)
		}
		return err
	})
	return f, err
}

// overAt is the end of a link whose case has ended.
func overAt(l offboard.Link, closed, now time.Time) error {
	if over := l.Over(now); over != nil {
		return over
	}
	return &offboard.LinkError{End: offboard.LinkSettled, At: closed}
}

// NoteLink puts a sentence about a link that is not good any more into the
// timeline of its case, unless the case has ended or the link has said enough.
func (s *Store) NoteLink(ctx context.Context, secret, text string) error {
	return s.transact(ctx, func(t *tx) error {
		l, err := t.LinkByHash(ctx, secretHash(secret))
		if err != nil {
			return fmt.Errorf("read link: %w", missing(err))
		}
		row, err := t.LockCase(ctx, l.CaseID)
		if err != nil {
			return fmt.Errorf("lock case: %w", missing(err))
		}
		if row.ClosedAt != 0 {
			return nil
		}
		n, err := t.NoteLink(ctx, db.NoteLinkParams{
			Now: t.now.UnixMilli(), Hash: l.Hash, Most: linkNotes, Since: t.now.Add(-linkNoteEvery).UnixMilli(),
		})
		if err != nil {
			return fmt.Errorf("note link: %w", err)
		}
		if n == 0 {
			return nil
		}
		return t.write(ctx, l.CaseID, offboard.Entry{Actor: "offramp", Kind: "link", Text: text})
	})
}

// endLinks ends what links are for, of an update that settles it.
func (t *tx) endLinks(ctx context.Context, caseID string, u offboard.Update) error {
	var settled []string
	for _, k := range u.Tasks {
		if k.State != offboard.TaskOpen && k.ID != "" {
			settled = append(settled, k.ID)
		}
	}
	for _, s := range u.Steps {
		if s.Name == offboard.StepApprove && (s.State == offboard.StepDone || s.State == offboard.StepSkipped) {
			settled = append(settled, "")
		}
	}
	for _, task := range settled {
		err := t.EndTaskLinks(ctx, db.EndTaskLinksParams{Now: t.now.UnixMilli(), CaseID: caseID, TaskID: task})
		if err != nil {
			return fmt.Errorf("end links: %w", err)
		}
	}
	return nil
}
