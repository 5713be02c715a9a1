"""Backup of a whole registry with its trust, and its restoration, here or on another machine."""

from __future__ import annotations

from collections.abc import Mapping

from trusted_registry import files, installation
from trusted_registry.archives import secrets, tar
from trusted_registry.archives.loading import Contents
from trusted_registry.archives.tar import Archive
from trusted_registry.certificate import handed
from trusted_registry.console import current_folder, pasteable
from trusted_registry.defaults import ROOT
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.images import inventory, storages, words
from trusted_registry.images.inventory import Inventory
from trusted_registry.instance import run_lock
from trusted_registry.run import Run
from trusted_registry.tasks import images, images_carry, registry

_QUESTION = "Passphrase of the backup"


def backup(run: Run, *, file: str, since: str) -> None:
    """Save all images, users, certificates, keys and settings into a file; what is secret, with a passphrase.

    Raises:
        RegistryError: The registry is not this machine's, the passphrase is too short, or the disk is full.
    """
    engine, folder = engines.connect(run.console), run.settings.folder
    if handed.is_handed(folder) or not (run.console.dry or installation.known(folder).id):
        cure = "./inv up makes one; one that is on another machine, back up there."
        raise RegistryError("This checkout has no registry of its own.", cure=cure)
    path = images_carry.target(file, run)
    base = images_carry.base_of(since, run)
    words_ = ask_passphrase(run)
    with run_lock.held(run):
        container = images.there(run, engine)
        if container is None:
            return
        sealed = secrets.seal(secrets.gather(folder, ROOT), words_) if words_ else b""
        chosen = images_carry.chosen_of(run, storages.of(container, run.settings, engine), (), base)
        images_carry.write(path, chosen, container, run, engine, {secrets.NAME: sealed})
    back = pasteable(["./inv", "registry.restore", path.name])
    images_carry.show(path, chosen, run, f"on a new machine, in a new checkout: {back}")


def ask_passphrase(run: Run) -> str:
    """Return a new passphrase; "" in a dry run."""
    if run.console.dry:
        return ""
    return secrets.passphrase(run.console.secret(_QUESTION, check=secrets.passphrase))


def restore(run: Run, *, file: str, into: bool) -> None:
    """Restore a registry from a backup: certificates, users, settings, images; a run that was killed is gone on with.

    Args:
        run: Settings, and the console.
        file: The backup.
        into: Whether the images go into a registry that has others.

    Raises:
        RegistryError: The backup is damaged, the passphrase another one, or something else is here already.
    """
    engine = engines.connect(run.console)
    if images_carry.is_shown_alone(file, run):
        return
    with tar.opened(current_folder() / file) as archive:
        if secrets.NAME not in archive.places:
            cure = pasteable(["./inv", "images.load", file])
            raise RegistryError(f"{file} has images alone, and is no backup.", cure=cure)
        contents = images_carry.read(archive, run)
        if run.console.dry:
            also = "users, certificates and settings if there are none" if into else "users, certificates, settings"
            run.console.say(f"restores: {words.plural(len(contents.entries), 'image')}, {also}")
            return
        run = trusting(archive, run, into=into)
        registry.alone(run, engine)
        with run_lock.held(run):
            container = images.there(run, engine)
            if container is None:
                return
            found = inventory.find(storages.of(container, run.settings, engine), sizes=True)
            if container.bucket and found.images and not into:
                _say_kept(contents, found, file, run)
            else:
                _check_empty(contents, run, found, into=into)
                images_carry.give(contents, container, run, engine)
    run.console.say("restored: clients that trusted the registry need nothing new; this machine's: ./inv up")


def _unsealed(archive: Archive, run: Run) -> dict[str, bytes]:
    content = archive.read(secrets.NAME, secrets.LARGEST)
    return secrets.unseal(content, run.console.secret(_QUESTION, known=True))


def trusting(archive: Archive, run: Run, *, into: bool = False) -> Run:
    """Return a run of the registry that is restored, with its settings, keys and certificates in their places.

    Raises:
        RegistryError: The passphrase is another one, or another registry is here.
    """
    found = _unsealed(archive, run)
    if into and _is_another(found, run):
        run.console.say("this registry keeps its own certificates, users and settings; it gets the images")
        return run
    _check_own(found, run)
    run = _set(found, run)
    with run_lock.held(run):
        if secrets.is_free(run.settings.folder, found):
            secrets.install(found, run.settings.folder)
            run.console.say(f"restored: keys, certificates and users in {run.settings.folder}")
    return run.anew()


def _is_another(found: Mapping[str, bytes], run: Run) -> bool:
    folder = run.settings.folder
    return installation.known(folder).id != secrets.id_of(found) and not secrets.is_free(folder, found)


def _check_own(found: Mapping[str, bytes], run: Run) -> None:
    """Refuse a certificate folder of another registry.

    Raises:
        RegistryError: So it is.
    """
    if _is_another(found, run):
        purge = "./inv down --purge removes this one, images and all; --into adds the images to it"
        wrong = f"Another registry is in this checkout: its certificates are in {run.settings.folder}."
        raise RegistryError(wrong, cure=f"Use a new checkout. Or: {purge}")


def _set(found: Mapping[str, bytes], run: Run) -> Run:
    """Take the settings of a backup, if a person consents to others than this checkout has."""
    path = ROOT / secrets.SETTINGS
    with files.explained(path, "read"):
        before = path.read_bytes() if files.exists(path) else b""
    new = found.get(secrets.SETTINGS, before)
    if new == before:
        return run
    if not run.console.ask(f"The backup has other settings. Write them to {path}?"):
        cure = f"With --yes they are taken, and yours are kept as {path.name}.before"
        raise RegistryError("Nothing was restored.", cure=cure)
    files.write(path.with_name(f"{path.name}.before"), before)
    files.write(path, new)
    try:
        made = run.anew()
        _check_own(found, made)  # their folder may be another one
    except RegistryError:
        files.write(path, before)
        raise
    return made


def _say_kept(contents: Contents, found: Inventory, file: str, run: Run) -> None:
    """Tell that a bucket, which outlived its registry, keeps the images of now; a backup's may be older."""
    there = {(it.repository, it.name) for it in found.images}
    run.console.say(f"images: {words.plural(len(found.images), 'image')} in {run.settings.storage} stay as they are")
    if lacking := [it for it in contents.entries if (it.repository, it.name) not in there]:
        load = pasteable(["./inv", "images.load", file])
        run.console.say(f"not there: {words.plural(len(lacking), 'image')} of the backup; to have them too: {load}")


def _check_empty(contents: Contents, run: Run, found: Inventory, *, into: bool) -> None:
    """Refuse a registry with images that the backup does not have, unless that was said.

    Raises:
        RegistryError: So it is.
    """
    # An image that a killed run gave has no tag yet.
    there = {
        (it.repository, it.name): it.digest
        for it in found.images
        if it.digest not in contents.manifests or it.is_tagged
    }
    ours = {(it.repository, it.name): it.digest for it in contents.entries}
    stays, moves = len(there.keys() - ours), sum(there.get(it, digest) != digest for it, digest in ours.items())
    if stays + moves and not into:
        wrong = (
            f"The registry {run.settings.container} has {words.plural(stays + moves, 'image')} that the backup has not."
        )
        raise RegistryError(wrong, cure="--into adds the images of the backup, and tells before which tags move.")
    if stays + moves:
        come = words.plural(len(ours.keys() - there), "image")
        run.console.say(f"comes: {come}; stays: {words.plural(stays, 'image')}; moves: {words.plural(moves, 'tag')}")
