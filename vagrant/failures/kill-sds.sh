#!/bin/sh
# usage: kill-sds.sh
# SIGKILL to the Service Description Server. It stays dead until heal-all.sh.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 0 ] || usage
inside sds kill-unit sds
