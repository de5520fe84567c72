#!/bin/sh
# usage: kill-agent.sh HOST
# SIGKILL to tether, guard and runner of a host at once. The host starts its agent again after two seconds.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 1 ] || usage
server "$1"
inside "$1" kill-agent all
