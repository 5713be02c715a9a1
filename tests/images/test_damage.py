"""Each kind of damage is found, and what can be mended here is sound afterwards; a sound storage is clean."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.fake_engine import NAME
from tests.images.storages import MANIFEST
from tests.recorder import Recorder
from trusted_registry.images import damage, inventory, mend
from trusted_registry.images.damage import Damage, Kind
from trusted_registry.images.mend import Step, Verb
from trusted_registry.images.volume import VolumeStorage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fake_engine import FakeEngine
    from tests.images.storages import MadeStorage

pytestmark = pytest.mark.process


def _find(engine: FakeEngine) -> list[Damage]:
    return damage.find(VolumeStorage(NAME, engine), Recorder())[0]


def _mend(found: list[Damage], engine: FakeEngine) -> None:
    VolumeStorage(NAME, engine).mend([step for it in found for step in it.steps], Recorder())


@pytest.fixture
def sound(made: MadeStorage) -> dict[str, str]:
    """Two images, an index of two, and a signature, none of them damaged; their digests by their tags."""
    found = {"1": made.image("app", "1", "a"), "2": made.image("app", "2", "b")}
    found["amd64"], found["arm64"] = made.image("multi", "", "c"), made.image("multi", "", "d", architecture="arm64")
    found["both"] = made.index("multi", "both", {it: found[it] for it in ("amd64", "arm64")})
    made.signature("app", found["1"], tagged=True)
    made.blob(b"")  # a content that is rightly empty
    return found


def test_a_sound_storage_is_clean(sound: dict[str, str], engine: FakeEngine) -> None:
    assert sound
    assert _find(engine) == []


def _empty_link(made: MadeStorage, sound: dict[str, str]) -> None:
    made.revision_link("app", sound["1"]).write_text("")


def _odd_link(made: MadeStorage, sound: dict[str, str]) -> None:
    made.layer_link("app", made.layer_of(sound["1"])).write_text("no digest")


def _unknown_layer(made: MadeStorage, sound: dict[str, str]) -> None:
    made.layer_link("app", made.layer_of(sound["1"])).unlink()


def _unknown_child(made: MadeStorage, sound: dict[str, str]) -> None:
    made.revision_link("multi", sound["arm64"]).unlink()


def _unknown_manifest(made: MadeStorage, sound: dict[str, str]) -> None:
    made.revision_link("app", sound["2"]).unlink()


def _empty_tag(made: MadeStorage, sound: dict[str, str]) -> None:
    assert sound
    made.tag_link("app", "1").write_text("")


def _link_of(content: bytes) -> Callable[[MadeStorage, dict[str, str]], None]:
    """Return what puts other bytes into the link of a manifest."""

    def harm(made: MadeStorage, sound: dict[str, str]) -> None:
        made.revision_link("app", sound["1"]).write_bytes(content.replace(b"DIGEST", sound["1"].encode()))

    return harm


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        *((_link_of(it), Kind.LINK) for it in (b"DIGEST\n", b" DIGEST", b"\0" * 71, b"\xff\xfe", b"\r\n", b"-")),
        (_empty_link, Kind.LINK),
        (_odd_link, Kind.LINK),
        (_unknown_layer, Kind.IMAGE),
        (_unknown_child, Kind.INDEX),
        (_unknown_manifest, Kind.TAG),
        (_empty_tag, Kind.TAG),
    ],
)
def test_what_can_be_mended_here_is_sound_afterwards(
    harm: Callable[[MadeStorage, dict[str, str]], None],
    kind: Kind,
    made: MadeStorage,
    sound: dict[str, str],
    engine: FakeEngine,
) -> None:
    whole = _files(made)
    harm(made, sound)
    assert _files(made) != whole
    found = _find(engine)
    assert kind in {it.kind for it in found}
    assert [it.push for it in found] == [""] * len(found)
    _mend(found, engine)
    assert _find(engine) == []
    assert _files(made) == whole


def _files(made: MadeStorage) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in made.root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("content", [b"", b"cut", None])
def test_a_layer_that_is_lost_is_asked_for_by_the_tag_that_needs_it(
    content: bytes | None, made: MadeStorage, sound: dict[str, str], engine: FakeEngine
) -> None:
    layer = made.path(made.layer_of(sound["1"]))
    if content is None:
        layer.unlink()
    else:
        layer.write_bytes(content)
    found = _find(engine)
    assert [(it.kind, it.push) for it in found if it.push] == [(Kind.IMAGE, "app:1")]
    _mend(found, engine)
    assert not layer.exists(), "a push that finds it would not send it again"
    assert not made.layer_link("app", made.layer_of(sound["1"])).exists()
    assert made.image("app", "1", "a") == sound["1"]
    assert _find(engine) == []


@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_a_tag_whose_manifest_is_lost_goes_and_is_named(
    content: bytes | None, made: MadeStorage, sound: dict[str, str], engine: FakeEngine
) -> None:
    path = made.path(sound["2"])
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    found = _find(engine)
    assert {it.push for it in found} - {""} == {"app:2"}
    _mend(found, engine)
    assert _find(engine) == []
    assert not made.tag_link("app", "2").exists()
    assert made.tag_link("app", "1").exists()


def test_an_image_of_an_index_that_is_lost_is_asked_for_by_the_index_s_tag(
    made: MadeStorage, sound: dict[str, str], engine: FakeEngine
) -> None:
    made.path(sound["arm64"]).unlink()
    found = _find(engine)
    assert {(it.kind, it.push) for it in found if it.push} == {(Kind.INDEX, "multi:both")}
    _mend(found, engine)
    assert [it.kind for it in _find(engine)] == [Kind.INDEX]


def test_leftovers_go_once_they_are_old_and_signatures_of_nothing_stay(
    made: MadeStorage, sound: dict[str, str], engine: FakeEngine
) -> None:
    old, fresh = made.upload("app", "11111111", b"x", hours=25), made.upload("app", "22222222", b"x", hours=1)
    kept, left = (made.tag_link("app", "1").with_name(f"link.{it}.tmp") for it in (1234, 5678))
    kept.touch()
    left.touch()
    made.age(left, 2)
    made.signature("app", f"sha256:{'1' * 64}", tagged=True)
    assert sound
    found = _find(engine)
    assert sorted(it.kind for it in found) == [Kind.LEFTOVER, Kind.SIGNATURE, Kind.UPLOAD]
    assert all(it.is_harmless for it in found)
    _mend(found, engine)
    assert (old.exists(), left.exists(), fresh.exists(), kept.exists()) == (False, False, True, True)
    assert [it.kind for it in _find(engine)] == [Kind.SIGNATURE]


# Each step looks again


def _take(steps: list[Step], engine: FakeEngine) -> None:
    assert VolumeStorage(NAME, engine).mend(steps, Recorder()) == []


def test_what_was_healed_meanwhile_stays_as_it_is(made: MadeStorage, sound: dict[str, str], engine: FakeEngine) -> None:
    below = _below(made.path(sound["1"]), made)
    link, tag = made.revision_link("app", sound["1"]), made.tag_link("app", "1")
    before = _files(made)
    steps = [
        Step(Verb.DAMAGED, below, sound["1"].partition(":")[2]),
        Step(Verb.UNLINK, _below(link, made), below, _state(sound["1"])),
        Step(Verb.UNLINK, _below(link, made), "blobs/absent", _state("")),
        Step(Verb.UNTAG, _below(tag, made), "", _state("")),
        Step(Verb.UNTAG, _below(tag, made), below, _state(sound["1"])),
        Step(Verb.WRITE, _below(tag, made), sound["2"], _state("")),
        Step(Verb.WRITE, _below(tag, made), sound["2"], mend.ABSENT),
        Step(Verb.DISCARD, _below(tag, made), "60"),
    ]
    _take(steps, engine)
    assert _files(made) == before


def test_what_is_still_as_it_was_seen_is_mended(made: MadeStorage, sound: dict[str, str], engine: FakeEngine) -> None:
    link, tag = made.revision_link("app", sound["1"]), made.tag_link("app", "1")
    tag.write_text("")
    _take([Step(Verb.WRITE, _below(tag, made), sound["2"], _state(""))], engine)
    assert tag.read_text() == sound["2"]
    made.path(sound["1"]).unlink()
    _take([Step(Verb.UNLINK, _below(link, made), _below(made.path(sound["1"]), made), _state(sound["1"]))], engine)
    assert not link.parent.exists()
    tag.unlink()
    _take([Step(Verb.UNTAG, _below(tag, made), "", mend.ABSENT)], engine)
    assert not tag.parent.parent.exists()


def test_a_tag_that_was_deleted_meanwhile_is_not_brought_back(
    made: MadeStorage, sound: dict[str, str], engine: FakeEngine
) -> None:
    tag = made.tag_link("app", "1")
    shutil.rmtree(tag.parent.parent)
    for seen in (_state(""), mend.ABSENT):
        _take([Step(Verb.WRITE, _below(tag, made), sound["1"], seen)], engine)
    assert not tag.parent.parent.exists()


def test_what_the_shell_cannot_do_is_returned(made: MadeStorage, sound: dict[str, str], engine: FakeEngine) -> None:
    (made.root / "repositories" / "file").write_text("")
    steps = [
        Step(Verb.WRITE, "repositories/file/link", sound["1"], mend.ABSENT),
        Step(Verb.UNTAG, _below(made.tag_link("app", "1"), made), "", _state(sound["1"])),
    ]
    said = VolumeStorage(NAME, engine).mend(steps, Recorder())
    assert ["file" in it for it in said] == [True] * len(said) != []
    assert not made.tag_link("app", "1").exists(), "the other step was taken all the same"


def _state(link: str) -> str:
    return mend.state(link.encode())


def _below(path: Path, made: MadeStorage) -> str:
    return str(path.relative_to(made.root))


# What a glance would take for something else


def test_a_tag_may_be_called_as_a_folder_of_the_registry_is(made: MadeStorage, engine: FakeEngine) -> None:
    for tag in ("_uploads", "_layers", "index", "current", "link"):
        made.image("app", tag, tag)
    left = made.tag_link("app", "_uploads").with_name("link.1.tmp")
    left.touch()
    made.age(left, 48)
    before = _files(made)
    found = _find(engine)
    assert [(it.kind, it.steps[0].path) for it in found] == [(Kind.LEFTOVER, _below(left, made))]
    _mend(found, engine)
    assert _files(made) == {path: content for path, content in before.items() if path != left}


def test_a_link_of_a_layer_that_nothing_needs_is_a_leftover(
    made: MadeStorage, sound: dict[str, str], engine: FakeEngine
) -> None:
    made.link(made.layer_link("app", f"sha256:{'7' * 64}"), f"sha256:{'7' * 64}")
    assert sound
    found = _find(engine)
    assert [(it.kind, it.is_harmless) for it in found] == [(Kind.LEFTOVER, True)]
    _mend(found, engine)
    assert _find(engine) == []


def test_what_another_look_does_not_find_is_none(
    made: MadeStorage, sound: dict[str, str], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    healed, judged = made.tag_link("app", "1"), inventory.links_of
    healed.write_text("")

    def links(*words: object) -> dict[str, bytes]:
        found = judged(*words)  # type: ignore[arg-type]  # handed on
        healed.write_text(sound["1"])
        return found

    monkeypatch.setattr(inventory, "links_of", links)
    assert _find(engine) == []


def test_a_layer_that_was_pushed_by_another_algorithm_is_sound(
    made: MadeStorage, sound: dict[str, str], engine: FakeEngine
) -> None:
    content = b"y" * 5000
    digest, other = made.blob(content), f"sha512:{hashlib.sha512(content).hexdigest()}"
    made.link(made.layer_link("app", other), digest)
    made.link(made.layer_link("app", digest), digest)
    layers = [{"mediaType": "x", "digest": other, "size": 5000}]
    made.put("app", "3", {"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers})
    assert sound
    assert _find(engine) == []
    made.path(digest).unlink()
    assert Kind.LINK in {it.kind for it in _find(engine)}


@pytest.mark.parametrize("past", [True, False])
def test_a_tag_without_a_link_is_found_though_it_is_a_folder_alone(
    past: bool,  # noqa: FBT001 - pytest's
    made: MadeStorage,
    sound: dict[str, str],
    engine: FakeEngine,
) -> None:
    tag = made.tag_link("app", "1")
    tag.unlink()
    if not past:
        shutil.rmtree(tag.parent.parent / "index")
    found = _find(engine)
    assert [(it.kind, it.push) for it in found] == [(Kind.TAG, "" if past else "app:1")]
    _mend(found, engine)
    assert _find(engine) == []
    assert (tag.exists() and tag.read_text() == sound["1"]) is past


def test_what_lies_elsewhere_need_not_be_here(made: MadeStorage, sound: dict[str, str], engine: FakeEngine) -> None:
    layers = [{"mediaType": "x", "digest": f"sha256:{'5' * 64}", "size": 5, "urls": ["https://example.org/layer"]}]
    made.put("app", "windows", {"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers})
    assert sound
    assert _find(engine) == []


def test_a_layer_of_the_first_schema_is_needed_too(made: MadeStorage, engine: FakeEngine) -> None:
    layer = made.blob(b"old" * 1000)
    made.link(made.layer_link("old", layer), layer)
    made.put("old", "1", {"schemaVersion": 1, "fsLayers": [{"blobSum": layer}]})
    assert _find(engine) == []
    made.path(layer).unlink()
    assert "old:1" in {it.push for it in _find(engine)}


def test_a_content_whose_hash_does_not_come_is_unreadable(
    made: MadeStorage, sound: dict[str, str], engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VolumeStorage, "hashes", lambda _, entries: [(it, "") for it in entries])
    found = _find(engine)
    assert {(it.kind, it.steps) for it in found} == {(Kind.UNREADABLE, ())}
    assert len(found) == len(list(made.root.glob("blobs/*/*/*/data")))
    assert sound


def test_a_dry_run_shows_the_steps_and_takes_none(made: MadeStorage, sound: dict[str, str], engine: FakeEngine) -> None:
    made.revision_link("app", sound["1"]).write_text("")
    console = Recorder(dry=True)
    VolumeStorage(NAME, engine).mend([step for it in _find(engine) for step in it.steps], console)
    assert [it.kind for it in _find(engine)] == [Kind.LINK]
    assert len(console.typed) == 1
