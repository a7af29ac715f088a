"""The verdict: did the generator or the host spoil the numbers? Rules with value, limit, ok.

The generator accuses itself first: an `invalid` run says nothing about its target, a `suspect` one
needs a second look. Every limit can be set by `--limit name=value`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from siploadgen.core.counters import Counter
from siploadgen.errors import Exit, UsageError
from siploadgen.figures import Figures
from siploadgen.report import metrics
from siploadgen.report.summary import deciding, rule_text
from siploadgen.units import NANOS, parse_count, parse_duration, parse_share

State = Literal["valid", "suspect", "invalid"]
REPEATS = 0.001  # share of sends: below it a datagram got lost now and then
_ORDER: Mapping[str, int] = {"valid": 0, "suspect": 1, "invalid": 2}


@dataclass(frozen=True, slots=True)
class Limit:
    """One settable number: its unit, default, what breaking it means, and a sentence."""

    kind: Literal["duration", "share", "count"]
    default: float
    severity: State
    help: str


LIMITS: Mapping[str, Limit] = {
    "late_start_p99": Limit("duration", 0.001, "invalid",
                            "99 % of sends leave at most this late, or late_start_gap"),
    "late_start_gap": Limit("share", 0.10, "invalid",
                            "... where that is longer: this share of the mean gap between calls"),
    "attained": Limit("share", 0.999, "invalid", "least share of due calls that are started"),
    "receive_drops": Limit("count", 0, "invalid", "datagrams lost in our own receive queue"),
    "send_errors": Limit("count", 0, "invalid", "datagrams that the kernel would not send"),
    "slab_full": Limit("count", 0, "invalid", "records wanted when memory was used up"),
    "invalid_intervals": Limit("count", 0, "invalid", "seconds of the run that were invalid"),
    "receive_delay_p99": Limit("duration", 0.005, "suspect",
                               "99 % of messages are handled this soon after their arrival"),
    "loop_busy": Limit("share", 0.95, "suspect", "share of time that the busiest engine works"),
    "retransmitted_own_fault": Limit("share", 0.001, "suspect",
                                     "share of sends repeated though the answer was here"),
    "answerer_receive_drops": Limit("count", 0, "suspect",
                                    "datagrams lost by the embedded answerer"),
}


def parse_limits(texts: Sequence[str]) -> dict[str, float]:
    """Read `name=value` pairs over the defaults; durations in seconds, shares from 0 to 1."""
    values = {name: limit.default for name, limit in LIMITS.items()}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or name not in LIMITS:
            raise UsageError(f'--limit "{text}": write name=value; names: {", ".join(LIMITS)}')
        what = f"--limit {name}"
        match LIMITS[name].kind:
            case "duration":
                values[name] = parse_duration(value, what) / NANOS
            case "share":
                values[name] = parse_share(value, what)
            case _:
                values[name] = parse_count(value, what)
    return values


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, judged. `value` is None when there was nothing to measure."""

    name: str
    value: float | None
    limit: float
    ok: bool
    severity: State

    def as_json(self) -> dict[str, Any]:
        """Return it as run.json has it."""
        return {"name": self.name, "value": self.value, "limit": self.limit, "ok": self.ok,
                "severity": self.severity}


def worst(rules: Sequence[Rule]) -> State:
    """Return the verdict that a set of rules makes."""
    state: State = "valid"
    for rule in rules:
        if not rule.ok and _ORDER[rule.severity] > _ORDER[state]:
            state = rule.severity
    return state


@dataclass(slots=True)
class Judge:
    """Judges each interval as it ends, and the run at its end.

    `bounded` says that the user asked for a bound on open calls (--max-calls): calls that find no
    slot are then as planned. Without it they are the generator's own failure, and count against
    `attained`. Calls not started because the run was stopped, because no user was free, or because
    the target's overload control was obeyed, are never the generator's fault.
    """

    limits: Mapping[str, float]
    bounded: bool = False
    intervals: list[dict[str, Any]] = field(default_factory=list)

    def rules(
        self,
        figures: Figures,
        engines: Sequence[Figures],
        answerer: Figures | None,
        length_s: float,
        whole: bool,
    ) -> list[Rule]:
        """Judge what happened in a stretch of time (differences of samples)."""
        counters = figures.counters
        due = int(counters[Counter.COUNT_DUE])
        lateness = figures.histograms[metrics.HIST_LATENESS]
        sends = due or int(lateness.sum())
        late_limit = self.limits["late_start_p99"]
        if sends:
            late_limit = max(late_limit, self.limits["late_start_gap"] * length_s / sends)
        delay = figures.histograms[metrics.HIST_RECEIVE_DELAY]
        busy = [share for engine in engines if (share := metrics.loop_busy(engine)) is not None]
        sent = metrics.messages_sent(figures)
        own_fault = int(counters[Counter.COUNT_RETRANSMITTED_OWN_FAULT])
        rules = [
            self._at_most("late_start_p99", metrics.percentile_s(lateness, 99), late_limit),
            self._at_most("receive_drops", figures.udp.get("receive_drops", 0)),
            self._at_most("send_errors", figures.udp.get("send_errors", 0)),
            self._at_most("slab_full", int(counters[Counter.COUNT_SLAB_FULL])),
            self._at_most("receive_delay_p99", metrics.percentile_s(delay, 99)),
            self._at_most("loop_busy", max(busy, default=None)),
            self._at_most("retransmitted_own_fault", own_fault / sent if sent else None),
        ]
        if answerer is not None:
            rules.append(self._at_most("answerer_receive_drops",
                                       answerer.udp.get("receive_drops", 0)))
        if whole:
            missed = 0 if self.bounded else int(counters[Counter.COUNT_NOT_STARTED_NO_SLOT])
            attained = (due - missed) / due if due else None
            limit = self.limits["attained"]
            rules.insert(1, Rule("attained", attained, limit,
                                 attained is None or attained >= limit, "invalid"))
        return rules

    def _at_most(self, name: str, value: float | None, limit: float | None = None) -> Rule:
        bound = self.limits[name] if limit is None else limit
        return Rule(name, value, bound, value is None or value <= bound, LIMITS[name].severity)

    def interval(
        self,
        start_s: float,
        figures: Figures,
        engines: Sequence[Figures],
        answerer: Figures | None,
        length_s: float,
    ) -> tuple[State, list[Rule]]:
        """Judge one interval, and remember it when something is wrong with it."""
        rules = self.rules(figures, engines, answerer, length_s, whole=False)
        state = worst(rules)
        broken = [rule for rule in rules if not rule.ok]
        if broken:
            self.intervals.append({"t_s": round(start_s, 3), "state": state,
                                   "rules": [rule.as_json() for rule in broken]})
        return state, broken

    def verdict(
        self,
        figures: Figures,
        engines: Sequence[Figures],
        answerer: Figures | None,
        length_s: float,
    ) -> dict[str, Any]:
        """Judge the whole run: the `verdict` object of run.json."""
        rules = self.rules(figures, engines, answerer, length_s, whole=True)
        spoilt = sum(interval["state"] == "invalid" for interval in self.intervals)
        rules.append(self._at_most("invalid_intervals", spoilt))
        # Seconds that were only suspect are listed; the run is judged by its own rules for those.
        return {"state": worst(rules), "rules": [rule.as_json() for rule in rules],
                "intervals": self.intervals[:1000]}


def never_answered(figures: Figures) -> str | None:
    """Say what was seen of a target that never answered anything; None when it did answer."""
    if not metrics.messages_sent(figures) or metrics.messages_received(figures):
        return None
    refused = figures.udp.get("icmp_errors", 0)
    if refused:
        return (f"{refused} ICMP errors came back (nothing listens there, or a firewall rejects); "
                "check the address and that the target runs")
    unsent = figures.udp.get("send_errors", 0)
    if unsent:
        return (f"{unsent} datagrams could not be sent (network unreachable); check routes and "
                "--local")
    if figures.counters[Counter.COUNT_MALFORMED]:
        return "what came back was not SIP; check the port"
    return "only silence; check the address, the transport and firewalls on the way"


def at_its_end(
    state: State, rules: Sequence[Mapping[str, Any]], calls: Mapping[str, Any],
    said: Mapping[str, Any], silence: str | None,
) -> dict[str, str]:
    """Say who was at its end: `generator`, `target` (or the network to it) or `nobody`; and why.

    A run that the generator spoilt says nothing about its target. Else calls without an answer,
    server failures (RFC 3261 21.5) and repeats that were not our own fault are the target's.
    """
    if state == "invalid":
        broken = [rule for rule in rules if not rule["ok"] and rule["severity"] == "invalid"]
        named = [rule for rule in broken if rule["name"] != "invalid_intervals"] or broken
        return {"who": "generator", "why": "; ".join(rule_text(rule) for rule in named)}
    if silence is not None:
        return {"who": "target", "why": "it never answered"}
    why = []
    unanswered = sum(calls["failed"].get(name, 0) for name in ("timeout", "transport"))
    if unanswered:
        why.append(f"{unanswered:,} calls got no answer")
    errors = sum(count for name, count in said["received"].items() if name.startswith("5"))
    if errors:
        why.append(f"{errors:,} responses were server failures (5xx)")
    sent = sum(said["sent"].values())
    repeats = said["retransmitted"] - said["retransmitted_own_fault"]
    if sent and repeats / sent > REPEATS:
        why.append(f"{repeats / sent:.2%} of the messages had to be sent again")
    return {"who": "target" if why else "nobody", "why": "; ".join(why)}


def exit_code(
    *,
    verdict: str,
    strict: bool,
    interrupted: bool,
    silent: bool,
    thresholds: Sequence[Mapping[str, Any]],
    calls: Mapping[str, Any],
) -> Exit:
    """Choose the exit code of a finished run.

    A stop by a signal comes first, then a target that never answered, then a run that is invalid,
    then the thresholds; without thresholds that can fail every call must have ended as planned.
    """
    thresholds = deciding(thresholds)
    if interrupted:
        return Exit.INTERRUPTED
    if silent:
        return Exit.NO_ANSWER
    if verdict == "invalid" or (strict and verdict == "suspect"):
        return Exit.INVALID
    if thresholds:
        failed = any(not threshold["ok"] for threshold in thresholds)
    else:
        failed = bool(sum(calls["failed"].values()) or sum(calls["not_started"].values())
                      or calls["in_progress"])
    return Exit.THRESHOLD if failed else Exit.OK
