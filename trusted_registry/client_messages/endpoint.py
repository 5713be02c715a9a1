"""Host and port that a message is about: those of the request that failed, not of others that its text names."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence

from trusted_registry import values
from trusted_registry.defaults import HTTPS
from trusted_registry.errors import SettingError

HUB = "docker.io"
NOWHERE = ("", 0)
_BEFORE, _AFTER = 30, 10
"""Lines around the failing one that may name its registry, the nearest first."""

_HOST = r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)"
_PORT = r"(?::(?P<port>\d{1,6}))"
_END = r"(?=[/\"'`\s,):;>\]?}\\]|\.(?:\s|$)|$)"
_ADDRESS = r"(?P<host>\[[0-9a-fA-F:.]+\]|\d{1,3}(?:\.\d{1,3}){3}|localhost|(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})"
_REQUESTS = (
    re.compile(rf"(?P<scheme>https?)://(?:[^\s/@\"']{{1,200}}@)?{_HOST}{_PORT}?{_END}"),
    re.compile(rf"(?:docker|oci)://{_HOST}{_PORT}?/"),
)
_CONNECTIONS = (
    re.compile(rf"(?:read|write|dial) tcp\d? (?:\S{{1,100}}->)?{_HOST}{_PORT}{_END}"),
    re.compile(rf"[Cc]onnect to {_HOST}(?: port |:)(?P<port>\d{{1,6}})"),
    re.compile(rf"host='{_HOST}', port=(?P<port>\d{{1,6}})"),
    re.compile(rf"(?<![\w.])host=\"?{_HOST}{_PORT}?(?=[\"\s]|$)"),
    re.compile(rf"http\.request\.host=\"?{_HOST}{_PORT}?"),
)
_REFERENCES = (
    re.compile(
        rf"(?:pinging (?:container|docker) registry|login(?: -\S+(?: [^\s.:-][^\s.:]*)?)*|to registry"
        rf"|Unauthorized for) \"?{_HOST}{_PORT}?{_END}"
    ),
    re.compile(rf"(?:[\s\"'`\[(=<]|^){_HOST}{_PORT}?/(?!\d{{1,2}}(?![\w./-]))(?=[a-z0-9])"),
)
_BARE = re.compile(
    rf"(?<![\w.:/@-])(?<!from )(?<!client )(?<!remoteaddr=\"){_ADDRESS}:(?P<port>\d{{2,5}})(?![\w-]|:\S|\.\w)"
)
_LEAD = re.compile(
    r"(?:docker|podman|nerdctl|crictl|ctr|buildah|skopeo|oras|crane|kubectl|image|reference|repository|tag|FROM"
    r"|refers to|[Pp]ull\w*|[Pp]ush\w*)\b"
)
"""Words of a line in which HOST/NAME is an image, and not a path or a package."""
_OF_THE_HUB = re.compile(
    r"(?:docker(?: image)? (?:pull|run|push)(?: (?!--help\b)-\S+)*|manifest for|access denied for|docker://"
    r"|Pulling repository|find image)"
    r"(?:(?<=docker://)| )['\"]?(?P<image>[a-z0-9][\w./:-]*)"
)
_HELP = re.compile(
    r"(?:^|\.)(?:docs?|help|support|forums|status)\.|(?:^|\.)(?:curl\.se|haxx\.se|go\.dev)$|^golang\.org$"
    r"|^www\.(?:docker|digicert|openssl)\.\w+$"
)
_HELP_LEAD = re.compile(
    r"(?:[Ss]ee|visit|here|help|(?:M|m)ore \w+|refer to|upgrading|[Dd]ocumentation|[Dd]ocs)[: ]{1,2}<?$"
    r"|(?i:_proxy)[\"']?[=:] ?[\"']?$"
)
"""Words before a link to help, or before a proxy's address."""
_FILES = re.compile(
    r"^[^.]+\.(?:go|py|js|ts|c|cc|cpp|h|java|rb|rs|sh|php|cs|kt|ya?ml|json|toml|conf|cfg|ini|txt|md|mod|tf|log|xml"
    r"|sock|lua|pl|gradle|properties)$"
)
"""Names before a colon and a number that are files and their lines."""
_PACKAGES = frozenset({"github.com", "k8s.io", "golang.org", "google.golang.org", "gopkg.in", "go.etcd.io"})
"""Hosts before a slash that begin the name of a Go package, and no image's."""
_NAME_SERVER = 53


def find(lines: Sequence[str], index: int, match: re.Match[str]) -> tuple[str, int]:
    """Return host and port of the failing request; ("", 0) if the text names none that is usable.

    Args:
        lines: Lines of the text.
        index: Position of the line with the message.
        match: Message in that line, with the names in its groups.
    """
    said = match.groupdict()
    if said.get("registry"):
        return parted(said["registry"])
    if said.get("peer"):  # the registry's own log names its clients alone
        return NOWHERE
    named = checked_host((said.get("name") or "").strip("[]'\".,;"))
    candidates = _candidates(lines, index, match)
    if not named:
        return next(candidates, NOWHERE)
    first, *others = [*candidates] or [NOWHERE]
    return next(
        (it for it in (first, *others) if it[0] == named), first if first[0] and _by_request(match) else (named, HTTPS)
    )


def _by_request(match: re.Match[str]) -> bool:
    return any(pattern.search(match.string, 0, match.end()) for pattern in _REQUESTS)


def _candidates(lines: Sequence[str], index: int, match: re.Match[str]) -> Iterator[tuple[str, int]]:
    line = match.string
    yield from reversed([*_found(_REQUESTS, line[: match.end()])])
    yield from _found(_REQUESTS, line[match.end() :])
    yield from _weaker(line)
    for near in (*reversed(lines[max(0, index - _BEFORE) : index]), *lines[index + 1 : index + 1 + _AFTER]):
        yield from _named(near)
    yield from ((host, HTTPS) for host in re.findall(r"(?<![\w.:/-])\d{1,3}(?:\.\d{1,3}){3}(?![\w.:-])", line))


@functools.lru_cache(maxsize=128)
def _named(line: str) -> tuple[tuple[str, int], ...]:
    """Return the hosts and ports that a line beside the failing one names; each stands beside many."""
    return (*reversed([*_found(_REQUESTS, line)]), *_weaker(line))


def _weaker(line: str) -> Iterator[tuple[str, int]]:
    """Yield the hosts and ports that a line names by a connection, a reference, or an address with a port."""
    yield from reversed([*_found(_CONNECTIONS, line)])
    yield from _found(_REFERENCES[:1], line)
    if _LEAD.search(line):
        yield from (it for it in _found(_REFERENCES[1:], line) if it[0] not in _PACKAGES)
    yield from ((HUB, HTTPS) for image in _OF_THE_HUB.finditer(line) if _is_of_the_hub(image["image"]))
    bare = reversed([*_found((_BARE,), re.sub(r"\S{1,100}->", "", line))])
    yield from (it for it in bare if not _FILES.search(it[0]))


def _is_of_the_hub(image: str) -> bool:
    """Return whether an image without a registry host is meant (distribution/reference, `splitDockerDomain`)."""
    first, slash, _ = image.partition("/")
    return not slash or not ({".", ":"} & set(first) or first == "localhost")


def _found(patterns: Sequence[re.Pattern[str]], text: str) -> Iterator[tuple[str, int]]:
    for pattern in patterns:
        for match in pattern.finditer(text):
            groups = match.groupdict()
            host, port = checked_host(groups["host"]), _port(groups)
            if host and port and port != _NAME_SERVER and _plausible(host, groups) and not _is_help(host, match):
                yield host, port


def _port(groups: Mapping[str, str | None]) -> int:
    text = groups.get("port")
    if not text:
        return 80 if groups.get("scheme") == "http" else HTTPS
    return int(text) if 0 < int(text) <= 65535 else 0  # noqa: PLR2004 - TCP's last


def _plausible(host: str, groups: Mapping[str, str | None]) -> bool:
    named = groups.get("scheme") or groups.get("port") or "." in host or ":" in host or host == "localhost"
    return bool(named) and not re.search(r"\.\d+[a-z][^.]*$", host)  # 5.76MB is none


def _is_help(host: str, match: re.Match[str]) -> bool:
    return bool(_HELP.search(host) or _HELP_LEAD.search(match.string[max(0, match.start() - 20) : match.start()]))


def parted(registry: str) -> tuple[str, int]:
    """Return the host and port of a registry host; ("", 0) if not valid."""
    match = re.fullmatch(rf"{_HOST}{_PORT}?", registry)
    host = checked_host(match["host"]) if match else ""
    return (host, _port(match.groupdict())) if match and host else NOWHERE


def checked_host(text: str) -> str:
    """Return a host in canonical form, or "" if not valid."""
    try:
        return values.host("host", text)
    except SettingError:
        return ""
