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

look_around() {
    user=$(id -u)
    home=${HOME:-}
    [ -n "$home" ] || home=$(awk -F: -v user="$user" '$3 == user { print $6; exit }' /etc/passwd)
    absolute "$home" / && home=$chosen
    absolute "${XDG_CONFIG_HOME:-}" "$home/.config" && config=$chosen
    absolute "${XDG_DATA_HOME:-}" "$home/.local/share" && data=$chosen
    absolute "${XDG_RUNTIME_DIR:-}" "/run/user/$user" && run=$chosen
    absolute "${DOCKER_CONFIG:-}" "$home/.docker" && docker=$chosen
    absolute "${XDG_STATE_HOME:-}" "$home/.local/state" && state=$chosen/$mine
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
        refuse 'This takes root: what the clients of this machine read is not yours to write.' \
            "sudo sh $quoted; or, for what is your own: sh $quoted --user"
    fi
}

# Root writes nothing into somebody else's home.
whose_home() {
    # shellcheck disable=SC2012 # of a number, two words before the name
    owner=$(ls -ldn "$home/." 2>/dev/null | awk '{ print $3; exit }')
    if [ "$owner" != "$user" ]; then
        own=''
        [ "$user" != 0 ] || [ -z "$owner" ] || note "HOME is $home, which is user $owner's: for that user, run this with --user"
    fi
}

