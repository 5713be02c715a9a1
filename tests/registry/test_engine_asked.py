"""An engine is not asked for what it has said and cannot take back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.registry.test_engine_answers import CONTAINER, ID, IMAGE, VOLUME
from tests.socket_engine import SocketEngine, asking, serving
from trusted_registry.engine.types import Volume
from trusted_registry.errors import RegistryError
from trusted_registry.instance.model import FILES_ROLE, LABEL, File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.engine.docker_engine import DockerEngine

MINE = "0a" * 16
OF_FILES = {**VOLUME, "Labels": {**VOLUME["Labels"], LABEL: FILES_ROLE}}  # type: ignore[dict-item]  # a mapping
FILLED = ["GET /volumes/files", "POST /containers/create"]


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[SocketEngine]:
    """An engine on a socket."""
    with serving(tmp_path) as made:
        yield made


@pytest.fixture
def engine(behind: SocketEngine) -> Iterator[DockerEngine]:
    """The same one, as the project asks it."""
    with asking(behind) as made:
        yield made


def test_an_image_that_was_just_found_is_known_by_its_id(behind: SocketEngine, engine: DockerEngine) -> None:
    behind.answers = {"/images/": IMAGE}
    found = engine.image_id("registry:3") or ""
    assert (found, engine.entrypoint(found)) == (ID, ("/entrypoint.sh",))
    assert behind.asked == ["GET /images/registry:3/json"]


@pytest.mark.parametrize("reference", ["registry:3", "registry:2", f"sha256:{'0b' * 32}"])
def test_a_name_may_stand_for_another_image_by_now(reference: str, behind: SocketEngine, engine: DockerEngine) -> None:
    behind.answers = {"/images/": IMAGE}
    engine.image_id("registry:3")
    behind.answers = {"/images/": {**IMAGE, "Config": {"Entrypoint": ["/other.sh"]}}}
    assert engine.entrypoint(reference) == ("/other.sh",)


@pytest.mark.parametrize(("labels", "installation"), [(VOLUME["Labels"], MINE), ({}, ""), (None, "")])
def test_who_made_a_volume_is_answered_where_it_is_made(
    labels: object, installation: str, behind: SocketEngine, engine: DockerEngine
) -> None:
    behind.answers = {"/volumes/create": {**VOLUME, "Labels": labels}}
    assert engine.make_volume("registry", MINE) == Volume("registry", installation)
    assert behind.asked == ["POST /volumes/create"]


def _fill(engine: DockerEngine) -> None:
    engine.fill("files", MINE, ID, [File("a", Path("a"), b"one")])


def test_a_volume_is_filled_without_a_look_for_what_a_killed_run_left(
    behind: SocketEngine, engine: DockerEngine
) -> None:
    behind.answers = {"/volumes/files": OF_FILES, "/archive": "", "/containers/": CONTAINER}
    with pytest.raises(RegistryError, match="could not be filled"):  # what is there already is no archive here
        _fill(engine)
    assert behind.asked == [*FILLED, "GET /containers/c0ffee/archive", "DELETE /containers/c0ffee"]


def test_a_volume_that_was_made_here_is_not_asked_for_what_is_in_it_until_it_was_filled(
    behind: SocketEngine, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind.answers = {"/volumes/": OF_FILES, "/archive": "", "/containers/": CONTAINER}
    with monkeypatch.context() as absent:
        absent.setattr(engine, "volume", lambda _name: None)
        assert engine.make_files_volume("files", MINE)
    _fill(engine)
    assert behind.asked[1:] == [*FILLED, "PUT /containers/c0ffee/archive", "DELETE /containers/c0ffee"]
    with pytest.raises(RegistryError, match="could not be filled"):
        _fill(engine)
    assert behind.asked[5:] == [*FILLED, "GET /containers/c0ffee/archive", "DELETE /containers/c0ffee"]


def test_what_a_killed_run_left_is_removed_where_it_is_in_the_way(behind: SocketEngine, engine: DockerEngine) -> None:
    left = [{"Id": "c0ffee", "Names": ["/files-filler"]}]
    behind.answers = {"/volumes/files": OF_FILES, "/archive": "", "/containers/json": left, "/containers/": CONTAINER}
    behind.refused = {"/containers/create": "the name files-filler is already in use"}
    with pytest.raises(RegistryError, match="could not be filled"):
        _fill(engine)
    looked = ["GET /containers/json", "GET /containers/c0ffee/json", "DELETE /containers/c0ffee"]
    assert behind.asked[:6] == [*FILLED, *looked, FILLED[-1]]


def test_an_image_that_is_absent_is_told_as_before(behind: SocketEngine, engine: DockerEngine) -> None:
    behind.answers = {"/volumes/files": OF_FILES, "/containers/json": []}
    behind.refused = {"/containers/create": "No such image: 0a", "/create": "No such image: 0a"}
    with pytest.raises(RegistryError, match="The container files-filler could not be made: No such image"):
        _fill(engine)
