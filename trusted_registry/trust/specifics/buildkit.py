"""Builders of docker buildx, made anew after a change, since the configuration is copied in when a builder is made.

buildx records a builder's options and files, certificates included, in `instances/NAME` below its folder
(github.com/docker/buildx, store/nodegroup.go).
"""

from __future__ import annotations

import base64
import csv
import io
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.trust import client_stores
from trusted_registry.trust.managed_blocks import toml
from trusted_registry.trust.model import TrustAnchor

DRIVER = "docker-container"
_CONFIG = "buildkitd.toml"
_BUILDKIT_FOLDER = "/etc/buildkit/"
"""Folder in a builder for the copied files."""
_ADDED = "--allow-insecure-entitlement=network.host"
"""Flag that buildx adds to those of the command, even a second time: passed once, or the copies would add up."""
_FILES = ("ca", "keypair")
"""Settings of a registry that name files, whose paths differ inside a builder."""

BUILDX = client_stores.store("buildx")


@dataclass(frozen=True)
class BuilderNode:
    """One container of a builder, with the options of its creation."""

    name: str
    endpoint: str
    platforms: tuple[str, ...]
    options: tuple[str, ...]
    flags: tuple[str, ...]
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Builder:
    """A builder; `chosen` is the option that selected this one for builds: "", "use", "global" or "default"."""

    name: str
    nodes: tuple[BuilderNode, ...]
    chosen: str = ""


def find(folder: Path) -> tuple[Builder, ...]:
    """Return the builders with containers of their own, by name.

    Args:
        folder: buildx's folder: `{docker}/buildx`.

    Raises:
        RegistryError: A record of buildx cannot be read.
    """
    instances = folder / "instances"
    paths = sorted(path for path in instances.iterdir() if path.is_file()) if instances.is_dir() else []
    found = []
    for path in paths:
        try:
            said = json.loads(path.read_text())
            if said["Driver"] == DRIVER:
                nodes = tuple(_node(node) for node in said["Nodes"] or [])
                found.append(Builder(said["Name"], nodes, _chosen(folder, said["Name"])))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RegistryError(
                f"{path} is no builder that buildx wrote down.", cure=f"Look: {pasteable(['cat', path])}"
            ) from error
    return tuple(found)


def _node(said: dict[str, Any]) -> BuilderNode:
    options = sorted((said["DriverOpts"] or {}).items())
    platforms = ([it["os"], it["architecture"], it.get("variant", "")] for it in said["Platforms"] or [])
    return BuilderNode(
        name=said["Name"],
        endpoint=said["Endpoint"],
        platforms=tuple("/".join(filter(None, parts)) for parts in platforms),
        options=tuple(_as_csv(f"{key}={value}") for key, value in options),
        flags=tuple(said["Flags"] or ()),
        files={name: base64.b64decode(content) for name, content in (said["Files"] or {}).items()},
    )


def _as_csv(text: str) -> str:
    """Return a field of `--driver-opt`, quoted if needed as in RFC 4180."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([text])
    return line.getvalue()


def _chosen(folder: Path, name: str) -> str:
    current = folder / "current"
    said = json.loads(current.read_text()) if current.is_file() else {}
    if said.get("Name") == name:
        return "global" if said.get("Global") else "use"
    defaults = folder / "defaults"
    names = [path.read_text().strip() for path in defaults.iterdir()] if defaults.is_dir() else []
    return "default" if name in names else ""


def trusts(builder: Builder, anchor: TrustAnchor) -> bool:
    """Return whether every container of a builder has the certificate.

    The certificate must be set for every registry host that BuildKit can read.
    """
    registry_hosts = [block.registry_host for block in BUILDX.blocks(anchor)]
    return all(_has(node, it, anchor) for node in builder.nodes for it in registry_hosts)


def _has(node: BuilderNode, registry_host: str, anchor: TrustAnchor) -> bool:
    paths = _registries(_config(node)).get(registry_host, {}).get("ca") or []
    held = b"\n".join(node.files.get(str(path).removeprefix(_BUILDKIT_FOLDER), b"") for path in paths)
    return all(it.is_in(held) for it in anchor.all)


def rebuild_commands(builder: Builder, file: Path | None) -> tuple[tuple[str, ...], ...]:
    """Return the commands that make a builder anew with another configuration.

    All other options and the cache stay.

    Args:
        builder: The builder as recorded now.
        file: The new configuration; None for none.

    Raises:
        RegistryError: The builder has settings that the file lacks; buildx does not record from which file they came.
    """
    _check_contained(builder, file)
    config = ("--buildkitd-config", str(file)) if file else ()
    made: list[tuple[str, ...]] = []
    for node in builder.nodes:
        first = ("--append",) if made else ("--driver", DRIVER)
        use = ("--use",) if builder.chosen == "use" and not made else ()
        made.append(("docker", "buildx", "create", "--name", builder.name, *first, *_options(node), *config, *use))
        made[-1] += (node.endpoint,) if node.endpoint else ()
    if builder.chosen in ("global", "default"):
        made.append(("docker", "buildx", "use", f"--{builder.chosen}", builder.name))
    return (("docker", "buildx", "rm", "--keep-state", builder.name), *made)


def _options(node: BuilderNode) -> tuple[str, ...]:
    platforms = ("--platform", ",".join(node.platforms)) if node.platforms else ()
    options = (word for option in node.options for word in ("--driver-opt", option))
    once = [it for at, it in enumerate(node.flags) if it != _ADDED or it not in node.flags[:at]]
    flags = ("--buildkitd-flags", shlex.join(once)) if once else ()
    return ("--node", node.name, *platforms, *options, *flags)


def _check_contained(builder: Builder, file: Path | None) -> None:
    ours = toml.read(file or _CONFIG, file.read_text() if file and file.is_file() else "")
    if all(_contains(ours, _config(node)) for node in builder.nodes):
        return
    remove = pasteable(["docker", "buildx", "rm", "--keep-state", builder.name])
    create = pasteable(["docker", "buildx", "create", "--name", builder.name, "--driver", DRIVER])
    raise RegistryError(
        f"The builder {builder.name} was made with settings that are not in {file or 'the new configuration'}.",
        cure=f"Add ours to the FILE it was made with: {remove} && {create} --buildkitd-config FILE",
    )


def _contains(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Return whether the new configuration has all settings of the builder's.

    Paths of files are not compared, since they differ inside a builder.
    """
    own = _registries(ours)
    for name, settings in _registries(theirs).items():
        said = own.get(name, {})
        plain = {key: value for key, value in settings.items() if key not in _FILES}
        if any(key in settings and key not in said for key in _FILES) or not plain.items() <= said.items():
            return False
    return all(ours.get(key) == value for key, value in theirs.items() if key != "registry")


def _config(node: BuilderNode) -> dict[str, Any]:
    text = node.files.get(_CONFIG, b"").decode(errors="replace")
    return toml.read(f"The configuration of the builder {node.name}", text)


def _registries(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = config.get("registry")
    return {name: it for name, it in found.items() if isinstance(it, dict)} if isinstance(found, dict) else {}
