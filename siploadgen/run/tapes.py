"""Failures of engines, each with the datagrams of its call that are still on the engine's tape."""

from collections.abc import Sequence
from typing import Any

from siploadgen.figures import Datagram
from siploadgen.run.worker import Worker
from siploadgen.units import NANOS

SETTLE_NS = NANOS // 5


class Failures:
    """Takes failures out of engines.

    Where there are tapes a failure is handed on SETTLE_NS after it happened, so that what follows
    it, such as its ACK, is there too.
    """

    def __init__(self, workers: Sequence[Worker], origin_ns: int, epoch_ns: int) -> None:
        """Make times relative to `origin_ns`, a time of the engines, which was `epoch_ns`."""
        self._workers = workers
        self._origin_ns, self._epoch_ns = origin_ns, epoch_ns
        self._young: list[list[dict[str, Any]]] = [[] for _ in workers]

    def take(self, now_ns: int, *, last: bool = False) -> list[dict[str, Any]]:
        """Give those that have settled, `now_ns` by the engines' clock; `last`: all there are."""
        result = []
        for number, worker in enumerate(self._workers):
            found = worker.engine.failures()
            if worker.tape:
                known = self._young[number] + found
                found = [one for one in known if last or one["ended"] + SETTLE_NS <= now_ns]
                self._young[number] = known[len(found):]  # they come in the order of their ends
                self._attach(worker, found)
            for failure in found:
                for name in ("due", "ended"):
                    if failure.get(name) is not None:
                        failure[name] -= self._origin_ns
            result += found
        return result

    def _attach(self, worker: Worker, failures: Sequence[dict[str, Any]]) -> None:
        """Add `datagrams`, in the order of time, from when each call was due."""
        if not failures:
            return
        taped = worker.engine.taped([one for failure in failures for one in failure["call_ids"]],
                                    min(failure["due"] for failure in failures))
        known = {call_id: [self._datagram(worker, *row) for row in rows]
                 for call_id, rows in taped.items()}
        for failure in failures:
            due_ns = failure["due"] - self._origin_ns
            failure["datagrams"] = sorted(
                (one for call_id in failure["call_ids"] for one in known[call_id]
                 if one.at_ns >= due_ns), key=lambda one: one.at_ns)

    def _datagram(self, worker: Worker, when: int, sent: bool, peer: tuple[str, int],
                  octets: bytes) -> Datagram:
        at_ns = when - self._origin_ns
        return Datagram(at_ns, self._epoch_ns + at_ns, sent, worker.local, peer, octets)
