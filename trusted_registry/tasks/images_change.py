"""Images removed by name or by a policy, brought back, and freed; those that stay are proved afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from trusted_registry import values
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.images import (
    disposal,
    removal,
    retention,
)
from trusted_registry.images.inventory import Image, Inventory
from trusted_registry.images.retention import Plan, Policy
from trusted_registry.instance import run_lock
from trusted_registry.run import Run
from trusted_registry.settings import MAX_IMAGES
from trusted_registry.tasks import images, images_apply


def remove(run: Run, *, references: Sequence[str], now: bool) -> None:
    """Remove tags, digests with all of their tags, or all that a pattern fits.

    Raises:
        RegistryError: There is no such image, it is a part of one that stays, or nobody consented.
    """
    if not references:
        raise SettingError("Nothing says which images are to go.", cure="./inv images.remove app:1,app:2")
    with images_apply.begun(run) as change:
        if change is None:
            return
        before = change.read()
        plan = retention.without(_chosen(references, before, run), before)
        # Every image is named, and an undo brings it back.
        asks = now or any(images.is_pattern(it) for it in references)
        change.make(plan, before, change.due(now=True) if now else [], now=now, asks=asks)


def clean(  # noqa: PLR0913 - a rule has as many parts
    run: Run, *, keep: str, older: str, untagged: bool, match: str, now: bool, count: str
) -> None:
    """Remove what a policy says, free what was removed long ago, and say nothing where nothing is due.

    Raises:
        RegistryError: Nobody consented, no image would be left, or one that stays cannot be pulled afterwards.
    """
    set_ = run.settings
    keep, older, match = keep or set_.keep, older or set_.older, match or set_.match
    policy = Policy(
        values.whole_number("--keep", keep, 0, MAX_IMAGES) if keep else None,
        values.whole_number("--older", older, 0, MAX_IMAGES) if older else None,
        untagged or set_.untagged,
        match,
    )
    with images_apply.begun(run) as change:
        if change is None:
            return
        before = change.read()
        says_nothing = not policy.takes_tags and not policy.untagged
        due = change.due(now=now)
        if says_nothing and due:
            plan = Plan(stays=dict.fromkeys(before.images, ""))
        else:
            plan = retention.by_policy(policy, before, change.known, time.time())
            _check_count(plan, count)
        change.make(plan, before, due, now=now, asks=True)


def undo(run: Run) -> None:
    """Bring back what was removed last.

    Raises:
        RegistryError: There is nothing to bring back, or the registry does not give it afterwards.
    """
    with images_apply.begun(run, frees=False) as change:
        if change is None:
            return
        with run_lock.held(run):
            before = change.inventory()
            change.trash.read()
            left = [it for it in change.trash.removals if it.state == removal.REMOVED]
            if not left:
                wrong = "There is nothing to bring back: nothing was removed, or its bytes are freed already."
                raise RegistryError(wrong, cure="./inv images lists what there is.")
            if run.console.dry:
                run.console.say(f"comes back: {images_apply.named(left[-1].images)}")
                return
            disposal.undo(left[-1], change.trash)
            change.say_back(left[-1])
            change.prove(before)


def _chosen(references: Iterable[str], found: Inventory, run: Run) -> list[Image]:
    """Return the images that references and patterns name."""
    chosen: dict[Image, None] = {}
    for text in references:
        chosen |= dict.fromkeys(images.matching(text, found, run))
    for image in chosen:
        if image.manifest is None:
            wrong = f"{images.reference_of(image)} is broken, so no undo could bring it back."
            raise RegistryError(wrong, cure="./inv images.check --fix")
        if any(text.endswith(f"{image.repository}@{image.digest}") for text in references):
            _check_is_no_part(image, chosen, found)
    return list(chosen)


def _check_is_no_part(image: Image, chosen: Iterable[Image], found: Inventory) -> None:
    """Refuse a digest that an index needs which stays: that would be broken.

    Raises:
        RegistryError: So it is.
    """
    others = (it for it in found.images if it.repository == image.repository and it.digest != image.digest)
    for it in others:
        if it not in chosen and image.digest in found.needed(it.digest):
            wrong = f"{image.repository}@{image.digest} is a part of {images.reference_of(it)}, which stays."
            raise RegistryError(wrong, cure=f"./inv images.remove {pasteable([images.reference_of(it)])}")


def _check_count(plan: Plan, typed: str) -> None:
    """Refuse a plan by which no image would stay, unless their number was typed.

    Raises:
        RegistryError: So it is.
    """
    if plan.goes and not plan.stays and typed != str(len(plan.goes)):
        wrong = f"No image would stay: all {len(plan.goes)} go."
        raise RegistryError(wrong, cure=f"--count {len(plan.goes)} says that this is meant.")
