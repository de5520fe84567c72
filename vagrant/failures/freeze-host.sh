#!/bin/sh
# usage: freeze-host.sh HOST SECONDS
# A host stands still for so many seconds, as a virtual machine that is paused; then it goes on, and this returns.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 2 ] || usage
machine "$1"
seconds "$2"
trap 'power thaw "$1"; exit 1' INT TERM
power freeze "$1"
sleep "$2"
power thaw "$1"
