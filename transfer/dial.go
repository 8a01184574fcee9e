package transfer

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// reach says which addresses a webhook may be at.
type reach struct {
	loopback bool
	private  bool
}

// dialer connects to allowed addresses only. The check is on the address that the connection is really made to, after
// name resolution, so that a name which resolves differently the second time does not slip through.
func (r reach) dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{
		Timeout:   5 * time.Second,
		KeepAlive: 30 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%w: it cannot be read", ErrRefusedAddress)
			}
			return r.check(ap.Addr())
		},
	}
	return d.DialContext
}

// check refuses, always: nothing, link-local (where clouds keep their metadata), multicast, broadcast, reserved, and the
// metadata addresses outside link-local; and, unless allowed: loopback, private. An IPv4 address inside an IPv6 one is
// judged as the IPv4 address that it leads to.
func (r reach) check(ip netip.Addr) error {
	ip = ip.WithZone("").Unmap()
	if inner, ok := embedded(ip); ok {
		if err := r.check(inner); err != nil {
			return err
		}
	}
	switch {
	case !ip.IsValid() || ip.IsUnspecified():
		return fmt.Errorf("%w: it is unspecified", ErrRefusedAddress)
	case ip.IsLinkLocalUnicast():
		return fmt.Errorf("%w: it is link-local", ErrRefusedAddress)
	case ip.IsMulticast():
		return fmt.Errorf("%w: it is multicast", ErrRefusedAddress)
	case within(ip, metadata()):
		return fmt.Errorf("%w: it is a cloud's metadata service", ErrRefusedAddress)
	case within(ip, reserved()):
		return fmt.Errorf("%w: it is reserved", ErrRefusedAddress)
	case ip.IsLoopback():
		if !r.loopback {
			return fmt.Errorf("%w: it is loopback, which is not allowed for this hook", ErrRefusedAddress)
		}
	case ip.IsPrivate() || within(ip, shared()):
		if !r.private {
			return fmt.Errorf("%w: it is private, which is not allowed for this hook", ErrRefusedAddress)
		}
	}
	return nil
}

// embedded is the IPv4 address that an IPv6 address of a transition mechanism leads to: NAT64 (RFC 6052), 6to4
// (RFC 3056), or the old IPv4-compatible form (RFC 4291 2.5.5.1).
func embedded(ip netip.Addr) (netip.Addr, bool) {
	if !ip.Is6() {
		return netip.Addr{}, false
	}
	b := ip.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case netip.MustParsePrefix("2002::/16").Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case netip.MustParsePrefix("::/96").Contains(ip) && !ip.IsLoopback() && !ip.IsUnspecified():
		return netip.AddrFrom4([4]byte(b[12:16])), true
	}
	return netip.Addr{}, false
}

// metadata lists services of clouds that answer with credentials and are not link-local: Azure, Alibaba, Oracle, and
// AWS over IPv6.
func metadata() []string {
	return []string{"168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32", "fd00:ec2::254/128"}
}

// reserved lists blocks that no hook has a reason to be in; 0.0.0.0/8 leads to this host on Linux, and Teredo
// (2001::/32) hides an address. The documentation blocks are in it too.
func reserved() []string {
	return []string{
		"0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"2001::/32", "2001:db8::/32", "100::/64",
	}
}

// shared lists blocks that are private in effect: between carrier and customer (RFC 6598), benchmarks (RFC 2544), old
// site-local (RFC 3879), NAT64 for local use (RFC 8215).
func shared() []string {
	return []string{"100.64.0.0/10", "198.18.0.0/15", "fec0::/10", "64:ff9b:1::/48"}
}

func within(ip netip.Addr, blocks []string) bool {
	for _, block := range blocks {
		if netip.MustParsePrefix(block).Contains(ip) {
			return true
		}
	}
	return false
}
