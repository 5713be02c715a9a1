"""Others' entries for the registry of a block, in registries.yaml and buildkitd.toml: where ours stands beside theirs.

An entry with a login keeps that, and gains trust. The kit does the same with awk; a test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trusted_registry.trust.model import ManagedBlock

_BARE = str.maketrans("'", '"', " \t\r")
"""Translation for comparing keys: blanks within a key mean nothing, and both quotes mean the same."""
_ALONE = re.compile(r"[ \t]*:([ \t\r]+(#.*)?)?")
"""Rest of a line after a key of YAML that stands alone on that line."""
_KEY = re.compile(r"(['\"]?)([A-Za-z_]+)\1[ \t]*:(?=[ \t\r]|\Z)")
_ITEM = re.compile(r"-([ \t\r]|\Z)")
_COMMENT = re.compile(r"(^|[ \t])#.*")
_SETTING = re.compile(r"[ \t]*['\"]?([A-Za-z0-9_-]+)['\"]?[ \t]*[.=]")
_UNVERIFIED = frozenset(("insecure_skip_verify", "http", "insecure"))
"""Settings beside which no authority counts."""


@dataclass(frozen=True)
class Place:
    """A place in others' entry.

    Args:
        within: Number of a block's lines, from the first on, that others have; all of them if nothing is missing.
        after: Index of the line below which the others belong.
        indent: Their margin.
    """

    within: int
    after: int
    indent: str


@dataclass(frozen=True)
class _Mapping:
    """Keys directly under a key of YAML by name, with their lines' indexes, their margin, and the end of it all."""

    keys: dict[str, int]
    indent: str
    end: int


def find(lines: Sequence[str], at: int, block: ManagedBlock) -> Place | None:
    """Return the place of a block in the entry that begins at a line, or None if the block does not fit in.

    The block is one with an entry of its own. It fits into an entry that is in block form, names no other authority,
    and does not switch verification off.
    """
    return _in_mapping(lines, at, block) if block.under else _in_table(lines, at, block)


def _in_mapping(lines: Sequence[str], at: int, block: ManagedBlock) -> Place | None:
    name = block.registry_host
    for level in range(1, len(block.lines)):
        found = _mapping(lines, at) if _is_alone(lines[at], name) else None
        if found is None or _UNVERIFIED & found.keys.keys():
            return None
        name = block.lines[level].partition(":")[0].strip()
        if name not in found.keys:  # of no endpoint k3s makes the registry itself
            return Place(len(block.lines) if _is_list(block) else level, at, found.indent)
        if _is_list(block):
            return Place(len(block.lines), at, "") if _lists(lines, found, name, block) else None
        at = found.keys[name]
    value = _COMMENT.sub("", lines[at].partition(":")[2]).strip(" \t\r")
    return Place(len(block.lines), at, "") if value.strip("\"'") == _path(block) else None


def _is_list(block: ManagedBlock) -> bool:
    return block.lines[-1].lstrip().startswith("- ")


def _lists(lines: Sequence[str], found: _Mapping, name: str, block: ManagedBlock) -> bool:
    """Whether the addresses below a key have that of a block."""
    at = found.keys[name]
    end = min((it for it in found.keys.values() if it > at), default=found.end)
    words = re.split(r"[\s\"',\[\]]+", " ".join(_COMMENT.sub("", line) for line in lines[at:end]))
    return any(f"{_path(block)}{ending}" in words for ending in ("", "/", "/v2", "/v2/"))


def _is_alone(line: str, name: str) -> bool:
    said = line.lstrip(" ")
    return any(said.startswith(key) and _ALONE.fullmatch(said[len(key) :]) for key in (name, f'"{name}"', f"'{name}'"))


def _mapping(lines: Sequence[str], at: int) -> _Mapping | None:
    """Return what stands below a key, or None if that is no mapping in block form."""
    margin, inner, keys, end = width(lines[at]), 0, dict[str, int](), len(lines)
    for number in range(at + 1, len(lines)):
        wide, said = width(lines[number]), lines[number].lstrip(" ")
        if not said.strip(" \t\r") or said.strip(" \t\r").startswith("#"):
            continue
        if wide <= margin:
            end = number
            break
        inner = inner or wide
        if wide > inner:
            continue
        key = _KEY.match(said) if wide == inner else None
        if key and key[2] not in keys:
            keys[key[2]] = number
        elif key or wide < inner or not keys or not _ITEM.match(said):
            return None
    return _Mapping(keys, " " * (inner or margin + 2), end)


def width(line: str) -> int:
    """Return the margin of a line."""
    return len(line) - len(line.lstrip(" "))


def _in_table(lines: Sequence[str], at: int, block: ManagedBlock) -> Place | None:
    body = list(_body(lines, at))
    keys = {key[1]: number for number, line in reversed(body) if (key := _SETTING.match(line))}
    if normalized(lines[at]).partition("#")[0] not in block.claims or _UNVERIFIED & keys.keys():
        return None
    if _is_uncertain(lines, body):
        return None
    if "ca" not in keys:
        return Place(1, at, "")
    for number, line in body:
        said = _COMMENT.sub("", line) if number >= keys["ca"] else ""
        if any(f"{quote}{_path(block)}{quote}" in said for quote in "\"'"):
            return Place(len(block.lines), at, "")
        if "]" in said:
            break
    return None


def normalized(line: str) -> str:
    """Return a line without blanks, with one kind of quotes, and none around a first word `registry` of a table."""
    return re.sub(r"^(\[+)\"registry\"", r"\1registry", line.translate(_BARE))


def _body(lines: Sequence[str], at: int) -> Iterable[tuple[int, str]]:
    for number in range(at + 1, len(lines)):
        if lines[number].lstrip(" \t").startswith("["):
            return
        yield number, lines[number]


def _is_uncertain(lines: Sequence[str], body: Sequence[tuple[int, str]]) -> bool:
    """Whether lines of TOML may be within a string or an array of several, and no table what begins like one."""
    said = [rest for _, line in body if (rest := line.partition("#")[0].strip(" \t\r"))]
    return bool(said and said[-1][-1] in "[,") or any('"""' in line or "'''" in line for line in lines)


def _path(block: ManagedBlock) -> str:
    """Return what stands between the quotes of a block's last line."""
    return block.lines[-1].partition('"')[2].rpartition('"')[0]
