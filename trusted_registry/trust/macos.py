"""A Mac's trust: a keychain for the system's programs, `~/.docker/certs.d` for Docker Desktop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

KEYCHAINS = ("system", "login")
SYSTEM = "/Library/Keychains/System.keychain"


def login(home: Path) -> str:
    """Return this user's own keychain."""
    return str(home / "Library/Keychains/login.keychain-db")


def add(certificate: Path, keychain: str, home: Path) -> list[str]:
    """Return the command that trusts a certificate for TLS servers.

    `-d` writes the trust settings of all users, whatever keychain is named; so only the system variant has it
    (security(1), add-trusted-cert).
    """
    if keychain == "system":
        typed = ["sudo", "security", "add-trusted-cert", "-d", "-r", "trustRoot", "-p", "ssl", "-p", "basic"]
        return [*typed, "-k", SYSTEM, str(certificate)]
    return ["security", "add-trusted-cert", "-r", "trustRoot", "-p", "ssl", "-k", login(home), str(certificate)]


def remove(certificate: Path, sha1: str, keychain: str, home: Path) -> list[list[str]]:
    """Return the commands that take the trust settings and then the certificate away.

    Args:
        certificate: The file that was trusted.
        sha1: Its SHA-1 fingerprint in hex, by which `security` finds it in the keychain.
        keychain: system or login.
        home: This user's home folder.
    """
    if keychain == "system":
        trust = ["sudo", "security", "remove-trusted-cert", "-d", str(certificate)]
        return [trust, ["sudo", "security", "delete-certificate", "-Z", sha1.upper(), SYSTEM]]
    trust = ["security", "remove-trusted-cert", str(certificate)]
    return [trust, ["security", "delete-certificate", "-Z", sha1.upper(), login(home)]]


def verify(certificate: Path, host: str) -> list[str]:
    """Return the command that asks whether this Mac accepts a server certificate for a host."""
    return ["security", "verify-cert", "-c", str(certificate), "-p", "ssl", "-n", host]


def desktop_folder(home: Path) -> Path:
    """Return where Docker Desktop, Colima and OrbStack look; they copy it into their machine when it starts."""
    return home / ".docker" / "certs.d"


def restart_desktop() -> list[list[str]]:
    """Return the commands that restart Docker Desktop, so that it reads the certificates anew."""
    return [["osascript", "-e", 'quit app "Docker"'], ["open", "-a", "Docker"]]
