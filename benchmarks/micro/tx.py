"""Nanoseconds for each event of a transaction and for each message put into the outbox."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from siploadgen.core.net.outbox import OutboxDoor
from siploadgen.core.tx import TxEvent, TxKind, spin

START, R1XX, R2XX, FAILURE, REQUEST, ACK, RETRANSMIT, LINGER = (
    TxEvent.TXE_START, TxEvent.TXE_1XX, TxEvent.TXE_2XX, TxEvent.TXE_3XX_6XX,
    TxEvent.TXE_REQUEST, TxEvent.TXE_ACK, TxEvent.TXE_RETRANSMIT, TxEvent.TXE_LINGER,
)  # fmt: skip
LIVES: dict[str, tuple[TxKind, list[int]]] = {
    "invite_client": (TxKind.TX_INVITE_CLIENT, [START, R1XX, R1XX, R2XX, LINGER]),
    "client": (TxKind.TX_CLIENT, [START, R2XX, LINGER]),
    "invite_server": (TxKind.TX_INVITE_SERVER, [START, R1XX, R2XX, ACK, LINGER]),
    "server": (TxKind.TX_SERVER, [START, R2XX, LINGER]),
    "invite_client_lossy": (
        TxKind.TX_INVITE_CLIENT, [START, RETRANSMIT, RETRANSMIT, R1XX, FAILURE, FAILURE, LINGER],
    ),
}  # fmt: skip
BOXES: dict[str, tuple[int, int, list[int], int]] = {  # group_max, senders, lengths, peers
    "outbox_one_peer": (32, 64, [480, 380, 370], 1),
    "outbox_64_peers": (32, 64, [480, 380, 370], 64),
    "outbox_16_lengths": (32, 64, list(range(400, 416)), 1),
    "outbox_ungrouped": (1, 64, [480, 380, 370], 1),
}


def best_ns(work: Callable[[], object], steps: int, repeats: int) -> float:
    """The least of several runs: the machine can only make it slower."""
    least = float("inf")
    for _ in range(repeats):
        start = time.perf_counter_ns()
        work()
        least = min(least, time.perf_counter_ns() - start)
    return round(least / steps, 2)


def measure(rounds: int, repeats: int) -> dict[str, object]:
    events = {
        name: best_ns(lambda k=kind, e=life: spin(k, e, rounds), rounds * len(life), repeats)
        for name, (kind, life) in LIVES.items()
    }
    messages = {}
    for name, (group_max, senders, lengths, peers) in BOXES.items():
        box = OutboxDoor(group_max)
        messages[name] = best_ns(
            lambda b=box, s=senders, z=lengths, p=peers: b.fill(rounds, s, z, p), rounds, repeats
        )
    return {"benchmark": "tx", "ns_per_event": events, "ns_per_message": messages}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    print(json.dumps(measure(asked.rounds, asked.repeats)))


if __name__ == "__main__":
    main()
