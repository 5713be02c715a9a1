"""Change of a registry's images: shown, carried out, freed, and proved."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.images import (
    disposal,
    history,
    inventory,
    pulling,
    reference,
    removal,
    retention,
    storages,
    usage,
    words,
)
from trusted_registry.images.inventory import Image, Inventory
from trusted_registry.images.removal import Removal
from trusted_registry.images.retention import DAY, Plan
from trusted_registry.images.trash import Trash
from trusted_registry.instance import collection, front, run_lock, switch
from trusted_registry.registry import probe, prove
from trusted_registry.run import Run
from trusted_registry.tasks import images, images_check, swarm_images

_SECOND = 1
"""Seconds by which times of pushes can be told apart."""
_NAMED = 20
"""Images that are named; of more the number is told."""


@contextmanager
def begun(run: Run, *, frees: bool = True) -> Iterator[Change | None]:
    """Yield what a change of the registry's images takes; None in a dry run with no registry.

    Args:
        run: Settings, and the console.
        frees: Whether a collection that a killed run began is ended first.
    """
    engine = engines.connect(run.console)
    if not run.console.dry and front.is_traced(run.settings, engine):
        with run_lock.held(run):  # a run that was killed may have left two registries, or one of another name
            switch.settle(run, engine)
    container = images.there(run, engine)
    if container is None:
        images.show_look(run)
        yield None
        return
    try:
        change = Change(container, run, engine)
        if not run.console.dry and change.is_unfinished:
            with run_lock.held(run):
                change.finish(frees=frees)
        yield change
    except probe.NO_ANSWER as error:
        wrong = f"The registry does not answer: {error}"
        raise RegistryError(wrong, cure="./inv up; ./inv images.clean goes on where this one ended") from error


class Change:
    """A change of the images of a running registry."""

    def __init__(self, container: Container, run: Run, engine: Engine) -> None:
        self._container = container
        self._run = run
        self._engine = engine
        # The questions of the proof push what is older out of the log.
        self.known = history.updated(container, run, engine)
        self._storage = storages.of(container, run.settings, engine)
        self._collection = swarm_images if swarm_images.there(run) else collection
        self.trash = Trash(self._storage, run.console)

    @property
    def is_read_only(self) -> bool:
        """Whether a run that was killed left the registry refusing pushes."""
        if self._collection.has_stayed_read_only(self._container, self._run, self._engine):
            return True
        # It may read another configuration when it starts again.
        with images_check.asked(self._container, self._run, self._engine) as client:
            return client.is_read_only(prove.REPOSITORY)

    @property
    def is_unfinished(self) -> bool:
        """Whether a run that was killed left something half way."""
        return any(it.state != removal.REMOVED for it in self.trash.removals) or self.is_read_only

    def inventory(self) -> Inventory:
        """Return all images as they are now."""
        return inventory.find(self._storage, sizes=True)

    def read(self) -> Inventory:
        """Return all images as they are now, and show that this takes a while."""
        with self._run.console.progress("Reading the images"):
            return self.inventory()

    def _settled(self, plan: Plan) -> tuple[Inventory, Plan]:
        """Return all images, and the plan by which those go that are as a plan found them.

        One that is pushed later has another time of its push, in whole seconds.
        """
        while True:
            found = self.read()
            at = found.listing.at
            made = retention.without([it for it in found.images if it in plan.goes], found)
            newest = max(_pushes(made, found), default=0)
            if not at - _SECOND <= newest <= at:
                return found, made
            time.sleep(newest + 1 + _SECOND - at)

    def due(self, *, now: bool) -> list[Removal]:
        """Return the removals whose bytes are to be freed."""
        days = 0 if now else self._run.settings.undo_days
        every = self.trash.removals
        return [it for it in every if it.state == removal.ENDING or now or it.when + days * DAY <= time.time()]

    def make(self, plan: Plan, before: Inventory, due: list[Removal], *, now: bool, asks: bool) -> None:
        """Carry out a plan, if a person consents: free what is due, and prove what stays.

        Args:
            plan: The images that go.
            before: All images.
            due: Removals that are freed.
            now: Whether what goes is freed too.
            asks: Whether a person is asked.
        """
        console = self._run.console
        if not plan.goes and not due:
            for why, count in _counted(plan.stays.values()):
                console.say_idle(f"stays: {words.plural(count, 'image')}: {why}")
            console.say_idle("images: nothing is due")
            return
        frees = retention.freed(plan, before, [it.repository for it in due]) if due or now else plan.frees
        self._show(plan, due, frees, now=now)
        if console.dry:
            return
        goes = f"Remove {words.plural(len(plan.goes), 'image')}" if plan.goes else "Free the disk"
        if asks and not console.ask(f"{goes}, {words.size(frees)}?"):
            raise RegistryError("Nothing was removed.", cure="./inv images lists what there is.")
        with run_lock.held(self._run):
            self.finish()
            self._carry_out(plan, before, {it.number for it in due}, now=now)
            self.prove(before)

    def _carry_out(self, plan: Plan, before: Inventory, shown: set[int], *, now: bool) -> None:
        """Free first what was shown to be due, since a full disk takes no record of what goes."""
        size = usage.total(before.listing)
        if due := [it for it in self.trash.removals if it.number in shown]:
            self._free(due, size)
            size = usage.total(self.inventory().listing)
        found, plan = self._settled(plan)
        if not plan.goes:
            return
        number = self.trash.next_number(found)
        made = removal.of(plan, found, number=number, when=time.time())
        made = disposal.carry_out(made, self.trash, self.inventory)
        self._say_result(made, now=now)
        if now:
            self._free([made], size)
        self.trash.read()

    def finish(self, *, frees: bool = True) -> None:
        """Finish what a run left half way that was killed, and have the registry take pushes.

        Args:
            frees: Whether the bytes are freed that it was about to free.
        """
        self.trash.read()
        for number in self.trash.unread:
            self._run.console.warn(f"the record of removal {number} cannot be read; its images are kept")
        ending = [it for it in self.trash.removals if it.state == removal.ENDING]
        if (ending and frees) or self.is_read_only:
            self._free(ending if frees else [], usage.total(self.inventory().listing))
        for it in disposal.finish(self.trash, self.inventory):
            self._run.console.say(f"finished, since a run of before was ended half way: {named(it.images)}")

    def _show(self, plan: Plan, due: list[Removal], frees: int, *, now: bool) -> None:
        console = self._run.console
        console.say(f"goes: {named([images.reference_of(it) for it in plan.goes])}") if plan.goes else None
        for why, count in _counted(plan.stays.values()):
            console.say(f"stays: {words.plural(count, 'image')}: {why}")
        for it in due:
            console.say(f"freed, with no undo any more: {named(it.images)}, removed {words.when(it.when)}")
        until = "" if now else f" after {self._run.settings.undo_days} days"
        console.say(f"frees: {words.size(frees)}{until}")
        if due or now:
            bound = f", but for what takes more than {self._collection.DRAIN} s then"
            bound = "" if self._run.settings.front else bound
            console.say(f"pushes are refused while the disk is freed; pulls go on{bound}")

    def _say_result(self, made: Removal, *, now: bool) -> None:
        until = words.when(made.when + self._run.settings.undo_days * DAY)
        undo_ = "" if now else f"; until {until} ./inv images.undo brings back what went"
        present = {images.reference_of(it) for it in self.inventory().images}
        present |= self._given_still([it for it in made.images if it not in present])
        gone = [it for it in made.images if it not in present]
        self._run.console.say(f"removed: {named(gone)}{undo_}") if gone else None
        if again := [it for it in made.images if it in present]:
            self._run.console.say(f"left alone, since it was pushed again: {named(again)}")

    def _given_still(self, went: Sequence[str]) -> set[str]:
        """Return the images that were pushed again in this very moment; a digest is given until it is freed.

        Raises:
            RegistryError: The registry gives one that is not there.
        """
        tags = [(it.rpartition(":")[0], it.rpartition(":")[2]) for it in went if "@" not in it]
        with images_check.asked(self._container, self._run, self._engine) as client:
            still = {reference.joined(*it) for it in pulling.present(tags, client)}
        again = still & {images.reference_of(it) for it in self.inventory().images} if still else still
        if wrong := sorted(still - again):
            raise RegistryError(
                f"The registry still gives {named(wrong)}.", cure="./inv images.undo; ./inv registry.logs"
            )
        return again

    def _free(self, due: list[Removal], bytes_before: int) -> None:
        """Free the bytes of removals, while the registry refuses pushes; with none, only have it take them again."""
        self._container = images.there(self._run, self._engine) or self._container  # as it is now, under the lock
        if due:
            self._collection.check(self._container, self._run, self._engine)
        due = [disposal.give_up(it, self.trash) for it in due]
        self.trash.read()
        with images_check.asked(self._container, self._run, self._engine) as client:
            since = time.monotonic()
            with self._collection.read_only(self._container, client, self._run, self._engine):
                if due:
                    self._collect(due)
            seconds = time.monotonic() - since
        for it in due:
            self.trash.forget(it)
        self.trash.read()
        if due:
            freed = words.size(max(bytes_before - usage.total(self.inventory().listing), 0))
            self._run.console.say(f"freed: {freed}; pushes were refused for {seconds:.1f} s")

    def _collect(self, due: list[Removal]) -> None:
        """Collect; now that nobody pushes, what anybody needs is known for certain."""
        found = self.inventory()
        for it in self.trash.removals:
            if it.state in {removal.REMOVED, removal.ENDING}:
                self.trash.link(it, found)
        for it in due:
            self.trash.let_go(it)
        self._collection.collect(self._container, self._run, self._engine)

    def say_back(self, undone: Removal) -> None:
        """Tell what came back, and which tags are another image's since."""
        found = self.inventory()
        present = {(it.repository, it.name): it for it in found.images}
        tags = [(name, tag, digest) for name, some in undone.tags.items() for tag, (digest, _) in some.items()]
        moved = [reference.joined(*it[:2]) for it in tags if it[:2] in present and present[it[:2]].digest != it[2]]
        complete = [images.reference_of(it) for it in found.images if found.is_whole(it)]
        if back := [it for it in undone.images if it in complete and it not in moved]:
            self._run.console.say(f"back: {named(back)}")
        if moved:
            self._run.console.say(f"left alone, since it was pushed again: {named(moved)}")

    def _broken_since(self, before: Inventory, found: Inventory) -> list[Image]:
        """Return what is broken in an inventory of now, and was not before."""
        known = _broken(before)
        if new := [it for it in _broken(found) if it not in known]:
            time.sleep(_SECOND)  # of a push, the tag may have been there before its link
            still = _broken(self.inventory())
            return [it for it in new if it in still]
        return []

    def prove(self, before: Inventory) -> None:
        """Ask the registry for every image with all of its parts.

        Args:
            before: All images before the change: what was broken then is no fault of it.

        Raises:
            RegistryError: It does not give one.
        """
        found = self.inventory()
        complete = [it for it in found.images if found.is_whole(it)]
        wrong = dict.fromkeys(self._broken_since(before, found), "a part of it is not there")
        asking = self._run.console.progress("Asking the registry", "parts")
        with images_check.asked(self._container, self._run, self._engine) as client, asking as progress:
            wrong |= pulling.refused(complete, found, client, progress)
        if wrong:
            image, why = next(iter(wrong.items()))
            refused = f"{words.plural(len(wrong), 'image')} cannot be pulled: {images.reference_of(image)}: {why}"
            raise RegistryError(refused, cure="./inv images.undo; ./inv images.check")
        left = len(found.images) - len(complete)
        also = f"; {words.plural(left, 'image')} broken before: ./inv images.check" if left else ""
        self._run.console.say(f"proof: the registry gives {words.plural(len(complete), 'image')} with all parts{also}")


def _pushes(plan: Plan, found: Inventory) -> Iterator[int]:
    """Yield the times of the pushes of all that goes."""
    yield from (it.pushed for it in plan.goes)
    for name, digests in plan.manifests.items():
        yield from (found.listing.repositories[name].revisions[it].changed for it in digests)


def _broken(found: Inventory) -> list[Image]:
    return [it for it in found.images if not found.is_whole(it)]


def named(names: Sequence[str]) -> str:
    """Return names for a line: the first ones, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _counted(reasons: Iterable[str]) -> list[tuple[str, int]]:
    """Return each reason with the number of its images, the most frequent first."""
    from collections import Counter

    return Counter(it for it in reasons if it).most_common()
