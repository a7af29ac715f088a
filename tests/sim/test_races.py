"""Both ends act at the same moment, in a network that delays, loses and doubles (RFC 5407)."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable

import pytest

from siploadgen.compile.assemble import compile_scenarios
from siploadgen.core.engine import Engine
from siploadgen.model.builtin.parts import bye
from siploadgen.model.builtin.session import change, rest
from siploadgen.model.python import answer, call
from siploadgen.model.recorder import Recorder
from tests.sim.helpers import TARGET, Trial, counts, outcomes
from tests.sim.network import ANSWERER, CALLER, Network, Weather, drained, due_times

NEAR = Weather(delay=1_000_000, jitter=40_000_000)
ROUGH = Weather(loss=0.05, duplication=0.05, delay=1_000_000, jitter=40_000_000)
WEATHERS = {"near": NEAR, "rough": ROUGH}


def finished(network: Network, calls: int = 200) -> None:
    """Every call has ended at both ends and nothing is left."""
    assert sum(outcomes(network.caller.outcomes).values()) == calls
    assert sum(outcomes(network.answerer.answered_outcomes).values()) == \
        counts(network.answerer)["answered"]
    drained(network.caller)
    drained(network.answerer)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weather", WEATHERS)
def test_5407_3_2_1_byes_cross(weather: str, seed: int) -> None:
    """Whoever is first, both calls end well, and 481 is as good an answer as 200."""
    network = Trial(settings={"hold": "1s"}, answers={"callee_hangs_up": "yes", "hold": "1s"}).run(
        seed, WEATHERS[weather])
    finished(network)
    ends = outcomes(network.caller.outcomes)
    assert set(ends) <= {"succeeded", "unexpected"}, ends       # unexpected: theirs came first
    assert ends["succeeded"] > 50
    crossed = network.caller.received_requests[3]               # BYE
    assert crossed > 20


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weather", WEATHERS)
def test_5407_3_1_2_cancel_and_2xx_cross(weather: str, seed: int) -> None:
    trial = Trial(settings={"ring_limit": "1s"}, answers={"ring": "uniform(0.95s,1.05s)"})
    network = trial.run(seed, WEATHERS[weather])
    finished(network)
    ends = outcomes(network.caller.outcomes, trial.programs()[0])
    assert set(ends) == {"succeeded", "no_answer", "cancel_race"}   # all three ways happened
    answered = outcomes(network.answerer.answered_outcomes)
    assert set(answered) <= {"succeeded", "cancelled"}, answered
    # What one end calls cancelled the other end gave up.
    assert answered.get("cancelled", 0) == ends["no_answer"]


@pytest.mark.parametrize("seed", range(4))
def test_5407_3_1_5_acks_and_2xx_are_lost(seed: int) -> None:
    """Half of everything that goes to the callee is lost: the 2xx, the ACK and the BYE repeat."""
    network = Trial(settings={"hold": "2s"}).network(seed, Weather(loss=0.3, jitter=10_000_000))
    network.run()
    finished(network)
    assert outcomes(network.caller.outcomes).get("succeeded", 0) > 150


def forked(data: bytes, tag: bytes) -> bytes:
    """A copy of a 2xx as another branch of a fork would have sent it."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = [line + b"x" + tag if line.startswith(b"To:") else line for line in head.split(b"\r\n")]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_i11_every_call_is_forked() -> None:
    """A second branch answers each INVITE: every one of its dialogs is hung up, ours goes on."""
    network = Trial(calls=50, settings={"hold": "1s"}).network()
    seen = set()
    feed = network.caller.feed

    class Forking:
        """The caller, to whom each 2xx to an INVITE comes from two branches."""

        def __getattr__(self, name: str) -> object:
            return getattr(network.caller, name)

        def feed(self, data: bytes, source: tuple[str, int], now: int) -> None:
            feed(data, source, now)
            if data.startswith(b"SIP/2.0 200") and b" INVITE\r\n" in data:
                seen.add(data)
                feed(forked(data, b"1"), source, now)

    for address in list(network.ends):
        if address != ANSWERER:
            network.ends[address] = Forking()  # type: ignore[assignment]
    network.run()
    assert len(seen) == 50
    assert outcomes(network.caller.outcomes) == {"succeeded": 50}
    assert counts(network.caller)["forked_2xx"] == 50
    assert network.answerer.received_requests[3] == 100         # 50 of them for unknown dialogs
    assert counts(network.answerer)["stray_request"] == 100     # ACK and BYE of each fork
    assert outcomes(network.answerer.answered_outcomes) == {"succeeded": 50}
    drained(network.caller)
    drained(network.answerer)


# --- changes, ends and transfers that cross (RFC 5407 3.1.4 to 3.3.3) ---

CROSSING = Weather(delay=5_000_000)
TALK, TALK_LESS = "1s", "999ms"         # each end acts before it can know of the other
METHODS = {"INVITE": 1, "UPDATE": 8}


def met(caller: Callable[[Recorder], None], answerer: Callable[[Recorder], None], calls: int = 50,
        seed: int = 1) -> Network:
    """Two scenarios of the test's own, in a network where both act at the same moment."""
    programs = [compile_scenarios(one) for one in (
        call(name="here", sdp="g711")(caller).record(target=TARGET),
        answer("INVITE", name="there", sdp="g711")(answerer).record())]
    ends = [Engine(program, local=local, target=ANSWERER, run_id=0xA0000000 + n, seed=seed + n,
                   max_instances=2000, max_transactions=8000)
            for n, (program, local) in enumerate(zip(programs, (CALLER, ANSWERER), strict=True))]
    network = Network(ends[0], ends[1], CROSSING, seed)
    network.record = []
    network.caller.schedule(due_times(calls, 100.0))
    network.run()
    finished(network, calls)
    return network


def calling(c: Recorder) -> None:
    c.invite(sdp="g711")
    c.expect("2xx")
    c.ack()


def called(c: Recorder) -> None:
    c.respond(200, sdp="g711")
    c.expect("ACK")


def statuses(network: Network, method: str) -> set[int]:
    """Of all responses to requests of the method."""
    about = re.compile(rb"\r\nCSeq: \d+ " + method.encode())
    return {int(data[8:11]) for _, _, data in network.record or ()
            if data.startswith(b"SIP/2.0") and about.search(data)}


def waits(network: Network, method: str) -> dict[str, list[int]]:
    """Milliseconds from a 491 to the next request of the method in its dialog, by end."""
    refused: dict[tuple[str, bytes], int] = {}
    found: dict[str, list[int]] = {"caller": [], "answerer": []}
    for at, end, data in network.record or ():
        call_id = data.partition(b"\r\nCall-ID: ")[2].partition(b"\r\n")[0]
        if data.startswith(b"SIP/2.0 491") and method.encode() in data.partition(b"CSeq: ")[2][:20]:
            other = "caller" if end == "answerer" else "answerer"
            refused.setdefault((other, call_id), at + CROSSING.delay)
        elif data.startswith(method.encode()) and (end, call_id) in refused:
            found[end].append((at - refused.pop((end, call_id))) // 1000)
    return found


@pytest.mark.parametrize("method", METHODS)
def test_5407_3_3_1_changes_cross_and_wait_as_they_must(method: str) -> None:
    """I7: 491 to both; who made the Call-ID waits 2.1 to 4.0 s, the other 0 to 2.0 s, in steps of
    10 ms (RFC 3261 14.1, 3311 5.3).
    """
    def here(c: Recorder) -> None:
        calling(c)
        rest(c, TALK, "unexpected")
        change(c, "hold", "sendonly", method=method, owner=True, outcome="unexpected")
        rest(c, "5s", "unexpected")
        bye(c, "succeeded")

    def there(c: Recorder) -> None:
        called(c)
        rest(c, TALK_LESS, "succeeded")
        change(c, "hold", "inactive", method=method, owner=False, outcome="succeeded")
        rest(c, "60s", "succeeded")

    network = met(here, there, 400)
    assert outcomes(network.caller.outcomes) == {"succeeded": 400}
    assert 491 in statuses(network, method)
    found = waits(network, method)
    for end, low, high in (("caller", 2100, 4000), ("answerer", 0, 2000)):
        waited = [us / 1000 for us in found[end]]
        assert len(waited) == 400
        assert low <= min(waited) < low + 40
        assert high - 40 < max(waited) <= high
        assert all(ms % 10 == 0 for ms in waited)
        assert abs(sum(waited) / 400 - (low + high) / 2) < 100      # 3 sigma of the mean: 87
        assert len(set(waited)) > 120


@pytest.mark.parametrize(("ours", "theirs"), [("UPDATE", "INVITE"), ("INVITE", "UPDATE")])
def test_5407_3_3_2_an_update_and_a_reinvite_cross(ours: str, theirs: str) -> None:
    def here(c: Recorder) -> None:
        calling(c)
        rest(c, TALK, "unexpected")
        change(c, "hold", "sendonly", method=ours, owner=True, outcome="unexpected")
        rest(c, "5s", "unexpected")
        bye(c, "succeeded")

    def there(c: Recorder) -> None:
        called(c)
        rest(c, TALK_LESS, "succeeded")
        change(c, "hold", "inactive", method=theirs, owner=False, outcome="succeeded")
        rest(c, "60s", "succeeded")

    network = met(here, there)
    assert outcomes(network.caller.outcomes) == {"succeeded": 50}
    assert statuses(network, ours) == statuses(network, theirs) == {200, 491}


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_5407_3_2_2_a_bye_crosses_a_reinvite(who: str) -> None:
    """Whoever hangs up, the call is over for both: 481 to the re-INVITE, and its ACK."""
    def here(c: Recorder) -> None:
        calling(c)
        rest(c, TALK, "succeeded")
        if who == "caller":
            bye(c, "succeeded")
        change(c, "hold", "sendonly", owner=True, outcome="succeeded")

    def there(c: Recorder) -> None:
        called(c)
        rest(c, TALK_LESS, "succeeded")
        if who == "callee":
            bye(c, "succeeded")
        change(c, "hold", "sendonly", owner=False, outcome="succeeded")

    network = met(here, there)
    assert outcomes(network.caller.outcomes) == {"succeeded": 50}
    assert outcomes(network.answerer.answered_outcomes) == {"succeeded": 50}
    assert statuses(network, "BYE") == {200}
    assert statuses(network, "INVITE") == {200, 481}
    acks = sum(data.startswith(b"ACK") for _, _, data in network.record or ())
    assert acks == 100                                          # one for the 2xx, one for the 481


def test_5407_3_3_3_a_refer_crosses_a_bye() -> None:
    def here(c: Recorder) -> None:
        calling(c)
        rest(c, TALK, "unexpected")
        c.send("REFER", headers={"Refer-To": "<sip:c@192.0.2.9>"})
        crossed = c.expect("2xx", method="REFER")
        with crossed.on("BYE"):
            c.respond(200)
            c.expect("481", method="REFER")
            c.end("succeeded")

    def there(c: Recorder) -> None:
        called(c)
        rest(c, TALK_LESS, "unexpected")
        bye(c, "succeeded")

    network = met(here, there)
    assert outcomes(network.caller.outcomes) == {"succeeded": 50}
    assert outcomes(network.answerer.answered_outcomes) == {"succeeded": 50}
    assert (statuses(network, "REFER"), statuses(network, "BYE")) == ({481}, {200})


class Lossy(Network):
    """A network that loses what it is told to lose."""

    loses: Callable[[bytes], bool] = staticmethod(lambda data: False)

    def send(self, source: tuple[str, int]) -> None:
        before = {entry[1] for entry in self.flying}
        super().send(source)
        self.flying = [entry for entry in self.flying
                       if entry[1] in before or not self.loses(entry[4])]
        heapq.heapify(self.flying)


def lossy(trial: Trial, loses: Callable[[bytes], bool]) -> Network:
    """The trial where certain datagrams are lost."""
    whole = trial.network()
    network = Lossy(whole.caller, whole.answerer, CROSSING)
    network.record = []
    network.loses = loses
    network.run()
    finished(network, trial.calls)
    return network


def first_acks() -> Callable[[bytes], bool]:
    """Lose the first ACK of each call."""
    seen: set[bytes] = set()

    def loses(data: bytes) -> bool:
        call_id = data.partition(b"\r\nCall-ID: ")[2].partition(b"\r\n")[0]
        if not data.startswith(b"ACK") or call_id in seen:
            return False
        seen.add(call_id)
        return True
    return loses


def test_5407_3_1_5_the_ack_is_lost_before_a_reinvite() -> None:
    """500 with Retry-After; the repeated 200 brings the ACK again, and the re-INVITE its turn."""
    network = lossy(Trial("call-hold", 50, settings={"talk": "0s", "held": "0s"}), first_acks())
    assert outcomes(network.caller.outcomes) == {"succeeded": 50}
    assert outcomes(network.answerer.answered_outcomes) == {"succeeded": 50}
    assert statuses(network, "INVITE") == {180, 200, 500}


def test_5407_3_1_6_the_ack_is_lost_and_a_bye_comes() -> None:
    """B1: the BYE of the caller ends what was never acknowledged."""
    network = lossy(Trial(calls=50, settings={"hold": "0s"}), first_acks())
    assert outcomes(network.caller.outcomes) == {"succeeded": 50}
    assert outcomes(network.answerer.answered_outcomes) == {"succeeded": 50}


@pytest.mark.parametrize("lost", [b"SIP/2.0 200", b"ACK"])
def test_5407_3_1_6_no_200_or_no_ack_arrives_then_the_callee_hangs_up(lost: bytes) -> None:
    """I14, B5: the 200 is repeated eleven times, and 64*T1 after it the callee sends BYE."""
    network = lossy(
        Trial(calls=20, settings={"hold": "100s"}),
        lambda data: data.startswith(lost) and (lost == b"ACK" or b" INVITE\r\n" in data))
    byes = [(at, end) for at, end, data in network.record or () if data.startswith(b"BYE")]
    assert len(byes) == 20
    assert {end for _, end in byes} == {"answerer"}
    sent = [at for at, _, data in network.record or () if data.startswith(b"SIP/2.0 200")
            and b" INVITE\r\n" in data]
    assert len(sent) == 20 * 11
    assert byes[0][0] - sent[0] == 32_000_000_000
    assert outcomes(network.caller.outcomes) == {"unexpected": 20}
    assert set(outcomes(network.answerer.answered_outcomes)) == {"no_ack"}
    if lost == b"ACK":                          # every copy of the 200 is acknowledged
        assert counts(network.caller)["received_again"] >= 20 * 10


def test_5407_3_1_4_a_second_invite_before_the_first_is_answered() -> None:
    """RFC 3261 14.2: 500 with a Retry-After of 0 to 10 s; the first is answered all the same."""
    def here(c: Recorder) -> None:
        calling(c)
        c.send("INVITE", sdp="g711")
        c.pause("100ms")
        c.send("INVITE", sdp="g711")
        c.expect(500)
        with c.pause("2s").on("2xx", method="INVITE"):
            c.ack()
        bye(c, "succeeded")

    def there(c: Recorder) -> None:
        called(c)
        c.expect("INVITE")
        c.pause("1s")
        c.respond(200, method="INVITE")
        c.expect("BYE").optional("ACK")
        c.respond(200)

    network = met(here, there)
    assert outcomes(network.caller.outcomes) == {"succeeded": 50}
    waits = [int(found[1]) for _, _, data in network.record or ()
             if (found := re.search(rb"\r\nRetry-After: (\d+)", data))]
    assert min(waits) >= 0
    assert max(waits) <= 10
    assert len(set(waits)) > 7
