package transfer

import (
	"errors"
	"net/netip"
	"testing"
)

// TestWhereHooksMayBe asks the rule alone, because nothing outside this machine can be dialled in a test. What happens
// when a connection is really made is in webhook_test.go.
func TestWhereHooksMayBe(t *testing.T) {
	const public, private, loopback, never = "public", "private", "loopback", "never"
	for addr, kind := range map[string]string{
		"8.8.8.8": public, "2606:4700::1111": public, "64:ff9b::808:808": public, "2002:808:808::1": public,
		"10.1.2.3": private, "172.16.0.1": private, "192.168.1.1": private, "100.64.0.1": private, "198.18.0.1": private,
		"fd12::1": private, "fec0::1": private, "::ffff:10.0.0.1": private, "64:ff9b::a00:1": private, "64:ff9b:1::1": private,
		"127.0.0.1": loopback, "127.9.9.9": loopback, "::1": loopback, "::ffff:127.0.0.1": loopback, "2002:7f00:1::1": loopback,
		"169.254.169.254": never, "169.254.0.1": never, "fe80::1": never, "fe80::1%eth0": never, "::ffff:169.254.169.254": never,
		"64:ff9b::a9fe:a9fe": never, "2002:a9fe:a9fe::1": never, "::a9fe:a9fe": never, "fd00:ec2::254": never,
		"168.63.129.16": never, "100.100.100.200": never, "192.0.0.192": never, "0.0.0.0": never, "0.1.2.3": never, "::": never,
		"224.0.0.1": never, "ff02::1": never, "255.255.255.255": never, "240.0.0.1": never, "2001:0:1::1": never, "203.0.113.9": never,
	} {
		for _, r := range []reach{{}, {loopback: true}, {private: true}, {loopback: true, private: true}} {
			want := kind == public || kind == private && r.private || kind == loopback && r.loopback
			err := r.check(netip.MustParseAddr(addr))
			if (err == nil) != want {
				t.Errorf("%s, a %s address, with %+v: %v", addr, kind, r, err)
			}
			if err != nil && !errors.Is(err, ErrRefusedAddress) {
				t.Errorf("%s: %v is of another kind", addr, err)
			}
		}
	}
}
