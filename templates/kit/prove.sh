# --- Afterwards: the way back, and a proof ---

# What was pasted lies in a temporary folder, which a restart empties: a copy beside the record stays.
keep_kit() {
    case $record in *"$tab$id$tab"*) ;; *) return 0 ;; esac
    text=$(cat "$0" && echo .) && text=${text%.}
    { [ -f "$state/$kit" ] && same "$state/$kit" "$text"; } || place_file "$state/$kit" "$text" || return 0
    quote "$state/$kit"
    case $whose:${SUDO_UID:-} in
        user:*) say "To remove this later: sh $quoted --user --remove" ;;
        *:) say "To remove this later: sh $quoted --remove" ;;
        *) say "To remove this later: sudo sh $quoted --remove" ;;
    esac
}

# Take away the copy of an authority's kit.
drop_kit() {
    set +f
    for it in "$state"/trust-*-"$1".sh; do inside "$state" rm -f "./${it##*/}" 2>/dev/null || :; done
    set -f
}

# How the registry answers, in $answer: open, login, distrusted, silent, or unasked where no program here can ask it.
ask_registry() {
    answer=unasked url=https://$registry/v2/ file=$state/ca.crt code=0
    place_file "$file" "$cert$next_cert" || return 0
    if command -v curl >/dev/null; then
        said=$(curl -qgso /dev/null --cacert "$file" --connect-timeout 1.5 --max-time 10 -w '%{http_code}' "$url" </dev/null) || code=$?
        case $code:$said in
            0:200) answer=open ;;
            0:401) answer=login ;;
            0:*) answer="status $said" ;;
            35:* | 51:* | 60:*) answer=distrusted ;;
            *) answer=silent ;;
        esac
    else
        case $(wget --version 2>/dev/null) in
            *GNU*)
                wget --no-config -qO /dev/null --ca-certificate="$file" --timeout=1.5 --tries=1 "$url" </dev/null || code=$?
                case $code in
                    0) answer=open ;;
                    5) answer=distrusted ;;
                    6) answer=login ;;
                    8) answer='an error' ;;
                    *) answer=silent ;;
                esac
                ;;
        esac
    fi
    rm -f "$file"
}

limited() { if command -v timeout >/dev/null; then timeout 30 "$@"; else "$@"; fi; }

# Whether a client that was told now accepts the registry, by a pull of what is not there; in $proved the one that does.
ask_clients() {
    proved=''
    for program in docker podman; do
        case $found in *,"$program",* | *,"$program"-rootless,*) ;; *) continue ;; esac
        command -v "$program" >/dev/null || continue
        said=$(limited "$program" pull "$registry/trusted-registry-proof:none" 2>&1 </dev/null) || :
        case $said in
            *x509* | *'HTTP response to HTTPS'*)
                type_out "$program" pull "$registry/trusted-registry-proof:none"
                error "$program still refuses $registry: ${said##*"$nl"}" "See what it says: $typed"
                failed=yes
                ;;
            *'permission denied'* | *'executable file not found'* | *'getting credentials'*) note "$program was not asked: ${said##*"$nl"}" ;;
            *trusted-registry-proof:none*'not found'* | *'manifest unknown'* | *'name unknown'* | *nauthorized* | *denied* | *'basic auth credentials'* | *'authentication required'*)
                proved=${proved:+$proved and }$program
                ;;
            *) note "$program proves nothing: ${said##*"$nl"}" ;;
        esac
    done
}

prove() {
    ask_registry
    case $answer in
        open | login) ;;
        distrusted)
            error "$registry shows a certificate that this authority did not sign, or speaks no TLS." \
                'On the registry'\''s machine: ./inv doctor'
            failed=yes
            return 0
            ;;
        silent)
            note "$registry does not answer, so nothing is proved. Is it on? On its machine: ./inv status"
            return 0
            ;;
        unasked)
            note 'Nothing is proved: there is neither curl nor GNU wget here to ask the registry.'
            return 0
            ;;
        *)
            note "$registry answers with $answer, so nothing is proved. On its machine: ./inv doctor"
            return 0
            ;;
    esac
    ask_clients
    [ -z "$failed" ] || return 0
    case $proved in
        '') say "proof: $registry answers with a certificate that this authority signed" ;;
        *) say "proof: $registry is accepted by $proved" ;;
    esac
    next_step
}

next_step() {
    for program in docker podman nerdctl; do
        command -v "$program" >/dev/null || continue
        quote "$registry"
        [ "$answer" != login ] || say "now: $program login $quoted"
        say "now: $program pull $quoted/IMAGE"
        return 0
    done
}

