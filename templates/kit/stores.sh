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
    todo='' short='' spelled='' trouble='' notes='' counted='' beside='' as=$key more='' tellers='' leftover=''
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
        if [ "$action" = check ]; then
            line trusted
        else
            adopt
            line 'already trusted'
        fi
    elif [ "$action" = check ]; then
        absent=yes
        [ -z "$leftover" ] || say "$label: mirrors that are no more are left"
        spelled=${short:-$spelled}
        [ -n "$leftover" ] && [ -z "$short" ] || line absent
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
        case $line in "file$tab"* | "daemon$tab"*) supersede "${line##*"$tab"}" ;; esac
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

# What stands there by the kit of the authority before is this one's by now, and stays when that one's is taken back.
adopt() {
    [ -z "$dry" ] && [ -n "$before" ] || return 0
    for line in $notes; do
        case $line in
            "file$tab"* | "daemon$tab"*)
                supersede "${line##*"$tab"}"
                remember "$line"
                adopted=yes
                ;;
        esac
    done
}

# What another authority's kit wrote there is gone now.
supersede() {
    for old in $record; do
        case $old in *"$tab$id$tab"*) ;; "file$tab"*"$tab$1" | "daemon$tab"*"$tab$1") forget "$old" ;; esac
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

# An engine reads the system's store once, and keeps what was there (Go, crypto/x509/root.go).
tell_engine() {
    case $key in
        system-*-java) ;;
        system-*)
            if any_exists "$root/var/lib/docker"; then
                say 'docker: it may have read the system store before, which it forgets when restarted, so: service docker restart'
            fi
            ;;
    esac
}

