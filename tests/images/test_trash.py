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
from trusted_registry.images import disposal, inventory, listing, removal, retention, scripts, volume
from trusted_registry.images.listing import TRASH
from trusted_registry.images.removal import GOING, REMOVED, Removal
from trusted_registry.images.trash import Trash
from trusted_registry.images.volume import VolumeStorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.images.storages import MadeStorage

pytestmark = pytest.mark.process


def _found(engine: FakeEngine) -> inventory.Inventory:
    """Return all images, with the times of their pushes."""
    return inventory.find(VolumeStorage(NAME, engine), sizes=True)


def _state(made: MadeStorage) -> dict[str, bytes]:
    """Return the links of the registry's own repositories, and all contents."""
    files = {str(it.relative_to(made.root)): it.read_bytes() for it in made.root.rglob("*") if it.is_file()}
    return {name: content for name, content in files.items() if TRASH not in name}


def _collect(made: MadeStorage, engine: FakeEngine) -> None:
    """Delete what a garbage collection would: all that no manifest with a link needs."""
    found = _found(engine)
    repositories = [
        it for name, it in found.listing.repositories.items() if (made.repository(name) / "_layers").exists()
    ]
    marked = {it for repository in repositories for digest in repository.revisions for it in found.needed(digest)}
    for digest in {*found.listing.blobs} - marked:
        shutil.rmtree(made.path(digest).parent)


def _removal(engine: FakeEngine, *references: str) -> Removal:
    found = _found(engine)
    chosen = [it for it in found.images if f"{it.repository}:{it.name}" in references]
    assert len(chosen) == len(references)
    return removal.of(retention.without(chosen, found), found, number=1, when=1.0)


@pytest.fixture
def can(engine: FakeEngine) -> Trash:
    """The trash of the registry."""
    return Trash(VolumeStorage(NAME, engine), Recorder())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disposal, "SETTLES", 0.0)


def _go(can: Trash, gone: Removal, engine: FakeEngine) -> Removal:
    return disposal.carry_out(gone, can, lambda: _found(engine))


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


def _left(engine: FakeEngine) -> set[str]:
    return {f"{it.repository}:{it.name}" for it in _found(engine).images}


def test_what_is_removed_is_given_no_more_and_comes_back_as_it_was(
    filled: dict[str, str], made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    before = _state(made)
    _go(can, _removal(engine, "app:2", "multi:1", f"team/app:{filled['alone']}"), engine)
    assert _left(engine) == {"app:1", "app:same"}
    for digest in ("amd64", "arm64", "index"):
        assert not made.revision_link("multi", filled[digest]).exists()
    _collect(made, engine)
    contents = {it for it in before if it.startswith("blobs")}
    assert {it for it in _state(made) if it.startswith("blobs")} == contents
    can.read()
    (found,) = can.removals
    signature = f"app:{filled['two'].replace(':', '-')}.sig"
    assert {*found.images} == {"app:2", signature, "multi:1", f"team/app@{filled['alone']}"}
    disposal.undo(found, can)
    assert _state(made) == before
    can.read()
    assert can.removals == []


def test_what_is_given_up_is_collected_and_the_rest_is_whole(
    filled: dict[str, str], made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    gone = disposal.give_up(_go(can, _removal(engine, "app:2", "multi:1"), engine), can)
    can.let_go(gone)
    _collect(made, engine)
    can.forget(gone)
    assert not made.path(filled["index"]).exists()
    assert made.path(made.layer_of(filled["one"])).exists()
    assert not list(made.folder.rglob(f"{TRASH}/*"))


def test_a_repository_in_which_nothing_is_left_leaves_the_catalog_and_one_with_an_upload_does_not(
    filled: dict[str, str], made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    made.upload("multi", "half", b"half")
    before = _state(made)
    gone = _go(can, _removal(engine, "multi:1", f"team/app:{filled['alone']}"), engine)
    assert not (made.repository("team/app") / "_layers").exists()
    assert (made.repository("multi") / "_layers").exists()
    disposal.undo(gone, can)
    assert _state(made) == before


def test_a_tag_that_was_pushed_meanwhile_stays(
    filled: dict[str, str], made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    gone = _removal(engine, "app:2")
    new = made.image("app", "2", "new")
    _go(can, gone, engine)
    assert made.tag_link("app", "2").read_text() == new
    assert not made.revision_link("app", filled["two"]).exists()


def test_the_very_image_that_was_pushed_again_meanwhile_stays(
    filled: dict[str, str], made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    gone = _removal(engine, "app:2")
    made.age(made.tag_link("app", "2"), -1)
    _go(can, gone, engine)
    assert made.tag_link("app", "2").read_text() == filled["two"]
    assert made.revision_link("app", filled["two"]).exists()


def test_an_image_that_got_another_tag_meanwhile_stays(
    filled: dict[str, str], made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    gone = _removal(engine, "app:2")
    made.link(made.tag_link("app", "again"), filled["two"])
    _go(can, gone, engine)
    assert not made.tag_link("app", "2").exists()
    assert made.revision_link("app", filled["two"]).exists()


@pytest.mark.parametrize("tag", ["new", ""])
@pytest.mark.parametrize("late", [False, True])
def test_an_index_that_was_pushed_meanwhile_has_its_images(  # noqa: PLR0913, PLR0917 - pytest's
    late: bool,  # noqa: FBT001 - pytest's
    tag: str,
    filled: dict[str, str],
    made: MadeStorage,
    engine: FakeEngine,
    can: Trash,
) -> None:
    gone, looks = _removal(engine, "multi:1"), iter([late, True])

    def look() -> inventory.Inventory:
        found = _found(engine)
        if next(looks):
            made.index("multi", tag, {"arm64": filled["arm64"]})
        return found if late else _found(engine)

    pushed = disposal.carry_out(gone, can, look)
    can.link(pushed, _found(engine))
    assert made.revision_link("multi", filled["arm64"]).exists()
    assert made.layer_link("multi", made.layer_of(filled["arm64"])).exists()
    assert not made.revision_link("multi", filled["index"]).exists()
    assert made.revision_link("multi", filled["amd64"]).exists() is False


def test_an_undo_leaves_alone_what_was_pushed_since(
    filled: dict[str, str], made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    gone = _go(can, _removal(engine, "app:2"), engine)
    new = made.image("app", "2", "new")
    disposal.undo(gone, can)
    assert made.tag_link("app", "2").read_text() == new
    assert made.revision_link("app", filled["two"]).exists()


@pytest.mark.usefixtures("filled")
def test_an_undo_brings_a_tag_back_into_a_folder_without_a_link(
    made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    link = made.tag_link("app", "2")
    was = link.read_text()
    gone = _go(can, _removal(engine, "app:2"), engine)
    link.parent.parent.mkdir()
    disposal.undo(gone, can)
    assert link.read_text() == was


def test_nothing_leads_to_a_content_that_is_not_there(made: MadeStorage, engine: FakeEngine, can: Trash) -> None:
    digest = made.image("app", "1", "a")
    layer = made.layer_of(digest)
    shutil.rmtree(made.path(layer).parent)
    gone = _go(can, _removal(engine, "app:1"), engine)
    assert not made.layer_link(gone.repository, layer).exists()
    assert made.revision_link(gone.repository, digest).exists()
    shutil.rmtree(made.path(digest).parent)
    disposal.undo(gone, can)
    assert not made.revision_link("app", digest).exists()


GOOD = {
    "number": 1,
    "when": 1,
    "state": "removed",
    "images": [],
    "tags": {},
    "manifests": {},
    "blobs": {},
    "needed": {},
    "frees": 0,
}
DIGEST = f"sha256:{'1' * 64}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": 2},
        {"number": None},
        {"state": "gone"},
        {"when": "x"},
        {"images": ["app:1", "\x1b[31mapp:2"]},
        {"images": [1]},
        {"images": None},
        {"tags": {"../x": {}}},
        {"tags": {"app": {"..": [DIGEST, 1]}}},
        {"tags": {"app": {"1": [f"../{DIGEST}", 1]}}},
        {"tags": {"app": {"1": DIGEST}}},
        {"manifests": {"app": ["sha256:../../x"]}},
        {"manifests": {"a b": [DIGEST]}},
        {"blobs": []},
        {"needed": {"app": ["x"]}},
    ],
)
def test_a_record_that_is_none_hides_no_other(wrong: dict[str, Any], made: MadeStorage, can: Trash) -> None:
    for number, record in ((1, {**GOOD, **wrong}), (2, {**GOOD, "number": 2}), (3, GOOD)):
        path: Path = made.folder / TRASH / str(number) / "record.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(record, indent=1))
    (made.folder / TRASH / "4" / "tags").mkdir(parents=True)
    (made.folder / TRASH / "5").mkdir()  # of a run that was killed before it wrote anything
    can.read()
    assert ([it.number for it in can.removals], can.unread) == ([2], [1, 3, 4])
    found = inventory.Inventory(listing.Listing(repositories={f"{TRASH}/7": listing.Repository()}))
    assert can.next_number(found) == 8


@pytest.mark.usefixtures("filled")
def test_a_shell_whose_task_was_killed_does_nothing_late(made: MadeStorage, engine: FakeEngine, can: Trash) -> None:
    gone = can.note(_removal(engine, "app:2"), GOING)
    disposal.undo(disposal.carry_out(gone, can, lambda: _found(engine)), can)
    before = _state(made)
    with pytest.raises(RegistryError):
        can.take(gone)
    assert _state(made) == before


@pytest.mark.usefixtures("filled")
def test_a_disk_that_is_full_half_way_changes_nothing(
    made: MadeStorage, engine: FakeEngine, can: Trash, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume, "_CHANGES", 1)
    before, stream, gone = _state(made), engine.stream, _removal(engine, "app:2", "multi:1")
    steps = 0

    def write(*args: Any) -> Iterator[bytes]:  # noqa: ANN401 - the engine's
        nonlocal steps
        if scripts.CHANGE in args[1] and args[1][-4] in {"link", "untag"}:
            steps -= 1
            if not steps:
                args[2].extend(b"mkdir: can't create directory 'x': No space left on device\n")
                return iter([])
        return stream(*args)

    for failing in range(1, 18):
        monkeypatch.setattr(engine, "stream", write)
        steps = failing
        with pytest.raises(RegistryError, match="No space left") as raised:
            _go(can, gone, engine)
        assert "./inv images.clean --now" in raised.value.cure
        monkeypatch.setattr(engine, "stream", stream)
        can.read()
        assert (_state(made), can.removals) == (before, [])


class _KilledError(Exception):
    """The task was killed."""


def _is_whole(made: MadeStorage, engine: FakeEngine, *names: str) -> bool:
    """Whether tags are there with links and contents of all that they need."""
    found = _found(engine)
    by_name = {f"{it.repository}:{it.name}": it for it in found.images}
    for name in names:
        image = by_name[name]
        links = [made.revision_link(image.repository, it) for it in found.needed(image.digest) if it in found.manifests]
        if not all(it.exists() for it in links) or not all(
            it in found.listing.blobs for it in found.needed(image.digest)
        ):
            return False
    return True


def _all_of_it(gone: Removal, can: Trash, engine: FakeEngine) -> None:
    disposal.undo(_go(can, gone, engine), can)


@pytest.mark.timeout(1200)  # each step alone is many shells
@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("collected", [False, True])
@pytest.mark.usefixtures("filled")
def test_whatever_step_it_is_killed_at_what_stays_is_whole_and_the_next_run_goes_on(  # noqa: PLR0913, PLR0917 - pytest's
    collected: bool,  # noqa: FBT001 - pytest's
    every: int,
    made: MadeStorage,
    engine: FakeEngine,
    can: Trash,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(volume, "_CHANGES", 1)
    before, stream = _state(made), engine.stream
    gone = _removal(engine, "app:2", "multi:1")
    backup = made.folder.with_name("backup")
    shutil.copytree(made.folder, backup)
    left, killed = 0, 0

    def step(*args: Any) -> Iterator[bytes]:  # noqa: ANN401 - the engine's
        nonlocal left
        if scripts.CHANGE in args[1]:  # the one that changes something
            if not left:
                raise _KilledError
            left -= 1
        return stream(*args)

    for killed in range(0, 100, every):
        monkeypatch.setattr(engine, "stream", step)
        left = killed
        with contextlib.suppress(_KilledError):
            _all_of_it(gone, can, engine)
            break
        monkeypatch.setattr(engine, "stream", stream)
        if collected:
            _collect(made, engine)
        assert _is_whole(made, engine, "app:1", "app:same")
        can.read()
        disposal.finish(can, lambda: _found(engine))
        assert _is_whole(made, engine, "app:1", "app:same")
        assert {it.state for it in can.removals} <= {REMOVED}
        for found in can.removals:
            disposal.undo(found, can)
        assert _state(made) == before, killed
        shutil.rmtree(made.folder)
        shutil.copytree(backup, made.folder)
    assert 20 < killed < 99


def test_an_index_goes_alone_where_its_images_have_tags_and_comes_back(
    made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    made.index("app", "1", {"amd64": made.image("app", "1-amd64", "a"), "arm64": made.image("app", "1-arm64", "b")})
    before = _state(made)
    gone = _go(can, _removal(engine, "app:1"), engine)
    _collect(made, engine)
    disposal.undo(gone, can)
    assert _state(made) == before


def test_what_another_removal_frees_later_is_kept_for_the_first(
    made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    made.image("app", "1", "a")
    made.image("app", "2", "a")
    first = _go(can, _removal(engine, "app:1"), engine)
    found = _found(engine)
    second = removal.of(retention.without(found.images, found), found, number=2, when=2.0)
    assert second.frees == 0 or second.frees < found.listing.folder * 20
    ended = disposal.give_up(disposal.carry_out(second, can, lambda: _found(engine)), can)
    can.let_go(ended)
    _collect(made, engine)
    can.forget(ended)
    disposal.undo(first, can)
    assert _is_whole(made, engine, "app:1")


def test_tags_are_kept_apart_whatever_repositories_are_called(
    made: MadeStorage, engine: FakeEngine, can: Trash
) -> None:
    made.image("a", "b", "1")
    made.image("a/b", "c", "2")
    made.image("a/record.json", "c", "3")
    before = _state(made)
    disposal.undo(_go(can, _removal(engine, "a:b", "a/b:c", "a/record.json:c"), engine), can)
    assert _state(made) == before


def test_a_shell_that_ends_before_its_steps_are_taken_is_an_error(
    made: MadeStorage, engine: FakeEngine, can: Trash, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.image("app", "1", "a")
    gone = _removal(engine, "app:1")
    monkeypatch.setattr(engine, "stream", lambda *_: iter([]))
    with pytest.raises(RegistryError, match="the shell ended"):
        can.take(gone)


def test_a_removal_of_thousands_is_read_again(made: MadeStorage, can: Trash) -> None:
    made.image("app", "1", "a")
    many = tuple(f"sha256:{it:064x}" for it in range(20_000))
    every = {"app": many}
    large = Removal(1, 1.0, GOING, (), {"app": {"1": (many[0], 1)}}, {"app": dict.fromkeys(many, 1)}, every, every, 5)
    noted = can.note(large, REMOVED)
    can.read()
    assert can.removals == [noted]
