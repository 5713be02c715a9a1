#!/bin/sh
# Runs a command where every client of a registry seems to be installed, and where /etc is not this machine's own:
#
#     unshare --mount sh everywhere.sh FOLDER COMMAND...
#
# What the command writes to /etc lies in FOLDER afterwards, and is there the next time.
set -eu
folder=$1
shift
mkdir -p "$folder/etc" "$folder/work"
if [ "$(stat --format %u /etc)" = 0 ]; then
    mount -t overlay overlay -o "lowerdir=/etc,upperdir=$folder/etc,workdir=$folder/work" /etc
else
    # Who is root in a user namespace alone may change nothing in a folder of the machine's root, so it is copied.
    [ -e "$folder/etc/passwd" ] || cp -R /etc/. "$folder/etc/" 2>/dev/null || :
    mount --bind "$folder/etc" /etc
fi
mkdir -p /etc/crio /etc/containerd/certs.d /etc/rancher/k3s /etc/buildkit
[ -e /etc/rancher/k3s/config.yaml ] || : >/etc/rancher/k3s/config.yaml
mkdir -p "$HOME/.docker/desktop" "$HOME/.docker/buildx/instances" "$HOME/.local/share/docker"
exec "$@"
