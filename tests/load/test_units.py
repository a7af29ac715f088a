"""Durations, counts, rates, shares and SIP addresses as people write them."""

import pytest

from siploadgen import units
from siploadgen.errors import TargetError, UsageError
from siploadgen.units import NANOS


@pytest.mark.parametrize(("text", "ns"), [
    ("0", 0), ("0s", 0), ("000", 0), ("250ms", 250_000_000), ("30s", 30 * NANOS),
    ("1h30m", 5400 * NANOS), ("1.5s", 1_500_000_000), (".5m", 30 * NANOS), (" 2m ", 120 * NANOS),
    ("10us", 10_000), ("10µs", 10_000), ("5ns", 5), ("1d", 86_400 * NANOS),
    ("1h1m1s1ms", 3661 * NANOS + 1_000_000),
])
def test_durations(text, ns):
    assert units.parse_duration(text) == ns


@pytest.mark.parametrize("text", ["", "30", "s", "1x", "1h30", "-1s", "1 s", "1e3s", "1s,2s",
                                  "99999999999h"])
def test_bad_durations_name_the_text(text):
    with pytest.raises(UsageError, match="--ring"):
        units.parse_duration(text, "--ring")


def test_a_missing_unit_is_named():
    with pytest.raises(UsageError, match="a unit is missing: 30s or 30ms"):
        units.parse_duration("30")


@pytest.mark.parametrize(("text", "count"), [
    ("0", 0), ("500", 500), ("10k", 10_000), ("10K", 10_000), ("1M", 1_000_000), ("1.5k", 1500),
    ("2G", 2_000_000_000),
])
def test_counts(text, count):
    assert units.parse_count(text) == count


@pytest.mark.parametrize("text", ["", "1.5", "-3", "k", "1m", "1 k", "1e3", "0x10", "1.0005k"])
def test_bad_counts(text):
    with pytest.raises(UsageError):
        units.parse_count(text)


@pytest.mark.parametrize(("text", "per_s"), [
    ("500/s", 500.0), ("120/m", 2.0), ("1.8M/h", 500.0), ("2k", 2000.0), ("2k/s", 2000.0),
    ("0.5", 0.5), ("0", 0.0), ("3600/h", 1.0),
])
def test_rates(text, per_s):
    assert units.parse_rate(text) == pytest.approx(per_s)


@pytest.mark.parametrize("text", ["", "500/d", "/s", "5/", "-1/s", "5 /s", "5cps", "1e3/s"])
def test_bad_rates(text):
    with pytest.raises(UsageError):
        units.parse_rate(text)


@pytest.mark.parametrize(("text", "share"), [("3%", 0.03), ("0.5%", 0.005), ("100%", 1.0),
                                             ("0", 0.0), ("1", 1.0), ("0%", 0.0)])
def test_shares(text, share):
    assert units.parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "3", "0.03", "101%", "-1%", "%"])
def test_bad_shares(text):
    with pytest.raises(UsageError):
        units.parse_share(text)


@pytest.mark.parametrize(("text", "host", "port", "uri"), [
    ("sip:127.0.0.1:5070", "127.0.0.1", 5070, "sip:127.0.0.1:5070"),
    ("SIP:10.0.0.5", "10.0.0.5", 5060, "sip:10.0.0.5:5060"),
    ("sip:10.0.0.5:5062;transport=UDP", "10.0.0.5", 5062, "sip:10.0.0.5:5062"),
    ("proxy.example.com", "proxy.example.com", 0, "sip:proxy.example.com"),
    ("sip:a@proxy.example.com:5060", "proxy.example.com", 5060, "sip:a@proxy.example.com:5060"),
    ("sip:example.com;maddr=10.0.0.5", "example.com", 0, "sip:example.com;maddr=10.0.0.5"),
    ("localhost:5080", "localhost", 5080, "sip:localhost:5080"),
    ("sip:alice@10.0.0.5", "10.0.0.5", 5060, "sip:alice@10.0.0.5:5060"),
    ("[::1]:5070", "::1", 5070, "sip:[::1]:5070"),
    ("sip:[2001:db8::1]", "2001:db8::1", 5060, "sip:[2001:db8::1]:5060"),
    ("::1", "::1", 5060, "sip:[::1]:5060"),
])
def test_targets(text, host, port, uri):
    target = units.parse_target(text)
    assert (target.host, target.port, target.uri) == (host, port, uri)


@pytest.mark.parametrize(("text", "mend"), [
    ("", "no host"), ("sip:", "no host"), ("sip:host:port", "number from 0 to 65535"),
    ("host:99999", "65535"), ("host:", "number"), ("sip:@host", "before the @"),
    ("http://host", "not a SIP URI"), ("sip:host;transport=tcp", "use transport=udp"),
    ("sips:host", "sips is not supported"), ("sip:host;transport=dtls", "unknown transport"),
    ("sip:host;lr", "unknown parameter"), ("[::1", "write an IPv6 address as"),
    ("[fe80:::1]", "not an IPv6 address"), ("host name", "no host"), ("host:0", "port 0"),
    ("tel:+1201555", "next hop by -t sip:HOST"), ("sip:host;maddr=", "no host"),
])
def test_bad_targets_say_what_mends_them(text, mend):
    with pytest.raises(UsageError, match=mend):
        units.parse_target(text)


@pytest.mark.parametrize(("text", "address"), [
    ("udp:127.0.0.1:5070", ("127.0.0.1", 5070)), ("127.0.0.1:5070", ("127.0.0.1", 5070)),
    ("5070", ("127.0.0.1", 5070)), (":5070", ("127.0.0.1", 5070)), ("udp:5070",
     ("127.0.0.1", 5070)), ("0.0.0.0", ("0.0.0.0", 5060)), ("udp:[::1]:0", ("::1", 0)),
])
def test_listen(text, address):
    assert units.parse_listen(text) == address


@pytest.mark.parametrize("text", ["tcp:127.0.0.1:5060", "", "udp:", "127.0.0.1:x"])
def test_bad_listen(text):
    with pytest.raises(UsageError, match="--listen"):
        units.parse_listen(text)


def test_local():
    assert units.parse_local("10.0.0.1") == ("10.0.0.1", 0)
    assert units.parse_local("10.0.0.1:5080") == ("10.0.0.1", 5080)


def test_resolve():
    assert units.resolve("127.0.0.1", 5060) == ("127.0.0.1", 5060)
    assert units.resolve("::1", 1) == ("::1", 1)
    assert units.resolve("localhost", 5060)[0] in ("127.0.0.1", "::1")
    with pytest.raises(TargetError, match="cannot be resolved"):
        units.resolve("no-such-host.invalid", 5060)


@pytest.mark.parametrize(("address", "local"), [
    ("127.0.0.1", True), ("127.9.9.9", True), ("10.1.2.3", True), ("172.16.0.1", True),
    ("172.32.0.1", False), ("192.168.1.1", True), ("8.8.8.8", False), ("::1", True),
    ("fd00::1", True), ("2001:4860::1", False), ("fe80::1%eth0", True), ("169.254.1.1", True),
    ("::ffff:8.8.8.8", False), ("::ffff:127.0.0.1", True), ("192.0.2.1", False),
    ("0.0.0.0", False), ("255.255.255.255", False),
])
def test_local_networks(address, local):
    assert units.is_local_network(address) is local


@pytest.mark.parametrize(("ns", "text"), [
    (0, "0 ns"), (1_500, "1.5 us"), (1_500_000, "1.5 ms"), (30 * NANOS, "30 s"),
    (90 * NANOS, "90 s"), (150 * NANOS, "2m30s"), (5400 * NANOS, "1h30m00s"),
])
def test_format_duration(ns, text):
    assert units.format_duration(ns) == text


def test_format_others():
    assert units.format_rate(2000) == "2,000/s"
    assert units.format_rate(1.5) == "1.5/s"
    assert units.host_port(("::1", 5060)) == "[::1]:5060"
    assert units.host_port(("127.0.0.1", 5060)) == "127.0.0.1:5060"
