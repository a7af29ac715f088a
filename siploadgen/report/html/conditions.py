"""The conditions of a run, in the form of RFC 7502 5.1, and what else is needed to repeat it."""

from collections.abc import Mapping
from typing import Any

from siploadgen.units import NANOS, format_duration, format_rate

Result = Mapping[str, Any]
_TIMEOUTS = 64  # Timer B and F in units of T1


def form(result: Result) -> list[tuple[str, str]]:
    """Return the fields of RFC 7502 5.1 as far as a run from one side can fill them in."""
    plan, target, said = result["plan"], result["target"] or {}, result["messages"]
    caller = plan.get("role") != "answerer"
    settings = result["scenario"]["settings"]
    asked = sum(count for name, count in said["received" if caller else "sent"].items()
                if name.startswith(("401/", "407/")))
    rate = plan.get("rate_per_s")
    hold = [value for name, value in settings.items() if name in ("hold", "duration", "talk")]
    held = result["metrics"].get("sdt", {})
    talked = (f"mean {format_duration(held['mean_us'] * 1000)} measured" if held.get("count")
              else f"hold {hold[0]} (setting)" if hold else "as the call model says")
    return [
        ("SIP transport protocol", f"{target.get('transport', 'udp').upper()} on both sides that "
                                   "the generator sees"),
        ("connection reuse", "none: UDP has no connections; one port for each engine "
                             f"({', '.join(result['generator']['local'])})"),
        ("session attempt rate", format_rate(rate) + f", {plan.get('arrival')} arrivals" if rate
         else "the target decides: a closed model" if caller else "the caller decides"),
        ("session duration", talked),
        ("total sessions attempted", f"{result['calls']['started']:,}"),
        ("media streams per session", "0: signalling only; session descriptions are sent, media "
                                      "is not"),
        ("associated media protocol, codec, packet size", "none"),
        ("establishment threshold time", format_duration(
            _TIMEOUTS * plan["timers"]["t1_s"] * NANOS)
         + " (Timer B and F, 64 times T1), unless a step of the call model waits less"),
        ("TLS cipher suite", "none"),
        ("IPsec profile", "none that siploadgen set up"),
        ("authentication", f"{asked:,} challenges" if asked else "no challenges"),
        ("device under test relays media", "not seen: there is none"),
        ("redirections", _redirects(result)),
        ("retransmission timers", ", ".join(
            f"{name.upper()} {format_duration(plan['timers'][f'{name}_s'] * NANOS)}"
            for name in ("t1", "t2", "t4"))),
        ("finished transactions are remembered", "as RFC 3261 says" if plan["linger_s"] is None
         else format_duration(plan["linger_s"] * NANOS)),
    ]


def _redirects(result: Result) -> str:
    count = sum(number for name, number in result["messages"]["received"].items()
                if name.startswith("3"))
    return f"{count:,} responses 3xx" if count else "none"


def host(result: Result) -> list[tuple[str, str]]:
    """Return when, where and with what the run was made."""
    about, target = result["environment"], result["target"] or {}
    rows = [("started", result["started_at"]),
            ("load, whole run", f"{format_duration(result['load_s'] * NANOS)}, "
                                f"{format_duration(result['elapsed_s'] * NANOS)}"),
            ("seed", str(result["plan"]["seed"]))]
    if target:
        rows.append(("target", f"{target['uri']} ({target['address']})"
                     + (", embedded in the generator" if target["embedded"] else "")))
    rows += [("scenario", result["scenario"]["name"]),
             ("digest of the compiled calls", result["scenario"]["digest"]),
             ("siploadgen", about["version"]),
             ("Python", f"{about['implementation']} {about['python']}"),
             ("kernel", about["kernel"]), ("processor", f"{about['cpu']}, {about['cores']} cores "
                                                       "for us")]
    return rows


DEFINITIONS = (
    ("srd", "session request delay, RFC 6076 4.3: INVITE to the first response that is not 100"),
    ("setup", "INVITE to its 2xx"),
    ("sdd", "session disconnect delay, RFC 6076 4.4: BYE to its 2xx"),
    ("rrd", "registration request delay, RFC 6076 4.1: REGISTER to its 200, challenges included"),
    ("NAME and NAME_service", "from the time at which it was due, and from the actual sending; the "
                              "difference is the generator's lateness"),
    ("lateness", "how much later than due a message left"),
    ("receive_delay", "how long a message lay in our receive queue"),
    ("SER", "session establishment ratio, RFC 6076 4.6"),
    ("SEER", "session establishment effectiveness ratio, RFC 6076 4.7"),
    ("ISA", "ineffective session attempts, RFC 6076 4.8"),
)
