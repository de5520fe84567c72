#!/bin/sh
# usage: cut-link.sh A B [--one-way]
# Nothing passes between two hosts any more; with --one-way, nothing from A to B. Hosts: sds db http ftp email client.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 2 ] || { [ $# -eq 3 ] && [ "$3" = --one-way ]; } || usage
for host in "$1" "$2"; do
    [ "$host" = client ] || machine "$host"
done
[ "$1" != "$2" ] || usage "$1: has no link to itself"
wire cut "$@"
