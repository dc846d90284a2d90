#!/bin/sh
# Installs Redis, MariaDB with its plugins and openssl from Debian's packages without starting daemons: tests start servers of
# their own.
#
# $1 is the file by which Debian's package scripts ask whether a daemon may start (policy-rc.d); the
# answer 101 forbids it. Where there is none, one is put there for the time of the installation. What follows are other
# programs to install instead, each as program:package.
set -eu
policy=$1
shift
if [ -e "$policy" ]; then
    answer=0
    "$policy" --quiet redis-server start || answer=$?
    if [ "$answer" != 101 ]; then
        echo "$policy would let a daemon start (its answer is $answer, not 101)" >&2
        exit 1
    fi
else
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
[ $# -gt 0 ] || set -- redis-server:redis-server redis-sentinel:redis-sentinel redis-cli:redis-tools openssl:openssl \
    mariadbd:mariadb-server-core mariadb:mariadb-client-core aria_chk:mariadb-server
missing=
for program in "$@"; do
    command -v "${program%:*}" > /dev/null || missing="$missing ${program#*:}"
done
# One broken source among many does not matter when the others have the packages; the installation tells.
apt-get update || true
# shellcheck disable=SC2086 # several words, or none
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120 $missing
# Nor shall the machine start them when it starts the next time. What was there before is left alone.
for package in $missing; do
    case $package in
    mariadb-server)
        if command -v systemctl > /dev/null; then systemctl disable mariadb || true; fi
        ;;
    redis-server | redis-sentinel | haproxy)
        if command -v systemctl > /dev/null; then systemctl disable "$package" || true; fi
        ;;
    nginx-light)
        if command -v systemctl > /dev/null; then systemctl disable nginx || true; fi
        ;;
    esac
done
