"""Users of the registry: names and bcrypt hashes in a file that the registry reads, and the proof's temporary login."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trusted_registry import files
from trusted_registry.console import Console
from trusted_registry.errors import RegistryError, SettingError

FOLDER = "users"
"""Folder below the certificates, mounted as a folder so that the registry sees a changed file at once, with no restart
(distribution/distribution, registry/auth/htpasswd/access.go)."""
FILE = "htpasswd"

COST = 10
"""Cost of bcrypt, as a power of two: OWASP's least. The registry pays the cost at each request of a push or a pull."""

LONGEST = 72
"""Bytes of a password that bcrypt reads; the rest would not count."""

SHORTEST = 8
"""Characters of a password: NIST's minimum (SP 800-63B, 5.1.1.2:
pages.nist.gov/800-63-3/sp800-63b.html#memsecretver). The registry locks nobody out who guesses."""

_TEMPORARY = "trusted-registry-proof."
_VISITOR_COST = 4  # its password is 256 random bits: there is nothing to guess
_VISIT = 3600.0
"""Seconds after which a login of the proof is one that a killed run left behind."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BCRYPT = re.compile(r"\$2[abxy]?\$[0-9]{2}\$[./A-Za-z0-9]{53}\Z")


@dataclass(frozen=True)
class Login:
    """A name and its password, as a client knows them."""

    name: str
    password: str = field(repr=False)

    @property
    def header(self) -> dict[str, str]:
        """The Authorization header of a request (RFC 7617)."""
        return {"Authorization": f"Basic {base64.b64encode(f'{self.name}:{self.password}'.encode()).decode()}"}


def users_file(folder: Path) -> Path:
    """Return the user file of a certificate folder.

    The registry asks for a login exactly if the file exists.
    """
    return folder / FOLDER / FILE


def is_login_required(folder: Path) -> bool:
    """Return whether the registry asks for a login.

    Raises:
        RegistryError: This user may not know: taking that for "no" would open the registry to everybody.
    """
    path = users_file(folder)
    # Not Path.exists, which says "no" of what it may not see (from Python 3.14 on).
    with files.explained(path.parent, "read"):
        try:
            os.stat(path)  # noqa: PTH116 - see above
        except FileNotFoundError:
            return False
    return True


def read(folder: Path) -> dict[str, str]:
    """Return the hashes of all users by name, in the file's order.

    The proof's temporary logins are left out.

    Raises:
        RegistryError: The file cannot be read, or has a line for which the registry would refuse everybody.
    """
    return {name: hashed for name, hashed in _entries(folder).items() if not name.startswith(_TEMPORARY)}


def is_read(hashed: str) -> bool:
    """Return whether the registry can read a hash.

    The registry knows bcrypt alone, and refuses the right password of any other hash.
    """
    return bool(_BCRYPT.match(hashed))


def name(text: str) -> str:
    """Return a user name that is valid in the file and on a command line.

    Raises:
        SettingError: The name is not valid.
    """
    if not _NAME.match(text) or text.startswith(_TEMPORARY):
        raise SettingError(f"The name of the user is {text!r}.", cure="Use letters, digits, . _ @ + -, 64 at most.")
    return text


def password(text: str) -> str:
    """Return a password that bcrypt reads in full and nobody guesses at once.

    Raises:
        SettingError: The password is empty, too short, too long, not UTF-8, or has control characters.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise SettingError("The password is no text in UTF-8.", cure="Type it at the prompt.") from None
    if not text:
        raise SettingError("The password is empty.", cure="Type one, or pass it as one line of standard input.")
    if len(text) < SHORTEST:
        problem = f"The password has {len(text)} character{'' if len(text) == 1 else 's'}."
        raise SettingError(problem, cure=f"Use at least {SHORTEST}, for example three words: anybody may guess.")
    if size > LONGEST:
        raise SettingError(f"The password has {size} bytes.", cure=f"Use at most {LONGEST}: bcrypt reads no more.")
    if _CONTROL.search(text):
        raise SettingError("The password holds control characters.", cure="Use others.")
    return text


def save(folder: Path, login: Login, cost: int = COST) -> bool:
    """Add a user or replace a user's password; return True for a new user."""
    import bcrypt

    hashed = bcrypt.hashpw(login.password.encode(), bcrypt.gensalt(cost)).decode()
    with files.locked(folder):
        entries = _entries(folder)
        _store(folder, {**entries, login.name: hashed})
    return login.name not in entries


def remove(folder: Path, name: str) -> None:
    """Remove a user.

    The file goes with the last one, and then the registry asks for no login.
    """
    with files.locked(folder):
        entries = _entries(folder)
        if entries.pop(name, None) is None:
            return
        if all(other.startswith(_TEMPORARY) for other in entries):
            files.remove(users_file(folder), keep=folder)
        else:
            _store(folder, entries)


def purge(folder: Path, console: Console) -> None:
    """Remove the user file and its folder."""
    if is_login_required(folder):
        console.command(["rm", "--recursive", str(users_file(folder).parent)])
        if not console.dry:
            files.remove(users_file(folder), keep=folder)


@contextlib.contextmanager
def temporary_login(folder: Path | None, console: Console) -> Iterator[Login | None]:
    """Yield a login that is valid until the context ends.

    None is yielded if no login is required, and in a dry run.
    """
    if console.dry or folder is None or not is_login_required(folder):
        yield None
        return
    login = Login(f"{_TEMPORARY}{int(time.time())}.{secrets.token_hex(4)}", secrets.token_urlsafe(32))
    save(folder, login, _VISITOR_COST)
    try:
        yield login
    finally:
        with files.locked(folder):
            if is_login_required(folder):  # not if the last user was removed meanwhile
                _store(folder, {name: hashed for name, hashed in _entries(folder).items() if name != login.name})


def _store(folder: Path, entries: Mapping[str, str]) -> None:
    path = users_file(folder)
    lines = (f"{name}:{hashed}\n" for name, hashed in entries.items() if not _is_left_behind(name))
    files.make_folder(path.parent, files.PRIVATE_FOLDER)
    files.write(path, "".join(lines).encode(errors="surrogateescape"), files.PRIVATE_FILE)


def _is_left_behind(name: str) -> bool:
    begun = name.removeprefix(_TEMPORARY).partition(".")[0]
    return name.startswith(_TEMPORARY) and not (begun.isdecimal() and abs(time.time() - int(begun)) < _VISIT)


def _entries(folder: Path) -> dict[str, str]:
    if not is_login_required(folder):
        return {}
    path = users_file(folder)
    with files.explained(path, "read"):
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    found = {}
    for number, line in enumerate(text.split("\n"), start=1):
        entry = line.strip()
        if entry and not entry.startswith("#"):
            name, colon, hashed = entry.partition(":")
            if not colon:
                problem = f"{path}, line {number}, is not a name with a hash, so the registry lets nobody in."
                raise RegistryError(problem, cure="Remove that line.")
            found[name] = hashed
    return found
