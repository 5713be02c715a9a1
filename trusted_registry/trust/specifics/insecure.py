"""Plain HTTP on an address other than loopback: `insecure-registries` in the engine's daemon.json."""

from __future__ import annotations

import json
import re
from pathlib import Path

from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.trust import machine as machines

KEY = "insecure-registries"
BACKUP = ".before-trusted-registry"
_SCHEME = re.compile(r"\Ahttps?://", re.IGNORECASE)


def config_file(*, rootless: bool) -> Path:
    """Return the default path of an engine's configuration."""
    if not rootless:
        return Path("/etc/docker/daemon.json")
    return (machines.configured("XDG_CONFIG_HOME") or Path.home() / ".config") / "docker" / "daemon.json"


def added(text: str, registry_host: str, path: Path) -> str:
    """Return a daemon.json's text with a registry added.

    Everything else keeps its place and its value.

    Args:
        text: Present text of the file; empty for none.
        registry_host: Registry host, such as 192.168.0.12:5000.
        path: Source of the text, for errors.

    Raises:
        RegistryError: The text is no JSON object, or its list is no array.
    """
    config, listed = _parsed(text, path)
    if _is_meant(listed, registry_host):
        return text
    config[KEY] = [*listed, registry_host]
    return _text(config, text)


def allows(text: str, registry_host: str, path: Path) -> bool:
    """Whether a daemon.json's list has a registry, in any form that means it.

    Raises:
        RegistryError: The text is no JSON object, or its list is no array.
    """
    return _is_meant(_parsed(text, path)[1], registry_host)


def _is_meant(listed: list[str], registry_host: str) -> bool:
    """Whether a list has a registry: the engine takes the scheme off (moby/moby, registry/config.go)."""
    return any(_SCHEME.sub("", str(entry)) == registry_host for entry in listed)


def without_registry(text: str, registry_host: str, path: Path) -> str:
    """Return a daemon.json's text whose list lacks a registry.

    The list stays even if empty: an engine that reads the file again keeps its earlier list if the key is missing
    (moby/moby, daemon/reload.go).

    Raises:
        RegistryError: The text is no JSON object, or its list is no array.
    """
    config, listed = _parsed(text, path)
    return _text(config | {KEY: [entry for entry in listed if entry != registry_host]}, text)


def removed(text: str, registry_host: str, path: Path) -> str:
    """Return a daemon.json's text without a registry.

    An empty list goes too, and so does an empty file.

    Raises:
        RegistryError: The text is no JSON object, or its list is no array.
    """
    config, listed = _parsed(text, path)
    if registry_host not in listed and (listed or KEY not in config):
        return text
    config[KEY] = [entry for entry in listed if entry != registry_host]
    if not config[KEY]:
        del config[KEY]
    return _text(config, text) if config else ""


def _parsed(text: str, path: Path) -> tuple[dict[str, object], list[str]]:
    try:
        config = json.loads(text) if text.strip() else {}
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
    listed = config.get(KEY, []) if isinstance(config, dict) else None
    if not isinstance(listed, list):
        raise RegistryError(
            f"{path} is not what the engine expects. It was left as it is.", cure=f"See {KEY} in {path}."
        )
    return config, listed


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
