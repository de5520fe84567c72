#!/bin/sh
# usage: kill-runner.sh HOST
# SIGKILL to the runner of a host. Its tether starts another, which adopts what runs.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 1 ] || usage
server "$1"
inside "$1" kill-agent runner
