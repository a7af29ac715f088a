"""What every number of a report means: the text behind `siploadgen metrics`."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric: its unit, where it is defined, one line of what it is, and the whole of it."""

    name: str
    unit: str
    source: str
    brief: str
    text: str = ""


_FROM = ("Time runs from the first sending of the first message, which repeats do not move, to the "
         "kernel's time stamp of the last one received.")
_ATTEMPT = ("An attempt is one INVITE that opens a session, its repeats included. Sent again with "
            "credentials it is the same attempt; sent again after a redirection, to another server "
            "or for any other reason it is a new one. What has not ended is in no ratio, nor is "
            "what the end of the run cut off. No response counts as 408, an error of the "
            "transport as 503 (RFC 3261 8.1.3.1). A call that its caller cancels is an attempt "
            "that ends by 487.")
_ZERO = "Without any such attempt the ratio is undefined: null."

DEFINITIONS: tuple[Definition, ...] = (
    Definition(
        "rfc6076.rrd", "time", "RFC 6076 4.1", "Registration Request Delay: REGISTER to its 200",
        "From the first REGISTER of a registration to the 2xx; the round trip of a challenge is "
        "inside, so with digest authentication there are two modes. Refreshes and removals are "
        f"registrations too. Failed ones are left out. {_FROM}"),
    Definition(
        "rfc6076.srd", "time", "RFC 6076 4.3.1",
        "Session Request Delay of sessions that came to be: INVITE to ringing",
        "From the first INVITE to the first provisional response other than 100, or to the 2xx "
        "when none came before. Challenges and redirections are inside. It is recorded when the "
        "2xx has "
        f"come, so that calls which ring and then fail are never in it. {_FROM}"),
    Definition(
        "rfc6076.srd_failed", "time", "RFC 6076 4.3.2",
        "Session Request Delay of attempts that failed",
        "As rfc6076.srd, to the first provisional response other than 100 or to the failure, for "
        "attempts that end by 4xx (but 401, 402, 407), 5xx or 6xx. Attempts without any final "
        "response have no delay; timeouts.timer_b counts them."),
    Definition(
        "rfc6076.sdd", "time", "RFC 6076 4.4", "Session Disconnect Delay: BYE to its 2xx",
        "From the first BYE of a session, at whichever end it is sent, to its 2xx. A challenge, or "
        f"a 503 with Retry-After, does not stop the clock. {_FROM}"),
    Definition(
        "rfc6076.sdd_failed", "time", "RFC 6076 4.4", "BYE to a final response that is no 2xx",
        "Kept apart, as the RFC asks. A 481 after both ends sent a BYE at once (RFC 5407 3.2.1) is "
        "no failure. BYEs without any response are in rfc6076.sdt_failed and timeouts.timer_f."),
    Definition(
        "rfc6076.sdt", "time", "RFC 6076 4.5", "Session Duration Time: call length, 200 to BYE",
        "From the 2xx to the INVITE (received by the caller, sent by the answering side) to the "
        "first BYE sent or received. Repeats of 2xx and ACK do not move it."),
    Definition(
        "rfc6076.sdt_failed", "time", "RFC 6076 4.5",
        "... of sessions whose BYE got no response, up to the end of timer F"),
    Definition(
        "ser", "share", "RFC 6076 4.6", "Session Establishment Ratio",
        f"Attempts with a 2xx, over all attempts less those that ended by 3xx. {_ATTEMPT} {_ZERO}"),
    Definition(
        "seer", "share", "RFC 6076 4.7", "Session Establishment Effectiveness Ratio",
        "Attempts with a 2xx, 480, 486, 600 or 603 (which only the callee could mend), over all "
        f"attempts less those that ended by 3xx. {_ATTEMPT} {_ZERO}"),
    Definition(
        "isa", "share", "RFC 6076 4.8", "Ineffective Session Attempts",
        "Attempts that ended by 408, 500, 503, 504 or without a final response, over all attempts. "
        f"{_ATTEMPT} {_ZERO}"),
    Definition(
        "scr", "share", "RFC 6076 4.9", "Session Completion Ratio",
        "Sessions that were opened by a 2xx and closed by a BYE, of either side, with a 2xx; over "
        f"all attempts. {_ATTEMPT} {_ZERO}"),
    Definition(
        "ira", "share", "RFC 6076 4.2", "Ineffective Registration Attempts",
        "REGISTERs that ended by 4xx (but 401, 402, 407), 5xx, 6xx or without a response, over all "
        "registration attempts. A REGISTER with credentials is the same attempt as the one before. "
        f"{_ZERO}"),
    Definition(
        "METHOD.CLASS", "time", "RFC 3261 17.1",
        "Each request to its final response, such as INVITE.2xx, BYE.4xx",
        "For every method that the scenario sends, ACK and CANCEL apart, one histogram for each "
        f"class of final responses that came. {_FROM} A challenge counts among 4xx."),
    Definition(
        "CLOCK", "time", "the scenario", "A stopwatch of the scenario, from the due time",
        "Started and stopped where the scenario says (srd, setup, sdd, rrd, ... of the built-in "
        "models; `models show` prints where). It counts from when the thing was due, so that a "
        "late "
        "generator makes it longer and hides nothing. A clock that does not stop records nothing."),
    Definition(
        "CLOCK_service", "time", "the scenario", "... and from the sending",
        "The same, counted from when the message was sent: what the target did, whatever the "
        "generator did before."),
    Definition(
        "lateness", "time", "the generator",
        "Sending less due time, of calls and of what is due in them",
        "Of the run as a whole, the warm-up too. The verdict is made of its 99th percentile."),
    Definition(
        "receive_delay", "time", "the generator",
        "The kernel's time stamp of a datagram to its being looked at"),
    Definition("calls.due", "count", "the plan", "Calls whose time came",
               "due = started + not_started, at every instant."),
    Definition("calls.started", "count", "the plan", "Calls that were started",
               "started = succeeded + failed + in progress, at every instant."),
    Definition("calls.not_started", "count", "the plan",
               "Due calls that were not, by cause: no_slot, stopped, no_user, throttled_by_oc"),
    Definition("calls.succeeded", "count", "the scenario",
               "Calls that ended as the scenario wants"),
    Definition("calls.failed", "count", "the scenario",
               "Calls that ended otherwise; the tag class tells how"),
    Definition("messages.sent", "count", "RFC 3261 7", "Messages sent, repeats included",
               "In run.json by method, and by status/method."),
    Definition("messages.received", "count", "RFC 3261 7", "Messages received, repeats included",
               "In run.json by method, and by status/method."),
    Definition("messages.retransmitted", "count", "RFC 3261 17",
               "Messages that we sent again, requests and responses",
               "retransmitted_by_method in run.json tells them apart by the method of the "
               "request."),
    Definition("messages.retransmitted_own_fault", "count", "the generator",
               "... although the answer already lay in our receive queue",
               "By the kernel's time stamp of the answer: our slowness, not the target's."),
    Definition("messages.received_again", "count", "RFC 3261 17", "Repeats that came from the peer",
               "Copies of messages that their transaction had already seen."),
    Definition("messages.malformed", "count", "RFC 3261 7", "Datagrams that were no SIP message"),
    Definition("messages.unexpected", "count", "the scenario", "Messages that no step waited for"),
    Definition("messages.stray", "count", "RFC 3261 17.1.3, 12.2.2",
               "Responses without a transaction, requests without a dialog"),
    Definition("timeouts.timer_b", "count", "RFC 3261 17.1.1.2", "INVITEs given up after 64*T1",
               "After a CANCEL, those whose final response did not come within 64*T1 (9.1) too."),
    Definition("timeouts.timer_f", "count", "RFC 3261 17.1.2.2",
               "Other requests given up after 64*T1"),
    Definition("timeouts.timer_h", "count", "RFC 3261 17.2.1, 13.3.1.4",
               "Final responses to INVITEs that were never acknowledged, 2xx too"),
    Definition("timeouts.no_prack", "count", "RFC 3262 3",
               "Reliable provisional responses that were never acknowledged"),
    Definition("generator.loop_busy", "share", "the generator",
               "Share of its time that the busiest engine was not waiting"),
    Definition("generator.receive_drops", "count", "the generator",
               "Datagrams that our receive queue lost (SO_RXQ_OVFL)"),
)


def find(name: str) -> list[Definition]:
    """Find what a name means: of a metric, a latency of a method, or a clock of a scenario.

    >>> [one.name for one in find("INVITE.2xx")], [one.name for one in find("setup_service")]
    (['METHOD.CLASS'], ['CLOCK_service'])
    """
    by_name = {one.name: one for one in DEFINITIONS}
    if name in by_name:
        return [by_name[name]]
    method, dot, group = name.partition(".")
    if dot and method.isupper() and group in ("2xx", "3xx", "4xx", "5xx", "6xx"):
        return [by_name["METHOD.CLASS"]]
    found = [one for one in DEFINITIONS if one.name.split(".")[-1] == name]
    clocks = _clocks()
    if name.removesuffix("_service") in clocks:
        found.append(by_name["CLOCK_service" if name.endswith("_service") else "CLOCK"])
    return found


def names() -> Iterator[str]:
    """Yield every name that can be asked for."""
    for one in DEFINITIONS:
        yield one.name
        yield one.name.split(".")[-1]
    yield from _clocks()


def _clocks() -> set[str]:
    """Name the clocks of the built-in models."""
    from siploadgen.model.builtin import MODELS, build_caller

    return {clock for name in MODELS
            for clock in build_caller(name, target_uri="sip:127.0.0.1:5060").clocks}
