# shellcheck shell=sh
# How db.sh and sds.sh begin: $zone, $cluster, and $db and $sds from their arguments NAME=ADDRESS; and unit(). Sourced.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
[ $# -ge 2 ] || { sed -n '2,/^[^#]/s/^# //p' "$0" >&2; exit 2; }
# shellcheck source-path=SCRIPTDIR
. "$here/unit.sh"
# shellcheck disable=SC2034  # both are used by who sources this
zone=testbed.locum.test cluster=testbed
for entry; do
    case $entry in
        db=*) db=${entry#*=} ;;
        sds=*) sds=${entry#*=} ;;
    esac
done
[ "${db-}" ] && [ "${sds-}" ] || { echo "${0##*/}: give both db=ADDRESS and sds=ADDRESS" >&2; exit 2; }
