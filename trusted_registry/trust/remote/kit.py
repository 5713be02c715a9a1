"""The kit: one POSIX sh script with the authority inside, the equivalent of `trust.linux` for any Linux machine.

The script is rendered from the table of stores; all quoting for the shell happens here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path

from trusted_registry import templates
from trusted_registry.errors import RegistryError
from trusted_registry.trust.client_stores import STORES
from trusted_registry.trust.model import LINUX, Database, Refresh, Signs, Store, TrustAnchor
from trusted_registry.trust.remote import kit_mirrors, kit_words

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n")
_CHECKSUM = "\nkit_sum={}\n"
FOLDER = "/var/lib/trusted-registry"
"""Folder in which a kit that root runs leaves its record, and a copy of itself."""


def file_name(anchor: TrustAnchor, registry_host: str) -> str:
    """Return the kit's file name, made of registry host and fingerprint.

    The host is in the form that people type, and the first 16 digits of the fingerprint follow.
    """
    typed = re.sub(r"[^A-Za-z0-9.]+", "-", registry_host).strip("-.")
    return f"trust-{typed}-{anchor.fingerprint[:16]}.sh"


def recorded(anchor: TrustAnchor, records: Iterable[Path]) -> list[str]:
    """Return the lines about this authority in the kit's records, which templates/kit/record.sh writes."""
    kinds = tuple(f"{kind}\t{anchor.fingerprint[:16]}\t" for kind in ("file", "blocks", "database", "daemon"))
    texts = (path.read_text(errors="replace") for path in records if os.access(path, os.R_OK))
    return [line for text in texts for line in text.splitlines() if line.startswith(kinds)]


def render(anchor: TrustAnchor, registry_host: str) -> bytes:
    """Return the complete script.

    Args:
        anchor: Trust anchor to install; its mirrors are told to clients, and retired ones are taken back.
        registry_host: Registry host in the form that people type, such as 192.168.0.12.

    Raises:
        RegistryError: The fingerprint is not the certificate's, or a registry host is invalid.
    """
    pem = anchor.content.decode("ascii", errors="replace")
    _check(pem, anchor, registry_host)
    stores = [store for store in STORES if store.system == LINUX]
    text = templates.render(
        "trust.sh",
        file=file_name(anchor, registry_host),
        typed=registry_host,
        registry_host=shlex.quote(registry_host),
        fingerprint=anchor.fingerprint,
        before=anchor.before[:16],
        mirrored=_mirrored(anchor),
        next=anchor.beside.fingerprint[:16] if anchor.beside else "",
        next_pem=shlex.quote(anchor.beside.content.decode("ascii", errors="replace")) if anchor.beside else "''",
        pem=shlex.quote(pem),
        names=list(dict.fromkeys(store.name for store in stores)),
        rows=[_store(store, anchor) for store in stores],
        plain=[store.key for store in stores if not store.database and not store.refresh],
        refreshed=[store.key for store in stores if store.refresh],
    )
    # The script computes its own checksum with nothing in that place.
    digest = hashlib.sha256(text.replace(_CHECKSUM.format("''"), _CHECKSUM.format(""), 1).encode()).hexdigest()
    return text.replace(_CHECKSUM.format("''"), _CHECKSUM.format(f"'{digest}'"), 1).encode()


def _mirrored(anchor: TrustAnchor) -> str:
    """Return the upstreams of mirrors in words; empty for a kit that leaves mirrors alone."""
    return kit_mirrors.upstreams(anchor) or ("none" if anchor.retired else "")


def _check(pem: str, anchor: TrustAnchor, registry_host: str) -> None:
    der = ssl.PEM_cert_to_DER_cert(pem) if _PEM.fullmatch(pem) else b""
    if hashlib.sha256(der).hexdigest() != anchor.fingerprint:
        raise RegistryError(
            "The fingerprint is not that of the certificate, or that is not one certificate as PEM.",
            cure="See what there is: ./inv cert.show",
        )
    for name in (registry_host, *anchor.registry_hosts):
        # Each is a folder's name, and stands on a line of its own where others stand on the next.
        if not name.isprintable() or not name or name in (".", "..") or set(name) & set("/{}"):
            raise RegistryError(f"{name!r} is not a registry's name.", cure="Use one such as 192.168.0.12.")
    kit_mirrors.check(anchor)


def _store(store: Store, anchor: TrustAnchor) -> dict[str, object]:
    """Return a store as words and commands of the shell.

    `head` is the arguments of the shell function `store`, which describe the store; `signs` succeeds if its readers are
    present; `items` are for its files, managed blocks and databases. None stands for a part that the store lacks.
    """
    restart = (store.restart.why, store.restart.command) if store.restart else ("", "")
    asked = "asked" if store.on_request else "found"
    return {
        "key": store.key,
        "head": shlex.join((store.key, store.name, store.clients, store.scope, asked, *restart)),
        "signs": _signs(store.signs),
        "items": tuple(_all_items(store, anchor)),
        "database": _database(store.database) if store.database else None,
        "refresh": _refresh(store.refresh) if store.refresh else None,
    }


def _signs(signs: Signs) -> str:
    parts = []
    if signs.paths:
        parts.append(" ".join(("any_exists", *map(kit_words.path, signs.paths))))
    if signs.programs:
        parts.append(f"any_on_path {shlex.join(signs.programs)}")
    if signs.alone:
        parts.append(f"{{ any_on_path {shlex.join(signs.alone)} && ! any_on_path {shlex.join(signs.unless)}; }}")
    return " || ".join(parts)


def _all_items(store: Store, anchor: TrustAnchor) -> Iterator[str]:
    if anchor.mirrors or anchor.retired:
        yield "afresh"
    if kit_mirrors.are_told(store, anchor):
        yield from kit_mirrors.heeds(store, anchor)
    yield from _items(store, kit_mirrors.bare(anchor))
    if kit_mirrors.are_told(store, anchor):
        yield from kit_mirrors.items(store, anchor)
    if anchor.mirrors or anchor.retired:
        yield "retire"


def _items(store: Store, anchor: TrustAnchor) -> Iterator[str]:
    for file in store.files(anchor):
        content = '"$cert"' if file.content == anchor.content else kit_words.text(file.content.decode())
        what = (hashlib.sha256(file.content).hexdigest(), content)
        yield " ".join(("file", shlex.quote(file.registry_host), kit_words.path(file.path), *what))
        folder, _, name = file.path.rpartition("/")
        for template in store.shadowed_by:
            hidden_path = kit_words.path(f"{template}/{folder.rpartition('/')[2]}")
            yield " ".join(("hidden", shlex.quote(file.registry_host), hidden_path, shlex.quote(name), *what))
    blocks = store.blocks(anchor)
    for path in dict.fromkeys(block.path for block in blocks):
        mine = [block for block in blocks if block.path == path]
        registry_hosts = "\n".join(dict.fromkeys(block.registry_host for block in mine))
        specs = kit_words.text("\n".join(map(kit_words.block_spec, mine)))
        yield " ".join(("shared", kit_words.path(path), shlex.quote(registry_hosts), specs))
    if store.database:
        places = " ".join(map(kit_words.glob, store.database.places)) or "''"
        yield "set +f"
        yield f"set -- {places}"
        yield "set -f"
        yield f'databases {shlex.quote(store.database.mark)} "$@"'


def _database(database: Database) -> dict[str, str]:
    """Return the commands that look for a certificate in a database, add and remove one, by its name there."""

    def command(argv: Iterable[str]) -> str:
        return " ".join(kit_words.text(word.replace("{name}", "{alias}")) for word in argv)

    remove = " && ".join(f"run {command(argv)}" for argv in database.remove)
    return {"look": command(database.find), "add": command(database.add), "remove": remove}


def _refresh(refresh: Refresh) -> dict[str, str]:
    """Return the commands that activate a change and a removal."""
    removal = refresh.after_removal or refresh.command
    return {"change": shlex.join(refresh.command), "removal": shlex.join(removal)}
