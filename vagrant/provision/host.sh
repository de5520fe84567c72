#!/bin/sh
# usage: host.sh NAME NAME=ADDRESS...
# This host's name, the names of all hosts, and the name server that it asks: the host db. As root; again is no harm.
set -eu
[ $# -ge 2 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
zone=testbed.locum.test
name=$1
shift

{
    echo "127.0.0.1 localhost"
    for entry; do
        echo "${entry#*=} ${entry%%=*}"
    done
} >/etc/hosts
for entry; do
    case $entry in db=*) db=${entry#*=} ;; esac
done
[ "${db-}" ] || { echo "host.sh: no address of db is given: db=ADDRESS" >&2; exit 2; }

echo "$name" >/etc/hostname
[ "$(hostname)" = "$name" ] || hostname "$name"
# What the services greet with (vsftpd's banner_file): their configuration is the same on every host.
echo "server=$name" >/etc/locum/banner
[ ! -L /etc/resolv.conf ] || rm /etc/resolv.conf
printf 'search %s\nnameserver %s\noptions timeout:1 attempts:2\n' "$zone" "$db" >/etc/resolv.conf
