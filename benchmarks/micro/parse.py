"""How long one message takes to be parsed to typed fields: ours beside libosip2 and Sofia-SIP.

    python benchmarks/micro/parse.py            prints one line of JSON

A message is an INVITE with eleven headers and SDP, 554 octets on average; 64 of them with other
names, numbers and lengths take turns, so that no branch predictor learns one by heart. Batches of
the three take turns too, which shares the machine's moods among them; `ns` is the best batch and
`ns_median` the one in the middle. The peers are used as their users do: make, parse, destroy.
`ns_headers` is ours for messages of 250 and 1000 more headers: linear means four times as long.
"""

from __future__ import annotations

import json
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from siploadgen.core.sip.parse import parse_many

HERE = Path(__file__).parent
PEERS = {"osip": "libosip2", "sofia": "sofia-sip-ua"}
SETS = 5
BATCHES = 8
ROUNDS = 40


def invite(turn: int, headers: int = 0) -> bytes:
    """One INVITE; its turn decides names, numbers and lengths."""
    user = "u" * (1 + turn % 7) + str(turn * 7919)
    port = 5060 + turn % 11 * 997
    body = (f"v=0\r\no=- {turn * 104729} {turn} IN IP4 192.0.2.{turn + 1}\r\ns=-\r\n"
            f"c=IN IP4 192.0.2.{turn + 1}\r\nt=0 0\r\nm=audio {6000 + turn * 2} RTP/AVP 0 8\r\n"
            "a=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n")
    lines = [
        f"INVITE sip:{user}@198.51.100.7:{port} SIP/2.0",
        f"Via: SIP/2.0/UDP 192.0.2.{turn + 1}:{port};branch=z9hG4bK{turn * 15485863:016x}",
        f'From: "{user}" <sip:{user}@192.0.2.{turn + 1}>;tag={turn * 32452843:016x}',
        f"To: <sip:{user}@198.51.100.7>",
        f"Call-ID: {turn * 49979687:016x}",
        f"CSeq: {turn + 1000} INVITE",
        f"Contact: <sip:{user}@192.0.2.{turn + 1}:{port}>",
        "Max-Forwards: 70",
        "Subject: a performance test of parsers",
        *(f"X-Extra-{i}: value {i}" for i in range(headers)),
        "Content-Type: application/sdp",
        f"Content-Length: {len(body)}",
        "", body]
    return "\r\n".join(lines).encode()


def build(peer: str, folder: Path) -> Path | None:
    """The peer's program; None where its package or a compiler is not there."""
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", PEERS[peer]],
                           capture_output=True, text=True, check=False)
    if flags.returncode != 0 or shutil.which("gcc") is None:
        return None
    program = folder / peer
    subprocess.run(["gcc", "-O3", "-o", str(program), str(HERE / f"parse_{peer}.c"),
                    *flags.stdout.split()], check=True)
    return program


def ours(messages: list[bytes], batches: int, rounds: int) -> list[float]:
    """ns for each message, of every batch."""
    times = []
    for _ in range(batches):
        start = time.perf_counter_ns()
        good = parse_many(messages, rounds)
        times.append((time.perf_counter_ns() - start) / rounds / len(messages))
        if good != rounds * len(messages):
            sys.exit("a message of the benchmark is not accepted")
    return times


def theirs(program: Path, file: Path, batches: int, rounds: int) -> list[float]:
    done = subprocess.run([str(program), str(file), str(batches), str(rounds)],
                          capture_output=True, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


def main() -> None:
    messages = [invite(turn) for turn in range(64)]
    octets = statistics.mean(map(len, messages))
    times: dict[str, list[float]] = {"ours": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "messages"
        file.write_bytes(b"".join(b"%d\n%s" % (len(data), data) for data in messages))
        programs = {peer: program for peer in PEERS if (program := build(peer, folder))}
        for _ in range(SETS):
            times["ours"] += ours(messages, BATCHES, ROUNDS * 20)
            for peer, program in programs.items():
                times.setdefault(peer, []).extend(theirs(program, file, BATCHES, ROUNDS))
    best = {who: min(batches) for who, batches in times.items()}
    middle = {who: statistics.median(batches) for who, batches in times.items()}
    long = {str(count): round(min(ours([invite(1, count)], BATCHES, 200))) for count in (250, 1000)}
    print(json.dumps({
        "benchmark": "parse", "octets": round(octets), "messages": len(messages),
        "machine": platform.machine(), "python": platform.python_version(),
        "ns": {who: round(value, 1) for who, value in best.items()},
        "ns_median": {who: round(value, 1) for who, value in middle.items()},
        "mb_per_s": {who: round(octets / value * 1000) for who, value in best.items()},
        "times_faster": {who: round(best[who] / best["ours"], 2) for who in best if who != "ours"},
        "times_faster_median": {who: round(middle[who] / middle["ours"], 2)
                                for who in middle if who != "ours"},
        "ns_headers": long,
    }))


if __name__ == "__main__":
    main()
