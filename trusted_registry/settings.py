"""Settings: checks every value that a person can type, once, and freezes the result.

Checked values are safe in a path, a template or a command: unsafe ones are refused here, not escaped there.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trusted_registry.address import registry_host, registry_hosts
from trusted_registry.console import pasteable
from trusted_registry.defaults import DEFAULTS, HTTPS
from trusted_registry.errors import SettingError
from trusted_registry.values import (
    STORAGES,
    address,
    hosts,
    matching,
    one_of,
    path,
    reachable,
    storage,
    storages,
    whole_number,
)

SAVED = ("address", "names", "port", "front", "image", *STORAGES)
"""Settings whose flags are saved until they are taken back."""
KEY_KINDS = ("ec:P-256", "ec:P-384", "rsa:2048", "rsa:3072", "rsa:4096")
SWITCH = ("on", "off")
TOOLS = ("auto", "openssl", "cryptography")
MAX_SERVER_DAYS = 397
"""Days: Apple refuses more than 825 from any authority, browsers more than 397 from public ones."""
MAX_AUTHORITY_DAYS = 3650
MAX_IMAGES = 1_000_000
MAX_PORT = 65_535
MAX_DRAIN = 86_400
"""Seconds: a day, after which a registry that was replaced has gone whatever is under way."""

_INVOKE_SECTIONS = frozenset({"run", "runners", "sudo", "tasks", "timeouts", "load_symlinks"})
_INVOKE_VARIABLES = frozenset({"INVOKE_DEBUG", "INVOKE_DEDUPE", "INVOKE_ECHO", "INVOKE_RUNTIME_CONFIG"})
_CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}\Z")
_PATTERN = re.compile(r"[a-zA-Z0-9._:/@*?\[\]!-]{0,254}\Z")
_IMAGE = re.compile(r"[a-zA-Z0-9\[][a-zA-Z0-9._:/@\[\]-]{0,254}\Z")


@dataclass(frozen=True)
class Settings:
    """Checked settings of one run.

    Addresses have the canonical form of Python's ipaddress; ports are TCP ports; durations are in days, but
    `drain`, in seconds. A `metrics` of 0 stands for none; so do `keep` and `older` of "".
    `saved_flags` are the flags of this run and earlier ones, `saved_flags_before` those of earlier runs alone.
    `adopted` is a volume that a person declared in this run to be this installation's, which a dry run does not note.
    """

    root: Path
    address: str
    names: tuple[str, ...]
    port: int
    plain_port: int
    listen: str
    container: str
    volume: str
    image: str
    archive: Path | None
    front: bool
    front_image: str
    drain: int
    metrics: int
    folder: Path
    key: str
    days: int
    authority_days: int
    renew_before: int
    tool: str
    undo_days: int
    keep: str
    older: str
    untagged: bool
    match: str
    storage: str
    storage_endpoint: str
    storage_region: str
    storage_insecure: str
    saved_flags: Mapping[str, str] = field(default_factory=dict)
    saved_flags_before: Mapping[str, str] = field(default_factory=dict)
    adopted: str = ""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Address and further names of the registry, each once."""
        return tuple(dict.fromkeys((self.address, *self.names)))

    @property
    def registry_host(self) -> str:
        """Registry host of the registry over TLS."""
        return registry_host(self.address, self.port)

    @property
    def registry_hosts(self) -> tuple[str, ...]:
        """Every registry host by which a reference can name the registry over TLS."""
        return registry_hosts(self.hosts, self.port)

    @property
    def dropped_names(self) -> tuple[str, ...]:
        """Names that a flag of this run takes back."""
        before = hosts("names", self.saved_flags_before.get("names", ""))
        return tuple(name for name in before if name not in self.hosts)

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags that name this registry to a task on another machine or of another user."""
        return registry_flags(self.address, self.port, self.names)

    def command(self, task: str, *, container: str = "", volume: str = "") -> str:
        """Return a command about this registry, or about one of other names, with the variables needed for that."""
        default = DEFAULTS["registry"]
        container, volume = container or self.container, volume or self.volume
        variables = {
            "INVOKE_CERTIFICATE_FOLDER": "" if self.folder == self.root / "certs" else str(self.folder),
            "INVOKE_REGISTRY_CONTAINER": "" if container == default["container"] else container,
            "INVOKE_REGISTRY_VOLUME": "" if volume == default["volume"] else volume,
        }
        return "".join(f"{name}={pasteable([value])} " for name, value in variables.items() if value) + f"./inv {task}"


def registry_flags(host: str, port: int = HTTPS, names: Collection[str] = ()) -> tuple[str, ...]:
    """Return the flags that name a registry to a task, by host, port and further names."""
    named = ("--names", ",".join(names)) if names else ()
    on_port = ("--port", str(port)) if port != HTTPS else ()
    return ("--address", host, *named, *on_port)


def load(  # noqa: PLR0913 - a setting comes from as many places
    config: Mapping[str, Mapping[str, object]],
    *,
    root: Path,
    find_address: Callable[[], str],
    flags: Mapping[str, str] | None = None,
    find_saved_flags: Callable[[Path], Mapping[str, str]] = lambda _: {},
    environ: Collection[str] = (),
) -> Settings:
    """Check every setting and freeze the result.

    Args:
        config: Sections by name, as merged from invoke.yaml and the environment.
        root: The checkout; relative folders start there.
        find_address: Returns this machine's own address; called if none is set.
        flags: Values by dotted key (`registry.port`) that override `config`; an empty one only takes back the saved
            flag of that name.
        find_saved_flags: Returns the saved flags from the folder of the certificates.
        environ: Names of the environment's variables; a variable overrides a saved flag.

    Raises:
        SettingError: A value cannot be used; the error names the setting and usable values.
    """
    configured, flags = _configured(config), flags or {}
    folder = _folder(root, flags.get("certificate.folder") or configured.get("certificate.folder", ""))
    saved_before = find_saved_flags(folder)
    saved = _saved(saved_before, flags)
    typed = _Typed(configured, flags, saved, environ)
    own_address, archive = typed.text("registry.address"), path("registry.archive", typed.text("registry.archive"))
    return Settings(
        root=root,
        address=reachable("registry.address", own_address) if own_address else find_address(),
        names=hosts("registry.names", _joined(configured.get("registry.names", ""), saved.get("names", ""))),
        port=typed.number("registry.port", 1, MAX_PORT),
        plain_port=typed.number("registry.plain_port", 1, MAX_PORT),
        listen=_listen(typed.text("registry.listen")),
        container=typed.matching("registry.container", _CONTAINER, "letters, digits, _ . -"),
        volume=typed.matching("registry.volume", _CONTAINER, "letters, digits, _ . -"),
        image=typed.reference("registry.image", "registry:3"),
        archive=(root / archive) if str(archive) != "." else None,
        front=typed.is_on("registry.front"),
        front_image=typed.reference("registry.front_image", "haproxy:lts"),
        metrics=int(typed.number_or_none("registry.metrics", 0, MAX_PORT) or 0),
        drain=typed.number("registry.drain", 1, MAX_DRAIN),
        folder=folder,
        key=typed.one_of("certificate.key", KEY_KINDS),
        days=typed.number("certificate.days", 1, MAX_SERVER_DAYS),
        authority_days=typed.number("certificate.authority_days", 1, MAX_AUTHORITY_DAYS),
        renew_before=typed.number("certificate.renew_before", 0, MAX_SERVER_DAYS),
        tool=typed.one_of("certificate.tool", TOOLS),
        undo_days=typed.number("images.undo_days", 0, MAX_AUTHORITY_DAYS),
        keep=typed.number_or_none("images.keep", 0, MAX_IMAGES),
        older=typed.number_or_none("images.older", 0, MAX_IMAGES),
        untagged=typed.is_on("images.untagged"),
        match=typed.matching("images.match", _PATTERN, "a pattern such as app, team/* or app:1.*"),
        **storages(typed.text),
        saved_flags=saved,
        saved_flags_before=saved_before,
    )


@dataclass(frozen=True)
class _Typed:
    """Values of settings as a person typed them: by a flag, else a variable or invoke.yaml, else a saved flag."""

    configured: Mapping[str, str]
    flags: Mapping[str, str]
    saved: Mapping[str, str]
    environ: Collection[str]

    def text(self, key: str) -> str:
        section, _, name = key.partition(".")
        default = DEFAULTS[section][name]
        explicit = self.configured.get(key, default) != default or f"INVOKE_{section}_{name}".upper() in self.environ
        saved = "" if explicit else self.saved.get(name, "")
        return (self.flags.get(key) or saved or self.configured.get(key, default)).strip(" ")

    def number(self, key: str, least: int, most: int) -> int:
        return whole_number(key, self.text(key), least, most)

    def number_or_none(self, key: str, least: int, most: int) -> str:
        return str(self.number(key, least, most)) if self.text(key) else ""

    def one_of(self, key: str, choices: tuple[str, ...]) -> str:
        return one_of(key, self.text(key), choices)

    def is_on(self, key: str) -> bool:
        return self.one_of(key, SWITCH) == "on"

    def matching(self, key: str, pattern: re.Pattern[str], allowed: str) -> str:
        return matching(key, self.text(key), pattern, allowed)

    def reference(self, key: str, example: str) -> str:
        return _reference(key, self.text(key), example)


def _listen(typed: str) -> str:
    """Return the address to listen on, "" for every one."""
    return address("registry.listen", typed) if typed not in ("", "0.0.0.0", "::") else ""  # noqa: S104 - those mean it


def _folder(root: Path, typed: str) -> Path:
    folder = root / path("certificate.folder", typed.strip(" ") or "certs")
    return folder.resolve() if ".." in folder.parts else folder  # the engine takes `..` out of a path


def _reference(key: str, typed: str, example: str) -> str:
    return matching(key, typed, _IMAGE, f"an image reference such as {example}")


def _configured(config: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """Return the configured values by dotted key."""
    set_ = ((f"{section}.{key}", value) for section, keys in config.items() for key, value in keys.items())
    return {key: str(value) for key, value in set_ if value is not None}


def _saved(before: Mapping[str, str], flags: Mapping[str, str]) -> dict[str, str]:
    """Merge this run's flags into the saved ones; names add up, and an empty flag is dropped."""
    now = {key: flags[f"registry.{key}"].strip(" ") for key in SAVED if f"registry.{key}" in flags}
    if now.get("names"):
        now["names"] = ",".join(hosts("registry.names", _joined(before.get("names", ""), now["names"])))
    return {key: text for key, text in {**before, **now}.items() if text}


def saved(key: str, text: object) -> str:
    """Return the value of a saved flag in canonical form.

    Raises:
        SettingError: The flag is not in SAVED, or cannot have this value.
    """
    if key not in SAVED or not isinstance(text, str):
        raise SettingError(f"{key!r} is {text!r}.", cure=f"Use a text for each of: {', '.join(SAVED)}.")
    setting = f"registry.{key}"
    if key in STORAGES:
        return storage(key, text)
    if key == "names":
        return ",".join(hosts(setting, text))
    if key == "front":
        return one_of(setting, text, SWITCH)
    if key == "image":
        return matching(setting, text, _IMAGE, "an image reference such as registry:3")
    return reachable(setting, text) if key == "address" else str(whole_number(setting, text, 1, 65535))


def _joined(*lists: str) -> str:
    """Join comma-separated lists of hosts."""
    return ",".join(text for text in lists if text.strip(" "))


def check_keys(config: Mapping[str, object], environ: Iterable[str]) -> None:
    """Refuse an unknown key or `INVOKE_` variable, and suggest the nearest known one.

    Raises:
        SettingError: The first unknown key or variable.
    """
    for section, keys in config.items():
        _check_section(section, keys)
    known = [f"INVOKE_{section}_{key}".upper() for section, keys in DEFAULTS.items() for key in keys]
    for name in environ:
        new = name.startswith("INVOKE_") and name not in (*known, *_INVOKE_VARIABLES)
        if new and name.split("_")[1].lower() not in _INVOKE_SECTIONS:
            raise _unknown(name, known, "variable")


def _check_section(section: str, keys: object) -> None:
    if section not in DEFAULTS:
        # ~/.invoke.yaml may hold the sections of a person's other projects: only sections like ours are checked.
        if section not in _INVOKE_SECTIONS and difflib.get_close_matches(section, DEFAULTS):
            raise _unknown(section, DEFAULTS, "section")
        return
    if not isinstance(keys, dict):
        raise SettingError(f"{section} in invoke.yaml has no keys.", cure=f"Indent its keys under {section}:")
    for key in keys:
        if key not in DEFAULTS[section]:
            raise _unknown(f"{section}.{key}", [f"{section}.{known}" for known in DEFAULTS[section]], "setting")


def _unknown(name: str, known: Iterable[str], kind: str) -> SettingError:
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0)
    return SettingError(f"There is no {kind} {name!r}.", cure=f"Did you mean {nearest[0]}? invoke.yaml lists them all.")
