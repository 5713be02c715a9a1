"""Shared files: parsed before a block is added, and again after, to prove that nothing else changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.trust.managed_blocks import editing, toml
from trusted_registry.trust.model import ManagedBlock

_SECTIONS = ("mirrors", "configs")
"""Keys of registries.yaml that have an entry for each registry (docs.k3s.io/installation/private-registry)."""
_NOTHING = "tag:yaml.org,2002:null"


def check(path: PurePath | str, text: str) -> None:
    """Check that a file is valid TOML or k3s's YAML, by its suffix.

    Files with another suffix are not parsed.

    Raises:
        RegistryError: The text is not valid; the message names the line.
    """
    _read(path, text)


def merge(text: str, blocks: Sequence[ManagedBlock]) -> str:
    """Return a text with blocks added, its meaning otherwise unchanged.

    Args:
        text: The text of one file.
        blocks: Blocks for that file.

    Raises:
        RegistryError: The text cannot be parsed, is about the same registry already, or would change in meaning.
    """
    for block in blocks[:1]:
        check(block.path, text)
    blocks = [block for block in blocks if not editing.is_held(text, block)]
    for block in blocks:  # all of them before the first is added, so that lines keep the numbers that people see
        if not editing.has(text, block):
            editing.check(text, block)
    after = text
    for block in blocks:
        after = editing.added(after, block)
    if after != text:
        _prove(text, after, blocks)
    return after


def _prove(before: str, after: str, blocks: Sequence[ManagedBlock]) -> None:
    """Check that a merged text means the text before plus the blocks.

    Three texts are parsed: the one without our blocks, the blocks, and the merged one; the first two make the third.
    """
    path, bare = blocks[0].path, before
    for block in blocks:
        bare = editing.removed(bare, block)
    try:
        expected = _read(path, bare)
        for block in blocks:
            expected = _combined(expected, _read(path, "\n".join(_as_document(block))))
        proved = _read(path, after) == expected
    except RegistryError:
        proved = False
    if not proved:
        raise RegistryError(
            f"{path} would be invalid with the lines for {blocks[0].registry_host} in it. It was left as it is.",
            cure=f"Add by hand: {'; '.join(line.strip() for block in blocks for line in _as_document(block))}",
        )


def _as_document(block: ManagedBlock) -> list[str]:
    """Return a block as a document of its own."""
    return [block.under, *(f"  {line}" for line in block.entry)] if block.under else list(block.entry)


def _combined(one: object, other: object) -> object:
    """Return two parsed documents in one.

    Raises:
        RegistryError: Both have a value for the same key.
    """
    if not isinstance(one, dict) or not isinstance(other, dict):
        if one is not None:
            raise RegistryError(f"{one} and {other} are two things.", cure="")
        return other
    return one | {key: _combined(one.get(key), value) for key, value in other.items()}


def _read(path: PurePath | str, text: str) -> object:
    """Return the parsed file; `{}` for an empty one or an unknown suffix."""
    suffix = PurePath(path).suffix
    if suffix == ".toml":
        return toml.read(path, text)
    return _yaml(path, text) if suffix == ".yaml" else {}


def _yaml(path: PurePath | str, text: str) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    reader = YAML(typ="safe", pure=True)
    reader.composer.warn_double_anchors = False  # YAML 1.2.2, section 3.2.2.2: the later one counts
    try:
        # Composed, not constructed: the meaning of values is k3s's, and a wrong date is no wrong YAML.
        tree = reader.compose(text)
        meaning = _plain_value(path, tree) if tree else None
    except (YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "it cannot be followed"
        raise toml.invalid(path, mark.line + 1 if mark else 1, f"is not valid YAML: {reason}") from error
    if tree:
        _check_shape(path, tree)
    return meaning or {}


def _plain_value(path: PurePath | str, node: Any) -> Any:  # noqa: ANN401 - ruamel's nodes have no types
    """Return a YAML node as a value that can be compared.

    A mapping becomes entries by key, null becomes None, and other scalars keep their type.
    """
    if node.id == "scalar":
        return None if node.tag == _NOTHING else (str(node.tag), node.value)
    if node.id == "sequence":
        return [_plain_value(path, entry) for entry in node.value]
    found: dict[str, Any] = {}
    for key, value in node.value:
        name = repr(_plain_value(path, key))
        if name in found:
            raise RegistryError(
                f"{path}, line {key.start_mark.line + 1}, says '{key.value}' a second time. It was left as it is.",
                cure=f"Remove one of the two: {pasteable(['grep', '-nF', '--', key.value, path])}",
            )
        found[name] = _plain_value(path, value)
    return found


def _check_shape(path: PurePath | str, tree: Any) -> None:  # noqa: ANN401 - as above
    """Check that registries.yaml has mappings as k3s expects.

    k3s stops over any other value there.
    """
    wrong = None if tree.id == "mapping" or tree.tag == _NOTHING else tree
    if tree.id == "mapping":
        sections = (value for key, value in tree.value if key.value in _SECTIONS)
        wrong = next((it for it in sections if it.id != "mapping" and it.tag != _NOTHING), None)
    if wrong:
        raise RegistryError(
            f"{path}, line {wrong.start_mark.line + 1}: registries by name should be here. It was left as it is.",
            cure="See docs.k3s.io/installation/private-registry for the form",
        )
