"""Objects of a bucket as a storage: looked at, checked, mended, and moved into the trash and out of it.

The bucket is one in memory, since a push has to come between two given requests; no store can be told to do that.
"""

from __future__ import annotations

import hashlib

import pytest

from tests.images.memory_bucket import CURRENT, TAG, Memory
from tests.recorder import Recorder
from trusted_registry.bucket import times
from trusted_registry.images import listing, mend
from trusted_registry.images.mend import Step, Verb
from trusted_registry.images.objects import FOLDER, Objects
from trusted_registry.images.storage import Change
from trusted_registry.instance.model import IMAGES_FOLDER

OLD, NEW = (f"sha256:{hashlib.sha256(it).hexdigest()}" for it in (b"old", b"new"))
ASIDE = "trusted-registry-trash/1/tags/app/_tags/1"


@pytest.fixture
def bucket() -> Memory:
    """Bucket with one image."""
    made = Memory()
    made.push(OLD, b"old")
    made.pushed = int(made.now)
    made.now += 10
    return made


def change(bucket: Memory, *steps: Change) -> None:
    """Take steps of the trash."""
    Objects(bucket).change(steps, Recorder())


def untag(bucket: Memory) -> None:
    change(bucket, ("untag", TAG, f"{IMAGES_FOLDER}/{ASIDE}", f"{OLD} {bucket.pushed}"))


def back(bucket: Memory) -> None:
    """Bring the tag back."""
    change(bucket, ("tag", TAG, f"{IMAGES_FOLDER}/{ASIDE}", f"{OLD} {bucket.pushed}"))


def pointed(bucket: Memory) -> str:
    return listing.text(bucket.read(FOLDER + CURRENT))


def test_files_are_listed_as_those_of_a_volume(bucket: Memory) -> None:
    found = Objects(bucket).files()

    assert set(found.blobs) == {OLD}
    assert found.repositories["app"].tags["1"].path == CURRENT
    assert (set(found.repositories["app"].folders), found.free, found.strays) == ({"1"}, None, [])


def test_a_tag_without_its_link_is_listed(bucket: Memory) -> None:
    bucket.remove([FOLDER + CURRENT])

    found = Objects(bucket).files().repositories["app"]

    assert (found.tags, found.folders, set(found.past["1"])) == ({}, {"1"}, {OLD})


def test_what_changed_its_size_since_is_not_read(bucket: Memory) -> None:
    entry = Objects(bucket).files().blobs[OLD]
    assert Objects(bucket).read([entry]) == {entry.path: b"old"}

    bucket.write(FOLDER + entry.path, b"older")

    assert Objects(bucket).read([entry]) == {}


def test_a_damaged_content_is_seen_and_removed_and_a_sound_one_stays(bucket: Memory) -> None:
    bucket.push(NEW, b"damaged")
    found = Objects(bucket).files().blobs
    hashed = {it.path: hexed for it, hexed in Objects(bucket).hashes(found.values())}

    Objects(bucket).mend(
        [Step(Verb.DAMAGED, listing.path_of(it), it.partition(":")[2]) for it in (OLD, NEW)], Recorder()
    )

    assert {it for it in found if f"sha256:{hashed[listing.path_of(it)]}" == it} == {OLD}
    assert set(Objects(bucket).files().blobs) == {OLD}


def test_a_link_is_mended_only_as_it_was_seen(bucket: Memory) -> None:
    step = Step(Verb.WRITE, CURRENT, OLD, mend.state(b""))
    bucket.push(NEW, b"new")
    Objects(bucket).mend([step], Recorder())
    assert pointed(bucket) == NEW

    bucket.write(FOLDER + CURRENT, b"")
    Objects(bucket).mend([step], Recorder())

    assert pointed(bucket) == OLD


def test_a_tag_goes_aside_and_comes_back(bucket: Memory) -> None:
    before = {path for path in bucket.held if TAG in path}
    untag(bucket)
    assert not any(it.startswith(FOLDER + TAG) for it in bucket.held)

    back(bucket)

    assert {path for path in bucket.held if TAG in path} == before
    assert pointed(bucket) == OLD
    assert not any(it.startswith(ASIDE) for it in bucket.held)


def test_a_tag_that_was_pushed_since_stays(bucket: Memory) -> None:
    bucket.push(NEW, b"new")
    untag(bucket)
    assert pointed(bucket) == NEW


@pytest.mark.parametrize(("digest", "content"), [(NEW, b"new"), (OLD, b"old")])
def test_a_push_whose_link_the_removal_takes_is_pointed_at_again(bucket: Memory, digest: str, content: bytes) -> None:
    bucket.before = "remove", lambda: bucket.push(digest, content)
    untag(bucket)
    assert pointed(bucket) == digest


def test_a_removal_that_was_killed_after_it_took_the_link_of_a_push_gives_it_back(bucket: Memory) -> None:
    def killed() -> None:
        bucket.push(NEW, b"new")
        bucket.held.pop(FOLDER + CURRENT)
        raise KeyboardInterrupt

    bucket.before = "remove", killed
    with pytest.raises(KeyboardInterrupt):
        untag(bucket)
    assert not pointed(bucket)

    untag(bucket)

    assert pointed(bucket) == NEW


def test_a_tag_that_was_pushed_while_it_was_away_is_not_overwritten(bucket: Memory) -> None:
    untag(bucket)
    bucket.push(NEW, b"new")
    back(bucket)
    assert pointed(bucket) == NEW


def test_a_push_of_an_image_that_the_tag_had_before_counts_while_the_tag_comes_back(bucket: Memory) -> None:
    bucket.push(NEW, b"new")
    bucket.pushed = int(bucket.now)
    bucket.now += 10
    change(bucket, ("untag", TAG, f"{IMAGES_FOLDER}/{ASIDE}", f"{NEW} {bucket.pushed}"))
    bucket.before = "copy", lambda: bucket.push(OLD, b"old")
    change(bucket, ("tag", TAG, f"{IMAGES_FOLDER}/{ASIDE}", f"{NEW} {bucket.pushed}"))
    assert pointed(bucket) == OLD


def test_a_link_of_a_manifest_goes_unless_it_was_pushed_again(bucket: Memory) -> None:
    path, pushed = listing.revision_path("app", OLD), bucket.pushed
    change(bucket, ("unlink", path, "", f"{pushed - 1}"))
    assert FOLDER + path in bucket.held

    change(bucket, ("unlink", path, "", f"{pushed}"))
    assert FOLDER + path not in bucket.held

    change(bucket, ("link", path, NEW, listing.path_of(NEW)))  # no such content
    assert FOLDER + path not in bucket.held
    change(bucket, ("link", path, OLD, listing.path_of(OLD)))
    assert bucket.read(FOLDER + path) == OLD.encode()


def test_a_tag_that_came_back_has_the_time_of_its_push_and_goes_again(bucket: Memory) -> None:
    bucket.push(NEW, b"new")
    before = Objects(bucket).files().repositories["app"].tags
    bucket.pushed, bucket.now = int(bucket.now), bucket.now + 10
    steps = (TAG, f"{IMAGES_FOLDER}/{ASIDE}", f"{NEW} {bucket.pushed}")
    change(bucket, ("untag", *steps))
    bucket.now += 10
    change(bucket, ("tag", *steps))

    found = Objects(bucket).files()

    assert found.repositories["app"].tags == before
    past = found.repositories["app"].past["1"]
    assert max(past, key=lambda it: past[it].changed) == NEW
    assert found.at == bucket.now
    change(bucket, ("untag", *steps))
    assert "1" not in Objects(bucket).files().repositories["app"].tags


def test_a_tag_that_was_pushed_after_it_came_back_has_the_time_of_that_push(bucket: Memory) -> None:
    untag(bucket)
    back(bucket)
    bucket.push(OLD, b"old")
    assert Objects(bucket).files().repositories["app"].tags["1"].changed == bucket.now
    untag(bucket)
    assert pointed(bucket) == OLD


@pytest.mark.parametrize("content", [b"[]", b'{"%s": 1}', b'{"%s": [1010, 1011]}', b'{"%s": [1010, "1"]}'])
def test_times_that_cannot_be_are_not_believed(content: bytes, bucket: Memory) -> None:
    bucket.write(times.NAME, content.replace(b"%s", f"{FOLDER}{CURRENT}".encode()))
    assert Objects(bucket).files().repositories["app"].tags["1"].changed == bucket.pushed


def test_a_repository_in_which_nothing_is_left_goes_and_no_other(bucket: Memory) -> None:
    layer = FOLDER + listing.layer_path("app", OLD)
    bucket.write(layer, OLD.encode())
    change(bucket, ("clear", "repositories/app", "", ""))
    assert layer in bucket.held
    untag(bucket)
    bucket.write(f"{FOLDER}repositories/app/_uploads/1/startedat", b"")
    change(bucket, ("unlink", listing.revision_path("app", OLD), "", f"{bucket.pushed}"))
    change(bucket, ("clear", "repositories/app", "", ""))
    assert layer in bucket.held
    bucket.remove([f"{FOLDER}repositories/app/_uploads/1/startedat"])
    change(bucket, ("clear", "repositories/app", "", ""))
    assert not any("repositories/app/" in it for it in bucket.held)


def test_records_are_read_and_what_has_none_is_told(bucket: Memory) -> None:
    made = Objects(bucket)
    made.write_own("trusted-registry-trash/1/record.json", b"{}")
    bucket.write("trusted-registry-trash/20/tags/app/_tags/1/current/link", b"x")
    bucket.write("trusted-registry-trash/zero/x", b"x")
    assert made.records() == [("1", "{}"), ("20", "")]
    change(bucket, ("remove", f"{IMAGES_FOLDER}/trusted-registry-trash/2", "", ""))
    change(bucket, ("remove", f"{IMAGES_FOLDER}/trusted-registry-trash/1", "", ""))
    assert made.records() == [("20", "")]


def test_a_dry_run_shows_what_a_person_would_type_and_changes_nothing(bucket: Memory) -> None:
    before, console = dict(bucket.held), Recorder(dry=True)
    made, aside = Objects(bucket), f"{IMAGES_FOLDER}/{ASIDE}"
    made.change([("untag", TAG, aside, f"{OLD} {bucket.pushed}"), ("tag", TAG, aside, f"{OLD} 1")], console)
    made.mend([Step(Verb.UNTAG, CURRENT, "", mend.state(OLD.encode()))], console)
    assert bucket.held == before
    there, trash = f"s3://images/{FOLDER}{TAG}", f"s3://images/{ASIDE}"
    assert console.commands == [
        ["aws", "s3", "mv", "--recursive", there, trash],
        ["aws", "s3", "mv", "--recursive", trash, there],
        ["aws", "s3", "rm", f"{there}/current/link"],
    ]
