#!/bin/sh
# usage: move-host.sh HOST NEW-ADDRESS
# A server is at another address of the bed's network from now on (P20). heal-all.sh moves it back.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 2 ] || usage
server "$1"
own=$("$testbed" host address "$1")
case $2 in "${own%.*}".[0-9] | "${own%.*}".[0-9][0-9] | "${own%.*}".[0-9][0-9][0-9]) ;; *) usage "$2: is no address of ${own%.*}.0/24" ;; esac
inside "$1" move "$2"
