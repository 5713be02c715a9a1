# --- One run at a time ---

lock() {
    tries=0 baffled=''
    while :; do
        make_folders "$state" || finish failed 1
        [ -z "$lacking" ] || fresh=$lacking leave=$made
        if reason=$(inside "$state" ln -sn "$$" ./lock 2>&1); then break; fi
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

# Whether a process of this number runs; what is no number is none: bash 5.3's `kill` says yes of a path.
alive() {
    case $1 in '' | *[!0-9]*) return 1 ;; esac
    kill -0 "$1" 2>/dev/null || [ -d "/proc/$1" ]
}

# Who breaks a dead run's lock holds another one meanwhile, and looks again: two cannot break it, one after the other.
break_lock() {
    inside "$state" ln -sn "$$" ./lock.break 2>/dev/null || return 1
    [ "$(holding)" != "$holder" ] || inside "$state" rm -f ./lock
    inside "$state" rm -f ./lock.break
}

# shellcheck disable=SC2329 # the trap calls it
release() {
    [ -z "$new" ] || inside "${new%/*}" rm -f "./$part" 2>/dev/null || :
    [ -n "$locked" ] || return 0
    locked=''
    inside "$state" rm -f ./lock || :
    [ ! -e "$state/kit" ] || return 0
    for dir in $state $leave; do inside "${dir%/*}" rmdir "./${dir##*/}" 2>/dev/null || :; done
}

