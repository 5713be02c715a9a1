"""Each thing in a storage is what it is, and takes what du finds."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.fake_engine import NAME
from tests.images.storages import DOCKER, LIST
from trusted_registry.errors import RegistryError
from trusted_registry.images import inventory, listing, manifest, usage
from trusted_registry.images.manifest import Kind
from trusted_registry.images.volume import VolumeStorage
from trusted_registry.registry.prove import REPOSITORY as PROOF

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fake_engine import FakeEngine
    from tests.images.storages import MadeStorage

pytestmark = pytest.mark.process


def test_each_thing_is_shown_as_what_it_is(made: MadeStorage, engine: FakeEngine) -> None:
    one, other = made.image("app", "1", "a"), made.image("team/app", "", "b", architecture="arm64")
    child, alone = made.image("multi", "", "c"), made.image("multi", "", "d", architecture="arm64")
    both = made.index("multi", "2", {"amd64": child, "arm64": alone})
    listed = made.index("old", "list", {"amd64": made.image("old", "", "e", kind=DOCKER)}, LIST)
    made.signature("app", one, tagged=True)
    made.signature("app", one, tagged=False)
    made.image(PROOF, "0a1b2c3d", "proof")
    (made.repository("bare") / "_layers").mkdir(parents=True)

    found = inventory.find(VolumeStorage(NAME, engine), with_configs=True)
    kinds = [(it.repository, it.kind, it.is_tagged, it.digest) for it in found.images]
    assert ("app", Kind.IMAGE, True, one) in kinds
    assert ("team/app", Kind.IMAGE, False, other) in kinds
    assert [it for it in kinds if it[0] == "multi"] == [("multi", Kind.INDEX, True, both)]
    assert [it for it in kinds if it[0] == "old"] == [("old", Kind.INDEX, True, listed)]
    assert sorted(it[2] for it in kinds if it[1] is Kind.SIGNATURE) == [False, True]
    assert len(found.signatures(next(it for it in found.images if it.name == "1"))) == 2
    assert inventory.empty(found) == ["bare"]
    assert not [it for it in found.images if it.repository == PROOF]
    assert found.platforms(both) == ["linux/amd64", "linux/arm64"]
    assert found.platforms(other) == ["linux/arm64"]
    assert found.size(both) > found.size(one)


def _du(folder: Path) -> int:
    return int(subprocess.run(["du", "-s", "-B1", str(folder)], capture_output=True, check=True).stdout.split()[0])


@pytest.mark.parametrize("deleted", ["1", "2"])
def test_what_is_freed_is_what_du_finds_afterwards(deleted: str, made: MadeStorage, engine: FakeEngine) -> None:
    shared = made.image("app", "1", "a")
    made.image("app", "2", "b")
    made.put("app", "3", {"schemaVersion": 2, **_parts(made, shared)})
    found = inventory.find(VolumeStorage(NAME, engine))
    measured = usage.measure(found)
    image = next(it for it in found.images if it.name == deleted)
    others = set[str]().union(*(found.needed(it.digest) for it in found.images if it.name != deleted))
    before = _du(made.root)
    for digest in found.needed(image.digest) - others:
        shutil.rmtree(made.path(digest).parent)
    shutil.rmtree(made.tag_link("app", deleted).parent.parent)
    made.revision_link("app", image.digest).unlink()
    assert before - _du(made.root) == measured.images[image].own > 0
    assert (measured.images[image].shared_bytes > 0) is (deleted == "1")


def _parts(made: MadeStorage, digest: str) -> dict[str, object]:
    content = manifest.json_object(made.path(digest).read_bytes())
    return {key: content[key] for key in ("config", "layers")}


def test_what_nothing_needs_is_told_apart(made: MadeStorage, engine: FakeEngine) -> None:
    made.image("app", "1", "a")
    made.image("app", "", "untagged")
    before = usage.measure(inventory.find(VolumeStorage(NAME, engine)))
    lost = made.blob(b"x" * 100_000)
    made.upload("app", "11111111", b"y" * 50_000)
    (made.repository("app") / "link.1234.tmp").write_bytes(b"z" * 9000)
    after = usage.measure(inventory.find(VolumeStorage(NAME, engine)))
    assert after.unneeded - before.unneeded == made.path(lost).stat().st_blocks * 512 + 4096
    assert (before.uploads, before.strays, before.unneeded) == (0, 0, 0)
    assert (after.uploads, after.strays) == (53_248, 12_288)
    assert after.untagged == before.untagged > 0
    assert after.total - before.total == after.unneeded + after.uploads + after.strays


def test_a_storage_in_which_nothing_was_ever_pushed_is_empty(made: MadeStorage, engine: FakeEngine) -> None:
    assert inventory.find(VolumeStorage(NAME, engine)).images == []
    made.root.mkdir(parents=True)
    assert usage.measure(inventory.find(VolumeStorage(NAME, engine))).total == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"manifests": 7}', b'{"config": {"digest": "x"}}'])
def test_what_is_no_manifest_is_of_no_known_kind(content: bytes, made: MadeStorage, engine: FakeEngine) -> None:
    digest = made.blob(content)
    made.link(made.revision_link("app", digest), digest)
    made.link(made.tag_link("app", "odd"), digest)
    (image,) = inventory.find(VolumeStorage(NAME, engine)).images
    assert (image.name, image.kind) == ("odd", Kind.UNKNOWN)


def test_a_manifest_that_leads_back_to_itself_comes_to_an_end() -> None:
    there, back = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    made = inventory.Inventory(listing.Listing())
    made.manifests = {it: _leading(it, to) for it, to in ((there, back), (back, there))}
    assert made.needed(there) == {there, back}


def _leading(digest: str, to: str) -> manifest.Manifest:
    return manifest.Manifest(digest, 1, Kind.INDEX, children=(manifest.Descriptor(to, 1),))


def test_a_manifest_larger_than_a_registry_takes_is_not_read(made: MadeStorage, engine: FakeEngine) -> None:
    made.put("app", "large", {"annotations": {"text": "x" * (manifest.LARGEST + 1)}})
    (image,) = inventory.find(VolumeStorage(NAME, engine)).images
    assert image.manifest is None


def test_every_allowed_name_is_read(made: MadeStorage, engine: FakeEngine) -> None:
    name, tag = "a/b-c/d__e/f.g/h---i/" + "j" * 200, "A_b.C-" + "9" * 120
    made.image(name, tag)
    (image,) = inventory.find(VolumeStorage(NAME, engine)).images
    assert (image.repository, image.name) == (name, tag)


def test_what_goes_while_it_is_read_takes_nothing_else_with_it(made: MadeStorage, engine: FakeEngine) -> None:
    kept = [made.image("app", str(number), str(number)) for number in range(5)]
    listed = VolumeStorage(NAME, engine).files()
    made.path(kept[2]).unlink()
    assert set(inventory.contents(kept, listed, VolumeStorage(NAME, engine))) == set(kept) - {kept[2]}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("", "nothing was said"),
        ("repositories/app/_layers\n", "could not be listed"),
        ('OCI runtime exec failed: exec failed: "/bin/sh": stat /bin/sh: no such file or directory\n', "exec failed"),
    ],
)
def test_a_listing_that_was_cut_short_is_none(
    said: str, wrong: str, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "stream", lambda *_: iter([said.encode()]))
    with pytest.raises(RegistryError, match=wrong):
        VolumeStorage(NAME, engine).files()


def test_what_goes_while_it_is_listed_is_no_error(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    said = b"stat: can't stat 'x/_uploads/1/startedat': No such file or directory\nfind: x: Permission denied\n"

    def stream(_: str, __: object, errors: bytearray) -> Iterator[bytes]:
        yield b"a"
        errors += said
        yield b"ll\n"

    monkeypatch.setattr(engine, "stream", stream)
    assert VolumeStorage(NAME, engine).files().unread == ["find: x: Permission denied"]


def test_a_listing_may_be_bounded_in_time(made: MadeStorage, engine: FakeEngine) -> None:
    made.image("app", "1")
    bounded = VolumeStorage(NAME, engine).files(seconds=5)
    assert (bounded.blobs, bounded.repositories) == _both(VolumeStorage(NAME, engine).files())
    assert bounded.blobs


def _both(found: listing.Listing) -> tuple[object, object]:
    return found.blobs, found.repositories


def test_the_free_bytes_are_the_disk_s(made: MadeStorage, engine: FakeEngine) -> None:
    made.image("app", "1")
    disk = os.statvfs(made.folder)
    free = VolumeStorage(NAME, engine).files().free
    assert free is not None
    assert abs(free - disk.f_bavail * disk.f_frsize) < 1 << 30


def test_a_registry_that_does_not_run_is_an_error(engine: FakeEngine) -> None:
    engine.retire(NAME)
    with pytest.raises(RegistryError, match="not running"):
        inventory.find(VolumeStorage(NAME, engine))
