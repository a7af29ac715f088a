"""How far each contender's INVITEs are from an even schedule, as the wire saw them.

The capture knows no due times, so the schedule is fitted: t0 + k / rate with the earliest t0 that
makes no INVITE early. What is left over is lateness.
"""

from __future__ import annotations

import argparse

from common import contenders, figure, note, peers, recount, scratch


def late_us(times_us: list[float], rate: float) -> list[float]:
    """Microseconds behind the schedule, for each first INVITE."""
    step = 1e6 / rate
    offsets = [at - number * step for number, at in enumerate(sorted(times_us))]
    first = min(offsets)
    return [offset - first for offset in offsets]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--who", default="sipp,plain")
    parser.add_argument("--rates", default="200,1000,3000")
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    for one in contenders(options.who):
        for rate in (float(word) for word in options.rates.split(",")):
            with scratch() as folder, one.answerer(folder) as port:
                with peers.capture(folder, port) as taken:
                    trial = one.call(folder, port, rate, options.seconds)
                seen = recount.read(taken.file, (port,))
            first: dict[str, float] = {}
            for message in seen:
                if message.method == "INVITE" and not message.status:
                    first.setdefault(message.call_id, message.at_us)
            late = late_us(list(first.values()), rate)
            note(f"{one.name:20} {rate:6.0f}/s: {len(late)} INVITEs, failed {trial.failed}, "
                 f"capture dropped {taken.dropped}")
            for percent in (50, 99, 100):
                figure(f"lateness_p{percent}_at_{rate:.0f}.{one.name}",
                       round(recount.percentile(late, percent), 1), "us", calls=len(late))


if __name__ == "__main__":
    main()
