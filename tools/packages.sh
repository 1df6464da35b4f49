#!/bin/sh
# Installs the Debian packages that the tests and the demo use when root; says what is missing otherwise.
# Nothing of these packages may be started: the tests start their own servers, on loopback.
set -u
missing=""
command -v prometheus >/dev/null 2>&1 || missing="$missing prometheus"
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
command -v prometheus-alertmanager >/dev/null 2>&1 || missing="$missing prometheus-alertmanager"
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
[ -z "$missing" ] && exit 0

install() {
    policy=/usr/sbin/policy-rc.d
    made=""
    # Where there is no policy of the machine's own, forbid the packages to start their services.
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=yes
    fi
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null
    result=$?
    [ -n "$made" ] && rm -f "$policy"
    return $result
}

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Debian packages:$missing"
    install && exit 0
    echo "NOTE: apt-get did not succeed." >&2
fi
{
    echo "NOTE: Debian packages are missing; the tests that need them are skipped, the demo stands in for them:"
    echo "NOTE:   apt-get install --no-install-recommends$missing"
} >&2
exit 0
