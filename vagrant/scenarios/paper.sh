#!/usr/bin/env bash
# The paper's section 2 and Fig. 2 (P23 to P25): http dies, its secondary serves and appoints another, http returns and gets www back.
# usage: paper.sh
source "$(dirname "${BASH_SOURCE[0]}")/stage.sh"

begin "Fig. 2: http dies and returns"
stand_in=$(cluster | "$python" -c '
import json, sys
print(next(row["secondary"] for row in json.load(sys.stdin)["services"] if row["name"] == "www"))')
say "Fig. 2a: www is held by http, and $stand_in stands in"
unharmed ftp mail
harm crash-host http
expect "Fig. 2b: $stand_in serves www" 30 held_by www "$stand_in"
expect "and has a secondary of its own" 30 backed
"$root/vagrant/failures/boot-host.sh" http >/dev/null
say "http is switched on"
expect "www is back at http" 90 held_by www http
finish
