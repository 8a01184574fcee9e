package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"offramp/internal/config"
	"offramp/internal/daemon"
	"offramp/internal/offboard"
)

// maxPeople is how large a file of people may be: a line each for a hundred
// thousand of them is below it.
const maxPeople = 64 << 20

// subject is one person of a file: what an identity provider would send about
// them. In a CSV file the keys are columns, groups are separated by semicolons,
// and what was before is written was.department and so on.
type subject struct {
	UserName     string          `json:"userName"` // required
	Address      string          `json:"address"`  // default the user name
	DisplayName  string          `json:"displayName"`
	GivenName    string          `json:"givenName"`
	FamilyName   string          `json:"familyName"`
	Department   string          `json:"department"`
	Title        string          `json:"title"`
	Manager      string          `json:"manager"`
	Connection   string          `json:"connection"` // default the only one
	Groups       []string        `json:"groups"`
	LeaveReason  string          `json:"leaveReason"`
	LeaveDate    string          `json:"leaveDate"`
	Successor    string          `json:"successor"`
	ManagerEmail string          `json:"managerEmail"`
	Ticket       string          `json:"ticket"`
	ApprovedBy   string          `json:"approvedBy"`
	Was          json.RawMessage `json:"was"` // what differed before; without it the person is deactivated
}

func (s subject) person() offboard.Person {
	p := offboard.Person{
		ID: s.UserName, Connection: s.Connection, UserName: s.UserName, Address: s.Address, DisplayName: s.DisplayName,
		GivenName: s.GivenName, FamilyName: s.FamilyName, Department: s.Department, Title: s.Title, Manager: s.Manager,
		Groups: s.Groups, Active: true, InAccess: true,
		Claims: offboard.Claims{
			LeaveReason: s.LeaveReason, LeaveDate: s.LeaveDate, Successor: s.Successor, ManagerEmail: s.ManagerEmail,
			Ticket: s.Ticket, ApprovedBy: s.ApprovedBy,
		},
	}
	if p.Address == "" {
		p.Address = p.UserName
	}
	return p
}

// meeting is the policy that one person meets, and why.
type meeting struct {
	Person    string            `json:"person"`
	Policy    string            `json:"policy,omitempty"` // empty: no case opens
	Version   string            `json:"version,omitempty"`
	Why       string            `json:"why"`
	Plan      offboard.PlanName `json:"plan,omitempty"`
	Reason    offboard.Reason   `json:"reason,omitempty"`
	NotBefore time.Time         `json:"not_before,omitzero"`
	Due       time.Time         `json:"due,omitzero"`
	Revoke    []string          `json:"revoke,omitempty"` // of plan mover: what the person would lose
	Note      string            `json:"note,omitempty"`
	Failed    []string          `json:"failed,omitempty"` // policies whose condition failed
}

// checkPeople prints which policy everybody in a file would meet if they were
// deactivated now, or changed in the way the file says. Exit code 1 where a
// condition failed.
func checkPeople(env Env, cfg *config.Config, file, output string) error {
	rules, err := daemon.Rules(cfg)
	if err != nil {
		return err
	}
	people, err := readPeople(file)
	if err != nil {
		return err
	}
	met := make([]meeting, 0, len(people))
	erred := 0
	for i, s := range people {
		m, err := meet(s, cfg, rules, env.Now())
		if err != nil {
			return fmt.Errorf("%s: person %d: %w", file, i+1, err)
		}
		if len(m.Failed) > 0 {
			erred++
		}
		met = append(met, m)
	}
	if output == "json" {
		err = printJSON(env.Stdout, met)
	} else {
		err = printMeetings(env.Stdout, met)
	}
	if err == nil && erred > 0 {
		err = fmt.Errorf("conditions failed for %d of %d people; whoever is met by a failed one gets the built-in policy", erred, len(people))
	}
	return err
}

// meet decides about one person as if the identity provider said so now.
func meet(s subject, cfg *config.Config, rules func(string) offboard.Rules, now time.Time) (meeting, error) {
	if s.UserName == "" {
		return meeting{}, errors.New("give the userName")
	}
	if s.Connection == "" && len(cfg.Connections) == 1 {
		s.Connection = cfg.Connections[0].Name
	}
	if !slices.ContainsFunc(cfg.Connections, func(c config.Connection) bool { return c.Name == s.Connection }) {
		return meeting{}, errors.New("name one of the connections of the configuration")
	}
	is := s.person()
	was := is
	if len(s.Was) == 0 {
		was.Claims.LeaveReason, is.Active = "", false
	} else {
		before := s
		before.Was = nil
		if err := strict(s.Was, &before); err != nil {
			return meeting{}, fmt.Errorf("was: %w", err)
		}
		was = before.person()
		was.ID = is.ID
	}
	v := offboard.Decide(was, is, offboard.PriorCase{}, rules(s.Connection), now)
	m := meeting{Person: s.UserName, Why: "no case opens: the person stays active, and no trigger becomes true"}
	for _, f := range v.Failed {
		if f.Policy != "" {
			m.Failed = append(m.Failed, f.Policy)
		} else {
			m.Note = "the leave date is neither a date nor a time"
		}
	}
	if o := v.Open; o != nil {
		m.Policy, m.Version, m.Why = o.Policy.Name, o.Policy.Version, o.Policy.Why
		m.Plan, m.Reason, m.NotBefore, m.Due = o.Plan, o.Reason, o.NotBefore, o.Due
		if o.Plan == offboard.Mover {
			m.Revoke = o.Policy.Revoke.Sentences()
		}
		if m.Note == "" {
			m.Note = o.Note
		}
		if f := o.Policy.Failed; f != "" && f != offboard.NoPolicy {
			m.Failed = append(m.Failed, f)
		}
	}
	return m, nil
}

func printMeetings(w io.Writer, met []meeting) error {
	var b strings.Builder
	for _, m := range met {
		if m.Policy == "" {
			fmt.Fprintf(&b, "%s: no case\n", plain(m.Person))
		} else {
			fmt.Fprintf(&b, "%s: policy %s, version %s, plan %s, reason %s, not before %s\n",
				plain(m.Person), m.Policy, m.Version, m.Plan, words(m.Reason), m.NotBefore.UTC().Format("2006-01-02 15:04Z"))
		}
		fmt.Fprintf(&b, "    %s\n", wrap(m.Why, 4))
		if len(m.Revoke) > 0 {
			fmt.Fprintf(&b, "    keeps the seat, and is to %s\n", wrap(strings.Join(m.Revoke, ", "), 4))
		}
		if m.Note != "" {
			fmt.Fprintf(&b, "    %s\n", wrap(m.Note, 4))
		}
		if len(m.Failed) > 0 {
			fmt.Fprintf(&b, "    FAILED: %s\n", strings.Join(m.Failed, ", "))
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// readPeople reads JSON lines, or CSV with a head.
func readPeople(file string) ([]subject, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the people: %w", err)
	}
	defer func() { _ = f.Close() }() // it was read only
	b, err := io.ReadAll(io.LimitReader(f, maxPeople+1))
	if err != nil {
		return nil, fmt.Errorf("read the people: %w", err)
	}
	if len(b) > maxPeople {
		return nil, fmt.Errorf("%s is larger than %d MiB", file, maxPeople>>20)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	read := readCSV
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		read = readLines
	}
	people, err := read(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return people, nil
}

func readLines(b []byte) ([]subject, error) {
	var out []subject
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var s subject
		if err := strict(lines.Bytes(), &s); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		out = append(out, s)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read a line: %w", err)
	}
	return out, nil
}

func readCSV(b []byte) ([]subject, error) {
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read the table: %w", err)
	}
	if len(rows) == 0 {
		return nil, errors.New("there is no head with the names of the columns")
	}
	var out []subject
	for n, row := range rows[1:] {
		is, was := map[string]any{}, map[string]any{}
		for i, name := range rows[0] {
			to := is
			name = strings.TrimSpace(name)
			if rest, earlier := strings.CutPrefix(name, "was."); earlier {
				to, name = was, rest
			}
			to[name] = row[i]
			if name == "groups" {
				to[name] = strings.FieldsFunc(row[i], func(r rune) bool { return r == ';' })
			}
		}
		if len(was) > 0 {
			is["was"] = was
		}
		text, err := json.Marshal(is)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", n+1, err)
		}
		var s subject
		if err := strict(text, &s); err != nil {
			return nil, fmt.Errorf("row %d: %w", n+1, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// strict decodes one JSON value and refuses what it does not know.
func strict(b []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("this is no person: %w", err)
	}
	if d.More() {
		return errors.New("this is more than one value")
	}
	return nil
}
