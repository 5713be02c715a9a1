# --- What it was told ---

check_names() {
    IFS=,
    for word in $2; do
        case $word in
            {{ names | join(" | ") }}) ;;
            *) refuse "$1: there is no store '$word'." 'Use one of: {{ names | join(", ") }}' 2 ;;
        esac
    done
    IFS=$nl
}

understand() {
    type_out sh "$0" --help
    usage="See: $typed"
    while [ $# -gt 0 ]; do
        flag=$1 value=''
        shift
        case $flag in
            --only=* | --skip=* | --root=*) value=${flag#*=} flag=${flag%%=*} ;;
            --only | --skip | --root)
                [ $# -gt 0 ] || refuse "$flag what?" "$usage" 2
                value=$1
                shift
                ;;
        esac
        case $flag in
            --check | --remove)
                case $action in write | "${flag#--}") ;; *) refuse "--check and --remove: which?" "$usage" 2 ;; esac
                action=${flag#--}
                ;;
            --dry-run) dry=yes ;;
            --only | --skip)
                check_names "$flag" "$value"
                case $flag in --only) only=$only,$value, ;; *) skip=$skip,$value, ;; esac
                ;;
            --system) system=yes ;;
            --user | --root)
                [ "$whose" = all ] || refuse "--user and --root: which?" "$usage" 2
                whose=${flag#--} root=$value
                ;;
            --help | -h)
                help
                ended=yes
                exit 0
                ;;
            *) refuse "There is no flag '$flag'." "$usage" 2 ;;
        esac
    done
    if [ "$whose" = root ]; then
        [ -n "$root" ] && [ -d "$root" ] || refuse "--root: '$root' is no folder." "$usage" 2
        case $root in /*) ;; *) root=$PWD/$root ;; esac
        while :; do case $root in */) root=${root%/} ;; *) break ;; esac; done
        real=$(cd -P "${root:-/}" && pwd -P) && real=${real%/}
    fi
}

