#!/bin/sh
# usage: step-clock.sh HOST SECONDS
# Sets a host's wall clock forward, or with a minus back. Refused where the hosts share this machine's clock (netns).
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 2 ] || usage
machine "$1"
seconds "${2#-}"
inside "$1" step-clock "$2"
