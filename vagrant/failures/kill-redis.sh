#!/bin/sh
# usage: kill-redis.sh
# SIGKILL to the database. It stays dead until heal-all.sh.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 0 ] || usage
inside db kill-unit redis
