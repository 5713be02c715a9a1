"""The owner of a container and a volume: the installation whose id they carry, or that adopted them."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import itertools
from pathlib import Path

from trusted_registry import files, installation
from trusted_registry.certificate import inspect
from trusted_registry.console import pasteable
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container, Volume
from trusted_registry.errors import RegistryError
from trusted_registry.instance import ports
from trusted_registry.instance.model import (
    FILES_FOLDER,
    Instance,
    Role,
    draining_name,
    mover_name,
    predecessor_name,
    rehearsal_name,
    successor_name,
)
from trusted_registry.registry import probe
from trusted_registry.run import Run
from trusted_registry.settings import Settings


def claimed(run: Run, engine: Engine) -> Container | None:
    """Return the registry of this installation, of which neither container nor volume is another's.

    Raises:
        RegistryError: One of them is: nothing was changed.
    """
    running = container(run, engine)
    check_volume(run.settings, engine, running)
    return running


def marked(instance: Instance, run: Run, engine: Engine) -> Instance:
    """Return a container under the id of this installation, made now where there is none; its volume is there then.

    Raises:
        RegistryError: Another one made a volume of that name meanwhile.
    """
    id_ = installation.ensure(run.settings.folder, run.console).id
    if instance.storage.volume and engine.volume(instance.storage.volume) is None:
        if not run.console.dry:
            installation.forget_volume(run.settings.folder, instance.storage.volume)
        made = engine.make_volume(instance.storage.volume, id_)
        if made is None or not owns(made, run.settings):
            check_volume(run.settings, engine, None)
    return dataclasses.replace(instance, installation=id_)


def container(run: Run, engine: Engine) -> Container | None:
    """Return the registry of this installation, or None where no container has its name.

    One that a version before ids made is adopted, with its volume: both are noted beside the certificates.

    Raises:
        RegistryError: The container of that name is somebody else's, and is left alone.
    """
    container = engine.find(run.settings.container)
    if container is None:
        return None
    if not is_own(container, run.settings, engine):
        raise _foreign(container, run.settings, engine)
    if not run.console.dry:
        _adopt(container, run.settings, engine)
    return container


def is_elsewhere(container: Container, settings: Settings) -> bool:
    """Whether a TLS registry has its images in another bucket than is set, or in a volume instead of one."""
    return container.role == Role.TLS and container.bucket != settings.storage


def adopt_container(run: Run, engine: Engine) -> None:
    """Adopt a container that proves its owner by the certificate on disk, before that certificate is replaced."""
    with contextlib.suppress(RegistryError):  # one of somebody else's is told when it is to be changed
        container(run, engine)


def is_another_s(container: Container, settings: Settings) -> bool:
    """Whether a container carries the id of another installation than the one here."""
    return container.installation not in ("", installation.known(settings.folder).id)


def is_own(container: Container, settings: Settings, engine: Engine) -> bool:
    """Whether a container is this installation's: by its id, by adoption, by its files or by its key."""
    own = installation.read(settings.folder)
    if container.role is None:
        return False
    if own and (container.id in own.containers or container.installation == own.id):
        return True
    if own and container.installation:
        return False
    has_key = _has_key if container.installation else _shows_ours
    return _reads(settings, engine) or has_key(container, settings, engine)


def _reads(settings: Settings, engine: Engine) -> bool:
    """Whether all that the container was given of this machine lies beside the certificates, by whichever path."""
    mounted = _mounted(settings.container, engine)
    return bool(mounted) and all(path.resolve().is_relative_to(settings.folder.resolve()) for path in mounted)


def _mounted(name: str, engine: Engine) -> list[Path]:
    """Return the files of this machine that a container was given."""
    return [Path(path) for holder, path in engine.bind_mounts() if holder == name]


def _has_key(container: Container, settings: Settings, engine: Engine) -> bool:
    """Whether a container was given the key that is here, whose id was lost."""
    key = settings.folder / "domain.key"
    with files.explained(key, "read"):
        own = key.read_bytes() if files.exists(key) else b""
    return (
        bool(own and container.files_volume)
        and engine.read_files(settings.container, FILES_FOLDER).get(key.name) == own
    )


def _shows_ours(container: Container, settings: Settings, _engine: Engine) -> bool:
    """Whether a container that runs has the key of the certificate here: that of a checkout that was moved since."""
    if container.state != "running" or container.role != Role.TLS:
        return False
    try:
        shown = probe.fingerprint(probe.Endpoint(container.listen or settings.address, container.port or settings.port))
        return shown == inspect.read(settings.folder / "domain.crt").fingerprint
    except (OSError, http.client.HTTPException, RegistryError):
        return False


def _adopt(container: Container, settings: Settings, engine: Engine) -> None:
    """Note a container of a version before ids, and its volume unless another container has that too."""
    own = installation.read(settings.folder)
    if container.installation and own is None:  # the file was lost, and the container still tells
        own = installation.restore(settings.folder, container.installation)
    if not container.installation and not (own and container.id in own.containers):
        alone = not _others(container.volume, settings, engine)
        installation.adopt(settings.folder, volume=container.volume if alone else "", container=container.id)


def _others(volume: str, settings: Settings, engine: Engine) -> list[str]:
    """Return the containers besides the registry's own that a volume is given to."""
    name = settings.container
    own = (name, predecessor_name(name), rehearsal_name(name), successor_name(name), mover_name(name))
    return [it for it in engine.holders(volume) if it not in own and not it.startswith(draining_name(name))]


def _foreign(container: Container, settings: Settings, engine: Engine) -> RegistryError:
    name, another = settings.container, f"Use another name: {beside(settings, engine)}"
    if container.role is None:
        return RegistryError(
            f"A container named {name} exists (image {container.image}), and this project did not make it.",
            cure=f"{another}; or, if nobody needs it: {pasteable(['docker', 'rm', '--force', name])}",
        )
    folder = next((path.parent for path in _mounted(name, engine)), None)
    if folder is None:
        return RegistryError(f"The registry {name} is another checkout's.", cure=another)
    if container.installation or files.exists(folder):
        return RegistryError(f"The registry {name} is another checkout's: it serves what is in {folder}.", cure=another)
    return RegistryError(
        f"The registry {name} is a checkout's that was at {folder}, where nothing is now.",
        cure=f"If it was this one, move it back there, run ./inv up, and move it again. If not: {another}",
    )


def beside(settings: Settings, engine: Engine) -> str:
    """Return the command that sets up a second registry, by names and on a port that are free."""
    name = _free_name(engine)
    port = next((it for it in _candidates(settings.port) if _is_free(it, settings, engine)), settings.port)
    flag = "" if port == settings.port else f" --port {port}"
    return settings.command(f"up{flag}", container=name, volume=name)


def _free_name(engine: Engine) -> str:
    """Return a name that no container and no volume has."""
    names = ("my-registry", *(f"my-registry-{number}" for number in range(2, 100)))
    return next((it for it in names if engine.find(it) is None and engine.volume(it) is None), names[-1])


def _candidates(port: int) -> tuple[int, ...]:
    first = port + 8000 if port <= 1024 else port + 1  # noqa: PLR2004 - last privileged port
    return (port, *itertools.islice(itertools.count(first), 20))


def _is_free(port: int, settings: Settings, engine: Engine) -> bool:
    return engine.publisher_of(port) is None and not ports.is_taken(settings.listen, port)


def owns(volume: Volume, settings: Settings) -> bool:
    """Whether a volume is this installation's: by its id, or by adoption."""
    own = installation.known(settings.folder)
    if volume.installation:
        return volume.installation == own.id
    return volume.name in (*own.volumes, settings.adopted)


def check_volume(settings: Settings, engine: Engine, container: Container | None) -> None:
    """Insist that the volume that is set is this installation's, or not there yet.

    Args:
        settings: Its name.
        engine: Its engine.
        container: This installation's container, if any: a dry run adopts neither the container nor its volume.

    Raises:
        RegistryError: Somebody else made the volume, or nobody knows who did: its images are not this registry's to
            serve.
    """
    found = engine.volume(settings.volume)
    if found is None or owns(found, settings):
        return
    holders = _others(found.name, settings, engine)
    if container and not container.installation and container.volume == found.name and not holders:
        return
    by = f"; the container {', '.join(holders)} uses it" if holders else ""
    other = f"Use another one: {settings.command('up', volume=_free_name(engine))}"
    release = f"; or have {', '.join(holders)} use another one first"
    claim = f"; or, if its images are this registry's: {settings.command('up --adopt')}"
    raise RegistryError(
        f"A volume named {found.name} exists, and this installation did not make it{by}. It was left alone.",
        cure=f"{other}{'' if found.installation else release if holders else claim}",
    )


def volumes(settings: Settings, engine: Engine) -> list[str]:
    """Return the names of the volumes that this installation made or adopted, and that are there."""
    own = installation.known(settings.folder)
    made = engine.volumes_of(own.id) if own.id else []
    return sorted({*made, *(name for name in own.volumes if engine.volume(name))})


def drop_images(run: Run, engine: Engine) -> None:
    """Take the images away that this installation made of a package: no other one would run them."""
    for id_, image in installation.known(run.settings.folder).images.items():
        if not run.console.dry and engine.has_image(id_):
            try:
                engine.untag(id_)
            except RegistryError as error:  # another container runs it, or it has further names
                run.console.warn(f"the image {image.reference} stays: {error.message}")


def adopt_volume(run: Run, engine: Engine) -> Run:
    """Note the volume that is set as this installation's, since a person says so; a dry run notes nothing.

    Returns:
        The run for which the volume counts as adopted.

    Raises:
        RegistryError: Another installation made the volume, or somebody else's container uses that one.
    """
    container(run, engine)
    found = engine.volume(run.settings.volume)
    if found is None or owns(found, run.settings):
        return run
    if found.installation or _others(found.name, run.settings, engine):
        check_volume(run.settings, engine, None)
    if not run.console.dry:
        installation.adopt(run.settings.folder, volume=found.name)
    verb = "would be" if run.console.dry else "is"
    run.console.say(f"volume: {found.name} {verb} this installation's from now on, with the images in it")
    return run.with_settings(adopted=found.name)
