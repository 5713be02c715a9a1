"""Databases of certificates that only their own programs change: found, asked, and the commands about them."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable
from pathlib import Path

from trusted_registry import program
from trusted_registry.trust import machine as machines
from trusted_registry.trust.model import Database, TrustAnchor, der


def find_places(database: Database, machine: machines.Machine) -> list[Path]:
    """Return the folders of a database on this machine.

    One empty path if the database's program knows the place.
    """
    if not database.places:
        return [Path()]
    candidates = [it for path in map(machine.path, database.places) for it in sorted(path.parent.glob(path.name))]
    return [candidate for candidate in candidates if machines.exists(candidate / database.mark)]


def find_name(database: Database, anchor: TrustAnchor, place: Path) -> str | None:
    """Return the name of somebody else's entry for the certificate; "" of our own, None if the database has neither."""
    result = program.capture(command_about((*database.find, *database.as_pem), anchor, place))
    if result.ok:
        other = ssl.PEM_HEADER in result.out and anchor.content and der(result.out) != anchor.der
        return anchor.name if other else ""
    name = _nickname(place / database.mark, anchor) if database.mark and anchor.content else ""
    if not name:
        return None
    return "" if program.capture(command_by_name(database.proof, name, place)).ok else name


def _nickname(path: Path, anchor: TrustAnchor) -> str:
    """Return a certificate's foreign name in an NSS database; empty if absent.

    Adding the certificate again would change that entry. The columns are CKA_LABEL and CKA_VALUE (NSS,
    lib/softoken/sdb.c).
    """
    try:
        import sqlite3

        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = database.execute("SELECT a3 FROM nssPublic WHERE a11 = ?", (anchor.der,)).fetchone()
    except ImportError:  # a Python that was built without it
        return ""
    except sqlite3.Error:  # none yet, or another format: its own program says so
        return ""
    return bytes(found[0]).decode(errors="replace") if found and found[0] else ""


def command_about(argv: Iterable[str], anchor: TrustAnchor, place: Path) -> tuple[str, ...]:
    """Return a database's command for a certificate whose file is present."""
    sha1 = anchor.sha1 if any("{sha1}" in word for word in argv) else ""
    return tuple(word.format(name=anchor.name, place=place, file=anchor.file, sha1=sha1) for word in argv)


def command_by_name(argv: Iterable[str], name: str, place: Path) -> tuple[str, ...]:
    """Return a database's command for a certificate known by name alone."""
    return tuple(word.format(name=name, place=place) for word in argv)
