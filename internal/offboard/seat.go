package offboard

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Seat is an address that is a member of an organization, as sweeps saw it.
type Seat struct {
	Organization string
	Address      string // as Amplitude writes it
	Name         string // as Amplitude shows it; of somebody pending it may say nothing
	Role         string // RoleAdmin where that is known; empty: not known
	Pending      bool   // a guess: invited and never joined
	FirstSeen    time.Time
	LastSeen     time.Time
	Gone         time.Time // when a trusted sweep no longer had it; zero: it is there
}

// RoleAdmin is the one role that a sweep records of a seat.
const RoleAdmin = "Admin"

// SeatGroup is a permission group that a seat is in.
type SeatGroup struct{ Address, ID, Name string }

// SeatQuery asks for a page of an organization's seats, by address.
type SeatQuery struct {
	Organization string
	After        string // address key of the last seat of the page before
	Most         int    // 0: 100
}

// SeatEvent is what the audit log tells about a seat.
type SeatEvent struct {
	Address string
	At      time.Time
	Action  string // feature/action, such as auth/login
	Actor   string // an address, or the name of what acted
}

// Login reports whether the event is somebody signing in.
func (e SeatEvent) Login() bool {
	return strings.HasPrefix(e.Action, "auth/") && strings.Contains(e.Action, "login")
}

// Holding is a person who holds an address, or held it when they were deleted.
type Holding struct {
	Person Person    // without groups; InAccess is filled
	Since  time.Time // as their seat, where it is that
	Seat   bool      // it is the address of their seat, or their user name; else one of their e-mails
}

// Alike is something that may be the same human as a seat.
type Alike struct {
	Address    string // of a seat or a person
	PersonID   string // empty: another seat
	Connection string // of the person
	By         Likeness
}

// Likeness says why two addresses may be one human's.
type Likeness string

// Why two addresses may be one human's. A name proves nothing by itself.
const (
	AlikePlus  Likeness = "plus"  // the same address but for its plus part
	AlikeEmail Likeness = "email" // another address of the same person
	AlikeName  Likeness = "name"  // the same name
)

// SeatFacts is what is known about a seat when it is compared with intent.
type SeatFacts struct {
	Seat     Seat
	Holdings []Holding
	Cases    []Case // of the address, newest first
	Alike    []Alike
	Events   []SeatEvent // oldest first
}

// CaseFacts is what is known about a live or lately ended case when an
// organization is compared with intent.
type CaseFacts struct {
	Case     Case
	Seat     *Seat           // of the case's address; nil: no sweep ever saw one
	Identify json.RawMessage // what identify found, nil: it has not ended
	Removals []Effect        // of the step remove
	Again    time.Time       // when a later case removed the seat once more; zero: none did
	Ours     time.Time       // when another case removed the seat in the organization; zero: none did
	Holdings []Holding
	Events   []SeatEvent
}

// PersonFacts is somebody without a seat.
type PersonFacts struct {
	Person Person // without groups; InAccess is filled
	Live   bool   // has a live case
}

// GroupFacts is an address that permission groups hold and that has no seat.
type GroupFacts struct {
	Address  string
	Groups   []string  // their names
	Since    time.Time // when a sweep saw it first in one of them
	Holdings []Holding
	Cases    []Case // of the address, newest first
}

// OwnerFacts is an owner of content who has no seat.
type OwnerFacts struct {
	Owner    string // address key
	Assets   int
	Some     []Asset // a few of them
	Holdings []Holding
}

// Sweep is how the comparison of one organization stands.
type Sweep struct {
	Organization string
	Number       int64
	Claim        int64 // of the process that works at it: each one has its own
	Running      bool
	Asked        time.Time // by an operator, or by a process that stopped, and not begun since; zero: nobody asked
	AskedBy      string
	Started      time.Time
	Beat         time.Time
	Finished     time.Time
	Trusted      time.Time // when the last one ended that can be trusted; zero: none did
	Members      int       // that the last trusted one saw
	Note         string    // what was not checked, and why
	Failed       string    // why the last one is not trusted
	AuditUntil   time.Time
	AdminsAt     time.Time
	Progress     SweepProgress // how far it has come; zero: nothing to go on with
}

// SweepProgress is how far the member list has been read: with the seats that a sweep
// has recorded, what it takes to go on with it.
type SweepProgress struct {
	Next  int // position that is read next
	Total int // members announced last
	Ever  int // members announced in all
}

// Resumes reports whether a sweep that another process left can be gone on with.
// What was seen longer ago says too little about now.
func (s Sweep) Resumes(now time.Time) bool {
	const fresh = time.Hour
	return s.Progress.Next > 0 && now.Sub(s.Beat).Abs() <= fresh
}

// Due reports whether the next sweep may begin at now: every after the last one
// began, sooner where that one was not trusted, at once where somebody asked. A
// clock that was set back does not hold it up.
func (s Sweep) Due(every time.Duration, now time.Time) bool {
	if !s.Asked.IsZero() {
		return true
	}
	if every <= 0 {
		return false
	}
	if s.Failed != "" {
		every = min(every, again)
	}
	return s.Started.IsZero() || !now.Before(s.Started.Add(every)) || s.Started.After(now)
}

// again is how soon an organization is read again whose list was not trusted.
const again = 30 * time.Minute

// Abandoned reports whether a sweep that runs has shown no sign of life for so
// long that another may take over.
func (s Sweep) Abandoned(now time.Time) bool {
	const silence = 15 * time.Minute
	return now.Sub(s.Beat) > silence || s.Beat.Sub(now) > silence
}

// Plain returns the key of an address without its plus part.
func Plain(address string) string {
	key := Fold(address)
	local, domain, ok := strings.Cut(key, "@")
	if !ok {
		return key
	}
	local, _, _ = strings.Cut(local, "+")
	return local + "@" + domain
}

// Here returns who holds the address now: people who are not deleted.
func Here(all []Holding) []Holding {
	return slices.DeleteFunc(slices.Clone(all), func(h Holding) bool { return !h.Person.Deleted.IsZero() })
}
