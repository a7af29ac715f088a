"""Vector scanning against a plain loop: SSE2 or scalar here, NEON by an emulator of arm64."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECK = Path(__file__).with_name("scan_check.c")
FLAGS = ["-std=gnu11", "-Wall", "-Werror", f"-I{ROOT / 'ext' / 'c'}"]
CC = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
# Ways to make a program for arm64: compiler, its name, options. Clang needs no libc for it.
CROSS = (
    ("aarch64-linux-gnu-gcc", ["-O2", "-static"]),
    ("clang", ["-O2", "--target=aarch64-linux-gnu", "-nostdlib", "-static", "-fuse-ld=lld",
               "-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-DSCAN_ALONE"]),
)


def run(compiler: str, options: list[str], program: Path, *before: str) -> int:
    """Compile the check and run it; its exit status."""
    subprocess.run([compiler, *options, *FLAGS, "-o", program, CHECK], check=True)
    return subprocess.run([*before, program], check=False, timeout=60).returncode


@pytest.mark.parametrize("options", [["-O2"], ["-O2", "-DSLG_SCAN_SCALAR"], ["-O0"]],
                         ids=["vector", "scalar", "plain"])
def test_scanning_here(tmp_path: Path, options: list[str]) -> None:
    assert run(CC, options, tmp_path / "check") == 0


def test_the_check_can_fail(tmp_path: Path) -> None:
    # Signed comparison in place of the unsigned one: octets from 0x80 on would count as small.
    source = (ROOT / "ext" / "c" / "slg_scan.h").read_text()
    assert "a.b[i] <= b.b[i]" in source
    (tmp_path / "slg_scan.h").write_text(
        source.replace("a.b[i] <= b.b[i]", "(int8_t)a.b[i] <= (int8_t)b.b[i]"))
    assert run(CC, ["-O2", "-DSLG_SCAN_SCALAR", f"-I{tmp_path}"], tmp_path / "check") in (4, 5)


def test_scanning_on_arm64(tmp_path: Path) -> None:
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    compilers = [(name, options) for name, options in CROSS if shutil.which(name)
                 and (name != "clang" or shutil.which("ld.lld"))]
    if emulator is None or not compilers:
        pytest.skip("no qemu-user with clang and lld, or aarch64-linux-gnu-gcc: tools/peers.sh")
    name, options = compilers[0]
    if name == "clang":     # <string.h> of arm64 without an arm64 libc
        (tmp_path / "string.h").write_text(
            "#include <stddef.h>\n"
            "void *memcpy(void *to, const void *from, size_t n);\n"
            "void *memset(void *to, int c, size_t n);\n")
        options = [*options, f"-I{tmp_path}"]
    assert run(name, options, tmp_path / "check", emulator) == 0
