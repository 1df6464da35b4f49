#!/bin/sh
# Installs the Debian packages that the tests and the demo use when root; says what is missing otherwise.
set -u
missing=""
[ -x /usr/bin/prometheus ] || missing="$missing prometheus"
[ -x /usr/bin/prometheus-alertmanager ] || missing="$missing prometheus-alertmanager"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Debian packages:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # No daemon of these packages may start by itself: the tests start their own, on loopback.
    # shellcheck disable=SC2086
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null && exit 0
fi
echo "NOTE: these Debian packages are missing, so the parts that need them are skipped:$missing" >&2
echo "      apt-get install --no-install-recommends$missing" >&2
exit 0
