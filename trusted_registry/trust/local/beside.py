"""Files of others in a registry's folder under certs.d, with which every pull from that registry fails.

The rules are those of moby/moby, registry/registry.go, and of containers/image, pkg/tlsclientconfig; each is in
tests/trust/local/test_beside.py with the client's own words.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from trusted_registry import files
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.trust.model import MACHINE, Store

_READS = ("docker", "docker-rootless", "podman")
"""Names of the stores whose clients read every file of the folder; containerd reads those that hosts.toml names."""
_UNSUPPORTED = (x509.InvalidVersion, UnsupportedAlgorithm)
"""Exceptions of the cryptography package for what is well formed and of no use; none is a ValueError."""
_LONGEST = 1 << 20
"""Bytes that are read of a file: a certificate with its chain has a few thousand."""


def check(folder: Path, store: Store) -> None:
    """Refuse a folder with a file on which the store's clients fail.

    Raises:
        RegistryError: The first such file, with the command that takes it away.
        OSError: The folder cannot be read.
    """
    for fault in _faults(folder, store):
        raise fault


def _faults(folder: Path, store: Store) -> Iterator[RegistryError]:
    if files.exists(folder) and not folder.is_dir():
        cure = f"Take it away: {_command('mv', folder, Path(f'{folder}.unused'))}"
        yield RegistryError(f"{folder} is not a folder: every pull from {folder.name} fails.", cure=cure)
        return
    paths = sorted(folder.iterdir()) if files.exists(folder) else []
    for one, other in ((".key", ".cert"), (".cert", ".key")):
        for path in (it for it in paths if it.name.endswith(one)):
            if _other(path, one, other) not in paths:
                yield _fatal(path, f"has no {other} beside it")
    if store.name not in _READS:
        return
    for path in (it for it in paths if it.name.endswith(".crt")):
        if why := _unreadable(path, store):
            yield _fatal(path, why)
    for path in (it for it in paths if it.name.endswith(".cert")):
        if why := _unusable(path, _other(path, ".cert", ".key")):
            yield _pair(path, why)


def _other(path: Path, one: str, other: str) -> Path:
    return path.with_name(path.name.removesuffix(one) + other)


def _fatal(path: Path, why: str) -> RegistryError:
    away = f"Take it away: {_command('rm' if path.is_symlink() or path.is_file() else 'mv', path)}"
    return RegistryError(f"{path} {why}: with it there, every pull from {path.parent.name} fails.", cure=away)


def _pair(certificate: Path, why: str) -> RegistryError:
    pair = (certificate, _other(certificate, ".cert", ".key"))
    away = " && ".join(_command("mv", path, Path(f"{path}.unused")) for path in pair)
    fails = f"with it there, every pull from {certificate.parent.name} fails"
    return RegistryError(f"{certificate}, a client's certificate, {why}: {fails}.", cure=f"Remove both: {away}")


def _command(program: str, path: Path, *more: Path) -> str:
    """Return a command on a file, ready to paste."""
    root = () if os.access(path.parent, os.W_OK) else ("sudo",)
    more = more or ((Path(f"{path}.unused"),) if program == "mv" else ())
    return pasteable([*root, program, *map(str, (path, *more))])


def _unreadable(path: Path, store: Store) -> str:
    """Return why a store's clients cannot read an authority's file; "" where they can."""
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            return "is a folder" if stat.S_ISDIR(kind) else "is no file"
        with path.open("rb") as content:
            content.read(1)
    except PermissionError:
        # An engine of root's reads it; and what this user may not see may be as it should.
        return "" if store.scope == MACHINE else "may not be read by this user"
    except FileNotFoundError:
        # podman reads on (containers/buildah#1062).
        return "" if store.name == "podman" else f"is a link to {path.readlink()}, which is not there"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return ""


def _unusable(certificate: Path, key: Path) -> str:
    """Return why no client can use a client's certificate with its key; "" where it can, or root alone could tell."""
    try:
        shown, key_content = _content(certificate), _content(key)
    except PermissionError:
        return ""
    except OSError as error:
        return f"or its key cannot be read ({error.strerror})"
    try:
        public = x509.load_pem_x509_certificates(shown)[0].public_key()
    except (ValueError, *_UNSUPPORTED):
        return "holds none in PEM"
    try:
        private = serialization.load_pem_private_key(key_content, password=None)
    except TypeError:
        return "has a key with a passphrase, for which no client asks"
    except (ValueError, *_UNSUPPORTED):
        return "has no key in PEM beside it"
    return "" if private.public_key() == public else "has another certificate's key beside it"


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise OSError(0, "it is no file")
    with path.open("rb") as content:
        return content.read(_LONGEST)
