"""Numpy side of histograms against the hdrhistogram package."""

import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from hypothesis import example, given, settings
from hypothesis import strategies as st

from siploadgen.core import hist
from siploadgen.report import histogram

REFERENCE = HdrHistogram(hist.LOWEST_US, hist.HIGHEST_US, hist.DIGITS)
values = st.one_of(
    st.integers(0, 3000),
    st.integers(0, hist.HIGHEST_US),
    st.integers(0, 31).flatmap(lambda bits: st.integers(max(0, 2**bits - 2), 2**bits + 2)),
)
# values, each with the number of times that it is recorded
recordings = st.lists(
    st.tuples(values, st.one_of(st.integers(1, 5), st.integers(1, 10**12))), max_size=60)
percents = st.one_of(
    st.floats(0, 100), st.integers(0, 100),
    st.sampled_from([0, 0.0, 50, 90, 95, 99, 99.9, 99.99, 99.999, 100, 1e-9]))


def both(recorded):
    counts = histogram.empty()
    reference = HdrHistogram(hist.LOWEST_US, hist.HIGHEST_US, hist.DIGITS)
    for value, times in recorded:
        counts[hist.index(value)] += times
        reference.record_value(value, times)
    return counts, reference


def test_bucket_bounds_are_hdrhs():
    for number in range(hist.LENGTH):
        value = REFERENCE.get_value_from_index(number)
        assert histogram.LOWEST_AT_US[number] == value
        assert histogram.HIGHEST_AT_US[number] == REFERENCE.get_highest_equivalent_value(value)
        assert histogram.MEDIAN_AT_US[number] == REFERENCE._hdr_median_equiv_value(value)


@given(values.filter(lambda v: v <= hist.HIGHEST_US))
def test_bounds_hold_the_value(value):
    number = hist.index(value)
    assert histogram.LOWEST_AT_US[number] <= value <= histogram.HIGHEST_AT_US[number]


@given(recordings, st.lists(percents, min_size=1, max_size=8))
@example([], [0, 50, 100])
@example([(0, 1)], [0, 50, 100])
@example([(4096, 2), (2**31, 1)], [0, 0.0, 50, 66, 67, 100])
@settings(max_examples=60, deadline=None)
def test_percentiles_are_hdrhs(recorded, wanted):
    counts, reference = both(recorded)
    got = histogram.percentiles(counts, wanted)
    assert got.dtype == np.int64
    assert got.tolist() == [reference.get_value_at_percentile(p) for p in wanted]


@given(recordings)
@settings(max_examples=10, deadline=None)       # the reference walks 23,552 cells in Python, twice
def test_moments_are_hdrhs(recorded):
    counts, reference = both(recorded)
    assert histogram.count(counts) == reference.get_total_count()
    assert histogram.overflow(counts) == 0
    assert histogram.minimum(counts) == reference.get_min_value()
    assert histogram.maximum(counts) == reference.get_max_value()
    assert histogram.mean(counts) == pytest.approx(reference.get_mean_value(), rel=1e-12)
    assert histogram.stddev(counts) == pytest.approx(reference.get_stddev(), rel=1e-9, abs=1e-6)


def test_mean_of_sums_beyond_64_bits():
    counts = histogram.empty()
    number = hist.index(hist.HIGHEST_US)
    counts[number] = 10**13
    assert histogram.mean(counts) == histogram.MEDIAN_AT_US[number]


@given(recordings)
@settings(max_examples=60, deadline=None)
def test_encoded_bytes_are_hdrhs(recorded):
    counts, reference = both(recorded)
    encoded = histogram.encode(counts)
    assert encoded == reference.encode()
    assert np.array_equal(histogram.decode(encoded), counts)
    ours = histogram.to_hdrh(counts)
    assert ours.get_total_count() == reference.get_total_count()
    assert ours.get_value_at_percentile(99) == reference.get_value_at_percentile(99)


@given(st.lists(recordings, max_size=4))
@settings(max_examples=30, deadline=None)
def test_merge_is_recording_everything(parts):
    counts, _ = both([record for part in parts for record in part])
    assert np.array_equal(histogram.merge(both(part)[0] for part in parts), counts)


def test_merge_keeps_the_overflow_and_its_arguments():
    one, two = histogram.empty(), histogram.empty()
    one[[5, hist.OVERFLOW]] = 1, 2
    two[hist.OVERFLOW] = 3
    total = histogram.merge([one, two])
    assert (histogram.overflow(total), histogram.count(total)) == (5, 6)
    assert histogram.overflow(one) == 2


def test_overflow_takes_part_in_percentiles():
    counts = histogram.empty()
    counts[hist.index(1000)] = 90
    counts[hist.OVERFLOW] = 10
    assert histogram.percentiles(counts, [0, 90, 91, 100]).tolist() == [
        1000, 1000, histogram.ABOVE_US, histogram.ABOVE_US]
    assert histogram.maximum(counts) == histogram.ABOVE_US
    assert histogram.minimum(counts) == 1000
    assert histogram.count(counts) == 100
    assert histogram.mean(counts) == 1000
    assert histogram.stddev(counts) == 0


def test_only_overflow():
    counts = histogram.empty()
    counts[hist.OVERFLOW] = 1
    assert histogram.percentiles(counts, [0, 100]).tolist() == [histogram.ABOVE_US] * 2
    assert histogram.minimum(counts) == histogram.maximum(counts) == histogram.ABOVE_US
    assert histogram.mean(counts) == 0


def test_above_is_above_every_recorded_value():
    assert REFERENCE.get_highest_equivalent_value(hist.HIGHEST_US) < histogram.ABOVE_US


@pytest.mark.parametrize("percent", [-1, 100.1, float("nan")])
def test_percentages_out_of_range(percent):
    with pytest.raises(ValueError, match="percentile"):
        histogram.percentiles(histogram.empty(), [50, percent])


@pytest.mark.parametrize("bad", [
    np.zeros(hist.LENGTH, np.int64), np.zeros(hist.STRIDE, np.float64),
    np.zeros((1, hist.STRIDE), np.int64), np.full(hist.STRIDE, -1),
])
def test_other_arrays_are_refused(bad):
    for function in (histogram.count, histogram.mean, histogram.encode, histogram.maximum):
        with pytest.raises(ValueError, match="counters"):
            function(bad)


@pytest.mark.parametrize("encoded", [
    b"", b"HISTFAAAA", b"????", b"HISTFAAAACF42pNpmSzMwMCgyAABzFBaEUzOmNZg",
    HdrHistogram(1, 60_000_000, 3).encode(), HdrHistogram(1, hist.HIGHEST_US, 2).encode(),
])
def test_foreign_encodings_are_refused(encoded):
    with pytest.raises(ValueError, match="histogram"):
        histogram.decode(encoded)


def test_row_of_a_matrix():
    matrix = np.zeros((3, hist.STRIDE), np.int64)
    matrix[1, 7] = 4
    view = matrix[:, ::1][1]
    assert histogram.percentiles(view, [50]).tolist() == [7]
    assert histogram.to_hdrh(view).get_total_count() == 4


def read_back(path):
    reader = HistogramLogReader(str(path), REFERENCE)
    try:
        while (interval := reader.get_next_interval_histogram()) is not None:
            yield interval
    finally:
        reader.close()


def test_log_is_read_by_hdrh(tmp_path):
    path = tmp_path / "hist.hlog"
    start = 1_795_000_000.25
    metrics = {"srd": both([(812, 10), (9000, 1)]), "rrd.register": both([(5, 3)]),
               "idle": both([])}
    with histogram.HlogWriter(path, start) as log:
        for second in range(3):
            for tag, (counts, _) in metrics.items():
                log.write(tag, counts, second, 1.0)
    intervals = list(read_back(path))
    assert [i.get_tag() for i in intervals] == list(metrics) * 3
    for number, interval in enumerate(intervals):
        second = number // len(metrics)
        reference = metrics[interval.get_tag()][1]
        assert interval.get_start_time_stamp() == pytest.approx((start + second) * 1000, abs=1)
        assert interval.get_end_time_stamp() == pytest.approx((start + second + 1) * 1000, abs=1)
        assert interval.encode() == reference.encode()
        assert interval.get_total_count() == reference.get_total_count()


def test_text_of_the_log(tmp_path):
    path = tmp_path / "hist.hlog"
    counts, reference = both([(1500, 1)])
    counts[hist.OVERFLOW] = 2
    start = datetime(2026, 11, 20, 12, 0, tzinfo=UTC).timestamp()
    with histogram.HlogWriter(path, start) as log:
        log.write("srd.warm-up", counts, 0.5, 0.25)
    assert path.read_text().splitlines() == [
        "#[Histogram log format version 1.3]",
        f"#[StartTime: {start:.3f} (seconds since epoch), 2026-11-20T12:00:00.000+00:00]",
        f"#[BaseTime: {start:.3f} (seconds since epoch)]",
        "#[Values in microseconds, Interval_Max in milliseconds]",
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
        "#[Overflow: Tag=srd.warm-up 0.500000 2 above 3600000000]",
        f"Tag=srd.warm-up,0.500000,0.250000,1.500,{reference.encode().decode()}",
    ]
    (interval,) = read_back(path)
    assert interval.get_total_count() == 1


def test_time_range_of_the_log(tmp_path):
    """Readers select intervals relative to the start time."""
    path = tmp_path / "hist.hlog"
    counts, _ = both([(7, 1)])
    with histogram.HlogWriter(path, 1_795_000_000.0) as log:
        for second in range(10):
            log.write("srd", counts, second, 1.0)
    reader = HistogramLogReader(str(path), REFERENCE)
    found = 0
    while reader.get_next_interval_histogram(3, 5.5) is not None:
        found += 1
    reader.close()
    assert found == 3


@pytest.mark.parametrize("tag", ["", "a,b", "a b", "a\n", "a\tb", "é"])
def test_tags_that_would_break_the_line(tmp_path, tag):
    with (histogram.HlogWriter(tmp_path / "x.hlog", 0.0) as log,
          pytest.raises(ValueError, match="tag")):
        log.write(tag, histogram.empty(), 0.0, 1.0)


@pytest.mark.parametrize(("start", "length"), [(-0.1, 1.0), (0.0, -1.0), (float("nan"), 1.0)])
def test_stamps_before_the_start(tmp_path, start, length):
    with (histogram.HlogWriter(tmp_path / "x.hlog", 0.0) as log,
          pytest.raises(ValueError, match="interval")):
        log.write("srd", histogram.empty(), start, length)


def test_hdrh_is_imported_only_when_needed():
    code = ("import sys, siploadgen.report.histogram as h; h.percentiles(h.empty(), [50]); "
            "assert not any(m.split('.')[0] == 'hdrh' for m in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
