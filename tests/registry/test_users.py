"""Who may use the registry: what is written, what is refused, and that a doubt never opens the registry."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import bcrypt
import pytest

from tests.disk import mode
from tests.recorder import Recorder
from tests.registry.logins import ADA, BOB, opens
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.registry import users
from trusted_registry.registry.users import Login
from trusted_registry.terminal import Terminal

if TYPE_CHECKING:
    import io
    from pathlib import Path


# The file


def test_a_user_is_a_name_and_a_bcrypt_hash_of_the_password(tmp_path: Path) -> None:
    assert users.save(tmp_path, ADA)
    assert opens(tmp_path, ADA)
    assert not opens(tmp_path, Login("ada", BOB.password))
    assert all(map(users.is_read, users.read(tmp_path).values()))


def test_the_password_itself_is_nowhere_on_disk_and_in_no_representation(tmp_path: Path) -> None:
    users.save(tmp_path, ADA)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and ADA.password in path.read_text()]
    assert ADA.password not in repr(ADA)


def test_the_file_and_its_folder_are_their_owner_s_alone(tmp_path: Path) -> None:
    users.save(tmp_path, ADA)
    assert (mode(users.users_file(tmp_path)), mode(users.users_file(tmp_path).parent)) == (0o600, 0o700)


def test_a_new_password_replaces_the_old_one_and_touches_no_other_user(tmp_path: Path) -> None:
    users.save(tmp_path, ADA)
    users.save(tmp_path, BOB)
    assert not users.save(tmp_path, Login("ada", "another"))
    assert (opens(tmp_path, ADA), opens(tmp_path, Login("ada", "another")), opens(tmp_path, BOB)) == (0, 1, 1)


def test_a_removed_user_is_gone_and_the_others_stay(tmp_path: Path) -> None:
    users.save(tmp_path, ADA)
    users.save(tmp_path, BOB)
    users.remove(tmp_path, "ada")
    assert (list(users.read(tmp_path)), users.is_login_required(tmp_path)) == (["bob"], True)


def test_with_the_last_user_the_file_goes_and_its_folder(tmp_path: Path) -> None:
    users.save(tmp_path, ADA)
    users.remove(tmp_path, "ada")
    assert (users.is_login_required(tmp_path), users.users_file(tmp_path).parent.exists()) == (False, False)


def test_a_purge_takes_the_users_away_and_a_dry_one_does_not(tmp_path: Path) -> None:
    users.save(tmp_path, ADA)
    users.purge(tmp_path, Recorder(dry=True))
    assert users.is_login_required(tmp_path)
    users.purge(tmp_path, Recorder())
    assert not users.is_login_required(tmp_path)


def _by_hand(folder: Path, text: str) -> None:
    users.users_file(folder).parent.mkdir(exist_ok=True)
    users.users_file(folder).write_text(text)


def test_a_file_that_was_emptied_by_hand_lets_nobody_in_rather_than_everybody(tmp_path: Path) -> None:
    _by_hand(tmp_path, "")
    with users.temporary_login(tmp_path, Recorder()) as login:
        assert login
    assert users.is_login_required(tmp_path)


def test_a_file_that_this_user_may_not_see_is_an_error_rather_than_no_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    users.save(tmp_path, ADA)
    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(RegistryError, match="cannot be read: Permission denied"):
        users.is_login_required(tmp_path)


def test_a_line_that_would_lock_everybody_out_is_named(tmp_path: Path) -> None:
    _by_hand(tmp_path, "# ours\nada:$2b$10$x\n\nnonsense\n")
    with pytest.raises(RegistryError, match="line 4, is not a name"):
        users.read(tmp_path)


@pytest.mark.parametrize(
    ("hashed", "is_read"),
    [
        (bcrypt.hashpw(b"x", b"$2b$04$abcdefghijklmnopqrstuu").decode(), True),
        ("$2y$05$Geu2Z4LN0QDpUJBHvP5JVOsKOLH/XPoJBqISv1D8Aeh6LVGvjWWVC", True),
        ("$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00", False),
        ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", False),
        ("plain", False),
        ("", False),
    ],
)
def test_a_hash_that_the_registry_refuses_is_known(hashed: str, *, is_read: bool) -> None:
    assert users.is_read(hashed) is is_read


# What may be typed


@pytest.mark.parametrize("text", ["ada", "a", "ci-bot", "ada.lovelace@example.org", "a+b_c", "0", "x" * 64])
def test_a_name_that_can_stand_in_the_file_is_taken(text: str) -> None:
    assert users.name(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "a:b", "a\nb", "ada\n", "a b", "#ada", "-x", "--help", "../x", "é", "\u017f", "a\0", "x" * 65, "$(id)"),
        "trusted-registry-proof.1.aa",
    ],
)
def test_a_name_that_cannot_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="The name of the user"):
        users.name(text)


@pytest.mark.parametrize("text", ["x" * 8, " " * 8, "x" * 72, "é" * 36, "a:b$(id)'\"#", "паролище"])
def test_a_password_that_bcrypt_keeps_whole_is_taken(text: str) -> None:
    assert users.password(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("x", "has 1 character[.]"),
        ("x" * 7, "has 7 characters"),
        ("é" * 7, "has 7 characters"),
        ("x" * 73, "has 73 bytes"),
        ("é" * 37, "has 74 bytes"),
        ("a\0bcdefgh", "control"),
        ("a\nbcdefgh", "control"),
        ("a\udcffbcdefg", "no text"),
    ],
)
def test_a_password_that_is_short_or_that_bcrypt_would_cut_is_refused_and_not_repeated(text: str, said: str) -> None:
    with pytest.raises(SettingError, match=said) as caught:
        users.password(text)
    assert len(text) < 2 or text not in f"{caught.value.message}{caught.value.cure}"


def test_of_a_password_that_is_too_short_a_person_hears_how_long_it_must_be() -> None:
    with pytest.raises(SettingError) as caught:
        users.password("ox")
    assert caught.value.cure.startswith("Use at least 8")


# The terminal


@pytest.mark.parametrize("text", ["short", "x" * 73, "a\tbcdefgh"])
def test_a_password_that_will_be_refused_is_typed_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return text

    monkeypatch.setattr("getpass.getpass", answer)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    with pytest.raises(SettingError):
        Terminal().secret("Password", check=users.password)
    assert asked == ["Password: "]


@pytest.mark.parametrize("text", ["secret\n", "secret\r\n", "secret", "secret\nmore\n"])
def test_without_a_terminal_the_password_is_one_line_of_standard_input(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", _stream(text.encode()))
    assert Terminal().secret("Password") == "secret"


def test_standard_input_that_is_no_text_is_an_error_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", _stream(b"\xff\xfe\n"))
    with pytest.raises(RegistryError, match="no text"):
        Terminal().secret("Password")


def _stream(content: bytes) -> io.TextIOWrapper:
    import io

    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="\n")


@pytest.mark.parametrize(
    ("answers", "result"), [(["a", "a"], "a"), (["a", "b"], "differ"), ([EOFError()], "No password")]
)
def test_at_a_terminal_the_password_is_asked_for_twice_unseen(
    answers: list[str | Exception], result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(_prompt: str) -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("getpass.getpass", asked)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    if result == "a":
        assert Terminal().secret("Password") == "a"
    else:
        with pytest.raises(RegistryError, match=result):
            Terminal().secret("Password")
