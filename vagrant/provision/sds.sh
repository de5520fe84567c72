#!/bin/sh
# usage: sds.sh NAME=ADDRESS... < SECRETS
# The host sds: the Service Description Server, with its table in the Redis of db. SECRETS are what db.sh printed.
# As root; again keeps the keys.
set -eu
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/centre.sh"

cd /etc/locum
umask 077
while read -r name value; do
    case $name in
        tsig) echo "$value" >tsig.secret ;;
        redis-sds) redis=$value ;;
        redis-files) echo "$value" >files.password ;;
    esac
done
[ -s tsig.secret ] && [ -s files.password ] && [ "${redis-}" ] || { echo "sds.sh: the secrets of db.sh are wanted on standard input" >&2; exit 2; }
for who in sds operator; do
    [ -s "$who.key" ] || /opt/locum/bin/python -c 'import sys; from pathlib import Path; from bus.keys import make; make(Path(sys.argv[1]))' "$who.key"
done
printf '[operators]\noperator = "%s"\n' "$(cat operator.key.pub)" >trust.toml
cat >sds.toml <<SDS
cluster = "$cluster"
name = "sds"
address = "$sds"
state_dir = "/var/lib/locum-sds"
key_file = "/etc/locum/sds.key"
trust_file = "/etc/locum/trust.toml"
store = "redis://sds:$redis@$db:6379/0"
timing = "${LOCUM_TIMING:-lan}"

[joiners.dns]
server = "$db"
zone = "$zone"
key_name = "locum."
key_secret_file = "/etc/locum/tsig.secret"

[joiners.files]
url = "redis://files@$db:6379/0"
password_file = "/etc/locum/files.password"
SDS
mkdir -p /var/lib/locum-sds
# What the operator's shell must know; `locum` on this host reads it by itself.
cat >operator.env <<ENV
export LOCUM_SDS=$sds LOCUM_CLUSTER=$cluster LOCUM_AS=operator LOCUM_KEY=/etc/locum/operator.key LOCUM_SDS_KEY=/etc/locum/sds.key.pub
ENV
rm -f /usr/local/bin/locum
printf '#!/bin/sh\n. /etc/locum/operator.env\nexec /opt/locum/bin/locum "$@"\n' >/usr/local/bin/locum
chmod 755 /usr/local/bin/locum
/opt/locum/bin/locum sds --config /etc/locum/sds.toml --check >/dev/null
unit locum-sds 'Locum SDS' /opt/locum/bin/locum sds --config /etc/locum/sds.toml
