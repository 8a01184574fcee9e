package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// CommandOptions is what NewCommand needs.
type CommandOptions struct {
	Name    string           // required: the hook's name in the configuration
	Argv    []string         // required: the program's absolute path, and arguments that never change
	Env     []string         // names of variables to pass on; the environment is otherwise empty
	Dir     string           // working directory, absolute; empty: /
	Handles []AssetKind      // what it hands over; none: it is no transferrer
	Rotates []CredentialKind // what it rotates; none: it is no rotator

	Inventories []AssetKind // what it knows owners of; none: it is no lister

	Timeout time.Duration // 0: 30 s; then the whole process group is killed

	// Callback is as in WebhookOptions.
	Callback func(ctx context.Context, key string) (string, error)

	LookupEnv func(name string) (string, bool) // nil: os.LookupEnv
	Now       func() time.Time                 // nil: time.Now
}

// Command runs a program for each request: JSON on its standard input, one JSON object from its standard output. There is
// no shell. Exit status 0 with an answer is a receipt, 75 (EX_TEMPFAIL of sysexits.h) means later, any other is final;
// the first line of standard error is told to the operator. What a program leaves running in its process group is killed
// with it. It needs a Unix system.
type Command struct {
	o       CommandOptions
	env     []string // NAME=value
	secrets []string // the values
	now     func() time.Time
}

var (
	_ Transferrer = (*Command)(nil)
	_ Rotator     = (*Command)(nil)
	_ Retirer     = (*Command)(nil)
	_ Sink        = (*Command)(nil)
)

const (
	commandTimeout = 30 * time.Second
	exTempFail     = 75
	maxComplaint   = 4 << 10     // of standard error, in bytes; more is read and dropped
	drain          = time.Second // for pipes that somebody else keeps open after the end
)

// NewCommand checks the options, the program included, reads the named variables, and starts nothing.
func NewCommand(o CommandOptions) (*Command, error) {
	if o.Name == "" {
		return nil, errors.New("command: Name is required")
	}
	if len(o.Argv) == 0 || !filepath.IsAbs(o.Argv[0]) {
		return nil, fmt.Errorf("command %s: the program must be given by its absolute path", o.Name)
	}
	info, err := os.Stat(o.Argv[0])
	switch {
	case err != nil:
		return nil, fmt.Errorf("command %s: the program: %w", o.Name, err)
	case info.IsDir() || info.Mode().Perm()&0o111 == 0:
		return nil, fmt.Errorf("command %s: the program is not executable", o.Name)
	}
	if o.Dir == "" {
		o.Dir = "/"
	}
	if info, err := os.Stat(o.Dir); err != nil || !info.IsDir() || !filepath.IsAbs(o.Dir) {
		return nil, fmt.Errorf("command %s: the working directory is not an existing directory with an absolute path", o.Name)
	}
	if o.Timeout <= 0 {
		o.Timeout = commandTimeout
	}
	lookup := o.LookupEnv
	if lookup == nil {
		lookup = os.LookupEnv
	}
	c := &Command{o: o, env: []string{}, now: clock(o.Now)}
	for _, name := range o.Env {
		value, ok := lookup(name)
		if !ok {
			return nil, fmt.Errorf("command %s: the variable %s is not set", o.Name, name)
		}
		c.env = append(c.env, name+"="+value)
		c.secrets = append(c.secrets, value)
	}
	return c, nil
}

// Name is the hook's name in the configuration.
func (c *Command) Name() string { return c.o.Name }

// Handles what the configuration says.
func (c *Command) Handles(kind AssetKind) bool { return slices.Contains(c.o.Handles, kind) }

// Rotates what the configuration says.
func (c *Command) Rotates(kind CredentialKind) bool { return slices.Contains(c.o.Rotates, kind) }

// Transfer runs the program with {"type":"handover", …}.
func (c *Command) Transfer(ctx context.Context, h Handover) (Receipt, error) {
	if err := accept(ctx, c.o.Name, h, c.Handles); err != nil {
		return Receipt{}, err
	}
	back, err := callback(ctx, c.o.Name, opTransfer, c.o.Callback, h.Key)
	if err != nil {
		return Receipt{}, err
	}
	return c.run(ctx, opTransfer, h.Attempt, handoverMessage{Type: "handover", Handover: h, CallbackURL: back})
}

// Rotate runs the program with {"type":"rotate", …}.
func (c *Command) Rotate(ctx context.Context, r Rotation) (Receipt, error) {
	return c.rotation(ctx, opRotate, r)
}

// Retire runs the program with {"type":"retire", …}; the key in it is the rotation's with "/retire".
func (c *Command) Retire(ctx context.Context, r Rotation) (Receipt, error) {
	return c.rotation(ctx, opRetire, r)
}

func (c *Command) rotation(ctx context.Context, op string, r Rotation) (Receipt, error) {
	if err := acceptRotation(ctx, c.o.Name, op, r, c.Rotates); err != nil {
		return Receipt{}, err
	}
	if op == opRetire {
		r.Key += "/retire"
	}
	back, err := callback(ctx, c.o.Name, op, c.o.Callback, r.Key)
	if err != nil {
		return Receipt{}, err
	}
	return c.run(ctx, op, r.Attempt, rotationMessage{Type: op, Rotation: r, CallbackURL: back})
}

// Publish runs the program with {"type":"publish", …} and the new credential's value; only "done" counts.
func (c *Command) Publish(ctx context.Context, p Publication) error {
	if p.Key == "" {
		return fmt.Errorf("%s: %w", c.o.Name, ErrNoKey)
	}
	if err := ctx.Err(); err != nil {
		return interrupted(c.o.Name, opPublish, err)
	}
	r, err := c.run(ctx, opPublish, p.Attempt, publicationMessage{
		Type: opPublish, Key: p.Key, Credential: p.Credential, Replacement: p.Replacement, Secret: p.Value.Reveal(),
	}, p.Value.Reveal())
	return published(c.o.Name, r, err)
}

// run starts the program once and makes a receipt of what it says.
func (c *Command) run(ctx context.Context, op string, attempt int, message any, secrets ...string) (Receipt, error) {
	said, hide, err := c.output(ctx, op, attempt, message, maxAnswer, secrets...)
	if err != nil {
		return Receipt{}, err
	}
	a, err := parseAnswer(said)
	if err != nil {
		return Receipt{}, nonsense(c.o.Name, op, attempt, err)
	}
	r, err := a.receipt(c.o.Name, c.now(), hide...)
	if err != nil {
		return Receipt{}, nonsense(c.o.Name, op, attempt, err)
	}
	return r, nil
}

// output starts the program once and returns up to limit bytes of what it says. secrets are taken out of its complaint,
// with the values of its environment; hide is all of them.
func (c *Command) output(
	ctx context.Context, op string, attempt int, message any, limit int, secrets ...string,
) (said []byte, hide []string, err error) {
	secrets = append(secrets, c.secrets...)
	input, err := json.Marshal(message)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: encode the message: %w", c.o.Name, err)
	}
	limited, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	stdout := &bounded{limit: limit, full: cancel}
	stderr := &bounded{limit: maxComplaint}

	cmd := exec.CommandContext(limited, c.o.Argv[0], c.o.Argv[1:]...)
	cmd.Env, cmd.Dir = c.env, c.o.Dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(input, '\n')), stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	cmd.WaitDelay = drain
	err = cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) { // it ended well, but left something that holds its output
		_ = killGroup(cmd.Process.Pid)
		err = nil
	}
	switch {
	case stdout.over():
		return nil, nil, nonsense(c.o.Name, op, attempt, fmt.Errorf("%w: it is longer than %d KiB", errNonsense, limit>>10))
	case err != nil && ctx.Err() != nil:
		return nil, nil, interrupted(c.o.Name, op, ctx.Err())
	case err != nil && limited.Err() != nil:
		return nil, nil, &Error{
			Hook: c.o.Name, Op: op, Retry: true, Err: limited.Err(),
			Detail: "the command did not end within " + c.o.Timeout.String() + " and was killed",
		}
	case err != nil:
		return nil, nil, c.failed(op, err, stderr.firstLine(), secrets)
	}
	return stdout.bytes(), secrets, nil
}

// failed explains an exit status, a signal, or a program that did not start.
func (c *Command) failed(op string, err error, complaint string, secrets []string) error {
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case !ok:
		// Not started: no memory, too many processes, or a program that is just being replaced.
		return &Error{Hook: c.o.Name, Op: op, Retry: true, Detail: "the command could not be started", Err: err}
	case exit.ExitCode() == exTempFail:
		return &Error{Hook: c.o.Name, Op: op, Retry: true, Detail: reason("the command asks to be run later", complaint, secrets...), Err: err}
	case exit.ExitCode() < 0:
		return &Error{Hook: c.o.Name, Op: op, Retry: true, Detail: reason("the command was ended by a signal", complaint, secrets...), Err: err}
	}
	what := fmt.Sprintf("the command refused with exit status %d", exit.ExitCode())
	return &Error{Hook: c.o.Name, Op: op, Detail: reason(what, complaint, secrets...), Err: err}
}

// killGroup ends the program and all that it started in its process group.
func killGroup(pid int) error {
	err := syscall.Kill(-pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// bounded keeps the first limit bytes. With full set, one byte more is an error and calls it; without, the rest is read
// and dropped.
type bounded struct {
	limit int
	full  func()

	mu       sync.Mutex
	kept     bytes.Buffer
	exceeded bool
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	room := b.limit - b.kept.Len()
	if len(p) <= room {
		return b.kept.Write(p)
	}
	b.kept.Write(p[:room])
	b.exceeded = true
	if b.full == nil {
		return len(p), nil
	}
	b.full()
	return room, errNonsense
}

func (b *bounded) over() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.exceeded
}

func (b *bounded) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.kept.Bytes())
}

func (b *bounded) firstLine() string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(b.bytes())), "\n")
	return line
}
