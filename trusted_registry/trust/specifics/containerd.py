"""containerd's own configuration: read to find settings that keep `certs.d` from being read; never written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.trust.managed_blocks import toml

CERTS_D = "/etc/containerd/certs.d"
CONFIG = "/etc/containerd/config.toml"
ASK = ("sh", "-c", f"containerd config dump || {{ test ! -e {CONFIG} && containerd config default; }}")
"""Command that prints containerd's effective configuration, with defaults and imported files.

Without a file, containerd 1.x uses its defaults, and yet has nothing to dump.
"""
RESTART = ("systemctl", "restart", "containerd")

_OLD = '[plugins."io.containerd.grpc.v1.cri".registry]'
_NEW = "[plugins.'io.containerd.cri.v1.images'.registry]"
_CRI = ("cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images")
"""Names in `disabled_plugins` of the plugin that Kubernetes pulls through: in version 1, 2 and 3."""


@dataclass(frozen=True)
class Advice:
    """A fault in the configuration, and its cure.

    Args:
        wrong: The fault and its consequence.
        cure: Repair, without the restart; empty if none is needed.
        lines: Lines that config.toml should then have.
    """

    wrong: str
    cure: str = ""
    lines: tuple[str, ...] = ()

    def words(self, *, prefix: tuple[str, ...] = ()) -> str:
        """Return the advice as one line; `prefix` begins a command on a node."""
        if not self.cure:
            return self.wrong
        lines = f": {'; '.join(line.strip() for line in self.lines)}" if self.lines else ""
        return f"{self.wrong}. {self.cure}{lines}; then: {pasteable([*prefix, *RESTART])}"


def advice(text: str) -> tuple[Advice, ...]:
    """Return the settings that keep Kubernetes here from reading `certs.d`.

    The rules are those of github.com/containerd/containerd: docs/cri/registry.md, docs/hosts.md, and
    internal/cri/config/config.go for settings that exclude each other.

    Args:
        text: Output of `containerd config dump`.

    Raises:
        RegistryError: The text is not TOML, or not containerd's; the message names the line.
    """
    config = toml.read("containerd config dump", text)
    disabled = config.get("disabled_plugins")
    if isinstance(disabled, list) and any(name in disabled for name in _CRI):
        return (Advice(f"containerd's CRI plugin is disabled: {CERTS_D} is for nerdctl and ctr --hosts-dir alone"),)
    plugins = _table(config.get("plugins"))
    old, new = _table(plugins.get("io.containerd.grpc.v1.cri")), _table(plugins.get("io.containerd.cri.v1.images"))
    if not old and not new:
        return ()
    images, head = (new, _NEW) if new else (old, _OLD)
    return _of_registry(_table(images.get("registry")), images, head)


def _of_registry(registry: dict[str, Any], images: dict[str, Any], head: str) -> tuple[Advice, ...]:
    path = registry.get("config_path") or ""
    older = (f"(in a file with version = 2, below {_OLD})",) if head == _NEW else ()
    lines = (head, f'  config_path = "{CERTS_D}"', *older)
    beside = _beside(registry)
    found: list[Advice] = []
    if CERTS_D not in str(path).split(":"):
        wrong = f"its config_path is {path}" if path else "its config_path is not set"
        found.append(Advice(f"containerd's CRI plugin does not read {CERTS_D}: {wrong}", f"Write into {CONFIG}", lines))
    elif ":" in path and _by_transfer(images):
        # github.com/containerd/containerd/issues/12808: 2.2 has this default, which its CRI plugin alone can split
        wrong = f"containerd takes its config_path, {path}, for one folder and reads neither"
        found.append(Advice(wrong, f"Name one folder in {CONFIG}", lines))
    if beside:
        now = f"containerd's CRI plugin does not load with {beside} beside config_path"
        then = f"with config_path set, containerd's CRI plugin would no longer load while {beside} is there"
        wrong = now if path else then
        found.append(Advice(wrong, f"Take {beside} out of {CONFIG} and write its servers into {CERTS_D}"))
    return tuple(found)


def _beside(registry: dict[str, Any]) -> str:
    """Return the settings that exclude config_path.

    These are endpoints by registry, and certificates by registry.
    """
    with_tls = [entry for entry in _table(registry.get("configs")).values() if _table(entry).get("tls")]
    found = {"registry.mirrors": _table(registry.get("mirrors")), "registry.configs with tls": with_tls}
    return " and ".join(name for name, there in found.items() if there)


def _by_transfer(images: dict[str, Any]) -> bool:
    """Return whether Kubernetes pulls through the transfer service.

    That is the default from containerd 2.1 on, unless a setting needs the older way.
    """
    local = images.get("use_local_image_pull")
    return local is False and not images.get("discard_unpacked_layers")


def _table(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RegistryError(
            f"containerd config dump says {value!r} where there should be a table.", cure="See what it prints, by hand"
        )
    return value
