#!/usr/bin/env bash
# run.sh [SECONDS | -runs=N]: fuzz the parser, then the engine, with libFuzzer under ASan and UBSan,
# for SECONDS each (60) or N executions each; FUZZ_TARGETS="parse engine" chooses. It runs in the
# tree where `SLG_BUILD=fuzz` was built (build/fuzz of `make fuzz`). What is found interesting is
# kept in FUZZ_OUT (build/fuzz-found) from run to run; an input that breaks a promise is left in its
# folder `crashes`, which the last line names. PYTHON chooses the interpreter, CC another clang.
set -euo pipefail
limit=${1:-60}
case $limit in -*) ;; *) limit=-max_total_time=$limit ;; esac
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
clang=${CC:-clang}
command -v "$clang" >/dev/null || { echo "fuzz: no $clang: apt-get install clang" >&2; exit 1; }
out=$(realpath -m "${FUZZ_OUT:-build/fuzz-found}")
mkdir -p "$out/crashes"

setting() { "$python" -c "import sysconfig; print(sysconfig.get_config_var('$1') or '')"; }
include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
libdir=$(setting LIBDIR)
site=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["platlib"])')
export PYTHONPATH="$PWD:$site" PYTHONDONTWRITEBYTECODE=1
# Small blocks are freed and taken all the time: a small quarantine keeps them in the caches.
export ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=8:allocator_release_to_os_interval_ms=-1
export UBSAN_OPTIONS=print_stacktrace=1

for target in ${FUZZ_TARGETS:-parse engine}; do
    "$clang" -g -O1 -fsanitize=fuzzer,address,undefined -rdynamic "-I$include" \
        "-DENTRY=\"tests.fuzz.slg_fuzz_$target\"" -o "$out/$target" tests/fuzz/harness.c \
        "-L$libdir" "-Wl,-rpath,$libdir" "-lpython$(setting LDVERSION)"
    mkdir -p "$out/found-$target"
    echo "fuzz: $target, $limit"
    "$out/$target" "$out/found-$target" "tests/fuzz/seeds/$target" -dict=tests/fuzz/sip.dict \
        -max_len=1024 -entropic=0 -timeout=10 -rss_limit_mb=4096 "$limit" -artifact_prefix="$out/crashes/" \
        -print_final_stats=1 -verbosity="${FUZZ_VERBOSITY:-1}" ||
        { echo "fuzz: $target failed; the input is in $out/crashes" >&2; exit 1; }
done
