"""Random numbers against the published algorithms, written again here, and their moments."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from siploadgen.core.rand import Random

MASK = 2**64 - 1
DRAWS = 40_000


def splitmix(seed):
    while True:
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = seed
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
        yield z ^ (z >> 31)


def rotate(x, k):
    return (x << k | x >> (64 - k)) & MASK


def xoshiro(state):
    a, b, c, d = state
    while True:
        yield rotate(b * 5 & MASK, 7) * 9 & MASK
        e, f = c ^ a, d ^ b
        a, b, c, d = a ^ f, b ^ e, e ^ (b << 17 & MASK), rotate(f, 45)


def test_reference_of_this_test():
    """First outputs known from the authors' papers and other libraries' documentation."""
    stream = splitmix(1234567)
    assert [next(stream) for _ in range(3)] == [
        6457827717110365317, 3203168211198807973, 9817491932198370423]
    stream = xoshiro([1, 2, 3, 4])
    assert [next(stream) for _ in range(4)] == [11520, 0, 1509978240, 1215971899390074240]


@given(st.integers(0, MASK))
def test_same_stream_as_the_reference(seed):
    seeds = splitmix(seed)
    reference = xoshiro([next(seeds) for _ in range(4)])
    random = Random(seed)
    assert [random.next() for _ in range(20)] == [next(reference) for _ in range(20)]
    assert random.unit() == (next(reference) >> 11) / 2**53


@given(st.integers(0, MASK), st.integers(1, MASK))
def test_below_stays_below(seed, n):
    random = Random(seed)
    assert all(0 <= random.below(n) < n for _ in range(20))


def test_below_zero_is_refused():
    with pytest.raises(ValueError, match="0"):
        Random(1).below(0)


def test_below_throws_the_surplus_away():
    """n = 3 * 2**62: a third of the values would come up twice as often, were none redrawn."""
    n = 3 << 62
    seeds = splitmix(7)
    reference = xoshiro([next(seeds) for _ in range(4)])
    random = Random(7)
    kept = (v % n for v in reference if v >= (1 << 64) % n)
    assert [random.below(n) for _ in range(200)] == [next(kept) for _ in range(200)]


def test_below_is_even():
    random = Random(3)
    counts = [0] * 10
    for _ in range(DRAWS):
        counts[random.below(10)] += 1
    sigma = math.sqrt(DRAWS * 0.09)
    assert all(abs(c - DRAWS / 10) < 4 * sigma for c in counts)


# distribution -> mean, variance, variance of the squared deviation
MOMENTS = {
    "unit": (0.5, 1 / 12, 1 / 180),
    "normal": (0.0, 1.0, 2.0),
    "exponential": (1.0, 1.0, 8.0),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_moments(name):
    mean, variance, fourth = MOMENTS[name]
    draw = getattr(Random(42), name)
    values = [draw() for _ in range(DRAWS)]
    assert abs(sum(values) / DRAWS - mean) < 4 * math.sqrt(variance / DRAWS)
    spread = sum((v - mean) ** 2 for v in values) / DRAWS
    assert abs(spread - variance) < 4 * math.sqrt(fourth / DRAWS)


def test_normal_pairs_are_independent():
    random = Random(5)
    pairs = [(random.normal(), random.normal()) for _ in range(DRAWS)]
    assert abs(sum(a * b for a, b in pairs) / DRAWS) < 4 / math.sqrt(DRAWS)


def test_normal_tail():
    random = Random(6)
    beyond = sum(abs(random.normal()) > 2 for _ in range(DRAWS))
    share = math.erfc(2 / math.sqrt(2))
    assert abs(beyond - DRAWS * share) < 4 * math.sqrt(DRAWS * share * (1 - share))


# --- draws of one call ---

DISTRIBUTIONS = [
    ("unit", 0.0, stats.uniform()), ("normal", 0.0, stats.norm()),
    ("exponential", 0.0, stats.expon()), ("gamma", 0.3, stats.gamma(0.3)),
    ("gamma", 1.0, stats.gamma(1.0)), ("gamma", 2.5, stats.gamma(2.5)),
    ("weibull", 0.7, stats.weibull_min(0.7)), ("weibull", 1.5, stats.weibull_min(1.5)),
    ("pareto", 2.5, stats.pareto(2.5)), ("pareto", 5.0, stats.pareto(5.0))]


@pytest.mark.parametrize("seed", [1, 20, 300])
@pytest.mark.parametrize(("kind", "shape", "law"), DISTRIBUTIONS)
def test_draws_follow_their_law(kind, shape, law, seed):
    values = Random(seed).draws(kind, shape, DRAWS)
    assert stats.kstest(values, law.cdf).pvalue > 0.01


@pytest.mark.parametrize(("kind", "shape", "law"), DISTRIBUTIONS)
def test_means_of_draws(kind, shape, law):
    values = Random(4).draws(kind, shape, DRAWS)
    assert abs(sum(values) / DRAWS - law.mean()) < 3 * law.std() / math.sqrt(DRAWS)


@pytest.mark.parametrize("kind", ["unit", "normal", "exponential"])
def test_draws_that_follow_each_other_are_independent(kind):
    values = Random(9).draws(kind, 0.0, DRAWS)
    assert stats.spearmanr(values[:-1], values[1:]).pvalue > 0.01


def test_first_draws_of_neighbours_are_independent():
    """Calls of neighbouring states: one draw of each."""
    values = [Random(seed).draws("unit", 0.0, 1)[0] for seed in range(5000)]
    assert stats.kstest(values, "uniform").pvalue > 0.01
    assert stats.spearmanr(values[:-1], values[1:]).pvalue > 0.01


@pytest.mark.parametrize(("kind", "shape"), [
    ("gamma", 0.01), ("gamma", 1e6), ("weibull", 0.01), ("weibull", 1e6), ("pareto", 0.01),
    ("pareto", 1e6)])
def test_the_ends_of_the_shapes(kind, shape):
    """Not one is below 0 or no number; infinite ones are cut by who takes them."""
    values = Random(2).draws(kind, shape, 2000)
    assert all(value >= 0 for value in values)
    if shape == 1e6:
        middle = {"gamma": 1e6}.get(kind, 1.0)
        assert all(abs(value / middle - 1) < 0.01 for value in values)
