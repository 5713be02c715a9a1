#!/bin/sh
# Runs a command in a mount namespace whose /etc is a copy in memory, which ends with the namespace:
#
#     unshare --mount sh namespace.sh [--user UID GID GROUPS] COMMAND...
#
# File descriptor 9 stays the machine's own /etc; TRUSTED_REGISTRY_BENCH_ETC says so to the command.
set -eu
exec 9</etc
mount -t tmpfs -o mode=0755 tmpfs /etc
cp -a /proc/self/fd/9/. /etc/
export TRUSTED_REGISTRY_BENCH_ETC=9
if [ "$1" = --user ]; then
    uid=$2 gid=$3 groups=$4
    shift 4
    exec setpriv --reuid "$uid" --regid "$gid" --groups "$groups" "$@"
fi
exec "$@"
