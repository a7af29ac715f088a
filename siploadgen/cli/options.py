"""Options that several verbs take: each declared once, and what their words mean."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from siploadgen import units
from siploadgen.errors import ScenarioError, UsageError

if TYPE_CHECKING:
    from siploadgen.run.plan import Tuning

_SECRETS = ("ha1", "aka_k", "aka_op", "aka_opc")  # what stands in for a password
_SCENARIO_FILES = (".yaml", ".yml", ".xml", ".py")

ModelArgument: TypeAlias = Annotated[str, typer.Argument(
    metavar="MODEL|FILE", help="Built-in call model (see `models`), or a scenario file.")]
ProfileOption: TypeAlias = Annotated[str, typer.Option(
    "--profile", metavar="NAME", help="Profile of the scenario file to put over it.")]
SetOption: TypeAlias = Annotated[list[str] | None, typer.Option(
    "--set", metavar="NAME=VALUE", help="A variable of the model, such as hold=2s. Repeatable.")]
SeedOption: TypeAlias = Annotated[int, typer.Option(
    "--seed", min=0, max=2**32 - 1, help="The same seed makes the same due times and data.")]
OutOption: TypeAlias = Annotated[list[str] | None, typer.Option(
    "--out", metavar="DIR|KIND=PATH",
    help="Write results: everything into a folder, or one kind (json, ndjson, hlog, errors, md, "
         "junit, html, csv, summary) to a file or `-`; or to pcap=FILE, prometheus=PORT, "
         "otlp=URL, statsd=HOST:PORT, influx=FILE, hgrm=FOLDER, github. Repeatable.")]
LimitOption: TypeAlias = Annotated[list[str] | None, typer.Option(
    "--limit", metavar="NAME=VALUE",
    help="Change a limit of the verdict, such as late_start_p99=5ms. Repeatable.")]
UiOption: TypeAlias = Annotated[Literal["auto", "rich", "line", "json", "none"], typer.Option(
    "--ui", help="What to show during the run.")]
WorkersOption: TypeAlias = Annotated[str, typer.Option(
    "--workers", metavar="N|auto",
    help="Engines, each with a thread and a port of its own; auto: one for each 10,000 calls/s, "
         "at most one for each core.")]
GsoOption: TypeAlias = Annotated[Literal["auto", "on", "off"], typer.Option(
    "--gso", help="Send batches by UDP segmentation offload.")]
GsoGroupOption: TypeAlias = Annotated[int, typer.Option(
    "--gso-group", metavar="N", help="Most datagrams in one GSO group, 1 to 64.")]
LingerOption: TypeAlias = Annotated[str, typer.Option(
    "--linger", metavar="auto|TIME",
    help="How long finished transactions are remembered; auto: as RFC 3261 says.")]
CoalesceOption: TypeAlias = Annotated[str, typer.Option(
    "--coalesce", metavar="TIME",
    help="Shortest time from one wake-up to the next: what comes and what falls due meanwhile "
         "waits for company; 0s for the sharpest latencies.")]
T1Option: TypeAlias = Annotated[str, typer.Option(
    "--t1", metavar="TIME", help="First repeat of a request; it fails after 64 times T1.")]
T2Option: TypeAlias = Annotated[str, typer.Option(
    "--t2", metavar="TIME", help="Longest time between repeats, but for INVITE.")]
T4Option: TypeAlias = Annotated[str, typer.Option(
    "--t4", metavar="TIME", help="How long a message may stay in the network.")]
CompactOption: TypeAlias = Annotated[bool, typer.Option(
    "--compact", help="Write one-letter header names: fewer octets.")]
GracefulStopOption: TypeAlias = Annotated[str, typer.Option(
    "--graceful-stop", metavar="TIME", help="How long open calls may take to end.")]

DEFAULT_GSO_GROUP = 32
DEFAULT_T1, DEFAULT_T2, DEFAULT_T4 = "500ms", "4s", "5s"


def parse_settings(texts: Sequence[str] | None) -> dict[str, str]:
    """Read `NAME=VALUE` pairs of --set."""
    settings = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f'--set "{text}": write NAME=VALUE')
        settings[name.strip()] = value.strip()
    return settings


def is_secret(name: str) -> bool:
    """Tell whether a setting is one that must not be written anywhere."""
    return name.lower() in _SECRETS or any(
        word in name.lower() for word in ("password", "secret", "passwd"))


def open_settings(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that may be written down."""
    return {name: "(left out)" if is_secret(name) else value for name, value in settings.items()}


def command_line(arguments: Sequence[str]) -> list[str]:
    """Return the command that was given, without secrets."""
    clean = []
    for argument in arguments:
        name, equals, _ = argument.removeprefix("--set=").partition("=")
        prefix = "--set=" if argument.startswith("--set=") else ""
        clean.append(f"{prefix}{name}=(left out)" if equals and is_secret(name) else argument)
    return ["siploadgen", *clean]


def check_gso(gso: str) -> bool:
    """Return whether to use GSO; UsageError when `on` is asked for and the kernel has none."""
    if gso == "on":
        from siploadgen.run import doctor

        finding = doctor.check_offload("UDP GSO", doctor.UDP_SEGMENT, 0)
        if not finding.ok:
            raise UsageError(f"--gso on: {finding.found}; {finding.mend}")
    return gso != "off"


def parse_linger(text: str) -> int:
    """Nanoseconds of --linger; -1 for auto."""
    return -1 if text == "auto" else units.parse_duration(text, "--linger")


def parse_tuning(
    *, gso: str, gso_group: int, linger: str, coalesce: str, t1: str, t2: str, t4: str,
    tape: int = 0,
) -> "Tuning":
    """Read the options that steer the engines. Raises UsageError that names the option."""
    from siploadgen.run.plan import Tuning

    return Tuning(
        linger_ns=parse_linger(linger), gso=check_gso(gso), gso_group=gso_group,
        coalesce_ns=units.parse_duration(coalesce, "--coalesce"),
        t1_ns=units.parse_duration(t1, "--t1"), t2_ns=units.parse_duration(t2, "--t2"),
        t4_ns=units.parse_duration(t4, "--t4"), tape=tape)


@contextlib.contextmanager
def model_errors(usage: bool) -> Iterator[None]:
    """Turn what the model floor raises into errors with exit codes.

    With `usage`, faults without a place in a file are the command line's.
    """
    from siploadgen.model.errors import ModelError

    try:
        yield
    except ModelError as error:
        kind = UsageError if usage and not error.place else ScenarioError
        raise kind(str(error)) from None


def find_model(name: str, profile: str = "", elsewhere: Iterable[str] = ()) -> Any:
    """Return a built-in model, or a scenario file; ScenarioError when there is none.

    Of the profiles `elsewhere` the file need not know anything.
    """
    from siploadgen.model.builtin import MODELS
    from siploadgen.model.errors import nearest

    if name in MODELS:
        return MODELS[name]
    if name.endswith(_SCENARIO_FILES) or "/" in name:
        return load_file(name, profile, elsewhere)
    raise ScenarioError(f'there is no model "{name}" ({nearest(name, MODELS)})')


def load_file(name: str, profile: str = "", elsewhere: Iterable[str] = ()) -> Any:
    """Read a scenario file; ScenarioError with everything that is wrong with it."""
    if name.endswith(".xml"):
        raise ScenarioError(f"{name}: SIPp's scenarios are not supported in this version; write "
                            "the calls in YAML or Python")
    if not name.endswith(_SCENARIO_FILES):
        raise ScenarioError(f"{name}: not a scenario file; its name ends in .yaml, .yml or .py")
    from siploadgen.config.job import load_job

    with model_errors(usage=False):
        return load_job(name, profile, elsewhere)


def compiled(model: Any, settings: Sequence[str] | None) -> Any:
    """Return the program of a model for a target that stands for any."""
    from siploadgen.model.builtin import build_caller

    if hasattr(model, "works"):
        from siploadgen.config.job import build
        from siploadgen.load.executors import ConstantCalls

        with model_errors(usage=False):
            return build(model, model.target or "sip:127.0.0.1:5060", ConstantCalls(1, 1),
                         settings=parse_settings(settings)).program
    with model_errors(usage=False):
        return build_caller(model.name, target_uri="sip:127.0.0.1:5060",
                            settings=parse_settings(settings))
