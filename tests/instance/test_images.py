"""The registry's own image: from the first source that has it, and each source's reason where none has."""

from __future__ import annotations

import io
import json
import platform
import shutil
import tarfile
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.fake_engine import FakeEngine
from tests.fake_images import IMAGE
from trusted_registry import installation
from trusted_registry.errors import RegistryError
from trusted_registry.installation import MadeImage
from trusted_registry.instance import images
from trusted_registry.instance.model import Image
from trusted_registry.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings
    from tests.recorder import Recorder


MADE, OTHER = f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"


@pytest.fixture(autouse=True)
def _no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _program: None)


def _ensure(make_settings: MakeSettings, engine: FakeEngine, console: Recorder, **given: str) -> str:
    return images.ensure(Run(make_settings(**given), console), engine).name


def test_an_image_that_is_there_is_taken_as_it_is(make_settings: MakeSettings, console: Recorder) -> None:
    engine = FakeEngine(remote=(IMAGE,))
    assert (_ensure(make_settings, engine, console), engine.done) == (IMAGE, [])


def test_an_image_that_is_not_there_is_pulled(make_settings: MakeSettings, console: Recorder) -> None:
    engine = FakeEngine(images=(), remote=(IMAGE,))
    assert (_ensure(make_settings, engine, console), engine.done) == (IMAGE, [f"pull {IMAGE}"])


def _note(make_settings: MakeSettings, id_: str, instead_of: str = IMAGE) -> None:
    made = MadeImage("made:1", "a package", instead_of, with_shell=True)
    installation.note_image(make_settings().folder, id_, made)


@pytest.mark.parametrize("named", [True, False], ids=["by its name", "which lost its name"])
def test_an_image_made_here_before_is_taken_and_announced(
    make_settings: MakeSettings, console: Recorder, *, named: bool
) -> None:
    _note(make_settings, MADE)
    engine = FakeEngine(images=())
    engine.images["made:1" if named else MADE] = MADE
    found = images.ensure(Run(make_settings(), console), engine)
    assert found == Image("made:1" if named else MADE, MADE)
    assert console.said == [f"image: made:1, made here in place of {IMAGE}"]
    assert installation.known(make_settings().folder).has_shell(found.id)


def test_its_name_moved_to_something_else_moves_nothing(make_settings: MakeSettings, console: Recorder) -> None:
    _note(make_settings, MADE)
    engine = FakeEngine(images=())
    engine.images |= {MADE: MADE, "made:1": OTHER}
    assert images.ensure(Run(make_settings(), console), engine) == Image(MADE, MADE)


def test_its_name_moved_to_one_that_can_do_the_same_is_followed_and_noted(
    make_settings: MakeSettings, console: Recorder
) -> None:
    _note(make_settings, MADE)
    engine = FakeEngine(images=())
    engine.images |= {MADE: MADE, "made:1": OTHER}
    engine.content[OTHER] = MADE
    assert images.ensure(Run(make_settings(), console), engine) == Image("made:1", OTHER)
    assert installation.known(make_settings().folder).has_shell(OTHER)


@pytest.mark.parametrize(
    ("noted", "instead_of", "present"),
    [(MADE, IMAGE, OTHER), (OTHER, "registry:2", OTHER), (None, IMAGE, "made:1")],
    ids=["it is gone", "it stands in for another", "its name is another's"],
)
def test_an_image_that_was_not_noted_for_this_is_not_taken_for_one_made_here(
    noted: str | None, instead_of: str, present: str, make_settings: MakeSettings, console: Recorder
) -> None:
    if noted:
        _note(make_settings, noted, instead_of)
    engine = FakeEngine(images=(), remote=(IMAGE,))
    engine.images[present] = present
    assert (_ensure(make_settings, engine, console), engine.done) == (IMAGE, [f"pull {IMAGE}"])


def _save(path: Path, name: str) -> None:
    """Put a file as `docker save` makes them, as far as it names its images."""
    listing = json.dumps([{"RepoTags": [name]}]).encode()
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(listing)
        tar.addfile(member, io.BytesIO(listing))


def test_an_image_that_cannot_be_pulled_is_loaded(
    make_settings: MakeSettings, console: Recorder, tmp_path: Path
) -> None:
    _save(tmp_path / "registry.tar", IMAGE)
    engine = FakeEngine(images=())
    assert _ensure(make_settings, engine, console, archive="registry.tar") == IMAGE
    assert engine.done == [f"pull {IMAGE}", "load registry.tar"]


@pytest.mark.parametrize(
    ("archive", "said"),
    [("", "No archive is set"), ("gone.tar", "There is no archive"), ("here.tar", "holds other:1")],
)
def test_an_image_that_no_source_has_is_refused_with_every_reason_and_a_way_round(
    archive: str, said: str, make_settings: MakeSettings, console: Recorder
) -> None:
    settings = make_settings(archive=archive)
    _save(settings.root / "here.tar", "other:1")
    with pytest.raises(RegistryError, match=f"no such host .*{said}.*no package") as caught:
        images.ensure(Run(settings, console), FakeEngine(images=()))
    assert f"docker save --output registry.tar {IMAGE}" in caught.value.cure


def test_a_system_without_packages_of_it_says_so(
    make_settings: MakeSettings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with pytest.raises(RegistryError, match="This system has no package"):
        _ensure(make_settings, FakeEngine(images=()), console)


def test_a_disk_that_takes_nothing_temporary_is_one_reason_of_several(
    make_settings: MakeSettings, console: Recorder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(RegistryError, match=r"No archive is set\. /tmp cannot be written: No such file"):
        _ensure(make_settings, FakeEngine(images=()), console)


LDD = """\tlinux-vdso.so.1 (0x00007ffc)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f)
"""


def test_the_libraries_of_a_binary_are_the_files_that_ldd_names() -> None:
    assert images.libraries(LDD) == ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]


def test_a_static_binary_has_none() -> None:
    assert images.libraries("\tnot a dynamic executable\n") == []
