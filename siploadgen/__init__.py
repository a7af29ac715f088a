r"""siploadgen: a SIP load generator whose numbers can be trusted.

What other programs may import stands here and is loaded when it is first used.

>>> from siploadgen import parse
>>> lines = ["OPTIONS sip:a SIP/2.0", "Via: SIP/2.0/UDP h;branch=z9hG4bKx", "Max-Forwards: 70",
...          "From: <sip:a>;tag=1", "To: <sip:b>", "Call-ID: c", "CSeq: 7 OPTIONS", "", ""]
>>> parse("\r\n".join(lines).encode()).cseq.number
7
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siploadgen.errors import ScenarioError, SiploadgenError, UsageError
    from siploadgen.found import Capacity, find_capacity
    from siploadgen.library import Latency, Result, Run, Running, Snapshot
    from siploadgen.loads import (
        Users,
        constant_arrival_rate,
        constant_calls,
        csv_users,
        day_curve,
        generated_users,
        ndjson_users,
        per_user,
        ramping_arrival_rate,
        ramping_calls,
        replay,
        shared_calls,
        sqlite_users,
        stairs,
        users,
    )
    from siploadgen.message import Message, ParseError, parse
    from siploadgen.model.hooks import HookCall
    from siploadgen.model.python import answer, call
    from siploadgen.model.settings import Setting
    from siploadgen.model.values import (
        exponential,
        fixed,
        gamma,
        lognormal,
        normal,
        pareto,
        samples,
        uniform,
        weibull,
    )
    from siploadgen.report.compare import Comparison, compare

__version__ = "0.1.0"
_HOMES = {
    **dict.fromkeys(("Message", "ParseError", "parse"), "message"),
    **dict.fromkeys(("ScenarioError", "SiploadgenError", "UsageError"), "errors"),
    **dict.fromkeys(("answer", "call"), "model.python"),
    "HookCall": "model.hooks",
    "Setting": "model.settings",
    **dict.fromkeys(("Comparison", "compare"), "report.compare"),
    **dict.fromkeys(("exponential", "fixed", "gamma", "lognormal", "normal", "pareto", "samples",
                     "uniform", "weibull"), "model.values"),
    **dict.fromkeys(("Capacity", "find_capacity"), "found"),
    **dict.fromkeys(("Latency", "Result", "Run", "Running", "Snapshot"), "library"),
    **dict.fromkeys(("Users", "constant_arrival_rate", "constant_calls", "csv_users", "day_curve",
                     "generated_users", "ndjson_users", "per_user", "ramping_arrival_rate",
                     "ramping_calls", "replay", "shared_calls", "sqlite_users", "stairs",
                     "users"), "loads"),
}
__all__ = [
    "Capacity", "Comparison", "HookCall", "Latency", "Message", "ParseError", "Result", "Run",
    "Running", "ScenarioError", "Setting", "SiploadgenError", "Snapshot", "UsageError", "Users",
    "__version__", "answer", "call", "compare", "constant_arrival_rate", "constant_calls",
    "csv_users", "day_curve", "exponential", "find_capacity", "fixed", "gamma", "generated_users",
    "lognormal", "ndjson_users", "normal", "pareto", "parse", "per_user", "ramping_arrival_rate",
    "ramping_calls", "replay", "samples", "shared_calls", "sqlite_users", "stairs", "uniform",
    "users", "weibull",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module, the first time that it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
