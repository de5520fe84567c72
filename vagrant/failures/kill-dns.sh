#!/bin/sh
# usage: kill-dns.sh
# SIGKILL to the name server. It stays dead until heal-all.sh.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 0 ] || usage
inside db kill-unit dns
