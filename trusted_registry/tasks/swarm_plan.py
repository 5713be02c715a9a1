"""Plan of the registry on a swarm: its hosts, by the flags of this run or the note of earlier ones, and its stack."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from trusted_registry import address, installation
from trusted_registry.bucket import opening
from trusted_registry.console import pasteable
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance.model import Image
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.swarm import noted, rollout, stack
from trusted_registry.swarm.noted import Note
from trusted_registry.swarm.protocol import Swarm
from trusted_registry.swarm.stack import REGISTRY_PORT, Stack
from trusted_registry.values import hosts as checked_hosts
from trusted_registry.values import reachable

HOSTS = "./inv swarm.up --hosts A,B,C"


def connect(run: Run) -> Swarm:
    """Return the swarm that the engine here manages."""
    from trusted_registry.engine import docker_swarm

    return docker_swarm.connect(run.console)


def require_note(run: Run) -> Note:
    """Return the note of the registry that is on a swarm; one without hosts in a dry run.

    Raises:
        RegistryError: It is on none.
    """
    note = noted.read(run.settings.folder)
    if not note.hosts and not run.console.dry:
        raise RegistryError("The registry of this checkout is on no swarm.", cure=HOSTS)
    return note


def storage(settings: Settings) -> tuple[str, ...]:
    """Return the words that lead to the images; the authority's file is one of this checkout."""
    return tuple(dataclasses.replace(opening.location(settings), authority=None).words)


def check_storage(settings: Settings, note: Note) -> None:
    """Insist that the images are where the settings say: hosts that are led elsewhere would have none.

    Raises:
        SettingError: They are elsewhere.
    """
    if note.storage and note.storage != storage(settings):
        wrong = f"The hosts have the images in {note.storage[0]}, and the settings lead elsewhere."
        back = settings.command(f"registry.storage {pasteable(note.storage)}")
        cure = f"Unset what says so, such as INVOKE_REGISTRY_STORAGE, in invoke.yaml too; or: {back}"
        raise SettingError(wrong, cure=cure)


def planned(run: Run, typed: Sequence[str]) -> tuple[Run, Note]:
    """Return the run and the note of a registry on the hosts that a person types, or typed before.

    Raises:
        SettingError: A host, the port, the storage or the address cannot be used.
    """
    settings, before = run.settings, noted.read(run.settings.folder)
    hosts = tuple(dict.fromkeys(reachable("--hosts", it) for it in typed)) or before.hosts
    if not hosts:
        raise SettingError("swarm.up needs the addresses of the hosts.", cure=HOSTS)
    if wrong := [it for it in hosts if not address.is_ip(it) or ":" in it]:
        raise SettingError(f"--hosts has {wrong[0]!r}, which is no IPv4 address.", cure=HOSTS)
    _check(settings, dry=run.console.dry)
    if not run.console.dry:
        check_storage(settings, before)
    said = "address" in settings.saved_flags
    if said and settings.address in before.hosts and settings.address not in hosts:
        goes = f"Clients come by {settings.address}, a host that is to be none any more."
        raise SettingError(goes, cure=f"./inv swarm.up --hosts {','.join(hosts)} --address {hosts[0]}")
    virtual = settings.address if said and address.is_ip(settings.address) and settings.address not in hosts else ""
    if ":" in virtual:
        raise SettingError(f"--address {virtual} is no IPv4 address.", cure=f"{HOSTS} --address ADDRESS")
    run = named(run, hosts, before)
    if not said and run.settings.address not in hosts and not run.console.dry:
        wrong_machine = "This machine is none of the hosts, so nobody knows by which address clients come."
        raise SettingError(wrong_machine, cure=f"{HOSTS} --address ADDRESS")
    return run, Note(hosts, virtual, before.unprivileged, storage=storage(settings))


def _check(settings: Settings, *, dry: bool) -> None:
    """Insist on settings that count on a swarm.

    Raises:
        SettingError: One cannot be used, or would be ignored.
    """
    if settings.port == REGISTRY_PORT:
        taken = f"registry.port is {REGISTRY_PORT}, which leads to the registry of each host alone."
        raise SettingError(taken, cure="Use another port, such as 443 or 8443.")
    if settings.listen:
        everywhere = f"registry.listen is {settings.listen}; on a swarm the fronts listen at all addresses of a host."
        raise SettingError(everywhere, cure="Unset it: INVOKE_REGISTRY_LISTEN, or in invoke.yaml.")
    if settings.metrics:
        unscraped = f"registry.metrics is {settings.metrics}; on a swarm nobody can scrape those of a registry."
        raise SettingError(unscraped, cure="Unset it: INVOKE_REGISTRY_METRICS, or in invoke.yaml.")
    if not settings.storage and not dry:
        cure = "./inv registry.storage s3://BUCKET/PREFIX; where a registry has images: ./inv registry.move --to s3://…"
        raise SettingError("Several hosts need a bucket for the images.", cure=cure)


def named(run: Run, hosts: Sequence[str], before: Note) -> Run:
    """Return a run that remembers every host as a name of the registry, and none that was a host and is no more."""
    settings, own = run.settings, address.own_addresses()
    main = settings.address
    if "address" not in settings.saved_flags and main not in hosts:
        main = next((it for it in hosts if it in own), main)
    gone = [it for it in before.hosts if it not in hosts]

    def with_hosts(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(it for it in (*names, *hosts) if it not in {main, *gone}))

    saved = {**settings.saved_flags, **({} if main == settings.address else {"address": main})}
    names = ",".join(with_hosts(checked_hosts("names", saved.pop("names", ""))))
    saved |= {"names": names} if names else {}
    return run.with_settings(address=main, names=with_hosts(settings.names), saved_flags=saved)


def plan(run: Run, note: Note, swarm: Swarm, engine: Engine, found: tuple[Image, Image]) -> Stack:
    """Return the stack that should run on the hosts of a note, with images of the registry and the front.

    Raises:
        RegistryError: The engine here has no such image.
    """
    known = installation.ensure(run.settings.folder, run.console)
    registry, front = found
    if registry.id and not engine.has_image(registry.id):
        raise RegistryError(f"The engine here has no image {registry.name} any more.", cure="./inv swarm.up")
    entrypoint = engine.entrypoint(registry.id or registry.name, shell=known.has_shell(registry.id))
    held = rollout.patiently(run.console, swarm.held)
    return stack.made(
        run.settings, note.hosts, registry, front, entrypoint, known.id, known.http_secret, held, note.unprivileged
    )
