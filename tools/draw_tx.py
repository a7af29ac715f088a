"""Draw docs/transactions/*.svg from siploadgen.tx_table.

A box for each state with a line for each event; a line that changes the state has an arrow to the
box that it leads to. Run it after changing a row: a test compares the files with the table.
"""

import argparse
import sys
from pathlib import Path
from xml.sax.saxutils import escape

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from siploadgen.tx_table import CLOCKS, KINDS, ROWS, Clock, Kind, Row, State

TITLES: dict[Kind, str] = {
    "INVITE_CLIENT": "INVITE client transaction",
    "CLIENT": "non-INVITE client transaction",
    "INVITE_SERVER": "INVITE server transaction",
    "SERVER": "non-INVITE server transaction",
}
ORDER: tuple[State, ...] = (
    "IDLE", "CALLING", "TRYING", "PROCEEDING", "ACCEPTED", "COMPLETED", "CONFIRMED", "TERMINATED",
)  # fmt: skip
WORDS = {
    "SEND": "send", "RESEND": "send again", "SEND_ACK": "send ACK", "PASS": "tell the owner",
    "FAIL_TIMEOUT": "report timeout", "FAIL_TRANSPORT": "report transport error",
    "ABSORB": "absorb", "END": "end",
}  # fmt: skip
EVENTS = {
    "RETRANSMIT": "silent for 200 ms",  # where no clock of the table runs
    "START": "start", "1XX": "1xx", "2XX": "2xx", "3XX_6XX": "3xx-6xx",
    "REQUEST": "request again", "ACK": "ACK", "TRANSPORT": "transport error",
}  # fmt: skip

LEFT, TOP, BOX, LINE, HEAD, GAP, LANE = 20, 60, 570, 18, 26, 26, 22
COLOURS = ("#1f5fa8", "#a8461f", "#2e7d32", "#6a3fa0", "#8a6d00", "#00707a", "#555555")
STYLE = (
    "text{font:12px sans-serif;fill:#222}.t{font:bold 17px sans-serif}.s{font:bold 13px sans-serif}"
    ".r{fill:#777}.b{fill:#fff;stroke:#444}.h{fill:#eef2f7;stroke:#444}"
)


def timer_text(clock: Clock | None) -> str:
    """Put the timers of a state in one line."""
    if clock is None:
        return ""
    parts = []
    if clock.repeat:
        first = "goes on, then" if clock.first == "RUNNING" else f"{clock.first},"
        then = {"DOUBLE": "doubling", "DOUBLE_TO_T2": "doubling to T2", "T2": "T2"}[clock.then]
        name = "2xx repeat" if clock.repeat == "2XX" else clock.repeat
        parts.append(f"{name}: {first} {then}{' (streams too)' if clock.streams else ''}")
    if clock.deadline == "RUNNING":
        parts.append("deadline goes on")
    elif clock.deadline:
        parts.append(f"{clock.deadline}{' (0 on streams)' if clock.zero_on_streams else ''}")
    if clock.after_ack:
        parts.append(f"{clock.after_ack} once acknowledged")
    return "; ".join(parts)


def event_text(row: Row, clock: Clock | None) -> str:
    """Name the event of a row, timers by their letter."""
    if row.event == "RETRANSMIT" and clock is not None:
        return "2xx repeat" if clock.repeat == "2XX" else f"timer {clock.repeat}"
    if row.event == "TIMEOUT" and clock is not None:
        letter = {"RUNNING": "F", "": "B, after CANCEL"}.get(clock.deadline, clock.deadline)
        return "no ACK for 64*T1" if clock.after_ack else f"timer {letter}"
    if row.event == "LINGER" and clock is not None:
        return f"timer {clock.after_ack or clock.deadline}"
    return EVENTS[row.event]


def draw(kind: Kind) -> str:
    """Return the SVG text of one machine."""
    rows = [row for row in ROWS if row.kind == kind]
    used = {row.state for row in rows} | {row.then for row in rows}
    states = [state for state in ORDER if state in used]
    clocks = {clock.state: clock for clock in CLOCKS if clock.kind == kind}
    targets = [s for s in states if any(row.then == s != row.state for row in rows)]
    # Lanes are given from the last target inwards, so that the long ways lie outside.
    lane = {state: LEFT + BOX + 30 + LANE * i for i, state in enumerate(targets)}
    colour = {state: COLOURS[i % len(COLOURS)] for i, state in enumerate(targets)}

    top: dict[State, int] = {}
    y = TOP
    for state in states:
        top[state] = y
        y += HEAD + LINE * sum(row.state == state for row in rows) + 6 + GAP
    width, height = LEFT + BOX + 40 + LANE * len(targets), y

    boxes: list[str] = []
    arrows: list[str] = []
    reach: dict[State, list[int]] = {state: [] for state in targets}
    for state in states:
        mine = [row for row in rows if row.state == state]
        head = top[state]
        clock = clocks.get(state)
        size = HEAD + LINE * len(mine) + (6 if mine else 0)
        boxes.append(f'<rect class="b" x="{LEFT}" y="{head}" width="{BOX}" height="{size}"/>')
        boxes.append(f'<rect class="h" x="{LEFT}" y="{head}" width="{BOX}" height="{HEAD}"/>')
        boxes.append(
            f'<text class="s" x="{LEFT + 8}" y="{head + 18}">{state.capitalize()}</text>'
            f'<text class="r" x="{LEFT + BOX - 8}" y="{head + 18}" text-anchor="end">'
            f"{escape(timer_text(clock))}</text>"
        )
        for i, row in enumerate(mine):
            base = head + HEAD + LINE * i + 15
            actions = ", ".join(WORDS[action] for action in row.actions)
            boxes.append(
                f'<text x="{LEFT + 8}" y="{base}">{escape(event_text(row, clock))}</text>'
                f'<text x="{LEFT + 175}" y="{base}">{escape(actions)}</text>'
                f'<text class="r" x="{LEFT + BOX - 8}" y="{base}" text-anchor="end">'
                f"{escape(row.rfc)}</text>"
            )
            if row.then != state:
                x = lane[row.then]
                reach[row.then].append(base - 4)
                arrows.append(
                    f'<path d="M{LEFT + BOX} {base - 4}H{x}" fill="none" '
                    f'stroke="{colour[row.then]}"/>'
                    f'<circle cx="{x}" cy="{base - 4}" r="2.5" fill="{colour[row.then]}"/>'
                )
    for state in targets:
        into = top[state] + HEAD // 2
        low, high = min([*reach[state], into]), max([*reach[state], into])
        x, paint, edge = lane[state], colour[state], LEFT + BOX
        arrows.append(
            f'<path d="M{x} {low}V{high}" fill="none" stroke="{paint}"/>'
            f'<path d="M{x} {into}H{edge + 7}" fill="none" stroke="{paint}"/>'
            f'<path d="M{edge} {into}l9 -4v8z" fill="{paint}"/>'
        )
    title = f'<text class="t" x="{LEFT}" y="30">{TITLES[kind]}</text>'
    note = (
        f'<text class="r" x="{LEFT}" y="48">event, what is done, RFC section (3261 unless named); '
        "other events change nothing and are counted as strays</text>"
    )
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        title, note, *boxes, *arrows, "</svg>", "",
    ])  # fmt: skip


def drawings() -> dict[str, str]:
    """File name to SVG text, for all four machines."""
    return {f"{kind.lower()}.svg": draw(kind) for kind in KINDS}


def main() -> None:
    """Write the files."""
    default = Path(__file__).resolve().parent.parent / "docs" / "transactions"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in drawings().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
