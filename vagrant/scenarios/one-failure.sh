#!/usr/bin/env bash
# One failure while clients keep asking: what nobody may notice, and what must come back.
# usage: one-failure.sh NAME     one-failure.sh --list
source "$(dirname "${BASH_SOURCE[0]}")/stage.sh"

# name: what is done; `-` and who must notice nothing; `:` and the words of the harm
failures='
service-killed    - ftp mail     : kill-service http www
agent-killed      - ftp mail     : kill-agent http
guard-killed      - ftp mail     : kill-guard http
runner-killed     - www ftp mail : kill-runner http
agent-frozen      - ftp mail     : freeze-agent http 3
host-frozen       - ftp mail     : freeze-host http 3
host-crashed      - ftp mail     : crash-host http
host-isolated     - ftp mail     : isolate-host http
packets-lost      -              : lose-packets http 20
host-busy         - ftp mail     : load-host http 0.9
disk-full         - www ftp mail : fill-disk http
secondary-crashed - www          : crash-host email
sds-killed        - www ftp mail : kill-sds
redis-killed      - www ftp mail : kill-redis
dns-killed        - www ftp mail : kill-dns
clock-stepped     - www ftp mail : step-clock http 3600
host-moved        - ftp mail     : move-host http NEARBY
'
names() { awk 'NF { print $1 }' <<<"$failures"; }
case ${1-} in
    --list)
        names
        exit 0
        ;;
esac
line=$(awk -v name="${1-}" '$1 == name' <<<"$failures")
if [[ -z $line || $# -ne 1 ]]; then
    echo "usage: ${0##*/} NAME, one of: $(names | tr '\n' ' ')" >&2
    exit 2
fi
spare=${line#* - } spare=${spare%%:*}
own=$(address http)
line=${line/NEARBY/${own%.*}.113}
read -ra words <<<"${line##*: }"

begin "one failure: $1"
# shellcheck disable=SC2086 # a list of names
unharmed $spare
harm "${words[@]}"
case $1 in
    sds-* | redis-* | dns-*) sleep 5 ;; # nobody could tell how the cluster is; ten leases and more
    *) expect "all is served, with secondaries" 60 backed ;;
esac
finish
