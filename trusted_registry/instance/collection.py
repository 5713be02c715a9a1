"""Collection: the registry's own garbage collector, while it takes no push, and one with an empty memory after it.

The registry goes on giving images: another one takes over, which reads a configuration that forbids changes
(distribution, configuration.md, "readonly"), and after the collection one with the configuration before. A descriptor
in the memory of the one before would answer for a blob that is gone.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from trusted_registry import installation
from trusted_registry.engine import types
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.images import storages
from trusted_registry.images.damage import UPLOAD_MINUTES
from trusted_registry.instance import collector, front, ownership, roles, running, switch
from trusted_registry.instance.model import DRAIN_SECONDS, FILES_FOLDER, SHELL, File, Image, Instance
from trusted_registry.instance.roles import CONFIG
from trusted_registry.registry import probe, prove
from trusted_registry.registry.api import RegistryClient
from trusted_registry.run import Run

DRAIN = DRAIN_SECONDS
"""Seconds after which a transfer is cut that was under way when another registry took over."""
_STORAGE, _MAINTENANCE = b"\nstorage:\n", b"  maintenance:\n"
_READ_ONLY = b"    readonly:\n      enabled: true\n"
_PATH = f"{FILES_FOLDER}/{CONFIG}"

_SERVING = """for process in /proc/[0-9]*; do
    words=$(tr '\\0' ' ' <"$process/cmdline") || continue
    case $words in
    */start.sh*) ;;
    *" serve $1 ") echo "${words%% *} $(ls -l "$process/fd" | grep -c /_uploads/)" ;;
    esac
done 2>/dev/null"""
"""Program of each registry that runs in the container, and how many uploads it has open."""

_WALKED = "repositories/.collection"
"""Folder of no repository: none may have such a name."""
_COLLECTED = "collected"
_COLLECT = f"""while sleep 20 </dev/null >/dev/null 2>&1; do echo >&2; done >/dev/null &
"$@" >/dev/null && echo {_COLLECTED}
kill "$!\""""
"""A line on standard error now and then says that it is still at work."""

_TAKES_OVER = 30.0
"""Seconds for another registry to take over."""
_SETTLES = 15.0
"""Seconds in which a manifest is written whose upload had begun before; a registry that ends may still send a layer."""
_PAUSE = 0.05


def has_stayed_read_only(container: Container, run: Run, engine: Engine) -> bool:
    """Whether a run that was killed left the registry refusing pushes."""
    return bool(container.files_volume) and _READ_ONLY in _configuration(run, engine)


def check(container: Container, run: Run, engine: Engine) -> None:
    """Insist on a registry that can be told to refuse pushes.

    Raises:
        RegistryError: It cannot.
    """
    if not container.files_volume or _STORAGE not in _configuration(run, engine):
        raise RegistryError("The registry is of a version before this one.", cure="./inv up --yes")


@contextlib.contextmanager
def read_only(container: Container, client: RegistryClient, run: Run, engine: Engine) -> Iterator[None]:
    """Have the registry refuse pushes, with nothing under way that changes its images, until the context ends.

    Another one may take its place meanwhile, which takes pushes.

    Args:
        container: The registry's container, which runs.
        client: Client of the registry, whose login may push.
        run: Settings, and the console.
        engine: The engine that runs the container.

    Raises:
        RegistryError: No read-only registry takes over; pushes are taken again in any case.
    """
    check(container, run, engine)
    config = _taking_pushes(_configuration(run, engine))
    # One that finishes its transfers beside it may be taking an image.
    _await(lambda: not _draining(run, engine), run.settings.drain)
    try:
        _take_over(refusing_pushes(config), container, run, engine)
        _await(lambda: client.is_read_only(prove.REPOSITORY), _TAKES_OVER)
        collector.end(run.settings.container, engine)
        settled = time.monotonic() + _SETTLES
        _await(lambda: _is_at_rest(container, run, engine, alone=time.monotonic() < settled), run.settings.drain)
        yield
    finally:
        collector.end(run.settings.container, engine)
        if _READ_ONLY in _configuration(run, engine):
            _take_pushes(config, container, run, engine)
        _await(lambda: not client.is_read_only(prove.REPOSITORY), _TAKES_OVER)


def collect(container: Container, run: Run, engine: Engine, name: str = "", program: Sequence[str] = ()) -> None:
    """Free the blobs that no manifest in the storage needs, of a registry that is read-only.

    Args:
        container: The registry's container.
        run: Settings, and the console.
        engine: The engine of the container in which the collector is run.
        name: Name of that; the registry's own by default.
        program: The registry's program there; the one that runs, by default.

    Raises:
        RegistryError: The collector fails.
    """
    name = name or run.settings.container
    if not container.bucket:
        _collect(name, program, run, engine)
        return
    # In a bucket without any repository the collector would find no folder to walk through (distribution, S3 driver).
    storage = storages.of(container, run.settings, engine)
    storage.write_own(f"docker/registry/v2/{_WALKED}/object", b"A collection is under way.\n")
    try:
        _collect(name, program, run, engine)
    finally:
        storage.change([("remove", _WALKED, "", "")], run.console)


def _collect(name: str, program: Sequence[str], run: Run, engine: Engine) -> None:
    program = program or [it for it, _ in _serving(name, engine)[:1]]
    if not program:
        raise RegistryError("No registry is at work in its container.", cure="./inv up; ./inv registry.logs")
    argv = [*program, "garbage-collect", _PATH]
    run.console.command(["docker", "exec", name, *argv])
    errors = bytearray()
    said = list(types.split_lines(engine.stream(name, [SHELL, "-c", _COLLECT, "sh", *argv], errors)))
    if said[-1:] != [_COLLECTED]:
        wrong = [it for it in errors.decode(errors="replace").splitlines() if it] or ["nothing was said"]
        raise RegistryError(f"The garbage collector failed: {wrong[-1][:300]}", cure="./inv images.check --fix")


def _taking_pushes(config: bytes) -> bytes:
    """Return a configuration without what forbids changes."""
    extended = _STORAGE + _MAINTENANCE + _READ_ONLY
    return config.replace(extended, _STORAGE).replace(_READ_ONLY, b"")


def refusing_pushes(config: bytes) -> bytes:
    """Return a configuration that forbids changes, with one block of maintenance: that of a bucket is there."""
    if _MAINTENANCE in config:
        return config.replace(_MAINTENANCE, _MAINTENANCE + _READ_ONLY)
    return config.replace(_STORAGE, _STORAGE + _MAINTENANCE + _READ_ONLY)


def _configuration(run: Run, engine: Engine) -> bytes:
    return engine.read_files(run.settings.container, FILES_FOLDER).get(CONFIG, b"")


def _take_over(config: bytes, container: Container, run: Run, engine: Engine) -> None:
    """Have another registry take over, which reads this configuration.

    Behind a front a successor takes over: in the same container, a connection that the kernel had taken for the one
    that ends would be cut.
    """
    there = ownership.container(run, engine) or container
    if made := _behind(there, run, engine):
        found = [it.with_content(config) if it.name == CONFIG else it for it in made.files]
        switch.make(replace(made, files=tuple(found)), there, run, engine, lambda: None)
    else:
        _hand_over(config, there, run, engine)


def _hand_over(config: bytes, container: Container, run: Run, engine: Engine) -> None:
    file = File(CONFIG, Path(CONFIG), config, secret=True, made=True)
    id_, image = installation.known(run.settings.folder).id, container.image_id or container.image
    engine.fill(container.files_volume, id_, image, [file])
    engine.hand_over(run.settings.container)


def _take_pushes(config: bytes, container: Container, run: Run, engine: Engine) -> None:
    """Have a registry take over that takes pushes, if need be with connections cut."""
    try:
        _take_over(config, container, run, engine)
    except RegistryError as error:
        run.console.warn(error.message)
        _hand_over(config, ownership.container(run, engine) or container, run, engine)


def _behind(container: Container, run: Run, engine: Engine) -> Instance | None:
    """Return the registry that stands behind a front; None where there is none, or other changes are due than here."""
    if not container.behind or not front.find(run, engine):
        return None
    made = running.instance_of(roles.tls, run, engine, Image(container.image, container.image_id))
    there = engine.read_files(run.settings.container, FILES_FOLDER)
    # What was set since it was started is `up`'s to carry out.
    read = [it.with_content(there.get(it.name, b"")) for it in made.files]
    return made if container.digest == replace(made, files=tuple(read)).digest else None


def _draining(run: Run, engine: Engine) -> list[str]:
    switch.sweep(run, engine)
    return switch.draining(run, engine)


def _serving(name: str, engine: Engine) -> list[tuple[str, int]]:
    """Return program and open uploads of each registry in a container: one that ends answers the requests under way."""
    said = engine.execute(name, [SHELL, "-c", _SERVING, "sh", _PATH]).out
    return [(program, int(count)) for program, _, count in (it.rpartition(" ") for it in said.splitlines())]


def _is_at_rest(container: Container, run: Run, engine: Engine, *, alone: bool) -> bool:
    """Whether nobody is sending anything: one registry runs alone, or none has an upload open.

    In a bucket no file is open. An upload that was begun there within a day may go on, until the one before has ended.
    """
    serving = _serving(run.settings.container, engine)
    for name in _draining(run, engine):
        with contextlib.suppress(RegistryError):  # it has ended by now
            serving += _serving(name, engine)
    if alone or (run.settings.storage and len(serving) < 2):  # noqa: PLR2004 - the one before, and the one after
        return len(serving) == 1
    if run.settings.storage:
        found = storages.of(container, run.settings, engine).files()
        begun = (it for one in found.repositories.values() for some in one.uploads.values() for it in some)
        return all(it.changed < found.at - 60 * UPLOAD_MINUTES for it in begun)
    return bool(serving) and not any(uploads for _, uploads in serving)


def _await(holds: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds.

    Raises:
        RegistryError: The condition does not hold for too long.
    """
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(*probe.NO_ANSWER):
            if holds():
                return
        if time.monotonic() > end:
            raise RegistryError("The registry is not at rest: an upload has not ended.", cure="./inv registry.logs")
        time.sleep(_PAUSE)
