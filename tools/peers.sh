#!/usr/bin/env bash
# The real SIP software that the interop tests talk to. Installs what is missing when we may;
# otherwise says so, and the tests that need it are skipped (with CI=true: a failure).
set -euo pipefail

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
[ "${#missing[@]}" -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "peers: installing ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    # A package must not start its daemon: the tests run their own, on their own ports.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    if apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    then
        exit 0
    fi
fi
echo "peers: not installed: apt-get install ${missing[*]}" >&2
[ "${CI:-}" != true ]
