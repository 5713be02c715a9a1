"""Catalogue of known messages: finds them in a text, and fills values of the text into the cures.

Texts are foreign input: every value for a command line is checked like a setting, and a step whose values do not pass
is left out.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from trusted_registry import address, settings, values
from trusted_registry.client_messages import authorities, certificates, connections, registries
from trusted_registry.client_messages.cures import OFFER, OFFERED, at_registry
from trusted_registry.client_messages.message import HERE, Action, Kind, Message, Step
from trusted_registry.defaults import HTTPS
from trusted_registry.errors import SettingError

MESSAGES: tuple[Message, ...] = (*registries.ENGINES, *connections.HTTP, *certificates.MESSAGES, *authorities.MESSAGES)
MESSAGES += (*connections.WAYS, *registries.IMAGES, *certificates.OTHERS)
"""Known messages; of several that match the same words, the most specific comes first."""

LONGEST_LINE = 4000
"""Characters searched of a line; messages are shorter, and a log's line may hold anything."""
MOST_LINES = 5_000
"""Lines searched, from the end: people ask about the last lines of a log."""

_HOST = r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)"
_ENDPOINTS = (
    rf"(?P<scheme>https?)://{_HOST}(?::(?P<port>\d+))?(?=[/\"'\s,)?]|$)",
    rf"dial tcp {_HOST}:(?P<port>\d+)",
    rf"[Cc]onnect to {_HOST} port (?P<port>\d+)",
    rf"docker://{_HOST}(?::(?P<port>\d+))?/",
    rf"(?:image|reference|registry|for|Pulling|Pushing|-connect)[ =:\"]*{_HOST}(?::(?P<port>\d+))?[/\" :]",
    rf"(?:^|[\s\"'(=/>]){_HOST}:(?P<port>\d+)",
    r"(?P<host>\d+\.\d+\.\d+\.\d+)",
)
_PUBLIC = (".docker.io", ".docker.com", ".curl.se")
"""Hosts that messages name for another reason than the fault: Docker Hub, and a program's manual."""
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")
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
    """Known message found in a text, with its cause and its cure."""

    key: str
    kind: Kind
    said: str
    clients: str
    cause: str
    cure: tuple[Action, ...]
    look: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the match for JSON."""
        return asdict(self)

    @property
    def one_line(self) -> str:
        """Cure as one line, for an error."""
        return "; ".join(f"or: {step.words}" if step.instead else step.words for step in self.cure)


def find(text: str, local: LocalContext | None = None) -> list[Match]:
    """Return the known messages in a text, in their order, each message about each registry once."""
    local = local or LocalContext()
    lines = [_UNSHOWN.sub("", line)[:LONGEST_LINE].strip() for line in text.splitlines()[-MOST_LINES:]]
    lines = [line for line in dict.fromkeys(lines) if line]
    joined = [[glue.join(lines)[:LONGEST_LINE]] for glue in (" ", "")]  # copied from a terminal, which broke the lines
    return next(filter(None, (_find_in(tried, lines, local) for tried in (lines, *joined))), [])


def _find_in(lines: Iterable[str], context: Iterable[str], local: LocalContext) -> list[Match]:
    found: dict[tuple[str, ...], Match] = {}
    context = [_unescaped(line) for line in context]
    for line in lines:
        plain = _unescaped(line)
        if first := _first(plain):
            message, match = first
            values = _placeholders(plain, match, context, local)
            key = (message.key, *(values.get(name, "") for name in ("registry", "name", "peer")))
            found.setdefault(key, _match(message, line, values, local))
    return list(found.values())


def _unescaped(line: str) -> str:
    """Return a log's line without the escapes that the log added."""
    return line.replace('\\"', '"')


@functools.cache
def _compiled() -> list[tuple[Message, re.Pattern[str]]]:
    return [(message, re.compile(pattern)) for message in MESSAGES for pattern in message.patterns]


def _first(line: str) -> tuple[Message, re.Match[str]] | None:
    matches = ((message, pattern.search(line)) for message, pattern in _compiled())
    return next(((message, match) for message, match in matches if match), None)


def _placeholders(line: str, match: re.Match[str], context: Iterable[str], local: LocalContext) -> dict[str, str]:
    """Return the checked values for the templates; unknown ones are left out."""
    said = {key: value for key, value in match.groupdict().items() if value}
    values = {key: said[key] for key in ("file", "peer") if _FILE.match(said.get(key, ""))}
    host, port = _endpoint(said, line, context)
    own, own_port = _parted(local.registry)
    values |= {"where": _flags(host, port), "as_plain": _variables(host, port), "container": local.container}
    values["certs_d"] = "/etc/containers/certs.d" if "/etc/containers/" in line else "/etc/docker/certs.d"
    values["on_port"] = ""
    if host in local.hosts and host == own and port != own_port:  # another port of this machine than the one set here
        values |= {"on_port": f" --port {port}", "now": local.registry}
    registry = address.registry_host(host, port) if host else local.registry
    host, port = (host, port) if host else (own, own_port)
    if host:
        values |= {"host": host, "port": str(port), "registry": registry, "url": f"https://{registry}"}
        values |= {"own": local.registry or registry, "proxy_command": no_proxy_command(host, local)}
    if name := _checked_host(said["name"].strip("[]'\".,;")) if "name" in said else host:
        values["name"] = name
    return values | ({"own_address": own} if address.is_ip(own) else {})


def _endpoint(said: Mapping[str, str], line: str, context: Iterable[str]) -> tuple[str, int]:
    """Return the host and port that a message is about; ("", 0) if none is usable."""
    if "registry" in said and (found := _parted(said["registry"]))[0]:
        return found
    if "peer" in said:  # the registry's own log names its clients alone
        return "", 0
    for text in (line, *context):
        for pattern in _ENDPOINTS:
            for match in re.finditer(pattern, text):
                groups = match.groupdict()
                default = 80 if groups.get("scheme") == "http" else HTTPS
                host, port = _checked_host(groups["host"]), _port(groups.get("port"), default)
                plausible = groups.get("port") or groups.get("scheme") or "." in host or ":" in host
                if host and port and plausible and not f".{host}".endswith(_PUBLIC):
                    return host, port
    name = _checked_host(said.get("name", ""))
    return (name, HTTPS) if name else ("", 0)


def _parted(registry: str) -> tuple[str, int]:
    """Return the host and port of a registry host; ("", 0) if not valid."""
    match = re.fullmatch(rf"{_HOST}(?::(?P<port>\d+))?", registry)
    host = _checked_host(match["host"]) if match else ""
    return (host, _port(match["port"], HTTPS)) if match and host else ("", 0)


def _port(text: str | None, default: int) -> int:
    return int(text) if text and len(text) < len("123456") and 0 < int(text) <= 65535 else (0 if text else default)  # noqa: PLR2004 - TCP's last


def _checked_host(text: str) -> str:
    """Return a host in canonical form, or "" if not valid."""
    try:
        return values.host("host", text)
    except SettingError:
        return ""


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


def _match(message: Message, line: str, values: Mapping[str, str], local: LocalContext) -> Match:
    steps = [step for step in message.cure if _names(step.command) <= values.keys()] or [_DOCTOR]
    at_home = values.get("host", "") in local.hosts
    offered = local.keeps and not at_home
    done = tuple(dict.fromkeys(_action(_offered(it) if offered else it, values, at_home=at_home) for it in steps))
    spoken = {"registry": "the registry", "name": "that name", "peer": "some address", **values}
    return Match(
        message.key, message.kind, line, message.clients, message.cause.format_map(spoken), done, message.checks
    )


def _offered(step: Step) -> Step:
    """Return how another machine's authority is trusted where this checkout has one: not out of certs/ here."""
    return at_registry(OFFER, f"then {OFFERED}") if step.command.startswith("./inv trust.") else step


def _action(step: Step, values: Mapping[str, str], *, at_home: bool) -> Action:
    at = HERE if at_home else step.at
    note = "; ".join(part for part in (step.note, "" if at_home else step.away) if part)
    return Action(step.command.format_map(values), note.format_map(values), at, step.instead)


def _names(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}
