"""Catalogue of known messages: finds them in a text, and fills values of the text into the cures.

Texts are foreign input: every value for a command line is checked like a setting, and a step whose values do not pass
is left out.
"""

from __future__ import annotations

import functools
import re
import string
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from trusted_registry import address, settings, values
from trusted_registry.client_messages import authorities, certificates, connections, registries
from trusted_registry.client_messages.message import HERE, OFFER, OFFERED, REGISTRY, Kind, Message, Step
from trusted_registry.defaults import HTTPS
from trusted_registry.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MESSAGES: tuple[Message, ...] = (*registries.ENGINES, *connections.PROXIES, *connections.HTTP, *certificates.MESSAGES)
MESSAGES += (*authorities.MESSAGES, *connections.PORTS, *connections.WAYS, *registries.LOGINS, *registries.IMAGES)
MESSAGES += certificates.OTHERS
"""Known messages; of several that match the same words, the most specific comes first."""

LONGEST_LINE = 4000
"""Characters searched of a line; messages are shorter, and a log's line may hold anything."""
MOST_LINES = 5_000
"""Lines searched, from the end: people ask about the last lines of a log."""

_HOST = r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)"
_ENDPOINTS = [
    re.compile(pattern)
    for pattern in (
        rf"(?P<scheme>https?)://{_HOST}(?::(?P<port>\d+))?(?=[/\"'\s,)?]|$)",
        rf"dial tcp {_HOST}:(?P<port>\d+)",
        rf"[Cc]onnect to {_HOST} port (?P<port>\d+)",
        rf"docker://{_HOST}(?::(?P<port>\d+))?/",
        rf"(?:image|reference|registry|for|Pulling|Pushing|-connect)[ =:\"]*{_HOST}(?::(?P<port>\d+))?[/\" :]",
        rf"(?:^|[\s\"'(=/>]){_HOST}:(?P<port>\d+)",
        r"(?P<host>\d+\.\d+\.\d+\.\d+)",
    )
]
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
class Action:
    """Step of a cure, with its values filled in."""

    command: str
    note: str
    at: str
    instead: bool

    @property
    def line(self) -> str:
        """Step as a line for a shell, with the machine to run on and the note as a comment."""
        return f"{self.command}  # {self._said}" if self._said else self.command

    @property
    def words(self) -> str:
        """Step as part of a sentence."""
        return f"{self.command} ({self._said})" if self._said else self.command

    @property
    def _said(self) -> str:
        place = "" if self.at == HERE else "on the registry's machine"
        return "; ".join(part for part in (place, self.note) if part)


@dataclass(frozen=True)
class Match:
    """Known message found in a text, with its cause and its cure."""

    key: str
    kind: Kind
    said: str
    clients: str
    cause: str
    cure: tuple[Action, ...]
    look: tuple[str, ...] = field(default=())

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
    found = _find_in(lines, lines, local)
    if not found and len(lines) > 1:  # copied from a terminal, which broke the lines
        found = _find_in([" ".join(lines)[:LONGEST_LINE]], lines, local) or _find_in(
            ["".join(lines)[:LONGEST_LINE]], lines, local
        )
    return found


def _find_in(lines: Iterable[str], context: list[str], local: LocalContext) -> list[Match]:
    found: dict[tuple[str, ...], Match] = {}
    context = [_unescaped(line) for line in context]
    for line in lines:
        plain = _unescaped(line)
        for message, match in _first(plain):
            values = _placeholders(plain, match, context, local)
            key = (message.key, *(values.get(name, "") for name in ("registry", "name", "peer")))
            found.setdefault(key, _match(message, line, values, local))
    return list(found.values())


def _unescaped(line: str) -> str:
    """Return a log's line without the escapes that the log added."""
    return line.replace('\\"', '"')


@functools.cache
def _compiled() -> tuple[tuple[Message, tuple[re.Pattern[str], ...]], ...]:
    return tuple((message, tuple(re.compile(pattern) for pattern in message.patterns)) for message in MESSAGES)


def _first(line: str) -> list[tuple[Message, re.Match[str]]]:
    for message, patterns in _compiled():
        for pattern in patterns:
            if match := pattern.search(line):
                return [(message, match)]
    return []


def _placeholders(line: str, match: re.Match[str], context: Iterable[str], local: LocalContext) -> dict[str, str]:
    """Return the checked values for the templates; unknown ones are left out."""
    said = {key: value for key, value in match.groupdict().items() if value}
    host, port = _endpoint(said, line, context)
    values = {"where": "", "as_plain": "", "container": local.container}
    if host:
        values |= {"host": host, "port": str(port), "registry": address.registry_host(host, port)}
        values |= {"where": _flags(host, port), "as_plain": _variables(host, port)}
    elif local.registry:
        values |= _own(local.registry)
    if "registry" in values:
        values["url"] = f"https://{values['registry']}"
    if name := _checked_host(said["name"].strip("[]'\".,;")) if "name" in said else values.get("host", ""):
        values["name"] = name
    for key in ("file", "peer"):
        if _FILE.match(said.get(key, "")):
            values[key] = said[key]
    values |= _other_port(host, port, local)
    if local.registry:
        values["own"] = local.registry
        own = _own(local.registry).get("host", "")
        values |= {"own_address": own} if address.is_ip(own) else {}
    elif "registry" in values:
        values["own"] = values["registry"]
    values["certs_d"] = "/etc/containers/certs.d" if "/etc/containers/" in line else "/etc/docker/certs.d"
    if "host" in values:
        values["proxy_command"] = no_proxy_command(values["host"], local)
    return values


def _other_port(host: str, port: int, local: LocalContext) -> dict[str, str]:
    """Return the values for a message that names this machine's registry, but another port than the configured one."""
    own, at = _parted(local.registry)
    moved = host in local.hosts and host == own and port != at
    return {"on_port": f" --port {port}", "now": local.registry} if moved else {"on_port": ""}


def _own(registry: str) -> dict[str, str]:
    host, port = _parted(registry)
    return {"host": host, "port": str(port), "registry": registry} if host else {}


def _endpoint(said: Mapping[str, str], line: str, context: Iterable[str]) -> tuple[str, int]:
    """Return the host and port that a message is about; ("", 0) if none is usable."""
    if "registry" in said and (found := _parted(said["registry"]))[0]:
        return found
    if "peer" in said:  # the registry's own log names its clients alone
        return "", 0
    for text in (line, *context):
        for pattern in _ENDPOINTS:
            for match in pattern.finditer(text):
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
        return values.host("host", text) if text else ""
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
    return Step(OFFER, f"then {OFFERED}", at=REGISTRY) if step.command.startswith("./inv trust.") else step


def _action(step: Step, values: Mapping[str, str], *, at_home: bool) -> Action:
    at = HERE if at_home else step.at
    note = "; ".join(part for part in (step.note, "" if at_home else step.away) if part)
    return Action(step.command.format_map(values), note.format_map(values), at, step.instead)


def _names(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}
