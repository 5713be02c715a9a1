"""What is removed comes back as it was; what stays is whole at each step, and what is pushed meanwhile stays."""

from __future__ import annotations

import contextlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.fake_engine import NAME, FakeEngine
from tests.recorder import Recorder
from trusted_registry.errors import RegistryError
from trusted_registry.images import inventory, retention, trash
from trusted_registry.images.trash import Removal, Trash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.images.storages import MadeStorage

pytestmark = pytest.mark.process


def _state(made: MadeStorage) -> dict[str, bytes]:
    """Return the links of the registry's own repositories, and all contents."""
    files = {str(it.relative_to(made.root)): it.read_bytes() for it in made.root.rglob("*") if it.is_file()}
    return {name: content for name, content in files.items() if trash.NAME not in name}


def _collect(made: MadeStorage, engine: FakeEngine) -> None:
    """Delete what a garbage collection would: all that no manifest with a link needs."""
    found = inventory.find(NAME, engine)
    repositories = [
        it for name, it in found.listing.repositories.items() if (made.repository(name) / "_layers").exists()
    ]
    marked = {it for repository in repositories for digest in repository.revisions for it in found.needed(digest)}
    for digest in {*found.listing.blobs} - marked:
        shutil.rmtree(made.path(digest).parent)


def _removal(engine: FakeEngine, *references: str) -> Removal:
    found = inventory.find(NAME, engine)
    chosen = [it for it in found.images if f"{it.repository}:{it.name}" in references]
    assert len(chosen) == len(references)
    return trash.of(retention.without(chosen, found), found, number=1, when=1.0)


@pytest.fixture
def can(engine: FakeEngine) -> Trash:
    """The trash of the registry."""
    return Trash(NAME, engine, Recorder())


def _go(can: Trash, removal: Removal) -> None:
    can.note(removal)
    can.take(removal)
    can.unlink(removal)


@pytest.fixture
def filled(made: MadeStorage) -> dict[str, str]:
    """Two images that share a layer, one with two tags; an index; a manifest without a tag; signatures."""
    one = made.image("app", "1", "a")
    made.image("app", "same", "a")
    content = json.loads(made.path(one).read_bytes())
    two = made.put("app", "2", {**content, "annotations": {"a": "b"}})
    children = {"amd64": made.image("multi", "", "c"), "arm64": made.image("multi", "", "d")}
    return {
        "one": one,
        "two": two,
        **children,
        "index": made.index("multi", "1", children),
        "alone": made.image("team/app", "", "e"),
        "signature": made.signature("app", two, tagged=True),
    }


def test_what_is_removed_is_given_no_more_and_comes_back_as_it_was(
    filled: dict[str, str], made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    before = _state(made)
    removal = _removal(engine, "app:2", "multi:1", f"team/app:{filled['alone']}")
    _go(can, removal)
    left = {
        f"{it.repository}:{it.name}" for it in inventory.find(NAME, engine).images if not trash.is_trash(it.repository)
    }
    assert left == {"app:1", "app:same"}
    for digest in ("amd64", "arm64", "index"):
        assert not made.revision_link("multi", filled[digest]).exists()
    _collect(made, engine)
    assert {name for name in _state(made) if name.startswith("blobs")} == {
        it for it in before if it.startswith("blobs")
    }
    (found,) = can.removals()
    can.give_back(found)
    can.forget(found)
    assert _state(made) == before
    assert can.removals() == []


def test_what_is_forgotten_is_collected_and_the_rest_is_whole(
    filled: dict[str, str], made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    removal = _removal(engine, "app:2", "multi:1")
    _go(can, removal)
    can.forget(removal)
    _collect(made, engine)
    assert not made.path(filled["index"]).exists()
    assert made.path(made.layer_of(filled["one"])).exists()
    assert not list(made.root.rglob(f"{trash.NAME}/*"))


def test_a_tag_that_was_pushed_meanwhile_stays(
    filled: dict[str, str], made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    removal = _removal(engine, "app:2")
    new = made.image("app", "2", "new")
    _go(can, removal)
    assert made.tag_link("app", "2").read_text() == new
    assert not made.revision_link("app", filled["two"]).exists()


def test_an_image_that_was_pushed_again_meanwhile_stays(
    filled: dict[str, str], made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    removal = _removal(engine, "app:2")
    made.link(made.tag_link("app", "again"), filled["two"])
    _go(can, removal)
    assert not made.tag_link("app", "2").exists()
    assert made.revision_link("app", filled["two"]).exists()


def test_an_undo_leaves_alone_what_was_pushed_since(
    filled: dict[str, str], made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    removal = _removal(engine, "app:2")
    _go(can, removal)
    new = made.image("app", "2", "new")
    can.give_back(removal)
    assert made.tag_link("app", "2").read_text() == new
    assert made.revision_link("app", filled["two"]).exists()


@pytest.mark.parametrize("record", ["{", "[]", '{"number": 1, "nothing": 2}'])
def test_a_record_that_is_none_is_an_error(record: str, made: MadeStorage, can: Trash) -> None:
    path: Path = made.folder / trash.NAME / "1/record.json"
    path.parent.mkdir(parents=True)
    path.write_text(record)
    with pytest.raises(RegistryError):
        can.removals()


class _KilledError(Exception):
    """The task was killed."""


def _is_whole(made: MadeStorage, engine: FakeEngine, *names: str) -> bool:
    """Whether tags are there with links and contents of all that they need."""
    found = inventory.find(NAME, engine)
    by_name = {f"{it.repository}:{it.name}": it for it in found.images}
    for name in names:
        image = by_name[name]
        links = [made.revision_link(image.repository, it) for it in found.needed(image.digest) if it in found.manifests]
        if not all(it.exists() for it in links) or not all(
            it in found.listing.blobs for it in found.needed(image.digest)
        ):
            return False
    return True


@pytest.mark.parametrize("collected", [False, True])
@pytest.mark.usefixtures("filled")
def test_whatever_step_it_is_killed_at_what_stays_is_whole_and_the_next_run_goes_on(
    collected: bool,  # noqa: FBT001 - pytest's
    made: MadeStorage,
    engine: FakeEngine,
    can: Trash,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trash, "_STEPS", 1)
    before, stream = _state(made), engine.stream
    removal = _removal(engine, "app:2", "multi:1")
    backup = made.folder.with_name("backup")
    shutil.copytree(made.folder, backup)
    left, killed = 0, 0

    def step(*args: Any) -> Iterator[bytes]:  # noqa: ANN401 - the engine's
        nonlocal left
        if trash._SHELL in args[1]:  # the one that changes something
            if not left:
                raise _KilledError
            left -= 1
        return stream(*args)

    for killed in range(100):
        monkeypatch.setattr(engine, "stream", step)
        left = killed
        with contextlib.suppress(_KilledError):
            _go(can, removal)
            can.give_back(removal)
            can.forget(removal)
            break
        monkeypatch.setattr(engine, "stream", stream)
        if collected:
            _collect(made, engine)
        assert _is_whole(made, engine, "app:1", "app:same")
        for found in can.removals():
            _go(can, found)
            assert _is_whole(made, engine, "app:1", "app:same")
            can.give_back(found)
            can.forget(found)
        assert _state(made) == before, killed
        shutil.rmtree(made.folder)
        shutil.copytree(backup, made.folder)
    assert 20 < killed < 99


def test_an_index_goes_alone_where_its_images_have_tags_and_comes_back(
    made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    made.index("app", "1", {"amd64": made.image("app", "1-amd64", "a"), "arm64": made.image("app", "1-arm64", "b")})
    before = _state(made)
    removal = _removal(engine, "app:1")
    _go(can, removal)
    _collect(made, engine)
    can.give_back(removal)
    assert _state(made) == before


def test_tags_are_kept_apart_whatever_repositories_are_called(
    made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    made.image("a", "b", "1")
    made.image("a/b", "c", "2")
    made.image("a/record.json", "c", "3")
    before = _state(made)
    removal = _removal(engine, "a:b", "a/b:c", "a/record.json:c")
    _go(can, removal)
    can.give_back(removal)
    assert _state(made) == before


def test_a_shell_that_ends_before_its_steps_are_taken_is_an_error(
    made: MadeStorage, engine: FakeEngine, can: Trash, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.image("app", "1", "a")
    removal = _removal(engine, "app:1")
    monkeypatch.setattr(engine, "stream", lambda *_: iter([]))
    with pytest.raises(RegistryError, match="the shell ended"):
        can.take(removal)


def test_a_removal_of_thousands_is_read_again(made: MadeStorage, can: Trash) -> None:
    made.image("app", "1", "a")
    removal = can.note(
        Removal(1, 1.0, trash.REMOVED, manifests={"app": tuple(f"sha256:{it:064x}" for it in range(2000))})
    )
    (found,) = can.removals()
    assert [*found.manifests["app"]] == [*removal.manifests["app"]]
