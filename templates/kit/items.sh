# --- One thing of a store: looked at, shown, written, or found to be left ---

wrong() {
    error "$1" "$2"
    trouble=yes
}

spell() {
    counted=yes
    [ -n "$1" ] || return 0
    case ", $spelled, " in *", $1, "*) ;; *) spelled=${spelled:+$spelled, }$1 ;; esac
}

lacked() {
    todo=$todo$1$nl
    [ -z "$2" ] || case ", $short, " in *", $2, "*) ;; *) short=${short:+$short, }$2 ;; esac
}

to_do() { case $nl$todo in *"$nl$1$nl"*) return 0 ;; *) return 1 ;; esac }

noted() { notes=$notes$1$nl; }

note_folders() {
    lacks "$1"
    for dir in $lacking; do noted "folder$tab${dir#"$root"}"; done
}

# Whether a path can be looked at, though it is not there.
reachable() {
    dir=${1%/*}
    until [ -e "${dir:-/}" ] || [ -L "$dir" ]; do dir=${dir%/*}; done
    if [ ! -d "${dir:-/}" ]; then
        type_out mv "$dir" "$dir.old"
        wrong "$dir cannot be a folder: a file stands in its way." "Move that file away: $typed"
    elif [ ! -x "${dir:-/}" ]; then
        type_out sudo sh "$0"
        wrong "$1 cannot be checked." "Run this as root: $typed"
    else
        return 0
    fi
    return 1
}

not_a_link() {
    linked "$1" || return 0
    type_out rm "$link"
    wrong "$link is a link; it is not followed." "Remove it: $typed"
    return 1
}

# A key without its certificate makes every pull fail; what does not end in .crt is ignored.
beside() {
    [ "$1" != "$beside" ] || return 0
    beside=$1
    set +f
    for it in "$1"/*.key; do
        if [ ! -e "$it" ] || [ -e "${it%.key}.cert" ]; then continue; fi
        type_out rm "$it"
        wrong "$it has no certificate beside it: with it there, every pull from ${1##*/} fails." "Take it away: $typed"
    done
    for it in "$1"/*.pem; do
        [ ! -e "$it" ] || note "$it is ignored: clients read files that end in .crt"
    done
    set -f
}

same() { printf '%s' "$2" | cmp -s - "$1"; }

# Whether what is to stand in a file is authorities, and the file has them all: among others, or in other words.
vouches() {
    case $2 in "-----BEGIN CERTIFICATE-----$nl"*) ;; *) return 1 ;; esac
    wanted=$2 awk '
        BEGIN {
            many = split(ENVIRON["wanted"], line, "\n")
            for (i = 1; i <= many; i++) {
                if (line[i] == "-----BEGIN CERTIFICATE-----") body = ""
                else if (line[i] == "-----END CERTIFICATE-----") want[body]
                else body = body line[i]
            }
        }
        { sub(/[ \t\r]+$/, "") }
        $0 == "-----BEGIN CERTIFICATE-----" { inside = 1; body = ""; next }
        $0 == "-----END CERTIFICATE-----" { if (inside) delete want[body]; inside = 0; next }
        inside { gsub(/[ \t\r]/, ""); body = body $0 }
        END { for (body in want) exit 1 }' <"$1"
}

look_at() {
    [ -z "$1" ] || not_a_link "${2%/*}" || return 0
    not_a_link "$2" || return 0
    [ -z "$1" ] || beside "${2%/*}"
    if [ ! -e "$2" ]; then
        if reachable "$2"; then
            lacked "$2" "$1"
            note_folders "${2%/*}"
        fi
    elif [ ! -f "$2" ] || [ ! -r "$2" ]; then
        type_out ls -ld "$2"
        wrong "$2 cannot be read." "See what it is, and who you are: $typed; id"
    elif same "$2" "$4"; then
        # What says the same for another authority becomes this one's, should that take over here.
        case $record in *"$tab${2#"$root"}$nl"*) note_file "$@" ;; esac
    elif of_ours "$2"; then
        lacked "$2" "$1"
    elif vouches "$2" "$4"; then
        note "$2 has the authority already, by another hand; it stays as it is."
    else
        quote "$2"
        wrong "$2 holds something that was not written here; nothing was changed." \
            "See what it is: cat $quoted; then remove it: rm $quoted; or go on without it: --skip $name"
    fi
    if to_do "$2"; then note_file "$@"; fi
}

note_file() { noted "file$tab$id$tab$as$tab$3$tab${2#"$root"}"; }

# Whether a file is as a kit left it.
of_ours() {
    case $record in *"$tab${1#"$root"}$nl"*) ;; *) return 1 ;; esac
    sum=$(sha256 <"$1")
    for old in $record; do
        case $old in "file$tab"*"$tab$sum$tab${1#"$root"}") return 0 ;; esac
    done
    return 1
}

# file SPELLING PATH SHA256 CONTENT
file() {
    [ -n "$reach" ] || return 0
    case $phase in
        look)
            spell "$1"
            look_at "$@"
            ;;
        show)
            to_do "$2" || return 0
            if [ "$4" = "$cert" ]; then
                show install -D -m 0644 ca.crt "$2"
            else
                # shellcheck disable=SC2016 # as it is to be typed
                show sh -c 'printf %s "$1" > "$0"' "$2" "$4"
            fi
            ;;
        write) if to_do "$2"; then place_file "$2" "$4" || trouble=yes; fi ;;
        left)
            if seen "$2" -f && [ -r "$2" ] && vouches "$2" "$4"; then
                failed=yes
                if written_from "$2" "$3" || remembers "file$tab$id$tab$as$tab$3$tab${2#"$root"}"; then return 0; fi
                type_out rm "$2"
                error "$2 vouches for the registry too, and this kit did not write it." "To remove that as well: $typed"
            fi
            ;;
    esac
}

# hidden SPELLING FOLDER NAME SHA256 CONTENT: what a client reads instead, where it exists
hidden() {
    [ -n "$own" ] || return 0
    [ -e "$2" ] || [ -L "$2" ] || return 0
    reached=$reach reach=yes
    file "$1" "$2/$3" "$4" "$5"
    reach=$reached
}

# shared PATH SPELLINGS SPECS
shared() {
    [ -n "$reach" ] || return 0
    set -- "$1" "$2$tellers" "$3$more"
    case $phase in
        look) look_into "$@" ;;
        show)
            to_do "$1" || return 0
            show editor "$1"
            for spec in $3; do
                case $spec in '> '?*) say "    # below ${spec#> }" ;; '| '*) say "    ${spec#| }" ;; esac
            done
            ;;
        write)
            to_do "$1" || return 0
            { weave add "$1" "$3" "$(earlier_specs "$1")" && place_file "$1" "$woven" keep && settled_blocks "$1" "$3"; } || trouble=yes
            ;;
    esac
}

look_into() {
    for it in $2; do spell "$it"; done
    not_a_link "$1" || return 0
    if [ -e "$1" ] && { [ ! -f "$1" ] || [ ! -r "$1" ]; }; then
        type_out ls -ld "$1"
        wrong "$1 cannot be read." "See what it is, and who you are: $typed; id"
    elif weave add "$1" "$3" "$(earlier_specs "$1")"; then
        reachable "$1" || return 0
        for it in $2; do lacked "$1" "$it"; done
        note_folders "${1%/*}"
        case $nl$record in
            *"${nl}blocks$tab"*"$tab${1#"$root"}$tab"*) ;;
            *)
                if [ ! -e "$1" ]; then
                    noted "made$tab${1#"$root"}"
                elif [ -n "$(tail -c 1 "$1")" ]; then
                    noted "unended$tab${1#"$root"}"
                fi
                ;;
        esac
        packed=''
        for spec in $3; do packed=$packed$unit$spec; done
        noted "blocks$tab$id$tab$key$tab${1#"$root"}$tab${packed#?}"
    elif [ "$status" -ne 3 ]; then
        tell_why "$1"
        trouble=yes
    fi
}

# databases MARK PLACE...: what only a store's own program changes
databases() {
    [ -n "$reach" ] && [ "$whose" != root ] || return 0
    mark=$1 file=$state/ca.crt
    shift
    for place; do
        [ -z "$mark" ] || [ -e "$place/$mark" ] || continue
        [ "$phase" != look ] || spell "$place"
        database
        [ -z "$next" ] || as_next database
    done
}

database() {
    case $phase in
        look)
            if ! ask look; then
                lacked "database $alias $place" "$place"
                noted "database$tab$id$tab$key$tab$place"
            fi
            ;;
        show) if to_do "database $alias $place"; then ask add; fi ;;
        write)
            if to_do "database $alias $place"; then
                { place_file "$file" "$cert" && ask add; } || trouble=yes
                rm -f "$file"
            fi
            ;;
    esac
}

# Do something for the second root of a changeover, which a database has by a name of its own.
as_next() {
    first_id=$id first_alias=$alias first_cert=$cert
    id=$next alias=$mine-$next cert=$next_cert
    "$@"
    id=$first_id alias=$first_alias cert=$first_cert
}

quiet() { "$@" >/dev/null 2>&1 </dev/null; }

