# --- Taking back ---

take_back() {
    taken=''
    ! remembers "refresh$tab$key" || taken=yes
    for line in $record; do
        case $line in "daemon$tab$id$tab$key$tab"*) take_daemon "$line" ;; esac
    done
    # Lines first: a certificate that they named is then named by others alone.
    for line in $record; do
        case $line in "blocks$tab$id$tab$key$tab"*) take_blocks "$line" ;; esac
    done
    # And of a mirror's files, that which names a certificate: without that, every pull from the upstream fails.
    for line in $record; do
        case $line in *.crt) ;; "file$tab$id$tab$key.mirrors$tab"*) take_file "$line" ;; esac
    done
    for line in $record; do
        case $line in "file$tab$id$tab$key$tab"* | "file$tab$id$tab$key.mirrors$tab"*) take_file "$line" ;; esac
    done
    take_databases
    [ -z "$next" ] || as_next take_databases
    [ -n "$taken" ] || return 0
    changed=yes
    if refreshed; then
        if [ -n "$dry" ]; then
            refresh removal
        elif ! freshen removal; then
            remember "refresh$tab$key"
            failed=yes
            line 'not all of it was removed'
            return 0
        fi
    fi
    if [ -n "$dry" ]; then line 'would be removed'; else line removed; fi
    tell_restart
    tell_engine
}

# Take a path away, and tell where that fails.
drop() {
    if [ -n "$dry" ]; then
        show rm "$1"
    elif ! reason=$(inside "${1%/*}" rm -f "./${1##*/}" 2>&1); then
        cannot "$1" "$reason"
        failed=yes
        return 1
    fi
}

# Whether another file names a certificate still, in $naming: then the client needs it.
named() {
    case $entry in
        "file$tab$id$tab$key.mirrors$tab"*.crt)
            named_by_hosts "${1%/*/*}" "${1#"$root"}"
            return
            ;;
    esac
    case ${1##*/} in "$mine-$id".crt) ;; *) return 1 ;; esac
    for naming in "${1%/*}"/registries.yaml "${1%/*}"/buildkitd.toml "${1%/*}"/buildkitd.default.toml; do
        if ! linked "$naming" && [ -f "$naming" ] && [ -r "$naming" ] && names "${1##*/}"; then return 0; fi
    done
    return 1
}

named_by_hosts() {
    set +f
    set -- "$2" "$1"/*/hosts.toml
    set -f
    certificate=$1
    shift
    for naming; do
        if ! linked "$naming" && [ -f "$naming" ] && [ -r "$naming" ] && names "$certificate"; then return 0; fi
    done
    return 1
}

names() { name=$1 awk '{ sub(/#.*/, "") } index($0, ENVIRON["name"]) { found = 1 } END { exit !found }' <"$naming"; }

take_file() {
    entry=$1 path=$root${1##*"$tab"} sum=''
    if [ -z "$dry" ] && [ -f "$path" ] && ! linked "$path" && named "$path"; then
        type_out editor "$naming"
        error "$path stays: an entry of $naming that this kit did not write names it." \
            "Remove its line: $typed; then repeat this"
        failed=yes
        return 0
    fi
    if linked "$path" || { [ -e "$path" ] && [ ! -f "$path" ]; }; then
        note "$path was changed since it was written here; it stays."
    elif [ -f "$path" ]; then
        sum=$(sha256 <"$path") || sum=unread
        case $entry in
            *"$tab$sum$tab"*)
                drop "$path" || return 0
                taken=yes
                ;;
            *) note "$path was changed since it was written here; it stays." ;;
        esac
    elif refreshed; then
        # Perhaps a run that was killed took it away, and did not come to this.
        taken=yes
    fi
    [ -n "$dry" ] || {
        forget "$entry"
        linked "$path" || inside "${path%/*}" rm -f "./$part" 2>/dev/null || :
    }
}

take_blocks() {
    entry=$1 specs=${1##*"$tab"} path=${1%"$tab"*}
    path=$root${path##*"$tab"} theirs=''
    for other in $record; do
        case $other in
            "blocks$tab$id$tab"*) ;;
            "blocks$tab"*"$tab${path#"$root"}$tab"*) theirs=$theirs$unit${other##*"$tab"} ;;
        esac
    done
    unpack "$theirs" && theirs=$unpacked
    unpack "$specs" && specs=$unpacked
    if [ -f "$path" ] && ! linked "$path" && weave remove "$path" "$specs" "$theirs"; then
        [ "$stays" = . ] || note "$path: lines between our marks were changed since; they stay."
        if [ -n "$dry" ]; then
            show editor "$path"
        elif [ -z "$woven" ] && remembers "made$tab${path#"$root"}"; then
            drop "$path" || return 0
        else
            [ -n "$theirs" ] || ! remembers "unended$tab${path#"$root"}" || woven=${woven%"$nl"}
            place_file "$path" "$woven" keep || {
                failed=yes
                return 0
            }
        fi
        taken=yes
    fi
    [ -n "$dry" ] || {
        forget "$entry"
        case $nl$record in
            *"${nl}blocks$tab"*"$tab${path#"$root"}$tab"*) ;;
            *)
                forget "made$tab${path#"$root"}"
                forget "unended$tab${path#"$root"}"
                ;;
        esac
    }
}

unpack() {
    unpacked=''
    IFS=$unit
    for word in $1; do unpacked=$unpacked$word$nl; done
    IFS=$nl
}

take_databases() {
    for line in $record; do
        case $line in "database$tab$id$tab$key$tab"*) take_database "$line" ;; esac
    done
}

take_database() {
    entry=$1 place=${1##*"$tab"}
    if ask look; then
        ask remove || {
            failed=yes
            return 0
        }
        taken=yes
    fi
    [ -n "$dry" ] || forget "$entry"
}

clear_up() {
    folders=''
    for line in $record; do
        case $line in "folder$tab"*) folders=$root${line#*"$tab"}$nl$folders ;; esac
    done
    for dir in $folders; do
        if linked "$dir"; then continue; fi
        inside "$dir" rm -f "./$part" 2>/dev/null || :
        if [ ! -d "$dir" ] || inside "${dir%/*}" rmdir "./${dir##*/}" 2>/dev/null; then
            forget "folder$tab${dir#"$root"}"
        else
            case $state in "$dir"/*) leave=$leave$nl$dir ;; esac
        fi
    done
    case $nl$record in
        *"${nl}file$tab"* | *"${nl}daemon$tab"* | *"${nl}blocks$tab"* | *"${nl}database$tab"* | *"${nl}refresh$tab"*) save_record || failed=yes ;;
        *) inside "$state" rm -f ./kit 2>/dev/null || : ;;
    esac
    case $record in *"$tab$id$tab"*) ;; *) drop_kit "$id" ;; esac
    phase=left writers=''
    stores
    for it in $writers; do
        type_out cd "${it#*"$tab"}"
        error "${it#*"$tab"}/inv trust.linux has this machine trust the registry too." \
            "$typed && ${it%%"$tab"*}./inv trust.remove"
    done
}

# Where trust.linux keeps in mind what it wrote: whoever runs this, root, and whoever became root by sudo.
ledgers() {
    own_or "${XDG_STATE_HOME:-}" "$home/.local/state"
    say "$chosen/$mine"
    user=${SUDO_UID:-0} awk -F: '$3 == 0 || $3 == ENVIRON["user"] { print $6 "/.local/state/trusted-registry" }' /etc/passwd
}

# Whether trust.linux wrote a path, and a checkout is there that takes it back: that is told once, at the end.
written_from() {
    [ "$whose" != root ] || return 1
    for dir in $(ledgers); do
        if [ ! -f "$dir/ledger.json" ] || [ ! -r "$dir/ledger.json" ]; then continue; fi
        # A key a line, in the order of the ledger's Entry; what is written with a backslash is not understood here.
        checkout=$(path=$1 sum=$2 awk '
            { sub(/^ +/, ""); sub(/,$/, "") }
            index($0, "\"path\": ") == 1 { ours = $0 == "\"path\": \"" ENVIRON["path"] "\"" }
            index($0, "\"sha256\": ") == 1 { ours = ours && $0 == "\"sha256\": \"" ENVIRON["sum"] "\"" }
            ours && index($0, "\"by\": \"/") == 1 { print substr($0, 8, length($0) - 8); exit }
        ' <"$dir/ledger.json")
        case $checkout in '' | *\\* | *[!\ -~]*) continue ;; esac
        [ -x "$checkout/inv" ] || continue
        # shellcheck disable=SC2012 # of a number, two words before the name
        owner=$(ls -ln "$dir/ledger.json" | awk '{ print $3; exit }')
        case $owner:${SUDO_UID:-0} in 0:0 | [!0]*) how='' ;; *) how='sudo ' ;; esac
        case $nl$writers in *"$tab$checkout$nl"*) ;; *) writers=$writers$how$tab$checkout$nl ;; esac
        return 0
    done
    return 1
}

