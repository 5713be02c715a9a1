# --- Mirrors of other registries: told to a store, unless another hand said something about the upstream there ---

mirror='mirror of ' said='' wanted=''

# Begin with what is told of mirrors in a store: what others said, and what is to stand there, is not known yet.
afresh() { [ "$phase" != look ] || said='' wanted=''; }

claimed() { case $said in *",$1,"*) return 0 ;; *) return 1 ;; esac }

# heard UPSTREAM PATH [LINE]
heard() {
    if claimed "$1"; then return 0; fi
    said=$said,$1,
    note "$name is told of no mirror of $1: $2${3:+, line $3,} says something about it, and stays as it is."
}

heeds() { [ -n "$reach" ] && [ "$phase" = look ]; }

# The first line of a file that is no comment.
first_line() { [ ! -f "$1" ] || [ ! -r "$1" ] || awk 'NF && $1 !~ /^[#;]/ { print NR; exit }' <"$1"; }

# Whether a path holds something that was not written here and does not say the same.
foreign() {
    [ -e "$1" ] || [ -L "$1" ] || return 1
    if linked "$1" || [ ! -f "$1" ] || [ ! -r "$1" ]; then return 0; fi
    ! same "$1" "$2" && ! of_ours "$1"
}

# heed_hosts UPSTREAM PATH CONTENT: beside a hosts.toml, certificates count no more (containerd, docs/hosts.md); one for
# all upstreams counts for those that have none.
heed_hosts() {
    heeds || return 0
    place=${2%/*}
    if linked "$place" || foreign "$2" "$3"; then heard "$1" "$2" "$(first_line "$2")"; fi
    set +f
    for it in "$place"/*.crt "$place"/*.cert "$place"/*.key; do [ ! -e "$it" ] || heard "$1" "$it"; done
    set -f
    place=${place%/*}/_default/hosts.toml
    if seen "$place" -e; then heard "$1" "$place" "$(first_line "$place")"; fi
}

# The line of a registries.conf that is about an upstream: its own table, one for a whole domain, or an older form
# (containers-registries.conf(5)). One with a path counts beside a mirror, for what is below that.
# shellcheck disable=SC2016 # awk's own
registries='
function about(name,    end) {
    sub(/\/+$/, "", name)
    end = substr(name, 2)
    return name == up || (substr(name, 1, 2) == "*." && length(up) > length(end) && substr(up, length(up) - length(end) + 1) == end)
}
function judge() {
    if (prefix == "") { prefix = location; prefix_at = location_at }
    if (table == "[[registry]]" && prefix != "" && about(prefix)) tell(prefix_at)
    prefix = location = ""
}
function tell(at) { if (!told) print at; told = 1 }
function value(s) { sub(/^[^=]*=/, "", s); gsub(/"/, "", s); return s }
BEGIN { up = ENVIRON["upstream"] }
{
    s = $0
    sub(/^[ \t]*#.*/, "", s)
    sub(/[ \t]#.*/, "", s)
    gsub(/[ \t\r]/, "", s)
    gsub("\047", "\"", s)
}
s ~ /^\[/ { judge(); table = s; gsub(/"/, "", table) }
s ~ /^"?registry"?=/ { inline = 1 }
s ~ /^"?prefix"?=/ && table == "[[registry]]" { prefix = value(s); prefix_at = NR }
s ~ /^"?location"?=/ && table == "[[registry]]" { location = value(s); location_at = NR }
(inline || table ~ /^\[registries\.(block|insecure)\]$/) && index(s, "\"" up "\"") { tell(NR) }
END { judge() }'

# heed_registries PATH CONTENT UPSTREAM...: a file that podman and the like read later, or of a user's own, would be
# undone by ours, or undo that.
heed_registries() {
    heeds || return 0
    ours=$1 content=$2
    shift 2
    for upstream; do
        if foreign "$ours" "$content"; then heard "$upstream" "$ours" "$(first_line "$ours")"; fi
    done
    heed_conf "${ours%.d/*}" "$@"
    set +f
    for conf in "${ours%/*}"/*.conf; do heed_conf "$conf" "$@"; done
    set -f
    [ "$whose" != root ] || return 0
    for its in $(homes); do
        its=$its/.config/containers/registries.conf
        heed_conf "$its" "$@"
        set +f
        for conf in "$its.d"/*.conf; do heed_conf "$conf" "$@"; done
        set -f
        [ ! -e "$its" ] || note "$its is read instead of the machine's: this user's podman and the like use no mirror."
    done
}

# Of whoever runs this, and of whoever became root by sudo.
homes() {
    say "$home"
    user=${SUDO_UID:-} home=$home awk -F: '$3 == ENVIRON["user"] && $6 != ENVIRON["home"] { print $6 }' /etc/passwd
}

# heed_conf FILE UPSTREAM...
heed_conf() {
    file=$1
    shift
    [ "$file" != "$ours" ] && [ -e "$file" ] || return 0
    for upstream; do
        if [ "$whose" = root ] && linked "$file"; then
            heard "$upstream" "$file"
        elif [ -f "$file" ] && [ -r "$file" ]; then
            at=$(upstream=$upstream awk "$registries" <"$file")
            [ -z "$at" ] || heard "$upstream" "$file" "$at"
        fi
    done
}

# among PATH SPECS: lines about upstreams, for the shared file of which `shared` puts them in, too
among() {
    more='' spec='' upstream='' tellers=''
    [ -n "$reach" ] || return 0
    if [ "$phase" = look ] && [ -f "$1" ] && [ -r "$1" ] && ! linked "$1"; then
        claims=$(deed=claims specs=$2 others='' awk "$weaver" <"$1")
        for at in $claims; do heard "${at#* }" "$1" "${at%% *}"; done
    fi
    for at in $2 '> '; do
        case $at in
            '> '*)
                if [ -n "$upstream" ] && ! claimed "$upstream"; then
                    more=$more$nl${spec%"$nl"}
                    case $tellers in *"$nl$mirror$upstream"*) ;; *) tellers=$tellers$nl$mirror$upstream ;; esac
                fi
                spec='' upstream=''
                ;;
            '! '*) upstream=${at#! } ;;
        esac
        spec=$spec$at$nl
    done
}

# mirror PATH (UPSTREAM CONTENT)...: a file of its own about one upstream, or about several
mirror() {
    path=$1 content='' told=''
    shift
    while [ $# -gt 0 ]; do
        if ! claimed "$1"; then content=$content${content:+$nl}$2 told=$told$mirror$1$nl; fi
        shift 2
    done
    [ -n "$content" ] || return 0
    as=$key.mirrors sum=$(printf '%s' "$content" | sha256)
    case $phase in
        look)
            wanted=$wanted$nl$path
            for it in $told; do file "$it" "$path" "$sum" "$content"; done
            ;;
        write)
            file '' "$path" "$sum" "$content"
            settled "$path" "$sum"
            ;;
        *) file '' "$path" "$sum" "$content" ;;
    esac
    as=$key
}

# What an earlier kit wrote in a file of a mirror is not what is taken back.
settled() {
    for each in $record; do
        case $each in
            "file$tab$id$tab$as$tab$2$tab"*) ;;
            "file$tab$id$tab$as$tab"*"$tab${1#"$root"}") forget "$each" ;;
        esac
    done
}

# mirror_hidden UPSTREAM FOLDER NAME CONTENT
mirror_hidden() {
    if claimed "$1"; then return 0; fi
    as=$key.mirrors
    case $phase in look) wanted=$wanted$nl$2/$3 ;; esac
    hidden "$mirror$1" "$2" "$3" "$(printf '%s' "$4" | sha256)" "$4"
    as=$key
}

# Whether an entry of the record is of a mirror that is used no more.
is_retired() {
    case $1 in
        "file$tab$id$tab$key.mirrors$tab"* | "daemon$tab$id$tab$key$tab"*) ;;
        *) return 1 ;;
    esac
    case $wanted$nl in *"$nl$root${1##*"$tab"}$nl"*) return 1 ;; esac
}

# What an earlier kit wrote here for mirrors that are used no more: what names a certificate first.
retire() {
    [ -n "$reach" ] || return 0
    case $phase in
        look)
            for line in $record; do
                if is_retired "$line"; then lacked "retired$tab$line" '' && leftover=yes; fi
            done
            ;;
        show | write)
            for line in $record; do
                case $line in "daemon$tab"*) if to_do "retired$tab$line"; then take_daemon "$line"; fi ;; esac
            done
            for line in $record; do
                case $line in *.crt | "daemon$tab"*) ;; *) if to_do "retired$tab$line"; then take_retired "$line"; fi ;; esac
            done
            for line in $record; do
                case $line in *.crt) if to_do "retired$tab$line"; then take_retired "$line"; fi ;; esac
            done
            [ "$phase" = show ] || save_record || trouble=yes
            ;;
    esac
}

take_retired() {
    take_file "$1"
    gone=${path%/*}
    [ -z "$dry" ] && remembers "folder$tab${gone#"$root"}" || return 0
    if inside "${gone%/*}" rmdir "./${gone##*/}" 2>/dev/null; then forget "folder$tab${gone#"$root"}"; fi
}

# --- daemon.json ---

# A list that a flag sets cannot be in the file as well: the engine would not start again (dockerd(8)).
heed_flags() {
    if engine_here; then
        case $nl$(tr '\0' '\n' <"/proc/$pid/cmdline")$nl in
            *"$nl--registry-mirror"*) heard "$1" 'the flag --registry-mirror of dockerd' ;;
            *"$nl--config-file$nl$2$nl"* | *"$nl--config-file=$2$nl"*) ;;
            *"$nl--config-file"*) heard "$1" 'the file that the flag --config-file of dockerd names' ;;
        esac
    fi
    [ "$key" = docker ] || return 0
    set +f
    for it in "$root"/etc/default/docker "$root"/etc/sysconfig/docker "$root"/etc/systemd/system/docker.service \
        "$root"/etc/systemd/system/docker.service.d/*.conf "$root"/lib/systemd/system/docker.service; do
        if [ ! -f "$it" ] || [ ! -r "$it" ] || linked "$it"; then continue; fi
        at=$(awk '!/^[ \t]*[#;]/ && /--registry-mirror/ { print NR; exit }' <"$it")
        [ -z "$at" ] || heard "$1" "$it" "$at"
    done
    set -f
}

# heed_daemon UPSTREAM PATH VALUE: in $listed how it stands there
heed_daemon() {
    heeds || return 0
    listed='' text='' earlier=''
    heed_flags "$1" "$2"
    if linked "$2"; then
        heard "$1" "$2"
    elif [ ! -e "$2" ]; then
        listed=absent
    elif [ ! -f "$2" ] || [ ! -r "$2" ]; then
        type_out ls -ld "$2"
        wrong "$2 cannot be read." "See what it is, and who you are: $typed; id"
    else
        load_text "$2"
        for line in $record; do
            case $line in "daemon$tab"*"$tab${2#"$root"}") ;; *) continue ;; esac
            at=${line#"daemon$tab"*"$tab$key$tab"} && at=${at%%"$tab"*}
            case $text in *"\"$at\""*) earlier=$at ;; esac
        done
        heed_list "$@"
    fi
}

heed_list() {
    case $text in
        *"\"$3\""* | *"\"$3/\""*) listed=ours && return 0 ;;
        *"\"${earlier:-none}\""*) listed=earlier && return 0 ;;
    esac
    find_reader
    at=$(awk '/"registry-mirrors"/ { print NR; exit }' <"$2")
    if [ "$reader" = none ] && [ -z "$at" ]; then
        note "Neither python3 nor jq is here to add to $2. By hand: \"registry-mirrors\": [\"$3\"], then: $(reloading)"
    elif [ "$reader" = none ]; then
        heard "$1" "$2" "$at"
    elif ! listed=$(json tell '' "$text"); then
        listed=''
        note "$2 is not JSON that Docker takes, so no mirror was added to it."
    elif [ "$listed" = foreign ]; then
        heard "$1" "$2" "$at"
    fi
}

# daemon UPSTREAM PATH VALUE
daemon() {
    if [ -z "$reach" ] || claimed "$1"; then return 0; fi
    case $phase in
        look)
            wanted=$wanted$nl$2
            look_at_daemon "$@"
            ;;
        show)
            to_do "$2" || return 0
            show editor "$2"
            say "    \"registry-mirrors\": [\"$3\"]"
            say "$ $(reloading)"
            ;;
        write) if to_do "$2"; then write_daemon "$2" "$3" || trouble=yes; fi ;;
    esac
}

look_at_daemon() {
    case $listed in
        absent) daemon_text="{$nl  \"registry-mirrors\": [$nl    \"$3\"$nl  ]$nl}$nl" ;;
        free) daemon_text=$(json put "$3" "$text" && echo .) && daemon_text=${daemon_text%.} || return 0 ;;
        earlier) daemon_text=${text%%"\"$earlier\""*}\"$3\"${text#*"\"$earlier\""} ;;
        ours)
            for line in $record; do
                case $line in "daemon$tab"*"$tab$key$tab$3$tab"*"$tab${2#"$root"}") ;; *) continue ;; esac
                at=${line%"$tab"*}
                noted "daemon$tab$id$tab$key$tab$3$tab${at##*"$tab"}$tab${2#"$root"}"
            done
            return 0
            ;;
        *) return 0 ;;
    esac
    if [ "$listed" = absent ]; then
        reachable "$2" || return 0
        note_folders "${2%/*}"
        noted "made$tab${2#"$root"}"
    fi
    spell "$mirror$1"
    lacked "$2" "$mirror$1"
    noted "daemon$tab$id$tab$key$tab$3$tab$(printf '%s' "$daemon_text" | sha256)$tab${2#"$root"}"
}

engine_log() {
    case $key in
        docker-rootless) say 'journalctl --user --unit docker' ;;
        *) say 'sudo journalctl --unit docker || sudo tail /var/log/docker.log' ;;
    esac
}

# write_daemon PATH VALUE
write_daemon() {
    kept=./$key.daemon.json
    if [ "$listed" = free ] && ! reason=$(umask 077 && inside "$state" cp -p "$1" "$kept" 2>&1); then
        cannot "$state/$kept" "$reason"
        return 1
    fi
    was=''
    if [ "$listed" != absent ]; then
        load_text "$1"
        was=$text
    fi
    place_file "$1" "$daemon_text" keep || return 1
    if ! reload_engine "$2" listed; then
        as_before "$1" "$2"
        error "The engine did not take up its changed configuration, $1, which is as it was again." "Its log says why: $(engine_log)"
        return 1
    fi
    for line in $record; do
        case $line in
            "daemon$tab$id$tab$key$tab$2$tab"*) ;;
            "daemon$tab"*"$tab${1#"$root"}") forget "$line" ;;
        esac
    done
}

# as_before PATH VALUE: what an engine does not take up it would not start with either
as_before() {
    case $listed in
        absent)
            drop "$1" || return 0
            forget "made$tab${1#"$root"}"
            ;;
        *) place_file "$1" "$was" keep || return 0 ;;
    esac
    kill -HUP "$pid" 2>/dev/null || :
    for line in $record; do
        case $line in "daemon$tab$id$tab$key$tab$2$tab"*"$tab${1#"$root"}") forget "$line" ;; esac
    done
    case $listed:$record in
        free:*) inside "$state" rm -f "./$key.daemon.json" ;;
        earlier:*"daemon$tab$id$tab$key$tab$earlier$tab"*) ;;
        earlier:*) remember "daemon$tab$id$tab$key$tab$earlier$tab-$tab${1#"$root"}" ;; # of an authority before
    esac
    save_record || :
}

# hub_alone (UPSTREAM HOST)...: Docker before 28, or without containerd's store, pulls through the mirror of docker.io
# alone (moby/moby, 8b4cb6f58c); the same as trusted_registry/trust/specifics/engine_mirrors.py
# shellcheck disable=SC2329 # where there are mirrors of others
hub_alone() {
    [ -n "$reach" ] && [ "$phase" = write ] && engine_here || return 0
    ask_engine
    case $info in *'Server Version: '*) ;; *) return 0 ;; esac
    version=${info#*'Server Version: '} builds='' changed_names=''
    version=${version%%"$nl"*}
    major=${version%%.*}
    case $major in '' | *[!0-9]*) major=0 ;; esac
    if [ "$major" -ge 28 ]; then
        case $info in *'driver-type: io.containerd.snapshotter'*) return 0 ;; esac
        version="$version with its classic store" builds='; in builds it asks all of them'
    fi
    while [ $# -gt 0 ]; do
        claimed "$1" || changed_names="$changed_names${changed_names:+; }$2/org/app in place of $1/org/app"
        shift 2
    done
    [ -z "$changed_names" ] ||
        note "Docker $version: it pulls through the mirror of docker.io alone$builds. For others: $changed_names"
}
