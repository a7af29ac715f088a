"""The answering side as lines (`answer --lines`): it blocks as Erlang's formula says.

Calls arrive at random (Poisson) and hold a line for a random time. Blocking must depend on the mean
of that time alone, not on its distribution; calls that arrive evenly are refused less often.
"""

from __future__ import annotations

import numpy as np
import pytest

from siploadgen.core.counters import Counter
from siploadgen.core.engine import Engine
from siploadgen.erlang import erlang_b
from siploadgen.load.arrivals import Arrival, constant, due_times
from siploadgen.units import NANOS
from tests.sim.helpers import answer_program, caller_program, outcomes
from tests.sim.network import ANSWERER, CALLER, Network, Weather, drained

HOLD_S = 10.0
# A line is taken when the INVITE arrives and given back when the BYE does: two ways longer.
HELD_S = HOLD_S + 2 * Weather().delay / NANOS
PARTS = 25  # of a run, for the error of its blocking


def blocking(lines: int, traffic: float, calls: int, hold: str, arrival: Arrival, seed: int
             ) -> tuple[float, float]:
    """Share of calls that are refused, and its standard error by batch means."""
    rate = traffic / HELD_S
    seconds = calls / rate
    due = due_times(constant(rate, round(seconds * NANOS)), arrival, seed)
    program = caller_program("call", (("hold", hold),))
    sizes = {"max_instances": 1000, "max_transactions": 20_000}
    caller = Engine(program, local=CALLER, target=ANSWERER, run_id=0xA0000000 + seed, seed=seed,
                    **sizes)
    answerer = Engine(answer_program((), ()), local=ANSWERER, run_id=0xB0000000 + seed,
                      seed=seed + 1, lines=lines, **sizes)
    network = Network(caller, answerer, Weather(), seed)
    caller.schedule(due)
    refused, started, shares = 0, 0, []
    for part in range(1, PARTS + 1):
        end = due[-1] * part // PARTS
        while network.now < end and network.step():
            pass
        now_started = int(caller.counters[Counter.COUNT_STARTED])
        now_refused = int(caller.received_responses[1, 403])
        shares.append((now_refused - refused, now_started - started))
        refused, started = now_refused, now_started
    network.run()
    drained(caller)
    drained(answerer)
    assert caller.received_responses[1, 403] == answerer.counters[Counter.COUNT_LINES_BUSY]
    found = outcomes(caller.outcomes)
    assert found["succeeded"] + found["rejected"] == len(due)
    counted = np.array(shares[1:], float)  # the first part begins with every line free
    share = counted[:, 0].sum() / counted[:, 1].sum()
    deviation = counted[:, 0] - share * counted[:, 1]
    error = np.sqrt(deviation @ deviation * len(counted) / (len(counted) - 1)) / counted[:, 1].sum()
    return float(share), float(error)


@pytest.mark.parametrize(("hold", "seed"), [
    ("exponential(10s)", 1), ("lognormal(10s,1.0)", 2), ("10s", 3)])
@pytest.mark.parametrize(("lines", "traffic"), [(5, 3.0), (20, 18.0)])
def test_lines_refuse_as_many_calls_as_erlang_says(lines, traffic, hold, seed):
    share, error = blocking(lines, traffic, 10_000, hold, Arrival("poisson"), 100 * lines + seed)
    assert abs(share - erlang_b(traffic, lines)) < 3 * error
    assert error < 0.15 * share


def test_calls_that_arrive_evenly_are_refused_less_often():
    share, error = blocking(5, 3.0, 5000, "exponential(10s)", Arrival(), 1)
    assert share < erlang_b(3.0, 5) - 3 * error
