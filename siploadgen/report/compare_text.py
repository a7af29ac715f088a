"""A comparison for people: plain text and Markdown."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from siploadgen.units import NANOS, format_duration, format_rate

if TYPE_CHECKING:
    from siploadgen.report.compare import Comparison, Row

HEAD = ("figure", "base", "new", "change", "interval", "tolerance", "verdict")


def _value(row: "Row", value: float | None) -> str:
    if value is None:
        return "-"
    if row.kind == "time":
        return format_duration(value * NANOS)
    return format_rate(value) if row.kind == "rate" else f"{value:.3%}"


def _change(row: "Row", value: float | None) -> str:
    if value is None:
        return "-"
    if row.relative:
        return f"{value:+.1%}"
    if row.kind == "share":
        return f"{value * 100:+.3f}pp"
    sign = "-" if value < 0 else "+"
    return sign + _value(row, abs(value))


def _cells(row: "Row") -> tuple[str, ...]:
    between = "-" if row.low is None else f"{_change(row, row.low)} .. {_change(row, row.high)}"
    verdict = row.verdict.upper() if row.verdict == "worse" else row.verdict
    return (row.figure, _value(row, row.base), _value(row, row.new), _change(row, row.change),
            between, row.tolerance.rpartition(":")[2].strip(), verdict)


def headline(found: "Comparison") -> str:
    """Return the answer in one line."""
    by = {name: [row.figure for row in found.rows if row.verdict == name]
          for name in ("worse", "not comparable", "better")}
    if by["worse"]:
        return f"WORSE: {', '.join(by['worse'])}"
    if by["not comparable"] or not found.rows:
        return f"NOT COMPARABLE: {', '.join(by['not comparable']) or 'nothing was measured'}"
    if by["better"]:
        return f"better: {', '.join(by['better'])}"
    return "no difference beyond the tolerances"


def _sides(found: "Comparison") -> list[str]:
    return [f"{name} {', '.join(side)}" for name, side in (("base", found.base),
                                                          ("new ", found.new))]


def _remarks(found: "Comparison") -> list[str]:
    lines = [f"compared all the same: {line}" for line in found.differences]
    lines += [f"{row.figure}: {row.reason}" for row in found.rows if row.reason]
    open_ones = [row.figure for row in found.rows
                 if row.verdict == "no difference" and not row.shown]
    if open_ones:
        lines.append("their intervals reach beyond the tolerance, more or longer runs would tell: "
                     + ", ".join(open_ones))
    lines += found.notes
    if found.rows:
        lines.append(f"all intervals together hold with {found.confidence * 100:g}% confidence")
    return lines


def plain(found: "Comparison") -> str:
    """Return the text that `siploadgen compare` prints."""
    table = [HEAD, *(_cells(row) for row in found.rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(HEAD))]
    lines = [headline(found), *_sides(found), ""]
    lines += [_line(cells, widths) for cells in table]
    return "\n".join([*lines, "", *_remarks(found)]) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) if column in (0, 6) else cell.rjust(width)
              for column, (cell, width) in enumerate(zip(cells, widths, strict=True))]
    return "  ".join(padded).rstrip()


def markdown(found: "Comparison") -> str:
    """Return the comparison as Markdown, for a pull request or a job's page."""
    lines = [f"# siploadgen: {headline(found)}", "", *(f"* {line}" for line in _sides(found)), "",
             "| " + " | ".join(HEAD) + " |", "|---|" + "---:|" * 5 + "---|"]
    for row in found.rows:
        cells = list(_cells(row))
        cells[0] = f"`{cells[0]}`"
        cells[-1] = f"**{cells[-1]}**" if row.verdict == "worse" else cells[-1]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, "", *(f"* {line}" for line in _remarks(found))]) + "\n"


def render(kind: str, found: "Comparison") -> str:
    """Return a comparison as text, md or json."""
    if kind == "json":
        return json.dumps(found.to_dict(), indent=2, allow_nan=False) + "\n"
    return markdown(found) if kind == "md" else plain(found)
