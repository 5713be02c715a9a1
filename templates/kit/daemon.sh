# --- daemon.json: what a Docker Engine before 28 goes by, for docker.io alone; it reads that again when it gets SIGHUP ---

# A program that reads and writes JSON, for a file that has more in it.
# shellcheck disable=SC2016 # Python's own
json='
import json, re, sys
deed, value = sys.argv[1:]
text = sys.stdin.buffer.read().decode()
config = json.loads(text) if text.strip() else {}
listed = config.get("registry-mirrors", [])
if deed == "tell":
    print("free" if listed == [] else "foreign")
    sys.exit()
if not isinstance(listed, list):
    sys.exit(1)
kept = [it for it in listed if str(it).rstrip("/") != value]
config["registry-mirrors"] = [value] if deed == "put" else kept
if deed == "drop":
    del config["registry-mirrors"]
found = re.search(r"\n([ \t]+)\S", text)
indent = found.group(1) if found else 2
written = json.dumps(config, indent=indent, ensure_ascii=False)
try:
    written.encode()
except UnicodeEncodeError:
    written = json.dumps(config, indent=indent)
written += "" if text.strip() and not text.endswith("\n") else "\n"
sys.stdout.buffer.write(written.replace("\n", "\r\n" if "\r\n" in text else "\n").encode())
'
reader=''

find_reader() {
    [ -z "$reader" ] || return 0
    if quiet python3 -I -c 'import json'; then
        reader=python3
    elif quiet jq -n 1; then
        reader=jq
    else
        reader=none
    fi
}

# json DEED VALUE TEXT: tell whether it lists mirrors, put one there, or leave it without that, the list too with `drop`
json() {
    find_reader
    case $reader in
        python3) printf '%s' "$3" | python3 -I -c "$json" "$1" "$2" 2>/dev/null ;;
        jq) case $3 in *[!\ "$tab$nl"]*) printf '%s' "$3" ;; *) say '{}' ;; esac | by_jq "$1" "$2" 2>/dev/null ;;
        *) return 1 ;;
    esac
}

# shellcheck disable=SC2016 # jq's own
by_jq() {
    key_there='.["registry-mirrors"]'
    case $1 in
        tell) filter='if type != "object" then error("no object")
            elif (has("registry-mirrors") | not) or '$key_there' == [] then "free" else "foreign" end' ;;
        put) filter=$key_there' = [$value]' ;;
        without) filter=$key_there' |= map(select(sub("/+$"; "") != $value))' ;;
        *) filter="del($key_there)" ;;
    esac
    jq -r --arg value "$2" "$filter"
}

# The text of a file, with all its ends, in $text.
load_text() { text=$(cat "$1" && echo .) && text=${text%.}; }

# Where the engine of a store has its number and answers; the number of one that runs in $pid.
engine_here() {
    pid=''
    case $key in docker-rootless) socket=$run/docker.sock pid_file=$run/docker.pid ;; *) socket=/var/run/docker.sock pid_file=/var/run/docker.pid ;; esac
    [ "$whose" != root ] && [ -r "$pid_file" ] || return 1
    pid=$(cat "$pid_file")
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]
}

reloading() {
    case $key in
        docker-rootless) say 'systemctl --user reload docker' ;;
        *) say 'systemctl reload docker' ;;
    esac
}

# tell_builds listed|gone: those of Docker before 25 go by what it had at its start (moby/moby, newRouterOptions)
tell_builds() {
    case $info in *'Server Version: 2'[0-4].* | *'Server Version: 1'*) ;; *) return 0 ;; esac
    case $1 in listed) then='ask the mirror' ;; *) then='ask no mirror' ;; esac
    note "docker build: with this engine, builds $then once it was restarted, and its containers with it."
}

ask_engine() { info=$(limited docker --host "unix://$socket" info 2>/dev/null </dev/null) || :; }

# reload_engine VALUE listed|gone: have an engine that runs read its file again, which ends nothing, and wait until it did;
# whether it takes up what is listed
reload_engine() {
    engine_here || return 0
    if ! kill -HUP "$pid" 2>/dev/null; then
        note "The engine, process $pid, was not told to read its file again, so: $(reloading)"
        return 0
    fi
    for _ in 1 2 3 4 5; do
        sleep 1
        ask_engine
        case $2:$info in
            listed: | gone:) return 0 ;; # it cannot be asked
            listed:*"$1"*) tell_builds "$2" && return 0 ;;
            listed:* | gone:*"$1"*) ;;
            *) tell_builds "$2" && return 0 ;;
        esac
    done
    [ "$2" = gone ] || return 1
    note "The engine still asks the mirror $1. Its log says why; it reads its file when it is restarted, too."
}

# take_daemon ENTRY: the list goes first, since an engine that finds none keeps what it had (moby/moby, daemon/reload.go)
take_daemon() {
    entry=$1 path=$root${1##*"$tab"}
    at=${1#"daemon$tab$id$tab$key$tab"} && value=${at%%"$tab"*}
    if [ -f "$path" ] && [ -r "$path" ] && ! linked "$path"; then
        load_text "$path"
        sum=$(sha256 <"$path")
        case $text in
            *"\"$value\""*) take_value || return 0 ;;
            *)
                if remembers "emptied$tab$key$tab$sum$tab${path#"$root"}"; then
                    taken=yes
                    put_back
                fi
                ;;
        esac
    fi
    [ -z "$dry" ] || return 0
    forget "$entry"
    for each in $record; do
        case $each in
            "daemon$tab"*"$tab$key$tab"*"$tab${path#"$root"}") return 0 ;;
            "emptied$tab$key$tab"*) forget "$each" ;;
        esac
    done
    forget "made$tab${path#"$root"}"
    inside "$state" rm -f "./$key.daemon.json"
}

take_value() {
    taken=yes
    if [ -n "$dry" ]; then
        show editor "$path"
        return 0
    fi
    without=${text%%"\"$value\""*}${text#*"\"$value\""}
    case $(printf '%s' "$without" | awk '{ gsub(/[ \t\r]/, ""); printf "%s", $0 }') in
        *'"registry-mirrors":[]'*) ;;
        *)
            if ! without=$(json without "$value" "$text" && echo .); then
                note "$path was changed since, and nothing here can read it: \"$value\" stays in it."
                return 0
            fi
            without=${without%.}
            ;;
    esac
    case $entry in
        *"$tab$sum$tab"*) remember "emptied$tab$key$tab$(printf '%s' "$without" | sha256)$tab${path#"$root"}" && save_record ;;
    esac
    place_file "$path" "$without" keep || {
        failed=yes
        return 1
    }
    reload_engine "$value" gone
    case $entry in
        *"$tab$sum$tab"*) put_back ;;
        *) case $(json tell '' "$without") in free) drop_list ;; esac ;;
    esac
}

put_back() {
    if [ -n "$dry" ]; then
        show editor "$path"
    elif [ -f "$state/$key.daemon.json" ]; then
        load_text "$state/$key.daemon.json"
        place_file "$path" "$text" keep || failed=yes
    elif remembers "made$tab${path#"$root"}"; then
        drop "$path" || :
    fi
}

drop_list() {
    text=$(json drop '' "$without" && echo .) && place_file "$path" "${text%.}" keep || :
}
