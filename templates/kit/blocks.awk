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

# A line of a block as it stands within the first lines of another entry, of which there are within_of[b].
function own(b, i,    s) {
    s = text[b, i + within_of[b]]
    return under[b] == "" ? s : substr(s, 2 * within_of[b] + 1)
}

function size(b) { return lines[b] - within_of[b] }

function holds(b,    i) {
    if (!within(b)) return 0
    for (within_of[b] = 0; within_of[b] < lines[b]; within_of[b]++) {
        for (i = 1; i <= size(b); i++) if (blank(line[first + i]) != blank(own(b, i))) break
        if (i > size(b) && last - first == size(b) + 1) return 1
    }
    within_of[b] = 0
    return 0
}

function any_authority(s) { s = blank(s); gsub("trusted-registry-" hex "\\.crt", "", s); return s }

function altered(b,    i) {
    if (within(b)) {
        for (within_of[b] = 0; within_of[b] < lines[b]; within_of[b]++) {
            for (i = 1; i <= size(b); i++) if (any_authority(line[first + i]) != any_authority(own(b, i))) break
            if (i > size(b) && last - first == size(b) + 1) return 0
        }
        within_of[b] = 0
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

function bare(s) {
    gsub(/[ \t\r]/, "", s)
    gsub("\047", "\"", s)
    if (s ~ /^\[+"registry"/) sub(/"registry"/, "registry", s)
    return s
}

function claimed(s, b,    i, c) {
    s = bare(s)
    for (i = 1; i <= claims[b]; i++) {
        c = bare(claim[b, i])
        if (index(s, c) == 1 && substr(s, length(c) + 1) !~ /^[0-9]/) return 1
    }
    return 0
}

# The first line about the same registry: of others, or of all.
function foreign(b, all,    i, s, inside, ours) {
    inside = under[b] == ""
    for (i = 1; i <= n; i++) {
        s = blank(line[i])
        if (index(s, mark) == 1) ours = !all && s != mark " end"
        else if (under[b] != "" && says(s) && substr(line[i], 1, 1) != " ") inside = is_key(line[i], b)
        else if (inside && !ours && claimed(line[i], b)) return i
    }
    return 0
}

# --- Entries of others: the same as entries.py ---

function width(s) { match(s, /^ */); return RLENGTH }
function comment_cut(s) { if (match(s, /(^|[ \t])#/)) s = substr(s, 1, RSTART - 1); return s }
function path(b,    s) { s = text[b, lines[b]]; match(s, /".*"/); return substr(s, RSTART + 1, RLENGTH - 2) }
function rest_of(s) { return s ~ /^[ \t]*:([ \t\r]+(#.*)?)?$/ }

function alone(s, name,    q) {
    s = substr(s, width(s) + 1)
    if (index(s, name) == 1 && rest_of(substr(s, length(name) + 1))) return 1
    q = substr(s, 1, 1)
    if (q != "\"" && q != "\047") return 0
    return index(s, q name q) == 1 && rest_of(substr(s, length(name) + 3))
}

function word(s,    q, name) {
    q = substr(s, 1, 1)
    if (q != "\"" && q != "\047") q = ""
    s = substr(s, length(q) + 1)
    if (!match(s, /^[A-Za-z_]+/)) return ""
    name = substr(s, 1, RLENGTH)
    s = substr(s, RLENGTH + 1)
    if (substr(s, 1, length(q)) != q) return ""
    return substr(s, length(q) + 1) ~ /^[ \t]*:([ \t\r]|$)/ ? name : ""
}

# The keys directly below a key, in child; their margin, in inner; and the line after them all, in ended.
function mapping(at,    i, w, m, k, any, s) {
    split("", child)
    m = width(line[at])
    inner = any = 0
    for (i = at + 1; i <= n; i++) {
        if (!says(line[i])) continue
        w = width(line[i])
        if (w <= m) break
        if (!inner) inner = w
        if (w > inner) continue
        s = substr(line[i], w + 1)
        k = w == inner ? word(s) : ""
        if (k != "" && !(k in child)) any = child[k] = i
        else if (k != "" || w < inner || !any || s !~ /^-([ \t\r]|$)/) return 0
    }
    ended = i
    if (!inner) inner = m + 2
    return 1
}

function lists(at, wanted,    i, j, k, parts, to) {
    to = ended
    for (k in child) if (child[k] > at && child[k] < to) to = child[k]
    for (i = at; i < to; i++) {
        k = comment_cut(line[i])
        gsub("[][ \t\r\"\047,]+", " ", k)
        j = split(k, parts, " ")
        for (; j > 0; j--)
            if (parts[j] == wanted || parts[j] == wanted "/" || parts[j] == wanted "/v2" || parts[j] == wanted "/v2/") return 1
    }
    return 0
}

# How many of the lines of a block others have already, from the first on; the line below which the others go, in spot.
function place(b,    at, i, name, list) {
    at = foreign(b, 1)
    if (!at) return 0
    if (under[b] == "") return in_table(b, at)
    list = text[b, lines[b]] ~ /^ *- /
    name = who[b]
    for (i = 1; i < lines[b]; i++) {
        if (!alone(line[at], name) || !mapping(at)) return 0
        if ("insecure_skip_verify" in child || "http" in child || "insecure" in child) return 0
        spot = at
        name = text[b, i + 1]
        sub(/^ +/, "", name)
        sub(/:.*/, "", name)
        if (!(name in child)) return list ? lines[b] : i
        if (list) return lists(child[name], path(b)) ? lines[b] : 0
        at = child[name]
    }
    name = line[at]
    sub(/^[^:]*:/, "", name)
    name = blank(comment_cut(name))
    gsub(/^["\047]+|["\047]+$/, "", name)
    return name == path(b) ? lines[b] : 0
}

function in_table(b, at,    i, s, ca, name) {
    s = bare(line[at])
    sub(/#.*/, "", s)
    for (i = 1; i <= claims[b]; i++) if (s == claim[b, i]) break
    if (i > claims[b]) return 0
    for (i = at + 1; i <= n && line[i] !~ /^[ \t]*\[/; i++) {
        name = line[i]
        if (name !~ /^[ \t]*["\047]?[A-Za-z0-9_-]+["\047]?[ \t]*[.=]/) continue
        sub(/^[ \t]*["\047]?/, "", name)
        match(name, /^[A-Za-z0-9_-]+/)
        name = substr(name, 1, RLENGTH)
        if (name == "http" || name == "insecure" || name == "insecure_skip_verify") return 0
        if (name == "ca" && !ca) ca = i
    }
    if (uncertain(at, i)) return 0
    inner = 0
    spot = at
    if (!ca) return 1
    for (; ca < i; ca++) {
        s = comment_cut(line[ca])
        if (index(s, "\"" path(b) "\"") || index(s, "\047" path(b) "\047")) return lines[b]
        if (index(s, "]")) return 0
    }
    return 0
}

# Whether lines of TOML may be within a string or an array of several, and no table what begins like one.
function uncertain(at, to,    i, s, last_said) {
    for (i = 1; i <= n; i++) if (index(line[i], "\"\"\"") || index(line[i], "\047\047\047")) return 1
    for (i = at + 1; i < to; i++) {
        s = line[i]
        sub(/#.*/, "", s)
        s = blank(s)
        if (s != "") last_said = s
    }
    return last_said ~ /[[,]$/
}

# Whether an entry of others, or one of ours that others added to, says what a block would.
function held(b) { return (within(b) || !first) && place(b) == lines[b] }

function fit(b,    many) {
    many = place(b)
    within_of[b] = many < lines[b] ? many : 0
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
    return nameless(b)
}

# A line at the margin of the entries below a key, in which a registry could hide: one that is no plain key.
function nameless(b,    i, m, s, inside, ours) {
    for (i = 1; i <= n; i++) {
        s = blank(line[i])
        if (index(s, mark) == 1) ours = s != mark " end"
        else if (says(s) && substr(line[i], 1, 1) != " ") { inside = is_key(line[i], b); m = 0 }
        else if (says(s) && inside && !ours) {
            if (!m) m = width(line[i])
            if (width(line[i]) == m && !entry(substr(line[i], m + 1))) return i
        }
    }
    return 0
}

function entry(s) {
    return s ~ /^("[^"\\]*"[ \t]*|\047[^\047]*\047[ \t]*|[^][ "\047?&!*{}|>%@\140<#,-][^#]*):([ \t\r]|$)/
}

# Registries of TOML that are no tables of their own, to which none can be added; or names in escapes.
function tables(    i, s, ours) {
    for (i = 1; i <= n; i++) {
        s = blank(line[i])
        if (index(s, mark) == 1) ours = s != mark " end"
        else if (!ours && bare(s) ~ /^("?registry"?[.=]|\[\[registry\]|(\[+[^#=]*|"[^"]*)\\)/) return i
    }
    return 0
}

function check(b,    i, said, at) {
    if (n && index(line[1], "\357\273\277") == 1) refuse("mark")
    if (altered(b)) refuse("changed\t" first "\t" upto)
    for (i = 1; i <= lines[b]; i++) said = said (i > 1 ? "; " : "") blank(text[b, i])
    if (!first) fit(b)
    at = foreign(b, 0)
    if (at && !within_of[b]) refuse("claimed\t" at "\t" who[b] "\t" said)
    if (under[b] == "") { if (tables()) refuse("tables\t" tables() "\t" said) }
    else if (malformed(b)) refuse("form\t" malformed(b) "\t" under[b])
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
    fit(b)
    if (within_of[b]) {
        at = spot + 1
        indent = sprintf("%" inner "s", "")
    } else if (under[b] != "") {
        for (i = 1; i <= n; i++) if (is_key(line[i], b)) break
        if (i > n) line[n = i] = under[b] " # trusted-registry"
        at = i + 1
        indent = margin(at)
    }
    for (i = n; i >= at; i--) line[i + size(b) + 2] = line[i]
    line[at] = indent opening(b)
    for (i = 1; i <= size(b); i++) line[at + i] = indent own(b, i)
    line[at + i] = indent mark " end"
    n += size(b) + 2
}

function read(specs,    raw, count, i, tag, rest) {
    count = split(specs, raw, "\n")
    for (i = 1; i <= count; i++) {
        tag = substr(raw[i], 1, 2)
        rest = substr(raw[i], 3)
        if (tag == "> ") { under[++blocks] = rest; lines[blocks] = claims[blocks] = 0 }
        else if (tag == "= ") who[blocks] = rest
        else if (tag == "! ") upstream[blocks] = rest
        else if (tag == "| ") text[blocks, ++lines[blocks]] = rest
        else if (tag == "? ") claim[blocks, ++claims[blocks]] = rest
    }
}

# Whether a block is of a mirror that an earlier kit told of, and this one does not.
function retired(b,    i, j) {
    if (!(b in upstream)) return 0
    for (i = 1; i <= mine; i++) {
        if (opening(i) != opening(b) || lines[i] != lines[b]) continue
        for (j = 1; j <= lines[b]; j++) if (text[i, j] != text[b, j]) break
        if (j > lines[b]) return 0
    }
    return holds(b)
}

# The line of others about an upstream.
function theirs(b,    at) {
    at = foreign(b, 0)
    if (at) print at " " upstream[b]
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
    if (ENVIRON["deed"] == "claims") {
        for (b = 1; b <= mine; b++) if (upstream[b] == who[b]) theirs(b)
        exit
    }
    if (ENVIRON["deed"] == "add") {
        for (b = mine + 1; b <= blocks; b++) if (retired(b)) { take(b); changed = 1 }
        for (b = 1; b <= mine; b++) if (!holds(b) && !held(b)) check(b)
        for (b = 1; b <= mine; b++) if (!holds(b) && !held(b)) { check(b); take(b); add(b); changed = 1 }
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
