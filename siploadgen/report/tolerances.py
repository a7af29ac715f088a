"""Tolerances such as `srd.p99: 5%`: what is compared of a run, and how much it may differ."""

import re
from dataclasses import dataclass

from siploadgen.errors import UsageError
from siploadgen.model.errors import nearest

_FORM = re.compile(
    r"\s*(?P<metric>\w+(?:\.\w+)?)(?P<aggregate>\.(?:p\(\s*[\d.]+\s*\)|p[\d.]+|[a-z]+))?"
    r"\s*(?:\{\s*phase\s*=\s*(?P<phase>[^{}]*?)\s*\})?"
    r"(?P<late>\.(?:p\(\s*[\d.]+\s*\)|p[\d.]+|[a-z]+))?\s*:"
    r"\s*(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<unit>%|pp|us|ms|s|/s)\s*")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_EXAMPLES = "srd.p99: 5%, setup.avg: 2ms, calls.succeeded: 1% or calls.failed: 0.1pp"

# What is counted, and whether more of it is worse.
RATES = {"calls.due": False, "calls.started": False, "calls.succeeded": False,
         "messages.sent": False, "messages.received": False}
SHARES = {"calls.failed": True, "calls.not_started": True, "messages.retransmitted": True,
          "ser": False, "seer": False, "scr": False, "isa": True, "ira": True}
_KIND_UNITS = {"time": ("%", "us", "ms", "s"), "rate": ("%", "/s"), "share": ("pp",)}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much worse a figure may be. `amount` is a share of the base when it is `relative`.

    Otherwise it is in seconds, a number a second, or a share from 0 to 1.
    """

    expression: str
    metric: str
    kind: str  # time, rate, share
    percent: float | None  # of a latency: which percentile; None: its mean
    phase: str
    amount: float
    relative: bool

    @property
    def higher_is_worse(self) -> bool:
        """Whether more of it is worse."""
        return SHARES.get(self.metric, RATES.get(self.metric, True))

    @property
    def name(self) -> str:
        """The figure: `srd.p99`, `calls.failed{phase=busy}`."""
        phase = f"{{phase={self.phase}}}" if self.phase else ""
        if self.kind != "time":
            return self.metric + phase
        return f"{self.metric}.{'avg' if self.percent is None else f'p{self.percent:g}'}{phase}"


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(f'tolerance "{text}": {why}')


def parse_tolerance(text: str) -> Tolerance:
    """Read one tolerance. Raises UsageError that says what to write.

    `%` is of the base, `pp` percentage points, as which shares differ.

    >>> parse_tolerance("srd.p99: 5%").amount, parse_tolerance("calls.failed: 0.1pp").name
    (0.05, 'calls.failed')
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise _wrong(text, f"write figure: number unit, such as {_EXAMPLES}")
    metric, aggregate = match["metric"], (match["aggregate"] or match["late"] or "")[1:]
    if not aggregate and metric not in RATES and metric not in SHARES:
        metric, _, aggregate = metric.partition(".")
    bare = f"calls.{metric}"
    if bare in RATES or bare in SHARES:
        metric = bare
    if metric in RATES or metric in SHARES:
        kind = "rate" if metric in RATES else "share"
        if aggregate not in ("", "rate", "value"):
            raise _wrong(text, f"{metric} has no {aggregate}; write {metric}: number unit")
        percent = None
    elif metric in ("calls", "messages"):
        known = [name for name in (*RATES, *SHARES) if name.startswith(f"{metric}.")]
        raise _wrong(text, f"there is no {metric}.{aggregate} "
                           f"({nearest(f'{metric}.{aggregate}', known)})")
    else:
        kind, percent = "time", _percent(text, metric, aggregate)
    amount, unit = float(match["number"]), match["unit"]
    if unit not in _KIND_UNITS[kind]:
        mend = {"share": "shares differ by percentage points: write 0.1pp",
                "rate": "write 1% or 10/s", "time": "write 5%, 500us or 2ms"}[kind]
        raise _wrong(text, f'the unit "{unit}" does not fit {metric}; {mend}')
    amount *= _SECONDS.get(unit, 0.01 if unit in ("%", "pp") else 1.0)
    return Tolerance(text.strip(), metric, kind, percent, match["phase"] or "", amount, unit == "%")


def _percent(text: str, metric: str, aggregate: str) -> float | None:
    if aggregate in ("avg", "mean"):
        return None
    if aggregate == "med":
        return 50.0
    if aggregate in ("max", "min"):
        raise _wrong(text, f"one call alone makes the {aggregate} of a run, so two of them cannot "
                           f"be compared; write {metric}.p99.9")
    number = aggregate[1:].strip("() ") if aggregate.startswith("p") else ""
    try:
        percent = float(number)
    except ValueError:
        percent = -1.0
    if not 0 < percent < 100:
        raise _wrong(text, f"{metric} needs an aggregate: write {metric}.p99, {metric}.p99.9, "
                           f"{metric}.med or {metric}.avg")
    return percent
