"""Trust on a Mac: a keychain for its own programs, `~/.docker/certs.d` for its engines, as in the table of stores."""

from __future__ import annotations

from pathlib import Path

from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.machine import Machine
from trusted_registry.trust.model import MACHINE, MACOS, Database, Store

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
    return _typed(keychain, _database(keychain).add, certificate, home)


def remove(certificate: Path, sha1: str, keychain: str, home: Path) -> list[list[str]]:
    """Return the commands that remove the trust, then the certificate.

    Args:
        certificate: File of the certificate that was trusted.
        sha1: SHA-1 fingerprint of the certificate in hex, by which `security` searches the keychain.
        keychain: system or login.
        home: This user's home folder.
    """
    return [_typed(keychain, argv, certificate, home, sha1) for argv in _database(keychain).remove]


def colima_leftovers(registry_host: str) -> list[str]:
    """Return the command that removes a certificate from Colima's machine.

    Colima copies `~/.docker/certs.d` there at each start, and removes nothing (github.com/abiosoft/colima/pull/1112).
    """
    return ["colima", "ssh", "--", "sudo", "rm", "-r", f"/etc/docker/certs.d/{registry_host}"]


def _database(keychain: str) -> Database:
    database = store(keychain).database
    assert database  # noqa: S101 - both keychains are
    return database


def _typed(keychain: str, argv: tuple[str, ...], certificate: Path, home: Path, sha1: str = "") -> list[str]:
    (template,) = _database(keychain).places
    place = Machine(home=home, config=home, data=home, run=home, docker=home).path(template)
    typed = [word.format(place=place, file=certificate, sha1=sha1.upper()) for word in argv]
    return ["sudo", *typed] if store(keychain).scope == MACHINE else typed
