"""What a row of the table of stores is made of, and what is put into a store: values, and nothing of any machine."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MACHINE, USER = "machine", "user"
LINUX, MACOS, WINDOWS = "Linux", "Darwin", "Windows"


def der(text: str) -> bytes:
    """Return the first certificate in a text, as DER.

    Raises:
        ValueError: There is none.
    """
    begin = text.index(ssl.PEM_HEADER)
    return ssl.PEM_cert_to_DER_cert(text[begin : text.index(ssl.PEM_FOOTER, begin)] + ssl.PEM_FOOTER)


@dataclass(frozen=True)
class TrustAnchor:
    """What is to be trusted, and by which names.

    Args:
        content: The certificate, as PEM.
        fingerprint: Its SHA-256 in lower-case hex, of the DER.
        registry_hosts: Every registry part of a reference that means the registry: `address.registry_hosts`.
        file: Where the certificate lies, for programs that are handed it.
    """

    content: bytes
    fingerprint: str
    registry_hosts: tuple[str, ...]
    file: str = ""

    @property
    def name(self) -> str:
        """What it is called in stores that hold many: by its fingerprint, so that removal finds exactly it."""
        return f"trusted-registry-{self.fingerprint[:16]}"

    @property
    def der(self) -> bytes:
        """The certificate alone, as DER: whatever else its file says is left out."""
        return der(self.content.decode("ascii", errors="replace"))

    @property
    def sha1(self) -> str:
        """What a Mac's keychain and Windows call it: SHA-1 in upper-case hex; a name, and no proof of anything."""
        return hashlib.sha1(self.der, usedforsecurity=False).hexdigest().upper()


@dataclass(frozen=True)
class File:
    """A file that is ours alone. Its path may begin with a place in braces; a spelling of "" means all of them."""

    path: str
    content: bytes
    registry_host: str = ""


@dataclass(frozen=True)
class ManagedBlock:
    """Lines in a file that belongs to others too, after the line `under`, or at the end where that is "".

    Args:
        path: The file; it may begin with a place in braces.
        under: The key at the left margin that the lines belong to, such as "mirrors:".
        registry_host: Whom they are about; with `under`, what they are known by.
        lines: Without the margin of what stands beside them.
        claims: How a line of somebody else's about the same registry would begin, with either quotes and any blanks.
    """

    path: str
    under: str
    registry_host: str
    lines: tuple[str, ...]
    claims: tuple[str, ...]


@dataclass(frozen=True)
class Database:
    """A store that only its own program changes; in the commands {place}, {name}, {file} and {sha1} are filled in.

    Args:
        places: Folders, with * for any name; one counts where it holds `mark`. None: the program knows its own.
            With no `mark`, the database's own file.
        find: Succeeds where the certificate is in.
        add: Puts it in.
        remove: Takes it out, one command after the other.
        mark: A file that tells a database from other folders; NSS's alone has one.
        as_pem: What `find` is asked with besides, so that it writes the certificate as PEM.
        proof: Succeeds where the certificate of a name is trusted for TLS.
    """

    find: tuple[str, ...]
    add: tuple[str, ...]
    remove: tuple[tuple[str, ...], ...]
    places: tuple[str, ...] = ()
    mark: str = ""
    as_pem: tuple[str, ...] = ()
    proof: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refresh:
    """What makes a change count, once for all changes of a store; after a removal another command may be needed.

    `bundle` is the file that it makes of all certificates, where that shows whether it was run.
    """

    command: tuple[str, ...]
    after_removal: tuple[str, ...] = ()
    bundle: str = ""


@dataclass(frozen=True)
class RestartHint:
    """What reads the store only when it starts: said, never done unasked.

    Args:
        why: What it does when it starts, after its name.
        command: What starts it anew.
        process: The program's name among the processes; empty where that tells nothing.
    """

    why: str
    command: str
    process: str = ""


@dataclass(frozen=True)
class Signs:
    """How to see that a store's readers are on a machine: any of these paths, or any of these programs.

    Args:
        paths: Each may begin with a place in braces.
        programs: Found on PATH.
        alone: Programs that count only where none of `unless` is on PATH.
        unless: See `alone`.
    """

    paths: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


def _no_files(_: TrustAnchor) -> tuple[File, ...]:
    return ()


def _no_blocks(_: TrustAnchor) -> tuple[ManagedBlock, ...]:
    return ()


@dataclass(frozen=True)
class Store:
    """One row.

    Args:
        key: Unique; what the ledger knows it by.
        name: What --only and --skip take; several rows may share one.
        clients: Whose trust it is, for people.
        scope: MACHINE, which takes root to write, or USER.
        signs: How to see that it is needed here.
        files: What it holds for a subject.
        blocks: What it adds to shared files for a subject.
        database: The store itself, where it is no file.
        refresh: What makes a change count.
        restart: What must be started anew, where something must.
        shadowed_by: Folders by spelling, read instead of this store's where they exist, even empty.
        system: LINUX, MACOS or WINDOWS.
        on_request: Only with --system, or by its name.
    """

    key: str
    name: str
    clients: str
    scope: str
    signs: Signs
    files: Callable[[TrustAnchor], tuple[File, ...]] = _no_files
    blocks: Callable[[TrustAnchor], tuple[ManagedBlock, ...]] = _no_blocks
    database: Database | None = None
    refresh: Refresh | None = None
    restart: RestartHint | None = None
    shadowed_by: tuple[str, ...] = ()
    system: str = LINUX
    on_request: bool = False
