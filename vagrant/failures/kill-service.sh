#!/bin/sh
# usage: kill-service.sh HOST SERVICE
# SIGKILL to every process of a service (www, ftp, mail) on a host. Locum starts it again.
. "$(dirname -- "$0")/breaking.sh"
[ $# -eq 2 ] || usage
server "$1"
case $2 in
    www) inside "$1" kill /usr/sbin/nginx ;;
    ftp) inside "$1" kill /usr/sbin/vsftpd ;;
    mail) inside "$1" kill /usr/lib/postfix/sbin/ ;;
    *) usage "$2: is no service: one of www ftp mail" ;;
esac
