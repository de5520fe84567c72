#!/bin/sh
# usage: db.sh NAME=ADDRESS...
# The host db: Redis with a user for the SDS and one for the services' files, and BIND 9 with the zone, which takes updates
# signed with the key locum. Prints the three secrets, one a line: key, value. As root; again keeps secrets and data.
set -eu
# shellcheck source-path=SCRIPTDIR
. "$(dirname -- "$0")/centre.sh"

secrets=/etc/locum/secrets
mkdir -p "$secrets"
chmod 700 "$secrets"
for secret in tsig redis-sds redis-files; do
    [ -s "$secrets/$secret" ] || (umask 077 && head -c 32 /dev/urandom | base64 -w 0 | tr '+/' 'ab' >"$secrets/$secret")
done

# A user for each purpose, none without a password; a write is on disk before it is answered.
# As docs/operations.md has it; client|setinfo is not known to Redis 7.0, and is not missed.
files='+get +set +exists +persist +del +hget +hset +hgetall +hincrby +hdel +lpush +rpop +llen +lrange +sadd +smembers +eval +ping'
umask 027
cat >/etc/redis/users.acl <<ACL
user default off
user sds on >$(cat "$secrets/redis-sds") ~locum:* &* +@all -@admin -@dangerous +info
user files on >$(cat "$secrets/redis-files") resetkeys ~locum:{$cluster}:files:* resetchannels -@all $files
ACL
cat >/etc/redis/redis.conf <<REDIS
bind $db 127.0.0.1
port 6379
aclfile /etc/redis/users.acl
dir /var/lib/redis
appendonly yes
appendfsync always
save ""
daemonize no
logfile ""
REDIS
chown root:redis /etc/redis/users.acl /etc/redis/redis.conf
install -d -o redis -g redis -m 750 /var/lib/redis

cat >/etc/bind/named.conf <<BIND
options {
    directory "/var/cache/bind";
    listen-on { any; };
    listen-on-v6 { none; };
    recursion no;
    dnssec-validation no;
    allow-transfer { none; };
    notify no;
    pid-file none;
};
controls { };
key "locum." { algorithm hmac-sha256; secret "$(cat "$secrets/tsig")"; };
zone "$zone" {
    type primary;
    file "/var/lib/bind/$zone.zone";
    update-policy { grant locum. zonesub ANY; };
};
BIND
chown root:bind /etc/bind/named.conf
umask 022
install -d -o bind -g bind -m 755 /var/cache/bind /var/lib/bind
# The zone is the name server's own from the first update on: it is not written again.
if [ ! -e "/var/lib/bind/$zone.zone" ]; then
    cat >"/var/lib/bind/$zone.zone" <<ZONE
\$TTL 1
@ SOA ns hostmaster 1 3600 600 86400 1
@ NS ns
ns A $db
sds.servers A $sds
db.servers A $db
_locum-sds._tcp SRV 0 0 5750 sds.servers
_locum-sds-updates._tcp SRV 0 0 5751 sds.servers
ZONE
    chown bind:bind "/var/lib/bind/$zone.zone"
fi

unit bed-redis 'The database' /usr/bin/setpriv --reuid redis --regid redis --init-groups /usr/bin/redis-server /etc/redis/redis.conf
unit bed-dns 'The name server' /usr/sbin/named -f -u bind -c /etc/bind/named.conf
for secret in tsig redis-sds redis-files; do
    echo "$secret $(cat "$secrets/$secret")"
done
