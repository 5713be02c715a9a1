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
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$folder/etc,workdir=$folder/work" /etc
mkdir -p /etc/crio /etc/containerd/certs.d /etc/rancher/k3s /etc/buildkit
[ -e /etc/rancher/k3s/config.yaml ] || : >/etc/rancher/k3s/config.yaml
mkdir -p "$HOME/.docker/desktop" "$HOME/.docker/buildx/instances" "$HOME/.local/share/docker"
exec "$@"
