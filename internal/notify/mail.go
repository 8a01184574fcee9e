package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"offramp/internal/offboard"
)

// mailer speaks SMTP to one server, a connection for each message.
type mailer struct {
	host      string
	port      int
	user      string
	password  string
	from      mail.Address
	to        string // of a channel; empty: each message's own recipient
	implicit  bool   // TLS from the first byte
	unsecured bool   // no TLS
}

// CheckMail tells what is wrong with the URL of a mail server, without showing
// it: smtp://USER:PASSWORD@HOST:PORT/?from=ADDRESS, with fromname=NAME and
// encryption=auto|explicittls|implicittls|none if wanted. auto means TLS from
// the first byte on port 465, else STARTTLS, without which nothing is sent;
// none is for servers without a password.
func CheckMail(raw string) error {
	_, err := parseMail(raw, false)
	return err
}

// parseMail reads the URL; that of a channel names the recipient in to.
func parseMail(raw string, channel bool) (*mailer, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "smtp" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return nil, errors.New("write smtp://USER:PASSWORD@HOST:PORT/?from=ADDRESS, with @ : / in user and password percent-encoded")
	}
	m := &mailer{host: u.Hostname(), port: 587, user: u.User.Username()}
	m.password, _ = u.User.Password()
	if u.Port() != "" {
		if m.port, err = strconv.Atoi(u.Port()); err != nil || m.port < 1 || m.port > 65535 {
			return nil, errors.New("write a port from 1 to 65535")
		}
	}
	if (m.user == "") != (m.password == "") {
		return nil, errors.New("write both a user and a password, or neither")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("percent-encode what stands behind the question mark")
	}
	known := []string{"encryption", "from", "fromname"}
	if channel {
		known = append(known, "to")
	}
	for _, key := range slices.Sorted(maps.Keys(query)) {
		if !slices.Contains(known, key) {
			return nil, fmt.Errorf("behind the question mark write only %s", strings.Join(known, ", "))
		}
	}
	from, err := mail.ParseAddress(query.Get("from"))
	if err != nil {
		return nil, errors.New("add from=ADDRESS, the sender's address")
	}
	m.from = mail.Address{Name: query.Get("fromname"), Address: from.Address}
	if m.from.Name == "" {
		m.from.Name = "Offramp"
	}
	if channel {
		if m.to, err = recipient(query.Get("to")); err != nil {
			return nil, errors.New("add to=ADDRESS, the list's address")
		}
	}
	return m, m.secure(query.Get("encryption"))
}

// secure decides how the connection is protected.
func (m *mailer) secure(encryption string) error {
	switch encryption {
	case "", "auto":
		m.implicit = m.port == 465
		m.unsecured = loopback(m.host) && !m.implicit
	case "implicittls":
		m.implicit = true
	case "explicittls":
	case "none":
		m.unsecured = true
		if m.password != "" && !loopback(m.host) {
			return errors.New("remove encryption=none: the password would be sent in the clear")
		}
	default:
		return errors.New("write encryption=auto, explicittls, implicittls or none")
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// recipient checks that a text is one bare address.
func recipient(to string) (string, error) {
	a, err := mail.ParseAddress(to)
	if err != nil || a.Address != to || strings.ContainsAny(to, "\r\n") {
		return "", errors.New("not one address")
	}
	return a.Address, nil
}

// client prepares a conversation that ends with ctx.
func (m *mailer) client(ctx context.Context) (*gomail.Client, error) {
	config := &tls.Config{ServerName: m.host, MinVersion: tls.VersionTLS12}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if m.implicit {
			return (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	options := []gomail.Option{
		gomail.WithPort(m.port), gomail.WithTimeout(patience), gomail.WithTLSConfig(config), gomail.WithTLSPolicy(gomail.TLSMandatory),
		gomail.WithDialContextFunc(func(dialing context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(dialing, network, address)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = conn.Close() }) // a server that falls silent
			}
			return conn, err
		}),
	}
	if m.implicit || m.unsecured {
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS)) // it is there already, or is not wanted
	}
	if m.password != "" {
		kind := gomail.SMTPAuthAutoDiscover
		if m.implicit || m.unsecured {
			kind = gomail.SMTPAuthPlainNoEnc // the library cannot see our TLS; without TLS it is a loopback address
		}
		options = append(options, gomail.WithSMTPAuth(kind), gomail.WithUsername(m.user), gomail.WithPassword(m.password))
	}
	return gomail.NewClient(m.host, options...)
}

// send delivers one message.
func (m *mailer) send(ctx context.Context, msg offboard.Message, to, text string, now time.Time) *failure {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	to, err := recipient(to)
	if err != nil {
		return &failure{text: "the recipient's address cannot be written to", permanent: true}
	}
	mail := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := errors.Join(mail.FromFormat(m.from.Name, m.from.Address), mail.To(to)); err != nil {
		return &failure{text: "the recipient's address cannot be written to", permanent: true}
	}
	_, domain, _ := strings.Cut(m.from.Address, "@")
	mail.SetMessageIDWithValue(msg.ID + "@" + domain) // the same for each attempt
	mail.SetDateWithValue(now)
	mail.Subject(offboard.Line(msg.Subject))
	mail.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no replies of absent people
	mail.SetBodyString(gomail.TypeTextPlain, text)
	client, err := m.client(ctx)
	if err != nil {
		return &failure{text: "the mail server's settings cannot be used"}
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return mailFailure(ctx, err)
	}
	err = client.SendWithSMTPClient(conn, mail)
	_ = client.CloseWithSMTPClient(conn) // it has been accepted, or not, by now
	if err != nil && !mail.IsDelivered() {
		return mailFailure(ctx, err)
	}
	return nil
}

// TryMail talks to a mail server up to the login and sends nothing. Its error
// holds no secret.
func TryMail(ctx context.Context, raw string) error {
	m, err := parseMail(raw, false)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeoutCause(ctx, patience, errSlow)
	defer stop()
	client, err := m.client(ctx)
	if err != nil {
		return errors.New("the mail server's settings cannot be used")
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return mailFailure(ctx, err)
	}
	_ = client.CloseWithSMTPClient(conn)
	return nil
}
