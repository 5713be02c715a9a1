"""Finds what a text says among the rows, and fills the cure in with what the text itself names.

A message is what somebody else wrote: whatever of it reaches a command line was checked as a setting is, and a step
whose values do not pass is left out.
"""

from __future__ import annotations

import functools
import re
import string
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from trusted_registry import address, settings
from trusted_registry.errors import SettingError
from trusted_registry.messages import authorities, certificates, connections, registries
from trusted_registry.messages.row import HERE, OFFER, OFFERED, REGISTRY, Row, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROWS: tuple[Row, ...] = (*registries.ENGINES, *connections.HTTP, *certificates.ROWS, *authorities.ROWS)
ROWS += (*connections.PORTS, *connections.WAYS, *registries.LOGINS, *registries.IMAGES)
"""The most specific row that speaks of the same words comes first."""

HTTPS = 443
LONGEST = 4000
"""Characters of a line that are looked at; messages are shorter, and a log's line may hold anything."""
MOST = 5_000
"""Lines that are looked at, from the end: the last ones of a log are those that somebody asks about."""

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
_BESIDE = (".docker.io", ".docker.com", ".curl.se")
"""What messages name for another reason than the trouble: the Hub, and where a program's manual is."""
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")
_DOCTOR = Step("./inv doctor", "looks for what is wrong")
_UNSHOWN = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Here:
    """What this machine knows by itself, for what a message does not tell.

    Args:
        registry: The registry part of a reference that this checkout is about; "" where that is not known.
        hosts: By what names this machine is known: cures for the registry's machine are for it where one is meant.
        container: The registry's container.
        systemd: Whether systemd runs here.
        no_proxy: What the engine does not ask its proxy for.
        keeps: Whether this checkout has keys of its own: another registry's authority has no place in it.
    """

    registry: str = ""
    hosts: frozenset[str] = frozenset()
    container: str = "registry"
    systemd: bool = True
    no_proxy: str = ""
    keeps: bool = False


@dataclass(frozen=True)
class Do:
    """One step of a cure, filled in."""

    command: str
    note: str
    at: str
    instead: bool

    @property
    def line(self) -> str:
        """The step as a line for a shell: what to know of it, and where it is to be run, is the comment behind it."""
        return f"{self.command}  # {self._said}" if self._said else self.command

    @property
    def words(self) -> str:
        """The step as it stands in a sentence."""
        return f"{self.command} ({self._said})" if self._said else self.command

    @property
    def _said(self) -> str:
        place = "" if self.at == HERE else "on the registry's machine"
        return "; ".join(part for part in (place, self.note) if part)


@dataclass(frozen=True)
class Found:
    """A message that was recognised."""

    key: str
    said: str
    clients: str
    cause: str
    cure: tuple[Do, ...]
    look: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)

    @property
    def one_line(self) -> str:
        """The cure as an error shows it."""
        return "; ".join(f"or: {step.words}" if step.instead else step.words for step in self.cure)


def find(text: str, here: Here | None = None) -> list[Found]:
    """Return what is recognised in a text, in the order in which it says it, each message about each registry once."""
    here = here or Here()
    lines = [_UNSHOWN.sub("", line)[:LONGEST].strip() for line in text.splitlines()[-MOST:]]
    lines = [line for line in dict.fromkeys(lines) if line]
    found = _among(lines, lines, here)
    if not found and len(lines) > 1:  # copied from a terminal, which broke the lines
        found = _among([" ".join(lines)[:LONGEST]], lines, here) or _among(["".join(lines)[:LONGEST]], lines, here)
    return found


def _among(lines: Iterable[str], context: list[str], here: Here) -> list[Found]:
    found: dict[tuple[str, ...], Found] = {}
    context = [_unescaped(line) for line in context]
    for line in lines:
        plain = _unescaped(line)
        for row, match in _first(plain):
            values = _values(plain, match, context, here)
            key = (row.key, *(values.get(name, "") for name in ("registry", "name", "peer")))
            found.setdefault(key, _filled(row, line, values, here))
    return list(found.values())


def _unescaped(line: str) -> str:
    """Return a line of a log as the program said it that was logged."""
    return line.replace('\\"', '"')


@functools.cache
def _compiled() -> tuple[tuple[Row, tuple[re.Pattern[str], ...]], ...]:
    return tuple((row, tuple(re.compile(pattern) for pattern in row.patterns)) for row in ROWS)


def _first(line: str) -> list[tuple[Row, re.Match[str]]]:
    for row, patterns in _compiled():
        for pattern in patterns:
            if match := pattern.search(line):
                return [(row, match)]
    return []


def _values(line: str, match: re.Match[str], context: Iterable[str], here: Here) -> dict[str, str]:
    """Return the values for the templates, all of them checked; what is not known is left out."""
    said = {key: value for key, value in match.groupdict().items() if value}
    host, port = _endpoint(said, line, context)
    values = {"where": "", "as_plain": "", "container": here.container}
    if host:
        values |= {"host": host, "port": str(port), "registry": address.reference(host, port)}
        values |= {"where": _flags(host, port), "as_plain": _variables(host, port)}
    elif here.registry:
        values |= _own(here.registry)
    if "registry" in values:
        values["url"] = f"https://{values['registry']}"
    if name := _checked_host(said["name"].strip("[]'\".,;")) if "name" in said else values.get("host", ""):
        values["name"] = name
    for key in ("file", "peer"):
        if _FILE.match(said.get(key, "")):
            values[key] = said[key]
    values |= _moved(host, port, here)
    if here.registry:
        values["own"] = here.registry
        own = _own(here.registry).get("host", "")
        values |= {"own_address": own} if address.is_ip(own) else {}
    elif "registry" in values:
        values["own"] = values["registry"]
    values["certs_d"] = "/etc/containers/certs.d" if "/etc/containers/" in line else "/etc/docker/certs.d"
    if "host" in values:
        values["proxy_command"] = past_the_proxy(values["host"], here)
    return values


def _moved(host: str, port: int, here: Here) -> dict[str, str]:
    """Return where the registry of this very machine is meant to be, if that is another port than a message means."""
    own, at = _parted(here.registry)
    moved = host in here.hosts and host == own and port != at
    return {"on_port": f" --port {port}", "now": here.registry} if moved else {"on_port": ""}


def _own(registry: str) -> dict[str, str]:
    host, port = _parted(registry)
    return {"host": host, "port": str(port), "registry": registry} if host else {}


def _endpoint(said: Mapping[str, str], line: str, context: Iterable[str]) -> tuple[str, int]:
    """Return the host and port that a message is about; "" where it names none that can be used."""
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
                if host and port and plausible and not f".{host}".endswith(_BESIDE):
                    return host, port
    name = _checked_host(said.get("name", ""))
    return (name, HTTPS) if name else ("", 0)


def _parted(registry: str) -> tuple[str, int]:
    """Return host and port of the registry part of a reference."""
    match = re.fullmatch(rf"{_HOST}(?::(?P<port>\d+))?", registry)
    host = _checked_host(match["host"]) if match else ""
    return (host, _port(match["port"], HTTPS)) if match and host else ("", 0)


def _port(text: str | None, default: int) -> int:
    return int(text) if text and len(text) < len("123456") and 0 < int(text) <= 65535 else (0 if text else default)  # noqa: PLR2004 - TCP's last


def _checked_host(text: str) -> str:
    """Return a host in canonical form, or "" for what is none."""
    try:
        return settings.host("host", text) if text else ""
    except SettingError:
        return ""


def _flags(host: str, port: int) -> str:
    """Return the flags that have a task mean this registry; none for loopback, which no task takes."""
    try:
        settings.reachable("host", host)
    except SettingError:
        return ""
    return f" --address {host}" + (f" --port {port}" if port != HTTPS else "")


def _variables(host: str, port: int) -> str:
    return f"INVOKE_REGISTRY_ADDRESS={host} INVOKE_REGISTRY_PLAIN_PORT={port} " if _flags(host, port) else ""


def past_the_proxy(host: str, here: Here) -> str:
    """Return the command that has the engine reach a host without its proxy."""
    listed = ",".join(dict.fromkeys([*(part.strip() for part in here.no_proxy.split(",") if part.strip()), host]))
    if not re.fullmatch(r"[\w.:/*,\[\]-]+", listed):
        listed = host
    if not here.systemd:
        line = f'export NO_PROXY="{listed}"'
        return f"echo '{line}' | sudo tee -a /etc/default/docker && sudo service docker restart"
    folder = "/etc/systemd/system/docker.service.d"
    file = f"{folder}/zz-no-proxy.conf"
    text = f"printf '[Service]\\nEnvironment=\"NO_PROXY={listed}\"\\n' | sudo tee {file}"
    return f"sudo mkdir -p {folder} && {text} && sudo systemctl daemon-reload && sudo systemctl restart docker"


def _filled(row: Row, line: str, values: Mapping[str, str], here: Here) -> Found:
    steps = [step for step in row.cure if _names(step.command) <= values.keys()] or [_DOCTOR]
    at_home = values.get("host", "") in here.hosts
    offered = here.keeps and not at_home
    done = tuple(dict.fromkeys(_do(_offered(it) if offered else it, values, at_home=at_home) for it in steps))
    spoken = {"registry": "the registry", "name": "that name", "peer": "some address", **values}
    return Found(row.key, line, row.clients, row.cause.format_map(spoken), done, row.look)


def _offered(step: Step) -> Step:
    """Return how another machine's authority is trusted where this checkout has one: not out of certs/ here."""
    return Step(OFFER, f"then {OFFERED}", at=REGISTRY) if step.command.startswith("./inv trust.") else step


def _do(step: Step, values: Mapping[str, str], *, at_home: bool) -> Do:
    at = HERE if at_home else step.at
    note = "; ".join(part for part in (step.note, "" if at_home else step.away) if part)
    return Do(step.command.format_map(values), note.format_map(values), at, step.instead)


def _names(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}
