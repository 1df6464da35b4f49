#!/bin/sh
# Makes the virtual environment $1 with everything that Stanch and its tests need, pinned by constraints.txt.
set -eu
venv=$1
python=${PYTHON:-python3.11}
command -v "$python" >/dev/null 2>&1 || python=python3
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Stanch needs Python 3.11 or newer; '$python' is older. Set PYTHON=/path/to/python3.11." >&2
    exit 1
}
if [ ! -x "$venv/bin/python" ]; then
    "$python" -m venv "$venv" 2>/dev/null || {
        rm -rf "$venv"
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >&2
            "$python" -m venv "$venv"
        else
            echo "The Python module 'venv' is missing: install the Debian package python3-venv." >&2
            exit 1
        fi
    }
fi
if [ ! -x "$venv/bin/uv" ]; then
    "$venv/bin/python" -m pip install -q --disable-pip-version-check -c constraints.txt uv || true
fi
if [ -x "$venv/bin/uv" ]; then
    VIRTUAL_ENV="$venv" "$venv/bin/uv" pip install -q --python "$venv/bin/python" -c constraints.txt -e '.[test]'
else
    "$venv/bin/python" -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[test]'
fi
