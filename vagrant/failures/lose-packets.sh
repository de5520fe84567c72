#!/bin/sh
# usage: lose-packets.sh HOST PERCENT
# Of the packets to and from a host so many in a hundred are lost, at random. 0: none any more.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 2 ] || usage
machine "$1"
case $2 in '' | *[!0-9]* | ????*) usage "$2: is no whole number from 0 to 100" ;; esac
[ "$2" -le 100 ] || usage "$2: is no whole number from 0 to 100"
wire lose "$1" "$2"
