#!/bin/sh
# usage: isolate-host.sh HOST
# A host as if its cable were out: it runs on, and nothing passes to it or from it.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 1 ] || usage
machine "$1"
wire isolate "$1"
