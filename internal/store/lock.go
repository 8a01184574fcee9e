package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// fileLock keeps a second process away from a SQLite file. The kernel drops it
// when the process dies, however it dies.
type fileLock struct{ f *os.File }

func lockFile(path string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, fmt.Errorf("lock file: %w", err)
	}
	return &fileLock{f: f}, nil
}

// release may be called on nil, for a store that needs no lock.
func (l *fileLock) release() {
	if l != nil {
		_ = l.f.Close()
	}
}
