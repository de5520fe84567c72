# shellcheck shell=sh
# unit NAME WHAT COMMAND...: have a program run, now and at every boot, from its present configuration on: a unit of systemd,
# or, on a host without systemd, of the test-bed's own process 1 (bed/init.py).
unit() {
    name=$1 what=$2
    shift 2
    if [ -d /run/systemd/system ]; then
        cat >"/etc/systemd/system/$name.service" <<UNIT
# Written by the test-bed's provisioning.
[Unit]
Description=$what
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStart=$*
ExecReload=/bin/kill -HUP \$MAINPID
KillMode=mixed
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=2
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
UNIT
        started "$name"
    else
        mkdir -p /etc/bed/units
        printf '#!/bin/sh\n# %s\nexec %s\n' "$what" "$*" >"/etc/bed/.$name"
        chmod +x "/etc/bed/.$name"
        mv "/etc/bed/.$name" "/etc/bed/units/$name"
        kill -HUP 1
    fi
}

# started NAME: a unit of systemd that is there, enabled and begun anew: `enable --now` would leave one that runs as it is.
started() {
    systemctl daemon-reload
    systemctl -q enable "$1"
    systemctl restart "$1"
}
