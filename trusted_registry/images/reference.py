"""References to images of the registry here, as a person types them: app:1, app@sha256:…, with or without its host."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass

from trusted_registry.errors import SettingError
from trusted_registry.settings import Settings

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"(?=.{{1,255}}(?::|@|\Z)){_PART}(?:/{_PART})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_REFERENCE = re.compile(rf"(?P<repository>{_REPOSITORY})(?::(?P<tag>{_TAG}))?(?:@(?P<digest>sha256:[0-9a-f]{{64}}))?")


@dataclass(frozen=True)
class Reference:
    """Repository, and the tag or the digest that is named there."""

    repository: str
    name: str

    def __str__(self) -> str:
        """Return the reference without its host."""
        return joined(self.repository, self.name)


def is_repository(text: str) -> bool:
    """Whether a text is the name of a repository (OCI distribution specification)."""
    return bool(re.fullmatch(_REPOSITORY, text))


def is_tag(text: str) -> bool:
    """Whether a text is a tag (OCI distribution specification)."""
    return bool(re.fullmatch(_TAG, text))


def is_reference(text: str) -> bool:
    """Whether a text is a repository with a tag or a digest, or without either."""
    return bool(_REFERENCE.fullmatch(text))


def is_image(text: str) -> bool:
    """Whether a text names an image for an engine: with a host or without."""
    return bool(re.fullmatch(rf"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?{_PART}(?:/{_PART})*(?::{_TAG})?", text))


def joined(repository: str, name: str) -> str:
    """Return a reference to a tag or a digest of a repository."""
    return f"{repository}{'@' if ':' in name else ':'}{name}"


def parse(text: str, settings: Settings) -> Reference:
    """Return a reference; of tag and digest the digest counts, and without either the tag is latest, as with docker.

    Raises:
        SettingError: The text is no reference, or its host is not the registry here.
    """
    rest = text
    for host in (settings.registry_host, *settings.names):
        rest = rest.removeprefix(f"{host}/")
    found = _REFERENCE.fullmatch(rest)
    if not found:
        example = f"app:1, app@sha256:… or {settings.registry_host}/app:1"
        raise SettingError(f"{text!r} is no image of this registry.", cure=f"Use one such as {example}.")
    return Reference(found["repository"], found["digest"] or found["tag"] or "latest")


def matches(repository: str, name: str, pattern: str) -> bool:
    """Whether a pattern such as app*, team/* or app:1.* fits a repository, or one with its tag; app:* all of app."""
    texts = (repository, joined(repository, name), *([f"{repository}:{name}"] if pattern.endswith(":*") else []))
    return not pattern or any(fnmatch.fnmatchcase(it, pattern) for it in texts)
