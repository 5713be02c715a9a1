# --- Lines of ours in files of others: the same as trusted_registry/trust/managed_blocks/editing.py does ---

# shellcheck disable=SC2016 # awk's own
weaver='
{% include "kit/blocks.awk" %}'

# Put blocks into a text, or take them out; the text is in $woven. Status 3: as it was, 4: refused, and why in $woven.
weave() {
    source=$2
    [ -e "$2" ] || source=/dev/null
    status=0
    woven=$(deed=$1 specs=$3 others=${4:-} awk "$weaver" <"$source") || status=$?
    [ "$status" -ne 0 ] || stays=${woven#"${woven%?}"} woven=${woven%?}
    return "$status"
}

tell_why() {
    path=$1
    quote "$1"
    IFS=$tab
    # shellcheck disable=SC2086 # tabs are between what awk says
    set -- $woven
    IFS=$nl
    case ${1:-} in
        claimed)
            error "$path, line $2, already has an entry for $3. It was left as it is." \
                "Remove that, or add there by hand: $4; then repeat the command"
            ;;
        tables)
            error "$path, line $2, has registries in a form to which none can be added. It was left as it is." \
                "Write each as a table of its own, as in: $3"
            ;;
        changed)
            error "$path, between our marks in lines $2 to $3, holds something that was not written here; nothing was changed." \
                "See what it is: sed -n $2,$3p $quoted; then remove it: sed -i $2,$3d $quoted; or go on without it: --skip $name"
            ;;
        form)
            error "$path, line $2, is not in block form. It was left as it is." \
                "Write $3 once, at the left margin, and its entries on lines of their own below it"
            ;;
        mark) error "$path, line 1, begins with a byte order mark. It was left as it is." 'Remove it with an editor' ;;
        *) error "$path cannot be read. It was left as it is." "See what it is: head $quoted" ;;
    esac
}

# What kits wrote among others' lines before, of which mirrors that are used no more are taken out.
earlier_specs() {
    [ -n "$mirrors" ] || return 0
    before_specs=''
    for each in $record; do
        case $each in "blocks$tab$id$tab$key$tab${1#"$root"}$tab"*) before_specs=$before_specs$unit${each##*"$tab"} ;; esac
    done
    unpack "$before_specs"
    printf '%s' "$unpacked"
}

# settled_blocks PATH SPECS: of what earlier kits wrote among others' lines, mirrors are taken back only as they are now
settled_blocks() {
    [ -n "$mirrors" ] || return 0
    packed=''
    for spec in $2; do packed=$packed$unit$spec; done
    for each in $record; do
        case $each in
            "blocks$tab$id$tab$key$tab${1#"$root"}$tab${packed#?}") ;;
            "blocks$tab$id$tab$key$tab${1#"$root"}$tab"*)
                forget "$each"
                unpack "${each##*"$tab"}"
                trust_of "$unpacked"
                [ -z "$trust" ] || remember "${each%"$tab"*}$tab$trust"
                ;;
        esac
    done
}

# Of specs those that are of no mirror, packed, in $trust.
trust_of() {
    trust='' spec='' upstream=''
    for at in $1 '> '; do
        case $at in
            '> '*)
                [ -n "$upstream" ] || trust=$trust$spec
                spec='' upstream=''
                ;;
            '! '*) upstream=$at ;;
        esac
        spec=$spec$unit$at
    done
    trust=${trust#?}
}

