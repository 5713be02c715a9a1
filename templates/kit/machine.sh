# --- What it is ---

# Whether a path is a link; with --root, whether there is one on the way to it, which could lead out. It is in $link.
linked() {
    link=$1
    if [ "$whose" != root ]; then
        [ -L "$1" ]
        return
    fi
    link=$root
    case ${1#"$root"} in /*) ;; *) return 0 ;; esac
    IFS=/
    for step in ${1#"$root"}; do
        IFS=$nl
        link=$link${step:+/$step}
        if [ "$step" = .. ] || [ -L "$link" ]; then return 0; fi
    done
    return 1
}

# With --root, a link is seen where it lies, wherever it leads to, and what is behind it is not.
seen() { if [ "$whose" = root ] && linked "$1"; then [ "$link" = "$1" ]; else test "$2" "$1"; fi; }

any_on_path() {
    searched=$PATH
    [ "$whose" != root ] || searched=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    IFS=:
    for word in $searched; do
        for it; do
            if [ -n "$word" ] && seen "$root$word/$it" -x; then
                IFS=$nl
                return 0
            fi
        done
    done
    IFS=$nl
    return 1
}

any_exists() {
    for it; do
        if seen "$it" -e; then return 0; fi
    done
    return 1
}

# --- Where things are ---

absolute() {
    case $1 in /*) chosen=$1 ;; *) chosen=$2 ;; esac
    while :; do case $chosen in */) chosen=${chosen%/} ;; *) break ;; esac; done
}

# Whether this is root, and another user owns a folder or what is above it, or may change that: `su` without `-`, and
# sudo where it is told to, keep the variables of whom they were typed by.
not_root_s() {
    [ "$user" = 0 ] || return 1
    dir=$1 listing=''
    real=$(cd -P "$dir" 2>/dev/null && pwd -P) || real=$dir
    for dir in "$1" "$real"; do
        listing=$listing.$nl
        while :; do
            listing=$listing$(ls -ldn "${dir:-/}" 2>/dev/null || echo missing)$nl
            [ -n "$dir" ] || break
            dir=${dir%/*}
        done
    done
    # Of what is missing, what is above it decides. In a sticky folder nobody renames another's, and anybody makes what is not there.
    printf '%s' "$listing" | awk '
        $0 == "." { itself = below = 1; next }
        $0 == "missing" { itself = below = 0; next }
        {
            others = substr($1, 9, 1) == "w" || (substr($1, 6, 1) == "w" && $4 != 0)
            kept = below && !itself && substr($1, 10, 1) ~ /[tT]/
            if ($3 != 0 || (others && !kept && substr($1, 1, 1) != "l")) theirs = 1
            itself = 0; below = 1
        }
        END { exit !theirs }'
}

own_or() {
    absolute "$1" "$2"
    case $1 in /*) ! not_root_s "$chosen" || chosen=$2 ;; esac
}

look_around() {
    user=$(id -u)
    home=${HOME:-}
    [ -n "$home" ] || home=$(awk -F: -v user="$user" '$3 == user { print $6; exit }' /etc/passwd)
    absolute "$home" / && home=$chosen
    own_or "${XDG_CONFIG_HOME:-}" "$home/.config" && config=$chosen
    own_or "${XDG_DATA_HOME:-}" "$home/.local/share" && data=$chosen
    own_or "${XDG_RUNTIME_DIR:-}" "/run/user/$user" && run=$chosen
    own_or "${DOCKER_CONFIG:-}" "$home/.docker" && docker=$chosen
    own_or "${XDG_STATE_HOME:-}" "$home/.local/state" && state=$chosen/$mine
    case $home$config$data$run$docker$state$root in
        *"$nl"* | *"$tab"* | *"$unit"* | *\"* | *\\*)
            refuse 'A folder here has a character in its name that no configuration file can take.' \
                'Look at HOME, DOCKER_CONFIG, and the variables that begin with XDG_.'
            ;;
    esac
    machine=yes own=yes
    case $whose in
        root) own='' state=$root/var/lib/$mine ;;
        user) machine='' ;;
    esac
    if [ "$whose" = root ] && linked "$state/kit"; then
        type_out rm "$link"
        refuse "$link is a link; it is not followed." "Remove it: $typed"
    fi
    if [ -n "$own" ]; then whose_home; fi
    if [ "$user" = 0 ] && [ "$whose" != root ]; then state=/var/lib/$mine; fi
    if [ "$user" != 0 ] && [ "$whose" = all ] && [ "$action" != check ] && [ -z "$dry" ]; then
        quote "$0"
        refuse 'This needs root: it writes what every client of this machine reads.' \
            "sudo sh $quoted; or only your own clients: sh $quoted --user"
    fi
}

# Root writes nothing into somebody else's home.
whose_home() {
    # shellcheck disable=SC2012 # of a number, two words before the name
    owner=$(ls -ldn "$home/." 2>/dev/null | awk '{ print $3; exit }')
    whom=''
    if [ "$owner" != "$user" ]; then
        own='' whom="user $owner's"
    elif not_root_s "$home"; then
        own='' whom="another user's to change"
    fi
    [ "$user" != 0 ] || [ -z "$owner" ] || [ -z "$whom" ] ||
        note "HOME is $home, which is $whom: for that user, run this with --user"
}
