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
