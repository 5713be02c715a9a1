"""The installation: a random id and secret beside the certificates, with adopted volumes and images made here."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from trusted_registry import files
from trusted_registry.console import Console, pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.mirror import upstream

FILE = "installation.json"

LABEL = "trusted-registry.installation"
"""On containers and volumes: the id of the installation that made them."""

UNSAVED = "ID"
"""Id that a dry run shows where there is none yet: it makes none."""

_VERSION = 1
_PORTS = 1 << 16
_ID = re.compile(r"[0-9a-f]{32}\Z")
_SECRET = re.compile(r"([0-9a-f]{64})?\Z")
_IMAGE = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class MadeImage:
    """An image that was made by this installation: its name, its source, the image that was wanted, its shell."""

    reference: str
    origin: str
    instead_of: str
    with_shell: bool


@dataclass(frozen=True)
class NotedMirror:
    """Port of a mirror, and whether clients here are to use the mirror."""

    port: int
    used: bool = True


@dataclass(frozen=True)
class Installation:
    """An id, and the things that lack its label since a version before ids made them.

    Args:
        id: 128 random bits as lower-case hex.
        volumes: Names of adopted volumes: the label of a volume cannot be changed.
        containers: Ids of adopted containers.
        images: Images that were made here, by their ids: a label of an image can be set by anybody.
        http_secret: Key by which a registry signs the state of uploads; one for all instances of this installation
            (distribution, configuration, "http").
        mirrors: Mirrors that this installation has, by their upstreams.
        past_ports: Ports of mirrors that were purged, by their upstreams. Other machines may still be told of them, so
            that no other upstream may ever be served there.
    """

    id: str
    volumes: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    images: Mapping[str, MadeImage] = field(default_factory=dict)
    http_secret: str = field(default="", repr=False)
    mirrors: Mapping[str, NotedMirror] = field(default_factory=dict)
    past_ports: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def has_shell(self, image: str) -> bool:
        """Whether an image was made here with a shell."""
        return image in self.images and self.images[image].with_shell

    def image_name(self, image: str) -> str:
        """Return the name of an image that was made here; of any other, the text itself."""
        return self.images[image].reference if image in self.images else image


NONE = Installation("")
"""A folder in which nothing was made yet: it owns nothing."""


def read(folder: Path) -> Installation | None:
    """Return the installation of a certificates' folder, or None where nothing was made yet.

    Raises:
        RegistryError: The file is damaged, of a newer version, or another user's.
    """
    path = folder / FILE
    with files.explained(path, "read"):
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
    try:
        return _parsed(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        anew = f"{pasteable(['mv', str(path), f'{path}.damaged'])} && ./inv up"
        cure = f"Put it back from a copy of this folder. Without one, if the registry still runs: {anew}"
        wrong = f"{path} is damaged or from a newer version, so nobody knows whose the registry and its images are."
        raise RegistryError(wrong, cure=cure) from error


def _parsed(said: dict[str, Any]) -> Installation:
    """Return the installation in a file's fields.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: A field is missing or cannot be one.
    """
    if said["version"] != _VERSION or not _ID.match(said["id"]):
        raise ValueError(said)
    lists = [said.get(key, []) for key in ("volumes", "containers")]
    if not all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists):
        raise TypeError(said)
    images = {key: MadeImage(**value) for key, value in said.get("images", {}).items()}
    if not all(_IMAGE.match(key) and _is_sound(image) for key, image in images.items()):
        raise ValueError(said)
    secret = said.get("http_secret", "")
    if not isinstance(secret, str) or not _SECRET.match(secret):
        raise ValueError("http_secret")
    mirrors = {key: NotedMirror(**value) for key, value in said.get("mirrors", {}).items()}
    past = {key: tuple(value) for key, value in said.get("past_ports", {}).items()}
    if not all(map(upstream.is_name, (*mirrors, *past))):
        raise ValueError("mirrors")
    if not all(_is_port(it.port) and type(it.used) is bool for it in mirrors.values()):
        raise ValueError("mirrors")
    if not all(_is_port(port) for ports in past.values() for port in ports):
        raise ValueError("past_ports")
    return Installation(said["id"], tuple(lists[0]), tuple(lists[1]), images, secret, mirrors, past)


def _is_port(value: object) -> bool:
    return type(value) is int and 0 < value < _PORTS


def _is_sound(image: MadeImage) -> bool:
    texts = (image.reference, image.origin, image.instead_of)
    return isinstance(image.with_shell, bool) and all(isinstance(text, str) and text.isprintable() for text in texts)


def known(folder: Path) -> Installation:
    """Return the installation of a folder; one that owns nothing where there is none yet."""
    return read(folder) or NONE


def ensure(folder: Path, console: Console) -> Installation:
    """Return the installation of a folder, made now where there is none: of two runs at once both get one id."""
    found = read(folder)
    if console.dry or (found and found.http_secret):
        return found or Installation(UNSAVED)
    return _change(folder, lambda it: it if it.http_secret else replace(it, http_secret=secrets.token_hex(32)))


def restore(folder: Path, id_: str) -> Installation:
    """Return the installation of a folder that lost its file, under the id that its container still carries."""
    if not _ID.match(id_):
        raise RegistryError(f"The registry's container carries no id of an installation: {id_!r}.", cure="./inv down")
    return _change(folder, lambda installation: installation, new=id_)


def adopt(folder: Path, *, volume: str = "", container: str = "") -> Installation:
    """Note a volume and a container that a version before ids made, or that a person declared to be this one's."""
    return _change(
        folder, lambda it: replace(it, volumes=_with(it.volumes, volume), containers=_with(it.containers, container))
    )


def forget_volume(folder: Path, name: str) -> None:
    """Drop the note of a volume that is gone: another one of its name is not this installation's."""
    if name in known(folder).volumes:
        _change(folder, lambda it: replace(it, volumes=tuple(other for other in it.volumes if other != name)))


def note_image(folder: Path, id_: str, image: MadeImage) -> Installation:
    """Note an image that was just made here.

    Raises:
        RegistryError: The engine named no id for the image.
    """
    if not _IMAGE.match(id_):
        raise RegistryError(f"The engine named no id for the image {image.reference}.", cure="./inv doctor")
    return _change(folder, lambda it: replace(it, images={**it.images, id_: image}))


def note_mirror(folder: Path, upstream: str, mirror: NotedMirror) -> Installation:
    """Note a mirror, which keeps its port."""
    return _change(folder, lambda it: replace(it, mirrors={**it.mirrors, upstream: mirror}))


def forget_mirror(folder: Path, upstream: str) -> None:
    """Drop the note of a mirror that is gone; its port stays its upstream's."""
    if upstream in known(folder).mirrors:
        _change(folder, lambda it: _without_mirror(it, upstream))


def _without_mirror(installation: Installation, upstream: str) -> Installation:
    mirrors = dict(installation.mirrors)
    port = mirrors.pop(upstream).port
    had = tuple(it for it in installation.past_ports.get(upstream, ()) if it != port)
    return replace(installation, mirrors=mirrors, past_ports={**installation.past_ports, upstream: (*had, port)})


def portable(folder: Path) -> bytes:
    """Return the content of a folder's file for another machine: without images, volumes and mirrors of this one."""
    return _content(replace(known(folder), volumes=(), containers=(), images={}, mirrors={}, past_ports={}))


def parse(content: bytes) -> Installation:
    """Return the installation in a file's content.

    Raises:
        ValueError: The content is no installation.
    """
    try:
        return _parsed(json.loads(content))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(content) from error


def _content(installation: Installation) -> bytes:
    return f"{json.dumps({'version': _VERSION, **asdict(installation)}, indent=2)}\n".encode()


def _with(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if not name or name in names else (*names, name)


def _change(folder: Path, change: Callable[[Installation], Installation], *, new: str = "") -> Installation:
    """Read, change and write under the folder's lock; the file is private, and the folder's owner's."""
    with files.locked(folder):
        before = read(folder)
        after = change(before or Installation(new or secrets.token_hex(16)))
        if after != before:
            files.write(folder / FILE, _content(after), files.PRIVATE_FILE, like=folder)
    return after
