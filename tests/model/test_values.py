"""Durations, shares and distributions as text."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from siploadgen.model.errors import ModelError, nearest
from siploadgen.model.values import (
    UNITS_NS,
    Exponential,
    Fixed,
    Gamma,
    Lognormal,
    Normal,
    Pareto,
    Samples,
    TimesT1,
    Uniform,
    VariableRef,
    Weibull,
    describe_value,
    format_duration,
    mean_of,
    parse_distribution,
    parse_duration_ns,
    parse_limit,
    parse_share,
    parse_share_distribution,
    samples,
    scaled,
    uniform,
)


@pytest.mark.parametrize(("text", "ns"), [
    ("250ms", 250_000_000), ("30s", 30_000_000_000), ("1h30m", 5_400_000_000_000), ("0", 0),
    ("0s", 0), ("1.5s", 1_500_000_000), ("7us", 7_000), ("3ns", 3), ("1d", 86_400_000_000_000),
    (" 2s ", 2_000_000_000)])
def test_durations(text, ns):
    assert parse_duration_ns(text) == ns


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1 s", "1x", "1s5", "1h 30m", "1e3s", "NaNs",
                                  "99999d"])
def test_faulty_durations(text):
    with pytest.raises(ModelError):
        parse_duration_ns(text)


def test_multiples_of_t1():
    assert parse_limit("64*T1") == parse_limit(" 64 * T1") == TimesT1(64)
    assert describe_value(TimesT1(64)) == "64*T1"
    for text in ("T1", "64*T2", "*T1", "-1*T1", "1.5*T1", "100001*T1", "64*"):
        with pytest.raises(ModelError):
            parse_limit(text)


@given(st.lists(st.tuples(st.integers(0, 500), st.sampled_from(list(UNITS_NS))), min_size=1,
                max_size=4))
def test_a_duration_is_the_sum_of_its_parts(parts):
    text = "".join(f"{count}{unit}" for count, unit in parts)
    assert parse_duration_ns(text) == sum(count * UNITS_NS[unit] for count, unit in parts)


@given(st.integers(0, 80_000), st.sampled_from(["ns", "us", "ms", "s", "m", "h"]))
def test_what_is_written_can_be_read_again(count, unit):
    ns = count * UNITS_NS[unit]
    again = parse_duration_ns(format_duration(ns))
    assert math.isclose(again, ns, rel_tol=1e-5, abs_tol=1)


def test_shares():
    assert parse_share("3%") == 0.03
    assert parse_share("1") == 1
    for text in ("", "x", "101%", "-1%", "2", "nan", "inf%"):
        with pytest.raises(ModelError):
            parse_share(text)


@pytest.mark.parametrize(("text", "value"), [
    ("2s", Fixed(2_000_000_000)), ("fixed(2s)", Fixed(2_000_000_000)),
    ("uniform(1s,3s)", Uniform(1e9, 3e9)), ("uniform( 1s , 3s )", Uniform(1e9, 3e9)),
    ("normal(2s,100ms)", Normal(2e9, 1e8)), ("lognormal(200ms,0.4)", Lognormal(2e8, 0.4)),
    ("exponential(2s)", Exponential(2e9))])
def test_distributions(text, value):
    assert parse_distribution(text) == value


@pytest.mark.parametrize("text", [
    "gauss(1s)", "uniform(1s)", "uniform(3s,1s)", "lognormal(0s,1)", "lognormal(1s,x)",
    "lognormal(1s,-1)", "uniform(1,2)", "exponential()", "uniform(1s,3s", "normal(1s,2s,3s)"])
def test_faulty_distributions(text):
    with pytest.raises(ModelError) as caught:
        parse_distribution(text)
    assert caught.value.mend


def test_mean_of_a_lognormal_is_what_was_asked_for():
    value = parse_distribution("lognormal(200ms,0.4)")
    assert math.exp(value.mu + value.sigma**2 / 2) == pytest.approx(2e8)


def test_shares_are_in_units_of_a_thousand_millionth():
    assert parse_share_distribution("uniform(50%,90%)") == Uniform(5e8, 9e8)


@given(st.sampled_from([Fixed(10), Uniform(1, 3), Normal(2, 1), Lognormal(5, 0.5), Exponential(4)]),
       st.sampled_from([1.0, 2.0, 1e9]))
def test_scaling_scales_the_mean(value, factor):
    def mean(one):
        match one:
            case Fixed(number):
                return number
            case Uniform(low, high):
                return (low + high) / 2
            case _:
                return one.mean
    assert mean(scaled(value, factor)) == pytest.approx(mean(value) * factor)


def test_values_are_written_as_they_are_read():
    for text in ("30s", "uniform(1s,3s)", "normal(2s,100ms)", "lognormal(200ms,0.4)",
                 "exponential(1h30m)"):
        assert describe_value(parse_distribution(text)) == text


def test_bounds_the_wrong_way_round():
    with pytest.raises(ModelError, match="wrong way round"):
        uniform("3s", "1s")


def test_nearest_names():
    assert nearest("hol", ["hold"]) == 'did you mean "hold"?'
    assert nearest("x", []) == "there are none"


# --- shapes and samples ---


@pytest.mark.parametrize(("text", "value"), [
    ("weibull(2s,1.5)", Weibull(2e9, 1.5)), ("pareto( 1s , 2.5 )", Pareto(1e9, 2.5)),
    ("gamma(500ms,2)", Gamma(5e8, 2.0))])
def test_distributions_with_a_shape(text, value):
    assert parse_distribution(text) == value
    assert describe_value(value) == text.replace(" ", "")
    assert mean_of(scaled(value, 3)) == pytest.approx(3 * mean_of(value))


@pytest.mark.parametrize("name", ["weibull", "pareto", "gamma"])
@pytest.mark.parametrize("inner", ["0s,1", "1s,0", "1s,0.001", "1s,2000000", "1s,nan", "1s,x", "1s",
                                   "1s,1,1", "1,1"])
def test_faulty_shapes(name, inner):
    with pytest.raises(ModelError) as caught:
        parse_distribution(f"{name}({inner})")
    assert name in str(caught.value)
    assert caught.value.mend


@pytest.mark.parametrize(("value", "law"), [
    (Weibull(3.0, 0.7), stats.weibull_min(0.7, scale=3)), (Pareto(2.0, 1.5),
                                                           stats.pareto(1.5, scale=2)),
    (Gamma(4.0, 0.3), stats.gamma(0.3, scale=4)), (Uniform(2.0, 5.0), stats.uniform(2, 3)),
    (Exponential(7.0), stats.expon(scale=7))])
def test_means(value, law):
    assert mean_of(value) == pytest.approx(law.mean())


def test_means_that_are_none():
    assert mean_of(Pareto(1.0, 1.0)) == math.inf
    assert mean_of(VariableRef("x")) == 0
    assert mean_of(Samples((1, 2, 6))) == 3


def test_samples_of_a_file(tmp_path):
    path = tmp_path / "holds.txt"
    path.write_text("# seen on Monday\n1s\n\n  250ms \n0s\n")
    value = parse_distribution(f"samples({path})")
    assert value == samples(path) == Samples((1_000_000_000, 250_000_000, 0))
    assert describe_value(value) == "samples(3 from 0s to 1s)"


def test_faulty_samples_tell_the_line(tmp_path):
    path = tmp_path / "holds.txt"
    path.write_text("1s\n# no\n5\n")
    for read in (lambda: samples(str(path)), lambda: parse_distribution(f"samples({path})")):
        with pytest.raises(ModelError) as caught:
            read()
        assert f"{path}:3" in str(caught.value)
        assert "'5' is not a duration" in str(caught.value)


@pytest.mark.parametrize(("content", "message"), [
    (b"", "0 samples"), (b"# nothing\n\n", "0 samples"), (b"1s\n\xff\n", "not UTF-8"),
    (b"1s\n" * 1_000_001, "1000001 samples"), (None, "No such file")])
def test_files_that_are_no_samples(content, message, tmp_path):
    path = tmp_path / "holds.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        samples(path)
    assert message in str(caught.value)
    assert "holds.txt" in str(caught.value)
    assert caught.value.mend


@pytest.mark.parametrize("given_", [[], [-1], ["x"]])
def test_faulty_samples_of_a_list(given_):
    with pytest.raises(ModelError):
        samples(given_)
