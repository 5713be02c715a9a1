"""Credentials of a bucket: read from a person's file, kept 0600 in the certificates' folder."""

from __future__ import annotations

import configparser
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from trusted_registry import files
from trusted_registry.errors import SettingError
from trusted_registry.saved_flags import STORAGE_KEY

_LARGEST = 64 << 10
"""Bytes of a file of credentials."""
_KEY = re.compile(r"[!-~]{1,256}")
_TOKEN = re.compile(r"[!-~]{0,8192}")
_FORM = '{"access_key": "…", "secret_key": "…"}'


@dataclass(frozen=True)
class Credentials:
    """Access key of a bucket; the token is "" for keys that do not expire."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)

    def keep(self, folder: Path) -> None:
        """Write them beside the certificates, for their owner alone."""
        content = {"access_key": self.access_key, "secret_key": self.secret_key, "token": self.token}
        files.write(folder / STORAGE_KEY, f"{json.dumps(content, indent=2)}\n".encode(), files.PRIVATE_FILE)


def read_named(typed: str) -> Credentials:
    """Return the credentials in a file that a person names, or in standard input, which "-" stands for.

    Raises:
        SettingError: It has none.
        RegistryError: The operating system does not let this user read the file.
    """
    if typed == "-":
        return parse(sys.stdin.buffer.read(_LARGEST + 1), "standard input")
    path = Path(typed).expanduser()
    with files.explained(path, "read"), path.open("rb") as file:
        return parse(file.read(_LARGEST + 1), str(path))


def read(folder: Path) -> Credentials | None:
    """Return the credentials that are kept; None where there are none.

    Raises:
        SettingError: The file is damaged.
        RegistryError: The operating system does not let this user read the file.
    """
    path = folder / STORAGE_KEY
    with files.explained(path, "read"):
        if not files.exists(path):
            return None
    return read_named(str(path))


def parse(content: bytes, source: str) -> Credentials:
    """Return the credentials in a JSON object, or in the default profile of an AWS credentials file.

    Args:
        content: Bytes of the file.
        source: Name of the file, for the error.

    Raises:
        SettingError: There are none, or none that any store gives.
    """
    try:
        found = _fields(content[: _LARGEST + 1].decode())
    except (ValueError, RecursionError, configparser.Error, KeyError):
        found = {}
    access, secret, token = (found.get(name) or "" for name in ("access_key", "secret_key", "token"))
    typed = all(isinstance(it, str) for it in (access, secret, token))
    if not (typed and _KEY.fullmatch(access) and _KEY.fullmatch(secret) and _TOKEN.fullmatch(token)):
        cure = f"Give JSON such as {_FORM}, or an AWS credentials file with a profile [default]."
        raise SettingError(f"{source} has no access key that can be used.", cure=cure)
    return Credentials(access, secret, token)


def _fields(text: str) -> dict[str, str]:
    """Return the fields of either form."""
    if text.lstrip().startswith("{"):
        found: dict[str, str] = json.loads(text)
        return found
    parser = configparser.RawConfigParser(default_section="")
    parser.read_string(text)
    profile = parser["default"]
    names = {"access_key": "aws_access_key_id", "secret_key": "aws_secret_access_key", "token": "aws_session_token"}
    return {name: profile.get(key, "") for name, key in names.items()}
