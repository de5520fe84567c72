#!/bin/sh
# usage: load-host.sh HOST LEVEL|off
# That part (0 to 1) of all cores of a host is busy, really, until it is off.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 2 ] || usage
machine "$1"
case $2 in off | 0 | 1 | 1.0 | 0.[0-9]*) ;; *) usage "$2: is no number from 0 to 1" ;; esac
inside "$1" load "$2"
