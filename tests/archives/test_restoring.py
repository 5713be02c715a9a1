"""Restoring: whose keys are in the folder is asked wherever the folder is, and a killed run is gone on with."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import pytest

from tests.recorder import Recorder
from trusted_registry import installation
from trusted_registry.archives import secrets, site
from trusted_registry.archives.site import SiteImage
from trusted_registry.defaults import ROOT
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.run import Run
from trusted_registry.tasks import registry_backup
from trusted_registry.tasks import site as site_task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import MakeSettings
    from trusted_registry.archives.tar import Archive
    from trusted_registry.engine.protocol import Engine
    from trusted_registry.settings import Settings

WORDS = "four words that nobody guesses"
OURS, THEIRS = b"one: 1\n", b"two: 2\n"


@pytest.fixture
def held(tmp_path: Path) -> dict[str, bytes]:
    """Secrets of a registry with other settings than this checkout has."""
    folder = tmp_path / "first"
    folder.mkdir()
    installation.ensure(folder, Recorder())
    return {installation.FILE: installation.portable(folder), secrets.SETTINGS: THEIRS}


@pytest.fixture
def run(make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of a checkout with settings of its own, by which its folder is another one than by those of the backup."""
    monkeypatch.setattr(registry_backup, "ROOT", tmp_path)
    (tmp_path / secrets.SETTINGS).write_bytes(OURS)
    settings = make_settings()

    def reread() -> Settings:
        is_theirs = (tmp_path / secrets.SETTINGS).read_bytes() == THEIRS
        return dataclasses.replace(settings, folder=tmp_path / "other") if is_theirs else settings

    return Run(settings, Recorder(secret=WORDS), reread)


@contextmanager
def _archive(held: dict[str, bytes]) -> Iterator[Archive]:
    class Held:
        def read(self, _name: str, _most: int) -> bytes:
            return secrets.seal(held, WORDS)

    yield cast("Archive", Held())


def test_the_settings_of_a_backup_do_not_lead_to_the_keys_of_another_registry(
    held: dict[str, bytes], run: Run, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    installation.ensure(tmp_path / "other", run.console)
    before = installation.known(tmp_path / "other")
    with _archive(held) as archive, pytest.raises(RegistryError, match="Another registry is in this checkout"):
        registry_backup.trusting(archive, run)
    assert (tmp_path / secrets.SETTINGS).read_bytes() == OURS
    assert installation.known(tmp_path / "other") == before
    assert not run.settings.folder.exists()


def test_where_nothing_is_they_are_taken_and_what_was_there_is_kept_beside(
    held: dict[str, bytes], run: Run, tmp_path: Path
) -> None:
    with _archive(held) as archive:
        restored = registry_backup.trusting(archive, run)
        assert installation.known(restored.settings.folder).id == secrets.id_of(held)
        assert (tmp_path / secrets.SETTINGS).read_bytes() == THEIRS
        assert (tmp_path / f"{secrets.SETTINGS}.before").read_bytes() == OURS
        assert registry_backup.trusting(archive, restored).settings == restored.settings


class LoadedEngine:
    """An engine that has the image of a site already, since a run before was killed just then."""

    def has_image(self, name: str) -> bool:
        """Whether it has an image of that name."""
        return name == "made/registry:1"

    def image_id(self, _name: str) -> str:
        """Return the image's id."""
        return f"sha256:{'a' * 64}"


def test_an_image_that_a_killed_run_loaded_is_known_after_the_next(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(make_settings(), Recorder())
    monkeypatch.setattr(site, "image_in", lambda _: SiteImage("made/registry:1", "registry:3", with_shell=True))

    class Held:
        path = "site.tar"

    site_task._bring_image(cast("Archive", Held()), run, cast("Engine", LoadedEngine()))
    (noted,) = installation.known(run.settings.folder).images.values()
    assert (noted.reference, noted.instead_of, noted.with_shell) == ("made/registry:1", run.settings.image, True)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that fetch packages."""
    commands: list[list[str]] = []
    monkeypatch.setattr("trusted_registry.program.run", lambda argv, _: commands.append(argv))
    return commands


def test_packages_of_an_older_python_are_fetched_by_that_python_alone(
    fetched: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda it: f"/usr/bin/{it}" if it == "python3.1" else None)
    site.fetch_wheels(tmp_path, ROOT, ["3.1", "3.99"], Recorder())
    older, newer = fetched
    assert (older[0], "--python-version" in older) == ("/usr/bin/python3.1", False)
    assert (newer[0], newer[newer.index("--python-version") + 1]) == (sys.executable, "3.99")
    with pytest.raises(RegistryError, match=r"python3\.2"):
        site.fetch_wheels(tmp_path, ROOT, ["3.2"], Recorder())


@pytest.mark.parametrize("python", ["2.7", "3", "3.x", "--help", "3.11; id", ""])
def test_what_is_no_version_is_refused(python: str, fetched: list[list[str]], tmp_path: Path) -> None:
    if python:
        with pytest.raises(SettingError):
            site.fetch_wheels(tmp_path, ROOT, [python], Recorder())
    else:
        site.fetch_wheels(tmp_path, ROOT, [], Recorder())
    assert len(fetched) == (not python)
