"""The registry's instance: started, restarted and stopped, and left running only if every check passes."""

from __future__ import annotations

import contextlib
import http.client
from functools import partial
from typing import TYPE_CHECKING

from trusted_registry import address, installation
from trusted_registry.certificate import inspect, issue
from trusted_registry.errors import OpenToAllError, PortTakenError, RegistryError, SettingError
from trusted_registry.instance import images, ownership, ports, predecessor
from trusted_registry.instance import spec as specs
from trusted_registry.registry import observe, probe, users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from trusted_registry.console import Console
    from trusted_registry.engine.protocol import Engine
    from trusted_registry.engine.types import Container
    from trusted_registry.instance.predecessor import Predecessor
    from trusted_registry.instance.spec import Spec
    from trusted_registry.run import Run
    from trusted_registry.settings import Settings


def run_tls(run: Run, engine: Engine, meanwhile: Callable[[], None] = lambda: None) -> bool:
    """Run the TLS registry with the certificate on disk.

    Args:
        run: The registry's settings, and the console that shows the commands.
        engine: The engine that runs the container.
        meanwhile: Called while the container starts, if a start is needed.

    Returns:
        True if the container was started or restarted.

    Raises:
        RegistryError: The container cannot be started, or the address does not answer as this registry with this
            certificate: then the container is removed again.
    """
    if not run.console.dry:
        _check_certificate(run.settings)
    container = ownership.claimed(run, engine)
    with _replaceable(run, engine) as before:
        if container and container.role == "plain":
            run.console.say(
                f"{run.settings.container}: the plain HTTP registry gives way to the TLS one; its images stay"
            )
        image = images.ensure(run, engine)
        spec = ownership.marked(specs.tls(run.settings, image, _entry(image, run.settings, engine)), run, engine)
        with _port_holder_named(spec, run.settings, engine):
            changed = _bring_up(spec, container, engine, run.console, before, meanwhile)
        return _proved(spec, run, engine, changed=changed)


def _proved(spec: Spec, run: Run, engine: Engine, *, changed: bool) -> bool:
    """Let the TLS registry stand only if it is what it claims to be; return whether it was started or restarted."""
    if run.console.dry:
        return changed
    endpoint = probe.Endpoint(run.settings.listen or run.settings.address, run.settings.port)
    wanted = inspect.read(run.settings.folder / "domain.crt").fingerprint
    if not changed and observe.serves(endpoint, run.settings, wanted):
        return False
    if not changed:
        engine.restart(spec.name)
    try:
        observe.check_tls(endpoint, run.settings, engine, wanted)
    except BaseException as error:
        _stop_again(error, spec, endpoint, engine, run.console)
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
    with _replaceable(run, engine) as before:
        if "tls" in {it.role for it in (container, before.container) if it}:
            raise RegistryError(
                f"The TLS registry runs as {run.settings.container}; plain HTTP would be a step back.",
                cure="./inv registry.stop first, if that is what you want; images stay.",
            )
        image = images.ensure(run, engine)
        made = specs.plain(run.settings, image, _entry(image, run.settings, engine), lan=lan)
        spec = ownership.marked(made, run, engine)
        with _port_holder_named(spec, run.settings, engine):
            changed = _bring_up(spec, container, engine, run.console, before)
        if changed and not run.console.dry:
            _await_plain(spec, run, engine)
    return changed


def _await_plain(spec: Spec, run: Run, engine: Engine) -> None:
    endpoint = probe.Endpoint(spec.listen or run.settings.address, spec.port)
    up = partial(observe.is_up, engine, spec.name)
    try:
        probe.await_answer(lambda: probe.request(endpoint, "GET", "/v2/", None)[0], up)
    except BaseException as error:
        _stop_again(error, spec, endpoint, engine, run.console)
        raise


def _replaceable(run: Run, engine: Engine) -> AbstractContextManager[Predecessor]:
    """Keep what runs until its successor has proved itself, and have it run again otherwise."""
    aside = run.with_settings(container=predecessor.name(run.settings.container))
    before = predecessor.Predecessor(run.settings.container, ownership.container(aside, engine), engine, run.console)
    return before.restored_on_failure(partial(observe.check_again, run.settings, engine))


def stop(run: Run, engine: Engine, *, purge: bool) -> bool:
    """Stop and remove the registry's container; with `purge`, its images too.

    Returns:
        True if there was something to remove.

    Raises:
        RegistryError: The container, or when purging the volume, is not this installation's.
    """
    container = (ownership.claimed if purge else ownership.container)(run, engine)
    aside = predecessor.name(run.settings.container)
    if left := ownership.container(run.with_settings(container=aside), engine):
        engine.remove(aside)
    if container or run.console.dry:
        engine.remove(run.settings.container)
    had_volume = purge and (run.console.dry or engine.volume(run.settings.volume) is not None)
    if had_volume:
        engine.remove_volume(run.settings.volume)
        if not run.console.dry:
            installation.forget_volume(run.settings.folder, run.settings.volume)
    return bool(container or left) or had_volume


def _entry(image: str, settings: Settings, engine: Engine) -> tuple[str, ...]:
    return engine.entrypoint(image, shell=installation.known(settings.folder).has_shell(image))


def _bring_up(  # noqa: PLR0913, PLR0917 - what is to be, what is, and who does it
    spec: Spec,
    container: Container | None,
    engine: Engine,
    console: Console,
    before: Predecessor,
    meanwhile: Callable[[], None] = lambda: None,
) -> bool:
    """Start the container unless an identical one runs; True if started."""
    if container and container.digest == spec.digest and container.state == "running":
        return False
    before.write(spec.config_files)
    if container and container.port != spec.port and not console.dry:
        _check_free(spec.port, engine)
    before.make_way(container)
    if not spec.start_script:
        console.warn(
            f"{spec.image} is not known to have a shell, so what a kill leaves empty in its store is not mended."
        )
    engine.start(spec, meanwhile)
    return True


def check_port(run: Run, engine: Engine) -> None:
    """Check that the TLS registry's port is free, or its own.

    The check precedes everything that is made for the registry; a dry run skips the check.

    Raises:
        RegistryError: Another program listens there, or the container's name is somebody else's.
    """
    if run.console.dry:
        return
    container = ownership.claimed(run, engine)
    ours = container is not None and container.state == "running" and container.port == run.settings.port
    if not ours and ports.is_taken(run.settings.listen, run.settings.port):
        raise ports.taken_error(run.settings.port, run.settings, engine)


def check_address(run: Run) -> None:
    """Insist on an address of this machine for a registry that is to run here, before anything is made for it.

    A name may lead anywhere, and back here by a router; loopback is here. Not in a dry run.

    Raises:
        SettingError: The address is another machine's.
    """
    if run.console.dry or not address.is_elsewhere(run.settings.address):
        return
    said = "address" in run.settings.saved_flags
    without = "./inv up --address ''" if said else "unset INVOKE_REGISTRY_ADDRESS, or registry.address in invoke.yaml"
    raise SettingError(
        f"{run.settings.address} is none of this machine's addresses ({_own_addresses()}): no registry can run there.",
        cure=f"{without}; where a router leads from there to here: "
        f"./inv up --address '' --names {run.settings.address}",
    )


def _own_addresses() -> str:
    return ", ".join(address.own_addresses()) or "none but loopback"


def _another_machine_s(host: str) -> str:
    """Return what cures an address that is not this machine's; nothing of one that is, and of a name."""
    if not address.is_elsewhere(host):
        return ""
    return (
        f"./inv up, without that address: {host} is none of this machine's ({_own_addresses()}), and another answers."
    )


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
        cure = _another_machine_s(endpoint.host) or "./inv cert.check says what is wrong with the certificate."
        raise RegistryError(f"The handshake failed: {error}. It was stopped again.", cure=cure) from error


def reload(run: Run, container: Container, engine: Engine) -> bool:
    """Apply changed files, such as the user file, to a running TLS registry.

    Port, address and image stay the same.

    Returns:
        True if the container was started anew.

    Raises:
        RegistryError: As of `run_tls`.
    """
    # By its name, an image that was made here may be another one by now.
    made_here = container.image.startswith(images.NAMESPACE)
    image = run.settings.image if made_here else container.image
    port = container.port or run.settings.port
    return run_tls(run.with_settings(port=port, listen=container.listen, image=image), engine)


def restart(run: Run, *, stale_only: bool = False) -> bool:
    """Restart a running TLS registry to serve the certificate now on disk.

    Args:
        run: The registry's settings, and the console that shows the commands.
        stale_only: Leave a registry alone that serves that certificate already.

    Returns:
        True if the container was restarted.

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
    if not container or container.role != "tls" or container.state != "running":
        return False
    if not ownership.is_own(container, run.settings, engine):
        run.console.warn(f"The registry {run.settings.container} is another checkout's, so it was not restarted.")
        return False
    endpoint = probe.Endpoint(container.listen or run.settings.address, container.port or run.settings.port)
    if run.console.dry:
        engine.restart(run.settings.container)
        return True
    wanted = inspect.read(run.settings.folder / "domain.crt").fingerprint
    if stale_only and observe.serves(endpoint, run.settings, wanted):
        return False
    return _restarted(endpoint, wanted, run, container, engine)


def _restarted(endpoint: probe.Endpoint, wanted: str, run: Run, container: Container, engine: Engine) -> bool:
    """Restart a running registry, and insist on the certificate and the login that it should have."""
    engine.restart(run.settings.container)
    try:
        observe.check_tls(endpoint, run.settings, engine, wanted)
    except OpenToAllError:
        # It was started before there were users, or its image knows none: this tells, and stops it then.
        return reload(run, container, engine)
    except (OSError, http.client.HTTPException) as error:
        cure = _another_machine_s(endpoint.host) or "./inv up starts it, and ./inv doctor says what is wrong."
        raise RegistryError(f"{endpoint} does not come back with the certificate: {error}.", cure=cure) from error
    return True
