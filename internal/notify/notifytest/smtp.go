// Package notifytest is a mail server for tests: it speaks SMTP (RFC 5321) on a
// loopback address, keeps what it accepts, and misbehaves on request. It must
// know nothing of how messages are made.
package notifytest

import (
	"bufio"
	"fmt"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
)

// Fault is a way to misbehave. The zero value is none.
type Fault struct {
	Greeting string // instead of 220 and the name, such as garbage
	Login    string // the answer to AUTH
	Rcpt     string // the answer to RCPT TO
	Data     string // the answer to the message's end; it is not kept
	Hang     bool   // says nothing at all
	Lose     bool   // keeps the message and ends the connection without an answer
	GoneQuit bool   // keeps and accepts the message, and ends the connection before QUIT
}

// Mail is a message that was accepted.
type Mail struct {
	From, To string // of the envelope
	Header   mail.Header
	Body     string // as it was sent, encoded
	Raw      string
}

// Server is a mail server. It is safe for concurrent use.
type Server struct {
	mu    sync.Mutex
	addr  string
	l     net.Listener
	fault Fault
	mails []Mail
	conns map[net.Conn]bool
}

// New starts a mail server that stops with the test.
func New(t *testing.T) *Server {
	t.Helper()
	s := &Server{addr: "127.0.0.1:0", conns: map[net.Conn]bool{}}
	s.Up(t)
	t.Cleanup(s.Down)
	return s
}

// URL is how the server is configured, with a user and a password.
func (s *Server) URL(user, password string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("smtp://%s:%s@%s/?from=offramp%%40example.com", user, password, s.addr)
}

// Up listens again, under the same address.
func (s *Server) Up(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	s.l, s.addr = l, l.Addr().String()
	go s.serve(l)
}

// Down refuses connections until Up.
func (s *Server) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.l.Close()
	for c := range s.conns {
		_ = c.Close()
	}
}

// Misbehave takes effect for the next connection.
func (s *Server) Misbehave(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Mails are the messages that were accepted, in order.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

func (s *Server) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = true
		f := s.fault
		s.mu.Unlock()
		go func() {
			s.talk(c, f)
			_ = c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
	}
}

// talk is one conversation.
func (s *Server) talk(c net.Conn, f Fault) {
	in := bufio.NewReader(c)
	say := func(line string) { _, _ = fmt.Fprintf(c, "%s\r\n", line) }
	if f.Hang {
		_, _ = in.ReadString(0) // until the other side has enough
		return
	}
	say(or(f.Greeting, "220 mail.test ready"))
	var m Mail
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		switch verb := strings.ToUpper(strings.SplitN(line, " ", 2)[0]); verb {
		case "EHLO", "HELO":
			say("250-mail.test")
			say("250 AUTH PLAIN LOGIN")
		case "AUTH":
			say(or(f.Login, "235 fine"))
		case "MAIL":
			m = Mail{From: between(line)}
			say("250 fine")
		case "RCPT":
			m.To = between(line)
			say(or(f.Rcpt, "250 fine"))
		case "DATA":
			say("354 go on")
			if m.Raw, err = message(in); err != nil {
				return
			}
			if f.Data != "" {
				say(f.Data)
				continue
			}
			s.keep(m)
			if f.Lose {
				return
			}
			say("250 queued")
			if f.GoneQuit {
				return
			}
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 fine")
		}
	}
}

func (s *Server) keep(m Mail) {
	if parsed, err := mail.ReadMessage(strings.NewReader(m.Raw)); err == nil {
		m.Header = parsed.Header
		var b strings.Builder
		_, _ = bufio.NewReader(parsed.Body).WriteTo(&b)
		m.Body = b.String()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
}

// message reads up to the line with a dot.
func message(in *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line == ".\r\n" {
			return b.String(), nil
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

func between(line string) string {
	_, rest, _ := strings.Cut(line, "<")
	address, _, _ := strings.Cut(rest, ">")
	return address
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
