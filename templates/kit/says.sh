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

Makes this machine trust the registry $registry: every client of a registry that is found on it.

  --check      only look: exit status 0 if all of them trust it
  --remove     remove what kits of this authority wrote, and nothing else
  --dry-run    show the commands, change nothing
  --only       these stores and no others: {{ names | join(", ") }}
  --skip       all but these
  --system     also the stores of the operating system, browsers and Java
  --user       only this user's own clients: needs no root
  --root DIR   only what is the machine's, below DIR: for an image, or for another system's disk

Then it asks the registry, and Docker or podman, whether they work together now. A copy of this script stays beside the
record of what was written, for --remove; not with --root.
It adds lines to registries.yaml and buildkitd.toml and does not parse these files: an invalid one stays invalid.

Authority, SHA-256: $fingerprint
The last line is for programs: $mine: changed, already trusted, would change, trusted, absent or failed.
USAGE
}

