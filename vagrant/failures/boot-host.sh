#!/bin/sh
# usage: boot-host.sh HOST
# Switches a host on that is off. It finds its disk as it was.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 1 ] || usage
machine "$1"
power boot "$1"
