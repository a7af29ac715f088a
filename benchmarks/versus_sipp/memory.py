"""Memory of the calling side for each open call, and its CPU for each call as the open ones grow.

Calls are opened at one rate, as many in every trial, and held so long that the wanted number is
open; peak resident memory less that of the trial with the fewest, divided by the difference.

CPU is that of a few seconds in which the number of open calls stands still, with as many calls
beginning as ending: over a whole run, one with long calls has a time in which they only begin and
one in which they only end, where each message wakes its reader alone and costs more for that.
"""

from __future__ import annotations

import argparse

from common import contenders, figure, note, scratch

SETTLED_S = 3.0  # after the start of the process as many calls end as begin, for the longest held
WINDOW_S = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--who", default="sipp,gso")
    parser.add_argument("--rate", type=float, default=20000)
    parser.add_argument("--open", default="1000,100000,500000")
    options = parser.parse_args()
    targets = [int(word) for word in options.open.split(",")]
    longest = max(targets) / options.rate
    seconds = longest + SETTLED_S + WINDOW_S + 1
    for one in contenders(options.who):
        least = None
        for target in targets:
            hold = target / options.rate
            with scratch() as folder, one.answerer(folder) as port:
                trial = one.call(folder, port, options.rate, seconds, hold_s=hold,
                                 window=(longest + SETTLED_S, longest + SETTLED_S + WINDOW_S))
            note(f"{one.name:20} open {target}: {trial.succeeded}/{trial.calls} ok, failed "
                 f"{trial.failed}, again {trial.retransmitted}, {trial.usage.peak_kb} KB, "
                 f"{trial.usage.cpu_s:.2f} s CPU")
            figure(f"cpu_per_call_at_{target}_open.{one.name}",
                   round(trial.window_cpu_s / (options.rate * WINDOW_S) * 1e6, 2), "us",
                   rate=options.rate, failed=trial.failed, retransmitted=trial.retransmitted,
                   whole_run=round(trial.usage.cpu_s / max(trial.succeeded, 1) * 1e6, 2))
            if least is None:
                least = (target, trial.usage.peak_kb)
                continue
            grown = (trial.usage.peak_kb - least[1]) * 1024 / (target - least[0])
            figure(f"memory_per_open_call_at_{target}.{one.name}", round(grown), "bytes",
                   rate=options.rate, peak_kb=trial.usage.peak_kb, failed=trial.failed)


if __name__ == "__main__":
    main()
