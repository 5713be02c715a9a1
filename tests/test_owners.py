"""What root makes in another user's folder is that user's; what it made before is given back by one command."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import NOBODY
from tests.inv.checkouts import new_checkout
from tests.marks import by_root
from tests.recorder import Recorder
from trusted_registry import files, owners
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.trust.local import ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeSettings


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A folder of another user's, which that user reaches."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "checkout"
        folder.mkdir()
        Path(made).chmod(0o755)
        os.chown(folder, NOBODY, NOBODY)
        yield folder


def _roots(folder: Path) -> list[str]:
    return [str(it.relative_to(folder)) for it in folder.rglob("*") if it.lstat().st_uid == 0]


@by_root
def test_files_folders_and_locks_are_the_owner_s_from_their_first_moment(theirs: Path) -> None:
    with files.locked(theirs / "certs" / "deep"):
        assert _roots(theirs) == []
        with files.staging(theirs / "certs") as staged:
            files.write(staged / "domain.key", b"key", files.PRIVATE_FILE)
            (staged / "by-a-program").write_bytes(b"x")
            assert staged.stat().st_uid == NOBODY
            files.install(staged, theirs / "certs", {})
    files.write(theirs / "new" / "kit.sh", b"kit")
    assert _roots(theirs) == []
    assert {it.name for it in theirs.rglob("*")} >= {"domain.key", "by-a-program", "kit.sh"}


@by_root
@pytest.mark.process
def test_certificates_that_root_makes_are_the_owner_s(theirs: Path, make_settings: MakeSettings) -> None:
    settings = make_settings(folder=str(theirs / "certs"))
    issue.ensure(Run(settings, Recorder()))
    assert (_roots(theirs), (theirs / "certs" / "domain.key").exists()) == ([], True)


@by_root
def test_in_root_s_own_folder_and_by_way_of_a_link_nothing_is_given_away(theirs: Path, tmp_path: Path) -> None:
    (theirs / "link").symlink_to(tmp_path)
    files.write(theirs / "link" / "file", b"x")
    files.write(tmp_path / "new" / "file", b"x")
    assert [it.stat().st_uid for it in (tmp_path / "file", tmp_path / "new", tmp_path / "new" / "file")] == [0, 0, 0]


@pytest.fixture
def made_by_root(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of this user's, who is no root, in which root made the folder of the certificates."""
    (theirs / "certs").mkdir()
    (theirs / "certs" / "given.json").touch()
    monkeypatch.setattr(owners, "ROOT", theirs)
    for name in ("geteuid", "getegid"):
        monkeypatch.setattr(os, name, lambda: NOBODY)
    return theirs


@by_root
def test_one_command_gives_a_checkout_back(made_by_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cure = f"sudo chown -R {NOBODY}:{NOBODY} {made_by_root}"
    for path in ("certs/given.json", "certs", "certs/not/there"):
        assert owners.give_back(made_by_root / path) == cure
    with pytest.raises(RegistryError) as caught, files.explained(made_by_root / "certs" / "domain.key"):
        raise PermissionError(13, "Permission denied")
    assert caught.value.cure == cure
    monkeypatch.undo()
    subprocess.run(shlex.split(cure.removeprefix("sudo ")), check=True)
    monkeypatch.setattr(owners, "ROOT", made_by_root)
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    assert owners.give_back(made_by_root / "certs" / "given.json") == ""


@by_root
def test_a_ledger_that_root_made_in_this_user_s_home_is_given_back_and_no_more(
    made_by_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = made_by_root
    monkeypatch.setattr(owners, "ROOT", Path("/nowhere"))
    monkeypatch.setenv("HOME", str(home))
    (home / "state").mkdir()
    os.chown(home / "state", NOBODY, NOBODY)
    (home / "state" / "ours").mkdir()
    (home / "state" / "ours" / "ledger.json").touch()
    assert (
        owners.give_back(home / "state" / "ours" / "ledger.json")
        == f"sudo chown -R {NOBODY}:{NOBODY} {home}/state/ours"
    )
    monkeypatch.setattr(Path, "read_bytes", _refuse)
    with pytest.raises(RegistryError, match="cannot be read") as caught:
        ledger.read(home / "state" / "ours" / "ledger.json")
    assert caught.value.cure.startswith("sudo chown -R ")


@by_root
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("data/certs/domain.key", "-R {}/data/certs"),
        ("data/certs", "-R {}/data/certs"),
        ("data/new", "{}/data"),
        ("data/new/domain.key", "{}/data"),
        ("data/ours/domain.key", "-R {}/data/ours/domain.key"),
    ],
)
def test_what_else_lies_in_a_folder_of_root_s_at_home_is_not_taken_with_the_certificates(
    path: str, words: str, made_by_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = made_by_root
    monkeypatch.setattr(owners, "ROOT", Path("/nowhere"))
    monkeypatch.setenv("HOME", str(home))
    for folder in ("certs", "ours", "database"):
        (home / "data" / folder).mkdir(parents=True)
        (home / "data" / folder / "domain.key").touch()
    os.chown(home / "data" / "ours", NOBODY, NOBODY)
    flags, _, taken = words.format(home).rpartition(" ")
    assert owners.give_back(home / path).split() == ["sudo", "chown", *flags.split(), f"{NOBODY}:{NOBODY}", taken]


def _refuse(_self: Path) -> bytes:
    raise PermissionError(13, "Permission denied")


@by_root
def test_another_s_checkout_is_nobody_s_to_take(made_by_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY - 1)
    assert owners.give_back(made_by_root / "certs") == ""


@by_root
@pytest.mark.process
def test_an_environment_that_root_makes_in_another_s_checkout_is_the_owner_s(theirs: Path) -> None:
    checkout = new_checkout(theirs / "check out")
    for path in (checkout.root, *checkout.root.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    done = checkout.inv("--version", PYTHON="/usr/bin/python3")
    assert (done.returncode, _roots(checkout.root)) == (0, []), done.stderr
    assert checkout.ready


@by_root
@pytest.mark.process
@pytest.mark.parametrize(
    ("closed", "without", "words"),
    [
        (0, "", "may not enter it."),
        (1, "", "may not enter it."),
        (None, "setuid", "Operation not permitted."),
        (None, "setgid", "Operation not permitted."),
    ],
)
def test_a_checkout_whose_owner_cannot_make_the_environment_is_told_in_one_line_with_a_cure(
    closed: int | None, without: str, words: str, theirs: Path
) -> None:
    checkout = new_checkout(theirs / "fold er" / "check out")
    for path in (checkout.root, *checkout.root.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    if closed is not None:
        checkout.root.parents[closed].chmod(0o700)
        os.chown(checkout.root.parents[closed], 0, 0)
    before = ["setpriv", f"--bounding-set=-{without}"] if without else []
    environ = checkout.environ(PYTHON="/usr/bin/python3")
    argv = [*before, str(checkout.root / "inv"), "--version"]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    wrong, cure = done.stderr.splitlines()
    assert (done.returncode, wrong.endswith(words), str(NOBODY) in wrong) == (1, True, True), wrong
    assert cure.strip() == f"chown -R 0:0 {shlex.quote(str(checkout.root))}"
    subprocess.run(shlex.split(cure), check=True)
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, checkout.ready) == (0, True), done.stderr


@by_root
@pytest.mark.process
@pytest.mark.parametrize("made", [".venv", ".venv/made-from.toml"])
def test_an_environment_that_root_made_before_is_told_with_the_command_that_gives_it_back(
    made: str, theirs: Path
) -> None:
    checkout = new_checkout(theirs / "check out")
    for path in (checkout.root, *checkout.root.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    (checkout.root / ".venv").mkdir()
    if made != ".venv":
        (checkout.root / made).touch()
        os.chown(checkout.root / ".venv", NOBODY, NOBODY)
    done = checkout.inv("--version", PYTHON="/usr/bin/python3")
    wrong, cure = done.stderr.splitlines()
    assert (done.returncode, wrong) == (1, f"inv: {checkout.root / made} is another user's.")
    assert cure.strip() == f"sudo chown -R {NOBODY}:{NOBODY} {shlex.quote(str(checkout.root))}"
