"""Secrets: keys, certificates, users and settings of a registry, encrypted with a passphrase (age-encryption.org/v1).

The program `age` opens them too. Only a backup that is whole, and of whoever knows the passphrase, can be opened.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from trusted_registry import files, installation, saved_flags
from trusted_registry.archives import age
from trusted_registry.certificate import changeover, make, openssl, signer
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.images.manifest import json_object
from trusted_registry.registry import users

NAME = "secrets.age"
"""Name in an archive."""
SETTINGS = "invoke.yaml"
LARGEST = 8 << 20
"""Bytes of all."""
SHORTEST = 12
"""Characters of a passphrase: whoever has the file may guess for as long as they like."""

_USERS = f"{users.FOLDER}/{users.FILE}"
_SETTINGS = (saved_flags.FILE, saved_flags.STORAGE_KEY, saved_flags.STORAGE_CA)
_PLAIN = (*signer.FILES, "domain.crt", "domain.key", openssl.CONFIG, *changeover.FILES, *_SETTINGS)
"""Files of a certificate folder that go as they are."""


def passphrase(text: str) -> str:
    """Return a passphrase that is not guessed at once.

    Raises:
        SettingError: The passphrase is too short, or no UTF-8.
    """
    if not _is_text(text):
        raise SettingError("The passphrase is no UTF-8.", cure="Type it where LANG names UTF-8, C.UTF-8 for example.")
    if len(text) < SHORTEST:
        cure = f"Use at least {SHORTEST} characters, four words for example; without a terminal, one line of input."
        raise SettingError(f"The passphrase has {len(text)} characters.", cure=cure)
    return text


def _is_text(text: str) -> bool:
    """Whether a text came from valid input: bytes that are no UTF-8 become halves of characters (PEP 383)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def gather(folder: Path, root: Path) -> dict[str, bytes]:
    """Return the secrets of a registry, by name: the files of its folder, and the checkout's settings.

    Raises:
        RegistryError: One cannot be read.
    """
    found = {installation.FILE: installation.portable(folder)}
    for path in (*(folder / name for name in _PLAIN), root / SETTINGS):
        with files.explained(path, "read"):
            if files.exists(path):
                found[str(path.relative_to(root if path.name == SETTINGS else folder))] = path.read_bytes()
    if users.is_login_required(folder):
        hashes = users.read(folder)
        found[_USERS] = "".join(f"{name}:{hashed}\n" for name, hashed in hashes.items()).encode(
            errors="surrogateescape"
        )
    return found


def seal(found: Mapping[str, bytes], words: str) -> bytes:
    """Encrypt secrets with a passphrase."""
    content = json.dumps({name: base64.b64encode(it).decode() for name, it in found.items()}).encode()
    return age.encrypt(content, words)


def unseal(content: bytes, words: str) -> dict[str, bytes]:
    """Decrypt secrets.

    Raises:
        RegistryError: The passphrase is another one, or the file was changed.
    """
    opened = age.decrypt(content, words) if _is_text(words) else None
    if opened is None:
        wrong = "The passphrase is another one, or the archive was changed."
        raise RegistryError(wrong, cure="Type the passphrase of the day on which it was made.")
    found = json_object(opened)
    try:
        secrets = {name: base64.b64decode(it, validate=True) for name, it in found.items()}
        installation.parse(secrets[installation.FILE])
    except (ValueError, TypeError, KeyError) as error:
        raise _odd() from error
    if not secrets.keys() <= {installation.FILE, SETTINGS, _USERS, *_PLAIN}:
        raise _odd()
    return secrets


def _odd() -> RegistryError:
    cure = "Update this checkout to the version that made it."
    return RegistryError("What is encrypted in the archive is of a newer version.", cure=cure)


def id_of(secrets: Mapping[str, bytes]) -> str:
    """Return the id of the installation that secrets are of."""
    return installation.parse(secrets[installation.FILE]).id


def is_free(folder: Path, found: Mapping[str, bytes]) -> bool:
    """Whether nothing was made in a certificate folder yet, but for users that a killed run installed."""
    names = (installation.FILE, *signer.FILES, "domain.crt", "domain.key")
    if any(files.exists(folder / name) for name in names):
        return False
    path = folder / _USERS
    return not users.is_login_required(folder) or path.read_bytes() == found.get(_USERS)


def install(secrets: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a certificate folder; until the last moment, the folder counts as free or unfinished.

    A run that is killed leaves a folder that the next one finishes.
    """
    ours = {name: content for name, content in secrets.items() if name != SETTINGS}
    with files.locked(folder):
        for name, content in ours.items():
            if "/" in name and name != _USERS:
                files.make_folder((folder / name).parent, files.PRIVATE_FOLDER)
                files.write(folder / name, content, make.MODES.get(Path(name).name, files.PRIVATE_FILE))
        if _USERS in ours:  # before the registry can be started without them
            files.make_folder((folder / _USERS).parent, files.PRIVATE_FOLDER)
            files.write(folder / _USERS, ours[_USERS], files.PRIVATE_FILE)
        with files.staging(folder) as staged:
            for name, content in ours.items():
                if "/" not in name:
                    files.write(staged / name, content, files.PRIVATE_FILE)
            files.install(staged, folder, make.MODES)
