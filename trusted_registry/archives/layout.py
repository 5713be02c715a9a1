"""Layout: images in an archive as an OCI image layout, which skopeo and crane read, and docker by manifest.json.

The file trusted-registry.json tells more than that format can: where the archive was made, and which contents are left
out because an earlier archive has them (OCI image specification, image-layout.md and annotations.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trusted_registry.archives import tar
from trusted_registry.archives.tar import Archive
from trusted_registry.errors import RegistryError
from trusted_registry.images import reference
from trusted_registry.images.manifest import LARGEST, json_object
from trusted_registry.registry.api import MANIFESTS

INDEX, LAYOUT, DOCKER, ABOUT = "index.json", "oci-layout", "manifest.json", "trusted-registry.json"
SUMS = "SHA256SUMS"
"""Files of an archive beside its contents."""

FORMAT = 1
"""Version of trusted-registry.json."""

_VERSION = json.dumps({"imageLayoutVersion": "1.0.0"}).encode()
_REFERENCE, _CONTAINERD = "org.opencontainers.image.ref.name", "io.containerd.image.name"
_MOST = 16 << 20
"""Bytes of each of these files: some fifty thousand images."""
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """An image in an archive: repository, tag or digest, and the digest, bytes and media type of its manifest."""

    repository: str
    name: str
    digest: str
    size: int
    media_type: str

    @property
    def reference(self) -> str:
        """Reference without a host."""
        return reference.joined(self.repository, self.name)


@dataclass(frozen=True)
class About:
    """Description that an archive gives of itself.

    Args:
        made: Time in seconds since the epoch.
        registry: Registry host that the images came from.
        installation: Id of the installation there.
        authority: Fingerprint of the authority that clients there trust; "" where there is none.
        elsewhere: Repositories that have a content which is left out, by its digest.
    """

    made: float
    registry: str = ""
    installation: str = ""
    authority: str = ""
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def files_of(entries: Iterable[Entry], docker: list[dict[str, Any]], about: About) -> dict[str, bytes]:
    """Return the files of an archive beside its contents, by name.

    Args:
        entries: The images.
        docker: Images for docker, as its manifest.json has them.
        about: The archive's description of itself.
    """
    index = {"schemaVersion": 2, "mediaType": MANIFESTS[3], "manifests": [_descriptor(it, about) for it in entries]}
    said = {"format": FORMAT, **asdict(about)}
    made = {LAYOUT: _VERSION, INDEX: _json(index), DOCKER: _json(docker), ABOUT: _json(said)}
    if any(len(it) > _MOST for it in made.values()):
        cure = "./inv images.save FILE --references 'a*'"
        raise RegistryError("These are too many images for one archive.", cure=cure)
    return made


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _descriptor(entry: Entry, about: About) -> dict[str, object]:
    annotations = {_REFERENCE: entry.reference}
    if ":" not in entry.name:
        annotations[_CONTAINERD] = f"{about.registry}/{entry.reference}"
    return {"mediaType": entry.media_type, "digest": entry.digest, "size": entry.size, "annotations": annotations}


def blob_name(digest: str) -> str:
    """Return the name of a content in an archive."""
    return f"{tar.BLOBS}/{digest.removeprefix('sha256:')}"


def sums(digests: Mapping[str, str]) -> bytes:
    """Return the file that names the SHA-256 of each file of an archive besides its contents, in sha256sum's form."""
    return "".join(f"{hexed}  {name}\n" for name, hexed in digests.items()).encode()


def read_sums(archive: Archive) -> dict[str, str] | None:
    """Return the SHA-256 in hex of each file of an archive besides its contents; None for an archive of others.

    Raises:
        RegistryError: One is missing, or named twice.
    """
    if not {SUMS, ABOUT} & archive.places.keys():
        return None
    wanted = {it for it in archive.places if it != SUMS and not it.startswith(f"{tar.BLOBS}/")}
    lines = archive.read(SUMS, len(sums(dict.fromkeys(wanted, "0" * 64)))).decode(errors="replace").splitlines()
    found = {name: hexed for hexed, _, name in (line.partition("  ") for line in lines)}
    if found.keys() != wanted or len(found) != len(lines):
        raise tar.unusable(archive.path, f"{SUMS} in it names other files than it has")
    return found


def is_sha256(digest: object) -> bool:
    """Whether a text is a digest of the kind that archives know."""
    return isinstance(digest, str) and bool(_SHA256.fullmatch(digest))


def entries(archive: Archive) -> list[Entry]:
    """Return the images of an archive.

    Raises:
        RegistryError: They are none, or one has no name or a wrong one.
    """
    listed = json_object(archive.read(INDEX, _MOST)).get("manifests")
    if not isinstance(listed, list):
        raise tar.unusable(archive.path, "it has no index of images")
    try:
        found = [_entry(it) for it in listed]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise tar.unusable(archive.path, f"its index names no image of a repository: {str(error)[:200]}") from error
    return list(dict.fromkeys(found))


def _entry(found: Any) -> Entry:  # noqa: ANN401 - JSON
    """Return an image of an index.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: The entry is no image.
    """
    annotations = found["annotations"]
    text = annotations.get(_REFERENCE, "")
    if not reference.is_reference(text) or not {":", "@"} & {*text}:  # of others, who name no more than a tag there
        text = _without_host(annotations.get(_CONTAINERD, text))
    repository, mark, name = text.partition("@") if "@" in text else text.rpartition(":")
    entry = Entry(repository, name, found["digest"], found["size"], found["mediaType"])
    is_named = reference.is_repository(repository) and (
        reference.is_tag(name) if mark == ":" else mark and name == entry.digest
    )
    is_sized = type(entry.size) is int and 0 <= entry.size <= LARGEST
    if not is_named or not is_sized or not is_sha256(entry.digest) or entry.media_type not in MANIFESTS:
        raise ValueError(text)
    return entry


def _without_host(text: str) -> str:
    host, slash, rest = text.partition("/")
    return rest if slash and ({*host} & {".", ":"} or host == "localhost") else text


def about(archive: Archive) -> About:
    """Return an archive's description of itself, with nothing for which others are believed; empty if others made it.

    Raises:
        RegistryError: The description is of a newer version, or damaged.
    """
    if ABOUT not in archive.places:
        return About(0.0)
    found = json_object(archive.read(ABOUT, _MOST))
    if found.get("format") != FORMAT:
        raise tar.unusable(archive.path, "a newer version of this project made it, or it is damaged")
    try:
        return _about(found)
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError) as error:
        raise tar.unusable(archive.path, f"{ABOUT} in it is damaged") from error


def _about(found: Mapping[str, Any]) -> About:
    """Return an archive's description of itself from its JSON.

    Raises:
        ValueError, TypeError, KeyError, AttributeError, OverflowError: The JSON is no such description.
    """
    noted = found["elsewhere"]
    elsewhere = {digest: tuple(names) for digest, names in noted.items() if isinstance(names, list)}
    is_known = len(elsewhere) == len(noted) and all(map(is_sha256, noted))
    if not is_known or not all(reference.is_repository(it) for names in elsewhere.values() for it in names):
        raise ValueError(found)
    registry, installation, authority = (str(found[key]) for key in ("registry", "installation", "authority"))
    return About(float(found["made"]), registry, installation, authority, elsewhere)
