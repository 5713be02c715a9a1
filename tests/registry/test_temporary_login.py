"""The login that a proof makes for itself: it is nobody's, and there for as long as the proof takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bcrypt
import pytest

from tests.recorder import Recorder
from tests.registry.logins import ADA, BOB
from trusted_registry.errors import RegistryError
from trusted_registry.registry import users

if TYPE_CHECKING:
    from pathlib import Path


def test_a_visitor_is_let_in_for_as_long_as_the_proof_takes(tmp_path: Path, console: Recorder) -> None:
    users.save(tmp_path, ADA)
    before = users.users_file(tmp_path).read_bytes()
    with users.temporary_login(tmp_path, console) as login:
        assert login
        hashed = dict(line.split(":", 1) for line in users.users_file(tmp_path).read_text().splitlines())[login.name]
        assert bcrypt.checkpw(login.password.encode(), hashed.encode())
        assert list(users.read(tmp_path)) == ["ada"], "it is nobody's"
    assert users.users_file(tmp_path).read_bytes() == before


def test_a_visitor_of_a_proof_that_fails_is_gone_too(tmp_path: Path, console: Recorder) -> None:
    users.save(tmp_path, ADA)
    before = users.users_file(tmp_path).read_bytes()
    with pytest.raises(RegistryError), users.temporary_login(tmp_path, console):
        raise RegistryError("the push failed", cure="")
    assert users.users_file(tmp_path).read_bytes() == before


def test_what_a_killed_proof_left_goes_with_the_next_change(tmp_path: Path) -> None:
    users.save(tmp_path, ADA)
    with users.users_file(tmp_path).open("a") as file:
        file.write("trusted-registry-proof.1700000000.aa:$2b$04$x\n")
    users.save(tmp_path, BOB)
    assert "trusted-registry-proof" not in users.users_file(tmp_path).read_text()


def test_two_visitors_do_not_turn_each_other_out(tmp_path: Path, console: Recorder) -> None:
    users.save(tmp_path, ADA)
    with users.temporary_login(tmp_path, console) as first, users.temporary_login(tmp_path, console) as second:
        text = users.users_file(tmp_path).read_text()
        assert first
        assert second
        assert (first.name in text, second.name in text) == (True, True)


def test_a_visitor_brings_no_login_back_that_was_switched_off_meanwhile(tmp_path: Path, console: Recorder) -> None:
    users.save(tmp_path, ADA)
    with users.temporary_login(tmp_path, console):
        users.remove(tmp_path, "ada")
    assert not users.is_login_required(tmp_path)


@pytest.mark.parametrize(("dry", "some"), [(False, False), (True, True)])
def test_without_users_and_in_a_dry_run_there_is_no_visitor(tmp_path: Path, *, dry: bool, some: bool) -> None:
    if some:
        users.save(tmp_path, ADA)
    with users.temporary_login(tmp_path, Recorder(dry=dry)) as login:
        assert login is None
    assert users.is_login_required(tmp_path) is some
