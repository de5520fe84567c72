# shellcheck shell=bash
# What every scenario does: put the probers to work, do harm, wait for what must come, and judge.  Sourced, never run.
#
#   begin "what is to be shown"      the bed is up and whole; probers start in `client`
#   harm NAME ARGS...                vagrant/failures/NAME.sh ARGS, and when it was
#   expect "words" SECONDS CMD...    wait until CMD succeeds, and say after how long
#   unharmed SERVICE...              no request to these may fail from here on
#   finish                           heal, see all at home again, judge what the probers saw; its exit status is the scenario's
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${LOCUM_PYTHON:-$root/.venv/bin/python}
zone=${LOCUM_ZONE:-testbed.locum.test}
seen=$(mktemp -d "${TMPDIR:-/tmp}/locum-scenario.XXXXXX")
probers=() holds=() spared=()
since=0 started=0 done=

testbed() { "$root/vagrant/testbed" "$@"; }
address() { testbed host address "$1"; }
# Since boot, as CLOCK_MONOTONIC counts it on a machine that was never suspended; to the hundredth is enough for telling.
now() { read -r up _ </proc/uptime && echo "$up"; }
say() { printf '%8.2f  %s\n' "$(awk -v now="$(now)" -v then="$started" 'BEGIN { print now - then }')" "$*"; }

# The cluster, as its SDS sees it.
cluster() { testbed on sds locum status --json; }
service_is() { cluster | "$python" -c '
import json, sys
name, field, wanted = sys.argv[1:]
row = next(row for row in json.load(sys.stdin)["services"] if row["name"] == name)
sys.exit(str(row[field]) != wanted)' "$1" "$2" "$3" 2>/dev/null; }
held_by() { service_is "$1" holder "$2" && service_is "$1" state serving; }
backed() { cluster | "$python" -c '
import json, sys
rows = json.load(sys.stdin)["services"]
sys.exit(not all(row["state"] == "serving" and row["secondary"] for row in rows))' 2>/dev/null; }

# One client by name and one prober of all hosts for a service; their output is what the verdict reads.
probe() {
    local service=$1 port=$2 speech=$3 asks=$4 knocks=$5 host addresses=() fd
    for host in http ftp email; do addresses+=(--knock "$(address "$host")"); done
    local client=(--name "$service.$zone." --at "$(address db)" 53)
    for kind in client direct; do
        local ask=("${client[@]}") every=$asks
        if [[ $kind == direct ]]; then ask=("${addresses[@]}") every=$knocks; fi
        mkfifo "$seen/$service.$kind.hold"
        testbed client env PYTHONPATH="$root" "$python" -P -m bench.prober "$port" --every "$every" --speech "$speech" "${ask[@]}" \
            <"$seen/$service.$kind.hold" >"$seen/$service.$kind" 2>>"$seen/probers.log" &
        probers+=($!)
        exec {fd}>"$seen/$service.$kind.hold"
        holds+=("$fd")
    done
}

# Their input is closed, and they end by themselves.
end_probers() {
    local fd pid
    for fd in "${holds[@]}"; do exec {fd}>&-; done
    for pid in "${probers[@]}"; do wait "$pid" || say "a prober ended with $?: $(tail -n 1 "$seen/probers.log")"; done
    holds=() probers=()
}

leave() {
    local code=$?
    trap - EXIT
    "$root/vagrant/failures/heal-all.sh" >/dev/null || true
    end_probers
    if ((code)); then echo "kept for a look: $seen" >&2; else rm -rf "$seen"; fi
    exit "$code"
}

begin() {
    started=$(now)
    trap leave EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    echo "== $*"
    "$root/vagrant/failures/heal-all.sh" >/dev/null
    expect "all at home, with secondaries" 90 brought_home
    # vsftpd and Postfix fork for every guest: asked as often as nginx they would keep the machine busy, not tell more.
    probe www 80 page 0.01 0.005
    probe ftp 21 greeting 0.05 0.02
    probe mail 25 greeting 0.05 0.02
    expect "clients are served" 60 answered
    since=$(now)
}

harm() {
    local name=$1
    shift
    done=$("$root/vagrant/failures/$name.sh" "$@")
    since=${done%% *} # by CLOCK_MONOTONIC, as the probers' instants
    say "harm: $name $*"
}

expect() {
    local words=$1 within=$2 began until
    shift 2
    began=$SECONDS until=$((SECONDS + within))
    until "$@"; do
        if ((SECONDS >= until)); then
            say "NOT within $within s: $words"
            testbed status || true
            exit 1
        fi
        sleep 0.1
    done
    say "$words (after $((SECONDS - began)) s)"
}

# A service that keeps leaving home is failed back ever later; between two scenarios it is ordered home.
brought_home() { testbed home >/dev/null; }
answered() {
    local service
    for service in www ftp mail; do [[ -s $seen/$service.client && -s $seen/$service.direct ]] || return 1; done
}
unharmed() { spared+=("$@"); }

finish() {
    local host word=()
    "$root/vagrant/failures/heal-all.sh" >/dev/null
    expect "all at home again" 120 brought_home
    sleep 1 # what went wrong late is to be seen too
    end_probers
    for host in http ftp email; do word+=(--host "$host=$(address "$host")"); done
    for service in ${spared[@]+"${spared[@]}"}; do word+=(--unharmed "$service"); done
    PYTHONPATH="$root" "$python" -P -m bench.verdict "$seen" --since "$since" "${word[@]}"
    cluster | "$python" -c '
import json, sys
for row in json.load(sys.stdin)["services"]:
    print("{name}: epoch {epoch}, held by {holder}, secondary {secondary}".format_map(row))'
}
