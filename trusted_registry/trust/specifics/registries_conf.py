"""podman's registries.conf and its drop-ins: which files are read, and which lines in them are about an upstream.

The rules are those of containers-registries.conf(5), and of containers/image, pkg/sysregistriesv2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from trusted_registry.trust.machine import Machine
from trusted_registry.trust.managed_blocks import toml

_NAME = "registries.conf"
_SYSTEM = ("/usr/share/containers", "/etc/containers")
_USER = "{home}/.config/containers"
_TABLE = re.compile(r"[ \t]*\[\[[ \t]*(['\"]?)registry\1[ \t]*\]\]")
_FIRST_VERSION = ("block", "insecure")
"""Lists of the format's first version that say something of a registry; its third, `search`, is about short names."""


def files(machine: Machine) -> list[Path]:
    """Return the files that are read on a machine, by this user and by others."""
    found = []
    for folder in map(machine.path, (*_SYSTEM, _USER)):
        paths = [folder / _NAME, *sorted((folder / f"{_NAME}.d").rglob("*.conf"))]
        found += [it for it in paths if _is_file(it)]
    return found


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:  # in a folder that this user may not enter, as podman of this user may not
        return False


def hiding(machine: Machine) -> Path | None:
    """Return this user's own file, with which the system's files and drop-ins are not read; None without one."""
    path = machine.path(_USER) / _NAME
    return path if _is_file(path) else None


def lines_about(upstream: str, path: Path, text: str) -> list[int]:
    """Return the numbers of the lines that say something of an upstream, or of a part of it.

    Raises:
        RegistryError: The text is no TOML; the message names the line.
    """
    document = toml.read(path, text)
    lines = text.splitlines()
    return sorted({_number(lines, at, name) for at, name in _names(document) if _is_about(name, upstream)})


def upstreams(path: Path, text: str) -> tuple[str, ...]:
    """Return the registries that a file is about, in its order.

    Raises:
        RegistryError: The text is no TOML; the message names the line.
    """
    return tuple(dict.fromkeys(name for _, name in _names(toml.read(path, text)) if name))


def _names(document: dict[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield the names that a file is about, each with the index of its table, or -1 in the format's first version."""
    for at, table in enumerate(_list(document.get("registry"))):
        name = _mapping(table).get("prefix") or _mapping(table).get("location")
        yield at, name if isinstance(name, str) else ""
    for key in _FIRST_VERSION:
        listed = _list(_mapping(_mapping(document.get("registries")).get(key)).get("registries"))
        yield from ((-1, name) for name in listed if isinstance(name, str))


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_about(name: str, upstream: str) -> bool:
    """Whether a prefix is an upstream's host, stands for it, or for some of its repositories.

    `example.com` stands for `example.com:8443` too, and `*.example.com` for every host below.
    """
    name = name.lower()
    if name.startswith("*"):
        below = name[1:].partition("/")[0]
        return upstream.partition(":")[0].endswith(below) or below == f".{upstream}"
    return name == upstream or name.startswith(f"{upstream}/") or (bool(name) and upstream.startswith(f"{name}:"))


def _number(lines: Sequence[str], at: int, name: str) -> int:
    """Return the number of the line that has a name, in the table of an index where there is one."""
    tables = [number for number, line in enumerate(lines) if _TABLE.match(line)]
    start = tables[at] if 0 <= at < len(tables) else 0
    return _first_with(name, lines, range(start, len(lines))) or start + 1


def _first_with(name: str, lines: Sequence[str], numbers: Iterable[int]) -> int:
    said = (number for number in numbers if name in lines[number].partition("#")[0])
    return next(said, -1) + 1
