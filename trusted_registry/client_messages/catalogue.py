"""Catalogue of known messages: finds them in a text, and fills values of the text into the cures.

Texts are foreign input: every value for a command line is checked like a setting, and a step whose values do not pass
is left out.
"""

from __future__ import annotations

import functools
import itertools
import re
import shlex
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from trusted_registry import address, settings, values
from trusted_registry.client_messages import (
    authorities,
    buckets,
    certificates,
    client_files,
    connections,
    endpoint,
    engines,
    protocols,
    public_sites,
    registries,
    swarms,
    trades,
)
from trusted_registry.client_messages.cures import OFFER, OFFERED, at_registry
from trusted_registry.client_messages.message import THIS_MACHINE, Action, Kind, Message, Step
from trusted_registry.errors import SettingError

MESSAGES: tuple[Message, ...] = (*buckets.MESSAGES, *swarms.MESSAGES, *engines.MESSAGES)
MESSAGES += (*protocols.MESSAGES, *client_files.MESSAGES)
MESSAGES += (
    *certificates.MESSAGES,
    *authorities.MESSAGES,
    *connections.MESSAGES,
    *registries.MESSAGES,
    *certificates.OTHERS,
    *public_sites.ROWS,
)
"""Known messages; of several that match the same words, the most specific comes first."""

LONGEST_LINE = 4000
"""Characters looked at of a line; messages are shorter, and a log's line may hold anything."""
MOST_TEXT = 2_000_000
"""Characters looked at, from the end: people ask about the last lines of a log."""
MOST_SEARCHED = 300_000
"""Characters searched by every row's expressions, from the end, so that no text takes longer than a second."""

HINTS = (  # noqa: SIM905 - a list of them takes a hundred lines
    "x509|tls|ssl|proxy|refuse|reset|eof|timeout|timed|deadline|route|resol|lookup|known|denied|auth|401|404|413|"
    "credential|tables|duplicate|already|space|quota|pem|asn1|pkix|sec_|cert|mozilla_|revoc|daemon|mirrors|"
    "runtime.v1|lower|reference|toomany|limit|exec.|bcrypt|hash|err_|econn|untrusted|badsig|handshake|pipe|"
    "issuer|0x80|protocol|traces|valid|unexpected|entity|verify|permitted|specified|enospc|such|within|"
    "constraint|dial|engine|found|plaintext|packet|connect|cancel|badstatus|dns_|getaddrinfo|purpose|weak|"
    "insecure|subject|match|cipher|unreach|nodename|usage|missing|small|http:|http code|http/|http 4|"
    "gave http|http status|wrong version|wrong_version|unsupported|pull access|access to|internal server|"
    "gateway|service unav| port|ports |record layer|record_layer|record received|record does|too_long|"
    "remote error|forbidden|forcibly|of_file|respond|scope|malformed http|an http request|is a directory|levels of|"
    "not verified|trying|405|429|decode|eaddrinuse|manifest.v1|no location|interaction|keychain|initialized|squid|"
    "swarm|rpc error|suitable node|early termination|"
    'status code|s3aws|region|health check|sent to|login attempt|get https|get "https|head https|head "https'
).split("|")
"""Words in small letters, one of which every known message has: most lines of a log have none."""
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")
_PATH = re.compile(r"/(?!.*\.\.)[A-Za-z0-9_.:/@\[\]-]{1,300}\Z")
_NEARBY = 10
_UNNAMED = {"registry": "the registry", "name": "that name", "peer": "some address", "path": "A file", "host": "It"}
"""Words of causes for what a text does not name."""
_DOCTOR = Step("./inv doctor", "looks for what is wrong")
_UNSHOWN = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class LocalContext:
    """Facts of this machine that complete the values of a message.

    Args:
        registry: Registry host of this checkout; "" if unknown.
        hosts: Names and addresses of this machine; if a message is about one, this is the registry's machine.
        container: Name of the registry's container.
        systemd: Whether systemd runs on this machine.
        no_proxy: Hosts that the engine reaches without its proxy, separated by commas.
        keeps: Whether this checkout has keys of its own, which no cure may replace by another registry's authority.
    """

    registry: str = ""
    hosts: frozenset[str] = frozenset()
    container: str = "registry"
    systemd: bool = True
    no_proxy: str = ""
    keeps: bool = False


@dataclass(frozen=True)
class Match:
    """Known message found in a text, with its cause, its cure, and the registry host that the text names, if any."""

    key: str
    kind: Kind
    said: str
    clients: str
    cause: str
    cure: tuple[Action, ...]
    look: tuple[str, ...]
    registry: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the match for JSON."""
        return asdict(self)

    @property
    def one_line(self) -> str:
        """Cure as one line, for an error."""
        return "; ".join(f"or: {step.words}" if step.instead else step.words for step in self.cure)


def find(text: str, local: LocalContext | None = None) -> list[Match]:
    """Return the known messages in a text, in their order, each message about each registry once.

    Without a local context the text is a client's output about the registry in question. With one the text may be
    anybody's, and lines of other trades are passed over.
    """
    cut = (line[: 2 * LONGEST_LINE] for line in text[-MOST_TEXT:].splitlines())
    lines = [_UNSHOWN.sub("", line)[:LONGEST_LINE].strip() for line in cut]
    lines = [line for line in dict.fromkeys(lines) if line]
    joined = [[glue.join(lines)[:LONGEST_LINE]] for glue in (" ", "")]  # copied from a terminal, which broke the lines
    said = next((it for it in map(_Text.read, (lines, *joined)) if it.messages), None)
    return _matches(said, local) if said else []


def _matches(text: _Text, local: LocalContext | None) -> list[Match]:
    found: dict[tuple[str, ...], Match] = {}
    for index, (message, match) in text.messages.items():
        if not (local and trades.is_other(text.plain, index, local.registry)):
            place = _Place(text.plain, index, local or LocalContext())
            matched = _match(message, match, text.lines[index], place)
            found.setdefault((matched.key, matched.registry, matched.cause), matched)
    return list(found.values())


@dataclass(frozen=True)
class _Text:
    """Lines of a text as they were said and as they are searched, and the messages in them by their position."""

    lines: Sequence[str]
    plain: Sequence[str]
    messages: Mapping[int, tuple[Message, re.Match[str]]]

    @classmethod
    def read(cls, lines: Sequence[str]) -> _Text:
        """Return a text with its messages."""
        plain = [_unescaped(line) for line in lines]
        found = {index: _first(plain, index) for index in _searched(plain)}
        return cls(lines, plain, {index: first for index, first in found.items() if first})


def _searched(lines: Sequence[str]) -> list[int]:
    """Return the positions of the last lines that may hold a message, as many as can be searched in time."""
    chosen, left = [], MOST_SEARCHED
    for index in reversed(range(len(lines))):
        small = lines[index].lower()
        if any(hint in small for hint in HINTS):
            left -= len(small)
            if left < 0:
                break
            chosen.append(index)
    return chosen[::-1]


def _unescaped(line: str) -> str:
    """Return a log's line without the escapes that the log added, and with single spaces."""
    return re.sub(r"\s+", " ", line.replace('\\"', '"'))


@functools.cache
def _compiled() -> list[tuple[Message, re.Pattern[str]]]:
    return [(message, re.compile(pattern)) for message in MESSAGES for pattern in message.patterns]


def _first(lines: Sequence[str], index: int) -> tuple[Message, re.Match[str]] | None:
    matches = ((message, pattern.search(lines[index])) for message, pattern in _compiled())
    return next(((message, match) for message, match in matches if match and _applies(message, lines, index)), None)


def _applies(message: Message, lines: Sequence[str], index: int) -> bool:
    """Return whether the rest of a row's conditions holds for a line that one of its expressions matches."""
    line = lines[index]
    if message.unless and re.search(message.unless, line):
        return False
    near = lines[max(0, index - _NEARBY) : index + _NEARBY]
    beside = not message.beside or re.search(message.beside, line)
    return bool(beside and (not message.nearby or any(re.search(message.nearby, it) for it in near)))


@dataclass(frozen=True)
class _Place:
    """Line with a message, among the others of its text and on this machine."""

    lines: Sequence[str]
    index: int
    local: LocalContext

    def endpoint(self, match: re.Match[str]) -> tuple[str, int]:
        """Return host and port that the message is about; ("", 0) if the text names none."""
        host, port = endpoint.find(self.lines, self.index, match)
        return (host, port) if host and port else endpoint.NOWHERE

    def is_public(self, host: str) -> bool:
        """Return whether a host is a public site, and neither this checkout's registry nor this machine."""
        own = endpoint.parted(self.local.registry)[0]
        return host != own and host not in self.local.hosts and public_sites.is_public(host)


def _placeholders(match: re.Match[str], host: str, port: int, place: _Place) -> dict[str, str]:
    """Return the checked values for the templates; unknown ones are left out."""
    said = {key: value for key, value in match.groupdict().items() if value}
    local = place.local
    values = {key: said[key] for key in ("file", "peer") if _FILE.match(said.get(key, ""))} | _paths(said)
    own, own_port = endpoint.parted(local.registry)
    values |= {"container": local.container, "on_port": ""} | ({"own": local.registry} if local.registry else {})
    values["certs_d"] = "/etc/containers/certs.d" if "/etc/containers/" in match.string else "/etc/docker/certs.d"
    if host and place.is_public(host):
        return values | _public_values(host, port)
    values |= {"where": _flags(host, port), "as_plain": _variables(host, port)}
    if host in local.hosts and host == own and port != own_port:  # another port of this machine than the one set here
        values |= {"on_port": f" --port {port}", "now": local.registry}
    registry = address.registry_host(host, port) if host else local.registry
    host, port = (host, port) if host else (own, own_port)
    if host:
        values |= {"host": host, "port": str(port), "registry": registry, "url": f"https://{registry}"}
        values |= {"own": local.registry or registry, "proxy_command": no_proxy_command(host, local)}
    if name := endpoint.checked_host(said["name"].strip("[]'\".,;")) if "name" in said else host:
        values["name"] = name
    return values | ({"own_address": own} if address.is_ip(own) else {})


def _public_values(host: str, port: int) -> dict[str, str]:
    """Return the values for rows about a public site: none by which a task would take that for one's own registry."""
    site = "registry-1.docker.io" if host == endpoint.HUB else host
    values = {"host": host, "registry": address.registry_host(host, port), "site": f"{site}:{port}"}
    return values | {"account": "" if public_sites.is_hub(host) else f" {host}"}


def _paths(said: Mapping[str, str]) -> dict[str, str]:
    """Return the file that a message names, and its folders up to certs.d, quoted for a shell."""
    path = said.get("path", "")
    if not _PATH.match(path):
        return {}
    folder, found, rest = path.partition("/certs.d/")
    parts = itertools.accumulate([f"{folder}/certs.d", *rest.split("/")], "{}/{}".format) if found else [path]
    return {"path": shlex.quote(path), "paths": shlex.join(parts)}


def _flags(host: str, port: int) -> str:
    """Return the flags that name this registry to a task; none for loopback, which no task accepts."""
    try:
        values.reachable("host", host)
    except SettingError:
        return ""
    return f" {' '.join(settings.registry_flags(host, port))}"


def _variables(host: str, port: int) -> str:
    return f"INVOKE_REGISTRY_ADDRESS={host} INVOKE_REGISTRY_PLAIN_PORT={port} " if _flags(host, port) else ""


def no_proxy_command(host: str, local: LocalContext) -> str:
    """Return the command that makes the engine reach a host without its proxy."""
    listed = ",".join(dict.fromkeys([*(part.strip() for part in local.no_proxy.split(",") if part.strip()), host]))
    if not re.fullmatch(r"[\w.:/*,\[\]-]+", listed):
        listed = host
    if not local.systemd:
        line = f'export NO_PROXY="{listed}"'
        return f"echo '{line}' | sudo tee -a /etc/default/docker && sudo service docker restart"
    folder = "/etc/systemd/system/docker.service.d"
    file = f"{folder}/zz-no-proxy.conf"
    text = f"printf '[Service]\\nEnvironment=\"NO_PROXY={listed}\"\\n' | sudo tee {file}"
    return f"sudo mkdir -p {folder} && {text} && sudo systemctl daemon-reload && sudo systemctl restart docker"


def _match(message: Message, match: re.Match[str], line: str, place: _Place) -> Match:
    host, port = place.endpoint(match)
    values = _placeholders(match, host, port, place)
    message = _row_at(message, host, place)
    steps = [step for step in message.cure if _names(step.command) <= values.keys()] or [_DOCTOR]
    at_home = values.get("host", "") in place.local.hosts
    offered = place.local.keeps and not at_home
    done = tuple(dict.fromkeys(_action(_offered(it) if offered else it, values, at_home=at_home) for it in steps))
    cause = message.cause.format_map({**_UNNAMED, **values})
    registry = address.registry_host(host, port) if host else ""
    return Match(message.key, message.kind, line, message.clients, cause, done, message.checks, registry)


def _row_at(message: Message, host: str, place: _Place) -> Message:
    """Return the row for a message about a host: another row if the host is public, or no name of the Hub's."""
    if host and place.is_public(host):
        return public_sites.message_of(message, host)
    return registries.LOGIN if host and message.key == registries.UNNAMED else message


def _offered(step: Step) -> Step:
    """Return how another machine's authority is trusted where this checkout has one: not out of certs/ here."""
    return at_registry(OFFER, f"then {OFFERED}") if step.command.startswith("./inv trust.") else step


def _action(step: Step, values: Mapping[str, str], *, at_home: bool) -> Action:
    at = THIS_MACHINE if at_home else step.at
    note = "; ".join(part for part in (step.note, "" if at_home else step.away) if part)
    return Action(step.command.format_map(values), note.format_map(values), at, step.instead)


def _names(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}
