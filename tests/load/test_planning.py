"""What a load amounts to: rates, open calls, records; Erlang's formulas."""


import numpy as np
import pytest

from siploadgen.load.executors import (
    CallStage,
    ConstantArrivalRate,
    ConstantCalls,
    DayCurve,
    PerUser,
    RampingArrivalRate,
    RampingCalls,
    RateStage,
    Replay,
    SharedCalls,
    Stairs,
)
from siploadgen.load.planning import (
    READY_NS,
    CallCost,
    RunLoad,
    expected,
    mixed,
)
from siploadgen.units import NANOS

S = NANOS
CALL = CallCost(3, 4, 1400, 1600, 10 * S, 2, 1)


def of(executor, cost=CALL, **arguments):
    return expected("calls", executor, [(cost, 1.0)], **arguments)


def test_a_constant_rate():
    load = of(ConstantArrivalRate(100.0, 60 * S, warmup=5 * S))
    assert [phase.name for phase in load.phases] == ["warmup", "main"]
    main = load.phases[1]
    assert (main.calls, main.mean_rate, main.peak_rate) == (6000, 100, 100)
    assert load.messages_per_s == 700
    assert load.bits_per_s == pytest.approx(100 * 8 * (1400 + 1600 + 7 * 28))
    assert load.open_calls == pytest.approx(100 * (10 + READY_NS / S), rel=1e-6)
    assert main.erlangs == 1000
    # Calls that are longer than the warm-up are still growing in it.
    assert load.phases[0].open_calls == pytest.approx(500, rel=0.01)
    assert (load.calls, load.duration_ns, load.bounded) == (6500, 65 * S, False)


def test_the_sheet_of_busy_hour_call_attempts():
    # 100,000 users who each call twice an hour for two minutes.
    cost = CallCost(3, 4, 1400, 1600, 120 * S, 2, 1)
    load = of(ConstantArrivalRate(200_000 / 3600, 3600 * S), cost)
    assert load.peak_rate == pytest.approx(55.6, abs=0.05)
    assert load.phases[0].erlangs == pytest.approx(6667, abs=1)


def test_open_calls_are_the_integral_over_a_holding_time():
    load = of(RampingArrivalRate(0.0, [RateStage(200.0, 20 * S), RateStage(0.0, 20 * S)]))
    # Of a triangle of 200/s the ten seconds around the peak hold 2 * (5 s * 175/s).
    assert load.open_calls == pytest.approx(1750, rel=0.02)
    assert [phase.peak_rate for phase in load.phases] == [200, 200]
    assert [phase.mean_rate for phase in load.phases] == [100, 100]
    stairs = of(Stairs(10.0, 10.0, 3, 60 * S, 10 * S))
    assert [phase.peak_rate for phase in stairs.phases] == [10, 20, 20, 30, 30]
    assert [phase.open_calls for phase in stairs.phases[::2]] == pytest.approx(
        [100.5, 201, 301.5])


def test_a_bound_on_open_calls_bounds_them():
    load = of(ConstantArrivalRate(100.0, 60 * S, max_calls=300))
    assert load.open_calls == 300
    assert load.bounded
    assert not of(ConstantArrivalRate(100.0, 60 * S, max_calls=3000)).bounded


def test_a_number_of_calls_ends_it(tmp_path):
    load = of(ConstantArrivalRate(100.0, None, calls=500))
    assert load.open_calls == pytest.approx(500)
    assert of(SharedCalls(500, rate=100.0)).phases == load.phases
    path = tmp_path / "trace.csv"
    path.write_text("".join(f"{at}\n" for at in np.linspace(0, 20, 401)))
    replay = of(Replay(path))
    assert replay.open_calls == pytest.approx(200, rel=0.02)
    assert replay.calls == 401


def test_a_day():
    load = of(DayCurve(100.0, 50.0))
    assert load.phases[0].peak_rate == 150
    assert load.phases[0].mean_rate == pytest.approx(100)
    assert load.open_calls == pytest.approx(1507, rel=0.001)


def test_closed_models_follow_from_the_length_of_a_call():
    load = of(ConstantCalls(50, 100 * S))
    assert (load.open_calls, load.peak_rate) == (50, 5)
    assert load.phases[0].calls == 500
    users = of(PerUser(50, "30s", iterations=4), think_ns=30 * S)
    assert users.peak_rate == 50 / 40
    assert users.calls == 200
    ramp = of(RampingCalls([CallStage(100, 10 * S)]))
    assert ramp.phases[0].mean_rate == pytest.approx(5, rel=0.01)
    assert ramp.peak_rate == pytest.approx(10)


def test_what_the_target_decides_is_left_open():
    load = of(ConstantCalls(50, 100 * S), CallCost(3, 4, 1400, 1600, 0, 2))
    assert (load.peak_rate, load.messages_per_s, load.bits_per_s) == (None, None, None)
    assert load.open_calls == 50
    run = RunLoad((load, of(ConstantArrivalRate(1.0, S))))
    assert run.peak_rate is None
    assert run.transactions() is None


def test_records_that_linger():
    run = RunLoad((of(ConstantArrivalRate(100.0, 600 * S)),))
    # An INVITE's transaction stays for 32 s, a BYE's for 5 s.
    assert run.transactions() == pytest.approx(100 * (32 + 5) + run.open_calls)
    assert run.transactions(linger_ns=S) == pytest.approx(100 * 2 + run.open_calls)
    short = RunLoad((of(ConstantArrivalRate(100.0, S)),))
    assert short.transactions() == 200


def test_mixes_are_means_by_weight():
    other = CallCost(1, 1, 400, 300, 0, 1, 0, ("a note",))
    cost = mixed([(CALL, 3.0), (other, 1.0)])
    assert (cost.sent, cost.received, cost.hold_ns) == (2.5, 3.25, 7.5 * S)
    assert cost.notes == ("a note",)
    load = expected("mix", ConstantArrivalRate(100.0, S), [(CALL, 3.0), (other, 1.0)])
    assert load.messages_per_s == 575
