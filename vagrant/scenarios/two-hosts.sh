#!/usr/bin/env bash
# Two hosts die at once; what can be decided without them goes on, and all come back.
# usage: two-hosts.sh HOST HOST
source "$(dirname "${BASH_SOURCE[0]}")/stage.sh"

if [[ $# -ne 2 || $1 == "$2" ]]; then
    echo "usage: ${0##*/} HOST HOST, two of: sds db http ftp email" >&2
    exit 2
fi
begin "two hosts die at once: $1 and $2"
harm crash-host "$1"
"$root/vagrant/failures/crash-host.sh" "$2" >/dev/null
say "both are dead"
sleep 3 # ten leases of lan: what can be decided without them is
"$root/vagrant/failures/boot-host.sh" "$1" >/dev/null
"$root/vagrant/failures/boot-host.sh" "$2" >/dev/null
say "both are switched on"
expect "all is served, with secondaries" 90 backed
finish
