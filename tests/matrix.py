"""What each built-in model needs to be run by tests and benchmarks; most need nothing.

A model that is not named here runs with the default plan, so a new one is tested as soon as it
stands in `MODELS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from siploadgen.model.builtin import MODELS, Model

USERS = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run one model."""

    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings that a run in real time has besides those of `SHORT`."""
    users: int = 0
    """Users that it needs; `USERS` for a model whose texts name columns."""
    lossy: frozenset[str] = frozenset()
    """Outcomes besides success that loss may rightly cause."""
    no_proxy: str = ""
    """Why no proxy can stand between; empty: one can."""
    leaves_proxy: bool = False
    """The answers of the target lead away from the proxy, and rightly so."""


# In real time nobody waits long. Only settings that a model has are given to it.
SHORT: Mapping[str, str] = {
    "hold": "50ms",
    "talk": "50ms",
    "held": "50ms",
    "patience": "200ms",
    "interval": "50ms",
}

PLANS: Mapping[str, Plan] = {
    "call-redirect": Plan(leaves_proxy=True),
    "register-outbound": Plan(settings={"stay": "500ms", "ping": "100ms"},
                              no_proxy="a proxy that keeps no flows gets 439 (RFC 5626 6); "
                                       "tests/interop/test_registrations.py has one that does"),
    "register-storm": Plan(settings={"window": "uniform(0s,300ms)"}),
}


def plan(name: str) -> Plan:
    """Give the plan of a model."""
    return PLANS.get(name, Plan())


def users(name: str) -> int:
    """How many users a run of the model is to have; 0: none."""
    return plan(name).users or (USERS if MODELS[name].caller.columns else 0)


def short(name: str) -> dict[str, str]:
    """Settings that make a run in real time end soon."""
    model: Model = MODELS[name]
    found = {word: value for word, value in SHORT.items() if word in model.settings}
    return {**found, **plan(name).settings}


def arguments(name: str) -> list[str]:
    """Give the same, and the users, as words of a command line."""
    words = [word for pair in short(name).items() for word in ("--set", "=".join(pair))]
    return [*words, *(("--users", str(users(name))) if users(name) else ())]
