"""The capture of failed calls, octet by octet, and what errors.ndjson and the page say of them."""

import ipaddress
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siploadgen.errors import UsageError
from siploadgen.figures import Datagram
from siploadgen.report.export_pcap import FailedCalls, checksum, packet_of
from siploadgen.report.history import History
from siploadgen.report.html import page
from siploadgen.report.metrics import Names
from siploadgen.report.writers import (
    MESSAGES,
    TAPE,
    TAPE_OF_PCAP,
    Outputs,
    clean_octets,
    default_path,
    parse_outputs,
    tape_octets,
)
from tests.report.made_up import stairs
from tests.run.fake_engine import FakeProgram

NAMES = Names.of(FakeProgram())
LOCAL, PEER = ("192.0.2.10", 5070), ("192.0.2.20", 5060)
V6_LOCAL, V6_PEER = ("2001:db8::10", 5070), ("2001:db8::20", 5060)
BEGAN = 1_700_000_000_000_000_000
SECRET = b'Authorization: Digest username="u", response="topsecret",\r\n realm="more"\r\n'


def datagram(at_ns, octets=b"OPTIONS sip:a SIP/2.0\r\n\r\n", *, sent=True, local=LOCAL,
             peer=PEER):
    return Datagram(at_ns, BEGAN + at_ns, sent, local, peer, octets)


def failure(*datagrams, outcome="rejected"):
    return {"outcome": outcome, "due": 0, "ended": 5_000_000, "role": "caller", "ladder": [],
            "call_id": "ab", "call_ids": [b"ab@192.0.2.10"], "message": b"",
            "datagrams": list(datagrams)}


def written(tmp_path, *deliveries):
    """The records of a capture: (seconds, nanoseconds, packet)."""
    path = tmp_path / "x.pcap"
    export = FailedCalls(str(path), NAMES)
    for one in deliveries:
        export.failures(one)
    export.finish({})
    export.close()
    export.close()
    data = path.read_bytes()
    assert data[:24].hex() == ("4d3cb2a1" "0200" "0400" "00000000" "00000000" "00000400"
                               "65000000")
    found, at = [], 24
    while at < len(data):
        seconds, ns, held, length = struct.unpack_from("<IIII", data, at)
        assert held == length
        found.append((seconds, ns, data[at + 16:at + 16 + held]))
        at += 16 + held
    assert at == len(data)
    return found


def test_an_ipv4_packet_octet_by_octet():
    assert packet_of(datagram(0, b"abc")).hex(" ") == (
        "45 00 00 1f 00 00 40 00 40 11 b6 af c0 00 02 0a c0 00 02 14 "   # 20 + 8 + 3, DF, 64 hops
        "13 ce 13 c4 00 0b 8f c4 61 62 63")


def test_an_ipv6_packet_octet_by_octet():
    assert packet_of(datagram(0, b"abc", sent=False, local=V6_LOCAL, peer=V6_PEER)).hex(" ") == (
        "60 00 00 00 00 0b 11 40 "
        "20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 20 "
        "20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 10 "
        "13 c4 13 ce 00 0b b8 41 61 62 63")


def folded(*parts):
    """One's complement sum; of all that a checksum covers it is all ones (RFC 1071)."""
    octets = b"".join(parts)
    octets += b"\0" * (len(octets) % 2)
    total = 0
    for at in range(0, len(octets), 2):
        total += octets[at] << 8 | octets[at + 1]
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(data=st.binary(max_size=1500), sent=st.booleans(), v6=st.booleans(),
       ports=st.tuples(st.integers(1, 65535), st.integers(1, 65535)),
       hosts=st.tuples(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1)))
def test_lengths_and_checksums_are_right(data, sent, v6, ports, hosts):
    kind = ipaddress.IPv6Address if v6 else ipaddress.IPv4Address
    local, peer = ((str(kind(host)), port) for host, port in zip(hosts, ports, strict=True))
    packet = packet_of(datagram(0, data, sent=sent, local=local, peer=peer))
    head = 40 if v6 else 20
    udp = packet[head:]
    assert udp[8:] == data
    source, target = ports if sent else ports[::-1]
    assert struct.unpack(">HHH", udp[:6]) == (source, target, 8 + len(data))
    assert udp[6:8] != b"\0\0"
    if v6:
        assert packet[0] >> 4 == 6
        assert struct.unpack(">H", packet[4:6]) == (len(udp),)
        pseudo = packet[8:40] + struct.pack(">IxxxB", len(udp), 17)
    else:
        assert packet[0] == 0x45
        assert struct.unpack(">H", packet[2:4]) == (len(packet),)
        assert folded(packet[:20]) == 0xFFFF
        pseudo = packet[12:20] + struct.pack(">BBH", 0, 17, len(udp))
    assert folded(pseudo, udp) == 0xFFFF


def test_a_checksum_of_zero_is_sent_as_all_ones():
    bare = packet_of(datagram(0, b"\0\0"))
    data = bare[26:28]                      # its own checksum as data makes the sum all ones
    assert packet_of(datagram(0, data))[26:28] == b"\xff\xff"


def test_the_sum_of_nothing():
    assert checksum(b"") == 0xFFFF


def test_a_socket_of_both_families_has_mapped_addresses():
    packet = packet_of(datagram(0, local=("::", 5060), peer=PEER))
    assert packet[8:24] == bytes(16)
    assert packet[24:40] == ipaddress.ip_address("::ffff:192.0.2.20").packed


def test_a_zone_is_no_part_of_an_address():
    packet = packet_of(datagram(0, local=("fe80::1", 5060), peer=("fe80::2%eth0", 5060)))
    assert packet[24:40] == ipaddress.ip_address("fe80::2").packed


def test_a_delivery_is_sorted_by_time_and_has_each_datagram_once(tmp_path):
    shared = datagram(2_000_000_005, b"shared")
    found = written(
        tmp_path,
        [failure(datagram(3_000_000_000, b"late"), shared), failure(shared, datagram(7, b"early"))],
        [failure(datagram(1, b"next"))], [{"outcome": "aborted"}])
    assert [(seconds - BEGAN // 10**9, ns, packet[28:]) for seconds, ns, packet in found] == [
        (0, 7, b"early"), (2, 5, b"shared"), (3, 0, b"late"), (0, 1, b"next")]


def test_two_datagrams_alike_are_two(tmp_path):
    found = written(tmp_path, [failure(datagram(1, b"same"), datagram(1, b"same"))])
    assert len(found) == 2


def test_credentials_are_blanked_and_lengths_stay(tmp_path):
    rest = b"Proxy-Authorization: x\r\nTo: <sip:\xff>\r\n\r\n"
    whole = b"REGISTER sip:a SIP/2.0\r\n" + SECRET + rest
    (_, _, packet), = written(tmp_path, [failure(datagram(0, whole))])
    assert len(packet) == 28 + len(whole)
    assert packet[28:].split(b"\r\n")[1].rstrip() == b"Authorization: (left out)"
    assert b"topsecret" not in packet
    assert b"more" not in packet
    assert packet.endswith(rest.replace(b"x\r", b" \r"))


@given(value=st.binary(max_size=40).filter(lambda one: b"\r" not in one and b"\n" not in one))
def test_no_credential_is_longer_or_shorter_than_it_was(value):
    message = b"A: 1\r\nAuthorization:" + value + b"\r\nB: 2\r\n"
    found = clean_octets(message)
    assert len(found) == len(message)
    assert found.startswith(b"A: 1\r\nAuthorization:")
    assert found.endswith(b"\r\nB: 2\r\n")
    assert found[20:-8].strip() in (b"", b"(left out)")


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"--out pcap=.*: Is a directory"):
        FailedCalls(str(tmp_path), NAMES)
    with pytest.raises(UsageError, match="a file name is missing"):
        parse_outputs(["pcap=-"])
    with pytest.raises(UsageError, match=r"for one file write KIND=calls.pcap"):
        parse_outputs(["calls.pcap"])


def test_the_capture_has_a_name_of_its_own():
    assert default_path("pcap") == "pcap=failed.pcap"
    assert parse_outputs(["pcap=failed.pcap"])[0].kind == "pcap"


@pytest.mark.parametrize(("outputs", "octets"), [
    ([], 0), (["json=a.json", "md=a.md", "hgrm=f"], 0), (["errors=e.ndjson"], TAPE),
    (["html=a.html"], TAPE), (["run1/"], TAPE), (["run1/", "pcap=a.pcap"], TAPE_OF_PCAP)])
def test_engines_keep_a_tape_when_somebody_reads_it(outputs, octets):
    assert tape_octets(parse_outputs(outputs)) == octets


# --- errors.ndjson and the page ---


def rows_of(tmp_path, *failures):
    path = tmp_path / "errors.ndjson"
    files = Outputs(parse_outputs([f"errors={path}"]), NAMES, 0.0)
    for one in failures:
        files.failures([one])
    files.close()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_failure_has_its_messages(tmp_path):
    row, = rows_of(tmp_path, failure(
        datagram(1_500_000, b"REGISTER sip:a SIP/2.0\r\n" + SECRET + b"\r\n"),
        datagram(2_500_000, b"SIP/2.0 403 \xffNo\r\n\r\n", sent=False, peer=V6_PEER)))
    assert row["messages"] == [
        {"at_s": 0.0015, "sent": True, "peer": "192.0.2.20:5060",
         "text": "REGISTER sip:a SIP/2.0\r\nAuthorization: (left out)\r\n\r\n"},
        {"at_s": 0.0025, "sent": False, "peer": "[2001:db8::20]:5060",
         "text": "SIP/2.0 403 \\xffNo\r\n\r\n"}]
    assert row["call_ids"] == ["ab@192.0.2.10"]
    assert "datagrams" not in row


def test_the_first_of_each_class_have_them(tmp_path):
    kinds = ["rejected"] * (MESSAGES + 2) + ["timeout"] * 3
    rows = rows_of(tmp_path, *(failure(datagram(1), outcome=kind) for kind in kinds))
    assert [("messages" in row) for row in rows] == (
        [True] * MESSAGES + [False] * 2 + [True] * 3)


def test_without_a_tape_there_is_nothing_to_say(tmp_path):
    one = failure()
    del one["datagrams"]
    assert "messages" not in rows_of(tmp_path, one)[0]


def test_what_the_tape_lost_is_an_empty_list(tmp_path):
    assert rows_of(tmp_path, failure())[0]["messages"] == []


def test_the_page_shows_them_folded():
    result, _ = stairs([100], lambda _: 1000)
    history = History()
    text = "INVITE sip:<b>@a SIP/2.0\r\nTo: x\r\n"
    history.failure({"outcome": "rejected", "call_id": "ab", "messages": [
        {"at_s": 0.25, "sent": True, "peer": "192.0.2.20:5060", "text": text},
        {"at_s": 0.5, "sent": False, "peer": "192.0.2.20:5060", "text": "SIP/2.0 486 No\r\n"}]})
    history.failure({"outcome": "timeout", "call_id": "cd", "messages": []})
    shown = page(result, history, library=False)
    assert shown.count("All its messages") == 1
    assert ("<summary>All its messages</summary><pre>--- 0.25 s to 192.0.2.20:5060\n"
            "INVITE sip:&lt;b&gt;@a SIP/2.0\nTo: x\n\n"
            "--- 0.5 s from 192.0.2.20:5060\nSIP/2.0 486 No\n</pre>") in shown
