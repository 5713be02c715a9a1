"""Scripts of the shell in a registry's container: they list, read and change the files of its volume."""

from __future__ import annotations

LIST = r"""cd "$1" 2>/dev/null || exec echo all
find repositories -type d -path '*/_manifests/tags/*/index' -prune -o \
  -type d -path '*/_manifests/tags/*' ! -path '*/_manifests/tags/*/*' -print -o -type d -name _layers -print -o \
  -type f \( -path '*/current/*' -o -path '*/_uploads/*' -o ! -name link \) -exec stat -c '%s %b %Y %n' {} + -o \
  -type f -print
stat -c 'folder %b' "$(find blobs -mindepth 3 -type d | head -n 1)" 2>/dev/null
echo "free $(df -Pk . | tail -n 1)"
find blobs -type f -exec stat -c '%s %b %Y %n' {} +
echo all"""
"""The listing of a glance: links of layers and manifests by their names alone, which say all that is in them. Contents
come last, so that none is missed that a push adds meanwhile."""

LIST_ALL = r"""cd "$1" 2>/dev/null || exec echo all
find repositories -type d -path '*/_manifests/tags/*' ! -path '*/_manifests/tags/*/*' -print -o \
  -type d -name _layers -print -o -type f -exec stat -c '%s %b %Y %n' {} +
stat -c 'folder %b' "$(find blobs -mindepth 3 -type d | head -n 1)" 2>/dev/null
find blobs -type f -exec stat -c '%s %b %Y %n' {} +
echo all"""
"""The listing of a check: each file with its size."""

ALL = "all"
"""Last line of a listing: without it, that was cut short, or there is no shell."""

BOUND = 'exec timeout "$1" "$2" -c "$3" sh "$4"'
READ = 'cd "$1" && shift && exec cat -- "$@"'
HASH = """cd "$1" && shift || exit
n=0
while sleep 1 </dev/null >/dev/null 2>&1; do
    n=$((n + 1))
    [ $((n % 30)) -ne 0 ] || echo >&2
done &
sha256sum -- "$@" 2>/dev/null
kill "$!"
"""
"""A line on standard error now and then says that it still reads a large file."""

MEND = """cd "$1" && shift || exit
as_seen() {
    if [ -e "$1" ]; then seen=$(sha256sum <"$1") && [ "${seen%% *}" = "$2" ]; else [ "$2" = - ]; fi
}
gone() {
    [ -z "$1" ] || [ ! -e "$1" ]
}
is_kept() {
    case $1 in
    */_manifests/tags/*) [ -d "${1%/current/link}" ] ;;
    esac
}
old() {
    [ -e "$1" ] && young=$(find "$1" -type f -mmin -"$2") && [ -z "$young" ]
}
damaged() {
    [ -e "$1" ] && hashed=$(sha256sum <"$1") && hashed=${hashed%% *} && [ "${#hashed}" = 64 ] && [ "$hashed" != "$2" ]
}
while [ $# -gt 0 ]; do
    case $1 in
    write)
        if is_kept "$2" && as_seen "$2" "$4"; then
            mkdir -p -- "${2%/*}" && printf %s "$3" >"$2.tmp" && mv -- "$2.tmp" "$2"
        fi
        ;;
    unlink) if gone "$3" && as_seen "$2" "$4"; then rm -rf -- "${2%/*}"; fi ;;
    untag) if gone "$3" && as_seen "$2" "$4"; then rm -rf -- "${2%/current/link}"; fi ;;
    discard) if old "$2" "$3"; then rm -rf -- "$2"; fi ;;
    damaged) if damaged "$2" "$3"; then rm -rf -- "${2%/*}"; fi ;;
    esac
    shift 4
done"""

RECORDS = """cd "$1" 2>/dev/null || exec echo end
for folder in [1-9]*; do
    set -- "$folder"/*
    [ ! -e "$1" ] || { echo "$folder" && tr -d '\\n' <"$folder/record.json"; echo; }
done
echo end"""

CHANGE = r"""root=$1 trash=$2 record=$3 state=$4
shift 4
mkdir -p -- "$trash" && cd "$root" || exit
if command -v flock >/dev/null; then exec 8<"$trash" && flock 8; fi
# A shell whose task was killed may be late.
[ -z "$state" ] || grep -q "\"state\":\"$state\"" "$record" || exit
as_chosen() {
    [ "$(cat -- "$1/current/link" 2>/dev/null) $(stat -c %Y -- "$1/current/link" 2>/dev/null)" = "$2" ]
}
link() {
    [ -s "$1" ] || [ ! -e "$3" ] || { mkdir -p -- "${1%/*}" && printf %s "$2" >"$1.tmp" && mv -- "$1.tmp" "$1"; }
}
untag() {
    # What was moved at the moment of another push, by a run that was killed then.
    [ -e "$1" ] || [ ! -e "$2" ] || as_chosen "$2" "$3" || mv -T -- "$2" "$1" || return
    as_chosen "$1" "$3" || return 0
    mkdir -p -- "${2%/*}" && mv -T -- "$1" "$2" || return
    as_chosen "$2" "$3" || [ -e "$1" ] || mv -T -- "$2" "$1" # pushed again at that moment
}
unlink() {
    folder=${1%/link}
    [ "$(stat -c %Y -- "$1" 2>/dev/null)" = "$3" ] || return 0
    rm -rf -- "$2" && mkdir -p -- "${2%/*}" && mv -T -- "$folder" "$2" || return
    [ "$(stat -c %Y -- "$2/link")" = "$3" ] || [ -e "$folder" ] || mv -T -- "$2" "$folder" # as above
    rm -rf -- "$2"
}
tag() {
    [ -e "$2" ] && [ ! -s "$1/current/link" ] || return 0
    mkdir -p -- "${1%/*}" || return
    if [ -e "$1" ]; then
        mkdir -p -- "$1/current" && { ln -- "$2/current/link" "$1/current/link" 2>/dev/null || :; }
    else
        mv -T -- "$2" "$1" || [ -e "$1" ]
    fi
}
clear() { # of a repository in which nothing is and no upload has begun
    for folder in "$1"/_manifests/revisions/* "$1/_manifests/revisions" "$1/_manifests/tags" "$1/_manifests" \
        "$1/_uploads"; do
        [ ! -e "$folder" ] || rmdir -- "$folder" 2>/dev/null || return 0
    done
    rm -rf -- "$1/_layers"
}
while [ $# -gt 0 ]; do
    case $1 in
    link) link "$2" "$3" "$4" ;;
    untag) untag "$2" "$3" "$4" ;;
    unlink) unlink "$2" "$3" "$4" ;;
    tag) tag "$2" "$3" ;;
    remove) rm -rf -- "$2" ;;
    folder) mkdir -p -- "$2" ;;
    clear) clear "$2" ;;
    esac || exit
    shift 4
done
echo taken"""
"""Each step looks first, since clients push meanwhile."""

OWN = 'echo history; if [ -e "$1" ]; then head -c "$2" "$1"; fi && echo && echo end'
OWN_FRAME = (b"history\n", b"\nend\n")
"""What comes before and after the file: without both, that was not read."""
