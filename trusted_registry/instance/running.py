"""Running instances: started, replaced and stopped; a successor is tried beside what runs before it takes over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from trusted_registry import installation
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.instance import (
    checks,
    contents,
    first_start,
    front,
    fronted,
    handover,
    images,
    ownership,
    ports,
    predecessor,
    proof,
    pulls,
    roles,
    switch,
    upgrade,
)
from trusted_registry.instance.model import (
    File,
    Image,
    Instance,
    Role,
    mover_name,
    predecessor_name,
    rehearsal_name,
    successor_name,
)
from trusted_registry.instance.predecessor import Predecessor
from trusted_registry.registry import probe, users
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.swarm import noted


def run_tls(
    run: Run,
    engine: Engine,
    meanwhile: Callable[[], None] = lambda: None,
    *,
    prepare: Callable[[], None] = lambda: None,
    image: Image | None = None,
) -> bool:
    """Run the TLS registry with the certificate, the key and the users on disk.

    Args:
        run: The registry's settings, and the console that shows the commands.
        engine: The engine that runs the container.
        prepare: Called before the container reads its files, to make certificate and key; a first one starts meanwhile.
        meanwhile: Called while the container starts, if a start is needed.
        image: The image to run; the one of the settings by default.

    Returns:
        True if the container was started, replaced or restarted.

    Raises:
        RegistryError: The container cannot be started, or does not answer as this registry: the one before runs again.
    """
    noted.check("registry.tls", run.settings)

    def ready() -> None:
        prepare()
        if not run.console.dry:
            checks.check_certificate(run.settings)

    first = image is None and first_start.is_first(run, engine)
    if not first:
        ready()
    if not run.console.dry:
        checks.check_metrics(run.settings, engine)
    fronted_here = run.settings.front or front.is_traced(run.settings, engine)
    if fronted_here:
        switch.settle(run, engine)
    container = ownership.claimed(run, engine)
    with predecessor.preserved(run, engine) as before:
        if container and container.role == Role.PLAIN:
            name = run.settings.container
            run.console.say(f"{name}: the plain HTTP registry gives way to the TLS one; its images stay")
        instance = instance_of(roles.tls, run, engine, image)
        checks.check_storage(instance, container, run)
        fronted_here = fronted_here or any(it.behind for it in (container, before.container) if it)
        late = ready if first else (lambda: None)
        changed = _brought_up(instance, container, run, engine, before, meanwhile, late, fronted_here=fronted_here)
    if fronted_here:
        fronted.clear(instance, run, engine)
    return changed


def run_plain(run: Run, engine: Engine, *, lan: bool) -> bool:
    """Run the document's first registry: plain HTTP, on loopback unless `lan`.

    Returns:
        True if the container was started.

    Raises:
        RegistryError: The TLS registry runs, there are users, or the container cannot be started.
    """
    if users.is_login_required(run.settings.folder):
        raise RegistryError(
            "There are users, and over plain HTTP everybody on the way could read their passwords.",
            cure="./inv registry.tls; or without a login: ./inv registry.user.list, then registry.user.remove each.",
        )
    container = ownership.claimed(run, engine)
    with predecessor.preserved(run, engine) as before:
        if Role.TLS in {it.role for it in (container, before.container) if it}:
            raise RegistryError(
                f"The TLS registry runs as {run.settings.container}; plain HTTP would be a step back.",
                cure="./inv registry.stop first, if that is what you want; images stay.",
            )
        return _brought_up(instance_of(partial(roles.plain, lan=lan), run, engine), container, run, engine, before)


def instance_of(
    make: Callable[[Settings, Image, tuple[str, ...]], Instance], run: Run, engine: Engine, image: Image | None = None
) -> Instance:
    """Return an instance of a role, whose image and storage are there."""
    installation.ensure(run.settings.folder, run.console)
    image = image or images.ensure(run, engine)
    with_shell = installation.known(run.settings.folder).has_shell(image.id)
    entrypoint = engine.entrypoint(image.id or image.name, shell=with_shell)
    return ownership.marked(make(run.settings, image, entrypoint), run, engine)


def _brought_up(  # noqa: PLR0913, PLR0917 - what should run, what runs, and who does it
    instance: Instance,
    container: Container | None,
    run: Run,
    engine: Engine,
    before: Predecessor,
    meanwhile: Callable[[], None] = lambda: None,
    prepare: Callable[[], None] = lambda: None,
    *,
    fronted_here: bool = False,
) -> bool:
    """Have an instance run and prove itself; return whether anything had to be done for it."""
    behind = instance.behind or any(it.behind for it in (container, before.container) if it)
    if behind or (fronted_here and front.find(run, engine)):
        return fronted.brought_up(instance, container, run, engine, before, meanwhile)
    if container and container.digest == instance.digest and container.state == "running":
        differing = [] if run.console.dry else contents.differing(instance, engine)
        if all(it.immediate or it.handed for it in differing):
            return _kept_up(instance, container, differing, run, engine)
    if container:
        images.say_change(instance.image, container, run)
    try:
        _replace(instance, container, run, engine, before, meanwhile, prepare)
    except PortTakenError:  # who holds it is told as well
        raise ports.taken_error(instance.published.port, run.settings, engine) from None
    _prove(instance, run, engine)
    before.say_gap()
    return True


def _kept_up(instance: Instance, container: Container, differing: Sequence[File], run: Run, engine: Engine) -> bool:
    """Leave an instance alone that runs as it should; restart one that does not answer so."""
    if run.console.dry:
        return False
    if any(it.handed for it in differing):
        proof.rehearse_beside(handover.apart(instance, run, engine), container, run, engine)
        handover.make(instance, differing, _endpoint(instance, run.settings), run, engine)
        return True
    if differing:
        contents.share(instance, differing, run, engine)
        run.console.say("users: the registry reads the file as it is now")
    if instance.role is Role.PLAIN or proof.holds(_endpoint(instance, run.settings), run.settings):
        return False
    engine.restart(instance.name)
    _prove(instance, run, engine)
    return True


def _prove(instance: Instance, run: Run, engine: Engine) -> None:
    """Let an instance stand only if it is what it claims to be."""
    if run.console.dry:
        return
    at = _endpoint(instance, run.settings)
    try:
        proof.check(instance.role, instance.name, at, run.settings, engine)
    except BaseException as error:
        proof.stop_again(error, instance.name, at, run, engine)
        raise


def _endpoint(instance: Instance, settings: Settings) -> probe.Endpoint:
    return probe.Endpoint(instance.published.listen or settings.address, instance.published.port)


def _replace(  # noqa: PLR0913, PLR0917 - see above
    instance: Instance,
    container: Container | None,
    run: Run,
    engine: Engine,
    before: Predecessor,
    meanwhile: Callable[[], None],
    prepare: Callable[[], None],
) -> None:
    """Try the successor beside what runs, and only then have it take the name and the port."""
    if not instance.shell:
        run.console.warn(f"{instance.image.name} may have no shell, and files that a kill leaves empty stay so.")
    if instance.shell and container is None and not before.container and not run.console.dry:
        before.make_way(None)

        def write_too() -> None:
            prepare()
            before.write(instance.files)

        first_start.start(instance, run, engine, write_too, meanwhile)
        return
    before.write(instance.files)
    contents.share(instance, instance.files, run, engine)
    if not (container and container.state == "running") and not before.container:
        before.make_way(container)
        engine.run(instance, meanwhile)
        return
    if container and container.port != instance.published.port and not run.console.dry:
        checks.check_free(instance.published.port, engine, predecessor_name(instance.name))
    upgrade.rehearse(instance, container, run, engine)
    before.make_way(container)
    engine.create(instance)
    before.stop()
    engine.start(instance.name, meanwhile)


def stop(run: Run, engine: Engine, *, purge: bool) -> bool:
    """Stop and remove the registry's container; with `purge`, its images too.

    Returns:
        True if there was something to remove.

    Raises:
        RegistryError: The container, or when purging the volume, is not this installation's.
    """
    settings, name = run.settings, run.settings.container
    container = (ownership.claimed if purge else ownership.container)(run, engine)
    pulls.keep(None if purge else container, run, engine)
    beside = [it(name) for it in (predecessor_name, rehearsal_name, successor_name, mover_name)]
    killed = (*beside, *switch.draining(run, engine))
    left = [name for name in killed if ownership.container(run.with_settings(container=name), engine)]
    for it in (*left, *([name] if container or run.console.dry else [])):  # left by a killed run, or a switch
        engine.remove(it)
    had_front = front.remove(run, engine)  # after the registries, which let idle connections go
    contents.sweep(run, engine)
    had_volume = purge and (run.console.dry or engine.volume(settings.volume) is not None)
    if had_volume:
        engine.remove_volume(settings.volume)
        if not run.console.dry:
            installation.forget_volume(settings.folder, settings.volume)
    return bool(container or left) or had_front or had_volume


def reload(run: Run, container: Container, engine: Engine, image: Image | None = None) -> bool:
    """Apply changed files, such as certificate and users, to a running TLS registry.

    Port and address stay the same, and the image too unless another one is given.

    Returns:
        True if the container was replaced or restarted.

    Raises:
        RegistryError: As of `run_tls`.
    """
    # Its name may stand for another image by now, which is `up`'s to run.
    same = engine.image_id(container.image) == container.image_id
    image = image or Image(container.image if same else container.image_id, container.image_id)
    return run_tls(front.as_it_runs(run, container, engine), engine, image=image)


def try_image(run: Run, container: Container, engine: Engine, image: Image) -> None:
    """Compare all that a registry of another image shows with what the one shows that runs, which goes on.

    Raises:
        RegistryError: It does not start, does not answer as it should, or shows an image otherwise.
    """
    run = front.as_it_runs(run, container, engine)
    instance = instance_of(roles.tls, run, engine, image)
    try:
        contents.share(instance, instance.files, run, engine)
        upgrade.rehearse(instance, container, run, engine)
    finally:
        contents.sweep(run, engine)


def restart(run: Run, *, stale_only: bool = False) -> bool:
    """Have a running TLS registry serve the certificate now on disk; `stale_only` leaves one alone that does already.

    Returns:
        True if the container was replaced or restarted.

    Raises:
        RegistryError: The registry does not come back with that certificate.
    """
    from trusted_registry.engine import engine as engines

    try:
        engine = engines.connect(run.console)
    except RegistryError:
        run.console.warn("No Docker Engine answers, so a registry that it may run was not restarted.")
        return False
    container = engine.find(run.settings.container)
    # One that dies at each start is restarting most of the time; the pair may be why.
    if not container or container.role != Role.TLS or container.state not in {"running", "restarting"}:
        return False
    if not ownership.is_own(container, run.settings, engine):
        run.console.warn(f"The registry {run.settings.container} is another checkout's, so it was not restarted.")
        return False
    met = front.as_met(container, run.settings, engine)
    at = probe.Endpoint(met.listen or run.settings.address, met.port or run.settings.port)
    if stale_only and not run.console.dry and proof.holds(at, run.settings):
        return False
    return reload(run, container, engine)
