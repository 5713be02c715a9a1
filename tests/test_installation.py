"""An installation's id: made once, private, and whoever holds the folder is the installation."""

from __future__ import annotations

import json
import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.conftest import NOBODY
from tests.disk import snapshot
from tests.recorder import Recorder
from trusted_registry import installation
from trusted_registry.certificate import clear, issue
from trusted_registry.errors import RegistryError
from trusted_registry.installation import FILE, MadeImage
from trusted_registry.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Invoke, MakeSettings

ID, IMAGE = "0" * 32, f"sha256:{'0' * 64}"


def _id(folder: Path) -> str:
    return installation.ensure(folder, Recorder()).id


def test_an_id_is_made_once_and_private(tmp_path: Path) -> None:
    made = _id(tmp_path)
    assert (len(made), _id(tmp_path)) == (32, made)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_of_many_first_runs_at_once_all_get_one_id(tmp_path: Path) -> None:
    with ThreadPoolExecutor(max_workers=8) as pool:
        assert len(set(pool.map(_id, [tmp_path] * 32))) == 1


def test_two_folders_are_two_installations_and_a_copy_is_the_same(tmp_path: Path) -> None:
    made = _id(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    (tmp_path / "one").rename(tmp_path / "moved")
    assert (_id(tmp_path / "copy"), _id(tmp_path / "moved")) == (made, made)
    assert _id(tmp_path / "fresh") != made


def test_a_dry_run_makes_none(tmp_path: Path) -> None:
    assert installation.ensure(tmp_path, Recorder(dry=True)).id == installation.UNSAVED
    assert snapshot(tmp_path) == {}
    assert installation.read(tmp_path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_makes_in_another_user_s_folder_is_that_user_s(tmp_path: Path) -> None:
    os.chown(tmp_path, NOBODY, NOBODY)
    _id(tmp_path)
    installation.adopt(tmp_path, volume="data")
    made = (tmp_path / FILE).stat()
    assert (made.st_uid, stat.S_IMODE(made.st_mode)) == (NOBODY, 0o600)


def test_a_new_authority_and_the_self_signed_profile_keep_the_id(certified: MakeSettings) -> None:
    settings = certified()
    made = _id(settings.folder)
    for self_signed in (False, True):
        issue.ensure(Run(settings, Recorder()), force=True, self_signed=self_signed)
        assert _id(settings.folder) == made


def test_what_was_adopted_and_made_is_noted_once_and_a_volume_s_note_goes_with_it(tmp_path: Path) -> None:
    made = MadeImage("made:1", "a package", "registry:3", with_shell=True)
    for _ in range(2):
        installation.adopt(tmp_path, volume="data", container="c")
        installation.note_image(tmp_path, IMAGE, made)
    found = installation.known(tmp_path)
    assert (found.volumes, found.containers, found.images) == (("data",), ("c",), {IMAGE: made})
    assert (found.has_shell(IMAGE), found.has_shell("registry:3")) == (True, False)
    installation.forget_volume(tmp_path, "data")
    assert installation.known(tmp_path).volumes == ()


def test_an_image_without_an_id_is_not_noted(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="named no id"):
        installation.note_image(tmp_path, "made:1", MadeImage("made:1", "", "", with_shell=True))


def _said(**changes: object) -> str:
    return json.dumps({"version": 1, "id": ID, "volumes": [], "containers": [], "images": {}, **changes})


DAMAGED = {
    "nothing": "",
    "no JSON": "{",
    "another kind": "[]",
    "no id": '{"version": 1}',
    "an id of another shape": _said(id="../../etc"),
    "an id that is a number": _said(id=1),
    "a newer version": _said(version=2),
    "names that are none": _said(volumes=[1]),
    "a name for names": _said(containers="c"),
    "images that are none": _said(images=[]),
    "an image by its name": _said(images={"made:1": {}}),
    "an image without an origin": _said(images={IMAGE: {"reference": "made:1"}}),
    "a terminal's sequence": _said(
        images={IMAGE: {"reference": "\x1b]0;", "origin": "", "instead_of": "", "with_shell": True}}
    ),
    "very deep": "[" * 100_000,
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_an_error_with_a_cure_and_stays(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    before = snapshot(tmp_path)
    for act in (installation.read, installation.known, _id, lambda folder: installation.adopt(folder, volume="x")):
        with pytest.raises(RegistryError, match="damaged or from a newer version") as caught:
            act(tmp_path)
        assert f"mv {tmp_path / FILE} {tmp_path / FILE}.damaged" in caught.value.cure
    assert {name: it for name, it in snapshot(tmp_path).items() if name != ".lock"} == before


def test_a_file_that_this_user_may_not_read_is_an_error_with_a_cure(forbidden: Path) -> None:
    with pytest.raises(RegistryError, match="cannot be read: Permission denied"):
        installation.read(forbidden)


def test_it_goes_with_the_rest_unless_it_is_to_stay(certified: MakeSettings) -> None:
    folder = certified().folder
    made = _id(folder)
    clear.remove_all(folder, Recorder(), keep=(FILE,))
    assert {path.name for path in folder.iterdir()} - {".lock"} == {FILE}
    assert _id(folder) == made
    clear.remove_all(folder, Recorder())
    assert not (folder / FILE).exists()


@pytest.mark.process
def test_a_damaged_file_is_no_traceback_of_a_task(invoke: Invoke) -> None:
    (invoke.root / "certs").mkdir()
    (invoke.root / "certs" / FILE).write_text("{")
    for task in ("cert", "trust.remove", "trust.linux"):
        done = invoke(task)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False), task
