"""Random storages and policies: what stays has all that it needs, and what goes is needed by nothing that stays."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as some

from trusted_registry.images import retention
from trusted_registry.images.history import History, Pulls
from trusted_registry.images.inventory import Image, Inventory
from trusted_registry.images.listing import Entry, Listing, Repository
from trusted_registry.images.manifest import Descriptor, Kind, Manifest
from trusted_registry.images.retention import DAY, LATELY, Plan, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = 1000 * DAY
REPOSITORIES = ("app", "team/app")


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


LAYERS = [_digest(f"layer {number}") for number in range(6)]
DAYS = some.integers(0, 60)


def _described(digests: Iterable[str]) -> tuple[Descriptor, ...]:
    return tuple(Descriptor(it, 1) for it in digests)


@some.composite
def _manifests(draw: some.DrawFn) -> list[Manifest]:
    """Images that share layers, indexes of images and of indexes, and signatures of any of them, or of nothing."""
    found: list[Manifest] = []
    for number in range(draw(some.integers(1, 8))):
        digest, before = _digest(f"manifest {number}"), [it.digest for it in found]
        kind = draw(some.sampled_from([Kind.IMAGE, Kind.IMAGE, Kind.INDEX, Kind.SIGNATURE]))
        children = draw(some.lists(some.sampled_from(before), max_size=3)) if kind is Kind.INDEX and before else []
        layers = draw(some.lists(some.sampled_from(LAYERS), max_size=3)) if kind is not Kind.INDEX else []
        subject = draw(some.sampled_from([*before, _digest("gone")])) if kind is Kind.SIGNATURE else ""
        config = Descriptor(draw(some.sampled_from(LAYERS)), 1) if layers else None
        found.append(
            Manifest(
                digest,
                1,
                kind,
                config=config,
                layers=_described(layers),
                children=_described(children),
                subject=subject,
            )
        )
    return found


@some.composite
def _inventories(draw: some.DrawFn) -> Inventory:
    manifests = {it.digest: it for it in draw(_manifests())}
    size = some.integers(1, 1000)
    blobs = {it: Entry(it, 1, draw(size), 0) for it in [*manifests, *LAYERS]}
    made = Inventory(Listing(blobs, folder=4096, link=4096), manifests=manifests)
    for name in REPOSITORIES:
        revisions = draw(some.lists(some.sampled_from([*manifests]), unique=True))
        past = {"old": {it: Entry("") for it in draw(some.lists(some.sampled_from(revisions)))}} if revisions else {}
        made.listing.repositories[name] = Repository(revisions={it: Entry("") for it in revisions}, past=past)
        tags = draw(some.dictionaries(some.sampled_from("12345"), some.sampled_from(revisions))) if revisions else {}
        for subject in draw(some.lists(some.sampled_from(revisions), unique=True, max_size=2)) if revisions else []:
            tags[f"{subject.replace(':', '-')}.sig"] = draw(some.sampled_from(revisions))
        reached = {it for digest in tags.values() for it in _needs(digest, manifests)}
        alone = [it for it in revisions if it not in reached]
        inner = {child.digest for it in alone for child in manifests[it].children}
        named = [*tags.items(), *((it, it) for it in alone if it not in inner)]
        made.images += [Image(name, key, it, manifests[it], NOW - draw(DAYS) * DAY) for key, it in named]
    return made


def _needs(digest: str, manifests: dict[str, Manifest]) -> set[str]:
    """Return all that a manifest needs, found in another way than the product's."""
    found = manifests.get(digest)
    if found is None:
        return {digest}
    inner = (_needs(it.digest, manifests) for it in found.children)
    return {digest, *(it.digest for it in found.blobs)}.union(*inner)


@some.composite
def _histories(draw: some.DrawFn, inventory: Inventory) -> History:
    pulled: dict[str, dict[str, Pulls]] = {}
    for image in draw(some.lists(some.sampled_from(inventory.images), max_size=4)) if inventory.images else []:
        name = draw(some.sampled_from([image.name, image.digest]))
        pulled.setdefault(image.repository, {})[name] = Pulls(NOW - draw(DAYS) * DAY, 1)
    return History(since=draw(some.sampled_from([0.0, 1.0, NOW - 30 * DAY])), pulls=pulled)


POLICIES = some.builds(
    Policy,
    keep=some.none() | some.integers(0, 3),
    older=some.none() | some.integers(0, 60),
    untagged=some.booleans(),
    matches=some.sampled_from(["", "app", "team/*", "app:[12]", "nothing"]),
).filter(lambda it: it.takes_tags or it.untagged)


def _left(plan: Plan, inventory: Inventory) -> dict[str, set[str]]:
    """Return the manifests of each repository after the plan."""
    every = inventory.listing.repositories
    return {name: {*it.revisions} - plan.manifests.get(name, frozenset()) for name, it in every.items()}


def _signs(image: Image) -> str:
    """Return what an image is a signature of, and nothing else."""
    if not image.is_tagged:
        return image.subject
    return image.name[:-4].replace("-", ":") if image.name.endswith(".sig") else ""


def _is_closed(plan: Plan, inventory: Inventory, chosen: Iterable[Image] = ()) -> None:
    left, manifests = _left(plan, inventory), inventory.manifests
    assert {*plan.goes} | {*plan.stays} == {*inventory.images}
    assert not {*plan.goes} & {*plan.stays}
    for name in REPOSITORIES:
        before = {*inventory.listing.repositories[name].revisions}
        stays = [it for it in plan.stays if it.repository == name]
        needed = {it for image in stays for it in _needs(image.digest, manifests)}
        assert needed & before <= left[name]
        assert not needed & plan.manifests.get(name, frozenset())
        assert all(it.digest in left[name] for it in stays)
        gone = {it for image in plan.goes if image.repository == name for it in _needs(image.digest, manifests)}
        assert plan.manifests.get(name, frozenset()) == (gone - needed) & before
        for image in stays:
            others = {it for other in stays if other != image for it in _needs(other.digest, manifests)}
            # By its tag a signature may be about one image, and by its manifest about another.
            signed = {_signs(image), image.subject} if _signs(image) else {""}
            assert not signed <= plan.manifests.get(name, frozenset()) or image.digest in others
        for image in plan.goes:
            if image.repository == name and image.subject and image not in chosen:
                assert image.subject not in needed


def _frees(plan: Plan, inventory: Inventory) -> int:
    """Return what a collection frees: it marks what the manifests that are left need, and sweeps all else."""
    left, listing = _left(plan, inventory), inventory.listing
    marked = {it for digests in left.values() for digest in digests for it in _needs(digest, inventory.manifests)}
    swept = sum(it.disk + listing.folder for digest, it in listing.blobs.items() if digest not in marked)
    links = sum(len(it) for it in plan.manifests.values()) * (listing.link + listing.folder)
    return swept + links + sum(2 * listing.link + 5 * listing.folder for it in plan.goes if it.is_tagged)


@given(some.data())
def test_what_stays_is_whole_and_what_goes_is_not_needed(data: some.DataObject) -> None:
    inventory = data.draw(_inventories())
    plan = retention.by_policy(data.draw(POLICIES), inventory, data.draw(_histories(inventory)), NOW)
    _is_closed(plan, inventory)
    assert plan.frees == _frees(plan, inventory)


@given(some.data())
def test_whatever_is_chosen_what_stays_is_whole(data: some.DataObject) -> None:
    inventory = data.draw(_inventories())
    chosen = data.draw(some.lists(some.sampled_from(inventory.images), unique=True)) if inventory.images else []
    plan = retention.without(chosen, inventory)
    _is_closed(plan, inventory, chosen)
    assert {*chosen} <= {*plan.goes}
    assert all(_signs(it) for it in {*plan.goes} - {*chosen})
    assert plan.frees == _frees(plan, inventory)


@given(some.data())
def test_a_policy_takes_nothing_but_what_it_says(data: some.DataObject) -> None:
    inventory, policy = data.draw(_inventories()), data.draw(POLICIES)
    history = data.draw(_histories(inventory))
    plan = retention.by_policy(policy, inventory, history, NOW)
    goes = [it for it in plan.goes if not _signs(it)]
    for image in goes:
        pulls = [history.pulls_of(image.repository, it) for it in (image.name, image.digest)]
        last = max((it.last for it in pulls if it and (it != pulls[0] or it.last > image.pushed + 1)), default=0.0)
        assert NOW - last >= (LATELY if policy.older is None else policy.older) * DAY
        assert image.pushed <= NOW - (policy.older or 0) * DAY
        assert policy.takes_tags if image.is_tagged else policy.untagged
        if policy.older is None and not image.is_tagged and image.pushed > NOW - LATELY * DAY:
            assert image.digest in inventory.listing.repositories[image.repository].past["old"]
        assert history.since or policy.older == 0
    for name in REPOSITORIES:
        tags = [it for it in inventory.images if it.repository == name and it.is_tagged and not _signs(it)]
        gone = [it for it in tags if it in goes]
        kept = sorted((it.pushed for it in tags if it not in gone), reverse=True)[: policy.keep or 0]
        assert not gone or len(kept) == (policy.keep or 0)
        assert all(it.pushed <= min(kept, default=NOW) for it in gone)
