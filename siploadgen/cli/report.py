"""`siploadgen report`: print the report of a run that is over."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from siploadgen.cli.verbs import single
from siploadgen.errors import ScenarioError, UsageError

KINDS = ("summary", "md", "json", "junit", "html", "csv", "ndjson")


def report(
    run_path: Annotated[str, typer.Argument(metavar="RUN", help="A folder of --out, or its "
                                                                "run.json.")],
    output: Annotated[str, typer.Option(
        "--output", "-o", metavar="|".join(KINDS),
        help="What to print; KIND=PATH writes it to a file. html alone writes report.html "
             "beside run.json, html=- prints it.")] = "summary",
) -> None:
    """Print the report of a run that is over."""
    kind, _, place = output.partition("=")
    if kind not in KINDS or (place == "" and "=" in output):
        raise UsageError(f'-o "{output}": choose {", ".join(KINDS[:-1])} or {KINDS[-1]}, or '
                         "KIND=PATH")
    path = Path(run_path)
    path = path / "run.json" if path.is_dir() else path
    if kind == "html" and not place:
        place = str(path.parent / "report.html")
    try:
        text = _text(kind, path)
    except (AttributeError, KeyError, TypeError) as error:
        raise ScenarioError(f"{path}: incomplete: {error}") from None
    if place in ("", "-"):
        sys.stdout.write(text)
        return
    try:
        Path(place).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"-o {output}: {place}: {error.strerror}") from None
    sys.stderr.write(f"{place}\n")


def _text(kind: str, path: Path) -> str:
    """Return the report of a run.json, and of the files beside it, as a kind of text."""
    from siploadgen.report.intervals import table
    from siploadgen.report.writers import render

    result = _result(path)
    if kind == "html":
        from siploadgen.report.history import History
        from siploadgen.report.html import page

        return page(result, History.read(path.parent))
    if kind not in ("csv", "ndjson"):
        return render(kind, result)
    from siploadgen.report.history import read_rows

    intervals = path.parent / "intervals.ndjson"
    if not intervals.is_file():
        raise ScenarioError(f"{intervals}: not there; a run with --out DIR/ or --out ndjson=PATH "
                            "keeps its intervals")
    if kind == "csv":
        return table(lambda: read_rows(intervals))
    return "".join(json.dumps(row) + "\n" for row in read_rows(intervals))


def _result(path: Path) -> dict[str, Any]:
    from siploadgen.report.summary import SCHEMA

    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ScenarioError(f"{path}: not JSON ({error})") from None
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        raise ScenarioError(f"{path}: not a result of this version (schema {SCHEMA})")
    return result


app = single(report)
