"""What goes by a policy, and what stays: images with all that they need, signatures with what they sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fake_engine import NAME
from trusted_registry.errors import SettingError
from trusted_registry.images import inventory, retention
from trusted_registry.images.history import History, Pulls
from trusted_registry.images.retention import DAY, LATELY, Policy
from trusted_registry.images.volume import VolumeStorage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fake_engine import FakeEngine
    from tests.images.storages import MadeStorage
    from trusted_registry.images.retention import Plan

pytestmark = pytest.mark.process

LONG_KNOWN = History(since=1.0)
"""A history in which all pulls are known, and there was none."""


def _now(made: MadeStorage) -> float:
    """Return a time that is one day after the storage was filled."""
    return made.folder.stat().st_mtime + DAY


def _aged(path: Path, days: float, made: MadeStorage) -> None:
    made.age(path, days * 24)


def _plan(made: MadeStorage, engine: FakeEngine, policy: Policy, history: History = LONG_KNOWN) -> Plan:
    return retention.by_policy(policy, _found(engine), history, _now(made))


def _found(engine: FakeEngine) -> inventory.Inventory:
    return inventory.find(VolumeStorage(NAME, engine), sizes=True)


def _names(plan: Plan) -> list[str]:
    return sorted(f"{it.repository}:{it.name}" for it in plan.goes)


@pytest.fixture
def tags(made: MadeStorage) -> dict[str, str]:
    """Four tags, each ten days older than the one after."""
    found = {tag: made.image("app", tag, tag) for tag in ("1", "2", "3", "4")}
    for tag in found:
        _aged(made.tag_link("app", tag), 10 * (4 - int(tag)), made)
    return found


@pytest.mark.parametrize(
    ("policy", "goes"),
    [
        (Policy(keep=2), ["app:1", "app:2"]),
        (Policy(keep=0), ["app:1", "app:2", "app:3", "app:4"]),
        (Policy(keep=9), []),
        (Policy(older=15), ["app:1", "app:2"]),
        (Policy(keep=3, older=15), ["app:1"]),
        (Policy(keep=0, older=25), ["app:1"]),
        (Policy(keep=0, matches="app:[24]"), ["app:2", "app:4"]),
        (Policy(keep=0, matches="other"), []),
        (Policy(untagged=True), []),
    ],
)
@pytest.mark.usefixtures("tags")
def test_the_newest_stay_and_the_old_go(policy: Policy, goes: list[str], made: MadeStorage, engine: FakeEngine) -> None:
    plan = _plan(made, engine, policy)
    assert _names(plan) == goes
    assert len(plan.stays) == 4 - len(goes)
    assert all(plan.stays.values())


def test_an_old_image_that_is_pulled_stays_by_any_of_its_names(
    tags: dict[str, str], made: MadeStorage, engine: FakeEngine
) -> None:
    pulled = {"app": {"1": Pulls(_now(made) - DAY, 1), tags["2"]: Pulls(_now(made) - DAY, 1)}}
    plan = _plan(made, engine, Policy(older=5), History(since=1.0, pulls=pulled))
    assert _names(plan) == ["app:3"]
    before = {"app": {"1": Pulls(_now(made) - 6 * DAY, 1), "3": Pulls(_now(made) - 12 * DAY, 1)}}
    assert "app:1" in _names(_plan(made, engine, Policy(older=5), History(since=1.0, pulls=before)))


@pytest.mark.parametrize(("known_for", "goes"), [(LATELY + 1, 3), (LATELY - 1, 0)])
@pytest.mark.usefixtures("tags")
def test_what_may_have_been_pulled_before_pulls_were_known_counts_as_pulled(
    known_for: float, goes: int, made: MadeStorage, engine: FakeEngine
) -> None:
    history = History(since=_now(made) - known_for * DAY)
    assert len(_plan(made, engine, Policy(keep=1), history).goes) == goes
    assert _plan(made, engine, Policy(keep=0), History()).goes == ()


def test_an_untagged_manifest_goes_and_the_images_of_a_tagged_index_stay(made: MadeStorage, engine: FakeEngine) -> None:
    old = made.image("app", "1", "old")
    made.image("app", "1", "new")
    children = {"amd64": made.image("multi", "", "a"), "arm64": made.image("multi", "", "b")}
    both = made.index("multi", "1", children)
    plan = _plan(made, engine, Policy(untagged=True))
    assert (_names(plan), dict(plan.manifests)) == ([f"app:{old}"], {"app": frozenset({old})})
    plan = _plan(made, engine, Policy(keep=0, matches="multi"))
    assert plan.manifests == {"multi": {both, *children.values()}}
    child = {"multi": {children["arm64"]: Pulls(_now(made), 1)}}
    assert _plan(made, engine, Policy(keep=0, matches="multi"), History(since=1.0, pulls=child)).goes == ()


@pytest.mark.parametrize("tagged", [True, False])
def test_a_signature_stays_and_goes_with_what_it_signs(
    tagged: bool,  # noqa: FBT001 - pytest's
    made: MadeStorage,
    engine: FakeEngine,
) -> None:
    one, two = made.image("app", "1", "a"), made.image("app", "2", "b")
    _aged(made.tag_link("app", "1"), 10, made)
    signed = {made.signature("app", it, tagged=tagged) for it in (one, two)}
    nested = made.signature("app", made.signature("app", one, tagged=False), tagged=False)
    plan = _plan(made, engine, Policy(keep=1))
    assert {one, nested} < plan.manifests["app"]
    assert two not in plan.manifests["app"]
    assert len(signed & plan.manifests["app"]) == 1
    assert "it belongs to what stays" in plan.stays.values()


def test_a_signature_of_what_is_not_here_counts_as_untagged(made: MadeStorage, engine: FakeEngine) -> None:
    made.image("app", "1", "a")
    orphan = made.signature("app", f"sha256:{'1' * 64}", tagged=True)
    assert _plan(made, engine, Policy(keep=0, matches="app:1")).manifests["app"] != {orphan}
    assert _plan(made, engine, Policy(keep=5)).goes == ()
    assert _plan(made, engine, Policy(untagged=True)).manifests == {"app": {orphan}}


def test_a_digest_stays_with_any_of_its_tags(made: MadeStorage, engine: FakeEngine) -> None:
    digest = made.image("app", "1", "a")
    made.image("app", "2", "a")
    _aged(made.tag_link("app", "1"), 10, made)
    plan = _plan(made, engine, Policy(keep=1))
    assert (_names(plan), plan.manifests) == (["app:1"], {})
    assert made.path(digest).exists()


def test_a_broken_tag_is_left_to_the_check(made: MadeStorage, engine: FakeEngine) -> None:
    made.path(made.image("app", "1", "a")).write_bytes(b"")
    plan = _plan(made, engine, Policy(keep=0))
    assert (plan.goes, [*plan.stays.values()]) == ((), ["it is broken: ./inv images.check"])


@pytest.mark.parametrize("policy", [Policy(), Policy(matches="app"), Policy(keep=-1), Policy(older=float("nan"))])
def test_a_policy_that_says_nothing_is_refused(policy: Policy, made: MadeStorage, engine: FakeEngine) -> None:
    with pytest.raises(SettingError):
        _plan(made, engine, policy)


def test_one_tag_goes_and_no_sibling(made: MadeStorage, engine: FakeEngine) -> None:
    digest = made.image("app", "1", "a")
    made.image("app", "2", "a")
    other = made.image("app", "3", "b")
    signature = made.signature("app", other, tagged=True)
    nested = made.signature("app", signature, tagged=False)
    found = inventory.find(VolumeStorage(NAME, engine))
    first, third = (next(it for it in found.images if it.name == tag) for tag in ("1", "3"))
    plan = retention.without([first], found)
    assert (_names(plan), plan.manifests) == (["app:1"], {})
    plan = retention.without([third], found)
    assert plan.manifests == {"app": {other, signature, nested}}
    signed = next(it for it in found.images if it.digest == signature)
    assert retention.without([signed], found).manifests == {"app": {signature, nested}}
    assert digest not in plan.manifests["app"]


@pytest.mark.parametrize(("days", "goes"), [(LATELY - 2, False), (LATELY, True)])
def test_a_digest_that_never_had_a_tag_stays_for_a_while(
    days: float,
    goes: bool,  # noqa: FBT001 - pytest's
    made: MadeStorage,
    engine: FakeEngine,
) -> None:
    digest = made.image("app", "", "a")
    _aged(made.revision_link("app", digest), days, made)
    plan = _plan(made, engine, Policy(untagged=True))
    assert bool(plan.goes) is goes
    assert goes or [*plan.stays.values()] == [f"it was pushed by its digest in the last {LATELY} days"]


@pytest.mark.parametrize("how", ["empty", "gone"])
def test_beside_a_manifest_that_cannot_be_read_no_manifest_goes(
    how: str, made: MadeStorage, engine: FakeEngine
) -> None:
    children = {"amd64": made.image("app", "old", "a"), "arm64": made.image("app", "", "b")}
    index = made.index("app", "", children)
    made.image("app", "old", "c")
    other = made.image("team/app", "1", "d")
    made.path(index).write_bytes(b"") if how == "empty" else made.path(index).unlink()
    plan = _plan(made, engine, Policy(keep=0, untagged=True))
    assert _names(plan) == ["app:old", "team/app:1"]
    assert plan.manifests == {"team/app": {other}}
    assert "a manifest beside it cannot be read: ./inv images.check" in plan.stays.values()


def test_a_tag_of_its_own_is_judged_by_that_though_it_is_about_another_image(
    made: MadeStorage, engine: FakeEngine
) -> None:
    one = made.image("app", "1", "a")
    about = made.image("app", "contents", "b", subject={"mediaType": "x", "digest": one, "size": 1})
    assert _names(_plan(made, engine, Policy(keep=0, matches="app:contents"))) == []
    assert _plan(made, engine, Policy(keep=0)).manifests == {"app": {one, about}}
    found = _found(engine)
    plan = retention.without([it for it in found.images if it.name == "1"], found)
    assert _names(plan) == ["app:1"]
    assert plan.manifests == {"app": {one}}


def test_a_signature_of_another_repository_s_image_stays(made: MadeStorage, engine: FakeEngine) -> None:
    made.signature("signatures", made.image("app", "1", "a"), tagged=True)
    assert _plan(made, engine, Policy(untagged=True)).goes == ()
    plan = _plan(made, engine, Policy(keep=0))
    assert _names(plan) == ["app:1"]
    assert "it signs an image of another repository" in plan.stays.values()
