#!/bin/sh
# usage: freeze-agent.sh HOST SECONDS
# SIGSTOP to tether, guard and runner of a host, while its services run on; SIGCONT after so many seconds, and then it returns.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 2 ] || usage
server "$1"
seconds "$2"
trap 'inside "$1" continue-agent; exit 1' INT TERM
inside "$1" stop-agent
sleep "$2"
inside "$1" continue-agent
