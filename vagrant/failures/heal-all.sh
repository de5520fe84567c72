#!/bin/sh
# usage: heal-all.sh
# Undoes what all the others did: every host on and awake, at its own address, its units running, its disk and processors free,
# and the network whole. Does not wait until Locum has brought everything home. Again is no harm.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 0 ] || usage
wire clear
for host in db sds http ftp email; do
    if "$testbed" host is-up "$host"; then
        "$testbed" host thaw "$host" >/dev/null
    else
        power boot "$host"
    fi
    inside "$host" mend "$("$testbed" host address "$host")"
done
