package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// FileSink publishes credentials as files: one for each replaced credential, with the value and a newline, mode 0600.
// Publishing again replaces the file. It may be used by several goroutines.
type FileSink struct {
	dir string
	mu  sync.Mutex // one partial file at a time
}

var _ Sink = (*FileSink)(nil)

const fileSink = "file-sink"

// NewFileSink checks that dir is an absolute path of an existing directory that only its owner can write to.
func NewFileSink(dir string) (*FileSink, error) {
	if !filepath.IsAbs(dir) {
		return nil, errors.New("file sink: the directory must be an absolute path")
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("file sink: %w", err)
	case !info.IsDir():
		return nil, errors.New("file sink: the path is not a directory")
	case info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("file sink: others can write to the directory (mode %04o); use 0700", info.Mode().Perm())
	}
	return &FileSink{dir: dir}, nil
}

// Publish writes the file whole or not at all. A file of the same name is replaced.
func (s *FileSink) Publish(ctx context.Context, p Publication) error {
	if err := ctx.Err(); err != nil {
		return interrupted(fileSink, opPublish, err)
	}
	if p.Value == "" {
		return fmt.Errorf("%s: %w: there is no value to publish", fileSink, ErrInvalid)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.write(FileName(p.Credential), p.Value.Reveal()+"\n"); err != nil {
		return &Error{Hook: fileSink, Op: opPublish, Retry: true, Detail: "the new credential could not be written to its file", Err: err}
	}
	return nil
}

// FileName is the name of the file, in the sink's directory, for the replacement of c.
func FileName(c Credential) string {
	id := notInLabel.ReplaceAllString(c.ID, "_")
	if id != c.ID || len(id) > 80 {
		sum := sha256.Sum256([]byte(c.ID))
		id = id[:min(len(id), 80)] + "-" + hex.EncodeToString(sum[:4])
	}
	return notInLabel.ReplaceAllString(string(c.Kind), "_") + "-" + id + ".secret"
}

func (s *FileSink) write(name, value string) (err error) {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	partial := name + ".partial"
	if err := root.Remove(partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(partial, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := root.Rename(partial, name); err != nil {
		return err
	}
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
