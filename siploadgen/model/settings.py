"""Settings of call models: parameters that `--set NAME=VALUE` changes, and how they are read."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from siploadgen.model.errors import ModelError, nearest
from siploadgen.model.messages import SESSIONS
from siploadgen.model.values import (
    Distribution,
    parse_distribution,
    parse_duration_ns,
    parse_share,
    parse_share_distribution,
)

_URI = re.compile(r"(?:[a-z][a-z0-9+.-]*:|\{)[^\s<>]+", re.IGNORECASE)  # may begin with a field


@dataclass(frozen=True, slots=True)
class Setting:
    """A parameter of a model that `--set NAME=VALUE` changes.

    `kind` says how its text is read: duration (ns), distribution (of durations), shares (a
    distribution of shares, or of durations), amounts (a distribution of whole numbers), share,
    count, times (a count, or `always`), flag, uri, session (a session description or its name),
    file (its octets), or text.
    """

    default: str
    help: str = ""
    kind: str = "text"

    def read(self, text: str, name: str) -> Any:
        """Read the value that a text stands for. Raises ValueError that names the setting."""
        try:
            return _KINDS[self.kind](text)
        except ModelError as error:
            raise ModelError(f"setting {name}: {error.message}", mend=error.mend) from None


def _flag(text: str) -> bool:
    if text.lower() not in ("yes", "no", "true", "false", "on", "off", "1", "0"):
        raise ModelError(f"{text!r} is neither yes nor no", mend="write yes or no")
    return text.lower() in ("yes", "true", "on", "1")


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 2**31 - 1:
        raise ModelError(f"{text!r} is not a number", mend="write a whole number, not below 0")
    return number


def _times(text: str) -> int | None:
    return None if text == "always" else _count(text)


def _text(text: str) -> str:
    if not text.isprintable():
        raise ModelError(f"{text!r} has control characters", mend="leave them out")
    return text


def read_uri(text: str) -> str:
    """Check a URI, as far as its first word."""
    if text and not _URI.fullmatch(_text(text)):
        raise ModelError(f"{text!r} is not a URI", mend="write it as sip:user@host")
    return text


def read_session(text: str) -> str:
    """Check a session description, or the name of one."""
    if "\n" not in text and text not in SESSIONS:
        raise ModelError(f"there is no session description {text}",
                         mend=nearest(text, SESSIONS))
    return text


def literal(text: str) -> str:
    """Write a text such that none of it is taken for a field.

    >>> literal("a{b}")
    'a{{b}}'
    """
    return text.replace("{", "{{").replace("}", "}}")


def read_file(text: str) -> bytes:
    """Octets of a file; none without a name."""
    try:
        return Path(text).read_bytes() if text else b""
    except OSError as error:
        raise ModelError(f"{text}: {error.strerror}", mend="name a file that can be read") from None


@dataclass(frozen=True, slots=True)
class Share:
    """A distribution of shares, in units of 1e-9 (see `values.SHARE_UNIT`)."""

    value: Distribution


def _shares(text: str) -> Share | Distribution:
    return Share(parse_share_distribution(text)) if "%" in text else parse_distribution(text)


def _amounts(text: str) -> Distribution:
    return parse_distribution(text, _count)


_KINDS: Mapping[str, Callable[[str], Any]] = {
    "text": _text,
    "uri": read_uri,
    "session": read_session,
    "file": read_file,
    "times": _times,
    "duration": parse_duration_ns,
    "distribution": parse_distribution,
    "shares": _shares,
    "amounts": _amounts,
    "share": parse_share,
    "count": _count,
    "flag": _flag,
}
KINDS = tuple(_KINDS)


def read_settings(known: Mapping[str, Setting], given: Mapping[str, str]) -> dict[str, Any]:
    """Values of all settings: those given, else their defaults.

    >>> read_settings({"hold": Setting("0s", kind="duration")}, {"hold": "2s"})
    {'hold': 2000000000}
    """
    for name in given:
        if name not in known:
            raise ModelError(f"unknown setting {name}", mend=nearest(name, known))
    return {name: setting.read(given.get(name, setting.default), name)
            for name, setting in known.items()}
