"""Lists in the engine's daemon.json that gain and lose one value of ours: everything else in the file is others'."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trusted_registry.console import pasteable
from trusted_registry.engine.types import EngineInfo
from trusted_registry.errors import RegistryError
from trusted_registry.trust import machine as machines

BACKUP = ".before-trusted-registry"
_SCHEME = re.compile(r"\Ahttps?://", re.IGNORECASE)


@dataclass(frozen=True)
class DaemonList:
    """A list of daemon.json that the engine reloads (dockerd(8), "Configuration reload behavior").

    Args:
        key: Its key in the file.
        store: Key of its entries in the ledger.
        flag: Flag of dockerd for the same list; with both, dockerd neither reloads nor starts.
        said: Values that an engine has by now, from whatever source.
        meaning: The form to which an engine brings an entry.
    """

    key: str
    store: str
    flag: str
    said: Callable[[EngineInfo], tuple[str, ...]]
    meaning: Callable[[str], str]

    def is_in_use(self, info: EngineInfo, value: str) -> bool:
        """Whether an engine goes by a value."""
        return self._is_meant(list(self.said(info)), value)

    def has(self, text: str, value: str, path: Path) -> bool:
        """Whether a daemon.json's list has a value, in any form that means it.

        Raises:
            RegistryError: The text is no JSON object, or its list is no array.
        """
        return self._is_meant(self.values(text, path), value)

    def _is_meant(self, listed: list[str], value: str) -> bool:
        return any(self.meaning(str(entry)) == self.meaning(value) for entry in listed)

    def values(self, text: str, path: Path) -> list[str]:
        """Return the entries of a daemon.json's list.

        Raises:
            RegistryError: The text is no JSON object, or its list is no array.
        """
        return self._parsed(text, path)[1]

    def added(self, text: str, value: str, path: Path) -> str:
        """Return a daemon.json's text with a value added.

        Everything else keeps its place and its value.

        Args:
            text: Present text of the file; empty for none.
            value: The value, such as 192.168.0.12:5000.
            path: Source of the text, for errors.

        Raises:
            RegistryError: The text is no JSON object, or its list is no array.
        """
        config, listed = self._parsed(text, path)
        if self._is_meant(listed, value):
            return text
        config[self.key] = [*listed, value]
        return _text(config, text)

    def without(self, text: str, value: str, path: Path) -> str:
        """Return a daemon.json's text whose list lacks a value.

        The list stays even if empty: an engine that reads the file again keeps its earlier list if the key is missing
        (moby/moby, daemon/reload.go).

        Raises:
            RegistryError: The text is no JSON object, or its list is no array.
        """
        config, listed = self._parsed(text, path)
        return _text(config | {self.key: [entry for entry in listed if entry != value]}, text)

    def removed(self, text: str, value: str, path: Path) -> str:
        """Return a daemon.json's text without a value.

        An empty list goes too, and so does an empty file.

        Raises:
            RegistryError: The text is no JSON object, or its list is no array.
        """
        config, listed = self._parsed(text, path)
        if value not in listed and (listed or self.key not in config):
            return text
        config[self.key] = [entry for entry in listed if entry != value]
        if not config[self.key]:
            del config[self.key]
        return _text(config, text) if config else ""

    def _parsed(self, text: str, path: Path) -> tuple[dict[str, object], list[str]]:
        config = _config(text, path)
        listed = config.get(self.key, []) if isinstance(config, dict) else None
        if not isinstance(config, dict) or not isinstance(listed, list):
            raise RegistryError(
                f"{path} is not what the engine expects. It was left as it is.", cure=f"See {self.key} in {path}."
            )
        return config, listed


INSECURE = DaemonList(
    key="insecure-registries",
    store="insecure",
    flag="--insecure-registry",
    said=lambda info: info.insecure,
    meaning=lambda entry: _SCHEME.sub("", entry),  # moby/moby, registry/config.go, LoadInsecureRegistries
)
"""Registries that the engine speaks plain HTTP with, or does not verify."""

MIRRORS = DaemonList(
    key="registry-mirrors",
    store="registry-mirrors",
    flag="--registry-mirror",
    said=lambda info: info.mirrors,
    meaning=lambda entry: entry.rstrip("/"),  # moby/moby, registry/config.go, ValidateMirror
)
"""Mirrors of Docker Hub, the only upstream that this list is for."""

LISTS = (INSECURE, MIRRORS)


def of_store(store: str) -> DaemonList | None:
    """Return the list of a ledger's entry, or None where the entry is of none."""
    return next((it for it in LISTS if it.store == store), None)


def is_same(text: str, other: str) -> bool:
    """Whether two texts of a daemon.json say the same, empty lists left out; False for one that is no JSON."""
    try:
        return _said(text) == _said(other)
    except (ValueError, RecursionError):
        return False


def _said(text: str) -> object:
    config = json.loads(text) if text.strip() else {}
    if not isinstance(config, dict):
        return config
    return {key: it for key, it in config.items() if it != [] or key not in {listed.key for listed in LISTS}}


def config_file(*, rootless: bool) -> Path:
    """Return the default path of an engine's configuration."""
    return machines.current().path("{config}/docker/daemon.json" if rootless else "/etc/docker/daemon.json")


def _config(text: str, path: Path) -> object:
    try:
        return json.loads(text) if text.strip() else {}
    except json.JSONDecodeError as error:
        raise RegistryError(
            f"{path} is not valid JSON, line {error.lineno}: {error.msg}. It was left as it is.",
            cure=f"Fix that line: {pasteable(['python3', '-m', 'json.tool', path])}",
        ) from error
    except RecursionError as error:
        raise RegistryError(
            f"{path} is nested too deeply to be read. It was left as it is.",
            cure=f"See what it holds: {pasteable(['head', path])}",
        ) from error


def _text(config: dict[str, object], like: str) -> str:
    """Return JSON with the indentation of another text, or two spaces, and with its line ends."""
    found = re.search(r"\n([ \t]+)\S", like)
    indent = found.group(1) if found else 2
    written = json.dumps(config, indent=indent, ensure_ascii=False)
    try:
        written.encode()
    except UnicodeEncodeError:  # half of a surrogate pair can stand in JSON as an escape alone (RFC 8259, 8.2)
        written = json.dumps(config, indent=indent)
    ended = "" if like.strip() and not like.endswith("\n") else "\n"
    return f"{written}{ended}".replace("\n", "\r\n" if "\r\n" in like else "\n")
