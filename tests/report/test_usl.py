"""The scalability law: what was put in comes out, with honest ranges; else there is no fit."""

import numpy as np
import pytest

from siploadgen.report.html import usl

LOAD = np.array([1.0, 2, 4, 8, 16, 32, 64])


def law(load, rate=1000.0, sigma=0.05, kappa=0.001):
    return rate * load / (1 + sigma * (load - 1) + kappa * load * (load - 1))


@pytest.mark.parametrize(("sigma", "kappa"), [(0.05, 0.001), (0.3, 0.0), (0.0, 0.002), (0.0, 0.0)])
def test_parameters_are_found_again(sigma, kappa):
    found = usl.fit(LOAD, law(LOAD, 700.0, sigma, kappa))
    assert found.rate_per_s == pytest.approx(700)
    assert found.sigma == pytest.approx(sigma, abs=1e-9)
    assert found.kappa == pytest.approx(kappa, abs=1e-9)
    assert found.r2 == pytest.approx(1)
    assert (found.peak_at is None) == (kappa == 0)
    if kappa:
        assert found.peak_at == pytest.approx(np.sqrt((1 - sigma) / kappa))
        assert found.peak_per_s == pytest.approx(
            law(np.array([found.peak_at]), 700.0, sigma, kappa)[0])


def test_ranges_hold_the_truth_nearly_always():
    inside = 0
    for seed in range(40):
        noise = 1 + np.random.default_rng(seed).normal(0, 0.02, len(LOAD))
        found = usl.fit(LOAD, law(LOAD) * noise)
        low, high = found.kappa_range
        inside += low <= 0.001 <= high
    assert inside >= 32     # the ranges of small samples are somewhat short


def test_noise_shows_in_the_band():
    noise = 1 + np.random.default_rng(3).normal(0, 0.05, len(LOAD))
    wide, narrow = usl.fit(LOAD, law(LOAD) * noise), usl.fit(LOAD, law(LOAD))
    assert (wide.band[1] - wide.band[0]).max() > 20 * (narrow.band[1] - narrow.band[0]).max()
    assert (wide.band[0] <= wide.curve * 1.001).all()
    assert (wide.band[1] >= wide.curve * 0.999).all()


def test_what_the_law_does_not_describe_is_poor():
    found = usl.fit(LOAD, np.array([500.0, 100, 900, 50, 800, 100, 700]))
    assert found.poor
    assert not usl.fit(LOAD, law(LOAD)).poor


def test_below_one_call_at_work_throughput_is_a_straight_line():
    assert usl.throughput(np.array([0.001, 0.0009, 0.001]),
                          np.array([0.5, 1.0])).tolist() == [500, 1000]


@pytest.mark.parametrize("load", [LOAD[:3], np.full(6, 4.0), 10 + LOAD / 100, LOAD / 100,
                                  np.zeros(6)])
def test_no_fit_without_different_levels_and_load(load):
    assert usl.fit(load, np.full(len(load), 100.0)) is None
