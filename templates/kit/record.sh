# --- What it wrote, when: a line each, so that exactly that can be taken back ---
# folder PATH; file ID KEY SUM PATH; blocks ID KEY PATH SPECS; made PATH; unended PATH; database ID KEY PATH; refresh KEY
# Of mirrors: file ID KEY.mirrors SUM PATH; daemon ID KEY VALUE SUM PATH; emptied KEY SUM PATH

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

