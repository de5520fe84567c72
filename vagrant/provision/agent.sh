#!/bin/sh
# usage: agent.sh NAME ADDRESS < TOKEN
# An application server: joins the cluster with a token, which is wanted the first time, and is the home of its service: the
# description is in files/services, and what it needs on disk in files/srv. As root; again keeps its key.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
[ $# -eq 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
# shellcheck source-path=SCRIPTDIR
. "$here/unit.sh"
name=$1 address=$2
settings=/etc/locum/agent.toml

# A host may be moved to another address: what counts is the interface (P20).
interface=$(ip -o -4 address show | awk -v address="$address" '{ split($4, part, "/"); if (part[1] == address) print $2 }')
[ "$interface" ] || { echo "agent.sh: no interface of this host has $address" >&2; exit 1; }

if [ ! -e "$settings.joined" ]; then
    rm -f "$settings"
    /opt/locum/bin/locum join - --name "$name" --address "interface:$interface" >/dev/null
    cp "$settings" "$settings.joined"
fi

# The settings are those of the join, with the load of a host among several on one machine, and the service.
if [ -d /run/systemd/system ]; then
    load='load = "host"'
else
    install -D -m 755 "$here/files/load-of-host" /usr/local/lib/locum/load-of-host
    load='load = "none"\nload_command = ["/usr/local/lib/locum/load-of-host"]\nload_command_every_s = 1'
fi
case $name in
    http) service=www ;;
    ftp) service=ftp ;;
    email) service=mail ;;
    *) service= ;;
esac
{
    sed "s|^load = .*|$load|; s|^timing = .*|timing = \"${LOCUM_TIMING:-lan}\"|" "$settings.joined"
    [ -z "$service" ] || cat "$here/files/services/$service.toml"
} >"$settings.new"

# At its home a service's files lie on the disk; the other servers get them from the database of files (P4).
[ -z "$service" ] || "$here/place.sh" "$here/files/srv/$service"
/opt/locum/bin/locum agent --config "$settings.new" --check >/dev/null
mv "$settings.new" "$settings"
if [ -d /run/systemd/system ]; then
    started locum-agent
else
    unit locum-agent 'Locum agent' /opt/locum/bin/locum agent --config "$settings"
fi
