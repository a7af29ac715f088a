"""The highest clean rate of each contender calling itself, a core for each side.

Clean: every planned call succeeded, nothing failed, nothing was retransmitted, and the tool itself
found the run valid; `--late` is how late its calls may start for that, and how long messages may
wait unread (SIPp does not look, and is some milliseconds late: see lateness.py). `--coalesce` is
how long our engines let messages gather, as the bare sockets do by themselves. Rates are doubled
until a trial fails, then halved between. A shared machine can spoil a trial but never improve one,
so a rate counts as clean when one of `--tries` trials at it is. All contenders run in one session
and only the ratios are worth quoting.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass

from common import ROOT, Contender, Trial, contenders, figure, note, scratch

from siploadgen.core.engine import Engine
from tests.sim.helpers import Trial as Played
from tests.sim.network import Weather


@dataclass(frozen=True, slots=True)
class Rules:
    """How each trial is made."""

    seconds: float
    tries: int
    late: str
    coalesce: str

    @property
    def both(self) -> tuple[str, ...]:
        return ("--coalesce", self.coalesce)

    @property
    def calling(self) -> tuple[str, ...]:
        return (*self.both, "--limit", f"late_start_p99={self.late}",
                "--limit", f"receive_delay_p99={self.late}")


def try_rate(one: Contender, rate: float, rules: Rules) -> Trial:
    """One clean trial at the rate, or the last of the spoilt ones."""
    ours = one.name != "sipp"
    for attempt in range(rules.tries):
        with scratch() as folder, one.answerer(folder, rules.both if ours else ()) as port:
            trial = one.call(folder, port, rate, rules.seconds,
                             extra=rules.calling if ours else ())
        note(f"{one.name:20} {rate:8.0f}/s  {'clean' if trial.clean else 'spoilt':6} "
             f"ok {trial.succeeded}/{trial.calls} failed {trial.failed} "
             f"again {trial.retransmitted} cpu {trial.usage.cpu_s:.2f} s {trial.broken}")
        if trial.clean or attempt + 1 == rules.tries:
            break
    return trial


def highest_clean(one: Contender, start: float, width: float, rules: Rules) -> float:
    """Bisect between the highest clean and the lowest spoilt rate down to `width` of it."""
    low, high = 0.0, start
    while try_rate(one, high, rules).clean:
        low, high = high, high * 2
        if high > 2_000_000:
            return low
    while high - low > width * high:
        middle = (low + high) / 2
        if try_rate(one, middle, rules).clean:
            low = middle
        else:
            high = middle
    return low


def call_octets() -> list[int]:
    """Lengths of the six datagrams of a call, as the built-in model and its answerer write them."""
    trial = Played("call", calls=1, users=0, settings={"hold": "0s"})
    network = trial.network(1, Weather())
    lengths: list[int] = []

    class Ear:
        """Stands for an engine and notes the lengths of what it sends."""

        def __init__(self, engine: Engine) -> None:
            self.engine = engine

        def outbox(self) -> list[tuple[bytes, tuple[str, int]]]:
            written = self.engine.outbox()
            lengths.extend(len(data) for data, _ in written)
            return written

        def __getattr__(self, name: str) -> object:
            return getattr(self.engine, name)

    network.ends = {address: Ear(engine) for address, engine in network.ends.items()}
    network.run()
    return lengths


def bare_sockets(octets: list[int]) -> dict[str, float]:
    """Calls a second of sockets that exchange datagrams of these lengths, with no SIP at all, by
    the name of the contender to compare."""
    script = ROOT / "benchmarks" / "loopback" / "bare_sockets.py"
    done = subprocess.run(
        [sys.executable, str(script), "--sizes", ",".join(str(length) for length in octets)],
        capture_output=True, text=True, timeout=300, check=True)
    modes = json.loads(done.stdout.splitlines()[-1])["modes"]
    return {f"siploadgen-gso-{flag}": modes[mode]["calls_per_s"]["median"]
            for flag, mode in (("on", "gso"), ("off", "plain"))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--who", default="sipp,gso,plain", help="sipp, gso, plain")
    parser.add_argument("--start", type=float, default=8000, help="first rate to try")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--width", type=float, default=0.05)
    parser.add_argument("--tries", type=int, default=2)
    parser.add_argument("--late", default="1ms",
                        help="p99 of starts behind their due time, and of messages unread")
    parser.add_argument("--coalesce", default="250us", help="of our engines, as `run` takes it")
    options = parser.parse_args()
    rules = Rules(options.seconds, options.tries, options.late, options.coalesce)
    best = {}
    ours = [one for one in options.who.split(",") if one != "sipp"]
    octets = call_octets()
    # before, between and after, because the speed of a machine drifts
    floors = [bare_sockets(octets)] if ours else []
    for one in contenders(options.who):
        best[one.name] = highest_clean(one, options.start, options.width, rules)
        figure(f"clean_rate.{one.name}", best[one.name], "calls/s", width=options.width,
               **asdict(rules))
        if ours:
            floors.append(bare_sockets(octets))
    bare = {name: statistics.median(floor[name] for floor in floors)
            for name in (floors[0] if floors else ())}
    for name, limit in bare.items():
        figure(f"bare_sockets.{name.removeprefix('siploadgen-')}", limit, "calls/s",
               octets=octets, measured=[floor[name] for floor in floors])
    for name, value in best.items():
        if name in bare:
            figure(f"clean_rate.{name}_to_bare", round(value / bare[name], 3), "ratio")
        if name != "sipp" and best.get("sipp"):
            figure(f"clean_rate.{name}_to_sipp", round(value / best["sipp"], 3), "ratio")


if __name__ == "__main__":
    main()
