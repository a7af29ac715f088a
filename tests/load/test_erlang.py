"""Capacity arithmetic against published tables, exact sums, linear algebra and simulation."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from siploadgen import erlang

PAGE = Path(__file__).parents[2] / "docs" / "capacity-arithmetic.md"

# Offered traffic by lines for 1 % and 0.1 %, as tables of Erlang's loss formula print it.
TABLE = {1: (0.0101, 0.0010), 5: (1.361, 0.762), 10: (4.461, 3.092), 20: (12.03, 9.412),
         30: (20.34, 16.68), 50: (37.90, 32.51), 100: (84.06, 75.24)}


@pytest.mark.parametrize("lines", TABLE)
@pytest.mark.parametrize(("column", "blocking"), [(0, 0.01), (1, 0.001)])
def test_the_published_table(lines, column, blocking):
    published = TABLE[lines][column]
    digits = len(f"{published}".partition(".")[2])
    traffic = erlang.traffic_for_blocking(lines, blocking)
    assert traffic == pytest.approx(published, abs=1.01 * 10**-digits)
    assert erlang.erlang_b(traffic, lines) == pytest.approx(blocking, rel=1e-9)
    assert erlang.lines_for_blocking(traffic, blocking) == lines
    assert erlang.lines_for_blocking(traffic * 1.0001, blocking) == lines + 1


@pytest.mark.parametrize(("traffic", "lines"), [
    (10, 10), (20, 30), (100, 117), (0.5, 1), (5, 0), (1e-3, 4), (700, 600), (5000, 5100)])
def test_erlang_b_is_the_end_of_a_truncated_poisson(traffic, lines):
    exact = stats.poisson.pmf(lines, traffic) / stats.poisson.cdf(lines, traffic)
    assert erlang.erlang_b(traffic, lines) == pytest.approx(exact, rel=1e-8)


def states(births, deaths):
    """Probabilities of a birth and death process, by linear algebra and not by its product form."""
    count = len(births) + 1
    rates = np.zeros((count, count))
    for state, (up, down) in enumerate(zip(births, deaths, strict=True)):
        rates[state, state + 1], rates[state + 1, state] = up, down
    np.fill_diagonal(rates, -rates.sum(axis=1))
    system = np.vstack([rates.T, np.ones(count)])
    return np.linalg.lstsq(system, np.append(np.zeros(count), 1.0), rcond=None)[0]


@pytest.mark.parametrize(("sources", "idle", "lines"), [(4, 1 / 3, 3), (20, 0.2, 6), (9, 2.0, 4)])
def test_engset_is_the_balance_of_its_states(sources, idle, lines):
    births = [(sources - busy) * idle for busy in range(lines)]
    held = states(births, range(1, lines + 1))
    offered = [(sources - busy) * idle for busy in range(lines + 1)]
    time, call = erlang.engset(sources, idle, lines)
    assert time == pytest.approx(held[-1])
    assert call == pytest.approx(held[-1] * offered[-1] / np.dot(held, offered))


def test_engset_with_many_users_is_erlang_and_with_few_never_refuses():
    assert erlang.engset(1_000_000, 10 / 1_000_000, 12)[1] == pytest.approx(
        erlang.erlang_b(10, 12), rel=1e-4)
    assert erlang.engset(5, 0.4, 5)[1] == 0
    assert erlang.engset(5, 0.4, 9) == (0, 0)
    assert erlang.engset(5, 0.4, 0) == (1, 1)


@pytest.mark.parametrize(("traffic", "lines"), [(10, 14), (0.5, 1), (90, 100), (3, 4)])
def test_erlang_c_is_the_balance_of_its_states(traffic, lines):
    # The queue is cut where it is practically never reached.
    count = lines + math.ceil(60 / -math.log(traffic / lines))
    held = states([traffic] * count, [min(n, lines) for n in range(1, count + 1)])
    assert erlang.erlang_c(traffic, lines) == pytest.approx(held[lines:].sum(), rel=1e-6)
    queue = np.dot(held, np.maximum(np.arange(count + 1) - lines, 0))
    # Little: the queue is the rate times the wait; the rate is traffic / 7.
    assert erlang.mean_wait(traffic, lines, hold_s=7) == pytest.approx(
        queue / (traffic / 7), rel=1e-6)


def test_the_call_centre_of_the_textbooks():
    # 200 calls an hour of 180 s: with 14 agents 88.8 % are answered within 20 s.
    traffic = erlang.offered_traffic(erlang.per_second(200), 180)
    assert traffic == pytest.approx(10)
    assert erlang.erlang_c(traffic, 14) == pytest.approx(0.174, abs=5e-4)
    assert erlang.service_level(traffic, 14, 180, 20) == pytest.approx(0.888, abs=5e-4)
    assert erlang.mean_wait(traffic, 14, 180) == pytest.approx(7.8, abs=0.05)
    assert erlang.lines_for_service(traffic, 180, 20, 0.8) == 14
    assert erlang.service_level(traffic, 13, 180, 20) < 0.8


def test_without_enough_lines_the_queue_only_grows():
    assert erlang.erlang_c(20.0, 20) == 1
    assert erlang.mean_wait(20.0, 20, 60) == math.inf
    assert erlang.service_level(20.0, 19, 60, 1000) == 0
    assert erlang.erlang_c(0.5, 1) == pytest.approx(0.5)  # M/M/1: the share of time it is busy


@given(st.floats(0.01, 2000), st.floats(1e-6, 0.9))
def test_lines_are_the_least_that_do(traffic, blocking):
    lines = erlang.lines_for_blocking(traffic, blocking)
    assert erlang.erlang_b(traffic, lines) <= blocking
    assert lines == 0 or erlang.erlang_b(traffic, lines - 1) > blocking


def test_rates_and_traffic():
    assert erlang.per_second(1.8e6) == 500
    assert erlang.busy_hour_attempts(500) == 1.8e6
    assert erlang.calls_per_second(erlang.offered_traffic(55.5, 120), 120) == pytest.approx(55.5)
    assert erlang.carried_traffic(10, 10) == pytest.approx(10 * (1 - 0.21458), abs=1e-4)
    assert erlang.lines_for_blocking(0, 0.01) == 0


def test_registrations_in_a_steady_state():
    assert erlang.register_rate(90_000, 3600, 0.9) == pytest.approx(27.78, abs=0.01)
    assert erlang.register_rate(90_000, 3600, 0.9, requests=2) == pytest.approx(55.56, abs=0.01)


@pytest.mark.parametrize(("within", "capacity", "refresh"), [
    (60, 5000, (0.5, 0.9)), (60, 1000, (0.9, 0.9)), (300, 200, (0.45, 0.5)), (10, 1e9, (0.2, 1))])
def test_an_avalanche_and_its_echo_by_simulation(within, capacity, refresh):
    users = 100_000
    storm = erlang.avalanche(users, within, capacity, expires_s=1800, refresh=refresh)
    came = (np.arange(users) + 0.5) * within / users
    done = np.empty(users)
    last = 0.0
    for number, at in enumerate(came):  # one server, first come first served
        last = done[number] = max(last, at) + 1 / capacity
    assert storm.rate_per_s == pytest.approx(users / within)
    assert storm.clear_s == pytest.approx(done[-1], rel=1e-3)
    behind = np.max(np.arange(users) - np.searchsorted(done, came))
    assert storm.backlog == pytest.approx(behind, abs=0.001 * users)
    assert storm.overload is (users / within > capacity)
    shares = np.random.default_rng(1).uniform(*refresh, users) if refresh[0] < refresh[1] \
        else np.full(users, refresh[0])
    bins = max(storm.clear_s, (refresh[1] - refresh[0]) * 1800) / 20
    counts = np.bincount(((done + shares * 1800) // bins).astype(int))
    assert storm.refresh_rate_per_s == pytest.approx(np.sort(counts)[-3] / bins, rel=0.05)
    wide = erlang.spread_for(users, capacity)
    assert erlang.avalanche(users, wide, capacity).backlog == pytest.approx(0, abs=1e-6)


def test_a_user_backs_off_as_rfc_5626_says():
    # RFC 5626 4.5: base 30 s, no flow working: 30 .. 60 s after one failure, then twice that ...
    assert [erlang.retry_wait(n) for n in (1, 2, 3)] == [(30, 60), (60, 120), (120, 240)]
    assert erlang.retry_wait(1, base_s=90) == (90, 180)
    assert erlang.retry_wait(10_000) == (900, 1800)


@pytest.mark.parametrize(("call", "name"), [
    (lambda: erlang.erlang_b(-1, 3), "traffic -1"),
    (lambda: erlang.erlang_b(1, -3), "lines -3"),
    (lambda: erlang.erlang_b(math.nan, 3), "traffic nan"),
    (lambda: erlang.lines_for_blocking(1, 0), "blocking 0"),
    (lambda: erlang.lines_for_blocking(1e9, 0.1), "erlangs"),
    (lambda: erlang.lines_for_service(1e9, 1, 1, 0.1), "erlangs"),
    (lambda: erlang.traffic_for_blocking(0, 0.1), "lines 0"),
    (lambda: erlang.mean_wait(1, 2, 0), "hold_s 0"),
    (lambda: erlang.calls_per_second(1, 0), "hold_s 0"),
    (lambda: erlang.avalanche(1, 1, 1, refresh=(0.9, 0.5)), "refresh"),
    (lambda: erlang.avalanche(0, 1, 1), "users 0"),
    (lambda: erlang.register_rate(1, 0), "expires_s 0"),
    (lambda: erlang.engset(0, 1, 1), "sources 0"),
])
def test_numbers_that_mean_nothing_are_named(call, name):
    with pytest.raises(ValueError, match=re.escape(name)):
        call()


def test_the_page_says_what_comes_out(capsys):
    blocks = re.findall(r"```python\n(.*?)```\n+```\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 3
    for code, printed in blocks:
        exec(compile(code, str(PAGE), "exec"), {"__name__": "page"})
        assert capsys.readouterr().out == printed
