package store

import (
	"context"
	"fmt"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store/db"
)

// post records a new message, with a line on its case's timeline. One with the
// same key and recipient is there already and stays as it is.
func (t *tx) post(ctx context.Context, caseID string, m offboard.Message) error {
	if m.State == "" {
		m.State = offboard.MessagePending
	}
	next := m.After
	if next.Before(t.now) {
		next = t.now
	}
	n, err := t.InsertMessage(ctx, db.InsertMessageParams{
		ID: newID(), CaseID: caseID, MsgKey: m.Key, Recipient: m.To, About: string(m.About), Subject: m.Subject, Body: m.Text,
		TaskKey: m.TaskKey, Approve: m.Approve, State: string(m.State), NextAt: millis(next), CreatedAt: t.now.UnixMilli(),
	})
	if err != nil {
		return fmt.Errorf("record a message: %w", err)
	}
	if n == 0 || caseID == "" {
		return nil
	}
	return t.write(ctx, caseID, m.Entry())
}

// Post records messages outside any checkpoint: announcements, whose CaseID is
// empty, and what a clock says about a case, which may have ended. One that is
// recorded already changes nothing. ErrNotFound: a message names an unknown case.
func (s *Store) Post(ctx context.Context, messages ...offboard.Message) error {
	if len(messages) == 0 {
		return nil
	}
	return s.transact(ctx, func(t *tx) error {
		for _, m := range messages {
			if m.CaseID != "" {
				if _, err := t.LockCase(ctx, m.CaseID); err != nil {
					return fmt.Errorf("record a message: %w", missing(err))
				}
			}
			if err := t.post(ctx, m.CaseID, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// ClaimMessages takes messages whose time has come for one attempt each. Until
// the lease ends nobody else gets them; one whose attempt is not recorded by
// then is due again. While Offramp is paused only announcements are due.
func (s *Store) ClaimMessages(ctx context.Context, most int, lease time.Duration) (list []offboard.Message, err error) {
	due, err := s.queries().CountDueMessages(ctx, s.now().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("look for messages: %w", err)
	}
	if due == 0 {
		return nil, nil
	}
	err = s.transact(ctx, func(t *tx) error {
		rows, err := t.ClaimMessages(ctx, db.ClaimMessagesParams{
			LeaseUntil: t.now.Add(lease).UnixMilli(), Now: t.now.UnixMilli(), Most: int32(most),
		})
		if err != nil {
			return fmt.Errorf("claim messages: %w", err)
		}
		list = list[:0]
		for _, r := range rows {
			list = append(list, messageOf(r))
		}
		return nil
	})
	return list, err
}

// SaveMessage records what an attempt came to: a message that is still pending
// is due again at next. One that ended is not changed any more; its end goes to
// its case's timeline, whether or not the case has ended.
func (s *Store) SaveMessage(ctx context.Context, m offboard.Message, next time.Time) error {
	return s.transact(ctx, func(t *tx) error {
		n, err := t.SaveMessage(ctx, db.SaveMessageParams{
			State: string(m.State), Attempts: int64(m.Attempts), FirstAt: millis(m.First), NextAt: millis(next),
			SentAt: millis(m.Sent), Error: m.Error, ID: m.ID,
		})
		if err != nil {
			return fmt.Errorf("save a message: %w", err)
		}
		e, ended := m.Ended()
		if n == 0 || !ended || m.CaseID == "" {
			return nil
		}
		return t.addendum(ctx, m.CaseID, e)
	})
}

// Messages lists a case's messages, oldest first; of an empty id, announcements.
func (s *Store) Messages(ctx context.Context, caseID string) ([]offboard.Message, error) {
	rows, err := s.queries().MessagesOf(ctx, caseID)
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	out := make([]offboard.Message, 0, len(rows))
	for _, r := range rows {
		out = append(out, messageOf(r))
	}
	return out, nil
}

// OldestMessage is when the oldest message that could not be delivered yet was
// first tried; zero: there is none.
func (s *Store) OldestMessage(ctx context.Context) (time.Time, error) {
	at, err := s.queries().OldestMessage(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the oldest message: %w", err)
	}
	return moment(at), nil
}

// TasksToRemind lists open tasks that are near their due time or past it and of
// which no message says so yet, those due first. Tasks that nobody is named for
// are listed only with channels.
func (s *Store) TasksToRemind(ctx context.Context, channels bool, most int) ([]offboard.Task, error) {
	rows, err := s.queries().TasksToRemind(ctx, db.TasksToRemindParams{Channels: channels, Now: s.now().UnixMilli(), Most: int32(most)})
	if err != nil {
		return nil, fmt.Errorf("list tasks to remind of: %w", err)
	}
	out := make([]offboard.Task, 0, len(rows))
	for _, r := range rows {
		out = append(out, taskOf(r))
	}
	return out, nil
}

// afterEnd lets an ended case be told what was done after it: follow-ups.
func (s *Store) afterEnd(ctx context.Context, t *tx, row db.Case, f offboard.File, decide func(offboard.File) (offboard.Update, error)) (offboard.File, error) {
	u, err := decide(f)
	if err != nil {
		return f, err
	}
	if !u.AfterEnd() {
		return f, ErrEnded
	}
	if err := t.children(ctx, row.ID, u); err != nil {
		return f, err
	}
	return s.file(ctx, t.Queries, row)
}

func messageOf(r db.Message) offboard.Message {
	return offboard.Message{
		ID: r.ID, CaseID: r.CaseID, Key: r.MsgKey, To: r.Recipient, About: offboard.About(r.About), Subject: r.Subject,
		Text: r.Body, TaskKey: r.TaskKey, Approve: r.Approve, State: offboard.MessageState(r.State),
		Attempts: int(r.Attempts), First: moment(r.FirstAt), Sent: moment(r.SentAt), Error: r.Error,
	}
}
