"""Trust on a Mac: a keychain for its own programs, `~/.docker/certs.d` for its engines, as in the table of stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.machine import Machine
from trusted_registry.trust.model import MACHINE, MACOS

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.trust.model import Database, Store

KEYCHAINS = ("system", "login")
COLIMA = "macos-colima"


def store(key: str) -> Store:
    """Return a store of macOS: docker-desktop, colima, orbstack or a keychain."""
    return client_stores.store(f"macos-{key}")


def engines(machine: Machine) -> list[Store]:
    """Return the stores of the engines that are installed on this Mac.

    Each engine has its own restart command, or none.
    """
    rows = (store for store in client_stores.STORES if store.system == MACOS and not store.database)
    return [store for store in rows if machines.has_signs(store.signs, machine)]


def add(certificate: Path, keychain: str, home: Path) -> list[str]:
    """Return the command that trusts a certificate for TLS servers."""
    database = _database(keychain)
    return _typed(keychain, _filled(database, database.add, certificate, home))


def find(certificate: Path, keychain: str, home: Path) -> list[str]:
    """Return the command that succeeds if any keychain trusts an authority.

    Homebrew asks in the same way for its own bundle of authorities (Homebrew/homebrew-core, ca-certificates.rb); the
    network is left alone.
    """
    database = _database(keychain)
    return _filled(database, database.find, certificate, home)


def remove(certificate: Path, sha1: str, keychain: str, home: Path) -> list[list[str]]:
    """Return the commands that remove the trust, then the certificate.

    Args:
        certificate: File of the certificate that was trusted.
        sha1: SHA-1 fingerprint of the certificate in hex, by which `security` searches the keychain.
        keychain: system or login.
        home: This user's home folder.
    """
    database = _database(keychain)
    return [_typed(keychain, _filled(database, argv, certificate, home, sha1)) for argv in database.remove]


def colima_leftovers(registry_host: str) -> list[str]:
    """Return the command that removes a certificate from Colima's machine.

    Colima copies `~/.docker/certs.d` there at each start, and removes nothing (github.com/abiosoft/colima/pull/1112).
    """
    return ["colima", "ssh", "--", "sudo", "rm", "-r", f"/etc/docker/certs.d/{registry_host}"]


def _database(keychain: str) -> Database:
    database = store(keychain).database
    assert database  # noqa: S101 - both keychains are
    return database


def _filled(database: Database, argv: tuple[str, ...], certificate: Path, home: Path, sha1: str = "") -> list[str]:
    (template,) = database.places
    place = Machine(home=home, config=home, data=home, run=home, docker=home).path(template)
    return [word.format(place=place, file=certificate, sha1=sha1.upper()) for word in argv]


def _typed(keychain: str, argv: list[str]) -> list[str]:
    return ["sudo", *argv] if store(keychain).scope == MACHINE else argv
