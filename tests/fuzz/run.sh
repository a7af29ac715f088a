#!/usr/bin/env bash
# run.sh LIMIT: fuzz the parser, then the engine, with libFuzzer under ASan and UBSan: for LIMIT
# seconds each (60), or N executions each (-runs=N). FUZZ_TARGETS="parse engine" chooses, FUZZ_QUIET=1
# prints a line for each. It runs in the tree where SLG_BUILD=fuzz was built (`make fuzz`: build/fuzz).
# What is found interesting is kept in FUZZ_OUT (build/fuzz-found) from run to run; an input that
# breaks a promise is left in its folder `crashes`, which the last line names, and is played again by
# FUZZ_TARGETS=engine FUZZ_TRACE=1 run.sh FILE. PYTHON chooses the interpreter, CC another clang.
set -euo pipefail
limit=${1:-60}
[ -f "$limit" ] && limit=$(realpath "$limit")
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
clang=${CC:-clang}
command -v "$clang" >/dev/null || { echo "fuzz: no $clang: apt-get install clang" >&2; exit 1; }
out=$(realpath -m "${FUZZ_OUT:-build/fuzz-found}")
mkdir -p "$out/crashes"

setting() { "$python" -c "import sysconfig; print(sysconfig.get_config_var('$1') or '')"; }
path() { "$python" -c "import sysconfig; print(sysconfig.get_paths()['$1'])"; }
libdir=$(setting LIBDIR)
export PYTHONPATH="$PWD:$(path platlib)" PYTHONDONTWRITEBYTECODE=1
# Small blocks come and go all the time: a small quarantine keeps them in the caches.
export ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=8:allocator_release_to_os_interval_ms=-1
export UBSAN_OPTIONS=print_stacktrace=1

for target in ${FUZZ_TARGETS:-parse engine}; do
    "$clang" -g -O1 -fsanitize=fuzzer,address,undefined -rdynamic "-I$(path include)" \
        "-DENTRY=\"tests.fuzz.slg_fuzz_$target\"" -o "$out/$target" tests/fuzz/harness.c \
        "-L$libdir" "-Wl,-rpath,$libdir" "-lpython$(setting LDVERSION)"
    mkdir -p "$out/found-$target"
    case $limit in
        -*) command=("$limit") ;;
        /*) exec "$out/$target" "$limit" ;;
        *) command=("-max_total_time=$limit") ;;
    esac
    command=("$out/$target" "${command[@]}" "$out/found-$target" "tests/fuzz/seeds/$target"
             -dict=tests/fuzz/sip.dict -max_len=1024 -entropic=0 -timeout=10 -rss_limit_mb=4096
             "-artifact_prefix=$out/crashes/$target-" -print_final_stats=1)
    log=$out/$target.log
    if [ "${FUZZ_QUIET:-}" = 1 ]; then "${command[@]}" >"$log" 2>&1; else
        "${command[@]}" 2>&1 | tee "$log"; fi || {
        [ "${FUZZ_QUIET:-}" = 1 ] && tail -n 60 "$log" >&2
        echo "fuzz: $target failed; the input is in $out/crashes" >&2
        exit 1
    }
    done='^#\([0-9]*\)\tDONE *cov: \([0-9]*\) .*exec\/s: \([0-9]*\).*'
    echo "fuzz: $target: $(sed -n "s/$done/\1 inputs, \3 a second, \2 edges/p" "$log")"
done
