"""The plan of a move: what is copied, in which order, what is compared, and what a killed run leaves to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.bucket.memory_store import MemoryStore, content, image, revision, tag
from tests.recorder import Recorder
from trusted_registry.bucket import moving
from trusted_registry.bucket.moving import Marks, Move, Note
from trusted_registry.errors import RegistryError

APP = {
    **image("app", "1", b"first image"),
    **image("team/app", "2", b"second image"),
    **dict([content(b"x" * 3_000_000)]),
}
CONTENT, DATA = content(b"first image")


def moved(source: MemoryStore, target: MemoryStore, compared: Marks | None = None) -> tuple[Move, list[Marks]]:
    kept: list[Marks] = []
    return Move(source, target, dict(compared or {}), kept.append, Recorder()), kept


def test_the_target_has_the_same_and_nothing_else() -> None:
    target = MemoryStore(image("app", "gone", b"an image of before"))
    move, kept = moved(MemoryStore(dict(APP)), target)
    move.finish()
    assert target.files == APP
    assert kept[-1].keys() == APP.keys()


def test_contents_come_before_links_and_tags_last() -> None:
    target = MemoryStore()
    moved(MemoryStore(dict(APP)), target)[0].finish()
    kinds = ["contents" if "/blobs/" in it else "tags" if "/tags/" in it else "links" for it in target.written]
    assert kinds == ["contents"] * 3 + ["links"] * 2 + ["tags"] * 2


def test_of_what_is_there_and_was_compared_nothing_but_tags_is_read_again() -> None:
    source, target = MemoryStore(dict(APP)), MemoryStore()
    move, kept = moved(source, target)
    move.finish()
    target.written.clear()
    target.read_.clear()
    moved(source, target, kept[-1])[0].finish()
    assert (target.written, target.read_) == ([], [it for it in APP if it.endswith("/current/link")])


def test_a_tag_that_was_another_image_s_while_it_was_compared_is_made_right() -> None:
    first, other = tag("app", "1", b"first image"), tag("app", "1", b"other image")
    source, target = MemoryStore(dict(APP)), MemoryStore({**APP, **dict([other])})
    # Pushed once before the round listed them, and again after the other one was read from both.
    source.marks[first[0]], target.marks[first[0]] = "of the first", "of the other"
    moved(source, target, {first[0]: ("of the first", "of the other")})[0].finish()
    assert target.files == APP


def test_what_changed_since_it_was_compared_is_compared_again_and_made_right() -> None:
    source, target = MemoryStore(dict(APP)), MemoryStore()
    move, kept = moved(source, target)
    move.finish()
    target.put(CONTENT, DATA[::-1])
    source.put(*tag("app", "1", b"second image"))  # of the same size as before
    moved(source, target, kept[-1])[0].finish()
    assert target.files == source.files


def test_a_content_that_arrives_damaged_is_copied_again() -> None:
    target = MemoryStore(spoils={CONTENT})
    moved(MemoryStore(dict(APP)), target)[0].finish()
    assert target.files == APP
    assert target.written.count(CONTENT) == 2


def test_a_content_that_is_damaged_in_the_source_is_named() -> None:
    source, target = MemoryStore({**APP, CONTENT: DATA[::-1]}), MemoryStore()
    for deed in ("approach", "finish"):
        with pytest.raises(RegistryError, match=r"The content sha256:\w{64} is damaged in the source") as caught:
            getattr(moved(source, target)[0], deed)()
        assert "images.check --fix" in caught.value.cure
        assert CONTENT not in target.files


def test_a_run_that_is_cut_short_anywhere_is_gone_on_with() -> None:
    """What it had copied stays, and what it had half copied is copied again."""
    deeds = 0
    while True:
        left = deeds

        def cut(_: str, __: list[str]) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt

        source, target = MemoryStore(dict(APP)), MemoryStore(image("app", "gone", b"of before"), cut)
        move, kept = moved(source, target)
        try:
            move.finish()
        except KeyboardInterrupt:
            target.before = lambda _, __: None
            again, _ = moved(source, target, kept[-1] if kept else None)
            target.put(CONTENT, DATA[:3])
            again.finish()
            assert target.files == APP
            deeds += 1
        else:
            break
    assert deeds > 10


def test_pushes_during_the_approach_are_there_after_the_end() -> None:
    source, target = MemoryStore(dict(APP)), MemoryStore()
    pushes = iter(range(5))

    def push(deed: str, _: list[str]) -> None:
        for number in pushes if deed == "write" else ():
            source.files.update(image("pushed", str(number), f"image {number}".encode()))
            del source.files[tag("app", "1", b"")[0]]
            source.put(*tag("app", "1", f"image {number}".encode()))
            break

    target.before = push
    move, _ = moved(source, target)
    move.approach()
    move.finish()
    assert target.files == source.files
    assert tag("pushed", "4", b"")[0] in target.files


def test_something_else_that_writes_there_ends_it() -> None:
    target = MemoryStore()
    numbers = iter(range(100))

    def disturb(deed: str, _: list[str]) -> None:
        if deed == "read":
            target.put(CONTENT, f"{next(numbers)}".encode().rjust(len(DATA)))

    target.before = disturb
    with pytest.raises(RegistryError):
        moved(MemoryStore(dict(APP)), target)[0].finish()


def test_images_that_the_source_has_not_are_strangers() -> None:
    source = MemoryStore(dict(APP))
    assert moving.strangers(source, MemoryStore()) == []
    assert moving.strangers(source, MemoryStore(image("app", "1", b"first image"))) == []
    other = {**image("app", "1", b"another one"), **image("trusted-registry-proof", "x", b"proof")}
    digest = revision("app", b"another one")[1].decode()
    assert moving.strangers(source, MemoryStore(other)) == ["app:1", f"app@{digest}"]


def test_a_note_is_read_as_it_was_written(tmp_path: Path) -> None:
    note = Note("the volume x", "s3://bucket/prefix", compared={CONTENT: ("1", "2")})
    note.save(tmp_path)
    assert moving.read_note(tmp_path) == note
    assert (tmp_path / moving.NOTE).stat().st_mode & 0o777 == 0o600
    assert note.is_of("the volume x", "s3://bucket/prefix")
    assert not note.is_of("the volume x", "s3://bucket/other")
    assert not replace(note, done=True).is_of("the volume x", "s3://bucket/prefix")


def test_a_note_of_as_many_files_as_a_large_registry_has_is_read(tmp_path: Path) -> None:
    compared = {f"docker/registry/v2/{number}": ("1", "2") for number in range(250_000)}
    note = Note("the volume x", "s3://bucket/prefix", compared=compared)
    note.save(tmp_path)
    assert moving.read_note(tmp_path) == note


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"compared": 1}', '{"compared": {"a": [1]}}', '{"source": 3, "compared": {"a": 1}}']
)
def test_a_note_that_is_none_stands_for_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / moving.NOTE).write_text(text)
    assert not moving.read_note(tmp_path).compared
    assert not moving.read_note(tmp_path).done
