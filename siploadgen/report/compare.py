"""Two runs, or two sets of runs, compared: whether the new one is worse than the tolerance.

A figure is `worse` when it differs by more than its tolerance, and chance does not explain that it
differs: its confidence interval does not reach zero. What is known of how sure a figure is stands
in `siploadgen.report.bootstrap`; how a comparison is read in docs/compare.md.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from siploadgen.errors import Exit, SiploadgenError, UsageError
from siploadgen.model.errors import nearest
from siploadgen.report import bootstrap
from siploadgen.report.bootstrap import Sample
from siploadgen.report.sample import Tables, measure
from siploadgen.report.saved import SavedRun, read_result, read_run
from siploadgen.report.tolerances import Tolerance, parse_tolerance

SCHEMA = "siploadgen/compare/1"
CONFIDENCE = 0.95
DRIFT = 0.01  # standard deviation of equal runs, where it cannot be measured
_WHOLE = ("lateness", "receive_delay")  # latencies of the generator itself
_USUAL = (("p50", "5%"), ("p99", "5%"))
_USUAL_COUNTS = ("calls.succeeded: 1%", "calls.failed: 0.1pp")


class UnlikeError(SiploadgenError):
    """The runs cannot be compared: they are not of the same load, or not valid."""

    exit_code = Exit.INVALID


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: both values, how they differ, and what that means.

    `change` and its interval are shares of the base when the tolerance is relative, else in the
    figure's own unit. `shown` says that the interval lies within the tolerance as well, so that
    `no difference` is more than a lack of evidence.
    """

    figure: str
    tolerance: str
    kind: str
    relative: bool
    verdict: str  # better, worse, no difference, not comparable
    base: float | None = None
    new: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    shown: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` found. `str()` is the text for people."""

    base: tuple[str, ...]
    new: tuple[str, ...]
    rows: tuple[Row, ...]
    confidence: float
    drift: float | None  # assumed; None: the spread of runs was measured
    differences: tuple[str, ...] = ()  # in what the runs are unlike, compared all the same
    notes: tuple[str, ...] = field(default=())

    @property
    def worse(self) -> bool:
        """Whether a figure is worse than its tolerance."""
        return any(row.verdict == "worse" for row in self.rows)

    @property
    def exit_code(self) -> int:
        """90 when a figure is worse, else 91 when one could not be compared, else 0."""
        if self.worse:
            return int(Exit.REGRESSION)
        lacking = any(row.verdict == "not comparable" for row in self.rows)
        return int(Exit.INVALID if lacking or not self.rows else Exit.OK)

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `-o json` prints, schema `siploadgen/compare/1`."""
        return {"schema": SCHEMA, **asdict(self), "exit_code": self.exit_code}

    def __str__(self) -> str:
        from siploadgen.report.compare_text import plain

        return plain(self)


Runs = str | Path | Iterable[str | Path]


def compare(
    base: Runs, new: Runs, tolerances: Sequence[str] = (), *, anyway: bool = False,
    same_host: bool = False, confidence: float = CONFIDENCE, drift: float = DRIFT, seed: int = 1,
) -> Comparison:
    """Compare run directories: one on each side, or several equal runs on each side.

    Without `tolerances`: 5% of the median and p99 of each latency from the due time, 1% of the
    successful calls a second, 0.1pp of failed calls. All verdicts together hold with `confidence`.
    `drift` is by how much equal runs differ (a standard deviation, as a share) where too few runs
    are given to see it. With `same_host` runs of different hosts are unlike.

    Raises UsageError for a tolerance that is none, ScenarioError for files that cannot be read,
    and UnlikeError for runs of different loads or that are invalid, unless `anyway`.

    >>> compare("base/", "new/", ["srd.p99: 5%"]).worse  # doctest: +SKIP
    False
    """
    paths = [_paths(side) for side in (base, new)]
    if not all(paths):
        raise UsageError("name a run on each side, or several: --base A/ B/ --new C/ D/")
    wanted = [parse_tolerance(text) for text in tolerances] or usual(
        [read_result(Path(path)) for side in paths for path in side])
    names = {one.metric for one in wanted if one.kind == "time"}
    counts = any(one.kind != "time" for one in wanted)
    sides = [[read_run(path, names, counts) for path in side] for side in paths]
    return compare_runs(sides[0], sides[1], wanted, anyway=anyway, same_host=same_host,
                        confidence=confidence, drift=drift, seed=seed)


def _paths(runs: Runs) -> list[str | Path]:
    return [runs] if isinstance(runs, str | Path) else list(runs)


def compare_runs(
    base: Sequence[SavedRun], new: Sequence[SavedRun], tolerances: Sequence[Tolerance] = (), *,
    anyway: bool = False, same_host: bool = False, confidence: float = CONFIDENCE,
    drift: float = DRIFT, seed: int = 1,
) -> Comparison:
    """Compare runs that were read. Raises as `compare` does."""
    if not 0.5 <= confidence < 1:
        raise UsageError(f"confidence {confidence:g}: from 50% to below 100%")
    if not 0 <= drift < 1:
        raise UsageError(f"drift {drift:g}: from 0% to below 100%")
    runs = [*base, *new]
    if len({id(run) for run in runs}) < len(runs) or len({run.name for run in runs}) < len(runs):
        raise UsageError("the same run is named twice; a run is compared with others")
    problems = [*_spoilt(runs), *_unlike(runs, same_host)]
    if problems and not anyway:
        raise UnlikeError("not comparable:\n" + "\n".join(f"  {line}" for line in problems)
                          + "\n--anyway compares all the same")
    wanted = list(tolerances) or usual([run.result for run in runs])
    _check(wanted, runs)
    measured: list[tuple[Tolerance, list[list[Sample]], str]] = []
    many = bootstrap.enough_runs(len(base), len(new))
    tables: dict[str, Tables] = {run.name: {} for run in runs}
    for one in wanted:
        sides, reason = [], ""
        for side in (base, new):
            samples = []
            for run in side:
                sample = measure(run, one, tables[run.name], seed)
                lacking = sample if isinstance(sample, str) else "" if many else sample.few
                if lacking or isinstance(sample, str):
                    reason = reason or f"{run.name}: {lacking}"
                else:
                    samples.append(sample)
            sides.append(samples)
        measured.append((one, sides, reason))
    # All verdicts together are to hold with this confidence (Bonferroni).
    each = 1 - (1 - confidence) / max(sum(not reason for _, _, reason in measured), 1)
    rows = [Row(one.name, one.expression, one.kind, one.relative, "not comparable", reason=reason)
            if reason else _judge(one, sides, each, drift) for one, sides, reason in measured]
    return Comparison(
        tuple(run.name for run in base), tuple(run.name for run in new), tuple(rows), confidence,
        None if many else drift, tuple(problems), tuple(_notes(runs, many, drift)))


def _judge(one: Tolerance, sides: list[list[Sample]], confidence: float, drift: float) -> Row:
    logarithmic = one.kind != "share"
    found = bootstrap.compare_samples(sides[0], sides[1], confidence,
                                      drift if one.kind == "time" else 0.0)
    base, new = (_typical(side, logarithmic) for side in sides)
    change, low, high = found.at, found.low, found.high
    if logarithmic:
        change, low, high = (math.expm1(value) for value in (change, low, high))
        if not one.relative:
            change, low, high = change * base, low * base, high * base
    sign = 1 if one.higher_is_worse else -1
    beyond_zero = low > 0 or high < 0
    verdict = "no difference"
    if beyond_zero and abs(change) > one.amount:
        verdict = "worse" if change * sign > 0 else "better"
    shown = -one.amount <= low and high <= one.amount
    return Row(one.name, one.expression, one.kind, one.relative, verdict, base, new, change, low,
               high, shown)


def _typical(side: list[Sample], logarithmic: bool) -> float:
    """Mean of the runs, on the scale of comparison."""
    if logarithmic:
        return math.exp(sum(math.log(one.value) for one in side) / len(side))
    return sum(one.value for one in side) / len(side)


# --- which figures ---


def _latencies(run: SavedRun) -> list[str]:
    return list(run.result["metrics"])


def usual(results: Sequence[Mapping[str, Any]]) -> list[Tolerance]:
    """Take what is compared when nothing is said: latencies from the due time, success."""
    names = [name for name in results[0]["metrics"]
             if not name.endswith("_service") and name not in _WHOLE
             and all(one["metrics"].get(name, {}).get("count") for one in results)]
    texts = [f"{name}.{aggregate}: {amount}" for name in names for aggregate, amount in _USUAL]
    return [parse_tolerance(text) for text in (*texts, *_USUAL_COUNTS)]


def _check(wanted: Sequence[Tolerance], runs: Sequence[SavedRun]) -> None:
    """Refuse figures and phases that these runs do not have."""
    for one in wanted:
        what = f'tolerance "{one.expression}": '
        for run in runs:
            if one.kind == "time" and one.metric not in (known := _latencies(run)):
                raise UsageError(f"{what}{run.name} has no {one.metric} "
                                 f"({nearest(one.metric, known)})")
            if one.phase and one.phase not in run.phases:
                raise UsageError(f"{what}{run.name} has no phase {one.phase} "
                                 f"({nearest(one.phase, run.phases)})")
            whole = one.metric in _WHOLE or one.metric.startswith("messages.")
            if one.phase and whole:
                raise UsageError(f"{what}{one.metric} is not told apart by phase; leave it out")


# --- may they be compared ---


def _spoilt(runs: Sequence[SavedRun]) -> list[str]:
    problems = []
    for run in runs:
        if run.result["verdict"]["state"] == "invalid":
            broken = [rule["name"] for rule in run.result["verdict"]["rules"] if not rule["ok"]]
            problems.append(f"{run.name}: invalid ({', '.join(broken)}): the generator or its "
                            "host made its numbers")
        if run.result["interrupted"]:
            problems.append(f"{run.name}: stopped before its end")
    return problems


def _conditions(run: SavedRun, same_host: bool) -> dict[str, Any]:
    """Return what has to be equal, by the words for it."""
    result = run.result
    scenario, plan, target = result["scenario"], result["plan"], result["target"] or {}
    found = {
        "scenario": scenario["name"],
        "settings": scenario.get("settings"),
        # The digest alone tells two targets apart, because their addresses are in the messages.
        "scenario digest": scenario.get("likeness", scenario["digest"]),
        "transport": target.get("transport"),
        "rate": plan.get("rate_per_s"),
        "duration": plan.get("duration_s"),
        "executors": [one["executor"] for one in plan.get("scenarios", ())],
        "load": plan.get("scenarios"),
        "timers": plan.get("timers"),
        "overload control": plan.get("obey_overload"),
    }
    if same_host:
        about = result["environment"]
        found["host"] = [about.get(key) for key in ("cpu", "cores", "kernel")]
    return found


# What says less than the others: told only when none of these differs.
_FINER = {"scenario digest": ("scenario", "settings"), "load": ("rate", "duration", "executors")}


def _unlike(runs: Sequence[SavedRun], same_host: bool) -> list[str]:
    """Say in what runs differ from the first one."""
    first, problems = _conditions(runs[0], same_host), []
    for run in runs[1:]:
        other = _conditions(run, same_host)
        differing = [name for name, value in first.items() if other[name] != value]
        for name in differing:
            if any(coarse in differing for coarse in _FINER.get(name, ())):
                continue
            told = "" if name in _FINER else f" ({_short(first[name])} and {_short(other[name])})"
            problems.append(f"{run.name}: another {name} than {runs[0].name}{told}")
    return problems


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        value = ", ".join(f"{name}={one}" for name, one in value.items()) or "none"
    elif isinstance(value, list):
        value = ", ".join(str(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _notes(runs: Sequence[SavedRun], many: bool, drift: float) -> list[str]:
    notes = [f"{run.name} is suspect: look twice at its numbers" for run in runs
             if run.result["verdict"]["state"] == "suspect"]
    if not many:
        notes.append(f"latencies of equal runs are taken to differ by {drift * 100:g}% (standard "
                     "deviation; --drift); five runs or more, such as --base A/ B/ C/ --new D/ E/ "
                     "F/, show it")
    return notes
