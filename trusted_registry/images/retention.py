"""Retention: which images stay, and why; all else goes, with the manifests that nothing which stays needs.

The unit is a digest: a manifest stays while a tag or a digest that stays leads to it, an index's images with their
index, and signatures with the manifests that they sign. This module decides which go, and never `garbage-collect -m`,
which takes the images of a tagged index for untagged ones (distribution, issue 3178).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from trusted_registry.errors import SettingError
from trusted_registry.images import reference
from trusted_registry.images.history import History
from trusted_registry.images.inventory import Image, Inventory
from trusted_registry.images.listing import is_ours
from trusted_registry.images.manifest import subject_of_tag

DAY = 24 * 3600
"""Seconds of a day."""
LATELY = 7
"""Days for which a pull keeps an image, and a push by digest alone, where no age is given."""

_UNREAD = "a manifest beside it cannot be read: ./inv images.check"


@dataclass(frozen=True)
class Policy:
    """Rule by which images go.

    Args:
        keep: Number of the newest tags of each repository that stay; None if their number does not matter.
        older: Days without a push or a pull, after which an image goes; None if its age does not matter.
        untagged: Whether manifests that only a digest names go too.
        matches: Pattern of the images that may go; "" for all.
    """

    keep: int | None = None
    older: float | None = None
    untagged: bool = False
    matches: str = ""

    @property
    def takes_tags(self) -> bool:
        """Whether a tag may go."""
        return self.keep is not None or self.older is not None

    def check(self) -> None:
        """Refuse a rule by which nothing could go, or whose numbers are none.

        Raises:
            SettingError: The rule is such a one.
        """
        if not self.takes_tags and not self.untagged:
            example = "Use one such as ./inv images.clean --keep 10 --older 30 --untagged."
            raise SettingError("Nothing says which images are to go.", cure=example)
        for name, number in (("--keep", self.keep), ("--older", self.older)):
            if number is not None and not 0 <= number < 10**6:
                raise SettingError(f"{name} {number} is out of bounds.", cure=f"Use {name} with 0 or more.")


@dataclass(frozen=True)
class Plan:
    """Images that go, and those that stay.

    Args:
        goes: Tags, and manifests that only a digest names.
        stays: Reason of each image that stays.
        manifests: Manifests that go, by repository; images of an index that goes among them.
        frees: Bytes on the disk that a garbage collection frees afterwards.
    """

    goes: tuple[Image, ...] = ()
    stays: dict[Image, str] = field(default_factory=dict)
    manifests: dict[str, frozenset[str]] = field(default_factory=dict)
    frees: int = 0


def by_policy(policy: Policy, inventory: Inventory, history: History, now: float) -> Plan:
    """Return the plan of a policy.

    Args:
        policy: The rule.
        inventory: All images.
        history: Pulls, as far as they are known: an image that may have been pulled counts as pulled.
        now: Seconds since the epoch.
    """
    policy.check()
    ages = _Ages(inventory, history, now)
    stays: dict[Image, str] = {}
    for images in _repositories(inventory):
        newest = _newest(images, policy)
        reasons = {it: why for it in images if not _signs(it) and (why := _why(it, policy, newest, ages))}
        reasons |= {it: why for it in _orphans(images, inventory) if (why := _orphaned(it, policy, ages, inventory))}
        reasons |= _beside_unread(images, inventory)
        stays |= _with_signatures(reasons, images, inventory)
    return _plan(stays, inventory)


def without(chosen: Iterable[Image], inventory: Inventory) -> Plan:
    """Return the plan by which chosen images go, with the signatures of manifests that nothing names any more."""
    goes = {*chosen}
    stays: dict[Image, str] = {}
    for images in _repositories(inventory):
        orphans = {*_orphans(images, inventory)}
        reasons = {it: "it was not named" for it in images if it not in goes and (not _signs(it) or it in orphans)}
        reasons |= _beside_unread(images, inventory)
        stays |= _with_signatures(reasons, images, inventory, goes)
    return _plan(stays, inventory)


@dataclass(frozen=True)
class _Ages:
    """Ages of images, in days."""

    inventory: Inventory
    history: History
    now: float

    def unpulled(self, image: Image) -> float:
        """Return for how many days an image was surely not pulled, by its tag, its digest or an image of its index."""
        by_tag = self.history.pulls_of(image.repository, image.name) if image.is_tagged else None
        by_digest = self.history.pulls_of(image.repository, *self.inventory.needed(image.digest))
        # What was pulled by a tag before its push was another image; and a client that pushes asks for the tag first.
        tag_last = by_tag.last if by_tag and by_tag.last > image.pushed + 1 else 0.0
        last = max(tag_last, by_digest.last if by_digest else 0.0)
        # Before pulls were known it may have been pulled, up to the last moment; pushes have whole seconds.
        since = self.history.since or max(self.now, image.pushed) + 1
        return (self.now - max(last, since if image.pushed + 1 <= since else 0.0)) / DAY

    def unused(self, image: Image) -> float:
        """Return for how many days an image was neither pushed nor pulled."""
        return min(self.unpulled(image), self.unpushed(image))

    def unpushed(self, image: Image) -> float:
        """Return for how many days an image was not pushed."""
        return (self.now - image.pushed) / DAY

    def had_tag(self, image: Image) -> bool:
        """Whether a tag ever named an image: an image that none did may be a part of one in the making."""
        past = self.inventory.listing.repositories[image.repository].past
        return image.is_tagged or any(image.digest in digests for digests in past.values())


def _repositories(inventory: Inventory) -> Iterator[list[Image]]:
    """Yield the images of each repository."""
    found: dict[str, list[Image]] = {}
    for image in inventory.images:
        found.setdefault(image.repository, []).append(image)
    yield from found.values()


def _newest(images: list[Image], policy: Policy) -> set[Image]:
    """Return the newest tags, as many as stay; tags of one second are told apart by their names."""
    tags = [it for it in images if it.is_tagged and it.manifest and not _signs(it)]
    return {*sorted(tags, key=lambda it: (it.pushed, it.name), reverse=True)[: policy.keep or 0]}


def _why(image: Image, policy: Policy, newest: set[Image], ages: _Ages) -> str:
    """Return why an image stays; "" for one that goes."""
    return next(_reasons(image, policy, newest, ages), "")


def _reasons(image: Image, policy: Policy, newest: set[Image], ages: _Ages) -> Iterator[str]:
    if not reference.matches(image.repository, image.name, policy.matches):
        yield f"{policy.matches} does not fit it"
    if image.manifest is None:
        yield "it is broken: ./inv images.check"
    if image.is_tagged and not policy.takes_tags:
        yield "it has a tag"
    if not image.is_tagged and not policy.untagged:
        yield "its digest may be pulled still"
    if image in newest:
        yield f"it is one of the newest {policy.keep}"
    if policy.older is not None and ages.unused(image) < policy.older:
        yield f"it was used in the last {policy.older:g} days, as far as is known"
    if policy.older is None and ages.unpulled(image) < LATELY:
        yield f"it was pulled in the last {LATELY} days, as far as is known"
    if policy.older is None and ages.unpushed(image) < LATELY and not ages.had_tag(image):
        yield f"it was pushed by its digest in the last {LATELY} days"


def _signs(image: Image) -> str:
    """Return the subject of a mere signature, else ""; with an ordinary tag a signature is an image of its own too."""
    return subject_of_tag(image.name) if image.is_tagged else image.subject


def _beside_unread(images: list[Image], inventory: Inventory) -> dict[Image, str]:
    """Return the untagged manifests of a repository with one that cannot be read: they may be an index's images."""
    unread = _has_unread(images[0].repository, inventory)
    return {it: _UNREAD for it in images if unread and not it.is_tagged}


def _has_unread(repository: str, inventory: Inventory) -> bool:
    return any(it not in inventory.manifests for it in inventory.listing.repositories[repository].revisions)


def _orphans(images: list[Image], inventory: Inventory) -> list[Image]:
    """Return the signatures whose subjects are not in their repository."""
    present = inventory.listing.repositories[images[0].repository].revisions
    return [it for it in images if _signs(it) and _signs(it) not in present]


def _orphaned(image: Image, policy: Policy, ages: _Ages, inventory: Inventory) -> str:
    """Return why a signature stays whose subject is not in its repository: else it counts as an untagged manifest."""
    listed = inventory.listing.repositories.items()
    if any(_signs(image) in it.revisions for name, it in listed if not is_ours(name)):
        return "it signs an image of another repository"
    if not policy.untagged:
        return "it signs what is not here"
    return _why(Image(image.repository, image.digest, image.digest, image.manifest, image.pushed), policy, set(), ages)


def _with_signatures(
    reasons: dict[Image, str], images: list[Image], inventory: Inventory, goes: Collection[Image] = ()
) -> dict[Image, str]:
    """Return the kept images, and the signatures of these, of those, and of manifests that no image here leads to."""
    reasons = dict(reasons)
    unseen = {*inventory.listing.repositories[images[0].repository].revisions} - _reached(images, inventory)
    left = [it for it in images if it.subject and it not in goes]
    while True:
        needed = _reached(reasons, inventory) | unseen
        more = [it for it in left if it not in reasons and needed & {it.subject, it.digest}]
        if not more:
            return reasons
        reasons |= dict.fromkeys(more, "it belongs to what stays")


def _reached(images: Iterable[Image], inventory: Inventory) -> set[str]:
    """Return all digests that images need."""
    return {digest for it in images if it.digest for digest in inventory.needed(it.digest)}


def _plan(stays: dict[Image, str], inventory: Inventory) -> Plan:
    goes = tuple(it for it in inventory.images if it not in stays)
    manifests = {}
    for images in _repositories(inventory):
        name = images[0].repository
        lost = _reached((it for it in images if it not in stays), inventory)
        lost -= _reached((it for it in images if it in stays), inventory)
        gone = frozenset(lost.intersection(inventory.listing.repositories[name].revisions))
        if gone and not _has_unread(name, inventory):
            manifests[name] = gone
    plan = Plan(goes, stays, manifests)
    return replace(plan, frees=freed(plan, inventory))


def freed(plan: Plan, inventory: Inventory, ended: Collection[str] = ()) -> int:
    """Return the bytes on the disk that a garbage collection frees once a plan is carried out.

    Args:
        plan: The plan.
        inventory: All images, before.
        ended: Repositories that go besides, with all that is in them.
    """
    listing = inventory.listing
    left: set[str] = set()
    links = listing.links(tags=sum(1 for it in plan.goes if it.is_tagged))
    for name, repository in listing.repositories.items():
        gone = {*repository.revisions} if name in ended else plan.manifests.get(name, frozenset())
        # Nothing is left of a repository in which no manifest is.
        layers = len(repository.layers) if gone and gone == {*repository.revisions} else 0
        links += listing.links(revisions=len(gone), layers=layers)
        left.update(*(inventory.needed(it) for it in {*repository.revisions} - gone))
    return sum(map(listing.disk, set(listing.blobs) - left)) + links
