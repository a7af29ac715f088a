"""Executors: when the calls of a workload start, or how many of them are held up at once.

Open ones say when calls are due, whatever the target does (`pacer`); closed ones hold calls up and
start the next as one ends (`levels`). Rates are per second, times ns. What makes no sense raises
ParameterError, which names the parameter and the mend. `EXECUTORS` has them by the names of
scenario files.
"""

from siploadgen.load.closed_load import (
    CallStage,
    ClosedExecutor,
    ConstantCalls,
    PerUser,
    RampingCalls,
    SharedCalls,
)
from siploadgen.load.executor import MAIN, WARMUP, Executor, ParameterError
from siploadgen.load.open_load import (
    DAY_NS,
    ConstantArrivalRate,
    DayCurve,
    OnOff,
    RampingArrivalRate,
    RateStage,
    Replay,
    Stairs,
)
from siploadgen.load.pacing import Arrivals, CallPacer, Levels, Phase

__all__ = ["DAY_NS", "EXECUTORS", "MAIN", "WARMUP", "Arrivals", "CallPacer", "CallStage",
           "ClosedExecutor", "ConstantArrivalRate", "ConstantCalls", "DayCurve", "Executor",
           "Levels", "OnOff", "ParameterError", "PerUser", "Phase", "RampingArrivalRate",
           "RampingCalls", "RateStage", "Replay", "SharedCalls", "Stairs"]

EXECUTORS: dict[str, type[Executor]] = {kind.name: kind for kind in (
    ConstantArrivalRate, RampingArrivalRate, Stairs, DayCurve, OnOff, Replay, ConstantCalls,
    RampingCalls, PerUser, SharedCalls)}
