"""`siploadgen new`: a scenario file to begin with."""

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from siploadgen.cli.verbs import single
from siploadgen.errors import UsageError

TEMPLATES = {
    "call": "one call, with stages and thresholds",
    "register": "registrations held up, and calls once all are there",
    "answer": "calls out and calls in",
}
CONFIG = "config"  # of a configuration, or its schema


def new(
    file: Annotated[str, typer.Argument(
        metavar="FILE",
        help="File to write: .yaml or .py; .toml: a configuration; .json: the JSON Schema of "
             "scenario files, with --template config of configurations.")],
    template: Annotated[str, typer.Option(
        "--template", metavar="NAME",
        help="; ".join(f"{name}: {what}" for name, what in TEMPLATES.items()))] = "call",
) -> None:
    """Write a commented scenario file, or a configuration, to begin with."""
    from siploadgen.model.errors import nearest

    suffix = Path(file).suffix
    if suffix == ".json":
        if template == CONFIG:
            _write(file, schema_text(config=True), "write `#:schema FILE` above a configuration, "
                                                   "for an editor that knows it")
        else:
            _write(file, schema_text(), "write `# yaml-language-server: $schema=FILE` above a "
                                        "scenario file, for an editor that knows it")
        return
    if suffix == ".toml":
        source = resources.files("siploadgen") / "templates" / "siploadgen.toml"
        _write(file, source.read_text(encoding="utf-8"), "try `siploadgen inspect --resolved`")
        return
    if suffix not in (".yaml", ".yml", ".py"):
        raise UsageError(f"{file}: a scenario file ends in .yaml, .yml or .py, a configuration in "
                         ".toml")
    if template not in TEMPLATES:
        raise UsageError(f'--template "{template}": there is none ({nearest(template, TEMPLATES)})')
    source = resources.files("siploadgen") / "templates" / (
        template + (".py.txt" if suffix == ".py" else ".yaml"))
    if not source.is_file():
        raise UsageError(f"--template {template}: there is none in Python; write a .yaml file")
    _write(file, source.read_text(encoding="utf-8"),
           f"try `siploadgen check {file}` and `siploadgen run {file} --self`")


def schema_text(config: bool = False) -> str:
    """Text of the JSON Schema of scenario files, or of configurations."""
    import json

    if config:
        from siploadgen.cli.layered import known_options
        from siploadgen.config.options import config_schema

        known = known_options()
        return json.dumps(config_schema(known.run, known.answer), indent=2) + "\n"
    from siploadgen.config.schema import file_schema

    return json.dumps(file_schema(), indent=2) + "\n"


def _write(file: str, text: str, hint: str) -> None:
    """Write a file that is not there yet."""
    try:
        with Path(file).open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise UsageError(f"{file}: is there already; choose another name") from None
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    typer.echo(f"{file}: written; {hint}", err=True)


app = single(new)
