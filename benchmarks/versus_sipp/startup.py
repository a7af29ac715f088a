"""From the command line to the end of one call: wall time and CPU, median of a few."""

from __future__ import annotations

import argparse
import statistics

from common import SippContender, contenders, figure, scratch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--who", default="sipp,plain")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    for one in contenders(options.who):
        with scratch() as folder, SippContender().answerer(folder) as port:
            trials = [one.call(folder, port, 10, 0.1) for _ in range(options.repeat)]
        wall = statistics.median(trial.usage.wall_s for trial in trials)
        cpu = statistics.median(trial.usage.cpu_s for trial in trials)
        figure(f"one_call_wall.{one.name}", round(wall, 3), "s", repeat=options.repeat,
               ok=sum(trial.succeeded for trial in trials))
        figure(f"one_call_cpu.{one.name}", round(cpu, 3), "s", repeat=options.repeat)


if __name__ == "__main__":
    main()
