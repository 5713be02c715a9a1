"""A folder that others may change gets no key: it is refused with a cure before anything is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.disk import mode, snapshot
from tests.marks import by_root
from tests.recorder import Recorder
from trusted_registry import key_folder
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.tasks import cert

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Invoke
    from trusted_registry.settings import Settings

STRANGER = 12345
TASKS: tuple[Callable[[Run], None], ...] = (
    partial(cert.renew, if_expiring=""),
    partial(cert.make, self_signed=True, force=True, tool=""),
    partial(cert.make, self_signed=False, force=False, tool=""),
)

pytestmark = pytest.mark.usefixtures("small_rsa")


def _refused(settings: Settings) -> RegistryError:
    """Have every task that writes a secret refuse a folder; return the error of the last."""
    before = snapshot(settings.folder.parent)
    for task in TASKS:
        with pytest.raises(RegistryError) as caught:
            task(Run(settings, Recorder()))
        assert snapshot(settings.folder.parent) == before
    return caught.value


@pytest.mark.parametrize(
    ("bits", "who"),
    [
        *[(0o777, "every user"), (0o1777, "every user"), (0o757, "every user"), (0o702, "every user")],
        *[(0o770, "its group"), (0o2775, "its group"), (0o720, "its group")],
    ],
    ids=str,
)
def test_a_folder_that_others_may_write_to_gets_no_key(bits: int, who: str, settings: Settings) -> None:
    settings.folder.mkdir()
    settings.folder.chmod(bits)
    error = _refused(settings)
    assert f"may be written to by {who}, so it gets no key" in error.message
    assert error.cure.endswith(f": chmod go-w {settings.folder}")
    settings.folder.chmod(bits & ~0o022)
    cert.make(Run(settings, Recorder()), self_signed=False, force=False, tool="")
    assert mode(settings.folder / "issuer.key") == 0o600


@by_root
@pytest.mark.parametrize("bits", [0o755, 0o700, 0o777])
def test_another_user_s_folder_gets_no_key(bits: int, settings: Settings) -> None:
    settings.folder.mkdir()
    settings.folder.chmod(bits)
    os.chown(settings.folder, STRANGER, STRANGER)
    error = _refused(settings)
    assert f"is another user's (number {STRANGER})" in error.message
    assert f"sudo chown --recursive {os.geteuid()} {settings.folder}" in error.cure


@by_root
def test_root_uses_the_folder_of_whoever_owns_the_code_that_it_runs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    settings.folder.mkdir()
    for folder in (checkout, settings.folder):
        os.chown(folder, STRANGER, STRANGER)
    monkeypatch.setattr(key_folder, "_CHECKOUT", checkout)
    key_folder.check(settings.folder, Recorder())
    os.chown(checkout, STRANGER + 1, STRANGER)
    with pytest.raises(RegistryError):
        key_folder.check(settings.folder, Recorder())


def test_a_link_to_a_folder_that_others_may_write_to_is_no_way_around(settings: Settings, tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    settings.folder.symlink_to(open_to_all)
    assert str(open_to_all) in _refused(settings).cure


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_others_may_rename_gets_no_key(settings: Settings, *, there: bool) -> None:
    above = settings.folder.parent / "shared"
    (above / "mine").mkdir(parents=True)
    above.chmod(0o777)
    run = Run(settings, Recorder())
    run = run.with_settings(folder=above / "mine" / "certs" if there else above / "new" / "certs")
    error = _refused(run.settings)
    assert f"{above}, in which " in error.message
    above.chmod(0o1777)
    key_folder.check(run.settings.folder, Recorder())


@by_root
@pytest.mark.parametrize(("owner", "told"), [(STRANGER, True), (STRANGER + 1, True), (0, False), (65534, False)])
@pytest.mark.parametrize("bits", [0o755, 0o1777, 0o700])
def test_a_folder_below_another_user_s_is_told_of(bits: int, owner: int, settings: Settings, *, told: bool) -> None:
    above = settings.folder.parent / "theirs"
    (above / "certs").mkdir(parents=True)
    above.chmod(bits)
    os.chown(above, owner, owner)
    console = Recorder()
    key_folder.check(above / "certs", console)
    assert any(f"{above} is another user's (number {owner})" in line for line in console.warned) is told


def test_a_folder_as_git_makes_it_for_a_group_is_closed_to_that_and_told(settings: Settings) -> None:
    settings.folder.mkdir()
    (settings.folder / ".gitignore").touch()
    settings.folder.chmod(0o775)
    dry = Recorder(dry=True)
    key_folder.check(settings.folder, dry)
    assert (mode(settings.folder), dry.commands) == (0o775, [["chmod", "g-w", str(settings.folder)]])
    console = Recorder()
    cert.make(Run(settings, console), self_signed=False, force=False, tool="")
    assert (mode(settings.folder), console.commands[0]) == (0o755, ["chmod", "g-w", str(settings.folder)])


@pytest.mark.parametrize(("bits", "other"), [(0o775, "ca.crt"), (0o775, ".hidden"), (0o777, "")])
def test_a_folder_of_git_that_others_had_the_use_of_is_refused(bits: int, other: str, settings: Settings) -> None:
    settings.folder.mkdir()
    for name in (".gitignore", other or ".gitignore"):
        (settings.folder / name).touch()
    settings.folder.chmod(bits)
    assert "so it gets no key" in _refused(settings).message
    assert mode(settings.folder) == bits


@pytest.mark.process
def test_the_wrapper_refuses_such_a_folder_and_its_cure_cures(invoke: Invoke, tmp_path: Path) -> None:
    folder = tmp_path / "it's $(open)"
    folder.mkdir()
    folder.chmod(0o777)
    done = invoke("cert", INVOKE_CERTIFICATE_FOLDER=str(folder))
    assert (done.returncode, list(folder.iterdir())) == (1, [])
    cure = done.stderr.partition("close it: ")[2].strip()
    assert os.system(cure) == 0  # noqa: S605 - a person pastes it
    assert invoke("cert", INVOKE_CERTIFICATE_FOLDER=str(folder)).returncode == 0
