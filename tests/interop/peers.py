"""Real SIP software, started and stopped by the tests: on loopback, on free ports, for a time.

Each peer is a context manager. Whatever happens inside it, the peer is gone afterwards: it stands
in a process group of its own, which is killed, and the kernel kills it should the tests die first.
"""

from __future__ import annotations

import csv
import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
BIG = "4194304"  # octets of socket buffer that SIPp is to ask for; its default loses bursts
_PR_SET_PDEATHSIG = 1


class PeerError(RuntimeError):
    """A peer did not start, or ended when it should not have."""


def port_range() -> range:
    """Give the ports of this process of pytest: those of others must not race it for one."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    first = 20000 + 1000 * (int(worker) % 9 + 1 if worker else 0)
    return range(first, first + 1000)


_given = 0  # ports that this process gave out: none comes again before all others did


def free_port(count: int = 1) -> int:
    """Give the first of `count` neighbouring ports that nobody uses, for UDP and for TCP.

    They need not be bound at once: nobody else is given one of them meanwhile.
    """
    global _given  # noqa: PLW0603
    ours = port_range()
    for _ in range(200):
        place = _given % len(ours)
        if place + count > len(ours):
            _given += len(ours) - place
            continue
        _given += count
        first = ours.start + place
        if all(_is_free(first + step) for step in range(count)):
            return first
    raise PeerError(f"no free port between {ours.start} and {ours.stop}")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True


def _bound_udp_ports() -> set[int]:
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return {int(line.split()[1].split(":")[1], 16) for line in lines}


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until the condition holds; PeerError naming `what` when it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise PeerError(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)


def wait_until_bound(port: int, process: subprocess.Popen[str], seconds: float = 10.0) -> None:
    """Wait until somebody listens on the UDP port; PeerError when the process ends instead."""
    def ready() -> bool:
        if process.poll() is not None:
            raise PeerError(f"{process.args!r} ended with {process.returncode} before listening")
        return port in _bound_udp_ports()
    wait_for(ready, seconds, f"UDP port {port}")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def running(command: Sequence[str], log: Path, *, cwd: Path | None = None,
            cores: set[int] | None = None, urgent: bool = False,
            grace: float = 3.0) -> Iterator[subprocess.Popen[str]]:
    """Run the command in a group of its own; end it at the end, with force if it must be.

    `log` takes all that it writes. `cores` pins it. `urgent` lets it go before its neighbours on
    the machine, where we may: for tests that compare times.
    """
    def prepare() -> None:
        _die_with_parent()
        if cores is not None:
            os.sched_setaffinity(0, cores)
        if urgent:
            with suppress(PermissionError):
                os.setpriority(os.PRIO_PROCESS, 0, -15)

    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True,
            start_new_session=True, preexec_fn=prepare, cwd=cwd)  # noqa: PLW1509
        try:
            yield process
        finally:
            stop(process, grace)


def stop(process: subprocess.Popen[str], grace: float = 3.0) -> None:
    """SIGCONT and SIGTERM to the whole group, SIGKILL to what is left after `grace` seconds."""
    for number in (signal.SIGCONT, signal.SIGTERM):
        _signal_group(process, number)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _signal_group(process, signal.SIGKILL)
        process.wait(5)


def _signal_group(process: subprocess.Popen[str], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


# --- SIPp ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SippStats:
    """The last row of SIPp's statistics file."""

    created: int
    successful: int
    failed: int
    retransmissions: int
    unexpected: int


@dataclass(slots=True)
class Sipp:
    """A running SIPp."""

    process: subprocess.Popen[str]
    port: int
    stats_file: Path
    errors: Path

    def stats(self) -> SippStats:
        """Read the newest complete row; PeerError when there is none yet."""
        text = self.stats_file.read_text() if self.stats_file.exists() else ""
        rows = list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines(), delimiter=";"))
        if not rows:
            raise PeerError(f"SIPp wrote no statistics; its log: {self.log()}")
        row = rows[-1]
        return SippStats(
            created=int(row["TotalCallCreated"]), successful=int(row["SuccessfulCall(C)"]),
            failed=int(row["FailedCall(C)"]), retransmissions=int(row["Retransmissions(C)"]),
            unexpected=int(row.get("OutOfCallMsgs(C)") or 0))

    def log(self) -> str:
        """Give the end of what SIPp wrote about errors."""
        return self.errors.read_text(errors="replace")[-2000:] if self.errors.exists() else ""

    def wait(self, seconds: float) -> SippStats:
        """Wait until it has ended by itself; give its statistics."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise PeerError(f"SIPp not done within {seconds:g} s: {self.stats()}") from None
        return self.stats()

    def quit(self, seconds: float = 8.0) -> SippStats:
        """Ask an answering SIPp to end after its open calls; give its statistics."""
        self.process.send_signal(signal.SIGUSR1)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGUSR1)
            self.process.wait(seconds)
        return self.stats()


def _sipp_command(binary: str, port: int, folder: Path, scenario: str | Path,
                  role: str) -> tuple[list[str], Path, Path]:
    stats, errors = folder / f"sipp-{role}-{port}.csv", folder / f"sipp-{role}-{port}.err"
    which = ["-sf", str(scenario)] if str(scenario).endswith(".xml") else ["-sn", str(scenario)]
    return ([binary, *which, "-i", HOST, "-p", str(port), "-nostdin", "-buff_size", BIG,
             "-trace_stat", "-stf", str(stats), "-fd", "1",
             "-trace_err", "-error_file", str(errors)], stats, errors)


@contextmanager
def sipp_uas(folder: Path, *, port: int | None = None, scenario: str | Path = "uas",
             extra: Sequence[str] = (), binary: str = "sipp",
             cores: set[int] | None = None, urgent: bool = False) -> Iterator[Sipp]:
    """Run an answering SIPp: its built-in `uas` or a scenario file of ours."""
    port = port or free_port()
    command, stats, errors = _sipp_command(binary, port, folder, scenario, "uas")
    with running([*command, *extra], folder / f"sipp-uas-{port}.log", cwd=folder,
                 cores=cores, urgent=urgent) as process:
        wait_until_bound(port, process)
        yield Sipp(process, port, stats, errors)


@contextmanager
def sipp_uac(folder: Path, target: int, *, rate: float, calls: int, port: int | None = None,
             scenario: str | Path = "uac", extra: Sequence[str] = (), binary: str = "sipp",
             open_calls: int = 10_000, cores: set[int] | None = None) -> Iterator[Sipp]:
    """Run a calling SIPp: `calls` calls at `rate` a second to the port; it ends by itself."""
    port = port or free_port()
    command, stats, errors = _sipp_command(binary, port, folder, scenario, "uac")
    limit = int(calls / rate) + 40
    load = [f"{HOST}:{target}", "-r", f"{rate:g}", "-m", str(calls), "-l", str(open_calls),
            "-d", "0", "-timeout", f"{limit}s"]
    with running([*command, *load, *extra], folder / f"sipp-uac-{port}.log", cwd=folder,
                 cores=cores) as process:
        yield Sipp(process, port, stats, errors)


# --- Kamailio -----------------------------------------------------------------------------------


def kamailio_modules() -> Path:
    """Find the folder of Kamailio's modules, whatever the machine's architecture."""
    places = [*Path("/usr/lib").glob("*/kamailio/modules"), Path("/usr/lib/kamailio/modules"),
              Path("/usr/lib64/kamailio/modules"), Path("/usr/local/lib64/kamailio/modules")]
    for place in places:
        if (place / "tm.so").exists():
            return place
    raise PeerError("Kamailio's modules were not found")


@contextmanager
def kamailio(folder: Path, configuration: str, *, port: int | None = None,
             binary: str | None = None, cores: set[int] | None = None,
             workers: int = 1, **values: object) -> Iterator[int]:
    """Run Kamailio on `kamailio/<configuration>.cfg`; yields its port.

    `@NAME@` in the file stands for `values["name"]`; PORT and MODULES are always there. One worker
    keeps messages in order; with two, a message may overtake the one before it, as on a network.
    """
    port = port or free_port()
    words = {"port": port, "modules": f"{kamailio_modules()}/", **values}
    text = (HERE / "kamailio" / f"{configuration}.cfg").read_text()
    for name, value in words.items():
        text = text.replace(f"@{name.upper()}@", str(value))
    left = re.findall(r"@[A-Z_]+@", text)
    if left:
        raise PeerError(f"{configuration}.cfg needs values for {', '.join(sorted(set(left)))}")
    config = folder / f"kamailio-{port}.cfg"
    config.write_text(text)
    log = folder / f"kamailio-{port}.log"
    program = binary or shutil.which("kamailio") or "/usr/sbin/kamailio"
    command = [program, "-f", str(config), "-DD", "-E", "-m", "256", "-M", "32", "-b", str(BIG),
               "-n", str(workers), "-Y", str(folder)]
    with running(command, log, cwd=folder, cores=cores, grace=5.0) as process:
        try:
            wait_until_bound(port, process)
            wait_for(lambda: _answers(port), 10, f"Kamailio on {port}")
        except PeerError as error:
            raise PeerError(f"{error}: {log.read_text(errors='replace')[-2000:]}") from None
        yield port


def _answers(port: int) -> bool:
    """Ask with OPTIONS whether a SIP server is awake."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        mine = probe.getsockname()[1]
        probe.connect((HOST, port))
        key = f"{random.getrandbits(64):016x}"
        probe.send((
            f"OPTIONS sip:{HOST}:{port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {HOST}:{mine};branch=z9hG4bK{key}\r\n"
            f"Max-Forwards: 5\r\nFrom: <sip:probe@{HOST}>;tag={key}\r\nTo: <sip:{HOST}:{port}>\r\n"
            f"Call-ID: {key}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n").encode())
        probe.settimeout(0.3)
        try:
            return probe.recv(2000).startswith(b"SIP/2.0 ")
        except OSError:
            return False


# --- a capture ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Capture:
    """A capture under way; after the context its counts are known."""

    file: Path
    ports: tuple[int, ...]
    captured: int = 0
    dropped: int = 0


@contextmanager
def capture(folder: Path, *ports: int, name: str = "capture", seconds: int = 180,
            binary: str = "dumpcap") -> Iterator[Capture]:
    """Record every UDP datagram from or to one of the ports on loopback.

    A sender that hands trains of datagrams to the kernel (UDP GSO) must not do so here: on
    loopback the tap sees the train in one piece.
    """
    taken = Capture(folder / f"{name}.pcapng", ports)
    log = folder / f"{name}.log"
    what = " or ".join(f"port {port}" for port in ports)
    command = [binary, "-i", "lo", "-f", f"udp and ({what})", "-w", str(taken.file), "-B", "128",
               "-s", "4096", "-a", f"duration:{seconds}", "-q"]
    with running(command, log) as process:
        def ready() -> bool:
            if process.poll() is not None:
                raise PeerError(f"dumpcap ended: {log.read_text(errors='replace')}")
            return "File:" in log.read_text(errors="replace")
        wait_for(ready, 10, "dumpcap")
        yield taken
        time.sleep(0.3)  # what is still in the kernel's buffer
        process.send_signal(signal.SIGINT)
        process.wait(20)
    said = log.read_text(errors="replace")
    counts = re.search(r"received/dropped on interface '[^']*': (\d+)/(\d+)", said)
    if counts is None:
        raise PeerError(f"dumpcap did not report: {said}")
    taken.captured, taken.dropped = int(counts[1]), int(counts[2])


def tshark(file: Path, ports: Sequence[int], *arguments: str, binary: str = "tshark") -> str:
    """Give tshark's output on a capture, every port decoded as SIP."""
    decode = [word for port in ports for word in ("-d", f"udp.port=={port},sip")]
    # Every SDP here names the same media port: tshark need not look for its streams, call by call.
    done = subprocess.run([binary, "-n", "-o", "sdp.establish_conversation:FALSE", "-r", str(file),
                           *decode, *arguments],
                          capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise PeerError(f"tshark: {done.stderr[-1000:]}")
    return done.stdout


def nothing_malformed(taken: Capture, binary: str = "tshark") -> list[str]:
    """Frames that tshark finds malformed, no SIP, or worth a warning: none are wanted."""
    bad = "_ws.malformed || (sip && (_ws.expert.severity >= 0x600000)) || (udp && !sip && !icmp)"
    shown = tshark(taken.file, taken.ports, "-Y", bad, "-T", "fields", "-e", "frame.number",
                   "-e", "_ws.expert.message", "-e", "_ws.col.Info", binary=binary)
    return [line for line in shown.splitlines() if line.strip()]
