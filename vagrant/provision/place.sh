#!/bin/sh
# usage: place.sh TREE
# Puts the files of a service, TREE of provision/files/srv, to /srv, readable by all, and makes the directories that its
# program writes to. As root; again is no harm.
set -eu
[ $# -eq 1 ] && [ -d "$1" ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
service=$(basename "$1")
cp -R "$1" /srv/
chmod -R u=rwX,go=rX "/srv/$service"
chown -R root:root "/srv/$service"
