#!/bin/sh
# Has this machine trust the registry 192.168.0.12: every client of a registry that is found on it.
#
# Authority, SHA-256: 1c5499358740c4da499af5fbb81fa9bd34e8d801a522a35e4f16a364863a2155
# Compare that with what the registry's machine shows (./inv cert.show), then, as root: sh trust-192.168.0.12-1c5499358740c4da.sh
# More: sh trust-192.168.0.12-1c5499358740c4da.sh --help
# Made by trusted-registry from templates/trust.sh.j2 and its table of stores.

# The shell reads all that is between the braces before it does any of it: half a file does nothing.
{
set -eu
LC_ALL=C PATH=${PATH:-/usr/bin:/bin}:/usr/sbin:/sbin
export LC_ALL PATH
umask 022
set -f
tab='	'
nl='
'
IFS=$nl
mine=trusted-registry ended='' status=1
kit_sum='69a3eb44c471e0b881405367a887927d0fa5b528235659c8a5c429d2b12c8e80'
fingerprint='1c5499358740c4da499af5fbb81fa9bd34e8d801a522a35e4f16a364863a2155'
id='1c5499358740c4da'
registry=192.168.0.12
cert='-----BEGIN CERTIFICATE-----
d2hhdCBhIGNlcnRpZmljYXRlIGhvbGRzLCBmb3IgdGhvc2Ugd2hvIG9ubHkgY2Fy
cnkgaXQgd2hhdCBhIGNlcnRpZmljYXRlIGhvbGRzLCBmb3IgdGhvc2Ugd2hvIG9u
bHkgY2FycnkgaXQgd2hhdCBhIGNlcnRpZmljYXRlIGhvbGRzLCBmb3IgdGhvc2Ug
d2hvIG9ubHkgY2FycnkgaXQgd2hhdCBhIGNlcnRpZmljYXRlIGhvbGRzLCBmb3Ig
dGhvc2Ugd2hvIG9ubHkgY2FycnkgaXQgd2hhdCBhIGNlcnRpZmljYXRlIGhvbGRz
LCBmb3IgdGhvc2Ugd2hvIG9ubHkgY2FycnkgaXQgd2hhdCBhIGNlcnRpZmljYXRl
IGhvbGRzLCBmb3IgdGhvc2Ugd2hvIG9ubHkgY2FycnkgaXQgd2hhdCBhIGNlcnRp
ZmljYXRlIGhvbGRzLCBmb3IgdGhvc2Ugd2hvIG9ubHkgY2FycnkgaXQgd2hhdCBh
IGNlcnRpZmljYXRlIGhvbGRzLCBmb3IgdGhvc2Ugd2hvIG9ubHkgY2FycnkgaXQg
d2hhdCBhIGNlcnRpZmljYXRlIGhvbGRzLCBmb3IgdGhvc2Ugd2hvIG9ubHkgY2Fy
cnkgaXQg
-----END CERTIFICATE-----
'

# However it ends: cleared up, and with success only where it says so.
trap 'status=$?; finally' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# The last line is for programs to read.
finish() {
    ended=yes
    printf '%s: %s\n' "$mine" "$1"
    exit "$2"
}

error() { printf 'error: %s\n   do: %s\n' "$1" "$2" >&2; }

refuse() {
    error "$1" "$2"
    finish failed "${3:-1}"
}

# shellcheck disable=SC2329 # the trap calls it
finally() {
    [ -z "${locked:-}${new:-}" ] || release
    if [ -z "$ended" ]; then
        [ "$status" -ne 0 ] || status=1
        finish failed "$status"
    fi
}

# The SHA-256 of standard input, in hex.
sha256() {
    case $summer in
        sha256sum) digest=$(sha256sum) ;;
        shasum) digest=$(shasum -a 256) ;;
        *) digest=$(openssl dgst -sha256) ;;
    esac
    digest=${digest##*= }
    printf '%s\n' "${digest%% *}"
}

decoded() { if command -v base64 >/dev/null; then base64 -d; else openssl base64 -d; fi; }

# Before anything else: whether this is, byte for byte, what was made.
{ [ -f "$0" ] && [ -r "$0" ]; } ||
    refuse "This kit reads itself, to see whether it is whole, and $0 is not its file." 'Save it, then: sh FILE'
for it in awk cat cmp cp id ln ls mkdir mv rm rmdir sed sleep tail; do
    command -v "$it" >/dev/null || refuse "There is no $it here." "Install the program $it."
done
for summer in sha256sum shasum openssl none; do
    if command -v "$summer" >/dev/null; then break; fi
done
[ "$summer" != none ] ||
    refuse 'Neither sha256sum nor shasum nor openssl is here, to see whether this kit is whole.' 'Install one of them.'
whole=$(sed 's/^kit_sum=.*/kit_sum=/' <"$0" | sha256)
bare=${cert#*-----BEGIN CERTIFICATE-----}
bare=$(printf '%s\n' "${bare%%-----END*}" | decoded | sha256)
{ [ "$whole" = "$kit_sum" ] && [ "$bare" = "$fingerprint" ]; } ||
    refuse "$0 is not as it was made: something in it was changed." 'Get it again, and compare its fingerprint.'

unit=$(printf '\037')
part=.trusted-registry.part
action=write dry='' only='' skip='' system='' whose=all root=''
found='' changed='' absent='' failed='' force='' fresh='' leave='' locked='' new='' record='' phase=look

# --- What it says ---

say() { printf '%s\n' "$1"; }

note() { printf 'note: %s\n' "$1" >&2; }

# A word as it can be typed, in $quoted.
quote() {
    quoted=$1
    case $1 in *[!A-Za-z0-9_@%+=:,./-]* | '') ;; *) return 0 ;; esac
    quoted='' rest=$1
    while :; do
        case $rest in *\'*) ;; *) break ;; esac
        quoted="$quoted${rest%%\'*}'\\''" rest=${rest#*\'}
    done
    quoted="'$quoted$rest'"
}

# A command as it can be typed, in $typed.
type_out() {
    typed=''
    for word; do
        quote "$word"
        typed="$typed $quoted"
    done
    typed=${typed# }
}

show() {
    type_out "$@"
    say "$ $typed"
}

help() {
    quote "$0"
    cat <<USAGE
sh $quoted [--check | --remove] [--dry-run] [--only NAME,...] [--skip NAME,...] [--system] [--user] [--root DIR]

Has this machine trust the registry $registry: every client of a registry that is found on it.

  --check      only say whether they do: exit status 0 when all of them do
  --remove     take back what this kit wrote, and nothing else
  --dry-run    show the commands, change nothing
  --only       these stores and no others: docker, docker-rootless, podman, containerd, k3s, buildkit, system, nss, java
  --skip       all but these
  --system     with the stores of the operating system, of browsers and of Java
  --user       only what is this user's own: takes no root
  --root DIR   only what is the machine's, below DIR: for an image, or for another system's disk

It adds lines to registries.yaml and buildkitd.toml and does not parse these files: what was no valid one stays none.

Authority, SHA-256: $fingerprint
The last line is for programs: $mine: changed, already trusted, would change, trusted, absent or failed.
USAGE
}

# --- What it was told ---

check_names() {
    IFS=,
    for word in $2; do
        case $word in
            docker | docker-rootless | podman | containerd | k3s | buildkit | system | nss | java) ;;
            *) refuse "$1: there is no store '$word'." 'Use one of: docker, docker-rootless, podman, containerd, k3s, buildkit, system, nss, java' 2 ;;
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
    fi
}

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
        refuse 'This takes root: what the clients of this machine read is not yours to write.' \
            "sudo sh $quoted; or, for what is your own: sh $quoted --user"
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
# --- What it wrote, when: a line each, so that exactly that can be taken back ---
# folder PATH; file ID KEY SUM PATH; blocks ID KEY PATH SPECS; made PATH; unended PATH; database ID KEY PATH; refresh KEY

load_record() {
    record=''
    if [ -f "$state/kit" ]; then record=$(cat "$state/kit")$nl; fi
}

remembers() { case $nl$record in *"$nl$1$nl"*) return 0 ;; *) return 1 ;; esac }

remember() { remembers "$1" || record=$record$1$nl; }

forget() {
    kept=''
    for each in $record; do
        [ "$each" = "$1" ] || kept=$kept$each$nl
    done
    record=$kept
}

save_record() {
    for each in $fresh; do remember "folder$tab${each#"$root"}"; done
    place_file "$state/kit" "$record"
}

# --- One run at a time ---

lock() {
    tries=0 baffled=''
    while :; do
        make_folders "$state" || finish failed 1
        [ -z "$lacking" ] || fresh=$lacking leave=$made
        if reason=$(ln -sn "$$" "$state/lock" 2>&1); then break; fi
        holder=''
        if [ -L "$state/lock" ]; then
            holder=$(holding)
            if [ -n "$holder" ] && ! alive "$holder" && break_lock; then continue; fi
        else
            # It was let go of this very moment, or nothing can be made here.
            if [ -n "$baffled" ]; then
                cannot "$state/lock" "$reason"
                finish failed 1
            fi
            baffled=yes
            continue
        fi
        tries=$((tries + 1))
        type_out rm -f "$state/lock" "$state/lock.break"
        [ "$tries" -lt 30 ] ||
            refuse "Another run, process ${holder:-unknown}, has been at work for half a minute." \
                "Wait for it; if there is none: $typed"
        sleep 1
    done
    locked=yes
    load_record
}

# The number of the process that holds the lock.
holding() {
    link=$(ls -l "$state/lock" 2>/dev/null) || link=''
    say "${link##*-> }"
}

alive() { kill -0 "$1" 2>/dev/null || [ -d "/proc/$1" ]; }

# Who breaks a dead run's lock holds another one meanwhile, and looks again: two cannot break it, one after the other.
break_lock() {
    ln -sn "$$" "$state/lock.break" 2>/dev/null || return 1
    [ "$(holding)" != "$holder" ] || rm -f "$state/lock"
    rm -f "$state/lock.break"
}

# shellcheck disable=SC2329 # the trap calls it
release() {
    [ -z "$new" ] || rm -f "$new" || :
    [ -n "$locked" ] || return 0
    locked=''
    rm -f "$state/lock" || :
    [ ! -e "$state/kit" ] || return 0
    for dir in $state $leave; do rmdir "$dir" 2>/dev/null || :; done
}

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

# The folders that a path lacks, outermost first, in $lacking.
lacks() {
    lacking='' dir=$1
    until [ -d "${dir:-/}" ]; do lacking=$dir$nl$lacking dir=${dir%/*}; done
}

make_folders() {
    lacks "$1"
    made=''
    for dir in $lacking; do
        reason=$(mkdir -m 0755 "$dir" 2>&1) || [ -d "$dir" ] || {
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
        if [ -e "$new" ] || [ -L "$new" ]; then rm -f "$new" || exit 1; fi
        # Made by this run, whatever another hand puts in the way; a copy of what few may read is theirs from the start.
        set -C
        if [ -n "${3:-}" ] && [ -e "$1" ]; then kept=yes; else kept=''; fi
        [ -z "$kept" ] || umask 077
        : >"$new" || exit 1
        [ ! -L "$new" ] || exit 1
        [ -z "$kept" ] || cp -p "$1" "$new" || exit 1
        # A shell's own printf does not always say why it cannot write; cat does.
        printf '%s' "$2" >|"$new" 2>/dev/null || printf '%s' "$2" | cat >|"$new" || exit 1
        printf '%s' "$2" | cmp -s - "$new" && mv -f "$new" "$1"
    ); then
        new=''
        return 0
    fi
    rm -f "$new" 2>/dev/null || :
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

# --- Lines of ours in files of others: the same as trusted_registry/trust/managed_blocks/editing.py does ---

# shellcheck disable=SC2016 # awk's own
weaver='
function blank(s) { sub(/^[ \t\r]+/, "", s); sub(/[ \t\r]+$/, "", s); return s }
function says(s) { s = blank(s); return s != "" && substr(s, 1, 1) != "#" }
function opening(b) { return mark (under[b] == "" ? "" : " " under[b]) (who[b] == "" ? "" : " " who[b]) }
function is_key(s, b) { return index(s, under[b]) == 1 && substr(s, length(under[b]) + 1) ~ /^[ \t\r]*(#.*)?$/ }

function within(b,    i) {
    first = last = 0
    for (i = 1; i <= n && !first; i++) if (blank(line[i]) == opening(b)) first = i
    if (!first) return 0
    for (i = first + 1; i <= n; i++) if (index(blank(line[i]), mark) == 1) break
    if (i > n || blank(line[i]) != mark " end") return 0
    last = i
    return 1
}

function holds(b,    i) {
    if (!within(b) || last - first != lines[b] + 1) return 0
    for (i = 1; i <= lines[b]; i++) if (blank(line[first + i]) != blank(text[b, i])) return 0
    return 1
}

function any_authority(s) { s = blank(s); gsub("trusted-registry-" hex "\\.crt", "", s); return s }

function altered(b,    i) {
    if (within(b)) {
        for (i = 1; i <= lines[b]; i++) if (any_authority(line[first + i]) != any_authority(text[b, i])) break
        if (i > lines[b] && last - first == lines[b] + 1) return 0
    }
    upto = last ? last : first
    return first
}

function cut(from, count,    i) {
    for (i = from; i + count <= n; i++) line[i] = line[i + count]
    n -= count
}

function take(b,    i, j) {
    if (!within(b)) return
    cut(first, last - first + 1)
    if (under[b] == "") return
    for (i = 1; i <= n; i++) if (line[i] == under[b] " # trusted-registry") break
    if (i > n) return
    for (j = i + 1; j <= n; j++) if (says(line[j])) break
    if (j > n || substr(line[j], 1, 1) != " ") cut(i, 1)
}

function bare(s) { gsub(/[ \t\r]/, "", s); gsub("\047", "\"", s); return s }

function claimed(s, b,    i, c) {
    s = bare(s)
    for (i = 1; i <= claims[b]; i++) {
        c = bare(claim[b, i])
        if (index(s, c) == 1 && substr(s, length(c) + 1) !~ /^[0-9]/) return 1
    }
    return 0
}

function foreign(b,    i, s, inside, ours) {
    inside = under[b] == ""
    for (i = 1; i <= n; i++) {
        s = blank(line[i])
        if (index(s, mark) == 1) ours = s != mark " end"
        else if (under[b] != "" && says(s) && substr(line[i], 1, 1) != " ") inside = is_key(line[i], b)
        else if (inside && !ours && claimed(line[i], b)) return i
    }
    return 0
}

function key(s,    q, name) {
    q = substr(s, 1, 1)
    if (q != "\"" && q != "\047") q = ""
    s = substr(s, length(q) + 1)
    if (!match(s, /^[A-Za-z0-9_.-]+/)) return ""
    name = substr(s, 1, RLENGTH) ":"
    s = substr(s, RLENGTH + 1)
    if (substr(s, 1, length(q)) != q) return ""
    return substr(s, length(q) + 1) ~ /^[ \t]*:/ ? name : ""
}

function malformed(b,    i, k, any, sound, seen) {
    split("", seen)
    for (i = 1; i <= n; i++) {
        k = key(line[i])
        if (k != "") sound = !(k in seen) && (k != under[b] || is_key(line[i], b))
        else sound = any ? substr(line[i], 1, 1) == " " : line[i] ~ /^---[ \t\r]*$/
        if (says(line[i]) && !sound) return i
        if (k != "") any = seen[k] = 1
    }
    return 0
}

function check(b,    i, said) {
    if (n && index(line[1], "\357\273\277") == 1) refuse("mark")
    if (altered(b)) refuse("changed\t" first "\t" upto)
    if (foreign(b)) {
        for (i = 1; i <= lines[b]; i++) said = said (i > 1 ? "; " : "") blank(text[b, i])
        refuse("claimed\t" foreign(b) "\t" who[b] "\t" said)
    }
    if (under[b] != "" && malformed(b)) refuse("form\t" malformed(b) "\t" under[b])
}

function refuse(why) { refused = 1; printf "%s", why; exit 4 }

function margin(at,    i) {
    for (i = at; i <= n; i++) if (says(line[i])) {
        match(line[i], /^ */)
        return RLENGTH ? substr(line[i], 1, RLENGTH) : "  "
    }
    return "  "
}

function add(b,    at, indent, i) {
    at = n + 1
    indent = ""
    if (under[b] != "") {
        for (i = 1; i <= n; i++) if (is_key(line[i], b)) break
        if (i > n) line[n = i] = under[b] " # trusted-registry"
        at = i + 1
        indent = margin(at)
    }
    for (i = n; i >= at; i--) line[i + lines[b] + 2] = line[i]
    line[at] = indent opening(b)
    for (i = 1; i <= lines[b]; i++) line[at + i] = indent text[b, i]
    line[at + i] = indent mark " end"
    n += lines[b] + 2
}

function read(specs,    raw, count, i, tag, rest) {
    count = split(specs, raw, "\n")
    for (i = 1; i <= count; i++) {
        tag = substr(raw[i], 1, 2)
        rest = substr(raw[i], 3)
        if (tag == "> ") { under[++blocks] = rest; lines[blocks] = claims[blocks] = 0 }
        else if (tag == "= ") who[blocks] = rest
        else if (tag == "| ") text[blocks, ++lines[blocks]] = rest
        else if (tag == "? ") claim[blocks, ++claims[blocks]] = rest
    }
}

function others_hold(b,    i) {
    for (i = mine + 1; i <= blocks; i++) if (opening(i) == opening(b) && holds(i)) return 1
    return 0
}

BEGIN {
    mark = "# trusted-registry:"
    hex = "[0-9a-f][0-9a-f][0-9a-f][0-9a-f]"
    hex = hex hex hex hex
    read(ENVIRON["specs"])
    mine = blocks
    read(ENVIRON["others"])
}

{ line[++n] = $0 }

END {
    if (refused) exit 4
    stays = "."
    if (ENVIRON["deed"] == "add") {
        for (b = 1; b <= mine; b++) if (!holds(b)) check(b)
        for (b = 1; b <= mine; b++) if (!holds(b)) { check(b); take(b); add(b); changed = 1 }
    } else {
        for (b = 1; b <= mine; b++) {
            if (holds(b)) { if (!others_hold(b)) { take(b); changed = 1 } }
            else if (within(b)) stays = "!"
        }
    }
    if (!changed) exit 3
    for (i = 1; i <= n; i++) print line[i]
    printf "%s", stays
}
'

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
            error "$path, line $2, already says something about $3. It was left as it is." \
                "Take that out, or add there by hand: $4"
            ;;
        changed)
            error "$path, between our marks in lines $2 to $3, holds something that was not written here; nothing was changed." \
                "See what it is: sed -n $2,$3p $quoted; then remove it: sed -i $2,$3d $quoted; or go on without it: --skip $name"
            ;;
        form)
            error "$path, line $2, is not in block form. It was left as it is." \
                "Write $3 once, at the left margin, and its entries on lines of their own below it"
            ;;
        mark) error "$path, line 1, begins with a byte order mark. It was left as it is." 'Take it out with an editor' ;;
        *) error "$path cannot be read. It was left as it is." "See what it is: head $quoted" ;;
    esac
}

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
        wrong "$1 cannot be looked at." "Run this as root: $typed"
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

# A key without its certificate makes every pull fail; what does not end in .crt counts for nothing.
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
        [ ! -e "$it" ] || note "$it counts for nothing: clients read files that end in .crt"
    done
    set -f
}

same() { printf '%s' "$2" | cmp -s - "$1"; }

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
    else
        quote "$2"
        wrong "$2 holds something that was not written here; nothing was changed." \
            "See what it is: cat $quoted; then remove it: rm $quoted; or go on without it: --skip $name"
    fi
    if to_do "$2"; then note_file "$@"; fi
}

note_file() { noted "file$tab$id$tab$key$tab$3$tab${2#"$root"}"; }

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
            if [ "$4" = "$cert" ] && seen "$2" -f && [ -r "$2" ] && same "$2" "$4"; then
                failed=yes
                if written_from "$2" "$3"; then return 0; fi
                type_out rm "$2"
                error "$2 vouches for the registry too, and this kit did not write it." "To take that away as well: $typed"
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
            { weave add "$1" "$3" && place_file "$1" "$woven" keep; } || trouble=yes
            ;;
    esac
}

look_into() {
    for it in $2; do spell "$it"; done
    not_a_link "$1" || return 0
    if [ -e "$1" ] && { [ ! -f "$1" ] || [ ! -r "$1" ]; }; then
        type_out ls -ld "$1"
        wrong "$1 cannot be read." "See what it is, and who you are: $typed; id"
    elif weave add "$1" "$3"; then
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
        case $phase in
            look)
                spell "$place"
                if ! ask look; then
                    lacked "database $place" "$place"
                    noted "database$tab$id$tab$key$tab$place"
                fi
                ;;
            show) if to_do "database $place"; then ask add; fi ;;
            write)
                if to_do "database $place"; then
                    { place_file "$file" "$cert" && ask add; } || trouble=yes
                    rm -f "$file"
                fi
                ;;
        esac
    done
}

quiet() { "$@" >/dev/null 2>&1 </dev/null; }

# --- One store ---

line() { say "$label${spelled:+: $spelled}: $1"; }

# Whether a store is meant by the flags.
meant() {
    case $skip in *,"$name",*) return 1 ;; esac
    if [ -n "$force" ]; then
        [ "$force" = "$name" ]
    elif [ -n "$only" ]; then
        case $only in *,"$name",*) ;; *) return 1 ;; esac
    else
        [ "$1" = found ] || [ -n "$system" ] || [ "$action" = remove ]
    fi
}

# store KEY NAME CLIENTS SCOPE found|asked WHY COMMAND
store() {
    key=$1 name=$2 label="$2 ($3)" why=$6 command=$7
    case $4 in machine) reach=$machine ;; *) reach=$own ;; esac
    todo='' short='' spelled='' trouble='' notes='' counted='' beside=''
    meant "$5" || return 0
    if [ "$phase" = left ]; then
        items
    elif [ "$action" = remove ]; then
        take_back
    elif [ -n "$force" ]; then
        if [ -n "$reach" ] && plain; then
            force=''
            items
            settle
        fi
    elif signs; then
        items
        settle
    fi
}

settle() {
    [ -n "$counted" ] || return 0
    found=$found,$name,
    if [ -n "$trouble" ]; then
        failed=yes
        line 'refused, nothing was changed'
    elif [ -z "$todo" ] && ! remembers "refresh$tab$key"; then
        if [ "$action" = check ]; then line trusted; else line 'already trusted'; fi
    elif [ "$action" = check ]; then
        absent=yes spelled=${short:-$spelled}
        line absent
    elif [ -n "$dry" ]; then
        changed=yes phase=show
        items
        refresh change
        phase=look
        line 'would be trusted'
    else
        write
    fi
}

write() {
    if refreshed; then noted "refresh$tab$key"; fi
    for line in $notes; do
        case $line in "file$tab"*) supersede "${line##*"$tab"}" ;; esac
        remember "$line"
    done
    phase='write'
    if save_record; then items; else trouble=yes; fi
    phase=look
    if [ -z "$trouble" ] && refreshed; then freshen change || trouble=yes; fi
    if [ -n "$trouble" ]; then
        failed=yes
        line 'not all of it was written'
    else
        changed=yes
        line 'now trusted'
        tell_restart
    fi
}

# What another authority's kit wrote there is gone now.
supersede() {
    for old in $record; do
        case $old in "file$tab$id$tab"*) ;; "file$tab"*"$tab$1") forget "$old" ;; esac
    done
}

freshen() {
    if [ "$whose" = root ]; then
        note "$label: in $root, this is left to be done:"
        dry=yes
        refresh "$1" >&2
        dry=''
        [ "$1" = change ] || forget "refresh$tab$key"
        return 0
    fi
    refresh "$1" || return 1
    forget "refresh$tab$key"
    [ "$1" = removal ] || save_record
}

tell_restart() {
    [ -z "$why" ] || say "$name: it $why, so: $command"
}

# --- Taking back ---

take_back() {
    taken=''
    ! remembers "refresh$tab$key" || taken=yes
    for line in $record; do
        case $line in
            "file$tab$id$tab$key$tab"*) take_file "$line" ;;
            "blocks$tab$id$tab$key$tab"*) take_blocks "$line" ;;
            "database$tab$id$tab$key$tab"*) take_database "$line" ;;
        esac
    done
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
}

# Take a path away, and tell where that fails.
drop() {
    if [ -n "$dry" ]; then
        show rm "$1"
    elif ! reason=$(rm -f "$1" 2>&1); then
        cannot "$1" "$reason"
        failed=yes
        return 1
    fi
}

take_file() {
    entry=$1 path=$root${1##*"$tab"} sum=''
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
        linked "$path" || rm -f "${path%/*}/$part" 2>/dev/null || :
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
        rm -f "$dir/$part" 2>/dev/null || :
        if [ ! -d "$dir" ] || rmdir "$dir" 2>/dev/null; then
            forget "folder$tab${dir#"$root"}"
        else
            case $state in "$dir"/*) leave=$leave$nl$dir ;; esac
        fi
    done
    case $nl$record in
        *"${nl}file$tab"* | *"${nl}blocks$tab"* | *"${nl}database$tab"* | *"${nl}refresh$tab"*) save_record || failed=yes ;;
        *) rm -f "$state/kit" ;;
    esac
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

# --- The table of stores ---

stores() {
    store docker docker 'Docker Engine' machine found '' ''
    store docker-rootless docker-rootless 'Docker Engine without root' user found '' ''
    store docker-desktop docker 'Docker Desktop' user found 'copies the certificates into its machine when it starts' 'systemctl --user restart docker-desktop'
    store containers podman 'podman, skopeo, buildah, CRI-O' machine found '' ''
    store containerd containerd 'containerd: nerdctl, ctr --hosts-dir, Kubernetes' machine found '' ''
    store k3s k3s 'k3s, k3d' machine found 'reads registries.yaml when it starts' 'systemctl restart k3s || systemctl restart k3s-agent'
    store buildx buildkit 'docker buildx, container driver' user found 'copies the certificates into a builder when that is made' 'docker buildx rm --keep-state BUILDER && docker buildx create --name BUILDER'
    store buildkit buildkit buildkitd machine found 'reads buildkitd.toml when it starts' 'systemctl restart buildkit'
    store system-debian-java system 'Java, through the system store' machine asked 'reads its certificates when it starts' 'start your Java programs again'
    store system-debian system 'curl, git, helm, oras, crane, Python' machine asked '' ''
    store system-rhel system 'curl, git, helm, oras, crane, Python' machine asked '' ''
    store system-arch system 'curl, git, helm, oras, crane, Python' machine asked '' ''
    store system-suse system 'curl, git, helm, oras, crane, Python' machine asked '' ''
    store nss nss 'Firefox, Chromium' user asked 'reads its certificates when it starts' 'close the browser and open it again'
    store java java Java machine asked 'reads its certificates when it starts' 'start your Java programs again'
}

# Whether a store's readers are seen here.
signs() {
    case $key in
        docker) any_exists "$root"/run/docker.sock "$root"/var/run/docker.sock "$root"/var/lib/docker ;;
        docker-rootless) any_exists "$run"/docker.sock "$data"/docker ;;
        docker-desktop) any_exists "$home"/.docker/desktop ;;
        containers) any_exists "$root"/etc/crio || any_on_path podman skopeo buildah crio ;;
        containerd) any_exists "$root"/etc/containerd/certs.d || any_on_path nerdctl kubelet || { any_on_path containerd && ! any_on_path dockerd k3s; } ;;
        k3s) any_exists "$root"/etc/rancher/k3s/config.yaml "$root"/etc/rancher/k3s/registries.yaml "$root"/var/lib/rancher/k3s || any_on_path k3s ;;
        buildx) any_exists "$docker"/buildx/instances ;;
        buildkit) any_exists "$root"/etc/buildkit || any_on_path buildkitd ;;
        system-debian-java) any_exists "$root"/etc/ca-certificates/update.d/jks-keystore ;;
        system-debian) any_exists "$root"/usr/local/share/ca-certificates ;;
        system-rhel) any_exists "$root"/etc/pki/ca-trust/source/anchors ;;
        system-arch) any_exists "$root"/etc/ca-certificates/trust-source/anchors ;;
        system-suse) any_exists "$root"/etc/pki/trust/anchors ;;
        nss) any_on_path certutil ;;
        java) any_on_path keytool ;;
    esac
}

# What a store holds.
items() {
    case $key in
        docker)
            file 192.168.0.12 "$root"/etc/docker/certs.d/192.168.0.12/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file 192.168.0.12:443 "$root"/etc/docker/certs.d/192.168.0.12:443/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file registry.local "$root"/etc/docker/certs.d/registry.local/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file registry.local:443 "$root"/etc/docker/certs.d/registry.local:443/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file '[fd00::12]' "$root"'/etc/docker/certs.d/[fd00::12]/ca.crt' c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file '[fd00::12]:443' "$root"'/etc/docker/certs.d/[fd00::12]:443/ca.crt' c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            ;;
        docker-rootless)
            file 192.168.0.12 "$config"/docker/certs.d/192.168.0.12/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file 192.168.0.12:443 "$config"/docker/certs.d/192.168.0.12:443/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file registry.local "$config"/docker/certs.d/registry.local/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file registry.local:443 "$config"/docker/certs.d/registry.local:443/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file '[fd00::12]' "$config"'/docker/certs.d/[fd00::12]/ca.crt' c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file '[fd00::12]:443' "$config"'/docker/certs.d/[fd00::12]:443/ca.crt' c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            ;;
        docker-desktop)
            file 192.168.0.12 "$home"/.docker/certs.d/192.168.0.12/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file 192.168.0.12:443 "$home"/.docker/certs.d/192.168.0.12:443/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file registry.local "$home"/.docker/certs.d/registry.local/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file registry.local:443 "$home"/.docker/certs.d/registry.local:443/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file '[fd00::12]' "$home"'/.docker/certs.d/[fd00::12]/ca.crt' c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file '[fd00::12]:443' "$home"'/.docker/certs.d/[fd00::12]:443/ca.crt' c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            ;;
        containers)
            file 192.168.0.12 "$root"/etc/containers/certs.d/192.168.0.12/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            hidden 192.168.0.12 "$home"/.config/containers/certs.d/192.168.0.12 ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file 192.168.0.12:443 "$root"/etc/containers/certs.d/192.168.0.12:443/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            hidden 192.168.0.12:443 "$home"/.config/containers/certs.d/192.168.0.12:443 ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file registry.local "$root"/etc/containers/certs.d/registry.local/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            hidden registry.local "$home"/.config/containers/certs.d/registry.local ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file registry.local:443 "$root"/etc/containers/certs.d/registry.local:443/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            hidden registry.local:443 "$home"/.config/containers/certs.d/registry.local:443 ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file '[fd00::12]' "$root"'/etc/containers/certs.d/[fd00::12]/ca.crt' c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            hidden '[fd00::12]' "$home"'/.config/containers/certs.d/[fd00::12]' ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file '[fd00::12]:443' "$root"'/etc/containers/certs.d/[fd00::12]:443/ca.crt' c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            hidden '[fd00::12]:443' "$home"'/.config/containers/certs.d/[fd00::12]:443' ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            ;;
        containerd)
            file 192.168.0.12 "$root"/etc/containerd/certs.d/192.168.0.12/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file 192.168.0.12 "$root"/etc/containerd/certs.d/192.168.0.12/hosts.toml f7c84148b08f924c0605616cad20f0c1556e6fd9e47203392392f249bffd6e24 'server = "https://192.168.0.12"
ca = "/etc/containerd/certs.d/192.168.0.12/ca.crt"

[host."https://192.168.0.12"]
  capabilities = ["pull", "resolve", "push"]
  ca = "/etc/containerd/certs.d/192.168.0.12/ca.crt"
'
            file 192.168.0.12:443 "$root"/etc/containerd/certs.d/192.168.0.12:443/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file 192.168.0.12:443 "$root"/etc/containerd/certs.d/192.168.0.12:443/hosts.toml c6014c69cdd5c67c7dca6c7088e0282f09135b91f70f165819ca1f3bf99e3daf 'server = "https://192.168.0.12:443"
ca = "/etc/containerd/certs.d/192.168.0.12:443/ca.crt"

[host."https://192.168.0.12:443"]
  capabilities = ["pull", "resolve", "push"]
  ca = "/etc/containerd/certs.d/192.168.0.12:443/ca.crt"
'
            file registry.local "$root"/etc/containerd/certs.d/registry.local/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file registry.local "$root"/etc/containerd/certs.d/registry.local/hosts.toml e5a85541768a077c771aac02e444e03df968aaacb06652e4cb38fa63b43cb3fa 'server = "https://registry.local"
ca = "/etc/containerd/certs.d/registry.local/ca.crt"

[host."https://registry.local"]
  capabilities = ["pull", "resolve", "push"]
  ca = "/etc/containerd/certs.d/registry.local/ca.crt"
'
            file registry.local:443 "$root"/etc/containerd/certs.d/registry.local:443/ca.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file registry.local:443 "$root"/etc/containerd/certs.d/registry.local:443/hosts.toml 00a51df7d5b2af0bdc7d222b20c6dc2a942a6ea74e297e080c9384f656a290e3 'server = "https://registry.local:443"
ca = "/etc/containerd/certs.d/registry.local:443/ca.crt"

[host."https://registry.local:443"]
  capabilities = ["pull", "resolve", "push"]
  ca = "/etc/containerd/certs.d/registry.local:443/ca.crt"
'
            file '[fd00::12]' "$root"'/etc/containerd/certs.d/[fd00::12]/ca.crt' c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file '[fd00::12]' "$root"'/etc/containerd/certs.d/[fd00::12]/hosts.toml' 0bbdd17f3786fa3304a08d19c99c5528e1dfd2608fa81ddcd03067ab6b3d5949 'server = "https://[fd00::12]"
ca = "/etc/containerd/certs.d/[fd00::12]/ca.crt"

[host."https://[fd00::12]"]
  capabilities = ["pull", "resolve", "push"]
  ca = "/etc/containerd/certs.d/[fd00::12]/ca.crt"
'
            file '[fd00::12]:443' "$root"'/etc/containerd/certs.d/[fd00::12]:443/ca.crt' c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            file '[fd00::12]:443' "$root"'/etc/containerd/certs.d/[fd00::12]:443/hosts.toml' 0d4467045a3355dd51bb939bfd8d051ca557c0ca360b43d8d61c79326b96a73f 'server = "https://[fd00::12]:443"
ca = "/etc/containerd/certs.d/[fd00::12]:443/ca.crt"

[host."https://[fd00::12]:443"]
  capabilities = ["pull", "resolve", "push"]
  ca = "/etc/containerd/certs.d/[fd00::12]:443/ca.crt"
'
            ;;
        k3s)
            file '' "$root"/etc/rancher/k3s/trusted-registry-1c5499358740c4da.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            shared "$root"/etc/rancher/k3s/registries.yaml '192.168.0.12
192.168.0.12:443
registry.local
registry.local:443
[fd00::12]
[fd00::12]:443' '> mirrors:
= 192.168.0.12
| "192.168.0.12":
|   endpoint:
|     - "https://192.168.0.12"
? "192.168.0.12":
? 192.168.0.12:
> configs:
= 192.168.0.12
| "192.168.0.12":
|   tls:
|     ca_file: "/etc/rancher/k3s/trusted-registry-1c5499358740c4da.crt"
? "192.168.0.12":
? 192.168.0.12:
> mirrors:
= 192.168.0.12:443
| "192.168.0.12:443":
|   endpoint:
|     - "https://192.168.0.12:443"
? "192.168.0.12:443":
? 192.168.0.12:443:
> configs:
= 192.168.0.12:443
| "192.168.0.12:443":
|   tls:
|     ca_file: "/etc/rancher/k3s/trusted-registry-1c5499358740c4da.crt"
? "192.168.0.12:443":
? 192.168.0.12:443:
> mirrors:
= registry.local
| "registry.local":
|   endpoint:
|     - "https://registry.local"
? "registry.local":
? registry.local:
> configs:
= registry.local
| "registry.local":
|   tls:
|     ca_file: "/etc/rancher/k3s/trusted-registry-1c5499358740c4da.crt"
? "registry.local":
? registry.local:
> mirrors:
= registry.local:443
| "registry.local:443":
|   endpoint:
|     - "https://registry.local:443"
? "registry.local:443":
? registry.local:443:
> configs:
= registry.local:443
| "registry.local:443":
|   tls:
|     ca_file: "/etc/rancher/k3s/trusted-registry-1c5499358740c4da.crt"
? "registry.local:443":
? registry.local:443:
> mirrors:
= [fd00::12]
| "[fd00::12]":
|   endpoint:
|     - "https://[fd00::12]"
? "[fd00::12]":
? [fd00::12]:
> configs:
= [fd00::12]
| "[fd00::12]":
|   tls:
|     ca_file: "/etc/rancher/k3s/trusted-registry-1c5499358740c4da.crt"
? "[fd00::12]":
? [fd00::12]:
> mirrors:
= [fd00::12]:443
| "[fd00::12]:443":
|   endpoint:
|     - "https://[fd00::12]:443"
? "[fd00::12]:443":
? [fd00::12]:443:
> configs:
= [fd00::12]:443
| "[fd00::12]:443":
|   tls:
|     ca_file: "/etc/rancher/k3s/trusted-registry-1c5499358740c4da.crt"
? "[fd00::12]:443":
? [fd00::12]:443:'
            ;;
        buildx)
            file '' "$docker"/buildx/trusted-registry-1c5499358740c4da.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            shared "$docker"/buildx/buildkitd.default.toml '192.168.0.12
192.168.0.12:443
registry.local
registry.local:443' '> 
= 192.168.0.12
| [registry."192.168.0.12"]
|   ca = ["'"$docker"'/buildx/trusted-registry-1c5499358740c4da.crt"]
? [registry."192.168.0.12"]
? [registry."192.168.0.12".
? [[registry."192.168.0.12".
> 
= 192.168.0.12:443
| [registry."192.168.0.12:443"]
|   ca = ["'"$docker"'/buildx/trusted-registry-1c5499358740c4da.crt"]
? [registry."192.168.0.12:443"]
? [registry."192.168.0.12:443".
? [[registry."192.168.0.12:443".
> 
= registry.local
| [registry."registry.local"]
|   ca = ["'"$docker"'/buildx/trusted-registry-1c5499358740c4da.crt"]
? [registry."registry.local"]
? [registry."registry.local".
? [[registry."registry.local".
> 
= registry.local:443
| [registry."registry.local:443"]
|   ca = ["'"$docker"'/buildx/trusted-registry-1c5499358740c4da.crt"]
? [registry."registry.local:443"]
? [registry."registry.local:443".
? [[registry."registry.local:443".'
            ;;
        buildkit)
            file '' "$root"/etc/buildkit/trusted-registry-1c5499358740c4da.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            shared "$root"/etc/buildkit/buildkitd.toml '192.168.0.12
192.168.0.12:443
registry.local
registry.local:443' '> 
= 192.168.0.12
| [registry."192.168.0.12"]
|   ca = ["/etc/buildkit/trusted-registry-1c5499358740c4da.crt"]
? [registry."192.168.0.12"]
? [registry."192.168.0.12".
? [[registry."192.168.0.12".
> 
= 192.168.0.12:443
| [registry."192.168.0.12:443"]
|   ca = ["/etc/buildkit/trusted-registry-1c5499358740c4da.crt"]
? [registry."192.168.0.12:443"]
? [registry."192.168.0.12:443".
? [[registry."192.168.0.12:443".
> 
= registry.local
| [registry."registry.local"]
|   ca = ["/etc/buildkit/trusted-registry-1c5499358740c4da.crt"]
? [registry."registry.local"]
? [registry."registry.local".
? [[registry."registry.local".
> 
= registry.local:443
| [registry."registry.local:443"]
|   ca = ["/etc/buildkit/trusted-registry-1c5499358740c4da.crt"]
? [registry."registry.local:443"]
? [registry."registry.local:443".
? [[registry."registry.local:443".'
            ;;
        system-debian-java)
            set +f
            set -- ''
            set -f
            databases '' "$@"
            ;;
        system-debian)
            file '' "$root"/usr/local/share/ca-certificates/trusted-registry-1c5499358740c4da.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            ;;
        system-rhel)
            file '' "$root"/etc/pki/ca-trust/source/anchors/trusted-registry-1c5499358740c4da.pem c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            ;;
        system-arch)
            file '' "$root"/etc/ca-certificates/trust-source/anchors/trusted-registry-1c5499358740c4da.crt c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            ;;
        system-suse)
            file '' "$root"/etc/pki/trust/anchors/trusted-registry-1c5499358740c4da.pem c171b28a0da60199d6e02035c4bc1bc5ab09c64b3c738692c7149b13fa88ff9a "$cert"
            ;;
        nss)
            set +f
            set -- "$home"/.pki/nssdb "$data"/pki/nssdb "$home"/snap/chromium/current/.pki/nssdb "$home"/.mozilla/firefox/* "$config"/mozilla/firefox/* "$home"/snap/firefox/common/.mozilla/firefox/* "$home"/.var/app/org.mozilla.firefox/.mozilla/firefox/*
            set -f
            databases cert9.db "$@"
            ;;
        java)
            set +f
            set -- ''
            set -f
            databases '' "$@"
            ;;
    esac
}

# Whether it is files, and nothing has to be run.
plain() {
    case $key in
        docker | docker-rootless | docker-desktop | containers | containerd | k3s | buildx | buildkit) return 0 ;;
        *) return 1 ;;
    esac
}

# What is done to a database, here $place.
ask() {
    case "$key $1" in
        'system-debian-java look') quiet keytool -list -cacerts -storepass changeit -alias debian:trusted-registry-1c5499358740c4da.pem ;;
        'system-debian-java add') run keytool -importcert -noprompt -cacerts -storepass changeit -alias debian:trusted-registry-1c5499358740c4da.pem -file "$file" ;;
        'system-debian-java remove') run keytool -delete -cacerts -storepass changeit -alias debian:trusted-registry-1c5499358740c4da.pem ;;
        'nss look') quiet certutil -L -d sql:"$place" -n trusted-registry-1c5499358740c4da ;;
        'nss add') run certutil -A -d sql:"$place" -t C,, -n trusted-registry-1c5499358740c4da -i "$file" ;;
        'nss remove') run certutil -D -d sql:"$place" -n trusted-registry-1c5499358740c4da ;;
        'java look') quiet keytool -list -cacerts -storepass changeit -alias trusted-registry-1c5499358740c4da ;;
        'java add') run keytool -importcert -noprompt -cacerts -storepass changeit -alias trusted-registry-1c5499358740c4da -file "$file" ;;
        'java remove') run keytool -delete -cacerts -storepass changeit -alias trusted-registry-1c5499358740c4da ;;
    esac
}

# Whether a change counts only once something was run.
refreshed() {
    case $key in
        system-debian | system-rhel | system-arch | system-suse) return 0 ;;
        *) return 1 ;;
    esac
}

refresh() {
    case "$key $1" in
        'system-debian change') run update-ca-certificates ;;
        'system-debian removal') run update-ca-certificates --fresh ;;
        'system-rhel change') run update-ca-trust extract ;;
        'system-rhel removal') run update-ca-trust extract ;;
        'system-arch change') run trust extract-compat ;;
        'system-arch removal') run trust extract-compat ;;
        'system-suse change') run update-ca-certificates ;;
        'system-suse removal') run update-ca-certificates ;;
    esac
}

main() {
    understand "$@"
    look_around
    say "authority: SHA-256 $fingerprint"
    if [ "$action" = check ]; then dry=''; fi
    if [ "$action" = check ] || [ -n "$dry" ]; then
        load_record
    else
        lock
    fi
    stores
    case $action in
        remove) [ -n "$dry" ] || clear_up ;;
        *) unseen ;;
    esac
    conclude
}

# Stores that were asked for by name, and that nobody here seems to read.
unseen() {
    names=$only
    IFS=,
    for kind in $names; do
        IFS=$nl
        case $found$skip in *,"$kind",*) continue ;; esac
        [ -n "$kind" ] || continue
        force=$kind
        stores
        [ -z "$force" ] || {
            error "No store of the kind $kind is here." 'Leave it out, or install what brings it.'
            failed=yes force=''
        }
    done
    IFS=$nl
    [ -n "$found$failed" ] || {
        error 'No client of a registry was found here.' \
            'To write for one all the same: --only docker; for curl, git and the like: --system'
        failed=yes
    }
}

conclude() {
    [ -z "$failed" ] || finish failed 1
    case $action in
        check)
            [ -z "$absent" ] || finish absent 1
            finish trusted 0
            ;;
    esac
    if [ -n "$changed" ]; then
        if [ -n "$dry" ]; then finish 'would change' 0; fi
        finish changed 0
    fi
    case $action in remove) finish absent 0 ;; *) finish 'already trusted' 0 ;; esac
}

main "$@"
}
