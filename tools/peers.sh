#!/usr/bin/env bash
# The real SIP software that the interop tests talk to, clang for fuzzing, valgrind for counting
# instructions, a browser for the report, an emulator of arm64 for the scanner. Installs what is missing when we may; otherwise says so, and the tests that need it
# are skipped (with CI=true: a failure, but for the emulator).
set -euo pipefail
cd "$(dirname "$0")/.."

modules() { echo /usr/lib/*/kamailio/modules/"$1" /usr/lib/kamailio/modules/"$1"; }
has_module() { local f; for f in $(modules "$1"); do [ -e "$f" ] && return 0; done; return 1; }

missing=()
command -v sipp >/dev/null || missing+=(sip-tester)
if command -v kamailio >/dev/null || [ -x /usr/sbin/kamailio ]; then
    has_module presence.so || missing+=(kamailio-presence-modules)
    has_module outbound.so || missing+=(kamailio-outbound-modules)
    has_module utils.so || missing+=(kamailio-utils-modules)
else
    missing+=(kamailio kamailio-presence-modules kamailio-outbound-modules kamailio-utils-modules)
fi
command -v tshark >/dev/null && command -v dumpcap >/dev/null || missing+=(tshark)
command -v valgrind >/dev/null || missing+=(valgrind)
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
fuzzer() { tools/fuzzers.sh --can; }
fuzzer || missing+=(clang)
wanted=()       # may stay missing
command -v qemu-aarch64 >/dev/null || wanted+=(qemu-user)
command -v ld.lld >/dev/null || wanted+=(lld)
[ $((${#missing[@]} + ${#wanted[@]})) -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "peers: installing ${missing[*]} ${wanted[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    # A package must not start its daemon: the tests run their own, on their own ports.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    install() { apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
    good=1
    apt-get update -qq || good=0
    if ! fuzzer; then       # its runtime library is a package of its own, named by clang's version
        version=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p')
        apt-cache show "libclang-rt-$version-dev" >/dev/null 2>&1 &&
            missing+=("libclang-rt-$version-dev")
    fi
    [ "${#missing[@]}" -eq 0 ] || install "${missing[@]}" || good=0
    [ "${#wanted[@]}" -eq 0 ] || install "${wanted[@]}" || true
    [ "$good" = 1 ] && exit 0
fi
[ "${#missing[@]}" -eq 0 ] && exit 0
echo "peers: not installed: apt-get install ${missing[*]}" >&2
[ "${CI:-}" != true ]
