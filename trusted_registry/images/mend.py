"""Mending of a storage: steps that a shell in the registry's container takes, each of which looks again first."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from trusted_registry.console import Console
from trusted_registry.engine import types
from trusted_registry.engine.protocol import Engine
from trusted_registry.images.listing import ROOT
from trusted_registry.instance.model import SHELL

ABSENT = "-"
"""State of a link that is not there."""

_MEND = """cd "$1" && shift || exit
as_seen() {
    if [ -e "$1" ]; then seen=$(sha256sum <"$1") && [ "${seen%% *}" = "$2" ]; else [ "$2" = - ]; fi
}
gone() {
    [ -z "$1" ] || [ ! -e "$1" ]
}
is_kept() {
    case $1 in
    */_manifests/tags/*) [ -d "${1%/current/link}" ] ;;
    esac
}
old() {
    [ -e "$1" ] && young=$(find "$1" -type f -mmin -"$2") && [ -z "$young" ]
}
damaged() {
    [ -e "$1" ] && hashed=$(sha256sum <"$1") && hashed=${hashed%% *} && [ "${#hashed}" = 64 ] && [ "$hashed" != "$2" ]
}
while [ $# -gt 0 ]; do
    case $1 in
    write)
        if is_kept "$2" && as_seen "$2" "$4"; then
            mkdir -p -- "${2%/*}" && printf %s "$3" >"$2.tmp" && mv -- "$2.tmp" "$2"
        fi
        ;;
    unlink) if gone "$3" && as_seen "$2" "$4"; then rm -rf -- "${2%/*}"; fi ;;
    untag) if gone "$3" && as_seen "$2" "$4"; then rm -rf -- "${2%/current/link}"; fi ;;
    discard) if old "$2" "$3"; then rm -rf -- "$2"; fi ;;
    damaged) if damaged "$2" "$3"; then rm -rf -- "${2%/*}"; fi ;;
    esac
    shift 4
done"""
_STEPS = 1000
"""Steps of one run of the shell."""


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


def apply(steps: Iterable[Step], container: str, engine: Engine, console: Console) -> list[str]:
    """Take steps in a running registry's storage, and return the shell's messages about those that failed."""
    said: list[str] = []
    for some in _portions(list(dict.fromkeys(steps))):
        words = [word for step in some for word in (str(step.verb), step.path, step.about, step.seen)]
        argv = [SHELL, "-c", _MEND, "sh", ROOT, *words]
        console.command(["docker", "exec", "--user", "0", container, *argv])
        errors = bytearray()
        said += [] if console.dry else types.lines(engine.stream(container, argv, errors))
        said += errors.decode(errors="replace").splitlines()
    return said


def _portions(steps: list[Step]) -> Iterator[list[Step]]:
    for at in range(0, len(steps), _STEPS):
        yield steps[at : at + _STEPS]
