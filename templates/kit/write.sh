# --- Writing ---

cannot() {
    quote "${1%/*}"
    case $2 in
        *[Ss]pace* | *[Qq]uota*) cure="Make room on the disk: df -h $quoted" ;;
        *[Rr]ead-only*) cure="The file system is mounted read-only; see: df $quoted; mount" ;;
        *) cure="See who owns it, and who you are: ls -ld $quoted; id" ;;
    esac
    error "$1 cannot be written: ${2##*: }." "$cure"
}

# Go to a folder. With --root, what counts is where this is once it is there: a link that came in the way since the
# folder was looked at would have led out.
enter() {
    if [ "$whose" != root ]; then
        cd "${1:-/}"
        return
    fi
    if cd -P "${1:-/}" && now=$(pwd -P) && [ "${now%/}" = "$real${1#"$root"}" ]; then return 0; fi
    say "$1: a link came in its way" >&2
    return 1
}

# Run a command in a folder, on names of that folder.
inside() {
    (
        enter "$1" || exit 1
        shift
        "$@"
    )
}

# Give a file its name, which a folder in its place, or a link to one, would take it into.
renamed() { mv -fT "$1" "$2" 2>/dev/null || { [ ! -d "$2" ] && mv -f "$1" "$2"; }; }

# The folders that a path lacks, outermost first, in $lacking.
lacks() {
    lacking='' dir=$1
    until [ -d "${dir:-/}" ]; do lacking=$dir$nl$lacking dir=${dir%/*}; done
}

make_folders() {
    lacks "$1"
    made=''
    for dir in $lacking; do
        reason=$(inside "${dir%/*}" mkdir -m 0755 "./${dir##*/}" 2>&1) || [ -d "$dir" ] || {
            cannot "$dir" "$reason"
            return 1
        }
        made=$dir$nl$made
    done
}

# Put a file in place in one step; one that is there keeps its mode and owner where a third argument says so.
place_file() {
    make_folders "${1%/*}" || return 1
    new=${1%/*}/$part
    if reason=$(
        exec 2>&1
        enter "${1%/*}" || exit 1
        new=./$part old=./${1##*/}
        if [ -e "$new" ] || [ -L "$new" ]; then rm -f "$new" || exit 1; fi
        # Made by this run, whatever another hand puts in the way; a copy of what few may read is theirs from the start.
        set -C
        if [ -n "${3:-}" ] && [ -e "$old" ] && [ ! -L "$old" ]; then kept=yes; else kept=''; fi
        [ -z "$kept" ] || umask 077
        : >"$new" || exit 1
        [ ! -L "$new" ] || exit 1
        [ -z "$kept" ] || cp -p "$old" "$new" || exit 1
        # A shell's own printf does not always say why it cannot write; cat does.
        printf '%s' "$2" >|"$new" 2>/dev/null || printf '%s' "$2" | cat >|"$new" || exit 1
        printf '%s' "$2" | cmp -s - "$new" && renamed "$new" "$old"
    ); then
        new=''
        return 0
    fi
    inside "${new%/*}" rm -f "./$part" 2>/dev/null || :
    new=''
    cannot "$1" "${reason:-No space left on device}"
    return 1
}

run() {
    if [ -n "$dry" ]; then
        show "$@"
    elif ! reason=$("$@" 2>&1 </dev/null); then
        last='it said nothing'
        for last in $reason; do :; done
        type_out "$@"
        error "$1 failed: $last" "See what it says: $typed"
        return 1
    fi
}

