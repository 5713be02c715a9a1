"""Archives that nobody here made: each is refused, nothing of it is believed, and nothing is written outside."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import shutil
import tarfile
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.recorder import Recorder
from trusted_registry.archives import loading, tar
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.process

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def _contents(path: Path) -> loading.Contents:
    with tar.opened(path) as archive, Recorder().progress("Reading") as progress:
        contents = loading.read(archive)
        loading.check(archive, progress)
        return contents


def _members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as made:
        return {it.name: (made.extractfile(it) or io.BytesIO()).read() for it in made}


def _write(
    path: Path, members: dict[str, bytes], *more: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT
) -> None:
    with tarfile.open(path, "w", format=form) as made:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
        for info, content in more:
            made.addfile(info, io.BytesIO(content))


def _blob(members: dict[str, bytes], content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    members[f"blobs/sha256/{digest}"] = content
    return f"sha256:{digest}"


def _entry(digest: str, size: int, name: str = "evil:1", kind: str = MANIFEST) -> dict[str, Any]:
    annotations = {"org.opencontainers.image.ref.name": name}
    return {"mediaType": kind, "digest": digest, "size": size, "annotations": annotations}


def _info(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0, pax: dict[str, str] | None = None
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    info.pax_headers = pax or {}
    return info


ODD = {
    "a path that leaves the folder": _info("../../etc/cron.d/x", size=1),
    "an absolute path": _info("/etc/cron.d/x", size=1),
    "a path that leaves the checkout": _info("trusted-registry/../../x", size=1),
    "a path that leaves by a folder": _info("blobs/../../x", size=1),
    "a symbolic link": _info("blobs/sha256/" + "0" * 64, tarfile.SYMTYPE, "/etc/shadow"),
    "a hard link": _info("blobs/sha256/" + "0" * 64, tarfile.LNKTYPE, "/etc/shadow"),
    "a device": _info("oci-layout", tarfile.CHRTYPE),
    "a block device": _info("blobs/sha256/" + "1" * 64, tarfile.BLKTYPE),
    "a queue": _info("blobs/sha256/" + "2" * 64, tarfile.FIFOTYPE),
    "a folder of another name": _info("etc", tarfile.DIRTYPE),
    "an unknown kind": _info("blobs/sha256/" + "3" * 64, b"Z"),
    "the same twice": _info("index.json", size=1),
    "a name with a line in it": _info("blobs/sha256/\x1b[31m\n", size=1),
    "holes": _info("blobs/sha256/" + "4" * 64, tarfile.GNUTYPE_SPARSE),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_member_that_is_no_part_of_an_archive_is_refused(odd: str, archive: Path, tmp_path: Path) -> None:
    before = {it.relative_to(tmp_path) for it in tmp_path.rglob("*")}
    _write(archive, _members(archive), (ODD[odd], b"x" * ODD[odd].size))
    with pytest.raises(RegistryError, match="cannot be used") as raised:
        _contents(archive)
    assert "\x1b" not in str(raised.value)
    assert {it.relative_to(tmp_path) for it in tmp_path.rglob("*")} == before


def test_a_file_with_holes_that_pax_describes_is_refused(archive: Path) -> None:
    holes = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(1 << 50)}
    holes |= {"GNU.sparse.map": f"{(1 << 50) - 1},1", "GNU.sparse.numblocks": "1"}
    odd = _info("blobs/sha256/" + "5" * 64, size=1, pax=holes)
    _write(archive, _members(archive), (odd, b"x"), form=tarfile.PAX_FORMAT)
    with pytest.raises(RegistryError, match="cannot be used"):
        _contents(archive)


def test_a_small_file_that_would_become_a_large_one_is_refused(archive: Path) -> None:
    archive.write_bytes(gzip.compress(archive.read_bytes()))
    with pytest.raises(RegistryError, match="no archive"):
        _contents(archive)


def test_a_size_beyond_the_end_is_refused(archive: Path) -> None:
    info = _info("blobs/sha256/" + "6" * 64, size=1 << 60)
    end = archive.read_bytes().rstrip(b"\0")
    end += b"\0" * (-len(end) % 512)
    archive.write_bytes(end + info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024)
    with pytest.raises(RegistryError, match="cut"):
        _contents(archive)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_name_of_megabytes_is_not_read(form: int, archive: Path) -> None:
    _write(archive, _members(archive), (_info(f"trusted-registry/{'x' * (8 << 20)}", size=1), b"x"), form=form)
    tracemalloc.start()
    with pytest.raises(RegistryError, match="too long"):
        _contents(archive)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_many_descriptions_of_one_file_are_refused(archive: Path) -> None:
    long = _info("L" * 100, tarfile.GNUTYPE_LONGNAME, size=400)
    _write(archive, _members(archive), *[(long, b"x" * 400)] * 50)
    with pytest.raises(RegistryError, match="too long"):
        _contents(archive)


@pytest.mark.parametrize("header", [{"size": "nan"}, {"size": "1" * 300}, {"path": "etc/passwd"}, {"comment": "x"}])
def test_a_description_of_all_files_that_follow_is_refused(header: dict[str, str], archive: Path) -> None:
    members = _members(archive)
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT, pax_headers=header) as made:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    with pytest.raises(RegistryError, match="cannot be used"):
        _contents(archive)


def test_a_long_name_of_an_image_takes_no_time(archive: Path) -> None:
    members = _members(archive)
    index = json.loads(members["index.json"])
    index["manifests"][0]["annotations"] = {"io.containerd.image.name": "." * 500_000}
    members["index.json"] = json.dumps(index).encode()
    begun = time.monotonic()
    _write(archive, members)
    with pytest.raises(RegistryError, match="cannot be used"):
        _contents(archive)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("named", "reference"),
    [
        ("192.0.2.1/app:1", "app:1"),
        ("localhost/app:1", "app:1"),
        ("host:5000/team/my.app/x:1", "team/my.app/x:1"),
        ("team/my.app/x:1", "team/my.app/x:1"),
        ("mylocalhost/x:1", "mylocalhost/x:1"),
    ],
)
def test_a_name_of_others_loses_its_host_alone(named: str, reference: str, archive: Path) -> None:
    members = _members(archive)
    index = json.loads(members["index.json"])
    one = next(it for it in index["manifests"] if ":" in it["annotations"]["org.opencontainers.image.ref.name"])
    one["annotations"] = {"io.containerd.image.name": named}
    members["index.json"] = json.dumps({"manifests": [one]}).encode()
    del members["SHA256SUMS"], members["trusted-registry.json"]
    _write(archive, members)
    assert [it.reference for it in _contents(archive).entries] == [reference]


@pytest.mark.parametrize("name", ["index.json", "trusted-registry.json", "a manifest"])
def test_many_small_parts_take_little_memory(name: str, archive: Path) -> None:
    members = _members(archive)
    content = b'{"manifests": [' + b"{}," * 1_300_000 + b"{}]}"
    if name == "a manifest":
        members["index.json"] = json.dumps({"manifests": [_entry(_blob(members, content), 1, kind=INDEX)]}).encode()
    else:
        members[name] = content
    _write(archive, members)
    tracemalloc.start()
    with contextlib.suppress(RegistryError):
        _contents(archive)
    assert tracemalloc.get_traced_memory()[1] < 40 << 20
    tracemalloc.stop()


def test_a_digest_of_two_types_is_refused(archive: Path) -> None:
    members = _members(archive)
    one = _blob(members, json.dumps({"mediaType": MANIFEST, "layers": []}).encode())
    entries = [_entry(one, 1, name="a:1"), _entry(one, 1, name="b:1", kind=INDEX)]
    members["index.json"] = json.dumps({"manifests": entries}).encode()
    del members["SHA256SUMS"], members["trusted-registry.json"]
    _write(archive, members)
    with pytest.raises(RegistryError, match="two types"):
        _contents(archive)


def test_holes_that_are_cut_are_refused(archive: Path) -> None:
    holes = bytearray(_info("blobs/sha256/" + "4" * 64, tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    holes[482] = 1  # more of them in a block that follows, which is not there (GNU tar, struct oldgnu_header)
    holes[148:156] = b"%06o\0 " % (sum(holes[:148]) + sum(holes[156:512]) + 8 * 32)
    end = archive.read_bytes().rstrip(b"\0")
    archive.write_bytes(end + b"\0" * (-len(end) % 512) + holes)
    with pytest.raises(RegistryError, match="cannot be used"):
        _contents(archive)


@pytest.mark.parametrize("deep", [3, 6])
def test_an_index_that_names_the_same_again_and_again_is_followed_once(deep: int, archive: Path) -> None:
    members = _members(archive)
    one, kind = _blob(members, json.dumps({"mediaType": MANIFEST, "layers": []}).encode()), MANIFEST
    for _ in range(deep):
        children = [{"mediaType": kind, "digest": one, "size": 1}] * 1000
        one, kind = _blob(members, json.dumps({"mediaType": INDEX, "manifests": children}).encode()), INDEX
    members["index.json"] = json.dumps({"manifests": [_entry(one, 1, kind=INDEX)]}).encode()
    del members["SHA256SUMS"], members["trusted-registry.json"]
    _write(archive, members)
    begun = time.monotonic()
    contents = _contents(archive)
    assert (len(contents.manifests), time.monotonic() - begun < 5) == (deep + 1, True)


def test_images_with_too_many_parts_are_refused(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_MOST", 10)
    with pytest.raises(RegistryError, match="too many parts"):
        _contents(archive)


def _nested(deep: int) -> Callable[[dict[str, bytes], dict[str, Any]], None]:
    def change(members: dict[str, bytes], index: dict[str, Any]) -> None:
        digest, size = _blob(members, json.dumps({"mediaType": INDEX, "manifests": []}).encode()), 0
        for _ in range(deep):
            child = {"mediaType": INDEX, "digest": digest, "size": size}
            digest = _blob(members, json.dumps({"mediaType": INDEX, "manifests": [child]}).encode())
        index["manifests"].append(_entry(digest, 9, kind=INDEX))

    return change


def _add(entry: dict[str, Any]) -> Callable[[dict[str, bytes], dict[str, Any]], None]:
    return lambda _, index: index["manifests"].append(entry)


def _leads(content: dict[str, Any]) -> Callable[[dict[str, bytes], dict[str, Any]], None]:
    def change(members: dict[str, bytes], index: dict[str, Any]) -> None:
        index["manifests"].append(_entry(_blob(members, json.dumps(content).encode()), 9, kind=content["mediaType"]))

    return change


NONE = f"sha256:{'0' * 64}"
WRONG = {
    "a digest that is not there": _add(_entry(NONE, 1)),
    "a digest of another kind": _add(_entry(f"sha512:{'0' * 128}", 1)),
    "a digest with a path in it": _add(_entry("sha256:../../../etc/passwd", 1)),
    "a repository with a path in it": _add(_entry(NONE, 1, "../x:1")),
    "a repository with a line in it": _add(_entry(NONE, 1, "a\n:1")),
    "no name": _add({"mediaType": MANIFEST, "digest": NONE, "size": 1}),
    "a name of another kind": _add({**_entry(NONE, 1), "annotations": {"org.opencontainers.image.ref.name": 1}}),
    "a tag alone": _add(_entry(NONE, 1, "1.0")),
    "a digest as a name that is another": _add(_entry(NONE, 1, f"app@sha256:{'1' * 64}")),
    "a negative size": _add(_entry(NONE, -1)),
    "a size that is none": _add({**_entry(NONE, 1), "size": "1"}),
    "a media type that nobody knows": _add(_entry(NONE, 1, kind="text/html")),
    "a list in its place": _add([]),  # type: ignore[arg-type]
    "null in its place": _add(None),  # type: ignore[arg-type]
    "a layer that is not there": _leads({"mediaType": MANIFEST, "layers": [{"digest": NONE, "size": 1}]}),
    "a layer with a path in it": _leads(
        {"mediaType": MANIFEST, "config": {"digest": f"sha512:{'0' * 128}", "size": 1}}
    ),
    "an index that leads nowhere": _leads({"mediaType": INDEX, "manifests": [_entry(NONE, 1)]}),
    "an index of what is no image": _leads({"mediaType": INDEX, "manifests": [{"digest": NONE, "size": 1}]}),
    "indexes in indexes": _nested(40),
    "indexes in indexes, ever so many": _nested(2000),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_index_that_leads_astray_is_refused(wrong: str, archive: Path) -> None:
    members = _members(archive)
    index = json.loads(members["index.json"])
    WRONG[wrong](members, index)
    members["index.json"] = json.dumps(index).encode()
    _write(archive, members)
    with pytest.raises(RegistryError, match="cannot be used"):
        _contents(archive)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"manifests": 1}', b'{"manifests": {"a": 1}}', b"[" * 100_000, b"\xff", b"x" * (17 << 20)]
)
@pytest.mark.parametrize("name", ["index.json", "trusted-registry.json"])
def test_a_file_of_an_archive_that_is_none_is_refused(name: str, content: bytes, archive: Path) -> None:
    _write(archive, {**_members(archive), name: content})
    with pytest.raises(RegistryError, match="cannot be used"):
        _contents(archive)


@pytest.mark.parametrize(
    "about",
    [
        {"format": 2},
        {"format": 1, "made": "x"},
        {"format": 1, "made": 1, "registry": "", "installation": "", "authority": "", "elsewhere": {"x": ["app"]}},
        {"format": 1, "made": 1, "registry": "", "installation": "", "authority": "", "elsewhere": {NONE: ["../x"]}},
        {"format": 1, "made": 1, "registry": "", "installation": "", "authority": "", "elsewhere": {NONE: 1}},
        {"format": 1, "made": 1, "registry": "", "installation": "", "authority": "", "elsewhere": {NONE: "abc"}},
    ],
)
def test_what_an_archive_says_of_itself_is_checked(about: dict[str, Any], archive: Path) -> None:
    _write(archive, {**_members(archive), "trusted-registry.json": json.dumps(about).encode()})
    with pytest.raises(RegistryError, match="cannot be used"):
        _contents(archive)


def test_what_another_program_made_is_read_too(archive: Path) -> None:
    members = _members(archive)
    del members["trusted-registry.json"], members["manifest.json"], members["SHA256SUMS"]
    index = json.loads(members["index.json"])
    first = index["manifests"][0]
    first["annotations"] = {
        "io.containerd.image.name": "docker.io/library/app:7",
        "org.opencontainers.image.ref.name": "7",
    }
    members["index.json"] = json.dumps(index).encode()
    _write(archive, members)
    assert _contents(archive).entries[0].reference == "library/app:7"


@pytest.mark.parametrize(
    "sums", [b"", b"x", b"\xff\n", f"{'0' * 64}  index.json\n".encode(), f"{'0' * 64}  ../../etc/passwd\n".encode()]
)
def test_sums_that_name_other_files_or_other_contents_are_refused(sums: bytes, archive: Path) -> None:
    members = _members(archive)
    for content in (sums, members["SHA256SUMS"] + sums, members["SHA256SUMS"] * 2):
        _write(archive, {**members, "SHA256SUMS": content})
        if content != members["SHA256SUMS"]:
            with pytest.raises(RegistryError, match="cannot be used"):
                _contents(archive)
    _write(archive, members)
    assert _contents(archive).entries


def test_without_sums_an_archive_of_this_project_is_refused(archive: Path) -> None:
    members = _members(archive)
    del members["SHA256SUMS"]
    _write(archive, members)
    with pytest.raises(RegistryError, match="cannot be used"):
        _contents(archive)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(some.data())
def test_whatever_is_changed_in_an_archive_it_is_refused_or_the_same(archive: Path, data: some.DataObject) -> None:
    kept = archive.with_name("kept.tar")
    if not kept.exists():
        shutil.copy(archive, kept)
    good = kept.read_bytes()
    begins = [it for it in range(0, len(good), 512) if good[it + 257 : it + 262] == b"ustar"]
    at = data.draw(some.one_of(some.integers(0, len(good) - 1), some.sampled_from(begins).map(lambda it: it)))
    at = min(at + data.draw(some.integers(0, 600)), len(good) - 1)
    kind = data.draw(some.sampled_from(["byte", "cut", "zeros", "doubled", "random"]))
    size = data.draw(some.integers(1, 2048))
    changed = {
        "byte": good[:at] + bytes([good[at] ^ data.draw(some.integers(1, 255))]) + good[at + 1 :],
        "cut": good[:at],
        "zeros": good[:at] + b"\0" * size + good[at + size :],
        "doubled": good[:at] + good[at : at + size] + good[at:],
        "random": good[:at] + data.draw(some.binary(min_size=1, max_size=64)) + good[at + 64 :],
    }[kind]
    archive.write_bytes(changed)
    before = _contents(kept)
    try:
        after = _contents(archive)
    except RegistryError:
        return
    assert after.entries == before.entries
    assert after.manifests == before.manifests
    assert after.blobs == before.blobs
