#!/bin/sh
# usage: heal-all.sh
# Undoes what all the others did: every host on and awake, at its own address, its units running, its disk and processors free,
# and the network whole. Does not wait until Locum has brought everything home. Again is no harm.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 0 ] || usage
at=$("$testbed" heal)
echo "$at healed"
