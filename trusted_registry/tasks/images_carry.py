"""Images carried: saved into one file, and loaded from one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from trusted_registry import files, installation
from trusted_registry.archives import loading, saving, source, tar
from trusted_registry.archives.loading import Contents, Loader
from trusted_registry.archives.saving import Selection
from trusted_registry.archives.source import Source
from trusted_registry.archives.tar import Archive
from trusted_registry.certificate import issue
from trusted_registry.console import current_folder, pasteable
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.images import inventory, storages, words
from trusted_registry.images.inventory import Image, Inventory
from trusted_registry.images.storage import Storage
from trusted_registry.instance import run_lock
from trusted_registry.registry import probe
from trusted_registry.run import Run
from trusted_registry.tasks import images, images_check

_SECOND = 1


def save(run: Run, *, file: str, references: Sequence[str], since: str) -> None:
    """Save images with all that they need into a file.

    Raises:
        RegistryError: There is no such image, one is broken, or the disk is full.
    """
    engine = engines.connect(run.console)
    path, base = target(file, run), base_of(since, run)
    with run_lock.held(run):
        container = images.there(run, engine)
        if container is None:
            return
        chosen = chosen_of(run, storages.of(container, run.settings, engine), references, base)
        write(path, chosen, container, run, engine)
    again = pasteable(["./inv", "images.save", "NEXT", "--since", str(saving.index_path(path))])
    show(path, chosen, run, f"elsewhere: {pasteable(['./inv', 'images.load', path.name])}; what is new later: {again}")


def base_of(since: str, run: Run) -> frozenset[str]:
    """Return the contents that the archive before has, by its index; a dry run needs none."""
    path = current_folder() / since
    return saving.read_index(path) if since and (files.exists(path) or not run.console.dry) else frozenset()


def target(file: str, run: Run) -> Path:
    """Return the path of a file that is written; a person is asked about one that is there.

    Raises:
        RegistryError: It stays as it is, or there is no such folder.
    """
    path = current_folder() / file
    run.console.command(["tar", "--create", "--file", str(path), "--directory", "layout", "."])
    with files.explained(path):
        if path.is_dir():
            raise RegistryError(f"{path} is a folder.", cure=f"Name a file, {path / 'images.tar'} for example.")
        if not path.parent.is_dir():
            raise RegistryError(f"There is no folder {path.parent}.", cure=pasteable(["mkdir", "-p", str(path.parent)]))
        there = files.exists(path)
    if there and not run.console.dry and not run.console.ask(f"Replace {path}?"):
        raise RegistryError(f"{path} was not replaced.", cure="Name another file.")
    return path


def chosen_of(run: Run, storage: Storage, references: Sequence[str], base: frozenset[str]) -> Selection:
    """Return what is saved: what was named, with its signatures; or all that is whole, and the rest is told."""
    with run.console.progress("Reading the images"):
        found = inventory.find(storage, sizes=True)
        if not all(map(found.is_whole, found.images)):
            time.sleep(_SECOND)  # a push under way may have given a tag whose manifest was listed a moment before
            found = inventory.find(storage, sizes=True)
    named = _named(references, found, run) if references else list(found.images)
    broken = [it for it in named if not saving.is_carried(it, found)]
    if broken and references:
        wrong = f"{images.reference_of(broken[0])} is broken, or of a kind that no such file carries."
        raise RegistryError(wrong, cure="./inv images.check --fix")
    if broken:
        left = ", ".join(map(images.reference_of, broken[:10]))
        why = "a part of it is not there, or of a kind that no such file carries"
        run.console.warn(f"left out, since {why}: {left}; ./inv images.check names what is broken")
    return saving.select([it for it in named if it not in broken], found, base)


def _named(references: Sequence[str], found: Inventory, run: Run) -> list[Image]:
    """Return the images that references and patterns name, and the signatures of those, and of these."""
    chosen: dict[Image, None] = {}
    for text in references:
        chosen |= dict.fromkeys(images.matching(text, found, run))
    while True:
        needed = {(it.repository, digest) for it in chosen for digest in found.needed(it.digest)}
        signs = [it for it in found.images if it.subject and (it.repository, it.subject) in needed]
        if chosen.keys() >= {*signs}:
            return [it for it in found.images if it in chosen]
        chosen |= dict.fromkeys(signs)


def write(  # noqa: PLR0913, PLR0917 - an archive has as many parts
    path: Path,
    chosen: Selection,
    container: Container,
    run: Run,
    engine: Engine,
    more: Mapping[str, bytes | Path] | None = None,
) -> None:
    """Write an archive of chosen images."""
    if run.console.dry:
        run.console.say(f"saves: {words.plural(len(chosen.images), 'image')}, {words.size(chosen.size)}")
        return
    folder, authority = run.settings.folder, ""
    with contextlib.suppress(RegistryError):  # of a registry without TLS
        authority = issue.trust_anchor(folder).fingerprint
    about = saving.about_now(run.settings.registry_host, installation.known(folder).id, authority, chosen)
    with from_registry(container, run, engine) as contents, run.console.progress("Saving") as progress:
        try:
            saving.save(path, chosen, contents, about, progress, more=more)
        except probe.NO_ANSWER as error:
            raise RegistryError(f"The registry does not answer: {error}", cure="./inv up") from error


@contextlib.contextmanager
def from_registry(container: Container, run: Run, engine: Engine) -> Iterator[Source]:
    """Yield what gives the contents of the registry here."""
    if found := source.files_of(engine.volume(container.volume) if container.volume else None):
        yield found
        return
    with images_check.asked(container, run, engine) as client:
        yield source.Served(client)


def show(path: Path, chosen: Selection, run: Run, then: str) -> None:
    """Tell what was saved, and what to do next."""
    if run.console.dry:
        return
    left = sum(chosen.inventory.listing.blobs[it].size for it in chosen.elsewhere)
    before = f"; {words.size(left)} are in the one before" if chosen.base else ""
    count = words.plural(len(chosen.images), "image")
    run.console.say(f"saved: {count}, {words.size(chosen.size)}, in {path}{before}")
    run.console.say(f"beside it: {saving.index_path(path).name}, which names its contents")
    run.console.say(then)


def load(run: Run, *, file: str) -> None:
    """Load the images of a file into the registry here; what it has already is not sent again.

    Raises:
        RegistryError: The file is damaged, nobody consented to tags that move, or the registry refuses an image.
    """
    engine = engines.connect(run.console)
    if is_shown_alone(file, run):
        return
    with tar.opened(current_folder() / file) as archive:
        contents = read(archive, run)
        container = images.there(run, engine)
        if container is None or run.console.dry:
            run.console.say(f"loads: {words.plural(len(contents.entries), 'image')}")
            return
        with run_lock.held(run):
            give(contents, container, run, engine)


def is_shown_alone(file: str, run: Run) -> bool:
    """Show what a person would type; whether that is all, since this is a dry run, and there is no such file."""
    path = current_folder() / file
    run.console.command(["tar", "--extract", "--file", str(path), "--directory", "layout"])
    run.console.command(["skopeo", "copy", "--all", "oci:layout:app:1", f"docker://{run.settings.registry_host}/app:1"])
    return run.console.dry and not files.exists(path)


def read(archive: Archive, run: Run) -> Contents:
    """Return the contents of an archive in which every digest is right."""
    contents = loading.read(archive)
    with run.console.progress("Checking the archive") as progress:
        loading.check(archive, progress)
    return contents


def give(contents: Contents, container: Container, run: Run, engine: Engine) -> None:
    """Give the registry what it lacks of an archive, and ask it for every image."""
    with images_check.asked(container, run, engine) as client:
        loader = Loader(contents, client)
        try:
            _give(loader, run)
        except probe.NO_ANSWER as error:
            cure = "./inv up; ./inv images.load goes on where this one ended"
            raise RegistryError(f"The registry does not answer: {error}", cure=cure) from error


def _give(loader: Loader, run: Run) -> None:
    every, before = loader.contents.entries, loader.digests()
    lacking = [it for it in every if before[it] != it.digest]
    moved = [it.reference for it in lacking if before[it]]
    if moved:
        run.console.say(f"other images have these tags here: {', '.join(moved[:20])}")
        if not run.console.ask(f"Move {words.plural(len(moved), 'tag')}?"):
            raise RegistryError("Nothing was loaded.", cure="./inv images lists what there is.")
    if not lacking:
        run.console.say(f"loaded: nothing, since all {words.plural(len(every), 'image')} are there")
        return
    with run.console.progress("Loading") as progress:
        loader.load(before, progress)
    now = loader.digests()
    if wrong := [it for it in every if now[it] != it.digest]:
        lost = f"{words.plural(len(wrong), 'image')} cannot be pulled: {wrong[0].reference}"
        raise RegistryError(lost, cure="./inv images.check")
    count = words.plural(len(lacking), "image")
    run.console.say(f"loaded: {count}; the registry gives all {len(every)} with the digests of the archive")
