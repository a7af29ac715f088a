"""The whole scenario file as pydantic models; its JSON Schema is that of editors."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from siploadgen.config.fields import (
    Count,
    Duration,
    DurationWord,
    LimitTable,
    LingerWord,
    LocalWord,
    OutputKind,
    Picked,
    Process,
    Rate,
    Time,
    WorkersWord,
)
from siploadgen.load import executors
from siploadgen.load.arrivals import Arrival
from siploadgen.model import scenario as tree
from siploadgen.model.yaml import entry_schema, steps_schema

VERSION = 1


class Strict(BaseModel):
    """A mapping whose keys are all known."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class TargetEntry(Strict):
    """Where calls go."""

    uri: str
    transport: Literal["udp"] = "udp"


def _target(value: Any) -> Any:
    return {"uri": value} if isinstance(value, str) else value


class UsersEntry(Strict):
    """A table of data: exactly one of csv, ndjson, sqlite, generated."""

    csv: str | None = None
    ndjson: str | None = None
    sqlite: str | None = None
    generated: Count | None = None
    table: str | None = None
    query: str | None = None
    fields: list[str] | None = None
    header: bool = True
    pick: Picked | None = None
    exhaust: Literal["stop", "wrap"] = "wrap"


class RateStageEntry(Strict):
    """A stage of a ramping arrival rate."""

    target: Rate
    duration: Duration
    shape: Literal["linear", "step", "exp"] = "linear"
    phase: str = ""


class CallStageEntry(Strict):
    """A stage of ramping calls."""

    target: Count
    duration: Duration
    shape: Literal["linear", "step"] = "linear"
    phase: str = ""


class TablePoint(Strict):
    """A point of a day curve."""

    at: Duration
    rate: Rate


class _Executor(Strict):
    warmup: Duration = 0

    def make(self) -> executors.Executor:
        """Make the executor. ParameterError names the parameter."""
        raise NotImplementedError


class _Open(_Executor):
    arrival: Process = Arrival()
    max_calls: Count | None = None

    def open_arguments(self) -> dict[str, Any]:
        """Give what all open executors take."""
        return {"arrival": self.arrival, "max_calls": self.max_calls, "warmup": self.warmup}


class ConstantArrivalRate(_Open):
    """Calls at one rate."""

    executor: Literal["constant-arrival-rate"]
    rate: Rate
    duration: Duration | None = None
    calls: Count | None = None
    phase: str = ""

    def make(self) -> executors.Executor:
        """Make the executor."""
        return executors.ConstantArrivalRate(self.rate, self.duration, calls=self.calls,
                                             phase=self.phase, **self.open_arguments())


class RampingArrivalRate(_Open):
    """Calls at a rate that goes through stages."""

    executor: Literal["ramping-arrival-rate"]
    start_rate: Rate = 0.0
    stages: list[RateStageEntry]
    calls: Count | None = None

    def make(self) -> executors.Executor:
        """Make the executor."""
        stages = [executors.RateStage(one.target, one.duration, one.shape, one.phase)
                  for one in self.stages]
        return executors.RampingArrivalRate(self.start_rate, stages, calls=self.calls,
                                            **self.open_arguments())


class Stairs(_Open):
    """Levels of rising rate, each a phase."""

    executor: Literal["stairs"]
    start: Rate
    step: Rate
    levels: Count
    level_duration: Duration
    ramp_between: Duration = 0

    def make(self) -> executors.Executor:
        """Make the executor."""
        return executors.Stairs(self.start, self.step, self.levels, self.level_duration,
                                self.ramp_between, **self.open_arguments())


class DayCurve(_Open):
    """A rate that follows a sine, or a table of points."""

    executor: Literal["day-curve"]
    mean: Rate = 0.0
    amplitude: Rate = 0.0
    period: Duration = executors.DAY_NS
    peak_at: Duration | None = None
    table: list[TablePoint] = []
    duration: Duration | None = None
    phase: str = ""

    def make(self) -> executors.Executor:
        """Make the executor."""
        return executors.DayCurve(
            self.mean, self.amplitude, self.period, self.peak_at,
            [(one.at, one.rate) for one in self.table], self.duration, phase=self.phase,
            **self.open_arguments())


class OnOff(_Open):
    """Bursts at a rate, with pauses between them."""

    executor: Literal["on-off"]
    rate: Rate
    on: Duration
    off: Duration
    duration: Duration
    base: Rate = 0.0
    phase: str = ""

    def make(self) -> executors.Executor:
        """Make the executor."""
        return executors.OnOff(self.rate, self.on, self.off, self.duration, self.base,
                               phase=self.phase, **self.open_arguments())


class Replay(_Executor):
    """Due times, and data, out of a file."""

    executor: Literal["replay"]
    file: str
    speed: Annotated[float, Field(gt=0)] = 1.0
    origin: Literal["zero", "first"] = "zero"
    max_calls: Count | None = None
    phase: str = ""

    def make(self) -> executors.Executor:
        """Make the executor."""
        return executors.Replay(self.file, self.speed, self.origin, self.max_calls, self.warmup,
                                self.phase)


class ConstantCalls(_Executor):
    """So many calls open at any time."""

    executor: Literal["constant-calls"]
    calls: Count
    duration: Duration
    phase: str = ""

    def make(self) -> executors.Executor:
        """Make the executor."""
        return executors.ConstantCalls(self.calls, self.duration, self.warmup, self.phase)


class RampingCalls(_Executor):
    """Open calls that go through stages."""

    executor: Literal["ramping-calls"]
    start_calls: Count = 0
    stages: list[CallStageEntry]

    def make(self) -> executors.Executor:
        """Make the executor."""
        return executors.RampingCalls(
            [executors.CallStage(one.target, one.duration, one.shape, one.phase)
             for one in self.stages], self.start_calls, self.warmup)


class PerUser(_Executor):
    """Users who each make one call after the other."""

    executor: Literal["per-user"]
    users_count: Count | None = Field(default=None, description="those of the table if not given")
    think: Time = "0"
    duration: Duration | None = None
    iterations: Count | None = None
    spread: Duration = 0
    phase: str = ""

    def make(self) -> executors.Executor:
        """Make the executor."""
        return executors.PerUser(self.users_count or 1, self.think, self.duration, self.iterations,
                                 self.spread, self.warmup, self.phase)


class SharedCalls(_Executor):
    """A number of calls, so many at once, or at a rate."""

    executor: Literal["shared-calls"]
    calls: Count
    concurrency: Count | None = None
    rate: Rate | None = None
    duration: Duration | None = None
    arrival: Process = Arrival()
    max_calls: Count | None = None
    phase: str = ""

    def make(self) -> executors.Executor:
        """Make the executor."""
        return executors.SharedCalls(
            self.calls, self.concurrency if self.rate is not None else self.concurrency or 1,
            self.rate, self.duration, self.arrival, self.max_calls, self.warmup, self.phase)


ExecutorEntry: TypeAlias = Annotated[
    ConstantArrivalRate | RampingArrivalRate | Stairs | DayCurve | OnOff | Replay | ConstantCalls
    | RampingCalls | PerUser | SharedCalls, Field(discriminator="executor")]
EXECUTORS: dict[str, type[_Executor]] = {
    "constant-arrival-rate": ConstantArrivalRate, "ramping-arrival-rate": RampingArrivalRate,
    "stairs": Stairs, "day-curve": DayCurve, "on-off": OnOff, "replay": Replay,
    "constant-calls": ConstantCalls, "ramping-calls": RampingCalls, "per-user": PerUser,
    "shared-calls": SharedCalls}


class WorkEntry(Strict):
    """What a workload has beside its executor; its further keys are settings of its call."""

    call: str | None = None
    mix: dict[str, Annotated[float, Field(ge=0)]] | None = None
    users: str | None = None
    callees: str | None = None
    start_after: str = ""
    settings: dict[str, Any] = {}


class ThresholdOptions(Strict):
    """Options of a threshold."""

    abort: bool = False
    delay: Duration = 0
    severity: Literal["fail", "warn"] = "fail"


class File(Strict):
    """The whole file, but for calls and answers, which are read as steps."""

    version: Literal[1] = 1
    target: Annotated[TargetEntry | None, BeforeValidator(_target)] = None
    users: dict[str, UsersEntry] = {}
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    warmup: Duration = 0
    calls: dict[str, Any] = {}
    answers: dict[str, Any] = {}
    scenarios: dict[str, dict[str, Any]] = {}
    thresholds: dict[str, Any] = {}
    outputs: list[OutputKind] = []
    profiles: dict[str, dict[str, Any]] = {}
    # the settings of a run: each as the option of that name
    workers: WorkersWord = "auto"
    local: LocalWord | None = None
    gso: Literal["auto", "on", "off"] = "auto"
    gso_group: Annotated[int, Field(ge=1, le=64)] = 32
    linger: LingerWord = "auto"
    coalesce: DurationWord = "0s"
    t1: DurationWord = "500ms"
    t2: DurationWord = "4s"
    t4: DurationWord = "5s"
    graceful_stop: DurationWord = "30s"
    max_calls: Count | None = None
    compact: bool = False
    contact: Literal["local", "learned"] = "local"
    obey_overload: bool = False
    strict: bool = False
    dns: str | None = None
    limits: LimitTable = {}
    ui: Literal["auto", "rich", "line", "json", "none"] = "auto"


def file_schema() -> dict[str, Any]:
    """JSON Schema of scenario files, for editors.

    >>> file_schema()["properties"]["calls"]["additionalProperties"]
    {'$ref': '#/$defs/call'}
    """
    found = File.model_json_schema()
    defs = {**found.get("$defs", {}), **steps_schema()["$defs"]}
    scenario = _with_defs(WorkEntry, defs)
    options = _with_defs(ThresholdOptions, defs)
    scenario["properties"]["executor"] = {"enum": list(EXECUTORS),
                                          "description": "see docs/load.md"}
    scenario["additionalProperties"] = True  # settings of its call
    scenario["allOf"] = [
        {"if": {"properties": {"executor": {"const": name}}, "required": ["executor"]},
         "then": {"properties": own["properties"], "required": own["required"]}}
        for name, own in ((name, _with_defs(kind, defs)) for name, kind in EXECUTORS.items())]
    condition = {"oneOf": [{"type": "string"}, {
        "type": "object", "additionalProperties": {"oneOf": [{"type": "null"}, options]}}]}
    defs |= {"call": entry_schema(tree.Role.CALLER), "answer": entry_schema(tree.Role.ANSWERER),
             "scenario": scenario, "condition": condition}
    found["$defs"] = defs
    for name, entry in (("calls", "call"), ("answers", "answer"), ("scenarios", "scenario")):
        found["properties"][name] = {"type": "object",
                                     "additionalProperties": {"$ref": f"#/$defs/{entry}"}}
    found["properties"]["target"] = {"oneOf": [{"type": "string"},
                                               {"$ref": "#/$defs/TargetEntry"}]}
    found["properties"]["thresholds"] = {"type": "object", "additionalProperties": {"oneOf": [
        {"$ref": "#/$defs/condition"},
        {"type": "array", "items": {"$ref": "#/$defs/condition"}}]}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found,
            "title": "A scenario file of siploadgen",
            "patternProperties": {"^x-": {"description": "what aliases name"}}}


def _with_defs(model: type[BaseModel], defs: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a mapping, whose definitions are added to others."""
    own = model.model_json_schema()
    defs.update(own.pop("$defs", {}))
    return own
