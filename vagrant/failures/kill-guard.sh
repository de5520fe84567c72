#!/bin/sh
# usage: kill-guard.sh HOST
# SIGKILL to the guard of a host. Its tether ends what runs there and starts another.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 1 ] || usage
server "$1"
inside "$1" kill-agent guard
