"""A load held against a host."""

import math

from siploadgen.load.executors import ConstantArrivalRate, ConstantCalls, PerUser
from siploadgen.load.feeds import Feed
from siploadgen.load.planning import CallCost, RunLoad, expected
from siploadgen.load.rows import generated_users
from siploadgen.model.builtin import build_caller
from siploadgen.run.host import Host, needs, planned_load, this_host
from siploadgen.run.plan import RunPlan, Tuning, Workload
from siploadgen.units import NANOS, SOCKET_BUFFER

CALL = CallCost(3, 4, 1400, 1600, 10 * NANOS, 2, 1)
LARGE = Host(64, 1e12, math.inf, 50_000, SOCKET_BUFFER, SOCKET_BUFFER)
SMALL = Host(1, 20e6, 50, 28_000, 212_992, 212_992)


def load(rate):
    return RunLoad((expected("calls", ConstantArrivalRate(rate, 60 * NANOS), [(CALL, 1.0)]),))


def failing(found):
    return [need.name for need in found if not need.ok]


def test_a_large_host_carries_it():
    assert failing(needs(load(5000.0), 1, LARGE)) == []
    # 350,000 messages a second are more than one engine carries.
    assert failing(needs(load(50_000.0), 1, LARGE)) == ["workers"]
    assert failing(needs(load(50_000.0), 5, LARGE)) == []


def test_a_small_host_does_not():
    found = {need.name: need for need in needs(load(15_000.0), 2, SMALL)}
    assert failing(found.values()) == ["cores", "memory", "open files", "receive buffer",
                                       "send buffer"]
    assert found["cores"].needed == 2
    assert found["open files"].mend == "ulimit -n 1024"
    assert str(SOCKET_BUFFER) in found["receive buffer"].mend


def test_records_that_are_forgotten_sooner_need_less_memory():
    def memory(tuning):
        found = needs(load(1000.0), 1, SMALL, tuning)
        return next(need.needed for need in found if need.name == "memory")

    assert memory(Tuning(linger_ns=NANOS)) < memory(Tuning()) / 1.4


def test_what_the_target_decides_is_no_fault():
    calls = expected("calls", ConstantCalls(10, NANOS), [(CallCost(1, 1, 1, 1, 0, 1), 1.0)])
    found = needs(RunLoad((calls,)), 1, LARGE)
    assert failing(found) == []
    assert [need.name for need in found if need.needed is None] == [
        "cores", "workers", "memory", "transactions", "receive buffer", "send buffer"]


def test_a_plan_is_worked_out_from_its_program():
    program = build_caller("call", target_uri="sip:127.0.0.1:5060", settings={"hold": "20s"})
    options = build_caller("options", target_uri="sip:127.0.0.1:5060")

    def worked_out(program, executor, **more):
        plan = RunPlan("x", program, "sip:127.0.0.1:5060", ("127.0.0.1", 5060), ("127.0.0.1", 0),
                       (Workload("calls", executor, **more),),
                       rows=tuple(feed.rows for feed in more.get("feeds", ())))
        return planned_load(plan)

    steady = worked_out(program, ConstantArrivalRate(100.0, 60 * NANOS))
    assert steady.messages_per_s == 600
    assert round(steady.open_calls) == 2005
    users = worked_out(program, PerUser(30, "exponential(10s)", iterations=2))
    assert users.peak_rate == 1.0
    assert users.calls == 60
    few = Feed("", generated_users(["user"], 5), exhaust="stop")
    assert worked_out(options, ConstantArrivalRate(100.0, NANOS), feeds=(few,)).calls == 5


def test_this_host_has_limits():
    host = this_host()
    assert host.cores >= 1
    assert host.memory > 0
    assert host.files > 0
    assert host.receive_buffer > 0
