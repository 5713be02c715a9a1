"""Checks before anything is made for a registry: its certificate, its address, its port."""

from __future__ import annotations

from trusted_registry import address
from trusted_registry.certificate import handed, issue
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import PortTakenError, RegistryError, SettingError
from trusted_registry.instance import ownership, ports, route
from trusted_registry.instance.model import LOOPBACK, Instance, front_name, predecessor_name
from trusted_registry.run import Run
from trusted_registry.settings import Settings


def check_certificate(settings: Settings) -> None:
    """Insist on a certificate that is valid and names every host that clients type.

    Raises:
        RegistryError: There is none, or one that clients will refuse.
    """
    issued = issue.find(settings.folder)
    if issued is None:
        raise RegistryError("There is no certificate yet.", cure="./inv cert makes one.")
    reason = issue.misfit(issued, settings, days=0)
    if reason:
        raise RegistryError(f"{issued.server.path} {reason}.", cure=issue.renewal(issued, settings))


def check_port(run: Run, engine: Engine) -> None:
    """Insist that the TLS registry's port, and that of its metrics, is free, or its own; not in a dry run.

    Raises:
        RegistryError: Another program listens there, or the container's name is somebody else's.
        SettingError: The port of the metrics is the registry's too, or another program's.
    """
    if run.console.dry:
        return
    check_metrics(run.settings, engine)
    # The other one was left by a run that was killed half way.
    left = ownership.container(run.with_settings(container=predecessor_name(run.settings.container)), engine)
    own = (ownership.claimed(run, engine), left)
    ours = any(it is not None and it.state == "running" and it.port == run.settings.port for it in own)
    if not ours and ports.is_taken(run.settings.listen, run.settings.port):
        front = front_name(run.settings.container)
        fronts = (
            ownership.container(run.with_settings(container=it), engine) for it in (front, predecessor_name(front))
        )
        if any(it and it.port == run.settings.port for it in fronts):
            return
        raise ports.taken_error(run.settings.port, run.settings, engine)


def check_lost_containers(run: Run, engine: Engine) -> None:
    """Insist that the engine lost no container when it was killed, as it may have been in an `up` that was cut short.

    Raises:
        RegistryError: It did, and the registry would share that container's address.
    """
    lost = [] if run.console.dry else ports.lost_containers(engine)
    if lost:
        numbers = ", ".join(map(str, lost))
        raise RegistryError(
            f"The engine was killed in the start of a container, and lost it (process {numbers}): it keeps an address "
            "that the registry gets too.",
            cure=ports.lost_cure(lost, run.settings),
        )


def check_metrics(settings: Settings, engine: Engine) -> None:
    """Insist that the port of the metrics, if there is to be one, is free, or the registry's own already.

    Raises:
        SettingError: The port is the registry's other one, or another program's.
    """
    name, port = settings.container, settings.metrics
    cure = "Set registry.metrics to another port, such as 9102, or to nothing."
    if port and port == settings.port:
        raise SettingError(f"registry.metrics is {port}, which is the registry's own port.", cure=cure)
    own = (name, front_name(name), predecessor_name(name), predecessor_name(front_name(name)))
    if port and ports.is_taken(LOOPBACK, port) and engine.publisher_of(port) not in own:
        raise SettingError(f"registry.metrics is {port}, and another program listens there.", cure=cure)


def check_free(port: int, engine: Engine, aside: str) -> None:
    """Insist that a port is free, or the one of the registry that was set aside, before the other one gives way.

    Raises:
        PortTakenError: Another container or program has the port.
    """
    holder = engine.publisher_of(port)
    if holder != aside and (holder or ports.listening_process(port)):
        raise PortTakenError(f"Port {port} is in use.", cure="")


def check_address(run: Run, engine: Engine, *, nat: bool = False) -> None:
    """Insist on an address of this machine for a registry that is to run here; not in a dry run.

    A name may lead anywhere, and back here by a router; loopback is here. An address may too, where somebody says so,
    now or in an earlier run: that is tried.

    Args:
        run: The registry that is to run.
        engine: The engine on which the registry may run already.
        nat: Whether the address is said to be a router's, that leads here.

    Raises:
        RegistryError: The folder of the certificates is for another machine's registry, or no router leads here.
        SettingError: The address is another machine's.
    """
    handed.check_own(run.settings.folder)
    host = run.settings.address
    if run.console.dry or not address.is_elsewhere(host):
        return
    is_saved = run.settings.saved_flags_before.get("address") == host
    if nat or is_saved:
        if not (reason := route.broken(run.settings, _on_port(run.settings, engine), is_saved=is_saved)):
            return
        if nat:
            raise _no_route(run.settings, reason)
    said = "address" in run.settings.saved_flags
    without = "./inv up --address ''" if said else "unset INVOKE_REGISTRY_ADDRESS, or registry.address in invoke.yaml"
    raise SettingError(
        f"{host} is none of this machine's addresses ({own_addresses()}): no registry can run there.",
        cure=f"{without}; where a router leads from there to here: ./inv up --address {host} --nat, which tries it; "
        f"or, untried: ./inv up --address '' --names {host}",
    )


def _on_port(settings: Settings, engine: Engine) -> Container | None:
    """Return this installation's container that has the registry's port, or None; nothing is adopted yet."""
    found = (engine.find(name) for name in (settings.container, predecessor_name(settings.container)))
    running = (it for it in found if it and it.state == "running" and it.port == settings.port)
    return next((it for it in running if ownership.is_own(it, settings, engine)), None)


def _no_route(settings: Settings, reason: str) -> RegistryError:
    host, port = settings.address, settings.port
    return RegistryError(
        f"{host}, port {port}, does not lead to this machine: {reason}. Nothing was changed.",
        cure=f"Have the router pass port {port} on to {own_addresses()}. Some pass on nothing that comes from inside; "
        f"then, untried: ./inv up --address '' --names {host}",
    )


def own_addresses() -> str:
    """Return this machine's addresses as a text."""
    return ", ".join(address.own_addresses()) or "none but loopback"


def another_machine_s(host: str) -> str:
    """Return the cure for an address that is not this machine's; nothing for one that is, and for a name."""
    if not address.is_elsewhere(host):
        return ""
    return f"./inv up, without that address: {host} is none of this machine's ({own_addresses()}), and another answers."


def check_storage(instance: Instance, container: Container | None, run: Run) -> None:
    """Try the bucket that a registry is to have its images in, before anything is started that has them there.

    One that runs already is asked for its marker alone: a push would tell after a minute that it is away.

    Raises:
        RegistryError: The bucket is away, somebody else's, or does not do as it should; nothing was changed.
    """
    same = container and container.state == "running" and container.digest == instance.digest
    if instance.storage.location and not run.console.dry:
        from trusted_registry.bucket import opening

        opening.prove(run, opening.opened(run.settings), is_new=not same)
