"""Move of the registry's images from its volume into a bucket, and back: copied, compared, and then switched to."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

from trusted_registry import files, installation, saved_flags
from trusted_registry.bucket import marker, moving, opening, times
from trusted_registry.bucket.client import Bucket
from trusted_registry.bucket.location import MOVE, STORAGE
from trusted_registry.bucket.moving import Move, Note
from trusted_registry.bucket.stores import BucketStore, Store, VolumeStore
from trusted_registry.console import pasteable
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.images import history, words
from trusted_registry.instance import collection, contents, front, mover, ownership, run_lock, running, switch
from trusted_registry.instance.model import Role
from trusted_registry.registry import probe
from trusted_registry.run import Run
from trusted_registry.tasks import images, images_apply, images_check

VOLUME = "volume"
_LOCK = ".move.lock"
_THE_VOLUME = "the volume "
_NAMED = 3
"""Images that a refusal names."""


def move(  # noqa: PLR0913 - all that leads to a bucket
    run: Run,
    *,
    to: str,
    endpoint: str,
    region: str,
    ca: str,
    credentials: str,
    insecure_storage: bool,
    purge_source: bool,
) -> None:
    """Have the registry keep its images elsewhere, once all are there; go on with a move that was cut short.

    Raises:
        RegistryError: A store is away or full, a content is damaged, or the target has other images: the registry goes
            on with the images where they are.
    """
    engine = engines.connect(run.console)
    insecure = "on" if insecure_storage else ""
    told = {"storage_endpoint": endpoint, "storage_region": region, "storage_insecure": insecure}
    if run.console.dry:
        _show(_goal(to, told, run), engine)
        return
    with files.locked(run.settings.folder, name=_LOCK):
        mover.sweep(run, engine)
        run = _as_it_runs(run, engine)
        goal = _goal(to, told, run)
        held = goal if goal.settings.storage else run
        task = STORAGE if held.settings.storage == run.settings.storage else MOVE
        bucket = opening.tried(held, credentials, ca, task) if held.settings.storage else None
        if bucket is None or run.settings.storage == goal.settings.storage:
            saved_flags.save(goal)
            run.console.say(f"images: in {images.place(goal)} already")
        else:
            with images_apply.begun(run, frees=False):  # what a killed run left half way is finished
                container = ownership.claimed(run, engine)
            assert container  # noqa: S101 - without one, that is an error
            _Task(run, goal, bucket, engine, container).carry_out()
        if purge_source:
            _purge(goal, engine)


def _as_it_runs(run: Run, engine: Engine) -> Run:
    """Return the run of the registry with its images where they are.

    A run that was killed while it switched has noted the target already.

    Raises:
        RegistryError: No registry runs here.
    """
    with run_lock.held(run):
        if front.is_traced(run.settings, engine):
            switch.settle(run, engine)
        container = ownership.container(run, engine)
        if container is None or container.role != Role.TLS or container.state != "running":
            raise RegistryError("No TLS registry runs here.", cure="./inv up starts one.")
        if not ownership.is_elsewhere(container, run.settings):
            return run
        flags = {name: it for name, it in run.settings.saved_flags.items() if name != "storage"}
        flags |= {"storage": container.bucket} if container.bucket else {}
        made = run.with_settings(storage=container.bucket, saved_flags=flags)
        saved_flags.save(made)
        return made.with_settings(saved_flags_before=flags)


def _goal(to: str, told: Mapping[str, str], run: Run) -> Run:
    """Return the run of a registry that has its images elsewhere.

    Raises:
        SettingError: There is no such place, or a setting says another one.
    """
    before = run.settings.storage
    if to == VOLUME:
        if before and "storage" not in run.settings.saved_flags:
            wrong = "registry.storage is set by INVOKE_REGISTRY_STORAGE, or in invoke.yaml."
            raise SettingError(wrong, cure="Have ./inv registry.storage say it instead, then move.")
        flags = {name: it for name, it in run.settings.saved_flags.items() if name != "storage"}
        return run.with_settings(storage="", saved_flags=flags)
    goal = opening.chosen(run, to, told)
    if before not in ("", goal.settings.storage):
        wrong = f"The images are in {before}, and move from there to the volume alone."
        then = pasteable(replace(opening.location(goal.settings), task=MOVE).command)
        raise SettingError(wrong, cure=f"./inv registry.move --to volume && {then}")
    return goal


def _again(run: Run) -> str:
    return run.settings.command(f"registry.move {pasteable(['--to', run.settings.storage or VOLUME])}")


def _show(goal: Run, engine: Engine) -> None:
    volume = engine.volume(goal.settings.volume)
    ends = [(volume.folder if volume else "") or goal.settings.volume, goal.settings.storage or "s3://BUCKET/PREFIX"]
    goal.console.command(["aws", "s3", "sync", *(ends if goal.settings.storage else reversed(ends))])
    running.run_tls(goal, engine)


class _Task:
    """Move of the images of a registry that runs.

    Args:
        run: The registry as it is.
        goal: The registry as it is to be.
        bucket: The bucket of either.
        engine: The engine that runs it.
        container: Its container.
    """

    def __init__(self, run: Run, goal: Run, bucket: Bucket, engine: Engine, container: Container) -> None:
        self._run, self._goal, self._engine, self._container = run, goal, engine, container
        self._objects = BucketStore(bucket)
        # The volume that it has may be another one than is set.
        self._source = f"{_THE_VOLUME}{container.volume}" if container.volume else images.place(run)
        self._target = images.place(goal)
        self._has_switched = False

    def carry_out(self) -> None:
        """Copy, compare, hold pushes off for the rest, and switch."""
        run, folder = self._run, self._run.settings.folder
        try:
            with self._stores() as (source, target):
                note = self._note(source, target)

                def keep(compared: moving.Marks) -> None:
                    replace(note, compared=compared).save(folder)

                found = Move(source, target, dict(note.compared), keep, run.console)
                found.approach()
                with run_lock.held(run):
                    self._finish(found)
                Note(self._source, self._target, done=True).save(folder)
                contents_, size = found.contents
            run.console.say(f"moved: {words.plural(contents_, 'content')}, {words.size(size)}, each with its digest")
        except probe.NO_ANSWER as error:
            cure = "./inv up  # then the same command goes on"
            raise RegistryError(f"The registry does not answer: {error}", cure=cure) from error
        except RegistryError as error:
            if self._has_switched:
                raise
            cure = f"{error.cure}  # then the same command goes on"
            raise RegistryError(f"{error.message} The images stay in {self._source}.", cure=cure) from error
        run.console.say(f"registry: has its images in {self._target} now")
        purge = f"{_again(self._goal)} --purge-source"
        run.console.say(f"{self._source} has them still, as they were; to remove them there: {purge}")

    def _note(self, source: Store, target: Store) -> Note:
        """Return the note of a move that is gone on with, or of a new one to a target that has no other images.

        Raises:
            RegistryError: It has.
        """
        note = moving.read_note(self._run.settings.folder)
        if note.is_of(self._source, self._target):
            self._run.console.say(f"goes on with the move from {self._source} to {self._target}")
            return note
        if others := moving.strangers(source, target):
            named = f"{', '.join(others[:_NAMED])}{', …' if others[_NAMED:] else ''}"
            wrong = f"{self._target} has {words.plural(len(others), 'image')} that {self._source} has not: {named}."
            purge = f"{_again(self._run)} --purge-source  # if nobody needs them"
            raise RegistryError(wrong, cure=purge if note.source == self._target else "Name another prefix.")
        note = Note(self._source, self._target)
        note.save(self._run.settings.folder)
        return note

    @contextlib.contextmanager
    def _stores(self) -> Iterator[tuple[Store, Store]]:
        """Yield source and target."""
        run, engine, volume = self._run, self._engine, self._container.volume
        if not volume:
            ownership.check_volume(run.settings, engine, None)
            engine.make_volume(run.settings.volume, installation.known(run.settings.folder).id)
        with mover.running(volume or run.settings.volume, self._container, run, engine) as name:
            files_ = VolumeStore(name, engine)
            yield (files_, self._objects) if volume else (self._objects, files_)
        contents.sweep(run, engine)  # the mover had its files

    def _finish(self, found: Move) -> None:
        """Bring the target to what the source has while nobody pushes, and have the registry take it over."""
        run, engine = self._run, self._engine
        container = images.there(run, engine) or self._container
        asked = images_check.asked(container, run, engine)
        with asked as client, collection.read_only(container, client, run, engine):
            since = time.monotonic()
            history.updated(container, run, engine)
            found.finish()
            self._switch(container)
        run.console.say(f"pushes were refused for {time.monotonic() - since:.1f} s")

    def _switch(self, container: Container) -> None:
        """Have a registry take over that has its images in the target.

        From here on the target counts: a run that is killed leaves a registry that takes no push, or one there.
        """
        saved_flags.save(self._goal)
        try:
            running.reload(self._goal, container, self._engine)
        except BaseException:
            # It may have taken over all the same.
            if collection.has_stayed_read_only(container, self._run, self._engine):
                now, before = self._goal.settings.saved_flags, self._run.settings.saved_flags_before
                saved_flags.save(self._run.with_settings(saved_flags=before, saved_flags_before=now))
            raise
        self._has_switched = True


def _purge(goal: Run, engine: Engine) -> None:
    """Remove the images where they were, if a person consents."""
    settings, console = goal.settings, goal.console
    source = moving.read_note(settings.folder).source
    volume = source.removeprefix(_THE_VOLUME) if settings.storage else ""
    if not source or (settings.storage and engine.volume(volume) is None):
        console.say(f"nothing is left: the images are in {images.place(goal)} alone")
        return
    if not console.ask(f"Remove all images in {source}? The registry has its own in {images.place(goal)}."):
        raise RegistryError("Nothing was removed.", cure="./inv images lists what the registry has.")
    if settings.storage:
        ownership.check_volume(replace(settings, volume=volume), engine, None)
        engine.remove_volume(volume)
        installation.forget_volume(settings.folder, volume)
    else:
        found = opening.opened(goal.with_settings(storage=source).settings)
        marker.claim(found, installation.known(settings.folder).id, known=True)
        empty(found)
    files.remove(settings.folder / moving.NOTE, keep=settings.folder)
    console.say(f"removed: all images in {source}")


def empty(bucket: Bucket) -> None:
    """Remove all images in a bucket."""
    every = [it.path for it in bucket.objects("docker/registry/v2/")]
    bucket.remove([*every, *BucketStore(bucket).entries(), times.NAME])
