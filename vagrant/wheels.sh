#!/bin/sh
# usage: wheels.sh DIR [--for-debian-12]
# Builds Locum's wheel from this checkout into DIR and puts the wheels of all that it needs beside it, so that a host
# installs it without a network. For this machine's /usr/bin/python3, or for Debian 12's (3.11, x86_64).
# Nothing is done if DIR has them already. Exit status: 0 done, 1 it could not be, 2 usage.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
usage() {
    sed -n '2,5s/^# //p' "$0" >&2
    exit 2
}
[ $# -ge 1 ] && [ $# -le 2 ] && [ "${2---for-debian-12}" = --for-debian-12 ] || usage
case $1 in -*) usage ;; esac
mkdir -p "$1"
to=$(CDPATH='' cd -- "$1" && pwd -P)
debian=${2-}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
mkdir "$work/source"
tar -C "$here" --exclude='./.[!.]*' --exclude=./vagrant --exclude=./tests --exclude=./docs --exclude=./bench \
    --exclude='*/node_modules' --exclude=__pycache__ --exclude=./build --exclude='*.egg-info' -cf - . | tar -C "$work/source" -xf -
find "$work/source" -type f -exec sha256sum {} + | sed "s|$work/source/||" | sort | sha256sum | cut -c 1-16 >"$work/locum"
{ cat "$here/requirements.txt" && /usr/bin/python3 -V && echo "$debian"; } | sha256sum | cut -c 1-16 >"$work/needs"

python=$work/build/bin/python
builder() {
    [ -x "$python" ] || { /usr/bin/python3 -m venv "$work/build" && "$python" -m pip install -qq --disable-pip-version-check --retries 1 --timeout 20 'pip>=24' 'setuptools>=77' wheel; }
}
# Twice quiet: a mistake is still said.
pip() { "$python" -m pip -qq --disable-pip-version-check --retries 1 --timeout 20 "$@"; }

if ! cmp -s "$work/needs" "$to/.needs"; then
    builder
    rm -f "$to"/*.whl "$to/.locum"
    if [ "$debian" ]; then
        # What has no wheel is built here: it is pure Python.
        grep -v '^pyftpdlib' "$here/requirements.txt" >"$work/with-wheels"
        grep '^pyftpdlib' "$here/requirements.txt" >"$work/without" || :
        pip download -d "$to" --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none \
            --platform manylinux2014_x86_64 --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 \
            --platform manylinux_2_5_x86_64 --platform manylinux1_x86_64 -r "$work/with-wheels"
        pip wheel -w "$work/built" -r "$work/without"
        for wheel in "$work"/built/pyftpdlib-*.whl "$work"/built/*-none-any.whl; do
            [ ! -e "$wheel" ] || cp -n "$wheel" "$to/"
        done
    else
        pip wheel -w "$to" -r "$here/requirements.txt"
    fi
    cp "$work/needs" "$to/.needs"
fi
if ! cmp -s "$work/locum" "$to/.locum"; then
    builder
    rm -f "$to"/locum-*.whl
    pip wheel --no-deps --no-build-isolation -w "$to" "$work/source"
    cp "$work/locum" "$to/.locum"
fi
