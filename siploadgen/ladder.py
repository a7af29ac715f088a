"""Ladders: who sent what to whom, in the order of time, as text or as a mermaid diagram."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from siploadgen.units import NANOS

_INDENT = 12  # columns of the time
_NARROWEST = 18  # columns from one lifeline to the next


@dataclass(frozen=True, slots=True)
class Rung:
    """A message from one lifeline to another, or a note beside one (`target` is None).

    Lifelines are numbered from 0, times are ns.
    """

    at_ns: int
    source: int
    target: int | None
    text: str

    @property
    def answer(self) -> bool:
        """True for a response."""
        return self.target is not None and self.text[:3].isdigit()


@dataclass(frozen=True, slots=True)
class Ladder:
    """Lifelines by name, from left to right, and what happened between them."""

    lifelines: tuple[str, ...]
    rungs: tuple[Rung, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as what JSON has; times in seconds."""
        names = self.lifelines
        return {"lifelines": list(names), "rungs": [
            {"at_s": round(rung.at_ns / NANOS, 6), "at": names[rung.source], "note": rung.text}
            if rung.target is None else
            {"at_s": round(rung.at_ns / NANOS, 6), "from": names[rung.source],
             "to": names[rung.target], "message": rung.text}
            for rung in self.rungs]}


def seconds(at_ns: int) -> str:
    """Write a time to the millisecond.

    >>> seconds(1_500_000_000)
    '1.500 s'
    """
    return f"{at_ns / NANOS:.3f} s"


def draw(ladder: Ladder) -> str:
    """Draw a ladder as text.

    >>> print(draw(Ladder(("caller", "target"), (Rung(0, 0, 1, "INVITE"),
    ...                                          Rung(2_000_000, 1, 0, "486 INVITE")))), end="")
                caller            target
       0.000 s  |-- INVITE ------>|
       0.002 s  |<-- 486 INVITE --|
    """
    places = _places(ladder)
    lines = [_laid([(at, name) for at, name in zip(places, ladder.lifelines, strict=True)])]
    last = None
    for rung in ladder.rungs:
        time = "" if rung.at_ns == last else seconds(rung.at_ns)
        last = rung.at_ns
        parts = [(0, f"{time:>{_INDENT - 2}}"), *((at, "|") for at in places)]
        left = places[rung.source]
        if rung.target is None or rung.target == rung.source:
            itself = "" if rung.target is None else " to itself"
            parts.append((left + 2, rung.text + itself))
        else:
            right = places[rung.target]
            if left < right:
                body = f"-- {rung.text} "
                parts.append((left + 1, f"{body:-<{right - left - 2}}>"))
            else:
                body = f" {rung.text} --"
                parts.append((right + 1, f"<{body:->{left - right - 2}}"))
        lines.append(_laid(parts))
    return "\n".join(lines) + "\n"


def _laid(parts: Iterable[tuple[int, str]]) -> str:
    """Lay texts into a line, later ones over earlier ones."""
    line: list[str] = []
    for at, text in parts:
        line += " " * (at + len(text) - len(line))
        line[at:at + len(text)] = text
    return "".join(line).rstrip()


def _places(ladder: Ladder) -> list[int]:
    """Return the column of each lifeline, so that every text has its room."""
    names = ladder.lifelines
    places = [_INDENT]
    for number in range(1, len(names)):
        least = places[-1] + max(_NARROWEST, len(names[number - 1]) + 2)
        for rung in ladder.rungs:
            ends = {rung.source, rung.source if rung.target is None else rung.target}
            if len(ends) == 2 and max(ends) == number:
                least = max(least, places[min(ends)] + len(rung.text) + 8)
            elif len(ends) == 1 and ends == {number - 1}:
                room = 13 if rung.target is not None else 4
                least = max(least, places[-1] + len(rung.text) + room)
        places.append(least)
    return places


def mermaid(ladder: Ladder) -> str:
    """Write a ladder as a mermaid sequence diagram.

    >>> print(mermaid(Ladder(("caller", "target"), (Rung(0, 0, 1, "BYE"),))), end="")
    sequenceDiagram
        participant p0 as caller
        participant p1 as target
        p0->>p1: BYE
    """
    lines = ["sequenceDiagram"]
    lines += [f"    participant p{number} as {_quoted(name)}"
              for number, name in enumerate(ladder.lifelines)]
    for rung in ladder.rungs:
        if rung.target is None:
            lines.append(f"    Note over p{rung.source}: {_quoted(rung.text)}")
        else:
            arrow = "-->>" if rung.answer else "->>"
            lines.append(f"    p{rung.source}{arrow}p{rung.target}: {_quoted(rung.text)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Write what mermaid takes for its own as entities."""
    return text.translate({ord("#"): "#35;", ord(";"): "#59;"})


def of_failure(role: str, steps: Sequence[Mapping[str, Any]]) -> Ladder:
    """Make the ladder of the steps that an engine kept of a failed call.

    >>> of_failure("caller", [{"at_s": 0.5, "what": "received", "method": "INVITE",
    ...                        "status": 486}]).rungs
    (Rung(at_ns=500000000, source=1, target=0, text='486 INVITE'),)
    """
    rungs = []
    for step in steps:
        at_ns = round(step["at_s"] * NANOS)
        words = [str(step[key]) for key in ("status", "method") if step.get(key)]
        if step["what"] in ("sent", "received"):
            ends = (0, 1) if step["what"] == "sent" else (1, 0)
            rungs.append(Rung(at_ns, *ends, " ".join(words)))
        else:
            name = {"timeout": "the time to wait is over",
                    "transport": "could not be delivered"}.get(step["what"], str(step["what"]))
            rungs.append(Rung(at_ns, 0, None, " ".join([*words, name])))
    return Ladder((role, "peer"), tuple(rungs))
