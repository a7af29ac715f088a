"""The door of the compiled core: one Engine per thread, sharing nothing.

Times are int64 nanoseconds on CLOCK_MONOTONIC, or on any virtual clock when the engine is driven by
`feed` and `advance`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siploadgen.core.shared import Shared

HIST_LATENESS: int  # histogram 0: send minus due time, of calls and requests inside them
HIST_RECEIVE_DELAY: int  # histogram 1: kernel receive time stamp to processing
# 2: clock k of series s has histogram 2 + 2 (s * clocks + k) from the due time, and the next one
# from the send
HIST_CLOCKS: int
# A call of the schedule: due (ns; of a closed workload: ns that its place rests after it), number
# of the call in its workload, row of its user (2**32 - 1: the engine's next), others (rows of the
# other feeds), stream (the workload, which its random numbers come from together with the number),
# entry of the program, series of its results.
START_DTYPE: np.dtype[np.void]
# From `when` (ns) on a closed workload holds `wanted` calls open, whose results go to `series`.
LEVEL_DTYPE: np.dtype[np.void]

class Engine:
    """One nogil engine: program and due times in, counters, histograms and traces out.

    `program` is a `siploadgen.compile.program.Program`, `rows` a `siploadgen.load.rows.Rows`.
    """

    def __init__(
        self,
        program: Any,
        *,
        local: tuple[str, int],  # numeric address that goes into Via and Contact
        target: tuple[str, int] | None = None,  # numeric address that callers send to, or ...
        # ... up to 16 of them: (address, port, priority, share of the calls, number 0 .. 63)
        targets: Sequence[tuple[str, int, int, int, int]] | None = None,
        rows: Any = None,
        engine_id: int = 0,  # 0 .. 255
        run_id: int = 1,  # 32 random bits: tells this run's identifiers from another's
        seed: int = 1,
        now: int = 0,
        max_calls: int = 0,  # bound on open calls started by the schedule; 0: max_instances
        max_instances: int = 1_048_576,
        max_transactions: int = 4_194_304,
        # call k of this engine takes row first_row + k * row_stride, after the last the first
        first_row: int = 0,
        row_stride: int = 1,
        t1: int = 500_000_000,  # ns; RFC 3261 17.1.1.1
        t2: int = 4_000_000_000,
        t4: int = 5_000_000_000,
        # ns that finished transactions are remembered; -1: as the RFCs say, less when short of room
        linger: int = -1,
        gso_group: int = 32,  # most datagrams in one GSO group; 1: none
        drop_share: float = 0.0,  # answering side: requests from outside dialogs thrown away
        lines: int = 0,  # answering side: calls at once, others get 503; 0: no bound
        rate_limit: float = 0.0,  # answering side: new instances a second, others get 503; 0: none
        trace_failures: int = 100,  # failures of each outcome kept for `failures()`
        # ns from one wake-up of the loop to the next, at least: received messages wait so long
        # for company, due times do not
        coalesce: int = 0,
        merge: bool = True,  # a request that came by two paths gets 482 (RFC 3261 8.2.2.2)
        strict: bool = False,  # messages are held to the whole grammar, not to what matters here
        # option tags that may stand in Require, comma separated, at most 256 octets; "*": any
        supported: str = "",
        packages: str = "",  # event packages for Event likewise; "": any
        # records that get their memory now and not as they are first used, which would stop the
        # loop for up to 2 ms at a time
        ready_instances: int = 0,
        ready_transactions: int = 0,
        # calling side: requests announce overload control, and starts that the target forbids by it
        # (RFC 7339, 7415) or by the Retry-After of a 503 are counted as not started (throttled)
        obey_overload: bool = False,
        retry_after: int = 1,  # seconds in the engine's own 503; 0: no Retry-After
        # answering side: what answers to requests that announce it carry: "loss" with percent,
        # "rate" with requests a second, "": nothing; ms that it is valid, 0: it ends
        oc_algorithm: str = "",
        oc_value: int = 0,
        oc_validity: int = 500,
        # Contacts of calls that begin after the first response with `received` or `rport` have that
        # address (RFC 3581 4), for callers behind a NAT
        learn_contact: bool = False,
        series: int = 1,  # of results, 1 .. 256
        answer_series: int = 0,  # ... of instances that requests start
        bounds: Sequence[int] = (0,),  # for each stream: most open calls, 0: no bound of its own
        # for each stream: its rows are for one call at a time; a start whose row is busy is counted
        # as not started (no_user)
        unique: Sequence[bool] = (),
        closed: int = 0,  # workloads that hold their calls open, 0 .. 64
        draw_seed: int | None = None,  # of the calls' random numbers; None: `seed`
        shared: Shared | None = None,  # of all engines of a run; None: this one's own
        # for each hook of the program a function of (values by name, row, number of the call,
        # message last matched) that returns what it sets
        hooks: Sequence[Callable[..., Mapping[str, int | str | bytes] | None]] = (),
        # octets of the latest datagrams that are kept for `taped`, a power of two from 262,144 on
        # (others are raised to the next), at most 2**30; 0: none
        tape: int = 0,
    ) -> None: ...

    # --- sans-IO: tests and the simulator ---
    def feed(self, data: bytes, source: tuple[str, int], now: int) -> None: ...
    def advance(self, now: int) -> None:
        """Run every timer and start every call that is due at `now`."""
    def outbox(self) -> list[tuple[bytes, tuple[str, int]]]:
        """Datagrams written since the last call, oldest first."""
    def transport_error(self, data: bytes, now: int) -> None:
        """Hear of an ICMP error: `data` are the first octets of our datagram that it quotes."""
    def next_event(self) -> int:
        """When `advance` has something to do; 2**63 - 1: never."""
    # --- schedule and control (any thread) ---
    def schedule(
        self, starts: NDArray[Any], last: bool = True, closed: int | None = None
    ) -> None:
        """Append starts in the order of their due times, kept and not copied.

        `last` says that no more will come. With `closed` they are the calls of that workload, which
        start as soon as it has room for them. An array of int64 stands for starts of entry 0.
        ValueError: not sorted, or what is named is not there; BufferError: 64 chunks wait already.
        """
    def hold(self, closed: int, levels: NDArray[Any], keeps: bool = False) -> None:
        """Say how many calls a closed workload holds open, and when: LEVEL_DTYPE, sorted.

        With `keeps` a place keeps its row for all its calls, and rests between them. ValueError:
        it has its levels already, or they are not sound.
        """
    def scale_closed(self, closed: int, factor: float) -> None:
        """Hold so many times the calls that the levels say, at most four times their highest."""
    def closed_state(self, closed: int) -> dict[str, int]:
        """Return a closed workload's calls wanted by the level, its places, its chunks of starts.

        asked: calls that it is to hold now, `scale_closed` included;
        busy: places with a call or at rest; resting: those at rest; parked: places not wanted now,
        which keep their rows.
        """
    def stop_starts(self) -> None:
        """Start no more calls; those still due are counted as not started (stopped)."""
    def hang_up(self) -> None:
        """Let open calls end early: pauses are cut, ringing INVITEs are cancelled."""
    def abort(self) -> None:
        """End every open call at once (outcome aborted) and leave `run`."""
    def pause(self, paused: bool) -> None:
        """Hold back starts; the due times that pass meanwhile are late when it is lifted."""
    def set_targets(self, targets: Sequence[tuple[str, int, int, int, int]]) -> bool:
        """Other targets for calls that start from the next turn on.

        False: the table before has not come into force yet; ask again later.
        """
    # --- real sockets ---
    def open_udp(self, fd: int, gso: bool, gro: bool) -> dict[str, Any]:
        """Take over a bound UDP socket, which is closed with the engine.

        Says what is in use: gso, gro, timestamps, gso_group, receive_buffer, send_buffer (octets).
        """
    def run(self, until_idle: bool = True) -> None:
        """Loop without the GIL until the schedule is over and no call open, or until `abort`."""
    def finish(self) -> None:
        """After `run`: due times never reached are counted as not started (stopped)."""
    # --- hooks ---
    shared: Shared
    hook_failures: list[tuple[int, Exception]]  # (number of the hook, what it raised), the first
    def announce_hooks(self, fd: int) -> None:
        """Write to this eventfd whenever a call asks a hook; before the first run."""
    def serve_hooks(self) -> int:
        """Call the functions that calls wait for and reply; how many. One thread at a time."""
    # --- results: views of the engine's own arrays; single writer, monotone ---
    counters: NDArray[np.int64]  # [counters.Counter]
    series_outcomes: NDArray[np.int64]  # [series, program.Outcome] of calls of the schedule
    # [series, (due, started, and not started: no_slot, stopped, no_user, throttled)]
    series_starts: NDArray[np.int64]
    @property
    def outcomes(self) -> NDArray[np.int64]:
        """[program.Outcome]: of all series together."""
    answered_outcomes: NDArray[np.int64]  # [program.Outcome] of instances started by requests
    sent_requests: NDArray[np.int64]  # [Method], first sendings and retransmissions
    sent_responses: NDArray[np.int64]  # [Method, status - 100]
    received_requests: NDArray[np.int64]  # [Method]
    received_responses: NDArray[np.int64]  # [Method, status - 100]
    retransmitted: NDArray[np.int64]  # [Method], requests and responses together
    histograms: NDArray[np.int64]  # [histogram, HIST_STRIDE] of microseconds; last: overflow
    steps: NDArray[np.int64]  # [pc, (sent, received, retransmitted, timeout, unexpected)]
    user_counters: NDArray[np.int64]
    # of every call, whatever its program: [series, row of core.measure, HIST_STRIDE] of
    # microseconds, and how many values each row has
    measures: NDArray[np.int64]
    measured: NDArray[np.int64]
    attempts: NDArray[np.int64]  # [series, AttemptKind, AttemptColumn or final status - 100]
    target_calls: NDArray[np.int64]  # [number of a target]: calls sent there; once for each try
    @property
    def in_progress(self) -> int:
        """Open calls that the schedule started."""
    @property
    def answers_in_progress(self) -> int:
        """Open instances that requests from outside started."""
    @property
    def chunks_waiting(self) -> int:
        """Schedule chunks not yet used up; at most 64 may wait."""
    @property
    def done(self) -> bool:
        """Schedule over (or stopped) and no scheduled call open."""
    @property
    def running(self) -> bool: ...
    def udp_stats(self) -> dict[str, int]:
        """Fields of net.udp.UdpStats by name."""
    def failures(self) -> list[dict[str, Any]]:
        """Failures since the last call.

        Each with outcome, status, role, due, ended, call_id (the token that names it on the wire),
        call_ids (of its dialogs, as they stand in messages), pc, row, ladder and message (bytes).
        """
    def taped(
        self, call_ids: Sequence[bytes], since: int = -(2**63)
    ) -> dict[bytes, list[tuple[int, bool, tuple[str, int], bytes]]]:
        """Give what the tape has of each Call-ID: (when, sent by us, peer, octets), by time.

        Of what was before `since` (ns) nothing is looked at. From any thread, while `run` goes on.
        """
    def user(self, row: int) -> dict[str, Any]:
        """Record of a row's user: busy, cseq of its last REGISTER, expires (ns; 0: not registered).

        IndexError: this engine has no such user.
        """
    def instances(self) -> list[dict[str, Any]]:
        """Live instances, for whoever looks at single calls; not while `run` goes on.

        Each with key (unique in this engine), entry, role, pc (where it waits; None: nowhere),
        deadline (ns; 2**63 - 1: none), row, legs (number: its token on the wire), clocks (number of
        those that go: ns of their start) and variables.
        """
    def back_memory(self) -> None:
        """Get memory for records that will soon be needed; from any one thread, while it runs.

        A page that the kernel has yet to find and clear stops the engine for up to 2 ms.
        """
    def memory(self) -> dict[str, int]:
        """Bytes in use by kind of record, and peaks."""
    def census(self) -> dict[str, int]:
        """Live records by kind; all zero after a drained run."""
    def check(self) -> None:
        """Walk every invariant; AssertionError names the broken one."""
