"""What this host can and cannot do for a run, with the command that mends it."""

import os
import resource
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from siploadgen.units import SOCKET_BUFFER

WANTED_FILES = 1024
WANTED_PORTS = 10_000
UDP_SEGMENT = 103  # linux/udp.h
UDP_GRO = 104
_GOOD_CLOCKS = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: what was found, whether it will do, and what mends it."""

    name: str
    found: str
    ok: bool
    mend: str = ""


def read_text(path: str) -> str:
    """Text of a file of the kernel, stripped; empty when it is not there."""
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def check_files() -> Finding:
    """Look at the limit on open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    infinite = resource.RLIM_INFINITY
    return Finding("open files", f"{soft} (at most {'unlimited' if hard == infinite else hard})",
                   soft == infinite or soft >= WANTED_FILES, f"ulimit -n {WANTED_FILES}")


def check_buffer(name: str, read: Callable[[str], str] = read_text) -> Finding:
    """Look at the largest socket buffer, `rmem_max` or `wmem_max`, in octets."""
    text = read(f"/proc/sys/net/core/{name}")
    size = int(text) if text.isdigit() else 0
    return Finding(f"net.core.{name}", f"{size:,}" if size else "not readable",
                   size >= SOCKET_BUFFER, f"sysctl -w net.core.{name}={SOCKET_BUFFER}")


def check_ports(read: Callable[[str], str] = read_text) -> Finding:
    """Look at the range of ports that the system chooses from."""
    parts = read("/proc/sys/net/ipv4/ip_local_port_range").split()
    if len(parts) != 2:
        return Finding("local ports", "not readable", True)
    low, high = int(parts[0]), int(parts[1])
    return Finding("local ports", f"{low}-{high}", high - low >= WANTED_PORTS,
                   'sysctl -w net.ipv4.ip_local_port_range="15000 64999"')


def check_clock(read: Callable[[str], str] = read_text) -> Finding:
    """Look at the clock source: one that costs a system call makes time stamps dear."""
    path = "/sys/devices/system/clocksource/clocksource0/"
    current = read(path + "current_clocksource")
    available = read(path + "available_clocksource").split()
    if not current:
        return Finding("clock source", "not readable", True)
    better = next((name for name in _GOOD_CLOCKS if name in available), "")
    mend = f"echo {better} > {path}current_clocksource" if better else \
        "ask whoever runs the host for a faster clock source"
    return Finding("clock source", current, current in _GOOD_CLOCKS, mend)


def check_offload(name: str, option: int, value: int) -> Finding:
    """Try a UDP socket option: GSO (one system call sends many datagrams) or GRO."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(socket.IPPROTO_UDP, option, value)
        except OSError as error:
            return Finding(name, f"no ({error.strerror})", False,
                           "use Linux 5.0 or later; --gso off works everywhere")
    return Finding(name, "yes", True)


def check_cores() -> Finding:
    """Look at the cores that this process may use."""
    cores = len(os.sched_getaffinity(0))
    return Finding("cores", str(cores), cores >= 2,
                   "give the process two cores: one for an engine, one for everything else")


def check_governor(read: Callable[[str], str] = read_text) -> Finding:
    """Look at the frequency governor: one that saves power makes late starts."""
    governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return Finding("CPU governor", governor or "none", governor in ("", "performance", "schedutil"),
                   "cpupower frequency-set -g performance")


def examine() -> list[Finding]:
    """Look at everything."""
    return [check_files(), check_buffer("rmem_max"), check_buffer("wmem_max"), check_ports(),
            check_clock(), check_offload("UDP GSO", UDP_SEGMENT, 0),
            check_offload("UDP GRO", UDP_GRO, 1), check_cores(), check_governor()]
