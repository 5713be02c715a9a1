"""Brings the registry to the state it should be in, and lets it stand only if it is what it claims to be."""

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
    """Have the TLS registry run with the certificate that is on disk.

    Args:
        settings: What it should be.
        engine: Where it runs.
        console: Whom to show it to.
        meanwhile: Called while the container starts, should it have to.

    Returns:
        True when anything was started or restarted.

    Raises:
        RegistryError: It cannot be started, or what answers is not this registry with this certificate: then it is
            stopped again.
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
    """Insist on a certificate that clients will accept for what they type, before anything is started with it."""
    issued = issue.find(settings.folder)
    if issued is None:
        raise RegistryError("There is no certificate yet.", cure="./inv cert makes one.")
    reason = issue.misfit(issued, settings, days=0)
    if reason:
        raise RegistryError(f"{issued.server.path} {reason}.", cure=issue.renewal(issued, settings))


def run_plain(settings: Settings, engine: Engine, console: Console, *, lan: bool) -> bool:
    """Have the document's first registry run: plain HTTP, on loopback unless `lan`.

    Returns:
        True when anything was started.

    Raises:
        RegistryError: The TLS registry runs, there are users, or this one cannot be started.
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
    """Stop the registry and take its container away, and its images too when purging.

    Returns:
        True when there was something to take away.

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
    """Return this checkout's registry; one of somebody else's by the same name is left alone."""
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
    """Start the container unless the very same runs; return whether it was started."""
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
    """Insist that the TLS registry's port is free, or its own, before anything is made for it; not in a dry run.

    Raises:
        RegistryError: Something else listens there, or the container's name is somebody else's.
    """
    if console.dry:
        return
    container = _find_own(settings, engine)
    ours = container is not None and container.state == "running" and container.port == settings.port
    if not ours and ports.is_taken(settings.listen, settings.port):
        raise ports.taken_error(settings.port, settings, engine)


def _check_free(port: int, engine: Engine) -> None:
    """Insist on a free port before what runs on another one is taken away for it."""
    if engine.publisher_of(port) or ports.listening_process(port):
        raise PortTakenError(f"Port {port} is in use.", cure="")


@contextlib.contextmanager
def _port_holder_named(spec: Spec, settings: Settings, engine: Engine) -> Iterator[None]:
    """Say who holds a port that turns out to be taken."""
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
    """Whether a request without a login is refused, where there are users."""
    if not users.is_login_required(settings.folder):
        return True
    trust = probe.context(issue.trust_anchor(settings.folder).path)
    return probe.request(endpoint, "GET", "/v2/", trust)[0] == http.client.UNAUTHORIZED


def _is_up(engine: Engine, name: str) -> bool:
    container = engine.find(name)
    return container is not None and container.state == "running"


def _check_tls(endpoint: probe.Endpoint, settings: Settings, engine: Engine, wanted: str) -> None:
    """Insist on the handshake, the certificate on disk, a refusal of plain HTTP, and the login where there is one."""
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
    """Stop what did not prove itself, telling its last words, which go with it.

    Raises:
        RegistryError: Always, but for what nobody can mend: then the caller raises that.
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
    """Return what is wrong with an address that is not this machine's; nothing of one that is, and of a name."""
    own = address.own_addresses()
    if not address.is_ip(host) or ipaddress.ip_address(host).is_loopback or host in own:
        return ""
    return f"./inv up, without that address: {host} is none of this machine's ({', '.join(own)}), and another answers."


def reload(settings: Settings, container: Container, engine: Engine, console: Console) -> bool:
    """Have a TLS registry that runs heed what changed beside it, such as its first user: where it is, as it is.

    Returns:
        True when it was started anew.

    Raises:
        RegistryError: As of `run_tls`.
    """
    as_it_runs = dataclasses.replace(
        settings, port=container.port or settings.port, listen=container.listen, image=container.image
    )
    return run_tls(as_it_runs, engine, console)


def restart(settings: Settings, console: Console, *, stale_only: bool = False) -> bool:
    """Restart a running TLS registry, so that it serves the certificate that is on disk now.

    Args:
        settings: Which registry.
        console: Whom to show it to.
        stale_only: Leave one alone that serves it already.

    Returns:
        True when it was restarted.

    Raises:
        RegistryError: It does not come back with that certificate.
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
