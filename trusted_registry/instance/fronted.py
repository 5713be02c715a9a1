"""Registries behind a front, which is put before them and taken away; each change of them is a switch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.instance import checks, contents, front, images, ports, predecessor, proof, switch, upgrade
from trusted_registry.instance.model import (
    File,
    Instance,
    front_name,
    predecessor_name,
    short,
)
from trusted_registry.instance.predecessor import Predecessor
from trusted_registry.registry import probe
from trusted_registry.run import Run


def brought_up(  # noqa: PLR0913, PLR0917 - what should run, what runs, and who does it
    instance: Instance,
    container: Container | None,
    run: Run,
    engine: Engine,
    before: Predecessor,
    meanwhile: Callable[[], None],
) -> bool:
    """Have a registry run behind a front, or again without one; return whether anything had to be done."""
    if container:
        images.say_change(instance.image, container, run)
    try:
        changed = _brought_up(instance, container, run, engine, before, meanwhile)
    except PortTakenError:  # who holds it is told as well
        raise ports.taken_error(instance.published.port, run.settings, engine) from None
    before.say_gap()
    return changed


def _brought_up(  # noqa: PLR0913, PLR0917 - see above
    instance: Instance,
    container: Container | None,
    run: Run,
    engine: Engine,
    before: Predecessor,
    meanwhile: Callable[[], None],
) -> bool:
    if not instance.behind:
        turn_off(instance, container, run, engine, before, meanwhile)
        return True
    before.write(instance.files)
    there = front.find(run, engine)
    if container is None or not _is_standing(there, container, before):
        if there:
            engine.remove(front_name(run.settings.container), at_once=True)
        turn_on(instance, container, run, engine, before, meanwhile)
        return True
    changed = _stands(there, container, run, engine)
    if container.state == "running" and container.digest == instance.digest:
        differing = [] if run.console.dry else contents.differing(instance, engine)
        if all(it.immediate for it in differing):
            return _kept_up(instance, differing, run, engine) or changed
    switch.make(instance, container, run, engine, meanwhile)
    return True


def _is_standing(there: Container | None, container: Container, before: Predecessor) -> bool:
    """Return whether there is a registry behind a front, of which one runs; and no half of a change to that."""
    if not container.behind or (before.container and before.container.state == "running"):
        return False
    return "running" in (container.state, there.state if there else "")


def _stands(there: Container | None, container: Container, run: Run, engine: Engine) -> bool:
    """Have the front stand and lead to the registry; return whether anything had to be done."""
    image = front.image(run, engine)
    wanted = front.made(run, image, short(container.id))
    if there is None or there.state != "running" or there.digest != wanted.digest:
        renew_front(wanted, there, container, run, engine)
        return True
    if run.console.dry or not contents.differing(wanted, engine):
        return False
    if container.state == "running":
        switch.point(container, image, run, engine)
        run.console.say("front: its configuration had been changed; restored")
    return True


def _kept_up(instance: Instance, differing: Sequence[File], run: Run, engine: Engine) -> bool:
    """Leave a registry alone that answers; restart one that does not, with its front."""
    if differing:
        contents.share(instance, differing, run, engine)
        run.console.say("users: the registry reads the file as it is now")
    at = _endpoint(instance, run)
    if run.console.dry or proof.holds(at, run.settings):
        return False
    engine.restart(instance.name)
    engine.restart(front_name(run.settings.container))
    with proof.explained(instance.name, run, engine):
        proof.check_at(at, instance.name, run.settings, engine)
    return True


def _endpoint(instance: Instance, run: Run) -> probe.Endpoint:
    """Return the endpoint at which clients meet a registry."""
    return probe.Endpoint(instance.published.listen or run.settings.address, instance.published.port)


def clear(instance: Instance, run: Run, engine: Engine) -> None:
    """Remove the leftovers: a front that is turned off, registries that have ended, files."""
    if not instance.behind:
        front.remove(run, engine)
    switch.sweep(run, engine)
    front.sweep(run, engine)


def turn_on(  # noqa: PLR0913, PLR0917 - what should run, what runs, and who does it
    instance: Instance,
    container: Container | None,
    run: Run,
    engine: Engine,
    before: Predecessor,
    meanwhile: Callable[[], None],
) -> None:
    """Have a front take the port of a registry, and another registry run behind that.

    Raises:
        RegistryError: The front does not start, or is not proved: then the registry before has the port again.
    """
    if container and container.port != instance.published.port and not run.console.dry:
        checks.check_free(instance.published.port, engine, predecessor_name(instance.name))
    image = front.image(run, engine)
    engine.make_network(instance.network, instance.installation)
    contents.share(instance, instance.files, run, engine)
    if container and container.state == "running":
        run.console.say("front: takes over the port now; new connections fail for a moment")
        upgrade.rehearse(instance, container, run, engine)
    before.make_way(container)
    engine.run(instance)
    there = engine.find(instance.name)
    with _no_front_without_proof(run, engine, alone=container is None and not before.container):
        made = front.made(run, image, short(there.id if there else ""))
        stand(made, run, engine, before, meanwhile)
        if not run.console.dry:
            with proof.explained(made.name, run, engine):
                proof.check_at(_endpoint(made, run), made.name, run.settings, engine)


@contextlib.contextmanager
def _no_front_without_proof(run: Run, engine: Engine, *, alone: bool) -> Iterator[None]:
    """Take a front away that did not start or is not proved: the port is free for the registry before, if any."""
    try:
        yield
    except BaseException as error:
        with contextlib.suppress(RegistryError):
            engine.remove(front_name(run.settings.container), at_once=True)
            if alone:
                engine.remove(run.settings.container)
        if alone and type(error) is RegistryError:
            raise RegistryError(f"{error.message} It was stopped again.", cure=error.cure) from error
        raise


def stand(
    instance: Instance, run: Run, engine: Engine, before: Predecessor, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Have the port's present holder give way to a front."""
    before.write(instance.files)
    contents.share(instance, instance.files, run, engine)
    engine.create(instance)
    before.stop()
    engine.start(instance.name, meanwhile)


def renew_front(instance: Instance, there: Container | None, container: Container, run: Run, engine: Engine) -> None:
    """Replace a front that is to listen elsewhere or has another image, or start one that does not run.

    The proof is by the registry behind the front now, which may be about to be replaced, too.
    """
    named = run.with_settings(container=instance.name)
    engine.make_network(instance.network, instance.installation)
    if there and there.state == "running":
        run.console.say("front: is replaced now; new connections fail for a moment")
    with predecessor.preserved(named, engine) as before:
        before.make_way(there)
        stand(instance, run, engine, before)
        if container.state == "running" and not run.console.dry:
            with proof.explained(instance.name, run, engine):
                wanted = proof.shown_by(container, run.settings.container, engine)
                proof.check_leads(_endpoint(instance, run), instance.name, engine, wanted)
        before.say_gap()


def turn_off(  # noqa: PLR0913, PLR0917 - see above
    instance: Instance,
    container: Container | None,
    run: Run,
    engine: Engine,
    before: Predecessor,
    meanwhile: Callable[[], None],
) -> None:
    """Have a registry take the port from the front, which goes.

    Raises:
        RegistryError: The registry does not start, or is not proved: then the front stands again.
    """
    name = front_name(instance.name)
    run.console.say("front: gives the port back now; new connections fail for a moment")
    contents.share(instance, instance.files, run, engine)
    if container and container.state == "running":
        upgrade.rehearse(instance, container, run, engine)
    before.make_way(container)
    try:
        engine.create(instance)
        before.drain()  # first: the front waits for connections that are idle
        engine.retire(name)
        before.stop()
        engine.start(instance.name, meanwhile)
        if not run.console.dry:
            with proof.explained(instance.name, run, engine):
                proof.check_at(_endpoint(instance, run), instance.name, run.settings, engine)
    except BaseException:
        with contextlib.suppress(RegistryError):
            engine.remove(instance.name, at_once=True)
        with contextlib.suppress(RegistryError):
            engine.put_back(name, name)
        raise
