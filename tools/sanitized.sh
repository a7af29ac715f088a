#!/usr/bin/env bash
# sanitized.sh COMMAND...: runs it with AddressSanitizer and UBSan loaded first, as an extension
# module in an interpreter that was built without them needs.
set -euo pipefail
cc=${CC:-cc}
export LD_PRELOAD="$($cc -print-file-name=libasan.so) $($cc -print-file-name=libubsan.so)"
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:abort_on_error=1:strict_string_checks=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
exec "$@"
