"""What the fuzzers started from: messages of the other tests, and networks played as commands.

`seeds/` holds what a long run made of them, one input for each edge that was reached
(`libFuzzer -merge=1 -use_counters=0`), and the inputs that broke something once (`mended-*`). Run
this file with a folder to write the first seeds there anew.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.worlds import all_worlds
from tests.sim.helpers import STORM, Trial
from tests.sip.golden import cases, octets

TESTS = Path(__file__).parent.parent

# Commands of slg_fuzz_engine.pyx and their first arguments.
START, DELIVER, LOSE, REPEAT, TIME, ANSWER, BACK, ASK, DAMAGE, ERROR, HANG_UP = (
    0, 1, 3, 4, 5, 7, 9, 11, 12, 14, 16)
SPANS = {"20ms": 2, "500ms": 3, "4s": 5, "32s": 7, "3m": 9}


def messages() -> Iterator[tuple[str, bytes]]:
    """Name and octets: messages of the other tests, and those of a stormy simulation."""
    for path in [*(TESTS / "corpus").glob("*.sip"), *(TESTS / "torture").glob("*.dat")]:
        yield path.stem, path.read_bytes()
    for number, (_, message, _) in enumerate(cases()):
        yield f"golden-{number}", octets(message)
    for model, options in (("call", {}), ("register", {"users": 4}), ("options", {})):
        trial = Trial(model=model, calls=3, answerer={"challenge": "md5"}, **options)
        network = trial.run(seed=7, weather=STORM, record=True)
        starts = {data.split(b" sip:")[0].split(b"\r\n")[0]: data
                  for _, _, data in network.record or []}
        for number, data in enumerate(starts.values()):
            yield f"{model}-{number}", data


def play(world: int, rng: random.Random) -> bytes:
    """Calls of one pair of engines in some weather, as commands."""
    out = [world, rng.choice((0, 1, 5)), START, rng.choice((0, 1, 2, 128))]
    bad = rng.choice((0.0, 0.1, 0.4))
    for _ in range(rng.randint(3, 16)):
        what = rng.random()
        if what < bad / 2:
            out += rng.choice(([LOSE], [REPEAT, rng.randrange(8)]))
        elif what < bad:
            out += rng.choice((
                [ANSWER, rng.randrange(4), rng.randrange(26), rng.randrange(256), 0],
                [BACK, rng.randrange(4), rng.randrange(16), rng.randrange(16), 1],
                [DAMAGE, rng.randrange(4), 0, rng.randrange(7), rng.randrange(16), 0, 65],
                [ERROR, rng.randrange(4), 60], [ASK, 1, 0, rng.randrange(256), 0],
                [HANG_UP, 2]))
        elif what < 0.75:
            out += [DELIVER, rng.choice((0, 3, 7))]
        else:
            out += [TIME, rng.choice(list(SPANS.values()))]
    return bytes(out)


def main(folder: Path) -> None:
    """Write the files below `folder`."""
    rng = random.Random(1)
    for name in ("parse", "engine"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, data in messages():
        (folder / "parse" / name).write_bytes(data)
    for world in range(sum(1 for _ in all_worlds())):
        for number in range(8):
            (folder / "engine" / f"play-{world}-{number}").write_bytes(play(world, rng))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
