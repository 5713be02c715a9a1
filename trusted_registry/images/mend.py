"""Mending of a storage: its steps, each of which looks again first."""

from __future__ import annotations

import enum
import hashlib
from typing import NamedTuple

ABSENT = "-"
"""State of a link that is not there."""


class Verb(str, enum.Enum):
    """Change that a step makes, if all is as seen before."""

    WRITE = "write"
    """Write a link."""
    UNLINK = "unlink"
    """Remove a link of a layer or a manifest, whose content is not there."""
    UNTAG = "untag"
    """Remove a tag, whose manifest is not there."""
    DISCARD = "discard"
    """Remove a file or a folder in which nothing changed for some minutes."""
    DAMAGED = "damaged"
    """Remove a content that has another SHA-256."""

    def __str__(self) -> str:
        """Return the word."""
        return self.value


class Step(NamedTuple):
    """A step.

    Args:
        verb: Change that the step makes.
        path: File or folder below the storage's root; of a tag and of a link, the link.
        about: The digest to write, the content's path ("" where none was named), its SHA-256, or the minutes.
        seen: SHA-256 of the link's content as seen before, in hex, or ABSENT.
    """

    verb: Verb
    path: str
    about: str
    seen: str = ""


def state(link: bytes | None) -> str:
    """Return the state of a link by its content; None stands for one that is not there."""
    return ABSENT if link is None else hashlib.sha256(link).hexdigest()
