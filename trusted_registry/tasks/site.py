"""A site without a network: packed into one file here, and brought up from it there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trusted_registry import files, installation
from trusted_registry.archives import large_file, secrets, site, tar
from trusted_registry.archives.site import SiteImage
from trusted_registry.archives.tar import Archive
from trusted_registry.console import current_folder, pasteable
from trusted_registry.defaults import ROOT
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.images import reference, storages
from trusted_registry.installation import MadeImage
from trusted_registry.instance import run_lock
from trusted_registry.run import Run
from trusted_registry.tasks import images, images_carry, lifecycle, registry_backup


def pack(run: Run, *, file: str, references: Sequence[str], python: Sequence[str], trust: bool) -> None:
    """Pack this checkout, its packages, the registry's image and the images into one file.

    Args:
        run: Settings, and the console.
        file: The file.
        references: Images that go along; all by default.
        python: Versions of Python that the packages must suit; the one here by default.
        trust: Whether keys and users go along, encrypted: then the site has the same authority.

    Raises:
        RegistryError: A package or an image cannot be had, or the disk is full.
    """
    engine = engines.connect(run.console)
    path = images_carry.target(file, run)
    words = registry_backup.ask_passphrase(run) if trust else ""
    with run_lock.held(run), files.temp_folder() as folder:
        container = images.there(run, engine)
        if container is None:
            return
        wheels = folder / site.WHEELS
        wheels.mkdir()
        with run.console.progress("Fetching packages"):
            site.fetch_wheels(wheels, ROOT, python, run.console)
        saved = folder / "registry.tar"
        about = _saved(saved, container, run, engine)
        more = site.files_of(ROOT, wheels, saved, about)
        if trust and words:
            more = {**more, secrets.NAME: secrets.seal(secrets.gather(run.settings.folder, ROOT), words)}
        chosen = images_carry.chosen_of(run, storages.of(container, run.settings, engine), references, frozenset())
        images_carry.write(path, chosen, container, run, engine, more)
    unpack = pasteable(["tar", "--extract", "--file", path.name, site.CHECKOUT])
    images_carry.show(path, chosen, run, f"there: {unpack} && cd {site.CHECKOUT} && ./inv up --from ../{path.name}")


def _saved(path: Path, container: Container, run: Run, engine: Engine) -> SiteImage:
    """Save the image of the registry that runs, and return what is known of it."""
    made = installation.known(run.settings.folder).images.get(container.image_id)
    name = made.reference if made else container.image
    if not (reference.is_image(name) and reference.is_image(run.settings.image)):
        cure = pasteable(["docker", "tag", name, "registry:site"])
        raise RegistryError(
            f"The image {name} would lose its name in a file.", cure=f"{cure} && ./inv up --image registry:site"
        )
    run.console.command(["docker", "save", "--output", str(path), name])
    if not run.console.dry:
        with large_file.new(path, 0) as file:
            tar.write_all(path, file, engine.save(name))
    return SiteImage(name, run.settings.image, bool(made and made.with_shell))


def up(run: Run, file: str, *, adopt: bool, nat: bool) -> None:
    """Make the missing parts of certificate, registry, trust and proof, and what a file for a site brings along.

    Raises:
        RegistryError: One cannot be made; or the file is damaged.
    """
    engine = engines.connect(run.console)
    if images_carry.is_shown_alone(file, run):
        lifecycle.up(run, adopt=adopt, nat=nat)
        return
    with tar.opened(current_folder() / file) as archive:
        contents = images_carry.read(archive, run)
        if secrets.NAME in archive.places:
            run = registry_backup.trusting(archive, run)
        _bring_image(archive, run, engine)
        lifecycle.up(run, adopt=adopt, nat=nat)
        container = None if run.console.dry else images.there(run, engine)
        if container is not None:
            with run_lock.held(run):
                images_carry.give(contents, container, run, engine)


def _loaded(archive: Archive, engine: Engine) -> list[str]:
    """Load the registry's image of an archive, and return its names."""
    with files.temp_folder() as folder:
        path = folder / "registry.tar"
        with large_file.new(path, archive.places[site.IMAGE].size) as file:
            tar.write_all(path, file, archive.chunks(site.IMAGE))
        return list(engine.load(path))


def _bring_image(archive: Archive, run: Run, engine: Engine) -> None:
    """Have the engine know the registry's image of an archive, if it has none that runs here already."""
    found = site.image_in(archive)
    if found is None or engine.has_image(run.settings.image):
        return
    names = [found.name] if engine.has_image(found.name) else _loaded(archive, engine)
    if run.console.dry or run.settings.image in names:
        return
    id_ = engine.image_id(found.name) if found.name in names else None
    if not id_:
        raise RegistryError(f"{archive.path} has no image {found.name}.", cure="./inv site.pack makes it again.")
    with run_lock.held(run):
        installation.ensure(run.settings.folder, run.console)
        made = MadeImage(found.name, str(archive.path), run.settings.image, found.with_shell)
        installation.note_image(run.settings.folder, id_, made)
