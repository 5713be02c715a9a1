"""Proof of an instance: the certificate, the refusal of plain HTTP and the login, as a client of ours meets them."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable, Iterator
from functools import partial

from trusted_registry import address
from trusted_registry.certificate import inspect
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import OpenToAllError, RegistryError
from trusted_registry.instance import checks, front, ownership
from trusted_registry.instance.model import FILES_FOLDER, LOOPBACK, Instance, Role
from trusted_registry.registry import observe, probe, users
from trusted_registry.run import Run
from trusted_registry.settings import Settings

_SILENT = (
    "The end of its log, above, says why. Where that is no error, nothing leads to it: restart the engine, and this "
    "machine if that does not help."
)
"""The cure for a registry that did not answer, and whose log goes with its container."""


def holds(at: probe.Endpoint, settings: Settings, *, asks: bool = True) -> bool:
    """Whether the TLS registry there shows the certificate on disk, and asks for a login if one is due."""
    return observe.serves(at, settings, inspect.read(settings.folder / "domain.crt").fingerprint, asks=asks)


def check(  # noqa: PLR0913, PLR0917 - a container, and what is asked of it
    role: Role | str | None, name: str, at: probe.Endpoint, settings: Settings, engine: Engine, wanted: str = ""
) -> None:
    """Await the answer of a container, and insist on the one that its role demands.

    Args:
        role: The role of the container.
        name: Its name.
        at: Its endpoint.
        settings: The registry's settings.
        engine: Its engine.
        wanted: Fingerprint of the certificate to be shown; by default the one on disk, which is verified.

    Raises:
        RegistryError: The container stops, or answers otherwise.
        OSError: The handshake fails.
        http.client.HTTPException: The answer is not HTTP.
    """
    still_up = partial(observe.is_up, engine, name)
    if role == Role.PLAIN:
        if users.is_login_required(settings.folder):
            raise OpenToAllError("There are users, and plain HTTP asks nobody.", cure="./inv registry.tls")
        probe.await_answer(lambda: probe.request(at, "GET", "/v2/", None)[0], still_up)
    else:
        observe.check_tls(at, settings, still_up, wanted, asks=role != Role.MIRROR)


def rehearse(
    instance: Instance, run: Run, engine: Engine, then: Callable[[probe.Endpoint], None] = lambda _: None
) -> None:
    """Try an instance beside the one that runs, which notices nothing: with its images read-only, on loopback.

    Args:
        instance: The instance.
        run: The task that is to replace the container that runs.
        engine: Its engine.
        then: Called with the instance's endpoint after its proof.

    Raises:
        RegistryError: The instance does not start, or does not answer properly, and is taken away again.
    """
    trial = instance.rehearsal()
    if ownership.container(run.with_settings(container=trial.name), engine):
        engine.remove(trial.name, at_once=True)
    engine.run(trial)
    try:
        if not run.console.dry:
            with explained(trial.name, run, engine):
                then(_check_trial(trial, run.settings, engine))
    finally:
        engine.remove(trial.name, at_once=True)


@contextlib.contextmanager
def explained(name: str, run: Run, engine: Engine) -> Iterator[None]:
    """Raise a RegistryError for whatever a container failed by, and show the end of its log."""
    try:
        yield
    except (RegistryError, OSError, http.client.HTTPException) as error:
        reason = _reason(error, name, engine, run)
        cure = error.cure if isinstance(error, RegistryError) else "./inv cert.check says what is wrong with it."
        raise RegistryError(reason, cure=cure) from error


def rehearse_beside(
    instance: Instance,
    container: Container | None,
    run: Run,
    engine: Engine,
    then: Callable[[probe.Endpoint], None] = lambda _: None,
) -> None:
    """Try an instance; if that fails, the registry that runs goes on, unless it lets everybody in despite users."""
    try:
        rehearse(instance, run, engine, then)
    except RegistryError as error:
        goes_on = "That was only tried: the registry that runs goes on."
        if container and is_open(container, run.settings, engine):
            engine.remove(instance.name)
            goes_on = "The one that ran lets everybody in, though there are users: it was stopped."
        raise RegistryError(f"{error.message} {goes_on}", cure=error.cure) from error


def beside(port: int, settings: Settings) -> probe.Endpoint:
    """Return the endpoint of a TLS registry at a port of loopback, by a host that the certificate names."""
    return probe.Endpoint(_certified(settings), port, via=LOOPBACK)


def check_at(at: probe.Endpoint, name: str, settings: Settings, engine: Engine) -> None:
    """Insist on the proper answer of a TLS registry, as long as a container of this name runs.

    Raises:
        RegistryError, OSError, http.client.HTTPException: The answer is another one, or does not come.
    """
    check(Role.TLS, name, at, settings, engine)


def _check_trial(trial: Instance, settings: Settings, engine: Engine) -> probe.Endpoint:
    container = engine.find(trial.name)
    port = container.port if container and container.port else 0
    at = beside(port, settings) if trial.role is Role.TLS else probe.Endpoint(LOOPBACK, port, via=LOOPBACK)
    check(trial.role, trial.name, at, settings, engine)
    return at


def _certified(settings: Settings) -> str:
    """Return a host that the certificate names, this machine's own if there is one."""
    named = inspect.read(settings.folder / "domain.crt").addresses
    return next((it for it in (LOOPBACK, *address.own_addresses()) if it in named), settings.address)


def is_open(container: Container, settings: Settings, engine: Engine) -> bool:
    """Whether a registry that runs lets everybody in though there are users; one that does not answer lets nobody."""
    if container.state != "running" or not users.is_login_required(settings.folder):
        return False
    return container.role == Role.PLAIN or observe.ask(_at(container, settings, engine)).status == http.client.OK


def _at(container: Container, settings: Settings, engine: Engine) -> probe.Endpoint:
    """Return the endpoint of a container, or of its front, where this machine surely reaches that."""
    met = front.as_met(container, settings, engine)
    host = LOOPBACK if container.role == Role.PLAIN else _certified(settings)
    return probe.Endpoint(met.listen or host, met.port or settings.port)


def check_again(run: Run, engine: Engine, container: Container) -> None:
    """Insist that a registry which was put back answers as before, where this machine surely reaches that endpoint.

    One with files of its own shows their certificate, whatever has been made since.

    Raises:
        RegistryError, OSError, http.client.HTTPException: The registry does not answer as before.
    """
    name, at = run.settings.container, _at(container, run.settings, engine)
    if container.role == Role.FRONT:
        check_leads(at, name, engine)
        return
    check(container.role, name, at, run.settings, engine, shown_by(container, name, engine))


def shown_by(container: Container, name: str, engine: Engine) -> str:
    """Return the fingerprint of the certificate that a registry has among its files; "" if there is none."""
    held = engine.read_files(name, FILES_FOLDER).get("domain.crt", b"") if container.files_volume else b""
    return inspect.fingerprint(held) if held else ""


def check_leads(at: probe.Endpoint, name: str, engine: Engine, wanted: str = "") -> None:
    """Insist that a front leads to a registry, whatever that is to become.

    Args:
        at: Its endpoint.
        name: The front's name.
        engine: Its engine.
        wanted: Fingerprint of the certificate that the registry shows; any by default.

    Raises:
        RegistryError: Another registry answers.
        OSError, http.client.HTTPException: None does.
    """
    probe.await_answer(
        lambda: probe.request(at, "GET", "/v2/", probe.unverified())[0], partial(observe.is_up, engine, name)
    )
    shown = probe.fingerprint(at)
    if wanted and shown != wanted:
        raise RegistryError(
            f"{at} shows another certificate ({shown[:16]}…) than the registry behind the front ({wanted[:16]}…).",
            cure="Something else answers at that address: see `ip address` and INVOKE_REGISTRY_ADDRESS.",
        )


def stop_again(error: BaseException, name: str, at: probe.Endpoint, run: Run, engine: Engine) -> None:
    """Remove a container that failed its proof, and show the last line of its log, which goes too.

    Raises:
        RegistryError: Always, except for an error that nobody can mend: the caller raises that.
    """
    reason = _reason(error, name, engine, run)
    engine.remove(name)
    if isinstance(error, RegistryError):
        cure = _SILENT if "registry.logs" in error.cure else error.cure
        raise RegistryError(f"{reason} It was stopped again.", cure=cure) from error
    if isinstance(error, (OSError, http.client.HTTPException)):
        cure = checks.another_machine_s(at.host) or "./inv cert.check says what is wrong with the certificate."
        raise RegistryError(f"{reason} It was stopped again.", cure=cure) from error


def _reason(error: BaseException, name: str, engine: Engine, run: Run) -> str:
    """Return why a container failed its proof; the end of its log is shown."""
    words = [line for line in engine.log(name, lines=3).splitlines() if line.strip()]
    if words:
        run.console.warn(f"the end of its log: {words[-1][:300]}")
    return error.message if isinstance(error, RegistryError) else f"The handshake failed: {error}."
