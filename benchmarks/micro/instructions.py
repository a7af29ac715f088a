"""Instructions that the core spends on a plain call and on a registration, by callgrind.

    instructions.py             one JSON line for each figure
    instructions.py --record    the same, and keeps them in instructions.json for this compiler

A count does not depend on how busy the machine is, so that a change of a few percent can be seen.
Both sides of the conversation are played first and their inputs kept; then each side is played
again, alone, under valgrind, and what runs inside feed_datagram and advance is counted: the core
and what it calls, nothing of Python. `tests/bench` compares with instructions.json.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT))

from siploadgen.core.engine import Engine  # noqa: E402  (what else: below, valgrind is slow)

KEPT = HERE / "instructions.json"
CALLER, ANSWERER = ("192.0.2.10", 5070), ("192.0.2.20", 5060)
START, STEP, COUNT = 1_000_000_000, 10_000_000, 100
COUNTED = ("__pyx_f_10siploadgen_4core_4feed_feed_datagram",
           "__pyx_f_10siploadgen_4core_7advance_advance")
# A function that nothing else calls: valgrind writes the counts down when it is entered.
MARK = "getppid"
Event = tuple[int, bytes]       # when, and what came; nothing came: time went on
# A response of nobody's: parsed, looked for and counted. What another compiler makes of this tells
# what it would make of the rest.
STRAY = (b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.10:5070;rport=5070;"
         b"branch=z9hG4bKa0a0a0a00000000100000001;received=192.0.2.10\r\n"
         b"From: <sip:siploadgen@192.0.2.10>;tag=a0a0a0a00000000100000001\r\n"
         b"To: <sip:service@192.0.2.20>;tag=b0b0b0b00000000100000001\r\n"
         b"Call-ID: a0a0a0a00000000100000001@192.0.2.10\r\nCSeq: 1000 INVITE\r\n"
         b"Contact: <sip:b0b0b0b00000000100000001@192.0.2.20:5060>\r\nServer: siploadgen\r\n"
         b"Content-Length: 0\r\n\r\n")
YARDSTICK = "stray_caller"


def arguments(model: str, side: str) -> dict[str, Any]:
    """Arguments of the engine of a side of a conversation; sizes that need little memory."""
    from siploadgen.load.rows import generated_users
    from siploadgen.model.builtin import build_answerer, build_caller

    sizes: dict[str, Any] = {"now": START, "max_instances": 1000, "max_transactions": 4000}
    if side == "answerer":
        return {"program": build_answerer(), "local": ANSWERER, "target": CALLER,
                "run_id": 0xB0B0B0B0, **sizes}
    if model == "stray":
        model = "call"
    settings = {"hold": "0s"} if model == "call" else {"remove": "no"}
    program = build_caller(model, target_uri=f"sip:{ANSWERER[0]}:{ANSWERER[1]}", settings=settings)
    rows = generated_users(program.columns, COUNT) if program.columns else None
    return {"program": program, "local": CALLER, "target": ANSWERER, "rows": rows,
            "run_id": 0xA0A0A0A0, **sizes}


def engine(side: str, given: dict[str, Any]) -> Engine:
    """One side of a conversation."""
    one = Engine(**given)
    if side == "caller":
        one.schedule([START + STEP * number for number in range(COUNT)])
    return one


def play(one: Engine, side: str, event: Event) -> list[tuple[bytes, tuple[str, int]]]:
    """What it sends when that happens."""
    now, data = event
    if data:
        one.feed(data, ANSWERER if side == "caller" else CALLER, now)
    else:
        one.advance(now)
    return one.outbox()


def converse(model: str) -> dict[str, list[Event]]:
    """What happens to each side in COUNT conversations, one each STEP."""
    sides = {name: engine(name, arguments(model, name)) for name in ("caller", "answerer")}
    told: dict[str, list[Event]] = {name: [] for name in sides}
    now = START
    for _ in range(COUNT):
        waiting: list[tuple[str, bytes]] = [("caller", b""), ("answerer", b"")]
        while waiting:
            name, data = waiting.pop(0)
            told[name].append((now, data))
            other = "answerer" if name == "caller" else "caller"
            waiting += [(other, octets) for octets, _ in play(sides[name], name, (now, data))]
        now += STEP
    assert int(sides["caller"].outcomes.sum()) == int(sides["caller"].outcomes[0]) == COUNT
    return told


def count(valgrind: str) -> dict[str, float]:
    """Instructions for each conversation and side, and for a stray response."""
    story = {(model, name): events for model in ("call", "register")
             for name, events in converse(model).items()}
    story["stray", "caller"] = [(START, STRAY)] * COUNT
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "story").write_bytes(pickle.dumps(
            {key: (arguments(*key), events) for key, events in story.items()}))
        done = subprocess.run(
            [valgrind, "--tool=callgrind", "--collect-atstart=no", f"--dump-before={MARK}",
             *(f"--toggle-collect={function}" for function in COUNTED[:2]),
             f"--callgrind-out-file={folder}/counts", sys.executable, __file__, "--replay",
             str(folder / "story")],
            capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "0"})
        if done.returncode:
            raise RuntimeError(f"valgrind: {done.stderr[-2000:]}")
        # the first file is what ran before the first mark: nothing of interest
        counts = [total(folder / f"counts.{number + 2}") for number in range(len(story))]
    return {f"{model}_{side}": round(instructions / COUNT, 1)
            for (model, side), instructions in zip(story, counts, strict=True)}


def total(file: Path) -> int:
    """The sum of a file of callgrind's."""
    found = re.search(r"^(?:summary|totals): (\d+)", file.read_text(), re.M)
    assert found is not None, file
    return int(found[1])


def replay(file: Path) -> None:
    """Under valgrind: each side again."""
    story = pickle.loads(file.read_bytes())
    sides = [engine(side, given) for (_, side), (given, _) in story.items()]
    for one, ((_, side), (_, events)) in zip(sides, story.items(), strict=True):
        os.getppid()
        for event in events:
            play(one, side, event)
    os.getppid()


def compiler() -> str:
    """The compiler of this build, by name, major version and machine."""
    command = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    said = subprocess.run([command, "--version"], capture_output=True, text=True).stdout
    version = subprocess.run([command, "-dumpversion"], capture_output=True, text=True).stdout
    name = "clang" if "clang" in said else "gcc"
    return f"{name}-{version.strip().partition('.')[0]}-{platform.machine()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep the figures for this compiler")
    parser.add_argument("--replay", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.replay:
        replay(asked.replay)
        return
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        sys.exit("instructions: no valgrind: apt-get install valgrind")
    found = count(valgrind)
    for name, value in found.items():
        print(json.dumps({"name": f"instructions_{name}", "value": value, "unit": "instructions",
                          "compiler": compiler()}))
    if asked.record:
        kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        kept[compiler()] = found
        KEPT.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
