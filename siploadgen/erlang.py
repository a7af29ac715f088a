"""Capacity arithmetic: traffic, lines, blocking and waiting, call attempts, waves of REGISTERs.

Times are seconds, rates are per second, traffic is in erlangs: the mean number of calls that would
be open at once if none were refused (ITU-T E.600). The formulas of Erlang and Engset hold for
calls that arrive independently of each other; those of loss systems for holding times of any
distribution, those of delay systems for exponential ones. See V. B. Iversen, Teletraffic
Engineering Handbook (ITU-D and ITC), chapters on loss systems and delay systems.

Everything raises ValueError for numbers that mean nothing, and names them.

>>> traffic = offered_traffic(per_second(bhca=200_000), hold_s=120)
>>> round(traffic), lines_for_blocking(traffic, 0.01)
(6667, 6664)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

_STEPS = 200  # of a bisection: more than a float has bits
_MOST_LINES = 10_000_000


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (0 < value < math.inf):
            raise ValueError(f"{name} {value}: must be above 0")


def _not_negative(**values: float) -> None:
    for name, value in values.items():
        if not (0 <= value < math.inf):
            raise ValueError(f"{name} {value}: must not be below 0")


def _share(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            raise ValueError(f"{name} {value}: must lie between 0 and 1")


# --- attempts, rates and traffic ---


def per_second(bhca: float) -> float:
    """Return the calls per second of so many busy-hour call attempts (ITU-T E.600).

    >>> per_second(1_800_000)
    500.0
    """
    _not_negative(bhca=bhca)
    return bhca / 3600


def busy_hour_attempts(calls_per_s: float) -> float:
    """Busy-hour call attempts of a rate that is kept up for the hour.

    >>> busy_hour_attempts(500)
    1800000
    """
    _not_negative(calls_per_s=calls_per_s)
    return calls_per_s * 3600


def offered_traffic(calls_per_s: float, hold_s: float) -> float:
    """Erlangs that a rate of calls offers: rate times mean holding time (ITU-T E.501).

    >>> offered_traffic(10, 180)
    1800
    """
    _not_negative(calls_per_s=calls_per_s, hold_s=hold_s)
    return calls_per_s * hold_s


def calls_per_second(traffic: float, hold_s: float) -> float:
    """Return the calls per second that offer so many erlangs: the reverse of `offered_traffic`.

    >>> calls_per_second(1800, 180)
    10.0
    """
    _not_negative(traffic=traffic)
    _positive(hold_s=hold_s)
    return traffic / hold_s


def carried_traffic(traffic: float, lines: int) -> float:
    """Erlangs that so many lines carry of those offered; over `lines` it is their mean use.

    ITU-T E.501 reckons the other way, from what was carried to what was offered.

    >>> round(carried_traffic(10, 10), 3)
    7.854
    """
    return traffic * (1 - erlang_b(traffic, lines))


# --- loss systems: who finds every line busy is refused ---


def erlang_b(traffic: float, lines: int) -> float:
    """Share of calls that are refused by a system of so many lines, arrivals being Poisson.

    B(0) = 1, B(n) = A B(n - 1) / (n + A B(n - 1)); the shape of the holding times does not matter.
    ITU-T E.520 dimensions groups of circuits by it.

    >>> round(erlang_b(10, 10), 4), round(erlang_b(84.064, 100), 4)
    (0.2146, 0.01)
    """
    _not_negative(traffic=traffic, lines=lines)
    blocked = 1.0
    for line in range(1, lines + 1):
        blocked = traffic * blocked / (line + traffic * blocked)
    return blocked


def lines_for_blocking(traffic: float, blocking: float) -> int:
    """Least number of lines that refuse no more than this share of the calls.

    ITU-T E.520 takes 0.01 for automatic operation.

    >>> lines_for_blocking(100, 0.01), lines_for_blocking(100, 0.001)
    (117, 128)
    """
    _not_negative(traffic=traffic)
    _share(blocking=blocking)
    if traffic > _MOST_LINES:
        raise ValueError(f"traffic {traffic}: more than {_MOST_LINES:,} erlangs")
    blocked, lines = 1.0, 0
    while traffic and blocked > blocking:
        lines += 1
        blocked = traffic * blocked / (lines + traffic * blocked)
    return lines


def traffic_for_blocking(lines: int, blocking: float) -> float:
    """Most erlangs that may be offered to so many lines for this share of refused calls.

    What the tables of Erlang's loss formula list.

    >>> round(traffic_for_blocking(30, 0.01), 2)
    20.34
    """
    _positive(lines=lines)
    _share(blocking=blocking)
    # Lines carry no more than one erlang each: A (1 - B) < n.
    return _bisect(lambda traffic: erlang_b(traffic, lines) <= blocking, lines / (1 - blocking))


def engset(sources: int, idle_traffic: float, lines: int) -> tuple[float, float]:
    """Time congestion and call congestion of lines that a limited number of users share.

    `idle_traffic` is what a user who has no call offers: calls per second while idle, times the
    mean holding time. Time congestion is the share of time in which every line is busy, call
    congestion the share of calls that meet it (Engset's formula; Iversen, Engset's distribution).
    A user who would offer `a` erlangs if never refused has an `idle_traffic` of a / (1 - a).

    >>> [round(share, 4) for share in engset(4, 1 / 3, 3)]
    [0.0471, 0.0156]
    """
    _positive(sources=sources)
    _not_negative(idle_traffic=idle_traffic, lines=lines)

    def congestion(users: int) -> float:
        blocked = 1.0
        for line in range(1, lines + 1):
            wanted = max(users - line + 1, 0) * idle_traffic * blocked
            blocked = wanted / (line + wanted)
        return blocked

    return congestion(sources), congestion(sources - 1)


# --- delay systems: who finds every line busy waits ---


def erlang_c(traffic: float, lines: int) -> float:
    """Share of calls that wait for a line, where none is refused; 1 without enough of them.

    C = B / (1 - (A / n) (1 - B)).

    >>> round(erlang_c(10, 14), 4)
    0.1741
    """
    _not_negative(traffic=traffic, lines=lines)
    if lines <= traffic:
        return 1.0
    blocked = erlang_b(traffic, lines)
    return blocked / (1 - traffic / lines * (1 - blocked))


def mean_wait(traffic: float, lines: int, hold_s: float) -> float:
    """Mean time in seconds that a call waits, those that do not wait included.

    C h / (n - A); infinite without enough lines, where the queue only grows.

    >>> round(mean_wait(10, 14, hold_s=180), 2)
    7.84
    """
    _positive(hold_s=hold_s)
    if lines <= traffic:
        return math.inf
    return erlang_c(traffic, lines) * hold_s / (lines - traffic)


def service_level(traffic: float, lines: int, hold_s: float, within_s: float) -> float:
    """Share of calls that wait no longer than `within_s`, first come first served.

    1 - C exp(-(n - A) t / h).

    >>> round(service_level(10, 14, hold_s=180, within_s=20), 3)
    0.888
    """
    _positive(hold_s=hold_s)
    _not_negative(within_s=within_s)
    if lines <= traffic:
        return 0.0
    return 1 - erlang_c(traffic, lines) * math.exp(-(lines - traffic) * within_s / hold_s)


def lines_for_service(traffic: float, hold_s: float, within_s: float, share: float) -> int:
    """Least number of lines that let this share of the calls wait no longer than `within_s`.

    >>> lines_for_service(10, hold_s=180, within_s=20, share=0.8)
    14
    """
    _share(share=share)
    _not_negative(traffic=traffic)
    if traffic > _MOST_LINES:
        raise ValueError(f"traffic {traffic}: more than {_MOST_LINES:,} erlangs")
    lines = math.floor(traffic) + 1
    while service_level(traffic, lines, hold_s, within_s) < share:
        lines += 1
    return lines


# --- registrations ---


def register_rate(users: float, expires_s: float, refresh: float = 0.9, requests: float = 1
                  ) -> float:
    """Return REGISTERs per second of users whose registrations are spread evenly.

    `refresh` is the share of `expires_s` after which a user registers again (RFC 3261 10.2.4 leaves
    it to the user), `requests` the REGISTERs each time: 2 where each is challenged.

    >>> register_rate(1_000_000, expires_s=3600, refresh=0.5, requests=2)
    1111.111111111111
    """
    _not_negative(users=users)
    _positive(expires_s=expires_s, refresh=refresh, requests=requests)
    return users * requests / (expires_s * refresh)


@dataclass(frozen=True, slots=True)
class Avalanche:
    """All users register anew: rates in REGISTERs per second, times in seconds."""

    rate_per_s: float  # that comes in at first
    backlog: float  # most REGISTERs that wait, or have to be sent again
    clear_s: float  # until all of them are done
    refresh_rate_per_s: float  # at the top of the wave in which they come back

    @property
    def overload(self) -> bool:
        """Whether more comes in than is done."""
        return self.backlog > 0


def avalanche(
    users: float, within_s: float, capacity_per_s: float, *, expires_s: float = 3600,
    refresh: tuple[float, float] = (0.9, 0.9), requests: float = 1,
) -> Avalanche:
    """Reckon what a restart makes of registrations: all users register anew within a time.

    They come evenly within `within_s` and are done at `capacity_per_s` at most, none being given
    up. Each registers again after a share of `expires_s` that lies evenly in `refresh`: the wave
    comes back, flattened by as much as those shares differ and by how long it took to clear.

    >>> storm = avalanche(100_000, within_s=60, capacity_per_s=1000)
    >>> round(storm.rate_per_s), round(storm.backlog), round(storm.clear_s)
    (1667, 40000, 100)
    >>> round(avalanche(100_000, 60, 1000, refresh=(0.5, 0.9)).refresh_rate_per_s)
    69
    """
    _positive(users=users, within_s=within_s, capacity_per_s=capacity_per_s, expires_s=expires_s,
              requests=requests)
    low, high = refresh
    if not 0 < low <= high <= 1:
        raise ValueError(f"refresh {refresh}: shares from 0 to 1, the lower one first")
    whole = users * requests
    rate = whole / within_s
    clear_s = max(within_s, whole / capacity_per_s)
    # The sum of two times that lie evenly in a and in b seconds is at its densest 1 / max(a, b).
    again = whole / max(clear_s, (high - low) * expires_s)
    return Avalanche(rate, max(whole - capacity_per_s * within_s, 0.0), clear_s, again)


def spread_for(users: float, capacity_per_s: float, requests: float = 1) -> float:
    """Least time in seconds over which all users must be spread for none of them to wait.

    >>> spread_for(100_000, capacity_per_s=1000, requests=2)
    200.0
    """
    _not_negative(users=users)
    _positive(capacity_per_s=capacity_per_s, requests=requests)
    return users * requests / capacity_per_s


def retry_wait(failures: int, base_s: float = 30, most_s: float = 1800) -> tuple[float, float]:
    """Seconds from .. to that a user waits before it tries to register again (RFC 5626 4.5).

    Half to all of base times 2^failures, at most `most_s`. The base is 30 s while no flow works,
    else 90 s.

    >>> retry_wait(1), retry_wait(20)
    ((30.0, 60.0), (900.0, 1800))
    """
    _not_negative(failures=failures)
    _positive(base_s=base_s, most_s=most_s)
    upper = min(most_s, base_s * 2.0 ** min(failures, 64))
    return upper / 2, upper


def _bisect(fits: Callable[[float], bool], high: float) -> float:
    """Highest value from 0 that still fits, `fits` being true below it and false above."""
    low = 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
