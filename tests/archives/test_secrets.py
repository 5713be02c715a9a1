"""Secrets of a backup: opened by the passphrase alone, by other programs too, and installed whole or again."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pyrage
import pytest

from tests.marks import on_linux
from trusted_registry import installation
from trusted_registry.archives import age, secrets
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.registry import users

if TYPE_CHECKING:
    from pathlib import Path

WORDS = "four words that nobody guesses"
ID = b'{"id": "0123456789abcdef0123456789abcdef"}'


@pytest.mark.parametrize("size", [0, 1, (64 << 10) - 1, 64 << 10, (64 << 10) + 1, 200_000])
def test_what_is_encrypted_others_decrypt(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    sealed = age.encrypt(content[:size], WORDS)
    assert bytes(pyrage.passphrase.decrypt(sealed, WORDS)) == content[:size]
    assert age.decrypt(sealed, WORDS) == content[:size]
    assert age.encrypt(content[:size], WORDS) != sealed


def test_another_passphrase_and_a_changed_byte_are_refused() -> None:
    sealed = age.encrypt(b"a key" * 100, WORDS)
    assert age.decrypt(sealed, WORDS.upper()) is None
    for at in range(len(sealed) - 40, len(sealed)):
        assert age.decrypt(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], WORDS) is None
    assert age.decrypt(sealed[:-1], WORDS) is None


def test_a_passphrase_that_would_take_all_memory_is_not_tried() -> None:
    sealed = age.encrypt(b"a key", WORDS)
    for work in (b"19", b"30", b"63", b"99"):
        with pytest.raises(RegistryError, match="MiB"):
            age.decrypt(sealed.replace(b" 16\n", b" %s\n" % work, 1), WORDS)
    with pytest.raises(RegistryError, match="no passphrase"):
        age.decrypt(sealed.replace(b"scrypt", b"X25519", 1), WORDS)


@on_linux
@pytest.mark.process
@pytest.mark.parametrize("way", ["encrypt(b'a', words)", "decrypt(sys.stdin.buffer.read(), words)"])
def test_it_takes_less_memory_than_a_task_may(way: str) -> None:
    code = f"import sys; from trusted_registry.archives import age; words = {WORDS!r}; assert age.{way}"
    code += "; print(*(it.split()[1] for it in open('/proc/self/status') if it.startswith('VmHWM:')))"
    sealed = age.encrypt(b"a", WORDS)
    done = subprocess.run([sys.executable, "-c", code], input=sealed, check=True, capture_output=True)
    assert int(done.stdout) < 140 << 10


@pytest.mark.parametrize("words", ["short", "\udcff" * 20])
def test_a_passphrase_that_is_none_is_refused(words: str) -> None:
    with pytest.raises(SettingError):
        secrets.passphrase(words)
    with pytest.raises(RegistryError):
        secrets.unseal(secrets.seal({installation.FILE: ID}, WORDS), words)


def test_users_that_a_killed_run_installed_are_no_other_registry(tmp_path: Path) -> None:
    found = {f"{users.FOLDER}/{users.FILE}": b"ada:$2y$05$" + b"a" * 53 + b"\n"}
    assert secrets.is_free(tmp_path, found)
    (tmp_path / users.FOLDER).mkdir()
    (tmp_path / users.FOLDER / users.FILE).write_bytes(next(iter(found.values())))
    assert secrets.is_free(tmp_path, found)
    assert not secrets.is_free(tmp_path, {})
    (tmp_path / "domain.crt").touch()
    assert not secrets.is_free(tmp_path, found)
