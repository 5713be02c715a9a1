"""Lifecycle: `up` makes certificate, registry and trust at once, `down` ends them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from trusted_registry import files, saved_flags, status
from trusted_registry.certificate import clear, issue
from trusted_registry.errors import RegistryError
from trusted_registry.registry import engine as engines
from trusted_registry.registry import instance, prove, users
from trusted_registry.tasks import cert, registry, trust
from trusted_registry.trust.local import ledger, uninstall
from trusted_registry.trust.local.install import StoreSelection

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.console import Console
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings


UNPROVED = ".unproved"
"""Name of a file beside the certificates while an `up` runs; the file holds the reference of the proof's image."""


def up(settings: Settings, console: Console) -> None:
    """Make the missing parts of certificate, registry, trust and proof; a second run waits for the first."""
    engine = engines.connect(console)
    with contextlib.nullcontext() if console.dry else files.locked(settings.folder, name=".up.lock"):
        _up(settings, engine, console)


def _up(settings: Settings, engine: Engine, console: Console) -> None:
    saved_flags.announce(settings, console)
    instance.check_port(settings, engine, console)
    issued = issue.bring_up_to_date(settings, console)
    cert.say_certificate(settings, console, "made" if issued else "already there", names=issued)
    mark = settings.folder / UNPROVED
    unproved = _unproved(mark, engine, console)
    packed: list[str] = []

    def note(reference: str = "") -> None:
        if not console.dry:
            files.write(mark, reference.encode())

    def pack() -> None:
        packed.append(prove.pack(status.registry_host(settings), engine, note=note))

    note()

    try:
        started = registry.tls(settings, engine, console, meanwhile=pack)
        trusted = bool(trust.install_trust(settings, engine, console, StoreSelection(engine="docker")).written)
        if not packed and (issued or started or trusted or unproved):
            pack()
    except BaseException:
        for reference in packed:
            prove.discard(reference, engine)
        raise
    for reference in packed:
        registry.prove_push_and_pull(reference, registry.tls_target(settings, console), engine, console)
    if not console.dry:
        files.remove(mark, keep=settings.folder)
    if not (issued or started or trusted or unproved):
        console.say("Nothing had to be changed.")
    cert.say_done(console, status.next_steps(settings))


def _unproved(mark: Path, engine: Engine, console: Console) -> bool:
    """Return whether an earlier `up` was cut short; the proof's image that remains on the engine is removed."""
    try:
        with files.explained(mark, "read"):
            reference = mark.read_text(errors="replace") if mark.exists() else None
    except RegistryError as error:
        console.warn(error.message)
        return True
    if reference is None:
        return False
    if prove.is_packed(reference) and engine.has_image(reference):
        prove.discard(reference, engine)
    return True


def down(settings: Settings, console: Console, *, purge: bool) -> None:
    """Stop the registry; when purging, remove images, trust, keys and certificates too."""
    engine = engines.connect_if_available(console)
    if purge and not console.dry and not _remains(settings, engine):
        cert.say_done(console, "There is nothing to remove: no registry, image, trust or certificate of this checkout.")
        return
    if purge and not console.ask("Remove every image, this machine's trust, and all keys and certificates?"):
        raise RegistryError("Nothing was removed.", cure="./inv down without --purge only stops the registry.")
    stopped = instance.stop(settings, engine, console, purge=purge)
    if purge:
        mark = settings.folder / UNPROVED
        if _unproved(mark, engine, console) and not console.dry:
            files.remove(mark, keep=settings.folder)
        uninstall.remove(settings, engine, console)
        users.purge(settings.folder, console)
        clear.remove_all(settings.folder, console)
        cert.say_done(console, "Images, trust, keys and certificates are gone. On other machines: ./inv trust.remove,")
        cert.say_done(console, "or where the kit or the page was used: sudo sh trust-*.sh --remove")
    else:
        state = "stopped" if stopped else "was not running"
        cert.say_done(console, f"registry: {state}; images, trust and certificates are kept")


def _remains(settings: Settings, engine: Engine) -> bool:
    """Return whether anything is left to purge; True also if no engine answers, since one may hold images."""
    return bool(
        not engine.available
        or engine.find(settings.container)
        or engine.has_volume(settings.volume)
        or (settings.folder / UNPROVED).exists()
        or users.is_login_required(settings.folder)
        or clear.find(settings.folder)
        or any(entry.by == str(settings.root) for entry in ledger.read(ledger.path()))
    )
