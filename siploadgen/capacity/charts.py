"""The charts of the pages of a search and of an overload curve, as data and layout of Plotly."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from siploadgen.report.html.charts import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    Chart,
    axis,
    chart,
    line,
    log_axis,
    milliseconds,
    number,
    numbers,
    tint,
)
from siploadgen.units import format_duration, format_rate

Data = Mapping[str, Any]
Rows = Sequence[Data]
COLOURS = {"met": GREEN, "missed": RED, "limited": ORANGE}
_SYMBOLS = {"trial": "circle", "again": "circle-open", "probe": "triangle-down-open",
            "first": "square"}
_WIDE = 12.0  # rates further apart than that are drawn in logarithms


def _rates(rates: Sequence[float]) -> dict[str, Any]:
    """Return the kind of axis that rates are read from best."""
    used = [rate for rate in rates if rate > 0]
    if not used or max(used) / min(used) < _WIDE:
        return {"rangemode": "normal"}
    first, last = math.floor(math.log10(min(used))), math.ceil(math.log10(max(used)))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    marks = [step * 10.0**decade for decade in range(first, last + 1) for step in steps]
    return {"type": "log", "rangemode": "normal", "tickvals": marks,
            "ticktext": [f"{mark:,.15g}" for mark in marks]}


def _said(row: Data) -> str:
    """Say what became of a run, for the pointer."""
    delay = row["delay_p99_us"]
    return "<br>".join(filter(None, (
        f"{row['number']}. {row['kind']} at {format_rate(row['rate_per_s'])} for "
        f"{row['duration_s']:g} s: <b>{row['answer']}</b>",
        f"{row['succeeded']:,} of {row['due']:,} ended well, {row['failed']:,} failed",
        f"p99 {format_duration(delay * 1000)}" if delay is not None else "")))


def _dots(rows: Rows, x: Sequence[Any], y: Sequence[Any], answer: str, **more: Any) -> Chart:
    """Draw runs that ended alike; a click leads to their rows."""
    return {"type": "scatter", "mode": "markers", "name": answer, "legendgroup": answer,
            "showlegend": False,
            "x": list(x), "y": list(y), "customdata": [row["number"] for row in rows],
            "text": [_said(row) for row in rows], "hovertemplate": "%{text}<extra></extra>",
            "marker": {"color": COLOURS[answer], "size": 8,
                       "line": {"width": 1.5, "color": COLOURS[answer]},
                       "symbol": [_SYMBOLS[row["kind"]] for row in rows]}, **more}


def _legend(rows: Rows) -> list[Chart]:
    """Return points that nobody sees, for what colours and shapes mean."""
    answers = [(answer, colour, "circle") for answer, colour in COLOURS.items()
               if any(row["answer"] == answer for row in rows)]
    shapes = [(word, GREY, _SYMBOLS[kind]) for kind, word in (
        ("again", "played again"), ("probe", "probe"), ("first", "first registrations"))
        if any(row["kind"] == kind for row in rows)]
    return [{"type": "scatter", "mode": "markers", "name": name, "legendgroup": name, "x": [None],
             "y": [None], "marker": {"color": colour, "symbol": symbol, "size": 8}}
            for name, colour, symbol in [*answers, *shapes]]


def _upright(rate: float, text: str, colour: str, left: bool) -> Chart:
    """Draw a bound, and write beside it what it is."""
    return {"type": "line", "xref": "x", "x0": number(rate), "x1": number(rate), "yref": "paper",
            "y0": 0, "y1": 1, "line": {"color": colour, "width": 1.5, "dash": "dash"},
            "label": {"text": text, "textposition": "end", "textangle": 0, "yanchor": "bottom",
                      "xanchor": "right" if left else "left", "font": {"size": 11}}}


def _bounds(data: Data) -> list[tuple[str, float, str]]:
    """Return what bounds the answer: name, rate and colour."""
    known = (("met", data["rate_per_s"], GREEN), ("missed", data["missed_per_s"], RED),
             ("generator", data["generator_limit_per_s"], ORANGE))
    return [(name, rate, colour) for name, rate, colour in known if rate is not None]


def response(data: Data) -> Chart | None:
    """Draw goodput, 99th percentile and failures of all runs by the rate that was offered."""
    rows: Rows = data["trials"]
    if not rows:
        return None
    rates = sorted({row["rate_per_s"] for row in rows})
    told = [row for row in rows if row["answer"] != "limited"]

    def goodput(row: Data) -> float | None:
        value = row["good_per_s"]
        return None if value is None else float(value)

    def delay(row: Data) -> float | None:
        return None if row["delay_p99_us"] is None else row["delay_p99_us"] / 1000

    def failed(row: Data) -> float | None:
        ended = row["failed"] + row["succeeded"]
        return 100 * row["failed"] / ended if ended else None

    drawn: list[Chart] = [line("offered", numbers(rates), numbers(rates), GREY, dash="dot",
                               width=1.2, hoverinfo="skip")]
    for place, value in (("y", goodput), ("y2", delay), ("y3", failed)):
        means: dict[float, list[float]] = {}
        for row in told:
            if (found := value(row)) is not None:
                means.setdefault(row["rate_per_s"], []).append(found)
        x = sorted(means)
        drawn.append(line("median of a rate", numbers(x), numbers(median(means[one]) for one in x),
                          tint(BLUE, 0.55), width=1.2, yaxis=place, hoverinfo="skip",
                          showlegend=place == "y"))
        for answer in COLOURS:
            some = [row for row in rows if row["answer"] == answer]
            if some:
                drawn.append(_dots(some, numbers(row["rate_per_s"] for row in some),
                                   numbers(value(row) for row in some), answer, yaxis=place))
    drawn += _legend(rows)
    shapes = [_upright(rate, name, colour, name == "met") for name, rate, colour in _bounds(data)]
    delays = [one for one in drawn if one.get("yaxis") == "y2"]
    name = next((row["delay"] for row in rows if row["delay"]), None)
    return chart("response", 640, drawn, {
        "xaxis": {"title": {"text": "offered calls/s"}, "anchor": "y3", **_rates(rates)},
        "yaxis": axis("goodput/s", 0.66, 1),
        "yaxis2": log_axis(f"{name} p99, ms" if name else "ms", 0.29, 0.6, delays, "y2"),
        "yaxis3": axis("% failed", 0, 0.22), "hovermode": "closest", "shapes": shapes})


def course(data: Data) -> Chart | None:
    """Draw which rates were tried in which order."""
    rows: Rows = data["trials"]
    if not rows:
        return None
    whole = [row for row in rows if row["kind"] != "probe"]
    drawn: list[Chart] = [line("way", [row["number"] for row in whole],
                               numbers(row["rate_per_s"] for row in whole), tint(GREY, 0.7),
                               width=1.2, hoverinfo="skip", showlegend=False)]
    for answer in COLOURS:
        some = [row for row in rows if row["answer"] == answer]
        if some:
            drawn.append(_dots(some, [row["number"] for row in some],
                               numbers(row["rate_per_s"] for row in some), answer))
    shapes = [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": number(rate),
               "y1": number(rate), "line": {"color": colour, "width": 1, "dash": "dash"}}
              for _, rate, colour in _bounds(data)]
    drawn += _legend(rows)
    return chart("course", 340, drawn, {
        "xaxis": {"title": {"text": "run of the search"}, "rangemode": "normal",
                  **({"dtick": 1} if len(rows) <= 20 else {})},
        "yaxis": axis("offered calls/s", 0, 1) | _rates([row["rate_per_s"] for row in rows]),
        "hovermode": "closest", "shapes": shapes})


def hysteresis(data: Data) -> Chart:
    """Draw what comes of what is offered, on the way up and on the way down."""
    levels = [row for row in data["levels"] if row["phase"] != "rest"]
    up = [row for row in levels if row["up"]]
    ways = (("up", up, BLUE, "solid"),
            ("down", up[-1:] + [row for row in levels if not row["up"]], PURPLE, "dash"))
    x = numbers(sorted(row["offered_per_s"] for row in levels))
    drawn: list[Chart] = [line("offered", x, x, GREY, dash="dot", width=1.2, hoverinfo="skip")]
    for way, rows, colour, dash in ways:
        offered = numbers(row["offered_per_s"] for row in rows)
        look = {"mode": "lines+markers", "dash": dash, "legendgroup": way,
                "customdata": [row["phase"] for row in rows],
                "marker": {"size": 7, "color": [
                    ORANGE if row["limited"] else colour for row in rows]}}
        drawn.append(line(f"on the way {way}", offered, numbers(
            row["goodput_per_s"] for row in rows), colour, **look,
            hovertemplate="%{y:,.5~g}/s of %{x:,.5~g}/s<extra>%{customdata}</extra>"))
        drawn.append(line(way, offered, milliseconds(row["p99_us"] for row in rows), colour,
                          **look, yaxis="y2", showlegend=False,
                          hovertemplate="%{y:.4~g} ms at %{x:,.5~g}/s"))
        drawn.append(line(way, offered, numbers(_lost(row) for row in rows), colour, **look,
                          yaxis="y3", showlegend=False,
                          hovertemplate="%{y:.3~g} % at %{x:,.5~g}/s"))
    found = data["curve"]
    marks = (("knee", found["knee_per_s"], GREEN), ("collapse", found["collapse_per_s"], RED),
             ("generator", found["limited_per_s"], ORANGE))
    shapes = [_upright(rate, name, colour, name == "knee") for name, rate, colour in marks
              if rate is not None]
    return chart("curve", 620, drawn, {
        "xaxis": {"title": {"text": "offered calls/s"}, "anchor": "y3", "rangemode": "tozero"},
        "yaxis": axis("goodput/s", 0.62, 1), "yaxis2": log_axis("p99, ms", 0.29, 0.56, drawn,
                                                                   "y2"),
        "yaxis3": axis("% lost", 0, 0.22), "hovermode": "closest", "shapes": shapes})


def _lost(row: Data) -> float:
    offered = row["offered_per_s"]
    return max(0.0, 100 * (1 - row["goodput_per_s"] / offered)) if offered else 0.0


def seconds(data: Data) -> Chart | None:
    """Draw offered rate and goodput over time, and how long the target took to recover."""
    rows = [row for row in data["seconds"] if row["length_s"] > 0]
    if not rows:
        return None
    x = numbers(row["t_s"] + row["length_s"] / 2 for row in rows)
    drawn = [line(name, x, numbers(row[key] for row in rows), colour,
                  hovertemplate="%{y:,.5~g}/s", **more)
             for name, key, colour, more in (
                 ("offered", "due_per_s", GREY, {"dash": "dot"}),
                 ("ended well", "goodput_per_s", GREEN, {}), ("failed", "failed_per_s", RED, {}))]
    drawn.append(line("open", x, [row["open"] for row in rows], ORANGE, yaxis="y2",
                      hovertemplate="%{y:,}"))
    shapes: list[Chart] = []
    back_s, recovery = data["curve"]["back_s"], data["curve"]["recovery_s"]
    if back_s is not None and recovery is not None:
        shapes.append({
            "type": "rect", "layer": "below", "xref": "x", "yref": "paper", "y0": 0, "y1": 1,
            "x0": number(back_s), "x1": number(back_s + max(recovery, 0.2)),
            "line": {"width": 1, "color": PURPLE, "dash": "dot"}, "fillcolor": tint(PURPLE, 0.2)})
    return chart("seconds", 420, drawn, {
        "xaxis": {"title": {"text": "time since the first due call (s)"}, "anchor": "y2",
                  "rangemode": "tozero"},
        "yaxis": axis("calls/s", 0.36, 1), "yaxis2": axis("open calls", 0, 0.28),
        "hovermode": "x unified", "hoversubplots": "axis", "shapes": shapes})
