"""What a run or an answering side shows while it goes on and leaves behind at its end."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from siploadgen.report.collect import Collector
    from siploadgen.report.live import Quiet


def make_view(
    ui: str, collector: "Collector", title: str, total_calls: float, duration_ns: float
) -> "Quiet":
    """Return what shows the run while it goes on."""
    from siploadgen.report import live

    clock = collector.names.clocks[0] if collector.names.clocks else None
    match live.choose_ui(ui, sys.stderr.isatty(), bool(os.environ.get("CI"))):
        case "rich":
            return live.Table(collector.names, collector.judge, title, total_calls=total_calls,
                              duration_ns=duration_ns)
        case "line":
            return live.Lines(clock)
        case "json":
            return live.JsonLines()
    return live.Quiet()


def finish(result: dict[str, Any], files: Any, outputs: Sequence[Any], ui: str) -> None:
    """Write the documents and print the summary, which leaves stdout to data."""
    from siploadgen.report import summary

    files.finish(result)
    stream = words_stream(outputs, ui)
    stream.write(summary.plain(result, files.paths))
    stream.flush()


def words_stream(outputs: Sequence[Any], ui: str) -> TextIO:
    """Return where words for people go: stdout unless data does."""
    data = ui == "json" or any(output.path == "-" for output in outputs)
    return sys.stderr if data else sys.stdout
