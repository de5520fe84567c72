#!/bin/sh
# usage: crash-host.sh HOST
# A power cut: everything on a host is gone at once. It stays off until boot-host.sh, or heal-all.sh.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 1 ] || usage
machine "$1"
power crash "$1"
