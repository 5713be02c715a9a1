"""Disposal: images go into the trash, come back, or are given up; a run that was killed half way is finished."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from trusted_registry.errors import RegistryError
from trusted_registry.images.inventory import Inventory
from trusted_registry.images.removal import COMING, ENDING, GOING, REMOVED, Removal
from trusted_registry.images.trash import Trash

SETTLES = 1.0
"""Seconds in which what a registry has begun to write down is written."""

ReadInventory = Callable[[], Inventory]
"""Returns all images as they are now."""


def carry_out(removal: Removal, trash: Trash, read_inventory: ReadInventory) -> Removal:
    """Have images go into the trash; those that a push brings back meanwhile stay.

    Args:
        removal: The images.
        trash: The trash of their registry.
        read_inventory: Takes the inventory of now.

    Returns:
        The removal as noted.

    Raises:
        RegistryError: The disk is full, for example: all is as it was.
    """
    noted = trash.note(removal, GOING)
    try:
        trash.take(noted)
    except RegistryError:
        with contextlib.suppress(RegistryError):  # else the next run finishes it
            _take_back(noted, trash)
        raise
    trash.unlink(noted, read_inventory())
    time.sleep(SETTLES)
    trash.link(noted, read_inventory())
    return trash.note(noted, REMOVED)


def undo(removal: Removal, trash: Trash) -> None:
    """Have images come back, but for tags that were pushed again since."""
    _take_back(trash.note(removal, COMING), trash)


def _take_back(noted: Removal, trash: Trash) -> None:
    trash.give_back(noted)
    trash.let_go(noted)
    trash.forget(noted)


def give_up(removal: Removal, trash: Trash) -> Removal:
    """Note that nobody wants images back; their contents are kept until `Trash.let_go`."""
    return trash.note(removal, ENDING)


def finish(trash: Trash, read_inventory: ReadInventory) -> list[Removal]:
    """Finish and return the removals that killed runs left half way, but for those that wait for a collection."""
    unfinished = [it for it in trash.removals if it.state in {GOING, COMING}]
    for removal in unfinished:
        if removal.state == GOING:
            carry_out(removal, trash, read_inventory)
        else:
            undo(removal, trash)
    trash.read()
    return unfinished
