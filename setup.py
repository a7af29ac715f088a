"""Build of the compiled core. SLG_BUILD={release,debug,asan,fuzz,cov} chooses the kind of build;
`none` leaves the core out (installing the command and the dependencies, before `make build`)."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

CORE = "siploadgen.core."
# module below siploadgen.core -> libraries that it links with
MODULES: dict[str, tuple[str, ...]] = {
    "memory": (),
    "slab": (),
    "wheel": (),
    "hist": (),
    "ring": (),
    "rand": ("m",),
    "table": (),
    "texts": (),
    "counters": (),
    "program": (),
    "sip.tokens": (),
    "sip.parse": (),
    "sip.validate": (),
    "sip.stamp": (),
    "sip.digest": ("crypto",),
    "sip.aka": ("crypto",),
    "net.outbox": (),
    "net.udp": (),
    "tape": (),
    "tx": (),
    "user": (),
    "measure": (),
    "auth": ("crypto",),
    "targets": (),
    "overload": (),
    "dialog": (),
    "plain": (),
    "registrar": (),
    "departure": (),
    "outgoing": (),
    "capture": (),
    "shared": (),
    "pattern": (),
    "hook": (),
    "refuse": (),
    "stun": (),
    "failover": (),
    "vm": ("m",),
    "ahead": (),
    "feed": (),
    "advance": (),
    "loop": (),
    "engine": (),
}

HARNESSES = ("slg_fuzz_parse", "slg_fuzz_engine")      # SLG_BUILD=fuzz only

KINDS = {
    "release": (["-O3", "-g1"], []),
    "debug": (["-O0", "-g", "-DSLG_DEBUG=1"], []),
    "asan": (
        ["-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-DSLG_DEBUG=1"],
        ["-fsanitize=address,undefined"],
    ),
    # For clang: libFuzzer's counters (without its hooks in comparisons, which cost half the speed),
    # and overflow, which Python's own -fwrapv would hide.
    "fuzz": (
        ["-O2", "-g1", "-fno-omit-frame-pointer", "-fno-wrapv", "-fno-sanitize-recover=all",
         "-fsanitize=address,undefined",
         "-fsanitize-coverage=inline-8bit-counters,pc-table",
         "-fsanitize-coverage-allowlist=tests/fuzz/covered.txt",
         "-fno-sanitize=null,object-size,pointer-overflow",     # ASan sees these; half the time
         "-DSLG_DEBUG=1", "-Wno-unreachable-code", "-Wno-deprecated-declarations"],
        ["-fsanitize=address,undefined"],
    ),
    "cov": (["-O0", "-g", "--coverage", "-DSLG_DEBUG=1"], ["--coverage"]),
}
COMMON = ["-std=gnu11", "-fvisibility=hidden", "-fno-semantic-interposition", "-Iext/c",
          "-Wall", "-Wno-unused-function", "-Wno-unused-variable", "-Wno-cpp"]


def require() -> None:
    """Stop with one line that names the package when the machine lacks a tool or a header."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        sys.exit(f"siploadgen: no C compiler ({compiler}): apt-get install gcc")
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        sys.exit("siploadgen: no Python.h: apt-get install python3-dev")
    places = [Path("/usr/include"), Path("/usr/local/include"), Path(sys.prefix, "include"),
              *(Path(p) for p in os.environ.get("CPATH", "").split(":") if p)]
    if not any((place / "openssl" / "evp.h").exists() for place in places):
        sys.exit("siploadgen: no openssl/evp.h: apt-get install libssl-dev")


def extensions() -> list[Extension]:
    kind = os.environ.get("SLG_BUILD", "release")
    if kind == "none":
        return []
    if kind not in KINDS:
        sys.exit(f"siploadgen: SLG_BUILD={kind}: choose one of {', '.join(KINDS)}")
    compile_args, link_args = KINDS[kind]
    if os.environ.get("SLG_NATIVE") == "1":
        compile_args = [*compile_args, "-march=native"]
    headers = [str(p) for p in Path("ext/c").glob("*.h")]
    chosen = {CORE + name: (f"ext/siploadgen/core/{name.replace('.', '/')}.pyx", libraries)
              for name, libraries in MODULES.items()}
    if kind == "fuzz":
        del chosen[CORE + "engine"]             # its harness, the longest of all, includes it
        chosen |= {f"tests.fuzz.{name}": (f"tests/fuzz/{name}.pyx", ()) for name in HARNESSES}
    # The longest first: no core is idle while another still compiles it.
    ordered = sorted(chosen.items(), key=lambda item: (not item[0].endswith("engine"),
                                                       -Path(item[1][0]).stat().st_size))
    return [
        Extension(name, [source], libraries=list(libraries), depends=headers,
                  extra_compile_args=[*COMMON, *compile_args], extra_link_args=link_args)
        for name, (source, libraries) in ordered
    ]


if __name__ == "__main__":
    require()
    setup(ext_modules=cythonize(
        extensions(),
        include_path=["ext"],
        build_dir="build/cython",       # the same C for every kind: tools/mirror.sh takes it along
        emit_linenums=True,
        nthreads=int(os.environ.get("SLG_JOBS", "0")),
        compiler_directives={
            "language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True,
            "initializedcheck": False, "embedsignature": True, "freethreading_compatible": True,
        },
    ))
