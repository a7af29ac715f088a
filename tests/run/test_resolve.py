"""RFC 3263 rule by rule, against a name server of the tests' own on loopback."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dns.rcode
import pytest

from siploadgen import units
from siploadgen.errors import SiploadgenError, TargetError, UsageError
from siploadgen.run.resolve import Location, Resolver, Server, parse_dns, weighted
from tests.run.nameserver import NameServer

UDP = ("udp",)
ALL = ("udp", "tcp", "tls", "ws", "wss")
NAPTR_ALL = (
    'naptr.test. 300 NAPTR 50 50 "s" "SIPS+D2T" "" _sips._tcp.naptr.test.',
    'naptr.test. 300 NAPTR 90 50 "s" "SIP+D2T" "" _sip._tcp.naptr.test.',
    'naptr.test. 300 NAPTR 100 10 "s" "SIP+D2U" "" _sip._udp.naptr.test.',
    'naptr.test. 300 NAPTR 100 20 "s" "SIP+D2W" "" _ws.naptr.test.',
    'naptr.test. 300 NAPTR 10 10 "u" "E2U+sip" "!.*!sip:x@y!" .',
    "_sips._tcp.naptr.test. 300 SRV 0 0 5071 a.test.",
    "_sip._tcp.naptr.test. 300 SRV 0 0 5072 a.test.",
    "_sip._udp.naptr.test. 300 SRV 0 0 5073 a.test.",
    "_ws.naptr.test. 300 SRV 0 0 8080 a.test.",
)
ZONE = (
    "a.test. 60 A 192.0.2.1", "b.test. 60 A 192.0.2.2",
    "six.test. 60 AAAA 2001:db8::6",
    "both.test. 60 A 192.0.2.4", "both.test. 60 AAAA 2001:db8::4",
    "two.test. 60 A 192.0.2.8", "two.test. 60 A 192.0.2.9",
    *NAPTR_ALL,
    "srv.test. 60 A 192.0.2.99",
    "_sip._udp.srv.test. 30 SRV 10 1 5080 a.test.",
    "_sip._udp.srv.test. 30 SRV 10 3 5081 b.test.",
    "_sip._udp.srv.test. 30 SRV 20 0 5082 two.test.",
    "_sip._tcp.srv.test. 30 SRV 1 1 5083 a.test.",
    "_sips._tcp.srv.test. 30 SRV 1 1 5084 a.test.",
    "_sip._udp.away.test. 60 SRV 0 0 0 .",
    'onlytcp.test. 60 NAPTR 1 1 "s" "SIP+D2T" "" _sip._tcp.onlytcp.test.',
    'bare.test. 60 NAPTR 1 1 "s" "SIP+D2U" "" _sip._udp.bare.test.', "bare.test. 60 A 192.0.2.31",
    'far.test. 60 NAPTR 1 1 "S" "sip+d2u" "" sip.elsewhere.test.',
    "sip.elsewhere.test. 60 SRV 1 1 5099 a.test.",
    "alias.test. 7 CNAME a.test.", "long.test. 60 CNAME alias.test.",
    "loop.test. 60 CNAME pool.test.", "pool.test. 60 CNAME loop.test.",
    "_sip._udp.mixed.test. 60 SRV 1 1 5060 six.test.",
    "_sip._udp.mixed.test. 60 SRV 2 1 5060 a.test.",
    "_sip._udp.even.test. 60 SRV 1 1 5060 six.test.",
    "_sip._udp.even.test. 60 SRV 1 1 5061 a.test.",
    "_sip._udp.hosted.test. 60 SRV 1 1 5077 inhosts.test.",
    "_sip._udp.dead.test. 60 SRV 1 1 5077 nothing.test.",
    "_sip._udp.twice.test. 60 SRV 1 2 5060 a.test.",
    "_sip._udp.twice.test. 60 SRV 1 3 5060 alias.test.",
    *(f"_sip._udp.wide.test. 60 SRV {n} 1 {5000 + n} a.test." for n in range(20)),
)


@pytest.fixture(scope="module")
def server() -> Iterator[NameServer]:
    with NameServer(ZONE) as running:
        yield running


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n192.0.2.77 InHosts.test other # comment\n"
                    "2001:db8::77 inhosts.test\nnonsense here\n\n")
    return path


@pytest.fixture
def resolver(server: NameServer, hosts: Path) -> Resolver:
    server.asked.clear()
    return Resolver(server.address, hosts=hosts, question_s=2.0)


def places(location: Location) -> list[tuple[str, str, int]]:
    return sorted(one.place for one in location.servers)


def find(resolver: Resolver, host: str, port: int = 0, transport: str = "", scheme: str = "sip",
         maddr: str = "", supported: tuple[str, ...] = UDP, family: int = 0) -> Location:
    target = units.Target(scheme, "", host, port, transport, maddr)
    return resolver.locate(target, supported, family)


# --- no question at all (RFC 3263 4.1, 4.2) ---


@pytest.mark.parametrize(("given", "place"), [
    ({"host": "192.0.2.5"}, ("udp", "192.0.2.5", 5060)),
    ({"host": "192.0.2.5", "port": 5070}, ("udp", "192.0.2.5", 5070)),
    ({"host": "2001:db8::1"}, ("udp", "2001:db8::1", 5060)),
    ({"host": "192.0.2.5", "scheme": "sips"}, ("tls", "192.0.2.5", 5061)),
    ({"host": "192.0.2.5", "transport": "tcp"}, ("tcp", "192.0.2.5", 5060)),
    ({"host": "192.0.2.5", "transport": "tls"}, ("tls", "192.0.2.5", 5061)),
    ({"host": "192.0.2.5", "transport": "tcp", "scheme": "sips"}, ("tls", "192.0.2.5", 5061)),
    ({"host": "192.0.2.5", "transport": "ws"}, ("ws", "192.0.2.5", 80)),
    ({"host": "192.0.2.5", "transport": "ws", "scheme": "sips"}, ("wss", "192.0.2.5", 443)),
    ({"host": "srv.test", "maddr": "192.0.2.6"}, ("udp", "192.0.2.6", 5060)),
    ({"host": "srv.test", "maddr": "192.0.2.6", "port": 9}, ("udp", "192.0.2.6", 9)),
    ({"host": "inhosts.test"}, ("udp", "192.0.2.77", 5060)),
    ({"host": "other", "port": 7}, ("udp", "192.0.2.77", 7)),
    ({"host": "localhost"}, ("udp", "127.0.0.1", 5060)),
    ({"host": "INHOSTS.TEST.", "family": 6}, ("udp", "2001:db8::77", 5060)),
])
def test_what_needs_no_name_server(resolver: Resolver, server: NameServer, given: dict[str, object],
                                   place: tuple[str, str, int]) -> None:
    found = find(resolver, **{"supported": ALL, **given})  # type: ignore[arg-type]
    assert places(found) == [place]
    assert found.ttl_s is None
    assert server.asked == []


# --- port, transport, NAPTR, SRV, addresses ---


@pytest.mark.parametrize(("given", "expected", "kinds"), [
    # an explicit port: addresses only, UDP (TLS for sips)
    ({"host": "srv.test", "port": 5060}, [("udp", "192.0.2.99", 5060)], "A AAAA"),
    ({"host": "srv.test", "port": 7, "scheme": "sips"}, [("tls", "192.0.2.99", 7)], "A AAAA"),
    ({"host": "srv.test", "port": 7, "transport": "tcp"}, [("tcp", "192.0.2.99", 7)], "A AAAA"),
    # an explicit transport: its SRV records
    ({"host": "srv.test", "transport": "tcp"}, [("tcp", "192.0.2.1", 5083)], "SRV A AAAA"),
    ({"host": "srv.test", "transport": "tls"}, [("tls", "192.0.2.1", 5084)], "SRV A AAAA"),
    ({"host": "srv.test", "transport": "tcp", "scheme": "sips"}, [("tls", "192.0.2.1", 5084)],
     "SRV A AAAA"),
    ({"host": "a.test", "transport": "tcp"}, [("tcp", "192.0.2.1", 5060)], "SRV A AAAA"),
    ({"host": "a.test", "transport": "tls"}, [("tls", "192.0.2.1", 5061)], "SRV A AAAA"),
    ({"host": "a.test", "transport": "ws"}, [("ws", "192.0.2.1", 80)], "A AAAA"),
    # NAPTR: the best of those that we support; sips leaves only the secure ones
    ({"host": "naptr.test"}, [("udp", "192.0.2.1", 5073)], "NAPTR SRV A AAAA"),
    ({"host": "naptr.test", "supported": ("udp", "tcp")}, [("tcp", "192.0.2.1", 5072)],
     "NAPTR SRV A AAAA"),
    ({"host": "naptr.test", "supported": ALL}, [("tls", "192.0.2.1", 5071)], "NAPTR SRV A AAAA"),
    ({"host": "naptr.test", "supported": ("ws",)}, [("ws", "192.0.2.1", 8080)],
     "NAPTR SRV A AAAA"),
    ({"host": "naptr.test", "scheme": "sips"}, [("tls", "192.0.2.1", 5071)], "NAPTR SRV A AAAA"),
    ({"host": "far.test"}, [("udp", "192.0.2.1", 5099)], "NAPTR SRV A AAAA"),
    # NAPTR without SRV behind it: the name's own addresses over the transport that it named
    ({"host": "bare.test", "supported": ALL}, [("udp", "192.0.2.31", 5060)], "NAPTR SRV A AAAA"),
    # no NAPTR: SRV for each transport in our order
    ({"host": "srv.test", "supported": ("tcp", "udp")}, [("tcp", "192.0.2.1", 5083)],
     "NAPTR SRV A AAAA"),
    ({"host": "a.test", "supported": ("udp", "tcp", "tls")}, [("udp", "192.0.2.1", 5060)],
     "NAPTR SRV SRV SRV A AAAA"),
    ({"host": "a.test", "scheme": "sips"}, [("tls", "192.0.2.1", 5061)], "NAPTR SRV A AAAA"),
    # addresses
    ({"host": "two.test"}, [("udp", "192.0.2.8", 5060), ("udp", "192.0.2.9", 5060)],
     "NAPTR SRV A AAAA"),
    ({"host": "six.test"}, [("udp", "2001:db8::6", 5060)], "NAPTR SRV A AAAA"),
    ({"host": "both.test"}, [("udp", "192.0.2.4", 5060)], "NAPTR SRV A AAAA"),
    ({"host": "both.test", "family": 6}, [("udp", "2001:db8::4", 5060)], "NAPTR SRV AAAA"),
    ({"host": "both.test", "family": 4}, [("udp", "192.0.2.4", 5060)], "NAPTR SRV A"),
    ({"host": "x.test", "maddr": "a.test"}, [("udp", "192.0.2.1", 5060)], "NAPTR SRV A AAAA"),
    # aliases
    ({"host": "alias.test", "port": 5060, "family": 4}, [("udp", "192.0.2.1", 5060)], "A"),
    ({"host": "long.test", "port": 5060, "family": 4}, [("udp", "192.0.2.1", 5060)], "A"),
    # the hosts file knows the server's name
    ({"host": "hosted.test"}, [("udp", "192.0.2.77", 5077)], "NAPTR SRV"),
])
def test_the_way_of_rfc_3263(resolver: Resolver, server: NameServer, given: dict[str, object],
                             expected: list[tuple[str, str, int]], kinds: str) -> None:
    supported = ("udp", "tcp", "tls") if given.get("transport") or "scheme" in given else UDP
    if given.get("transport") == "ws":
        supported = ALL
    found = find(resolver, **{"supported": supported, **given})  # type: ignore[arg-type]
    assert places(found) == sorted(expected)
    assert [kind for _, kind in server.asked] == kinds.split()


def test_srv_records_bring_priorities_and_weights(resolver: Resolver) -> None:
    rows = find(resolver, "srv.test").servers
    assert [one.priority for one in rows] == [10, 10, 20, 20]
    assert {(one.address, one.port, one.priority, one.weight) for one in rows} == {
        ("192.0.2.1", 5080, 10, 1), ("192.0.2.2", 5081, 10, 3),
        ("192.0.2.8", 5082, 20, 0), ("192.0.2.9", 5082, 20, 0)}
    shares = {one.port: one.share for one in rows}
    assert shares[5081] == 3 * shares[5080]
    assert shares[5082] == 1


def test_addresses_of_one_record_share_its_weight(server: NameServer, hosts: Path) -> None:
    zone = ["_sip._udp.pair.test. 60 SRV 1 6 5060 two.test.",
            "_sip._udp.pair.test. 60 SRV 1 6 5061 a.test.", *ZONE]
    with NameServer(zone) as other:
        rows = find(Resolver(other.address, hosts=hosts), "pair.test").servers
    shares = {one.address: one.share for one in rows}
    assert shares["192.0.2.8"] + shares["192.0.2.9"] == shares["192.0.2.1"]


def test_two_names_of_one_server_are_one(resolver: Resolver) -> None:
    (one,) = find(resolver, "twice.test").servers
    assert (one.address, one.weight) == ("192.0.2.1", 5)


def test_one_family_at_a_time(resolver: Resolver) -> None:
    """The family of the best server, IPv4 where both are best."""
    assert places(find(resolver, "mixed.test")) == [("udp", "2001:db8::6", 5060)]
    assert places(find(resolver, "mixed.test", family=4)) == [("udp", "192.0.2.1", 5060)]
    assert places(find(resolver, "even.test")) == [("udp", "192.0.2.1", 5061)]
    assert find(resolver, "mixed.test").left_out == ("192.0.2.1",)
    assert find(resolver, "even.test").left_out == ("2001:db8::6",)
    assert find(resolver, "even.test", family=6).left_out == ()     # nobody asked for the others


def test_as_many_servers_as_an_engine_takes(resolver: Resolver) -> None:
    rows = find(resolver, "wide.test").servers
    assert [one.priority for one in rows] == list(range(16))


def test_weights_order_the_list() -> None:
    """RFC 2782: 1:3 for the first place, over 10,000 draws within four standard deviations."""
    rng = random.Random(7)
    rows = [Server("udp", "192.0.2.1", 5060, 1, 1, 1), Server("udp", "192.0.2.2", 5060, 1, 3, 3)]
    first = Counter(weighted(rows, rng)[0].address for _ in range(10_000))
    assert abs(first["192.0.2.1"] - 2_500) < 174
    assert all(sorted(weighted(rows, rng), key=lambda one: one.share) == rows for _ in range(9))


def test_the_same_seed_gives_the_same_order(server: NameServer, hosts: Path) -> None:
    one, other = (find(Resolver(server.address, hosts=hosts, seed=3), "srv.test").servers
                  for _ in range(2))
    assert one == other


def test_the_smallest_time_to_live_counts(resolver: Resolver) -> None:
    assert find(resolver, "srv.test").ttl_s == 30
    assert find(resolver, "alias.test").ttl_s == 7
    assert find(resolver, "a.test", port=5060).ttl_s == 60


def test_an_alias_alone_is_followed(hosts: Path) -> None:
    with NameServer(ZONE, lone_aliases=True) as other:
        found = find(Resolver(other.address, hosts=hosts), "long.test", port=5060)
    assert places(found) == [("udp", "192.0.2.1", 5060)]


# --- what goes wrong: one sentence with the mend ---


@pytest.mark.parametrize(("given", "words"), [
    ({"host": "nowhere.test"}, "nowhere.test: the name cannot be resolved.*correct the name"),
    ({"host": "nowhere.invalid"}, "cannot be resolved"),
    ({"host": "nowhere.test", "port": 5060}, "cannot be resolved"),
    ({"host": "six.test", "family": 4}, "no IPv4 address.*--local address of IPv6"),
    ({"host": "inhosts4.test", "family": 4}, "cannot be resolved"),
    ({"host": "192.0.2.1", "family": 6}, "no IPv6 address"),
    ({"host": "dead.test"}, "no SRV record of it leads to an address"),
    ({"host": "away.test"}, "no SRV record of it leads to an address"),
    ({"host": "onlytcp.test"}, "offer SIP over tcp only, not over udp; give a port, or"),
    ({"host": "loop.test"}, "cannot be resolved"),
    ({"host": "a..test"}, "not a host name"),
    ({"host": "x" * 64 + ".test"}, "not a host name"),
])
def test_errors_name_the_mend(resolver: Resolver, given: dict[str, object], words: str) -> None:
    with pytest.raises(TargetError, match=words) as caught:
        find(resolver, **given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert int(caught.value.exit_code) == 100


def test_a_silent_name_server(hosts: Path) -> None:
    with (NameServer(silent=True) as other,
          pytest.raises(TargetError, match=r"no answer from the name server 127.0.0.1:\d+ within "
                                           r"0.3 s; choose another by --dns")):
        find(Resolver(other.address, hosts=hosts, question_s=0.3), "a.test")


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_a_name_server_that_refuses(hosts: Path, rcode: dns.rcode.Rcode) -> None:
    with (NameServer(ZONE, rcode=rcode) as other,
          pytest.raises(TargetError, match=r"name server 127.0.0.1:\d+ failed or refused")):
        find(Resolver(other.address, hosts=hosts), "nothere.test")


@pytest.mark.parametrize(("transport", "scheme"), [("tcp", "sip"), ("", "sips"), ("dtls", "sip")])
def test_a_transport_that_is_not_supported(resolver: Resolver, transport: str, scheme: str) -> None:
    with pytest.raises(UsageError, match="not supported"):
        find(resolver, "a.test", transport=transport, scheme=scheme)


@pytest.mark.parametrize(("text", "address"), [
    ("192.0.2.53", ("192.0.2.53", 53)), ("127.0.0.1:5353", ("127.0.0.1", 5353)),
    ("[2001:db8::53]:54", ("2001:db8::53", 54)), ("2001:db8::53", ("2001:db8::53", 53)),
])
def test_the_option(text: str, address: tuple[str, int]) -> None:
    assert parse_dns(text) == address


@pytest.mark.parametrize("text", ["ns.example", "", "192.0.2.53:0", "192.0.2.53:x", "[::1"])
def test_a_wrong_option(text: str) -> None:
    with pytest.raises(SiploadgenError, match="--dns") as caught:
        parse_dns(text)
    assert int(caught.value.exit_code) == 2
