# shellcheck shell=sh
# What the failure scripts share. Each begins with its usage as a comment and sources this; exit status: 0 done, 1 it could not
# be, 2 usage. What was done is one line: the instant by this machine's CLOCK_MONOTONIC (of the host's, for what is done within
# a virtual machine), and what.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
script=$(basename -- "$0")
testbed=$here/../testbed

usage() {
    [ $# -eq 0 ] || echo "$script: $*" >&2
    sed -n '2,/^[^#]/s/^# //p' "$here/$script" >&2
    exit 2
}

# server NAME, machine NAME: a host with an agent, any of the hosts.
machine() {
    case $1 in sds | db | http | ftp | email) ;; *) usage "$1: is no host: one of sds db http ftp email" ;; esac
}
server() {
    case $1 in http | ftp | email) ;; *) usage "$1: has no agent: one of http ftp email" ;; esac
}
seconds() {
    case $1 in '' | . | *[!0-9.]* | *.*.*) usage "$1: is no number of seconds" ;; esac
}

# inside HOST ACT...: done within a host (bed/inside.py).
inside() {
    host=$1
    shift
    "$testbed" on "$host" /usr/bin/python3 -I -S /vagrant/bed/inside.py "$@"
}
# power WHAT HOST, wire WHAT...: done to a host, or to the network, from outside.
power() {
    at=$("$testbed" host "$1" "$2") && echo "$at $2 $1"
}
wire() {
    at=$("$testbed" wire "$@") && echo "$at wire $*"
}
