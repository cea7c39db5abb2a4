#!/bin/sh
# Make .venv ready: `setup.sh runtime` for what the gateway needs, `setup.sh dev` for the tests as well.
# `setup.sh litellm` makes .venv-litellm, in which callbacks are tested with the real litellm package.
# `setup.sh native` makes .venv-native, in which mypyc stands for `make native`, with the Python of .venv.
# Installs only what a lock file names, by hash, and only when that lock has changed; otherwise touches no network.
# PYTHON=/path/to/python chooses the interpreter. pip's own settings (index, proxy, certificates) apply.
set -eu
cd "$(dirname "$0")/.."

env=.venv

say() { printf '%s\n' "$*" >&2; }

# Prints "ready", or what is wrong with an interpreter; nothing if it cannot be run.
judge() {
    "$1" -c '
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    print("is Python %d.%d" % sys.version_info[:2])
elif sys.implementation.name != "cpython":
    print("is not CPython")
else:
    try:
        import ensurepip, venv
        print("ready")
    except ImportError:
        print("is Python %d.%d without the venv module" % sys.version_info[:2])
' 2>/dev/null || true
}

# Leaves the first suitable interpreter in $python, or ends with advice.
choose() {
    [ -n "${PYTHON:-}" ] && set -- "$PYTHON"
    seen=
    for python in "$@"; do
        verdict=$(judge "$python")
        [ "$verdict" = ready ] && return
        [ -z "$verdict" ] && [ -n "${PYTHON:-}" ] && verdict="cannot be run"
        [ -n "$verdict" ] && seen="$seen
  $python $verdict"
    done
    say "pointsman needs CPython 3.11, 3.12, 3.13 or 3.14 with its venv module; none was found.${seen:+ Seen:$seen}"
    say "Install one and try again:"
    say "  Debian, Ubuntu   sudo apt install python3 python3-venv"
    say "  Fedora           sudo dnf install python3.13"
    say "  macOS            brew install python@3.13"
    say "  elsewhere        https://www.python.org/downloads/"
    say "or name one that you have: make PYTHON=/path/to/python3.13 …"
    exit 1
}

# An environment whose interpreter has gone, or is another than the one asked for, is made anew.
environment() {
    if [ -x "$env/bin/python" ] && [ "$(judge "$env/bin/python")" = ready ]; then
        [ -z "${PYTHON:-}" ] && return
        version='import sys; print(sys.version)'
        [ "$("$env/bin/python" -c "$version")" = "$("$PYTHON" -c "$version" 2>/dev/null)" ] && return
    fi
    choose python3.14 python3.13 python3.12 python3.11 python3 python
    say "Making $env with $("$python" --version)"
    "$python" -m venv --clear "$env"
}

pip() {
    "$env/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@" && return
    say "The installation did not succeed; what pip says stands above. Once it has, no network is needed any more."
    exit 1
}

# The stamp is a copy of what was installed, so a lock that changed back or was only touched is seen for what it is.
current() { cmp -s "$1" "$env/.installed-$(basename "$1")"; }
stamp() { cp "$1" "$env/.installed-$(basename "$1")"; }

lock() {
    current "$1" && return
    say "Installing $1"
    pip install --require-hashes -r "$1"
    stamp "$1"
}

console_command() {
    current pyproject.toml && return
    pip install --no-index --no-deps --no-build-isolation --editable .
    stamp pyproject.toml
}

case "${1:-}" in
    runtime) environment; lock requirements-build.lock; lock requirements.lock; console_command ;;
    dev) environment; lock requirements-build.lock; lock requirements-dev.lock; console_command ;;
    litellm) env=.venv-litellm; environment; lock requirements-litellm.lock ;;
    native) env=.venv-native; PYTHON=.venv/bin/python; environment; lock requirements-native.lock ;;
    *) say "usage: setup.sh runtime|dev|litellm|native"; exit 2 ;;
esac
