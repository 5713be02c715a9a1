#!/bin/sh
# Made from templates/start.sh.j2: what the registry's container runs before it becomes the registry.
#
# A registry that is killed between opening a file and writing it leaves that file empty. A manifest it then takes for
# one that it has: it says yes to the repeated push, and no pull works; over an empty link it fails whatever is asked
# (distribution/distribution, issue 4489). So the manifest is removed, and a repeated push is one again; a link says what
# its path says, and is written anew.
store=/var/lib/registry/docker/registry/v2

mend() {
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
if [ -d "$store" ]; then
    trap 'exit 143' TERM # whoever is the first process and says nothing, does not hear it
    timeout 20 find "$store" -type f -size 0 '(' -name data -o -name link ')' \
        -exec /bin/sh "$0" --mend {} ';' &
    wait $! || echo "not all of $store could be looked through in 20 seconds"
    trap - TERM
fi
exec "$@"
