"""Figures made by hand, and results of simulated runs in virtual time."""

from dataclasses import replace

import numpy as np

from siploadgen.figures import RunRecord, Sample, snapshot
from siploadgen.report.collect import make_collector
from tests.run.fake_engine import (
    STRIDE,
    Counter,
    FakeProgram,
    Outcome,
    World,
    due_alone,
    hist_index,
)

SECOND = 1_000_000_000


def figures(program=None, **changes):
    """Empty figures, with counters and outcomes by name and histograms as {number: [us, ...]}."""
    program = program or FakeProgram()
    result = snapshot(World().engine(program))
    for name, value in changes.items():
        if name.startswith("COUNT_"):
            result.counters[Counter[name]] = value
        elif name.startswith("OUTCOME_"):
            result.outcomes[Outcome[name]] = value
        elif name == "histograms":
            for number, values in value.items():
                for us in values:
                    result.histograms[number, hist_index(us)] += 1
        elif name == "responses":
            for (method, status), count in value.items():
                result.received_responses[method, status - 100] = count
        elif name == "requests":
            for method, count in value.items():
                result.sent_requests[method] = count
        elif name == "attempts":
            for (kind, column), count in value.items():
                result.attempts[0, kind, column if column < 100 else column - 100] = count
        elif name == "measures":
            for row, values in value.items():
                counts = result.measures.setdefault((0, row), np.zeros(STRIDE, np.int64))
                for us in values:
                    counts[hist_index(us)] += 1
        elif name == "udp":
            result = replace(result, udp={**result.udp, **value})
        elif name == "in_progress":
            result = replace(result, in_progress=value)
        else:
            raise KeyError(name)
    return result


HEAD = {
    "scenario": {"name": "call", "digest": "00", "settings": {}},
    "target": {"uri": "sip:127.0.0.1:5060", "transport": "udp", "address": "127.0.0.1:5060",
               "embedded": False},
    "plan": {"role": "caller", "rate_per_s": 100.0, "peak_rate_per_s": 100.0, "duration_s": 3.0,
             "arrival": "uniform", "seed": 1, "calls": None, "max_calls": None, "workers": 1,
             "users": None, "graceful_stop_s": 30.0, "linger_s": None,
             "timers": {"t1_s": 0.5, "t2_s": 4.0, "t4_s": 5.0}, "coalesce_s": 0.0002,
             "stages": [{"from_per_s": 100.0, "to_per_s": 100.0, "duration_s": 3.0}]},
    "command": ["siploadgen", "run", "call"],
}


def simulate(world=None, *, rate=100, seconds=3, writers=(), interrupted=False, **collector):
    """A run in virtual time, sampled once a second: returns collector and result."""
    world = world or World()
    program = FakeProgram()
    the_collector = make_collector(program, **collector)
    the_collector.writers += writers
    engine = world.engine(program, max_calls=0)
    due = np.arange(rate * seconds, dtype=np.int64) * SECOND // rate
    engine.schedule(due_alone(due))
    for now in range(0, seconds * SECOND, SECOND // 1000):
        engine.advance(now)
        if now and now % SECOND == 0:
            copy = snapshot(engine)
            the_collector.interval(Sample(now, copy, (copy,)))
            the_collector.failures(engine.failures())
    engine.advance(10**15)
    copy = snapshot(engine)
    last = Sample(seconds * SECOND, copy, (copy,), state="ended")
    the_collector.interval(last)
    the_collector.failures(engine.failures())
    record = RunRecord(
        started_at=1_700_000_000.0, elapsed_ns=seconds * SECOND, load_ns=seconds * SECOND,
        last=last, sockets=({"gso": True, "gso_group": 32, "gro": True, "timestamps": True,
                             "receive_buffer": 4096},),
        cpu_user_s=0.1, cpu_system_s=0.2, interrupted=interrupted,
        local=(("127.0.0.1", 40000),), memory={"instances": 1})
    return the_collector, record


def result_of(world=None, **more):
    strict = more.pop("strict", False)
    collector, record = simulate(world, **more)
    return collector.result(record, head=HEAD, strict=strict)


__all__ = ["HEAD", "SECOND", "STRIDE", "figures", "result_of", "simulate"]
