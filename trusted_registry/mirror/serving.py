"""Mirrors that run: one container and one volume for each upstream, at a lasting port of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from trusted_registry import files, installation
from trusted_registry.console import pasteable
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.installation import NotedMirror
from trusted_registry.instance import checks, contents, images, mirror_role, ownership, ports, proof, pulls, roles
from trusted_registry.instance.model import Image, Instance, mirror_name
from trusted_registry.mirror.upstream import Upstream
from trusted_registry.registry.probe import Endpoint
from trusted_registry.run import Run

FIRST_PORT = 5500
"""Where ports are looked for: kind's own registry has 5001, and the document's first one 5000."""
_PORTS = 200


def up(upstream: Upstream, run: Run, engine: Engine, image: Image | None = None, *, port: int = 0) -> bool:
    """Have the mirror of an upstream run.

    Args:
        upstream: The upstream.
        run: Settings, and the console that shows the commands.
        engine: The engine.
        image: The image to run; the one of the settings by default.
        port: Port that is noted, of a mirror that clients are to use; by default nothing is noted anew.

    Returns:
        True if a container was started.

    Raises:
        RegistryError: Its image has no shell, a container of that name is somebody else's, its port is another
            program's, or the mirror does not answer properly.
    """
    before = installation.known(run.settings.folder).mirrors.get(upstream.name)
    try:
        if port and not run.console.dry:
            installation.ensure(run.settings.folder, run.console)
            installation.note_mirror(run.settings.folder, upstream.name, NotedMirror(port))
        return _brought_up(upstream, run, engine, image, port or endpoint(upstream, run).port)
    except BaseException:
        if not before or not before.used:  # nobody is told of one that did not start
            _put_back(upstream, before, run)
        raise


def _brought_up(upstream: Upstream, run: Run, engine: Engine, image: Image | None, port: int) -> bool:
    container = ownership.claimed(of(upstream, run), engine)
    instance = instance_of(upstream, run, engine, image, port=port)
    at = Endpoint(run.settings.listen or run.settings.address, port)
    runs = container and container.digest == instance.digest and container.state == "running"
    if runs and not contents.differing(instance, engine) and proof.holds(at, run.settings, asks=False):
        return False
    if not (container and container.state == "running" and container.port == at.port):
        _check_port(upstream, at.port, run, engine)
    if container:
        stop(upstream, run, engine)
    _start(instance, at, run, engine)
    contents.sweep(of(upstream, run), engine)
    return True


def _put_back(upstream: Upstream, before: NotedMirror | None, run: Run) -> None:
    if run.console.dry:
        return
    if before:
        installation.note_mirror(run.settings.folder, upstream.name, before)
    else:
        installation.forget_mirror(run.settings.folder, upstream.name)


def instance_of(upstream: Upstream, run: Run, engine: Engine, image: Image | None = None, *, port: int = 0) -> Instance:
    """Return a mirror, whose image and volume are there; at the port that is noted by default.

    Raises:
        RegistryError: Its image has no shell.
    """
    if not run.console.dry:
        checks.check_certificate(run.settings)
    installation.ensure(run.settings.folder, run.console)
    image = image or images.ensure(run, engine)
    with_shell = installation.known(run.settings.folder).has_shell(image.id)
    entrypoint = engine.entrypoint(image.id or image.name, shell=with_shell)
    if not entrypoint:
        wrong = f"{image.name} may have no shell, and a mirror needs one to go on while its upstream is away."
        raise RegistryError(wrong, cure="./inv up --image registry:2, or without that setting the package's own image")
    port = port or endpoint(upstream, run).port
    return ownership.marked(
        mirror_role.mirror(run.settings, image, entrypoint, upstream, port), of(upstream, run), engine
    )


def endpoint(upstream: Upstream, run: Run) -> Endpoint:
    """Return the endpoint of a mirror whose port is noted, as told to clients; FIRST_PORT in a dry run."""
    noted = installation.known(run.settings.folder).mirrors.get(upstream.name)
    return Endpoint(run.settings.listen or run.settings.address, noted.port if noted else FIRST_PORT)


def _check_port(upstream: Upstream, port: int, run: Run, engine: Engine) -> None:
    """Insist that the port which a mirror has, and clients were told, is no other program's by now.

    Raises:
        PortTakenError: Another program listens there.
    """
    if run.console.dry or not ports.is_taken(run.settings.listen, port):
        return
    holder = engine.publisher_of(port)
    if holder == of(upstream, run).settings.container:
        return
    who = f"the container {holder}" if holder else ports.listening_process(port) or "a process of another user"
    stop = pasteable(["docker", "stop", holder]) if holder else f"Stop it (sudo ss -ltnp 'sport = :{port}')"
    down, again = pasteable(["./inv", "mirror.down", upstream.name, "--purge"]), command([upstream.name])
    anew = f"or, for another port, and all that it holds fetched anew: {down}; {again}"
    raise PortTakenError(
        f"Port {port}, which is that of the mirror of {upstream.name}, is in use by {who}.", cure=f"{stop}; {anew}"
    )


def _start(instance: Instance, at: Endpoint, run: Run, engine: Engine) -> None:
    for file in instance.files:
        if file.made and not run.console.dry:
            files.make_folder(file.source.parent, files.PRIVATE_FOLDER)
            files.write(file.source, file.content, files.PRIVATE_FILE if file.secret else files.PUBLIC_FILE)
    if not run.console.dry and mirror_role.PROXIES_FILE not in {it.name for it in instance.files}:
        script = next(it.source for it in instance.files if it.name == roles.START_SCRIPT)
        files.remove(script.with_name(mirror_role.PROXIES_FILE), keep=run.settings.folder)
    contents.share(instance, instance.files, run, engine)
    engine.run(instance)
    if run.console.dry:
        return
    try:
        with proof.explained(instance.name, run, engine):
            proof.check(instance.role, instance.name, at, run.settings, engine)
    except RegistryError:
        engine.remove(instance.name, at_once=True)
        raise


def of(upstream: Upstream, run: Run) -> Run:
    """Return a run whose container and volume are a mirror's."""
    name = mirror_name(run.settings.container, upstream.name)
    return run.with_settings(container=name, volume=name)


def choose_ports(upstreams: Iterable[Upstream], run: Run, engine: Engine) -> dict[str, int]:
    """Return the port of each upstream's mirror: its present one, a former one that is free, or the first free one.

    A port that the mirror of another upstream ever had is never chosen: machines that were told of it would take the
    images of one upstream for those of the other.

    Raises:
        RegistryError: None is free.
    """
    settings, known = run.settings, installation.known(run.settings.folder)
    chosen = {name: it.port for name, it in known.mirrors.items()}
    had = {port for past in known.past_ports.values() for port in past}
    for it in upstreams:
        if it.name not in chosen:
            taken = {settings.port, settings.plain_port, settings.metrics, *had, *chosen.values()}
            chosen[it.name] = _free_port(known.past_ports.get(it.name, ()), taken, run, engine)
    return chosen


def _free_port(had: Iterable[int], taken: Collection[int], run: Run, engine: Engine) -> int:
    others = (it for it in range(FIRST_PORT, FIRST_PORT + _PORTS) if it not in taken)
    for port in (*had, *others):
        if not engine.publisher_of(port) and not ports.is_taken(run.settings.listen, port):
            return port
    raise RegistryError(f"No port from {FIRST_PORT} to {FIRST_PORT + _PORTS - 1} is free.", cure="sudo ss -ltnp")


def retire(upstream: Upstream, run: Run) -> None:
    """Note that clients are not to use a mirror any more, and are to be told so before its end."""
    noted = installation.known(run.settings.folder).mirrors.get(upstream.name)
    if noted and not run.console.dry:
        installation.note_mirror(run.settings.folder, upstream.name, replace(noted, used=False))


def use(upstream: Upstream, run: Run) -> None:
    """Note that clients are to use a mirror after all, since they could not be told otherwise."""
    noted = installation.known(run.settings.folder).mirrors.get(upstream.name)
    if noted and not run.console.dry:
        installation.note_mirror(run.settings.folder, upstream.name, replace(noted, used=True))


def down(upstream: Upstream, run: Run, engine: Engine, *, purge: bool) -> bool:
    """Stop and remove a mirror; with `purge`, its images too.

    Returns:
        True if there was something to remove.

    Raises:
        RegistryError: The container, or when purging the volume, is not this installation's.
    """
    own = of(upstream, run)
    if purge:
        ownership.claimed(own, engine)
    stopped = stop(upstream, run, engine, keep=not purge)
    contents.sweep(own, engine)
    held = purge and (run.console.dry or engine.volume(own.settings.volume) is not None)
    if held:
        engine.remove_volume(own.settings.volume)
    return stopped or held


def stop(upstream: Upstream, run: Run, engine: Engine, *, keep: bool = True) -> bool:
    """Stop and remove the container of a mirror, whose log is read for its pulls before, if they are to be kept.

    Returns:
        True if there was one.

    Raises:
        RegistryError: The container is not this installation's.
    """
    own = of(upstream, run)
    container = ownership.container(own, engine)
    pulls.keep(container if keep else None, own, engine)
    if container or run.console.dry:
        engine.remove(own.settings.container)
    return bool(container)


def noted(run: Run, *, used: bool = False) -> list[Upstream]:
    """Return the upstreams that have a mirror here; only those that clients are to use, if so wanted."""
    known = installation.known(run.settings.folder).mirrors
    return [Upstream(name) for name, it in known.items() if it.used or not used]


def refresh(run: Run, engine: Engine, *, anew: bool = False) -> tuple[list[Upstream], list[RegistryError]]:
    """Have the mirrors that clients use show the certificate on disk, at the address that is set, and prove them.

    Args:
        run: Settings, and the console.
        engine: The engine.
        anew: Whether those that do not run are started, with the image of the settings.

    Returns:
        The upstreams whose mirrors were started, and why others were not: each is tried, whatever the one before did.
    """
    started: list[Upstream] = []
    errors: list[RegistryError] = []
    for it in noted(run, used=True):
        try:
            container = ownership.container(of(it, run), engine)
            # Its name may stand for another image by now, which is `up`'s to run.
            image = Image(container.image, container.image_id) if container and not anew else None
            if (container or anew) and up(it, run, engine, image):
                started.append(it)
        except RegistryError as error:
            wrong = f"The mirror of {it.name}: {error.message}"
            errors.append(RegistryError(wrong, cure=error.cure))
    return started, errors


def forget(upstream: Upstream, run: Run) -> None:
    """Drop the files of a purged mirror that no client here uses any more, and its note but for the port."""
    if run.console.dry:
        return
    installation.forget_mirror(run.settings.folder, upstream.name)
    folder = mirror_role.folder_of(run.settings, upstream)
    for name in (
        mirror_role.MIRROR_CONFIG,
        mirror_role.HELD_CONFIG,
        mirror_role.PROXIES_FILE,
        roles.START_SCRIPT,
    ):
        files.remove(folder / name, keep=run.settings.folder)


def command(names: list[str]) -> str:
    """Return the command that starts mirrors."""
    return pasteable(["./inv", "mirror.up", ",".join(names)])
