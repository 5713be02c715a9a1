"""Removals in a bucket that are killed at any change: what stays is whole, and the next run goes on."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.images.memory_bucket import KilledError, Memory
from tests.recorder import Recorder
from trusted_registry.images import disposal, inventory, objects, removal, retention
from trusted_registry.images.listing import TRASH, path_of
from trusted_registry.images.objects import FOLDER, Objects
from trusted_registry.images.removal import ENDING, REMOVED, Removal
from trusted_registry.images.trash import Trash

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.images.storages import MadeStorage

STAYS = ("app:1", "app:same")
_MOST = 400
"""Changes of a removal, at most."""


@pytest.fixture
def bucket(made: MadeStorage, monkeypatch: pytest.MonkeyPatch) -> Memory:
    """Two images that share a layer, one with two tags; an index; a manifest without a tag."""
    monkeypatch.setattr(disposal, "SETTLES", 0.0)
    monkeypatch.setattr(objects, "AT_ONCE", 1)  # so that each change has its place
    made.image("app", "1", "a")
    made.image("app", "same", "a")
    made.image("app", "2", "b")
    made.image("app", "2", "c")
    made.index("multi", "1", {it: made.image("multi", "", it) for it in ("amd64", "arm64")})
    return filled(made)


def filled(made: MadeStorage) -> Memory:
    """Return a bucket with all that is in a storage."""
    found = Memory()
    for path in made.root.rglob("*"):
        if path.is_file():
            found.write(FOLDER + str(path.relative_to(made.root)), path.read_bytes())
    found.now += 10
    return found


def look(bucket: Memory) -> inventory.Inventory:
    """Return all images."""
    return inventory.find(Objects(bucket))


def state(bucket: Memory) -> dict[str, bytes]:
    """Return the registry's own links, and all contents."""
    return {path: it for path, (it, _) in bucket.held.items() if path.startswith(FOLDER) and TRASH not in path}


def collect(bucket: Memory) -> None:
    """Remove what a collection would: all that no manifest needs, of a repository with a folder of layers."""
    found = look(bucket)
    repositories = [it for it in found.listing.repositories.values() if it.layers]
    kept = {it for one in repositories for digest in one.revisions for it in found.needed(digest)}
    bucket.remove([FOLDER + path_of(it) for it in {*found.listing.blobs} - kept])


def whole(bucket: Memory) -> set[str]:
    """Return the tags that are there with all that they need, and whose repository knows their manifest."""
    found = look(bucket)
    known = {name: it.revisions for name, it in found.listing.repositories.items()}
    return {
        f"{it.repository}:{it.name}" for it in found.images if found.is_whole(it) and it.digest in known[it.repository]
    }


def chosen(bucket: Memory) -> Removal:
    """Return the removal of all that does not stay."""
    found = look(bucket)
    goes = [it for it in found.images if f"{it.repository}:{it.name}" not in STAYS]
    assert len(goes) == 3, "a manifest without a tag among them"
    return removal.of(retention.without(goes, found), found, number=1, when=1.0)


def free(trash: Trash, gone: Removal, bucket: Memory) -> None:
    """Free the bytes of a removal."""
    ended = disposal.give_up(gone, trash)
    for it in [*trash.removals, ended]:
        trash.link(it, look(bucket))
    trash.let_go(ended)
    collect(bucket)
    trash.forget(ended)


def killed(deed: Callable[[], object], bucket: Memory, at: int) -> bool:
    """Do something that is killed at a change; whether it came so far."""
    bucket.left = at
    with contextlib.suppress(KilledError):
        deed()
        bucket.left = None
        return False
    bucket.left = None
    return True


def test_a_removal_that_is_killed_at_any_change_comes_back_as_it_was(bucket: Memory) -> None:
    before, held, gone = state(bucket), dict(bucket.held), chosen(bucket)
    at = 0

    def go_and_come_back() -> None:
        trash = Trash(Objects(bucket), Recorder())
        disposal.undo(disposal.carry_out(gone, trash, lambda: look(bucket)), trash)

    for at in range(_MOST):
        bucket.held = dict(held)
        if not killed(go_and_come_back, bucket, at):
            break
        collect(bucket)  # by anybody
        assert whole(bucket) >= {*STAYS}, at
        trash = Trash(Objects(bucket), Recorder())
        disposal.finish(trash, lambda: look(bucket))
        assert whole(bucket) >= {*STAYS}, at
        assert {it.state for it in trash.removals} <= {REMOVED}
        for it in trash.removals:
            disposal.undo(it, trash)
        assert state(bucket) == before, at
    assert 60 < at < _MOST - 1


def test_a_removal_that_is_killed_while_it_is_freed_is_freed_by_the_next_run(bucket: Memory) -> None:
    gone = disposal.carry_out(chosen(bucket), Trash(Objects(bucket), Recorder()), lambda: look(bucket))
    held, at = dict(bucket.held), 0
    for at in range(_MOST):
        bucket.held = dict(held)
        trash = Trash(Objects(bucket), Recorder())
        if not killed(lambda trash=trash: free(trash, gone, bucket), bucket, at):  # type: ignore[misc]  # mypy 1's
            break
        assert whole(bucket) == {*STAYS}, at
        trash.read()
        for it in trash.removals:
            assert it.state in {REMOVED, ENDING}
            free(trash, it, bucket)
        assert whole(bucket) == {*STAYS}, at
        left = {*look(bucket).listing.blobs}
        assert left == {it for image in look(bucket).images for it in look(bucket).needed(image.digest)}, at
        assert not any(TRASH in it for it in bucket.held), at
    assert 15 < at < _MOST - 1


def test_an_image_without_layers_is_kept_from_a_collection_and_comes_back(made: MadeStorage) -> None:
    made.put("bare", "1", {"schemaVersion": 2, "layers": []})
    made.link(made.layer_link("bare", made.blob(b"of nothing")), "")
    bucket = filled(made)
    found, trash = look(bucket), Trash(Objects(bucket), Recorder())
    gone = removal.of(retention.without(found.images, found), found, number=1, when=1.0)
    disposal.carry_out(gone, trash, lambda: look(bucket))
    assert (whole(bucket), any("repositories/bare/" in it for it in bucket.held)) == (set(), False)
    collect(bucket)
    disposal.undo(gone, trash)
    collect(bucket)
    assert whole(bucket) == {"bare:1"}
