#!/bin/sh
# Makes the virtual environment $1 with everything that Stanch and its tests need, pinned by constraints.txt.
# Ways, first one that works: the venv module; python3-venv by apt when root; a venv without pip that
# uv or another Python's pip fills (Debian's python3 comes without ensurepip).
set -eu
venv=$1
python=${PYTHON:-python3.11}
command -v "$python" >/dev/null 2>&1 || python=python3
command -v "$python" >/dev/null 2>&1 || {
    echo "Stanch needs Python 3.11 or newer and finds none: apt-get install python3 python3-venv" >&2
    exit 1
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Stanch needs Python 3.11 or newer; '$python' is older. Say: make PYTHON=/path/to/python3.11" >&2
    exit 1
}

install_venv_package() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
    echo "Installing the Debian package python3-venv" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null 2>&1
}

without_pip() {
    "$python" -m venv --without-pip "$venv" 2>/dev/null || return 1
    if command -v uv >/dev/null 2>&1; then
        uv=uv
        return 0
    fi
    # This pip installs into the other environment, where there is none.
    "$python" -m pip --disable-pip-version-check --python "$venv/bin/python" install -q -c constraints.txt uv \
        2>/dev/null
}

uv=""
if ! "$venv/bin/python" -c '' 2>/dev/null; then
    rm -rf "$venv"
    "$python" -m venv "$venv" >/dev/null 2>&1 || {
        rm -rf "$venv"
        { install_venv_package && "$python" -m venv "$venv" >/dev/null 2>&1; } || {
            rm -rf "$venv"
            without_pip || {
                rm -rf "$venv"
                echo "Python's venv module cannot make an environment here: it lacks ensurepip." >&2
                echo "Install the Debian package python3-venv (apt-get install python3-venv) and repeat." >&2
                exit 1
            }
        }
    }
fi
if [ -z "$uv" ] && [ ! -x "$venv/bin/uv" ]; then
    "$venv/bin/python" -m pip install -q --disable-pip-version-check -c constraints.txt uv || true
fi
[ -x "$venv/bin/uv" ] && uv="$venv/bin/uv"
if [ -n "$uv" ]; then
    VIRTUAL_ENV="$venv" "$uv" pip install -q --python "$venv/bin/python" -c constraints.txt -e '.[test]'
else
    echo "uv cannot be had here; pip takes some minutes instead of some seconds" >&2
    "$venv/bin/python" -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[test]'
fi
