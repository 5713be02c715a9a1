"""The registry's instance: started, restarted and stopped, and left running only if every check passes."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import ipaddress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry import address, files
from trusted_registry.certificate import inspect, issue
from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.registry import images, ports, probe, users
from trusted_registry.registry import spec as specs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trusted_registry.console import Console
    from trusted_registry.registry.engine import Engine
    from trusted_registry.registry.engine_types import Container
    from trusted_registry.registry.spec import Spec
    from trusted_registry.settings import Settings


def run_tls(settings: Settings, engine: Engine, console: Console, meanwhile: Callable[[], None] = lambda: None) -> bool:
    """Run the TLS registry with the certificate on disk.

    Args:
        settings: The registry's settings.
        engine: The engine that runs the container.
        console: The console that shows the commands.
        meanwhile: Called while the container starts, if a start is needed.

    Returns:
        True if the container was started or restarted.

    Raises:
        RegistryError: The container cannot be started, or the address does not answer as this registry with this
            certificate: then the container is removed again.
    """
    if not console.dry:
        _check_certificate(settings)
    container = _find_own(settings, engine)
    if container and container.role == "plain":
        console.say(f"{settings.container}: the plain HTTP registry gives way to the TLS one; its images stay")
    image = images.ensure(settings, engine, console)
    spec = specs.tls(settings, image, engine.entrypoint(image))
    with _port_holder_named(spec, settings, engine):
        changed = _bring_up(spec, container, engine, console, meanwhile)
    if console.dry:
        return changed
    endpoint = probe.Endpoint(settings.listen or settings.address, settings.port)
    wanted = inspect.read(settings.folder / "domain.crt").fingerprint
    if not changed and _is_served(endpoint, settings, wanted):
        return False
    if not changed:
        engine.restart(spec.name)
    try:
        _check_tls(endpoint, settings, engine, wanted)
    except BaseException as error:
        _stop_again(error, spec, endpoint, engine, console)
        raise
    return True


def _check_certificate(settings: Settings) -> None:
    """Check, before anything starts, that clients will accept the certificate.

    The certificate must be valid and name every host that they type.
    """
    issued = issue.find(settings.folder)
    if issued is None:
        raise RegistryError("There is no certificate yet.", cure="./inv cert makes one.")
    reason = issue.misfit(issued, settings, days=0)
    if reason:
        raise RegistryError(f"{issued.server.path} {reason}.", cure=issue.renewal(issued, settings))


def run_plain(settings: Settings, engine: Engine, console: Console, *, lan: bool) -> bool:
    """Run the document's first registry: plain HTTP, on loopback unless `lan`.

    Returns:
        True if the container was started.

    Raises:
        RegistryError: The TLS registry runs, there are users, or the container cannot be started.
    """
    if users.is_login_required(settings.folder):
        raise RegistryError(
            "There are users, and over plain HTTP everybody on the way could read their passwords.",
            cure="./inv registry.tls; or without a login: ./inv registry.user.list, then registry.user.remove each.",
        )
    container = _find_own(settings, engine)
    if container and container.role == "tls":
        raise RegistryError(
            f"The TLS registry runs as {settings.container}; plain HTTP would be a step back.",
            cure="./inv registry.stop first, if that is what you want; images stay.",
        )
    image = images.ensure(settings, engine, console)
    spec = specs.plain(settings, image, engine.entrypoint(image), lan=lan)
    with _port_holder_named(spec, settings, engine):
        changed = _bring_up(spec, container, engine, console)
    if changed and not console.dry:
        endpoint = probe.Endpoint(spec.listen or settings.address, spec.port)
        up = partial(_is_up, engine, spec.name)
        try:
            probe.await_answer(lambda: probe.request(endpoint, "GET", "/v2/", None)[0], up)
        except BaseException as error:
            _stop_again(error, spec, endpoint, engine, console)
            raise
    return changed


def stop(settings: Settings, engine: Engine, console: Console, *, purge: bool) -> bool:
    """Stop and remove the registry's container; with `purge`, its images too.

    Returns:
        True if there was something to remove.

    Raises:
        RegistryError: The container is not ours.
    """
    container = _find_own(settings, engine)
    if container or console.dry:
        engine.remove(settings.container)
    had_volume = purge and (console.dry or engine.has_volume(settings.volume))
    if had_volume:
        engine.remove_volume(settings.volume)
    return bool(container) or had_volume


def _find_own(settings: Settings, engine: Engine) -> Container | None:
    """Return this checkout's container, or None if absent.

    Raises:
        RegistryError: The container of that name is somebody else's, and left alone.
    """
    container = engine.find(settings.container)
    if container is None:
        return None
    another = f"Use another name: INVOKE_REGISTRY_CONTAINER=my-registry; or: docker rm --force {settings.container}"
    if not container.ours:
        raise RegistryError(
            f"A container named {settings.container} exists (image {container.image}), "
            "and this project did not make it.",
            cure=another,
        )
    mounted = [Path(path) for name, path in engine.bind_mounts() if name == settings.container]
    foreign = next((path.parent for path in mounted if not path.is_relative_to(settings.folder)), None)
    if foreign:
        raise RegistryError(
            f"The registry {settings.container} is another checkout's: it serves what is in {foreign}.", cure=another
        )
    return container


def _bring_up(
    spec: Spec,
    container: Container | None,
    engine: Engine,
    console: Console,
    meanwhile: Callable[[], None] = lambda: None,
) -> bool:
    """Start the container unless an identical one runs; True if started."""
    if container and container.digest == spec.digest and container.state == "running":
        return False
    if not console.dry:
        for path, text in spec.config_files.items():
            files.write(path, text.encode())
    if container and container.port != spec.port and not console.dry:
        _check_free(spec.port, engine)
    if container:
        engine.remove(spec.name)
    if not spec.start_script:
        console.warn(
            f"{spec.image} is not known to have a shell, so what a kill leaves empty in its store is not mended."
        )
    engine.start(spec, meanwhile)
    return True


def check_port(settings: Settings, engine: Engine, console: Console) -> None:
    """Check that the TLS registry's port is free, or its own.

    The check precedes everything that is made for the registry; a dry run skips the check.

    Raises:
        RegistryError: Another program listens there, or the container's name is somebody else's.
    """
    if console.dry:
        return
    container = _find_own(settings, engine)
    ours = container is not None and container.state == "running" and container.port == settings.port
    if not ours and ports.is_taken(settings.listen, settings.port):
        raise ports.taken_error(settings.port, settings, engine)


def _check_free(port: int, engine: Engine) -> None:
    """Check that a port is free before the registry on another one is removed."""
    if engine.publisher_of(port) or ports.listening_process(port):
        raise PortTakenError(f"Port {port} is in use.", cure="")


@contextlib.contextmanager
def _port_holder_named(spec: Spec, settings: Settings, engine: Engine) -> Iterator[None]:
    """Name the container or process that listens on a taken port."""
    try:
        yield
    except PortTakenError:
        raise ports.taken_error(spec.port, settings, engine) from None


def _is_served(endpoint: probe.Endpoint, settings: Settings, wanted: str) -> bool:
    try:
        return probe.fingerprint(endpoint) == wanted and _asks_for_login(endpoint, settings)
    except (OSError, http.client.HTTPException):
        return False


def _asks_for_login(endpoint: probe.Endpoint, settings: Settings) -> bool:
    """Return whether requests without a login are refused; True without users."""
    if not users.is_login_required(settings.folder):
        return True
    trust = probe.context(issue.trust_anchor(settings.folder).path)
    return probe.request(endpoint, "GET", "/v2/", trust)[0] == http.client.UNAUTHORIZED


def _is_up(engine: Engine, name: str) -> bool:
    container = engine.find(name)
    return container is not None and container.state == "running"


def _check_tls(endpoint: probe.Endpoint, settings: Settings, engine: Engine, wanted: str) -> None:
    """Check handshake, certificate, refusal of plain HTTP, and login.

    The certificate must be the one on disk; the login is checked if there are users.
    """
    trust = probe.context(issue.trust_anchor(settings.folder).path)
    probe.await_answer(
        lambda: probe.request(endpoint, "GET", "/v2/", trust)[0], lambda: _is_up(engine, settings.container)
    )
    shown = probe.fingerprint(endpoint)
    if shown != wanted:
        raise RegistryError(
            f"{endpoint} shows another certificate ({shown[:16]}…) than domain.crt ({wanted[:16]}…).",
            cure="Something else answers at that address: see `ip address` and INVOKE_REGISTRY_ADDRESS.",
        )
    if probe.speaks_plain(endpoint):
        raise RegistryError(
            f"{endpoint} answers plain HTTP.",
            cure="The image ignores /config/registry.yml; use registry:2 or registry:3.",
        )
    if not _asks_for_login(endpoint, settings):
        raise RegistryError(
            f"{endpoint} lets everybody in, though there are users.",
            cure="The image ignores /config/registry.yml; use registry:2 or registry:3.",
        )


def _stop_again(error: BaseException, spec: Spec, endpoint: probe.Endpoint, engine: Engine, console: Console) -> None:
    """Remove a container that failed its checks, and show its last log line.

    The log goes with the container.

    Raises:
        RegistryError: Always, except for an error that nobody can mend: the caller raises that.
    """
    words = [line for line in engine.log(spec.name, lines=3).splitlines() if line.strip()]
    engine.remove(spec.name)
    if words:
        console.warn(f"its last words: {words[-1][:300]}")
    if isinstance(error, RegistryError):
        cure = "Its last words above say why." if "registry.logs" in error.cure else error.cure
        raise RegistryError(f"{error.message} It was stopped again.", cure=cure) from error
    if isinstance(error, (OSError, http.client.HTTPException)):
        cure = _foreign_address(endpoint.host) or "./inv cert.check says what is wrong with the certificate."
        raise RegistryError(f"The handshake failed: {error}. It was stopped again.", cure=cure) from error


def _foreign_address(host: str) -> str:
    """Return the cure for an IP address that is not this machine's.

    A name, or an address of this machine, gets "".
    """
    own = address.own_addresses()
    if not address.is_ip(host) or ipaddress.ip_address(host).is_loopback or host in own:
        return ""
    return f"./inv up, without that address: {host} is none of this machine's ({', '.join(own)}), and another answers."


def reload(settings: Settings, container: Container, engine: Engine, console: Console) -> bool:
    """Apply changed files, such as the user file, to a running TLS registry.

    Port, address and image stay the same.

    Returns:
        True if the container was started anew.

    Raises:
        RegistryError: As of `run_tls`.
    """
    as_it_runs = dataclasses.replace(
        settings, port=container.port or settings.port, listen=container.listen, image=container.image
    )
    return run_tls(as_it_runs, engine, console)


def restart(settings: Settings, console: Console, *, stale_only: bool = False) -> bool:
    """Restart a running TLS registry to serve the certificate now on disk.

    Args:
        settings: The registry's settings.
        console: The console that shows the commands.
        stale_only: Leave a registry alone that serves that certificate already.

    Returns:
        True if the container was restarted.

    Raises:
        RegistryError: The registry does not come back with that certificate.
    """
    from trusted_registry.registry import engine as engines

    try:
        engine = engines.connect(console)
    except RegistryError:
        console.warn("No Docker Engine answers, so a registry that it may run was not restarted.")
        return False
    container = engine.find(settings.container)
    if not container or container.role != "tls" or container.state != "running":
        return False
    endpoint = probe.Endpoint(container.listen or settings.address, container.port or settings.port)
    if console.dry:
        engine.restart(settings.container)
        return True
    wanted = inspect.read(settings.folder / "domain.crt").fingerprint
    if stale_only and _is_served(endpoint, settings, wanted):
        return False
    engine.restart(settings.container)
    _check_tls(endpoint, settings, engine, wanted)
    return True
