"""`siploadgen report`: print the report of a run, or of a search of several runs, that is over."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from siploadgen.cli.verbs import single
from siploadgen.errors import ScenarioError, UsageError

KINDS = ("summary", "md", "json", "junit", "html", "csv", "ndjson")
# Reports of verbs that play several runs: their schemas and the kinds that they have.
SEARCHES = {"capacity": "siploadgen/capacity/1", "overload": "siploadgen/overload/1"}
SEARCH_KINDS = ("summary", "md", "json", "html")


def report(
    run_path: Annotated[str, typer.Argument(metavar="RUN", help="A folder of --out, or its "
                                                                "run.json, capacity.json or "
                                                                "overload.json.")],
    output: Annotated[str, typer.Option(
        "--output", "-o", metavar="|".join(KINDS),
        help="What to print; KIND=PATH writes it to a file. html alone writes report.html "
             "(capacity.html, overload.html) beside it, html=- prints it.")] = "summary",
) -> None:
    """Print the report of a run, or of a search of several runs, that is over."""
    kind, _, place = output.partition("=")
    if kind not in KINDS or (place == "" and "=" in output):
        raise UsageError(f'-o "{output}": choose {", ".join(KINDS[:-1])} or {KINDS[-1]}, or '
                         "KIND=PATH")
    path = Path(run_path)
    if path.is_dir():
        path = next((file for file in (path / f"{name}.json" for name in ("run", *SEARCHES))
                     if file.is_file()), path / "run.json")
    try:
        data = _data(path)
        name = next((name for name, schema in SEARCHES.items() if data["schema"] == schema), None)
        text = _text(kind, path, data) if name is None else _search_text(kind, path, data, name)
    except (AttributeError, KeyError, TypeError) as error:
        raise ScenarioError(f"{path}: incomplete: {error}") from None
    if kind == "html" and not place:
        place = str(path.parent / f"{name or 'report'}.html")
    if place in ("", "-"):
        sys.stdout.write(text)
        return
    try:
        Path(place).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"-o {output}: {place}: {error.strerror}") from None
    sys.stderr.write(f"{place}\n")


def _search_text(kind: str, path: Path, data: dict[str, Any], name: str) -> str:
    """Return the report of a capacity.json or an overload.json as a kind of text."""
    from siploadgen.capacity import form, overload, page

    if kind not in SEARCH_KINDS:
        raise UsageError(f"-o {kind}: {path} has {', '.join(SEARCH_KINDS)}; each of its runs has a "
                         "run.json, which has the rest")
    if kind == "html":
        return page.capacity_page(data) if name == "capacity" else page.overload_page(data)
    render = form.RENDER if name == "capacity" else overload.RENDER
    return render["text" if kind == "summary" else kind](data)


def _text(kind: str, path: Path, result: dict[str, Any]) -> str:
    """Return the report of a run.json, and of the files beside it, as a kind of text."""
    from siploadgen.report.intervals import table
    from siploadgen.report.writers import render

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


def _data(path: Path) -> dict[str, Any]:
    """Read what some verb has reported. Raises ScenarioError."""
    from siploadgen.report.summary import SCHEMA

    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ScenarioError(f"{path}: not JSON ({error})") from None
    if not isinstance(result, dict) or result.get("schema") not in (SCHEMA, *SEARCHES.values()):
        raise ScenarioError(f"{path}: not a result of this version (schema {SCHEMA})")
    return result


app = single(report)
