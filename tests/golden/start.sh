#!/bin/sh
# Made from templates/start.sh.j2: the first process of the registry's container. It mends what a kill left, starts the
# registry, passes on what it is told, and lets the network go only when the kernel has sent everything.
#
# A registry that is killed between opening a file and writing it leaves that file empty. A manifest it then takes for
# one that it has: it says yes to the repeated push, and no pull works; over an empty link it fails whatever is asked
# (distribution/distribution, issue 4489). So the manifest is removed, and a repeated push is one again; a link says what
# its path says, and is written anew.
images=/var/lib/registry
store=$images/docker/registry/v2

mend() {
    [ ! -s "$1" ] || return 0 # somebody has filled it since it was found
    case $1 in
    "$store"/blobs/sha256/e3/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/data) ;; # the one that is rightly empty
    "$store"/blobs/*/data) drop "$1" ;;
    */_manifests/tags/*/current/link)
        # What a tag points at was put into its index just before.
        # shellcheck disable=SC2012 # names of digests and no others
        newest=$(ls -t "${1%/current/link}"/index/*/*/link 2>/dev/null | head -n 1)
        if [ "$newest" ]; then point "$1" "$newest"; else drop "$1"; fi
        ;;
    */sha[0-9]*/*/link) point "$1" "$1" ;;
    esac
}

drop() {
    rm "$1" && echo "removed, since it was left empty: $1"
}

point() {
    digest=${2%/link}
    kind=${digest%/*}
    printf '%s:%s' "${kind##*/}" "${digest##*/}" >"$1" && echo "written anew, since it was left empty: $1"
}

if [ "$1" = --mend ]; then
    mend "$2"
    exit
fi

# Run a program and return its status. In the background, since a shell hears signals only while it waits.
attend() {
    "$@" &
    child=$!
    [ -z "$stopped" ] || kill -TERM "$child"
    wait "$child"
    status=$?
    while kill -0 "$child" 2>/dev/null; do # it was the signal that ended the wait
        wait "$child"
        status=$?
    done
    child=
    return "$status"
}

# shellcheck disable=SC2329 # by the trap
stop() {
    stopped=yes
    [ -z "$child" ] || kill -TERM "$child" 2>/dev/null
}

# Whether this container may mend: no other one writes to these images. It keeps them locked as long as it lives.
alone() {
    [ -w "$images" ] || return 1
    command -v flock >/dev/null || return 0
    exec 9<"$images"
    if flock -n 9; then return 0; fi
    flock -s -n 9 || :
    echo "another container writes to $images, so nothing in it is mended"
    return 1
}

# Whether a connection has bytes that the other side has not confirmed (proc(5), /proc/net/tcp).
unsent() {
    while read -r _ _ _ state queues _; do
        case $state:${queues%%:*} in 0A:* | *:00000000 | st:*) ;; *) return 0 ;; esac
    done
    return 1
}

child=
stopped=
trap stop TERM
if alone; then
    if [ -d "$store" ]; then
        attend timeout 20 find "$store" -type f -size 0 '(' -name data -o -name link ')' \
            -exec /bin/sh "$0" --mend {} ';' ||
            echo "not all of $store could be looked through in 20 seconds"
    fi
    if command -v flock >/dev/null; then flock -s 9; fi
fi
[ -z "$stopped" ] || exit 143
attend "$@"
ended=$?
left=40
while [ "$left" -gt 0 ] && { unsent </proc/net/tcp || unsent </proc/net/tcp6; } 2>/dev/null; do
    sleep 0.1
    left=$((left - 1))
done
exit "$ended"
