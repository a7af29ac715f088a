"""Feeds: which row each call gets, pairs, ends of the data, workers."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from siploadgen.errors import UsageError
from siploadgen.load.feeds import Feed, Pick, limit_of, pair, parse_pick, zipf_shares
from siploadgen.load.rows import Rows, generated_users

PICKS = ["sequential", "random", "unique", "shuffle", "zipf(1.2)"]


def users(count):
    return generated_users(["user"], count)


def feed(count, pick="sequential", exhaust="wrap", name=""):
    return Feed(name, users(count), parse_pick(pick), exhaust)


def numbers(count, first=0):
    return np.arange(first, first + count, dtype=np.uint64)


def test_sequential_goes_round():
    assert feed(3).rows_for(1, 0, numbers(7)).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert feed(3, "unique").rows_for(1, 0, numbers(4, 5)).tolist() == [2, 0, 1, 2]
    assert feed(3).rows_for(1, 0, numbers(1)).dtype == np.uint32


def test_shuffle_takes_each_row_once_in_each_pass():
    rows = feed(100, "shuffle").rows_for(7, 0, numbers(300)).reshape(3, 100)
    for turn in rows:
        assert sorted(turn) == list(range(100))
    assert not np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], np.arange(100))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_zipf_has_the_frequencies_of_zipf(seed, exponent):
    rows = feed(50, f"zipf({exponent})").rows_for(seed, 0, numbers(200_000))
    found = np.bincount(rows, minlength=50)
    weights = np.arange(1, 51) ** -exponent
    expected = weights / weights.sum() * 200_000
    assert stats.chisquare(found, expected).pvalue > 0.01
    assert np.allclose(zipf_shares(50, exponent) * 200_000, expected)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_rows_are_alike(seed):
    found = np.bincount(feed(97, "random").rows_for(seed, 0, numbers(100_000)), minlength=97)
    assert stats.chisquare(found).pvalue > 0.01


@given(st.sampled_from(PICKS), st.sampled_from(PICKS), st.booleans(), st.integers(2, 40),
       st.integers(0, 2**64 - 1), st.integers(0, 63), st.lists(st.integers(0, 500), max_size=6))
def test_rows_depend_on_seed_workload_and_number_alone(a, b, paired, count, seed, workload, cuts):
    rows = users(count)
    feeds = (Feed("", rows, parse_pick(a)), Feed("callee", rows, parse_pick(b)))
    if paired:
        try:
            feeds = pair(*feeds)
        except UsageError:
            assert b == "unique"
            return
    for one in feeds:
        whole = one.rows_for(seed, workload, numbers(500))
        parts = [one.rows_for(seed, workload, part) for part in np.split(numbers(500),
                                                                         sorted(cuts))]
        assert np.array_equal(np.concatenate(parts), whole)
        assert whole.max() < count
    if paired:
        caller, callee = (one.rows_for(seed, workload, numbers(500)) for one in feeds)
        assert not np.any(caller == callee)


@pytest.mark.parametrize("count", [2, 3, 10, 1001])
@pytest.mark.parametrize("picks", [(a, b) for a in PICKS for b in PICKS])
def test_a_caller_never_calls_itself(picks, count):
    rows = users(count)
    feeds = [Feed(name, rows, parse_pick(pick))
             for name, pick in zip(("", "callee"), picks, strict=True)]
    if picks[1] == "unique" and picks[0] in ("random", "zipf(1.2)"):
        with pytest.raises(UsageError, match="pick callers by unique"):
            pair(*feeds)
        return
    callers, callees = pair(*feeds)
    a, b = (one.rows_for(11, 2, numbers(20_000)) for one in (callers, callees))
    assert not np.any(a == b)
    assert callers.exclusive == ("unique" in picks)
    assert callees.exclusive == (callers.exclusive and callees.pick.in_passes)
    if picks == ("random", "random"):
        # The partner is any of the others alike.
        apart = (b.astype(int) - a) % count
        assert np.bincount(apart, minlength=count)[1:].min() > 0.5 * 20_000 / count - 10
    if picks in (("sequential", "sequential"), ("unique", "unique"), ("shuffle", "shuffle")):
        half = count // 2
        both = np.concatenate([a[:half], b[:half]])
        assert len(np.unique(both)) == 2 * half


def test_a_callee_of_zipf_has_the_shares_of_the_others():
    rows = users(5)
    callers = Feed("", rows, parse_pick("sequential"))
    _, callees = pair(callers, Feed("callee", rows, parse_pick("zipf(1)")))
    b = callees.rows_for(3, 0, numbers(100_000))[2::5]  # those whom row 2 calls
    shares = 1 / np.array([1, 2, 4, 5])
    found = np.bincount(b, minlength=5)[[0, 1, 3, 4]]
    assert stats.chisquare(found, shares / shares.sum() * len(b)).pvalue > 0.01


def test_one_table_under_two_names_is_one_table():
    rows = users(5)
    callers, callees = pair(Feed("", rows), Feed("callee", rows.prefixed("callee")))
    assert callees.rows.names == ("callee.user",)
    a, b = (one.rows_for(1, 0, numbers(100)) for one in (callers, callees))
    assert not np.any(a == b)
    # An empty text is the same object everywhere, and no sign of one table.
    other = Rows(2, ("x",), [b""], [np.zeros(3, np.uint32)])
    assert not other.is_table_of(users(2))


def test_two_tables_are_left_alone():
    callers, callees = feed(3), feed(3, "random", name="callee")
    assert pair(callers, callees) == (callers, callees)


def test_feeds_of_several_names_and_workloads_differ():
    base = feed(1000, "random")
    rows = {tuple(one.rows_for(seed, workload, numbers(20)))
            for one in (base, replace(base, name="routes")) for seed in (1, 2)
            for workload in (0, 1)}
    assert len(rows) == 8


def test_data_that_stops_bounds_the_calls():
    one = feed(10, "shuffle", "stop")
    assert one.limit == 10
    assert len(one.rows_for(1, 0, numbers(10))) == 10
    with pytest.raises(UsageError, match="10 calls at most"):
        one.rows_for(1, 0, numbers(1, 10))
    assert feed(10).limit is None
    rows = users(11)
    callers, callees = pair(Feed("", rows, exhaust="stop"), Feed("callee", rows))
    assert callers.limit == callees.limit == 5
    _, apart = pair(Feed("", rows, Pick("random")), Feed("callee", rows, exhaust="stop"))
    assert apart.limit == 10
    assert limit_of((feed(10), one, feed(7, "sequential", "stop"))) == 7
    assert limit_of((feed(10),)) == float("inf")


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_workers_never_share_a_row(workers):
    within = feed(100).rows_for(1, 0, numbers(100))
    shares = [set(within[worker::workers]) for worker in range(workers)]
    assert sum(len(share) for share in shares) == 100
    # Exclusive rows stay with one engine from pass to pass, so that it alone looks after them.
    one = feed(100, "unique").for_workers(workers)
    rows = one.rows_for(1, 0, numbers(1000))
    for row in range(100):
        assert len({int(n) % workers for n in np.flatnonzero(rows == row)}) <= 1
    assert len(np.unique(rows)) == 100 - 100 % workers


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_workers_never_share_a_pair(workers):
    rows = users(101)
    both = [one.for_workers(workers) for one in pair(
        Feed("", rows, Pick("unique")), Feed("callee", rows, Pick("unique")))]
    owner = {}
    for one in both:
        for n, row in enumerate(one.rows_for(1, 0, numbers(1000))):
            assert owner.setdefault(int(row), n % workers) == n % workers
    assert len(owner) == 101 - 101 % (2 * workers)


@pytest.mark.parametrize(("build", "words"), [
    (lambda: parse_pick("uniqe"), "choose sequential"),
    (lambda: parse_pick("zipf(0)"), "above 0"),
    (lambda: parse_pick("zipf"), "choose"),
    (lambda: Feed("routes", Rows(0, ("a",), [b""], [np.zeros(1, np.uint32)])),
     'data "routes": no rows'),
    (lambda: feed(3, "random", "stop"), "never comes to an end"),
    (lambda: feed(3, "sequential", "halt"), "choose wrap or stop"),
    (lambda: feed(3, "unique").for_workers(4), "too few for 4 workers"),
    (lambda: pair(*(Feed(name, rows) for rows in [users(1)] for name in ("", "callee"))),
     "caller and callee"),
])
def test_what_has_no_meaning_is_refused(build, words):
    with pytest.raises(UsageError, match=words):
        build()


def test_picks_are_written_as_they_are_read():
    assert [str(parse_pick(text)) for text in PICKS] == PICKS
