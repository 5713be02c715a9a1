"""The tasks that remove, free and bring back: what they refuse, what they say, and what is left after each."""

from __future__ import annotations

import contextlib
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests import loopback
from tests.fake_engine import NAME, container
from tests.images.storages import Served
from tests.recorder import Recorder
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.images import disposal, inventory, listing
from trusted_registry.images.removal import REMOVED
from trusted_registry.images.retention import DAY
from trusted_registry.images.trash import Trash
from trusted_registry.images.volume import VolumeStorage
from trusted_registry.run import Run
from trusted_registry.tasks import images_change
from trusted_registry.tasks.images_apply import Change

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeSettings
    from tests.fake_engine import FakeEngine
    from tests.images.storages import MadeStorage

pytestmark = pytest.mark.process

CLEAN: dict[str, Any] = {"keep": "", "older": "", "untagged": False, "match": "", "now": False, "count": ""}


@pytest.fixture
def collected(made: MadeStorage, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The collections that were made, by another collector: it deletes all that no manifest with a link needs."""
    made_: list[str] = []

    @contextlib.contextmanager
    def read_only(*_: object) -> Iterator[None]:
        made_.append("read-only")
        yield
        made_.append("again")

    def collect(*_: object) -> None:
        found = inventory.find(VolumeStorage(NAME, engine))
        marked = {it for one in found.listing.repositories.values() for it in one.revisions}
        for digest in {*found.listing.blobs} - {it for one in marked for it in found.needed(one)}:
            shutil.rmtree(made.path(digest).parent)
        made_.append("collected")

    monkeypatch.setattr("trusted_registry.instance.collection.read_only", read_only)
    monkeypatch.setattr("trusted_registry.instance.collection.collect", collect)
    monkeypatch.setattr("trusted_registry.instance.collection.check", lambda *_: None)
    return made_


@pytest.fixture
def served(made: MadeStorage, engine: FakeEngine) -> Iterator[Served]:
    """A registry without TLS that gives what is in the storage."""
    port, served = loopback.free_port(), Served(made)
    engine.container = container(role="plain", port=port)
    engine.containers[NAME].log = 'time="2026-01-01T00:00:00.1Z" level=info msg="listening"\n'
    with loopback.registry(None, port=port, held=served):
        yield served


@pytest.fixture
def run(
    make_settings: MakeSettings,
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    collected: list[str],  # noqa: ARG001 - for what it sets
    served: Served,  # noqa: ARG001 - as above
) -> Run:
    """A run whose engine has the fake's registry, and that is this installation's; every question gets a yes."""
    monkeypatch.setattr("trusted_registry.engine.engine.connect", lambda _: engine)
    monkeypatch.setattr("trusted_registry.instance.ownership.container", lambda _, engine: engine.find(NAME))
    monkeypatch.setattr(disposal, "SETTLES", 0.0)
    return Run(make_settings(), Recorder(answer=True))


@pytest.fixture
def old(made: MadeStorage) -> dict[str, str]:
    """Three tags of a repository, of ten, twenty and thirty days ago, an index, and a manifest that lost its tag."""
    found = {"gone": made.image("app", "1", "gone")}
    for days, tag in enumerate(("1", "2", "3")):
        found[tag] = made.image("app", tag, tag)
        made.age(made.tag_link("app", tag), 24 * 10 * (3 - days))
    found["amd64"] = made.image("multi", "", "amd64")
    found["index"] = made.index("multi", "1", {"amd64": found["amd64"]})
    for link in made.root.rglob("revisions/*/*/link"):
        made.age(link, 24 * 30)
    made.age(made.tag_link("multi", "1"), 24)
    return found


def _left(engine: FakeEngine) -> list[str]:
    return sorted(f"{it.repository}:{it.name[:12]}" for it in inventory.find(VolumeStorage(NAME, engine)).images)


def _said(run: Run) -> str:
    assert isinstance(run.console, Recorder)
    return "\n".join(run.console.said)


def test_one_tag_goes_with_its_image_and_comes_back(
    old: dict[str, str], made: MadeStorage, engine: FakeEngine, run: Run, collected: list[str]
) -> None:
    images_change.remove(run, references=["app:2"], now=False)
    assert "app:2" not in _left(engine)
    assert not made.revision_link("app", old["2"]).exists()
    assert made.path(old["2"]).exists()
    assert collected == []
    assert "proof: the registry gives 4 images with all parts" in _said(run)
    images_change.undo(run)
    assert "back: app:2" in _said(run)
    assert made.tag_link("app", "2").read_text() == old["2"]
    with pytest.raises(RegistryError, match="nothing to bring back"):
        images_change.undo(run)


def test_what_the_registry_gives_all_the_same_is_not_called_removed(
    old: dict[str, str], made: MadeStorage, run: Run, served: Served
) -> None:
    served.put["/v2/app/manifests/2"] = made.path(old["2"]).read_bytes()
    with pytest.raises(RegistryError, match="still gives app:2"):
        images_change.remove(run, references=["app:2"], now=False)
    assert "removed: " not in _said(run)
    images_change.undo(run)
    assert "back: app:2" in _said(run)


@pytest.mark.usefixtures("old")
def test_at_once_the_bytes_are_freed_and_no_undo_brings_them_back(
    made: MadeStorage, engine: FakeEngine, run: Run, collected: list[str]
) -> None:
    images_change.remove(run, references=["app:3"], now=False)
    images_change.remove(run, references=["app:*"], now=True)
    assert (_left(engine), collected) == (["multi:1"], ["read-only", "collected", "again"] * 2)
    assert not (made.repository("app") / "_layers").exists()
    assert len(list(made.root.rglob("data"))) == 4
    assert not list(made.folder.rglob("record.json"))
    with pytest.raises(RegistryError, match="nothing to bring back"):
        images_change.undo(run)


@pytest.mark.usefixtures("old")
def test_what_was_freed_is_what_was_planned(made: MadeStorage, engine: FakeEngine, run: Run) -> None:
    before = sum(it.stat().st_blocks for it in made.root.rglob("*")) * 512
    images_change.clean(run, **{**CLEAN, "keep": "1", "untagged": True, "now": True})
    after = sum(it.stat().st_blocks for it in made.root.rglob("*")) * 512
    planned = next(it for it in _said(run).splitlines() if it.startswith("frees: "))
    freed = next(it for it in _said(run).splitlines() if it.startswith("freed: "))
    assert planned.split(" ", 1)[1] == freed.split(" ", 1)[1].partition(";")[0]
    assert _left(engine) == ["app:3", "multi:1"]
    words = planned.split()
    assert abs(before - after - float(words[1]) * 1000) < 0.01 * (before - after)


def test_a_rule_takes_what_it_says_and_spares_the_images_of_an_index(
    old: dict[str, str], made: MadeStorage, engine: FakeEngine, run: Run
) -> None:
    images_change.clean(run, **{**CLEAN, "keep": "2", "untagged": True})
    assert _left(engine) == ["app:2", "app:3", "multi:1"]
    assert made.revision_link("multi", old["amd64"]).exists()
    images_change.undo(run)
    assert f"app:{old['gone'][:12]}" in _left(engine)


@pytest.mark.usefixtures("old")
def test_nothing_is_said_where_nothing_is_due(engine: FakeEngine, run: Run) -> None:
    before = _left(engine)
    images_change.clean(run, **{**CLEAN, "keep": "3"})
    assert (_said(run), _left(engine)) == ("", before)


@pytest.mark.usefixtures("old")
def test_the_rule_of_the_settings_counts_where_no_flag_is_typed(
    engine: FakeEngine, make_settings: MakeSettings, run: Run
) -> None:
    with pytest.raises(SettingError):
        images_change.clean(run, **CLEAN)
    assert len(_left(engine)) == 5
    set_ = Run(make_settings(keep="1", match="app"), run.console)
    images_change.clean(set_, **CLEAN)
    assert [it for it in _left(engine) if len(it) < 10] == ["app:3", "multi:1"]


@pytest.mark.usefixtures("old")
def test_what_was_removed_long_ago_is_freed_by_the_next_run(
    engine: FakeEngine, run: Run, collected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images_change.remove(run, references=["app:1"], now=False)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 8 * DAY)
    images_change.clean(run, **CLEAN)
    assert "freed, with no undo any more: app:1" in _said(run)
    assert collected == ["read-only", "collected", "again"]
    assert Trash(VolumeStorage(NAME, engine), Recorder()).removals == []


def test_the_last_images_go_only_if_their_number_is_typed(made: MadeStorage, engine: FakeEngine, run: Run) -> None:
    for number in "123":
        made.age(made.tag_link("app", number) if made.image("app", number, number) else made.root, 24)
    with pytest.raises(RegistryError, match="all 3 go") as caught:
        images_change.clean(run, **{**CLEAN, "keep": "0"})
    assert "--count 3" in caught.value.cure
    with pytest.raises(RegistryError):
        images_change.clean(run, **{**CLEAN, "keep": "0", "count": "2"})
    assert len(_left(engine)) == 3
    images_change.clean(run, **{**CLEAN, "keep": "0", "count": "3"})
    assert _left(engine) == []


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("app", "names no tag"),
        ("app:9", "no app:9 here"),
        ("other/app:1", "no other/app:1 here"),
        (f"app@sha256:{'0' * 64}", "no app@sha256:0000"),
        ("elsewhere.example:5000/app:1", "no image of this registry"),
        ("nothing*", "No image fits"),
        ("../app:1", "no image of this registry"),
        ("multi@{amd64}", "is a part of multi:1, which stays"),
    ],
)
def test_what_cannot_be_removed_is_refused(
    reference: str, error: str, old: dict[str, str], engine: FakeEngine, run: Run
) -> None:
    before = _left(engine)
    with pytest.raises(RegistryError, match=error):
        images_change.remove(run, references=["app:2", reference.format(**old)], now=False)
    assert _left(engine) == before


def test_a_digest_goes_with_all_of_its_tags_and_a_part_with_its_index(
    old: dict[str, str], made: MadeStorage, engine: FakeEngine, run: Run
) -> None:
    made.image("app", "also", "2")
    images_change.remove(run, references=[f"app@{old['2']}", f"multi@{old['amd64']}", "multi:1"], now=False)
    goes = next(line for line in _said(run).splitlines() if line.startswith("goes: "))
    assert {"app:2", "app:also"} <= {*goes.removeprefix("goes: ").split(", ")}
    assert [it for it in _left(engine) if len(it) < 12] == ["app:1", "app:3"]


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize(("reference", "now"), [("app:1", True), ("app:[1]", False)])
def test_without_consent_nothing_is_removed(
    reference: str,
    now: bool,  # noqa: FBT001 - pytest's
    engine: FakeEngine,
    run: Run,
) -> None:
    before = _left(engine)
    with pytest.raises(RegistryError, match="Nothing was removed"):
        images_change.remove(Run(run.settings, Recorder(answer=False)), references=[reference], now=now)
    assert _left(engine) == before


@pytest.mark.usefixtures("old")
def test_nobody_is_asked_about_images_that_were_named_and_can_come_back(engine: FakeEngine, run: Run) -> None:
    nobody = Recorder(answer=False)
    images_change.remove(Run(run.settings, nobody), references=["app:1"], now=False)
    assert "app:1" not in _left(engine)
    assert nobody.asked == []


@pytest.mark.usefixtures("old")
def test_a_dry_run_shows_the_plan_and_changes_nothing(engine: FakeEngine, made: MadeStorage, run: Run) -> None:
    images_change.remove(run, references=["app:1"], now=False)
    before = {it: it.stat().st_mtime_ns for it in made.folder.rglob("*")}
    dry = Run(run.settings, Recorder(dry=True))
    images_change.clean(dry, **{**CLEAN, "keep": "1"})
    images_change.undo(dry)
    assert "goes: app:2" in _said(dry)
    assert "comes back: app:1" in _said(dry)
    assert {it: it.stat().st_mtime_ns for it in made.folder.rglob("*")} == before
    engine.containers.clear()
    images_change.undo(dry)


@pytest.mark.usefixtures("old")
def test_an_image_that_the_registry_does_not_give_afterwards_is_an_error(
    engine: FakeEngine, run: Run, served: Served, old: dict[str, str]
) -> None:
    served.hidden.add(f"/v2/multi/manifests/{old['amd64']}")
    with pytest.raises(RegistryError, match=r"1 image cannot be pulled: multi:1") as caught:
        images_change.remove(run, references=["app:1"], now=False)
    assert caught.value.cure.startswith("./inv images.undo")
    assert "app:1" not in _left(engine)


def test_an_image_that_was_broken_before_is_told_and_no_error(made: MadeStorage, run: Run) -> None:
    made.image("app", "1", "a")
    made.path(made.layer_of(made.image("app", "2", "b"))).unlink()
    made.image("app", "3", "c")
    images_change.remove(run, references=["app:1"], now=False)
    assert "gives 1 image with all parts; 1 image broken before" in _said(run)


@pytest.mark.usefixtures("old")
def test_what_a_killed_run_left_is_finished_by_the_next(engine: FakeEngine, run: Run, collected: list[str]) -> None:
    trash = Trash(VolumeStorage(NAME, engine), Recorder())
    images_change.remove(run, references=["app:1"], now=False)
    trash.read()
    disposal.give_up(trash.removals[0], trash)
    images_change.remove(run, references=["app:2"], now=False)
    assert collected == ["read-only", "collected", "again"]
    trash.read()
    assert [it.images for it in trash.removals] == [("app:2",)]


@pytest.mark.usefixtures("old")
def test_a_removal_that_was_killed_is_finished_though_its_images_are_not_there_any_more(
    engine: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(Trash, "unlink", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            images_change.remove(run, references=["app:1"], now=False)
    with pytest.raises(RegistryError, match="no app:1 here"):
        images_change.remove(run, references=["app:1"], now=False)
    (found,) = Trash(VolumeStorage(NAME, engine), Recorder()).removals
    assert (found.state, found.images) == (REMOVED, ("app:1",))
    images_change.undo(run)
    assert "app:1" in _left(engine)


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_storage_lists_nothing_of_the_trash(made: MadeStorage, engine: FakeEngine, run: Run) -> None:
    made.image("app", "1", "a")
    made.image("app", "2", "b")
    images_change.remove(run, references=["app:1"], now=False)
    found = inventory.find(VolumeStorage(NAME, engine))
    hidden = [it for it in found.listing.repositories if listing.is_ours(it)]
    assert (hidden, inventory.empty(found)) == ([f"{listing.TRASH}/1"], [])


def test_a_broken_image_is_not_removed_since_no_undo_could_bring_it_back(
    made: MadeStorage, engine: FakeEngine, run: Run
) -> None:
    made.image("app", "1", "a")
    made.tag_link("app", made.image("app", "2", "b") and "2").write_bytes(b"")
    with pytest.raises(RegistryError, match="app:2 is broken"):
        images_change.remove(run, references=["app:*"], now=False)
    assert _left(engine) == ["app:1", "app:2", "app:sha256:" + _left(engine)[2][11:]]


@pytest.mark.usefixtures("old")
def test_what_is_lost_by_the_change_itself_is_an_error(
    old: dict[str, str], made: MadeStorage, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collect(*_: object) -> None:
        shutil.rmtree(made.path(made.layer_of(old["3"])).parent)

    monkeypatch.setattr("trusted_registry.instance.collection.collect", collect)
    with pytest.raises(RegistryError, match="app:3: a part of it is not there"):
        images_change.remove(run, references=["app:1"], now=True)


@pytest.mark.usefixtures("old")
def test_a_push_that_is_half_way_when_the_rest_is_proved_is_no_loss(
    made: MadeStorage, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink, slept = Trash.unlink, list[float]()

    def begin(*args: Any) -> None:  # noqa: ANN401 - the trash's
        made.tag_link("app", "new").parent.mkdir(parents=True)
        unlink(*args)

    def end(seconds: float) -> None:
        slept.append(seconds)
        made.image("app", "new", "x")

    monkeypatch.setattr(Trash, "unlink", begin)
    monkeypatch.setattr("trusted_registry.tasks.images_apply.time.sleep", end)
    images_change.remove(run, references=["app:1"], now=False)
    assert slept
    assert "proof: the registry gives" in _said(run)


@pytest.mark.usefixtures("old")
def test_others_who_push_all_the_time_are_not_waited_for(
    made: MadeStorage, engine: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, looks = Change.inventory, 0

    def pushed(change: Change) -> inventory.Inventory:
        nonlocal looks
        looks += 1
        assert looks < 20
        made.image("busy", f"{looks}", f"{looks}")
        return look(change)

    monkeypatch.setattr(Change, "inventory", pushed)
    images_change.remove(run, references=["app:1"], now=False)
    assert "app:1" not in _left(engine)


@pytest.mark.usefixtures("old")
def test_a_tag_of_this_second_goes_once_a_later_push_can_be_told_from_it(
    made: MadeStorage, engine: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.image("app", "now", "now")
    pushed = int(made.tag_link("app", "now").stat().st_mtime)
    clock, slept = [pushed + 0.5], list[float]()

    def noted(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr("trusted_registry.tasks.images_apply.time.sleep", noted)
    monkeypatch.setattr("trusted_registry.tasks.images_apply.time.time", lambda: clock[0])
    images_change.remove(run, references=["app:now"], now=False)
    assert [it for it in slept if it] == [1.5]
    assert "app:now" not in _left(engine)


@pytest.mark.usefixtures("old")
def test_what_others_removed_while_the_question_stood_is_not_freed(
    engine: FakeEngine, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    images_change.remove(run, references=["app:1"], now=False)

    def ask(_: str) -> bool:
        images_change.remove(Run(run.settings, Recorder()), references=["app:2"], now=False)
        return True

    monkeypatch.setattr(run.console, "ask", ask)
    images_change.clean(run, **{**CLEAN, "now": True})
    assert [it.images for it in Trash(VolumeStorage(NAME, engine), Recorder()).removals] == [("app:2",)]


def test_a_collection_goes_on_with_what_was_needed_meanwhile(
    old: dict[str, str], made: MadeStorage, engine: FakeEngine, run: Run
) -> None:
    images_change.remove(run, references=["multi:1"], now=False)
    made.index("multi", "2", {"amd64": old["amd64"]})
    images_change.clean(run, **{**CLEAN, "now": True})
    assert made.revision_link("multi", old["amd64"]).exists()
    assert made.path(made.layer_of(old["amd64"])).exists()
    assert "multi:2" in _left(engine)
