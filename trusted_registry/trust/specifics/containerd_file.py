"""The text of containerd's config.toml, in which `certs.d` is to be named: looked at so that advice fits; not written.

The versions of the file are those of github.com/containerd/containerd, docs/cri/config.md and docs/ops.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from trusted_registry.errors import RegistryError
from trusted_registry.trust.managed_blocks import toml

CERTS_D = "/etc/containerd/certs.d"
CONFIG = "/etc/containerd/config.toml"
SETTING = f'  config_path = "{CERTS_D}"'

_PLUGINS = {1: "cri", 2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.images"}
"""Name of the plugin that Kubernetes pulls through, by the version of the file; one that names none has the first."""
HEADS = {
    1: f"[plugins.{_PLUGINS[1]}.registry]",
    2: f'[plugins."{_PLUGINS[2]}".registry]',
    3: f"[plugins.'{_PLUGINS[3]}'.registry]",
}
"""Head of the table that has `config_path`, by the version of the file."""
_APPEND = ("sh", "-c", f'printf "%s\\n" "$@" >>{CONFIG}', "sh")


def repair(text: str, version: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the lines that name the folder in a file, and the command that puts them there.

    No command where the file's form leaves none that is sure to work.

    Args:
        text: The file; empty for none.
        version: Version that containerd writes by itself: for a file that has nothing in it.
    """
    for lines, command, after in _candidates(text, version):
        if _names_folder(after, version):
            return lines, command
    return (HEADS[_tables(text, version)], SETTING), ()


def _candidates(text: str, version: int) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], str]]:
    """Yield the lines, the command, and the text that the command would leave, the best first."""
    lines = text.splitlines()
    if not text.strip():
        wanted = (f"version = {version}", HEADS[version], SETTING)
        yield wanted, (*_APPEND, *wanted), _joined([*lines, *wanted])
        return
    own = _version(text)
    if not own and all("." in name for name in _plugins(text)):  # written for version 2, and ignored
        yield ("version = 2",), ("sed", "-i", "1i version = 2", CONFIG), _joined(["version = 2", *lines])
    head = HEADS[_tables(text, version)]
    at = next((number for number, line in enumerate(lines) if _is_head(line, head)), None)
    if at is None:
        yield (head, SETTING), (*_APPEND, "", head, SETTING), _joined([*lines, "", head, SETTING])
        return
    said = next((it for it in _body(lines, at) if re.match(r"[ \t]*[\"']?config_path[\"']?[ \t]*=", lines[it])), None)
    if said is None:
        command = ("sed", "-i", f"{at + 1}a\\{SETTING}", CONFIG)
        yield (head, SETTING), command, _joined([*lines[: at + 1], SETTING, *lines[at + 1 :]])
    else:
        command = ("sed", "-i", f"{said + 1}c\\{SETTING}", CONFIG)
        yield (head, SETTING), command, _joined([*lines[:said], SETTING, *lines[said + 1 :]])


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _body(lines: list[str], at: int) -> Iterator[int]:
    for number in range(at + 1, len(lines)):
        if lines[number].lstrip().startswith("["):
            return
        yield number


def _is_head(line: str, head: str) -> bool:
    said, wanted = (re.sub(r"[\s'\"]", "", it.partition("#")[0]) for it in (line, head))
    return said == wanted


def _version(text: str) -> int:
    """Return the version that a file names; 0 for none, or for one that is not known."""
    found = _parsed(text).get("version")
    return found if isinstance(found, int) and found in HEADS else 0


def _tables(text: str, version: int) -> int:
    """Return the version of the tables that count in a file.

    Without a version, or with the first, containerd 2.1.9 takes tables of the third and ignores those of the first
    (tried); containerd 1 takes those of the first.
    """
    own = _version(text) or 1
    return version if own == 1 and version == 3 else own  # noqa: PLR2004 - the last there is


def _names_folder(text: str, version: int) -> bool:
    found: Any = _plugins(text)
    for key in (_PLUGINS[_tables(text, version)], "registry", "config_path"):
        found = found.get(key) if isinstance(found, dict) else None
    return bool(found == CERTS_D)


def _plugins(text: str) -> dict[str, Any]:
    found = _parsed(text).get("plugins")
    return found if isinstance(found, dict) else {}


def _parsed(text: str) -> dict[str, Any]:
    """Return a file's content; none for one that is not TOML."""
    try:
        return toml.read(CONFIG, text)
    except RegistryError:
        return {}
