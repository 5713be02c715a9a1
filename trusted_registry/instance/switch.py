"""Switch: a successor runs beside, is proved through the front, is led to, and the registry before ends by itself."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

from trusted_registry import installation
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.instance import collector, contents, first_login, front, ownership, proof, pulls, roles, upgrade
from trusted_registry.instance.model import Image, Instance, draining_name, front_name, short, successor_name
from trusted_registry.registry import observe, probe
from trusted_registry.run import Run

GOES_ON = "The registry that runs goes on."

_ENDS = 3.0
"""Seconds that the end of a registry is waited for; with nothing under way it takes half a second."""
_GONE = 1.0
"""Seconds in which a port that leads nowhere says so; one whose registry is slow says nothing."""
_PAUSE = 0.05


def settle(run: Run, engine: Engine) -> None:
    """Finish the switch of a run that was killed: the registry is the one that the front leads to.

    Raises:
        RegistryError: A container of one of these names is somebody else's.
    """
    name = run.settings.container
    successor, there = _own(successor_name(name), run, engine), front.find(run, engine)
    if successor is None:
        return
    before = _own(name, run, engine)
    leads = short(successor.id) == front.leads_to(run.settings, engine)
    chosen = successor if leads else before
    # The configuration may have been written, and the front not told.
    if there and chosen and "running" == there.state == chosen.state:
        point(chosen, front.image_of(there), run, engine)
    if leads:
        _succeed(successor, before, run, engine)
    else:
        engine.remove(successor_name(name), at_once=True)


def _own(name: str, run: Run, engine: Engine) -> Container | None:
    return ownership.container(run.with_settings(container=name), engine)


def draining(run: Run, engine: Engine) -> list[str]:
    """Return the names of this installation's registries that finish their transfers."""
    own = installation.known(run.settings.folder).id
    begin = draining_name(run.settings.container)
    listed = engine.list_containers() if own else ()
    return [it.name for it in listed if it.name.startswith(begin) and it.labels.get(installation.LABEL) == own]


def sweep(run: Run, engine: Engine) -> None:
    """Take the registries away that have ended, and tell those to end that a killed run told nothing."""
    for name in draining(run, engine):
        engine.drain(name)
        if _has_ended(name, engine):
            engine.remove(name, at_once=True)


def _has_ended(name: str, engine: Engine) -> bool:
    return not observe.is_up(engine, name)


def make(instance: Instance, container: Container, run: Run, engine: Engine, meanwhile: Callable[[], None]) -> None:
    """Have a successor take a registry's place behind the front; no connection is refused or cut.

    Raises:
        RegistryError: The successor does not prove itself: the registry that runs goes on.
    """
    before = front.find(run, engine)
    image = front.image_of(before) if before else Image(run.settings.front_image, "")
    named = replace(instance, name=successor_name(instance.name), files_of=instance.files_volume)
    contents.share(named, named.files, run, engine)
    if container.state == "running" and not run.console.dry:
        collector.end(run.settings.container, engine)  # of a task that was killed: the successor takes pushes
    if upgrade.is_due(instance, container):
        upgrade.rehearse(instance, container, run, engine)
    engine.run(named, meanwhile)
    try:
        successor, leads = engine.find(named.name), container
        if successor and first_login.is_due(container, run, engine):
            leads = _splitter(named, container, successor, image, run, engine)
        with proof.explained(named.name, run, engine):
            _lead_over(leads, successor, image, run, engine)
    except BaseException as error:
        _back(container, image, run, engine)
        if isinstance(error, RegistryError):
            raise RegistryError(f"{error.message} {_goes_on(container, run, engine)}", cure=error.cure) from error
        raise
    if leads is not container:
        with contextlib.suppress(RegistryError):  # everybody is led over: whoever comes next takes the splitter away
            sweep(run, engine)
    _succeed(successor, container, run, engine)


def _splitter(  # noqa: PLR0913, PLR0917 - two registries, one of them by what it runs, and who does it
    instance: Instance, container: Container, successor: Container, image: Image, run: Run, engine: Engine
) -> Container:
    """Lead everybody to a splitter until nothing is under way that began without a login; return the splitter."""
    by_ids = short(container.id), short(successor.id)
    made = roles.splitter(run.settings, image, instance, *by_ids, first_login.deadline())
    with proof.explained(made.name, run, engine):
        splitter = first_login.stand(replace(made, installation=instance.installation), run, engine)
    with proof.explained(instance.name, run, engine):
        _lead_over(container, splitter, image, run, engine)
    with proof.explained(made.name, run, engine):
        first_login.await_end(splitter, run, engine)
    return splitter


def _lead_over(container: Container, successor: Container | None, image: Image, run: Run, engine: Engine) -> None:
    """Prove a successor through the front's other port, then lead everybody there."""
    now, then = short(container.id), short(successor.id if successor else "")
    aside = _trial(run, engine)
    front.take(front.made(run, image, now, then), run, engine, lambda: _answers(aside))
    if not run.console.dry:
        proof.check_at(aside, successor_name(run.settings.container), run.settings, engine)
    # A worker lets go of all ports at once: when the trial's leads nowhere, whoever comes now is led to the successor.
    front.take(front.made(run, image, then), run, engine, lambda: _is_gone(aside))
    if not run.console.dry:
        at = probe.Endpoint(run.settings.listen or run.settings.address, run.settings.port)
        proof.check_at(at, successor_name(run.settings.container), run.settings, engine)


def _trial(run: Run, engine: Engine) -> probe.Endpoint:
    there = engine.find(front_name(run.settings.container))
    return proof.beside(there.trial if there and there.trial else 0, run.settings)


def _answers(at: probe.Endpoint) -> bool:
    with contextlib.suppress(OSError):
        return bool(probe.fingerprint(at))
    return False


def _is_gone(at: probe.Endpoint) -> bool:
    """Whether a port leads nowhere: its connections are refused or closed at once, twice."""
    for _ in range(2):
        since = time.monotonic()
        if _answers(at) or time.monotonic() - since > _GONE:
            return False
    return True


def _back(container: Container, image: Image, run: Run, engine: Engine) -> None:
    """Lead everybody to the registry before, and take the other one away."""
    try:
        if container.state == "running":
            point(container, image, run, engine)
    except RegistryError as error:
        run.console.warn(error.message)
    with contextlib.suppress(RegistryError):
        engine.remove(successor_name(run.settings.container), at_once=True)
        sweep(run, engine)


def point(container: Container, image: Image, run: Run, engine: Engine) -> None:
    """Lead everybody to a registry that runs; the other port leads there for a moment, as a sign of that."""
    id_, aside = short(container.id), _trial(run, engine)
    front.take(front.made(run, image, id_, id_), run, engine, lambda: _answers(aside))
    front.take(front.made(run, image, id_), run, engine, lambda: _is_gone(aside))


def _goes_on(container: Container, run: Run, engine: Engine) -> str:
    if not proof.is_open(container, run.settings, engine):
        return GOES_ON
    engine.remove(run.settings.container)
    return "The one that ran lets everybody in, though there are users: it was stopped."


def _succeed(successor: Container | None, before: Container | None, run: Run, engine: Engine) -> None:
    """Give a successor that everybody is led to its name; tell the one before to finish its transfers."""
    name = run.settings.container
    aside = draining_name(name, before.id if before else "")
    pulls.keep(before, run, engine)
    if before:
        engine.rename(name, aside)
    if successor or run.console.dry:
        engine.rename(successor_name(name), name)
    if before:
        engine.drain(aside)
        _see_off(aside, run, engine)


def _see_off(name: str, run: Run, engine: Engine) -> None:
    """Take an ended registry away; one that takes long is left to itself, and to a later run."""
    if run.console.dry:
        return
    end = time.monotonic() + _ENDS
    while not _has_ended(name, engine):
        if time.monotonic() > end:
            most = run.settings.drain
            run.console.say(f"registry: the old one finishes its transfers beside it, for {most} s at most")
            return
        time.sleep(_PAUSE)
    engine.remove(name, at_once=True)
