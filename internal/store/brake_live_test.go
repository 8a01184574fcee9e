package store_test

import (
	"slices"
	"testing"
	"time"

	"offramp/internal/offboard"
	"offramp/internal/store"
)

// see records that a sweep saw the seats of these people.
func see(t *testing.T, s *store.Store, w offboard.Sweep, ids ...string) {
	t.Helper()
	var seats []offboard.Seat
	for _, id := range ids {
		p, err := s.Person(t.Context(), okta, id)
		if err != nil {
			t.Fatal(err)
		}
		seats = append(seats, offboard.Seat{Address: p.Address})
	}
	if err := s.SeeSeats(t.Context(), w, seats); err != nil {
		t.Fatal(err)
	}
}

// word lets every case that waits for a word about a brake go on, and ends it.
func word(t *testing.T, s *store.Store, name string) {
	t.Helper()
	brakes, err := s.Brakes(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(brakes, func(b offboard.Brake) bool { return b.Name == name && b.Released.IsZero() })
	if i < 0 {
		t.Fatalf("no brake of %s is engaged: %+v", name, brakes)
	}
	for _, k := range cases(t, s) {
		if k.Batch != brakes[i].ID || !k.Batched() {
			continue
		}
		if _, err := s.Act(t.Context(), k.ID, func(f offboard.File) (offboard.Update, error) {
			return offboard.ReleaseBatched(f, "jo", "checked")
		}); err != nil {
			t.Fatal(err)
		}
	}
	if left, ended, err := s.ReleaseBrake(t.Context(), brakes[i].ID, "jo", "checked"); err != nil || left != 0 || !ended {
		t.Fatalf("ended %v, %d are left, %v", ended, left, err)
	}
}

func engaged(t *testing.T, s *store.Store) (n int) {
	t.Helper()
	brakes, err := s.Brakes(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return len(brakes)
}

// Their cases opened one by one, weeks ago, when their leave dates were set: what
// happens to everybody at once now counts as if it opened now.
func TestLeaversWhoWaitForTheirDateAreCaughtWhenAllBeginAtOnce(t *testing.T) {
	t.Parallel()
	for name, all := range map[string]func(p *offboard.Person, now time.Time){
		"deactivated": func(p *offboard.Person, _ time.Time) { p.Active = false },
		"dates set to yesterday": func(p *offboard.Person, now time.Time) {
			p.Claims.LeaveDate = now.Add(-24 * time.Hour).Format(time.DateOnly)
		},
		"dates set to an hour on": func(p *offboard.Person, now time.Time) { p.Claims.LeaveDate = now.Add(time.Hour).Format(time.RFC3339) },
	} {
		for _, d := range databases() {
			t.Run(name+"/"+d.name, func(t *testing.T) {
				s, clock := d.open(t)
				ids := staff(t, s, 30)
				for i, id := range ids {
					change(t, s, id, braking(), func(p *offboard.Person) {
						p.Claims.LeaveDate = clock.now().Add(90 * 24 * time.Hour).Format(time.DateOnly)
					})
					if clock.pass(time.Hour); i == 3 { // a later date is no beginning
						change(t, s, id, braking(), func(p *offboard.Person) {
							p.Claims.LeaveDate = clock.now().Add(120 * 24 * time.Hour).Format(time.DateOnly)
						})
					}
				}
				if n := held(t, s); n != 0 {
					t.Fatalf("%d are held before", n)
				}
				for i, id := range ids {
					change(t, s, id, braking(), func(p *offboard.Person) { all(p, clock.now()) })
					if n := held(t, s); i < 6 && n != 0 || i == 6 && n != 7 {
						t.Fatalf("after %d, %d are held", i+1, n)
					}
				}
				if n := held(t, s); n != len(ids) {
					t.Errorf("%d of %d are held", n, len(ids))
				}
			})
		}
	}
}

// One who waits for a date is no mass: the brake lets them begin sooner.
func TestOneLeaverMayBeginSooner(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			id := staff(t, s, 1)[0]
			change(t, s, id, braking(), func(p *offboard.Person) {
				p.Claims.LeaveDate = clock.now().Add(24 * time.Hour).Format(time.DateOnly)
			})
			for range 10 { // and may do so again and again
				change(t, s, id, braking(), func(p *offboard.Person) { p.Active = false })
				change(t, s, id, braking(), func(p *offboard.Person) { p.Active = true })
			}
			if n := held(t, s); n != 0 || engaged(t, s) != 0 {
				t.Errorf("%d are held", n)
			}
		})
	}
}

// A clock that was a day ahead when a brake was released does not switch it off.
func TestAClockThatWasAheadDoesNotSwitchTheBrakeOff(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			ids := staff(t, s, 40)
			clock.pass(24 * time.Hour)
			for _, id := range ids[:7] {
				leave(t, s, id)
			}
			word(t, s, "acme")
			clock.pass(-24 * time.Hour) // put right
			for _, id := range ids[7:13] {
				leave(t, s, id)
			}
			if n := held(t, s); n != 0 {
				t.Fatalf("%d of six are held: cases of a time to come do not count", n)
			}
			for _, id := range ids[13:] {
				leave(t, s, id)
			}
			if n := held(t, s); n != 33 {
				t.Errorf("%d of 33 are held", n)
			}
		})
	}
}

// That a leaver is declared an incident never stops a removal that goes on: where
// the emergency brake holds it, the case stays what it was.
func TestToBeMoreUrgentStopsNoRemoval(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			ids := staff(t, s, 8)
			for _, id := range ids {
				leave(t, s, id)
				clock.pass(20 * time.Minute)
			}
			for _, id := range ids {
				change(t, s, id, braking(), func(p *offboard.Person) { p.Claims.LeaveReason = "security_incident" })
			}
			urgent, beside := 0, 0
			for _, k := range cases(t, s) {
				switch {
				case k.Plan == offboard.Emergency:
					urgent++
				case k.Plan == offboard.Leaver && k.State != offboard.StateHeld && k.Batch != "":
					beside++
				}
			}
			if n := held(t, s); n != 0 || urgent != 5 || beside != 3 {
				t.Fatalf("%d are held, %d are incidents, %d go on as they were", n, urgent, beside)
			}
			if engaged(t, s) != 1 {
				t.Fatal("the emergency brake is not engaged")
			}
			word(t, s, okta)
			change(t, s, ids[7], braking(), func(p *offboard.Person) { p.Claims.Ticket = "SEC-7" })
			urgent = 0
			for _, k := range cases(t, s) {
				if k.Plan == offboard.Emergency {
					urgent++
				}
			}
			if urgent != 6 {
				t.Errorf("%d are incidents after a person's word about the brake", urgent)
			}
		})
	}
}

// What an operator let go on is not caught again, and stays on its way where it
// is declared an incident after others.
func TestWhatWasReleasedIsNotCaughtAgain(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			ids := staff(t, s, 20)
			for _, id := range ids[:7] {
				leave(t, s, id)
			}
			word(t, s, "acme")
			clock.pass(time.Second)
			for _, id := range ids[:7] {
				change(t, s, id, braking(), func(p *offboard.Person) { p.Claims.LeaveReason = "security_incident" })
			}
			for _, id := range ids[7:14] {
				leave(t, s, id)
			}
			for _, k := range cases(t, s) {
				released := slices.Contains(ids[:7], k.PersonID)
				if released == (k.State == offboard.StateHeld) {
					t.Errorf("%s is %s", k.Address, k.State)
				}
			}
		})
	}
}

// An operator's incidents are confirmed by nature: they do not make an identity
// provider's first one wait.
func TestAnOperatorsIncidentsDoNotCount(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			ids := staff(t, s, 7)
			leave(t, s, ids[4]) // made an incident while it is live
			for _, id := range ids[:5] {
				order := offboard.Order{Reason: offboard.SecurityIncident, By: "jo"}
				if _, err := s.Reconsider(t.Context(), id, func(p offboard.Person, prior offboard.PriorCase) (*offboard.Decision, offboard.Verdict, error) {
					return offboard.OpenBy(p, prior, order, braking(), clock.now())
				}); err != nil {
					t.Fatal(err)
				}
			}
			change(t, s, ids[5], braking(), func(p *offboard.Person) { p.Active, p.Claims.LeaveReason = false, "security_incident" })
			if n := held(t, s); n != 0 || engaged(t, s) != 0 {
				t.Errorf("%d are held: %s", n, cases(t, s)[0].Note)
			}
		})
	}
}

// Of two organizations a case counts where the person has a seat, or may have one
// that the last comparison could not see.
func TestLeaversCountWhereTheyHaveASeat(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			ids := staff(t, s, 12)
			clock.pass(time.Hour)
			for org, seats := range map[string][]string{"main": ids, "sandbox": ids[:6]} {
				w, mine, err := s.BeginSweep(t.Context(), org, 6*time.Hour)
				if err != nil || !mine {
					t.Fatal(mine, err)
				}
				see(t, s, w, seats...)
				if w.Members = 20; org == "main" {
					w.Members = 4000
				}
				if err := s.EndSweep(t.Context(), w, nil, nil); err != nil {
					t.Fatal(err)
				}
			}
			clock.pass(time.Minute)
			r := braking()
			r.Brake.Count, r.Brake.Percent = 25, 10
			r.Brake.Organizations = []offboard.BrakeReach{{Name: "main", Connections: []string{okta}}, {Name: "sandbox", Connections: []string{okta}}}
			for _, id := range ids[6:] {
				change(t, s, id, r, func(p *offboard.Person) { p.Active = false })
			}
			if n := held(t, s); n != 0 {
				t.Fatalf("%d are held for an organization in which they have no seat", n)
			}
			for _, id := range ids[:4] {
				change(t, s, id, r, func(p *offboard.Person) { p.Active = false })
			}
			if n := held(t, s); n != 0 {
				t.Fatalf("%d of four are held", n)
			}
			late := hire(t, s, "late") // the comparison could not see them yet
			change(t, s, late.ID, r, func(p *offboard.Person) { p.Active = false })
			if n := held(t, s); n != 5 || engaged(t, s) != 1 {
				t.Errorf("%d are held, want the five of sandbox", n)
			}
		})
	}
}

// Who is held by one organization's brake needs one word, not one for each
// organization.
func TestOneWordIsEnoughForTwoOrganizations(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, clock := d.open(t)
			r := braking()
			r.Brake.Organizations = []offboard.BrakeReach{{Name: "main", Connections: []string{okta}}, {Name: "sandbox", Connections: []string{okta}}}
			ids := staff(t, s, 10)
			for _, id := range ids[:8] {
				change(t, s, id, r, func(p *offboard.Person) { p.Active = false })
			}
			if engaged(t, s) != 1 {
				t.Fatalf("%d brakes are engaged", engaged(t, s))
			}
			word(t, s, "main")
			clock.pass(time.Second)
			change(t, s, ids[8], r, func(p *offboard.Person) { p.Active = false })
			if n := held(t, s); n != 0 || engaged(t, s) != 0 {
				t.Errorf("%d are held after the word", n)
			}
		})
	}
}

// What opens while its brake is released is not held by a brake that ended.
func TestNobodyIsHeldByABrakeThatEnded(t *testing.T) {
	t.Parallel()
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s, _ := d.open(t)
			ids := staff(t, s, 24)
			for _, id := range ids[:7] {
				leave(t, s, id)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for _, id := range ids[7:] {
					leave(t, s, id)
				}
			}()
			brakes, err := s.Brakes(t.Context(), 5)
			if err != nil || len(brakes) != 1 {
				t.Fatal(brakes, err)
			}
			for ended := false; !ended; {
				for _, k := range cases(t, s) {
					if k.Batch != brakes[0].ID || !k.Batched() {
						continue
					}
					if _, err := s.Act(t.Context(), k.ID, func(f offboard.File) (offboard.Update, error) {
						return offboard.ReleaseBatched(f, "jo", "checked")
					}); err != nil {
						t.Fatal(err)
					}
				}
				if _, ended, err = s.ReleaseBrake(t.Context(), brakes[0].ID, "jo", "checked"); err != nil {
					t.Fatal(err)
				}
			}
			<-done
			for _, k := range cases(t, s) {
				if k.Batch == brakes[0].ID && k.State == offboard.StateHeld {
					t.Errorf("%s is held by a brake that was released", k.Address)
				}
			}
		})
	}
}
