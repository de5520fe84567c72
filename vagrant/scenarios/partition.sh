#!/usr/bin/env bash
# The link between two hosts is cut, both ways or one way, and mended: no service is lost, whoever the two are.
# usage: partition.sh A B [--one-way]      one way: what A sends to B is lost
source "$(dirname "${BASH_SOURCE[0]}")/stage.sh"

if [[ $# -lt 2 || $# -gt 3 || $1 == "$2" || ${3---one-way} != --one-way ]]; then
    echo "usage: ${0##*/} A B [--one-way], of: sds db http ftp email" >&2
    exit 2
fi
begin "a partition: $*"
unharmed www ftp mail
harm cut-link "$@"
sleep 3 # ten leases of lan
finish
