#!/bin/sh
# usage: fill-disk.sh HOST
# Not a byte is free on a host's disk any more, until heal-all.sh.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 1 ] || usage
machine "$1"
inside "$1" fill
