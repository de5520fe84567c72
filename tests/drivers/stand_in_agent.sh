#!/bin/sh
# A resource agent as small as they come.  Its daemon wipes its environment, moves to a session of its own and has a worker
# in yet another; like many it believes its pid file.
pid=$OCF_RESKEY_pidfile

running() { [ -s "$pid" ] && kill -0 "$(cat "$pid")" 2>/dev/null; }

case $1 in
start)
    if [ -n "$OCF_RESKEY_fail" ]; then
        echo "INFO: on the way" >&2
        echo "ocf-exit-reason:$OCF_RESKEY_fail" >&2
        exit "${OCF_RESKEY_status:-1}"
    fi
    running && exit 0
    [ "$OCF_RESKEY_keeps" = nothing ] && exit 0
    rm -f "$pid" "$pid.worker"
    setsid env -i P="$pid" sh -c 'env -i setsid sleep 1000 & echo $! >"$P.worker"; echo $$ >"$P"; wait' </dev/null >/dev/null 2>&1 &
    while [ ! -s "$pid" ]; do sleep 0.01; done
    ;;
stop)
    echo stopped >"$pid.stop"
    running && kill "$(cat "$pid")"
    while running; do sleep 1; done
    ;;
monitor)
    [ "$OCF_RESKEY_monitor" = hangs ] && sleep 1000
    [ -n "$OCF_RESKEY_monitor" ] && exit "$OCF_RESKEY_monitor"
    running || exit 7
    ;;
validate-all)
    env | grep -q '^OCF_RESKEY_CRM_meta_timeout=' || exit 1
    if [ -n "$OCF_RESKEY_invalid" ]; then
        echo "ocf-exit-reason:$OCF_RESKEY_invalid" >&2
        exit "${OCF_RESKEY_status:-6}"
    fi
    ;;
meta-data)
    cat <<END
<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="stand-in" version="1.0">
<version>1.1</version>
<parameters>
<parameter name="pidfile" required="1" unique="1"><content type="string"/></parameter>
<parameter name="binary"><content type="string" default="/bin/sh"/></parameter>
<parameter name="status"><content type="integer"/></parameter>
<parameter name="loud"><content type="boolean"/></parameter>
<parameter name="fail"><content type="string"/></parameter>
<parameter name="invalid"><content type="string"/></parameter>
<parameter name="keeps"><content type="string"/></parameter>
<parameter name="monitor"><content type="string"/></parameter>
</parameters>
<actions>
<action name="start" timeout="20s"/>
<action name="monitor" timeout="1s" depth="0"/>
<action name="monitor" timeout="30s" depth="10"/>
<action name="validate-all" timeout="5"/>
</actions>
</resource-agent>
END
    ;;
*) exit 3 ;;
esac
