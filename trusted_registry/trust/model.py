"""Values of the table of stores and of a store's contents, independent of any machine."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace

MACHINE, USER = "machine", "user"
LINUX, MACOS, WINDOWS = "Linux", "Darwin", "Windows"


def der(text: str) -> bytes:
    """Return the first certificate in a PEM text, as DER.

    Raises:
        ValueError: The text has no certificate.
    """
    begin = text.index(ssl.PEM_HEADER)
    return ssl.PEM_cert_to_DER_cert(text[begin : text.index(ssl.PEM_FOOTER, begin)] + ssl.PEM_FOOTER)


_BLOCK = re.compile(
    rb"^-----BEGIN CERTIFICATE-----[ \t\r]*\n([A-Za-z0-9+/=\s]+)^-----END CERTIFICATE-----[ \t\r]*$", re.MULTILINE
)
"""A certificate as every client takes it from a file: its marks at the left margin, no headers, any line ends."""


def certificates(content: bytes) -> list[bytes]:
    """Return the certificates in a file's content, as DER, whatever text stands around them."""
    found = []
    for block in _BLOCK.finditer(content):
        try:
            found.append(base64.b64decode(b"".join(block[1].split()), validate=True))
        except binascii.Error:  # no client takes that one
            continue
    return found


def has_all(content: bytes, wanted: bytes) -> bool:
    """Return whether a file's content has all certificates of another, in whatever form; of one without any: no."""
    own = certificates(wanted)  # none in a dry run
    return bool(own) and set(own) <= set(certificates(content))


@dataclass(frozen=True)
class Mirror:
    """Mirror of an upstream, for clients.

    Args:
        upstream: Host of the references that the mirror serves, such as ghcr.io.
        registry_host: Its own `host:port`.
    """

    upstream: str
    registry_host: str


@dataclass(frozen=True)
class TrustAnchor:
    """The certificate that clients trust, with its registry hosts.

    Args:
        content: The certificate, as PEM.
        fingerprint: SHA-256 of the DER, in lower-case hex.
        registry_hosts: Every `host[:port]` of a reference that means the registry: `address.registry_hosts`.
        file: Path of the certificate, for programs that take a file.
        beside: Another root that clients are to hold as well, to which the registry changes over.
        before: Fingerprint of the root before, whose trust is taken back; empty without one.
        mirrors: Mirrors that clients are to use, whose certificates this one is the root of too.
        retired: Mirrors that clients are not to use any more.
    """

    content: bytes
    fingerprint: str
    registry_hosts: tuple[str, ...]
    file: str = ""
    beside: TrustAnchor | None = None
    before: str = ""
    mirrors: tuple[Mirror, ...] = ()
    retired: tuple[Mirror, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """Registry hosts of the registry, and of its mirrors."""
        return tuple(dict.fromkeys((*self.registry_hosts, *(it.registry_host for it in self.mirrors))))

    @property
    def all(self) -> tuple[TrustAnchor, ...]:
        """This certificate, and the one beside, if any."""
        return (self, self.beside) if self.beside else (self,)

    @property
    def name(self) -> str:
        """Name in stores of many certificates, unique by the fingerprint.

        Removal finds exactly this certificate by that name.
        """
        return f"trusted-registry-{self.fingerprint[:16]}"

    @property
    def der(self) -> bytes:
        """The certificate alone, as DER, without the other text of its file."""
        return der(self.content.decode("ascii", errors="replace"))

    def is_in(self, content: bytes | None) -> bool:
        """Whether a file's content has the certificate, in any form that clients take."""
        return has_all(content or b"", self.content)

    @property
    def sha1(self) -> str:
        """SHA-1 of the certificate, in upper-case hex; a name, not a proof.

        A Mac's keychain and Windows find certificates by this name.
        """
        return hashlib.sha1(self.der, usedforsecurity=False).hexdigest().upper()


@dataclass(frozen=True)
class File:
    """A file that is ours alone.

    Args:
        path: May begin with a folder in braces.
        content: The bytes of the file.
        registry_host: The registry host that the file is for; empty for all of them.
    """

    path: str
    content: bytes
    registry_host: str = ""


@dataclass(frozen=True)
class ManagedBlock:
    """Our lines, between our marks, in a file that is others' too.

    They follow the line `under`, or stand at the end of the file if that is empty.

    Args:
        path: The file; may begin with a folder in braces.
        under: The key at the left margin that the lines belong to, such as "mirrors:".
        registry_host: The registry that the lines are about; together with `under`, the block's identity.
        lines: Text of the block, without the margin of the neighbouring lines.
        claims: Beginnings of foreign lines about the same registry, with either quotes and any blanks.
        within: Lines of others' entry that the block's lines stand in; empty for an entry of its own.
    """

    path: str
    under: str
    registry_host: str
    lines: tuple[str, ...]
    claims: tuple[str, ...]
    within: tuple[str, ...] = ()

    @property
    def entry(self) -> tuple[str, ...]:
        """Lines of the whole entry, with those that are others' already."""
        margin = "  " * len(self.within) if self.under else ""
        return (*self.within, *(f"{margin}{line}" for line in self.lines))

    def nested(self, count: int) -> ManagedBlock:
        """Return the block without its entry's first lines, to stand in others' entry."""
        entry = self.entry
        margin = 2 * count if self.under else 0
        return replace(self, lines=tuple(line[margin:] for line in entry[count:]), within=entry[:count])


@dataclass(frozen=True)
class Database:
    """A store that only its own program changes; in the commands {place}, {name}, {file} and {sha1} are filled in.

    Args:
        find: Command that succeeds if the certificate is present.
        add: Command that adds the certificate.
        remove: Commands that remove the certificate, in order.
        places: Folders, with * for any name, that count if they hold `mark`. Without a `mark`, the database's own file.
            Empty if the program knows its own database.
        mark: File that tells a database from other folders; only NSS has one.
        as_pem: Further arguments of `find`, for the certificate as PEM.
        proof: Command that succeeds if the certificate of a name is trusted for TLS.
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
    """The command that puts a store's changes into effect, once for all of them.

    Args:
        command: The command after an addition.
        after_removal: The command after a removal; empty if the same.
        bundle: File of all certificates that the command makes, as evidence of its run; empty if there is no such file.
    """

    command: tuple[str, ...]
    after_removal: tuple[str, ...] = ()
    bundle: str = ""


@dataclass(frozen=True)
class RestartHint:
    """The restart of a client that reads its store only at its start: shown, never done unasked.

    Args:
        why: Words that follow the client's name, such as "reads its certificates when it starts".
        command: Command that restarts the client.
        process: Name of the client's process; empty if the name does not identify the client.
    """

    why: str
    command: str
    process: str = ""


@dataclass(frozen=True)
class Signs:
    """Signs that a store's clients are on a machine: any of these paths, or any of these programs.

    Args:
        paths: Each may begin with a folder in braces.
        programs: Names of programs on PATH.
        alone: Programs that count only if none of `unless` is on PATH.
        unless: Programs beside which `alone` does not count.
    """

    paths: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


@dataclass(frozen=True)
class Store:
    """One entry of the table of stores.

    Args:
        key: Unique identifier, used in the ledger.
        name: Value for --only and --skip; several stores may share one.
        clients: Programs that read the store, for people.
        scope: MACHINE, which needs root to write, or USER.
        signs: Signs that the store is needed on a machine.
        files: Files in the store for a trust anchor.
        blocks: Managed blocks in shared files for a trust anchor.
        database: The database, for a store that is not made of files.
        refresh: The command that puts a change into effect, if one is needed.
        restart: The restart that a client needs after a change, if any.
        shadowed_by: Folders whose subfolder for a registry host, even empty, is read instead of this store's.
        system: LINUX, MACOS or WINDOWS.
        on_request: Whether the store is chosen only with --system, or by its name.
    """

    key: str
    name: str
    clients: str
    scope: str
    signs: Signs
    files: Callable[[TrustAnchor], tuple[File, ...]] = lambda _: ()
    blocks: Callable[[TrustAnchor], tuple[ManagedBlock, ...]] = lambda _: ()
    database: Database | None = None
    refresh: Refresh | None = None
    restart: RestartHint | None = None
    shadowed_by: tuple[str, ...] = ()
    system: str = LINUX
    on_request: bool = False
