"""Archives: each image with its digest, for plain tar and others' programs too; and nothing half-written stays."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.archives.conftest import fill, found, save
from tests.images.storages import INDEX
from tests.recorder import Recorder
from trusted_registry.archives import large_file, layout, loading, saving, source, tar
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fake_engine import FakeEngine
    from tests.images.storages import MadeStorage

pytestmark = pytest.mark.process


def _read(path: Path) -> loading.Contents:
    with tar.opened(path) as archive, Recorder().progress("Reading") as progress:
        contents = loading.read(archive)
        loading.check(archive, progress)
        return contents


def test_every_image_is_in_an_archive_with_all_that_it_needs(
    made: MadeStorage, engine: FakeEngine, archive: Path
) -> None:
    contents = _read(archive)
    assert {(it.repository, it.name, it.digest) for it in contents.entries} == {
        (it.repository, it.name, it.digest) for it in found(engine).images
    }
    assert {*contents.blobs} == {blob.digest for it in found(engine).manifests.values() for blob in it.blobs}
    assert contents.blobs[made.layer_of(made.tag_link("app", "1").read_text())] == ("app", "other")
    with tar.opened(archive) as opened:
        assert layout.about(opened).registry == "192.0.2.9"


def test_tar_unpacks_it_and_every_content_is_where_the_layout_wants_it(archive: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "--extract", "--file", archive, "--directory", tmp_path], check=True)
    index = json.loads((tmp_path / "index.json").read_text())
    assert json.loads((tmp_path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    names = {it["annotations"]["org.opencontainers.image.ref.name"] for it in index["manifests"]}
    assert {"app:1", "app:same", "multi:1", "other:1"} <= names
    for blob in (tmp_path / "blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    listed = json.loads((tmp_path / "manifest.json").read_text())
    assert ["app:1"] in [it["RepoTags"] for it in listed]
    assert all((tmp_path / it["Config"]).is_file() for it in listed)


def test_only_its_owner_reads_it_and_beside_it_is_its_index(archive: Path) -> None:
    assert archive.stat().st_mode & 0o777 == 0o600
    known = saving.read_index(saving.index_path(archive))
    with tarfile.open(archive) as made:
        blobs = {f"sha256:{it.name.rpartition('/')[2]}" for it in made if it.name.startswith("blobs/")}
    assert known == blobs


def test_the_next_one_leaves_out_what_the_one_before_has(
    made: MadeStorage, engine: FakeEngine, archive: Path, tmp_path: Path
) -> None:
    layer = made.image("new", "1", "new")
    base = saving.read_index(saving.index_path(archive))
    chosen = save(tmp_path / "next.tar", made, engine, base)
    contents = _read(tmp_path / "next.tar")
    assert made.layer_of(layer) in chosen.contents
    assert (tmp_path / "next.tar").stat().st_size < archive.stat().st_size / 2
    assert {*contents.elsewhere} == {*contents.blobs} - {*chosen.contents}
    assert saving.read_index(saving.index_path(tmp_path / "next.tar")) > base


def test_a_content_that_is_damaged_ends_it_and_the_archive_before_stays(
    made: MadeStorage, engine: FakeEngine, archive: Path
) -> None:
    before = archive.read_bytes()
    made.path(made.layer_of(made.tag_link("app", "1").read_text())).write_bytes(b"b" * 50_000)
    with pytest.raises(RegistryError, match="is damaged, or gone"):
        save(archive, made, engine)
    assert archive.read_bytes() == before
    assert {it.name for it in archive.parent.iterdir() if it.is_file()} == {"images.tar", "images.tar.index"}


@pytest.mark.parametrize("change", ["larger", "gone", "link"])
def test_a_content_that_changes_meanwhile_ends_it(
    change: str, made: MadeStorage, engine: FakeEngine, tmp_path: Path
) -> None:
    digest = made.image("app", "1", "a")
    every = found(engine)
    chosen, path = saving.select(every.images, every), made.path(made.layer_of(digest))
    if change == "larger":
        path.write_bytes(path.read_bytes() * 2)
    else:
        path.unlink()
    if change == "link":
        path.symlink_to("/etc/passwd")
    with pytest.raises(RegistryError), Recorder().progress("Reading") as progress:
        saving.save(tmp_path / "x.tar", chosen, source.Files(made.root), layout.About(1.0), progress)
    assert not [it for it in tmp_path.iterdir() if "x.tar" in it.name]


def test_a_disk_without_room_is_told_before_anything_is_written(
    made: MadeStorage, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(made)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(RegistryError, match="No space left"):
        save(tmp_path / "x.tar", made, engine)
    assert not [it for it in tmp_path.iterdir() if "x.tar" in it.name]


def test_what_a_killed_run_left_is_replaced(made: MadeStorage, engine: FakeEngine, tmp_path: Path) -> None:
    made.image("app", "1", "a")
    (tmp_path / ".x.tar.part").write_bytes(b"x" * 5_000_000)
    save(tmp_path / "x.tar", made, engine)
    assert len(_read(tmp_path / "x.tar").entries) == 1
    assert not (tmp_path / ".x.tar.part").exists()


def test_files_are_read_only_where_this_user_has_them_in_reach(made: MadeStorage, tmp_path: Path) -> None:
    from trusted_registry.engine.types import Volume

    made.image("app", "1", "a")
    assert source.files_of(Volume("images", "", folder=str(made.folder))) == source.Files(made.root)
    assert source.files_of(Volume("images", "", folder=str(tmp_path / "none"))) is None
    assert source.files_of(None) is None


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff" * 200, b"x\n", b"# contents of an archive of trusted-registry, format 2\n"]
)
def test_a_file_that_is_no_index_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.index").write_bytes(content)
    with pytest.raises(RegistryError, match="no index"):
        saving.read_index(tmp_path / "x.index")


def test_large_files_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    def begin() -> Iterator[int]:
        with large_file.new(tmp_path / "x", 1) as file:
            os.write(file, b"half")
            yield file
            raise ConnectionRefusedError  # which is no error of this file

    begun = begin()
    next(begun)
    assert (tmp_path / ".x.part").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConnectionRefusedError):
        next(begun)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_half_way_is_named_and_nothing_stays(
    made: MadeStorage, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(made)
    real, left = os.pwrite, [40]

    def pwrite(*its: Any) -> int:  # noqa: ANN401 - os.pwrite's
        left[0] -= 1
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*its)

    monkeypatch.setattr(os, "pwrite", pwrite)
    folder = tmp_path / "there"
    folder.mkdir()
    with pytest.raises(RegistryError, match=r"images\.tar cannot be written: No space left"):
        save(folder / "images.tar", made, engine)
    assert list(folder.iterdir()) == []


def test_a_manifest_that_does_not_name_its_type_is_carried_as_one_of_oci(
    made: MadeStorage, engine: FakeEngine, tmp_path: Path
) -> None:
    content = json.loads(made.path(made.image("app", "1", "a")).read_bytes())
    del content["mediaType"]
    digest = made.put("app", "plain", content)
    save(tmp_path / "images.tar", made, engine)
    (entry,) = (it for it in _read(tmp_path / "images.tar").entries if it.name == "plain")
    assert (entry.digest, entry.media_type) == (digest, "application/vnd.oci.image.manifest.v1+json")


@pytest.mark.parametrize("odd", ["a layer by another digest", "a type of manifest", "a type of an image of an index"])
def test_what_no_archive_can_carry_is_known_before(odd: str, made: MadeStorage, engine: FakeEngine) -> None:
    one = made.image("app", "good", "a")
    content = json.loads(made.path(one).read_bytes())
    if odd == "a layer by another digest":
        layer = b"b" * 50_000
        held, named = made.blob(layer), f"sha512:{hashlib.sha512(layer).hexdigest()}"
        made.link(made.layer_link("app", named), held)
        content["layers"] = [{**content["layers"][0], "digest": named}]
    elif odd == "a type of manifest":
        content["mediaType"] = "application/vnd.docker.distribution.manifest.v1+json"
    else:
        child = {"mediaType": "text/plain", "digest": one, "size": made.path(one).stat().st_size}
        content = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [child]}
    made.put("app", "odd", content)
    every = found(engine)
    carried = {it.name: saving.is_carried(it, every) for it in every.images}
    assert (carried["good"], carried["odd"]) == (True, False)
