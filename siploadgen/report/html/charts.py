"""The charts of the page, as data and layout of Plotly: plain JSON, drawn by the page itself.

Colours of text and grid come from the page's style sheet: they follow light, dark and paper.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from siploadgen.core.hist import LENGTH
from siploadgen.report import histogram
from siploadgen.report.histogram import Counts
from siploadgen.report.history import History, Point
from siploadgen.report.html.levels import Level, headline, measured_phases, spans
from siploadgen.report.html.usl import Fit
from siploadgen.report.thresholds import Threshold

Chart = dict[str, Any]
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = (
    "#3f83cc", "#dd8a26", "#2f9e83", "#d24f4b", "#9270c2", "#8b919a")
_CLASSES = (RED, ORANGE, PURPLE, BLUE, GREEN, "#a8763e", "#c75b9b", "#5f9ea8", GREY)
_BANDS = (("p90", "p90_us", 0.34), ("p99", "p99_us", 0.22), ("p99.9", "p99.9_us", 0.13))
_COLUMNS = 300  # of heat maps and bars
_DECADE = 10  # rows of a heat map
_ABOVE = 1.028  # names of phases stand above the plot
# Row of a heat map that each bucket of a histogram belongs to.
_HEAT = np.floor(np.log10(np.maximum(histogram.MEDIAN_AT_US, 1)) * _DECADE).astype(np.int64)
_TICKS = (50, 90, 99, 99.9, 99.99, 99.999, 99.9999)


def number(value: float | None) -> float | None:
    """Round to five digits: more cannot be seen, and takes room."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.5g}")


def numbers(values: Iterable[float | None]) -> list[float | None]:
    """Round each to five digits."""
    return [number(value) for value in values]


def milliseconds(values: Iterable[float | None]) -> list[float | None]:
    """Return milliseconds of microseconds, rounded."""
    return [None if value is None else number(value / 1000) for value in values]


def tint(colour: str, alpha: float) -> str:
    """Make a colour see-through."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def line(name: str, x: Sequence[Any], y: Sequence[Any], colour: str, **more: Any) -> Chart:
    """Return a line."""
    dash = more.pop("dash", "solid")
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y,
            "line": {"color": colour, "width": more.pop("width", 1.8), "dash": dash}, **more}


def axis(title: str, low: float, high: float, **more: Any) -> Chart:
    """Return an axis that begins at 0."""
    return {"title": {"text": title}, "domain": [low, high], "rangemode": "tozero",
            "automargin": True, **more}


def log_axis(title: str, low: float, high: float, data: Sequence[Chart], which: str = "y",
             ) -> Chart:
    """Return a logarithmic axis, with marks at 1, 2 and 5 where there are few decades."""
    values = [value for one in data if one.get("yaxis", "y") == which
              for value in one["y"] if value]
    if not values:
        return axis(title, low, high, type="log", rangemode="normal")
    first, last = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    steps = (1, 2, 5) if last - first <= 2 else (1,)
    marks = [step * 10.0**decade for decade in range(first, last + 1) for step in steps]
    return axis(title, low, high, type="log", rangemode="normal", tickvals=marks,
                ticktext=[f"{mark:,.15g}" for mark in marks])


def chart(name: str, height: int, data: list[Chart], layout: Chart) -> Chart:
    """Return a chart as the page takes it."""
    return {"id": name, "height": height, "data": data, "layout": {"height": height, **layout}}


def response(levels: Sequence[Level], best: Level | None, goals: Sequence[Threshold]) -> Chart:
    """Draw what comes of what is offered: goodput, latency and failures by offered rate."""
    rows = sorted((level for level in levels if level.steady),
                  key=lambda level: level.offered_per_s)
    x = numbers(level.offered_per_s for level in rows)
    names = [level.name for level in rows]
    look = {"mode": "lines+markers", "customdata": names, "marker": {"size": 7}}
    data = [
        line("offered", x, x, GREY, dash="dot", width=1.2, hoverinfo="skip"),
        line("succeeded", x, numbers(level.ok_per_s for level in rows), GREEN, **look,
             hovertemplate="%{y:,.5~g}/s of %{x:,.5~g}/s<extra>%{customdata}</extra>")]
    for key, colour in (("p50", BLUE), ("p95", PURPLE), ("p99", ORANGE)):
        data.append(line(key, x, milliseconds(level.latency.get(key) for level in rows), colour,
                         **look, yaxis="y2", hovertemplate="%{y:.4~g} ms at %{x:,.5~g}/s"))
    data.append(line("failed", x, numbers(100 * level.failed_share for level in rows), RED,
                     **look, yaxis="y3", hovertemplate="%{y:.3~g} % at %{x:,.5~g}/s"))
    shapes = [_level_line(goal.limit * 1000, "y2") for goal in goals
              if goal.unit in ("us", "ms", "s")]
    shapes += [_level_line(goal.limit * 100, "y3") for goal in goals
               if goal.metric == "calls.failed" and goal.unit == "%"]
    if best is not None:
        shapes.append({"type": "line", "xref": "x", "x0": number(best.offered_per_s),
                       "x1": number(best.offered_per_s), "yref": "paper", "y0": 0, "y1": 1,
                       "line": {"color": GREEN, "width": 1.5, "dash": "dash"},
                       "label": {"text": "highest good level", "textposition": "end",
                                 "textangle": 0, "xanchor": "right", "font": {"size": 11}}})
    return chart("response", 620, data, {
        "xaxis": {"title": {"text": "offered calls/s"}, "anchor": "y3", "rangemode": "tozero"},
        "yaxis": axis("calls/s", 0.66, 1), "yaxis2": log_axis("ms", 0.29, 0.6, data, "y2"),
        "yaxis3": axis("% failed", 0, 0.22), "hovermode": "closest", "shapes": shapes})


def _level_line(y: float, axis: str) -> Chart:
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": axis, "y0": number(y),
            "y1": number(y), "line": {"color": RED, "width": 1, "dash": "dot"}}


def law(fit: Fit, load: Sequence[float], rate: Sequence[float], names: Sequence[str]) -> Chart:
    """Draw the Universal Scalability Law through the levels, with its uncertainty."""
    grid = numbers(fit.grid)
    ceiling = 3 * max(rate)
    low, high = (numbers(np.minimum(bound, ceiling)) for bound in fit.band)
    data = [
        line("95 %, lower", grid, low, tint(BLUE, 0.01), width=0, hoverinfo="skip",
             showlegend=False),
        line("95 % of fits", grid, high, tint(BLUE, 0.01), width=0, fill="tonexty",
             fillcolor=tint(BLUE, 0.2), hoverinfo="skip"),
        line("fit", grid, numbers(np.minimum(fit.curve, ceiling)), BLUE,
             hovertemplate="%{y:,.5~g}/s with %{x:.4~g} at work"),
        {"type": "scatter", "mode": "markers", "name": "levels", "x": numbers(load),
         "y": numbers(rate), "customdata": list(names), "marker": {"color": ORANGE, "size": 9},
         "hovertemplate": "%{y:,.5~g}/s with %{x:.4~g} at work<extra>%{customdata}</extra>"}]
    return chart("law", 340, data, {
        "xaxis": {"title": {"text": "calls that the target has at work (N)"},
                  "rangemode": "tozero"},
        "yaxis": axis("calls/s", 0, 1), "hovermode": "closest"})


def _unit(end_s: float) -> tuple[str, float]:
    return ("h", 3600.0) if end_s > 5 * 3600 else ("min", 60.0) if end_s > 600 else ("s", 1.0)


def percentiles(point: Point, name: str) -> Mapping[str, Any]:
    """Return the percentiles of a latency in a point, from its histogram where there is one."""
    if point.intervals > 1 and name in point.histograms:
        counts = point.histograms[name].dense()
        values = histogram.percentiles(counts, (50, 90, 99, 99.9))
        return {**dict(zip(("p50_us", "p90_us", "p99_us", "p99.9_us"), values.tolist(),
                           strict=True)), "max_us": histogram.maximum(counts)}
    return point.latencies.get(name, {})


def timeline(result: Mapping[str, Any], history: History) -> Chart | None:
    """Draw the run over time: rates, latency bands, open calls, repeats; None without intervals."""
    points = history.points
    if not points:
        return None
    unit, scale = _unit(points[-1].start_s + points[-1].length_s)
    x = numbers((point.start_s + point.length_s / 2) / scale for point in points)
    data = [line(label, x, numbers(point.counts[key] / point.length_s for point in points),
                 colour, hovertemplate="%{y:,.5~g}/s", **more)
            for label, key, colour, more in (
                ("due", "due", GREY, {"dash": "dot"}), ("started", "started", BLUE, {}),
                ("succeeded", "succeeded", GREEN, {}), ("failed", "failed", RED, {}))]
    name = headline(result)
    if name is not None:
        rows = [percentiles(point, name) for point in points]
        data.append(line(f"{name} p50", x, milliseconds(row.get("p50_us") for row in rows), PURPLE,
                         yaxis="y2", hovertemplate="%{y:.4~g} ms"))
        for label, key, alpha in _BANDS:
            data.append(line(f"{name} {label}", x, milliseconds(row.get(key) for row in rows),
                             tint(PURPLE, 0.5), yaxis="y2", width=0.6, fill="tonexty",
                             fillcolor=tint(PURPLE, alpha), hovertemplate="%{y:.4~g} ms"))
        data.append({**line(f"{name} max", x, milliseconds(
            row.get("max_us") for row in rows), PURPLE), "mode": "markers", "yaxis": "y2",
                     "marker": {"size": 3, "color": PURPLE},
                     "hovertemplate": "%{y:.4~g} ms"})
    data.append(line("open", x, [point.open_calls for point in points], ORANGE, yaxis="y3",
                     hovertemplate="%{y:,}"))
    data.append(line("retransmitted", x, numbers(
        point.counts["retransmitted"] / point.length_s for point in points), RED, yaxis="y4",
        hovertemplate="%{y:,.4~g}/s"))
    shapes = [*_phases(result, scale), *_doubts(points, scale)]
    return chart("timeline", 760, data, {
        "xaxis": {"title": {"text": f"time since the first due call ({unit})"}, "anchor": "y4",
                  "rangemode": "tozero"},
        "yaxis": axis("calls/s", 0.76, 1), "yaxis2": log_axis("ms", 0.4, 0.72, data, "y2"),
        "yaxis3": axis("open calls", 0.2, 0.36), "yaxis4": axis("repeats/s", 0, 0.16),
        "hovermode": "x unified", "hoversubplots": "axis", "shapes": shapes})


def _phases(result: Mapping[str, Any], scale: float) -> list[Chart]:
    """Shade every second phase, and name those that are wide enough."""
    found = sorted(spans(result).items(), key=lambda item: item[1])
    if len(found) < 2:
        return []
    whole = max(end for _, (_, end, _) in found)
    return [{"type": "rect", "layer": "below", "xref": "x", "yref": "paper", "y0": 0, "y1": _ABOVE,
             "x0": number(start / scale), "x1": number(end / scale), "line": {"width": 0},
             "fillcolor": tint(GREY, 0.13 if place % 2 else 0.03),
             "label": {"text": name if end - start > 0.07 * whole else "",
                       "textposition": "top center", "font": {"size": 10}}}
            for place, (name, (start, end, _)) in enumerate(found)]


def _doubts(points: Sequence[Point], scale: float) -> list[Chart]:
    """Mark what is suspect or invalid; neighbours as one."""
    runs: list[list[Any]] = []
    for point in points:
        end = point.start_s + point.length_s
        if point.state == "valid":
            continue
        if runs and runs[-1][2] == point.state and abs(runs[-1][1] - point.start_s) < 1e-3:
            runs[-1][1] = end
        else:
            runs.append([point.start_s, end, point.state])
    return [{"type": "rect", "layer": "below", "xref": "x", "yref": "paper", "y0": 0, "y1": 1,
             "x0": number(start / scale), "x1": number(end / scale), "name": state,
             "line": {"width": 1, "dash": "dot", "color": RED if state == "invalid" else ORANGE},
             "fillcolor": tint(RED if state == "invalid" else ORANGE, 0.16)}
            for start, end, state in runs]


def _grouped(points: Sequence[Point]) -> list[Sequence[Point]]:
    """Put neighbouring points together until there are at most `_COLUMNS` groups."""
    size = max(-(-len(points) // _COLUMNS), 1)
    return [points[place : place + size] for place in range(0, len(points), size)]


def heat(result: Mapping[str, Any], history: History) -> Chart | None:
    """Draw how many calls had which latency when; None without histograms."""
    name = headline(result)
    held = [group for group in _grouped(history.points)
            if any(name in point.histograms for point in group)] if name else []
    if not held or name is None:
        return None
    unit, scale = _unit(history.points[-1].start_s + history.points[-1].length_s)
    columns = np.zeros((len(held), _HEAT[-1] + 1), np.int64)
    for column, group in zip(columns, held, strict=True):
        for point in group:
            if name in point.histograms:
                one = point.histograms[name]
                inside = one.places < LENGTH
                np.add.at(column, _HEAT[one.places[inside]], one.counts[inside])
    used = np.flatnonzero(columns.any(axis=0))
    if not len(used):
        return None
    span = range(int(used[0]), int(used[-1]) + 1)
    counts = [[count or None for count in columns[:, row].tolist()] for row in span]
    x = numbers((group[0].start_s + group[-1].start_s + group[-1].length_s) / 2 / scale
                for group in held)
    data = [{
        "type": "heatmap", "x": x, "y": numbers(10 ** ((row + 0.5) / _DECADE - 3) for row in span),
        "z": [[None if count is None else round(math.log10(count), 2) for count in row]
              for row in counts],
        "customdata": counts, "colorscale": [[0, "#b9d3ee"], [0.35, "#5f9bd8"], [0.7, "#7d55b4"],
                                             [1, "#c2396b"]],
        "hovertemplate": f"%{{customdata:,}} calls of about %{{y:.3~g}} ms at %{{x}} {unit}"
                         "<extra></extra>",
        "colorbar": {"title": {"text": "calls"}, "thickness": 10, "len": 0.9,
                     "tickvals": list(range(8)), "ticktext": ["1", "10", "100", "1k", "10k",
                                                              "100k", "1M", "10M"]}}]
    return chart("heat", 320, data, {
        "xaxis": {"title": {"text": f"time since the first due call ({unit})"},
                  "rangemode": "tozero"},
        "yaxis": log_axis(f"{name}, ms", 0, 1, data), "hovermode": "closest"})


def spectrum(result: Mapping[str, Any], history: History) -> Chart | None:
    """Draw percentiles up to the longest: response, service and lateness; None without any."""
    name = headline(result)
    phases = measured_phases(result)
    data = []
    most = 1
    for metric, label, colour in ((name, f"{name}: from the due time", ORANGE),
                                  (f"{name}_service", "service: from the sending", BLUE),
                                  ("lateness", "lateness of the generator", GREY)):
        counts = history.latency(metric, phases) if metric else histogram.empty()
        held = histogram.count(counts)
        if not held:
            continue
        most = max(most, held)
        x, y = _spectrum(counts, held)
        data.append(line(label, x, y, colour, customdata=numbers(
            100 - 100 / value for value in x),
            hovertemplate="%{customdata:.6~g} %: %{y:.4~g} ms"))
    if not data:
        return None
    ticks = [tick for tick in _TICKS if 1 / (1 - tick / 100) <= 10 * most]
    return chart("spectrum", 420, data, {
        "xaxis": {"type": "log", "title": {"text": "percentile"},
                  "tickvals": [1 / (1 - tick / 100) for tick in ticks],
                  "ticktext": [f"{tick:g} %" for tick in ticks]},
        "yaxis": log_axis("ms", 0, 1, data), "hovermode": "closest"})


def _spectrum(counts: Counts, held: int) -> tuple[list[float], list[float | None]]:
    """Return 1 / (1 - p) for many p, and the milliseconds there."""
    x = np.logspace(0, math.log10(max(held, 2)), 160)
    values = histogram.percentiles(counts, (100 * (1 - 1 / x)).tolist())
    return [float(f"{value:.6g}") for value in x], milliseconds(np.maximum(values, 1).tolist())


def failures(history: History) -> Chart | None:
    """Draw the failures by class over time; None when there are none."""
    groups = _grouped(history.points) if history.points else []
    classes: dict[str, int] = {}
    for point in history.points:
        for kind, count in point.failed.items():
            classes[kind] = classes.get(kind, 0) + count
    if not classes:
        return None
    unit, scale = _unit(history.points[-1].start_s + history.points[-1].length_s)
    x = numbers((group[0].start_s + group[-1].start_s + group[-1].length_s) / 2 / scale
                for group in groups)
    widths = numbers(0.9 * (group[-1].start_s + group[-1].length_s - group[0].start_s) / scale
                     for group in groups)
    lengths = [sum(point.length_s for point in group) for group in groups]
    data: list[Chart] = [{
        "type": "bar", "name": kind, "x": x, "width": widths,
        "marker": {"color": colour, "line": {"width": 0}},
        "hovertemplate": "%{y:,.4~g}/s", "y": numbers(
            sum(point.failed.get(kind, 0) for point in group) / length
            for group, length in zip(groups, lengths, strict=True))}
        for (kind, _), colour in zip(sorted(classes.items(), key=lambda item: -item[1]),
                                     _CLASSES * (len(classes) // len(_CLASSES) + 1),
                                     strict=False)]
    return chart("failures", 300, data, {
        "barmode": "stack", "hovermode": "x unified",
        "xaxis": {"title": {"text": f"time since the first due call ({unit})"},
                  "rangemode": "tozero"},
        "yaxis": axis("failed calls/s", 0, 1)})
