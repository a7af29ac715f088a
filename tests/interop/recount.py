"""The judge: counts and latencies of the calls in a capture, from the capture alone.

It knows nothing of siploadgen. tshark reads the messages; everything after that is arithmetic on
(time, from, to, method, status, Call-ID, CSeq, branch, tags). Also a script:

    recount.py CAPTURE CALLER_PORT [PORT...]      prints one JSON object
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

FIELDS = ("frame.time_epoch", "udp.srcport", "udp.dstport", "sip.Method", "sip.Status-Code",
          "sip.Call-ID", "sip.CSeq.seq", "sip.CSeq.method", "sip.Via.branch", "sip.from.tag",
          "sip.to.tag")


@dataclass(frozen=True, slots=True)
class Seen:
    """One SIP message on the wire. `at_us` is in microseconds; `status` 0 marks a request."""

    at_us: float
    source: int
    target: int
    method: str
    status: int
    call_id: str
    cseq: int
    branch: str
    from_tag: str
    to_tag: str


@dataclass(slots=True)
class Recount:
    """What the capture says. Latencies in microseconds, one entry for each call that has one."""

    requests: Counter[str] = field(default_factory=Counter)
    responses: Counter[str] = field(default_factory=Counter)
    retransmitted: int = 0
    calls: int = 0
    answered: int = 0
    released: int = 0
    srd_us: list[float] = field(default_factory=list)
    setup_us: list[float] = field(default_factory=list)
    sdd_us: list[float] = field(default_factory=list)
    branches_reused: list[str] = field(default_factory=list)
    cseq_regressed: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, object]:
        """Give the counts and the p50 and p99 of each latency."""
        shown = asdict(self)
        for name in ("srd_us", "setup_us", "sdd_us"):
            values = shown.pop(name)
            shown[name] = {"count": len(values), "p50": percentile(values, 50),
                           "p99": percentile(values, 99)}
        return shown


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest rank: the smallest value that at least `percent` of all do not exceed."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(math.ceil(percent / 100 * len(ordered)), 1) - 1]


def read(file: Path, ports: Iterable[int], binary: str = "tshark") -> list[Seen]:
    """List every SIP message of the capture, in the order of the capture."""
    decode = [word for port in ports for word in ("-d", f"udp.port=={port},sip")]
    columns = [word for name in FIELDS for word in ("-e", name)]
    # Every SDP here names the same media port: tshark need not look for its streams, call by call.
    done = subprocess.run(
        [binary, "-n", "-o", "sdp.establish_conversation:FALSE", "-r", str(file), *decode,
         "-Y", "sip", "-T", "fields", *columns, "-E", "occurrence=f", "-E", "separator=/t"],
        capture_output=True, text=True, timeout=300, check=True)
    messages = []
    for line in done.stdout.splitlines():
        at, source, target, method, status, call_id, cseq, of, branch, mine, theirs = \
            line.split("\t")
        if not method and not of and not status:
            continue                    # a keep-alive: tshark calls it SIP, but it is no message
        whole, _, part = at.partition(".")
        messages.append(Seen(int(whole) * 1e6 + int(part.ljust(9, "0")) / 1e3, int(source),
                             int(target), method or of, int(status or 0), call_id, int(cseq),
                             branch, mine, theirs))
    return messages


def recount(messages: Iterable[Seen], caller: int) -> Recount:
    """Work out what happened, as seen beside the caller's port.

    SRD, SDD and their ends are those of RFC 6076 4.3 and 4.5: from the first INVITE to the first
    provisional response other than 100 (or a final one), from the first BYE to its final one.
    """
    result = Recount()
    seen: set[tuple[object, ...]] = set()
    first: dict[tuple[str, str], float] = {}
    ended: dict[tuple[str, str], float] = {}
    by_branch: dict[tuple[int, str], tuple[str, int, str]] = {}
    highest: dict[tuple[str, str], int] = defaultdict(lambda: -1)
    for message in messages:
        if caller not in (message.source, message.target):
            continue
        identity = (message.source, message.branch, message.method, message.status, message.cseq,
                    message.call_id, message.to_tag)
        again = identity in seen
        seen.add(identity)
        result.retransmitted += again
        if message.status:
            result.responses[f"{message.status}/{message.method}"] += 1
            if message.target == caller:
                _response(result, message, first, ended)
            continue
        result.requests[message.method] += 1
        if again:
            continue
        if message.source == caller:
            first.setdefault((message.call_id, message.method), message.at_us)
        _check_branch(result, message, by_branch)
        _check_cseq(result, message, highest)
    result.calls = sum(method == "INVITE" for _, method in first)
    return result


def _response(result: Recount, message: Seen, first: dict[tuple[str, str], float],
              ended: dict[tuple[str, str], float]) -> None:
    began = first.get((message.call_id, message.method))
    if began is None:
        return
    took = message.at_us - began
    if message.method == "INVITE":
        if message.status > 100 and ended.setdefault((message.call_id, "srd"), took) is took:
            result.srd_us.append(took)
        if message.status == 200 and ended.setdefault((message.call_id, "setup"), took) is took:
            result.setup_us.append(took)
            result.answered += 1
    elif (message.method == "BYE" and message.status >= 200
            and ended.setdefault((message.call_id, "sdd"), took) is took):
        result.sdd_us.append(took)
        result.released += message.status == 200


def _check_branch(result: Recount, message: Seen,
                  by_branch: dict[tuple[int, str], tuple[str, int, str]]) -> None:
    """A branch names one transaction for ever (RFC 3261 8.1.1.7).

    A CANCEL, and the ACK of a failure, belong to the INVITE of their branch.
    """
    method = "INVITE" if message.method in ("ACK", "CANCEL") else message.method
    mine = (message.call_id, message.cseq, method)
    if by_branch.setdefault((message.source, message.branch), mine) != mine:
        result.branches_reused.append(message.branch)


def _check_cseq(result: Recount, message: Seen, highest: dict[tuple[str, str], int]) -> None:
    """Each new request of a dialog's side has a higher CSeq (RFC 3261 12.2.1.1)."""
    if message.method in ("ACK", "CANCEL"):
        return
    side = (message.call_id, message.from_tag)
    if message.cseq <= highest[side]:
        result.cseq_regressed.append(f"{message.call_id} {message.cseq} {message.method}")
    highest[side] = max(highest[side], message.cseq)


def misuse(messages: Iterable[Seen], source: int) -> list[str]:
    """Say how the requests that left a port break the rules for branches and CSeq numbers.

    In sending order and dialog by dialog: dialogs of one fork count by themselves, each from the
    INVITE that made it (RFC 3261 12.1.2). A repeat of a message is no new one.
    """
    found: list[str] = []
    sent: set[tuple[object, ...]] = set()
    opened: dict[str, tuple[str, int, str]] = {}
    answered: set[str] = set()  # branches of our INVITEs that got a 2xx
    invited: set[tuple[str, str, int]] = set()
    highest: dict[tuple[str, ...], int] = {}
    for message in messages:
        if message.status:
            if message.target == source and message.method == "INVITE" and message.status < 300:
                answered.update((message.branch,) if message.status >= 200 else ())
            continue
        if message.source != source:
            continue
        what = f"{message.call_id} {message.cseq} {message.method}"
        identity = (message.branch, message.method, message.cseq, message.call_id)
        if identity in sent:
            continue
        sent.add(identity)
        within = message.method in ("ACK", "CANCEL")
        mine = (message.call_id, message.cseq, "INVITE" if within else message.method)
        if opened.setdefault(message.branch, mine) != mine:
            found.append(f"{what}: branch {message.branch} was that of {opened[message.branch]}")
        call = (message.call_id, message.from_tag)
        if within:
            if (*call, message.cseq) not in invited:
                found.append(f"{what}: no INVITE had this CSeq")
            if message.method == "ACK" and message.branch in answered:
                found.append(f"{what}: the ACK of a 2xx has the branch of its INVITE (17.1.1.3)")
            continue
        if message.method == "INVITE":
            invited.add((*call, message.cseq))
        # registrations of a user are numbered together, whatever their tags (RFC 3261 10.2)
        outside = (message.call_id, "REGISTER") if message.method == "REGISTER" else call
        side = (*call, message.to_tag) if message.to_tag else outside
        before = highest.get(side, highest.get(outside, -1))
        if message.cseq <= before:
            found.append(f"{what}: after {before}")
        highest[side] = max(before, message.cseq)
    return found


# --- RFC 6076 ---

CHALLENGES = (401, 402, 407)
MEASURES = ("rrd", "srd", "srd_failed", "sdd", "sdd_failed", "sdt")


@dataclass(slots=True)
class Exchange:
    """A request beside its repeats, and what came back; times in microseconds."""

    request: Seen
    heard: float = 0.0  # first provisional response but a 100
    status: int = 0  # first final one
    ended: float = 0.0


@dataclass(slots=True)
class Judged:
    """RFC 6076 of a capture: delays in microseconds, and what became of each attempt."""

    delays: dict[str, list[float]] = field(
        default_factory=lambda: {name: [] for name in MEASURES})
    sdt_failed: int = 0
    finals: dict[str, Counter[int]] = field(  # 0: no final response
        default_factory=lambda: {name: Counter() for name in ("INVITE", "REGISTER", "BYE")})
    proved: Counter[str] = field(default_factory=Counter)
    completed: int = 0

    def attempts(self, method: str) -> int:
        """How many attempts ended; one with credentials is the one before, once more."""
        return sum(self.finals[method].values()) - self.proved[method]

    def ratios(self) -> dict[str, float | None]:
        """SER, SEER, ISA, SCR and IRA; None without any attempt that counts."""
        finals, whole = self.finals["INVITE"], self.attempts("INVITE")
        sent_on = whole - sum(count for status, count in finals.items() if 300 <= status < 400)
        answered = sum(count for status, count in finals.items() if 200 <= status < 300)
        callee = sum(finals[status] for status in (480, 486, 600, 603))
        ineffective = sum(finals[status] for status in (0, 408, 500, 503, 504))
        registers = self.finals["REGISTER"]
        refused = sum(count for status, count in registers.items()
                      if status == 0 or (status >= 400 and status not in CHALLENGES))

        def share(part: int, of: int) -> float | None:
            return part / of if of else None

        return {"ser": share(answered, sent_on), "seer": share(answered + callee, sent_on),
                "isa": share(ineffective, whole), "scr": share(self.completed, whole),
                "ira": share(refused, self.attempts("REGISTER"))}


def exchanges(messages: Iterable[Seen], patience_us: float = math.inf) -> list[Exchange]:
    """Put requests and responses together by branch and method, in the order of sending.

    A final response that comes later than timer B or F (`patience_us`) allows is none.
    """
    found: dict[tuple[str, str], Exchange] = {}
    for message in messages:
        key = (message.branch, message.method)
        if not message.status:
            if message.method not in ("ACK", "CANCEL"):
                found.setdefault(key, Exchange(message))
            continue
        one = found.get(key)
        if one is None or one.status or message.at_us > one.request.at_us + patience_us:
            continue
        if message.status >= 200:
            one.status, one.ended = message.status, message.at_us
        elif message.status > 100 and not one.heard:
            one.heard = message.at_us
    return list(found.values())


def judge(messages: Sequence[Seen], caller: int, patience_us: float = math.inf) -> Judged:
    """Work out RFC 6076 for the calls and registrations that left the caller's port."""
    result = Judged()
    opening: dict[tuple[str, str], list[Exchange]] = defaultdict(list)
    ours: dict[tuple[str, str], list[Exchange]] = defaultdict(list)
    theirs: dict[tuple[str, str], list[Exchange]] = defaultdict(list)
    for one in exchanges(messages, patience_us):
        request = one.request
        mine = request.source == caller
        if request.method == "BYE":
            whose = ours if mine else theirs
            whose[request.call_id, request.from_tag if mine else request.to_tag].append(one)
        elif mine and request.method in ("INVITE", "REGISTER") and not request.to_tag:
            opening[request.call_id, request.from_tag].append(one)
    for call, made in opening.items():
        answered = _opened(result, made)
        if answered is not None:
            _closed(result, answered, ours[call], theirs[call])
    return result


def _opened(result: Judged, made: list[Exchange]) -> Exchange | None:
    """Judge the INVITEs or REGISTERs of one call; return the INVITE that a 2xx answered."""
    began = heard = 0.0
    before = 400  # nothing came before: like a failure, after which all begins anew
    answered = None
    for one in made:
        method = one.request.method
        if before in CHALLENGES:
            result.proved[method] += 1
        elif not 300 <= before < 400:
            began, heard = one.request.at_us, 0.0
        heard = heard or one.heard
        before = one.status or 400
        result.finals[method][one.status] += 1
        if method == "REGISTER":
            if 200 <= one.status < 300:
                result.delays["rrd"].append(one.ended - began)
        elif 200 <= one.status < 300:
            result.delays["srd"].append((heard or one.ended) - began)
            answered = one
        elif one.status >= 400 and one.status not in CHALLENGES:
            result.delays["srd_failed"].append((heard or one.ended) - began)
    return answered


def _closed(result: Judged, answered: Exchange, ours: list[Exchange],
            theirs: list[Exchange]) -> None:
    """Judge the end of a session by our BYEs, and the peer's."""
    peer = theirs[0] if theirs else None
    ours = [one for one in ours if one.request.at_us > answered.ended]
    if not ours:
        if peer is not None:
            result.delays["sdt"].append(peer.request.at_us - answered.ended)
            result.completed += 200 <= peer.status < 300
        return
    first, last = ours[0].request.at_us, ours[-1]
    if last.status in CHALLENGES:
        return
    result.finals["BYE"][last.status] += 1
    if not last.status:
        result.sdt_failed += 1
        return
    result.delays["sdt"].append(first - answered.ended)
    if last.status < 300:
        result.delays["sdd"].append(last.ended - first)
    elif peer is None:
        result.delays["sdd_failed"].append(last.ended - first)
    result.completed += last.status < 300 or peer is not None


def main() -> None:
    file, *ports = sys.argv[1:]
    numbers = [int(port) for port in ports]
    messages = read(Path(file), numbers)
    judged = judge(messages, numbers[0])
    print(json.dumps({**recount(messages, numbers[0]).summary(), "rfc6076": {
        **judged.ratios(), "completed": judged.completed,
        "finals": {method: dict(sorted(finals.items()))
                   for method, finals in judged.finals.items()},
        **{name: {"count": len(values), "p50": percentile(values, 50),
                  "p99": percentile(values, 99)} for name, values in judged.delays.items()}}},
        indent=1))


if __name__ == "__main__":
    main()
