"""CPU of the calling side for each call, at one rate, against the same answering SIPp.

The kernel's account of the whole process, and that less what the process costs for a single call
(interpreter, imports, compilation), which does not grow with the load.
"""

from __future__ import annotations

import argparse
import statistics

from common import SippContender, contenders, figure, note, scratch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--who", default="sipp,gso,plain")
    parser.add_argument("--rate", type=float, default=5000)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--coalesce", default="0s,200us,500us,900us,1ms",
                        help="siploadgen's option of that name, each value on its own")
    options = parser.parse_args()
    answering = SippContender()
    net = {}
    ways = [(one, one.name if how is None else f"{one.name}-coalesce-{how}",
             () if how is None else ("--coalesce", how))
            for one in contenders(options.who)
            for how in ([None] if one.name == "sipp" else options.coalesce.split(","))]
    for one, name, extra in ways:
        whole, once = [], []
        for _ in range(options.repeat):
            with scratch() as folder, answering.answerer(folder) as port:
                once.append(one.call(folder, port, 10, 0.1, extra=extra).usage.cpu_s)
                trial = one.call(folder, port, options.rate, options.seconds, extra=extra)
                note(f"{name:36} {trial.succeeded}/{trial.calls} ok, again "
                     f"{trial.retransmitted}, {trial.usage.cpu_s:.3f} s CPU, idle {once[-1]:.3f} s "
                     f"{trial.broken}")
                whole.append((trial.usage.cpu_s, max(trial.succeeded, 1)))
        base = statistics.median(once)
        per_call = statistics.median(cpu / calls * 1e6 for cpu, calls in whole)
        net[name] = statistics.median((cpu - base) / calls * 1e6 for cpu, calls in whole)
        figure(f"cpu_per_call.{name}", round(per_call, 2), "us", rate=options.rate,
               seconds=options.seconds, repeat=options.repeat)
        figure(f"cpu_per_call_net.{name}", round(net[name], 2), "us", rate=options.rate)
    for name, value in net.items():
        if name != "sipp" and "sipp" in net:
            figure(f"cpu_per_call_net.{name}_to_sipp", round(value / net["sipp"], 3), "ratio")


if __name__ == "__main__":
    main()
