"""Lifecycle: `up` makes certificate, registry and trust at once, `down` ends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import files, installation, saved_flags, status
from trusted_registry.certificate import clear, issue
from trusted_registry.errors import RegistryError
from trusted_registry.registry import engine as engines
from trusted_registry.registry import instance, ownership, predecessor, prove, run_lock, users
from trusted_registry.tasks import cert, registry, trust
from trusted_registry.trust.local import owned, uninstall
from trusted_registry.trust.local.install import StoreSelection

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.console import Console
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings


UNPROVED = ".unproved"
"""Name of a file beside the certificates while an `up` runs; the file holds the reference of the proof's image."""


def up(settings: Settings, console: Console, *, adopt: bool = False) -> None:
    """Make the missing parts of certificate, registry, trust and proof; a second run waits for the first.

    Args:
        settings: The registry's settings.
        console: The console that shows the commands.
        adopt: Whether an unlabelled volume becomes this installation's, since a person says so.
    """
    engine = engines.connect(console)
    with run_lock.held(settings, console):
        if adopt:
            ownership.adopt_volume(settings, engine, console)
        _up(settings, engine, console)


def _up(settings: Settings, engine: Engine, console: Console) -> None:
    instance.check_address(settings, console)
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
    if purge and not console.dry:
        with run_lock.held(settings, console, to_end=True):  # not in the middle of an `up`
            remains = _remains(settings, engine)
        if not remains:
            cert.say_done(
                console, "There is nothing to remove: no registry, image, trust or certificate of this checkout."
            )
            return
    if purge:
        ownership.claimed(settings, engine, console)
    if purge and not console.ask("Remove every image, this machine's trust, and all keys and certificates?"):
        raise RegistryError("Nothing was removed.", cure="./inv down without --purge only stops the registry.")
    with run_lock.held(settings, console, to_end=True):
        _down(settings, engine, console, purge=purge)


def _down(settings: Settings, engine: Engine, console: Console, *, purge: bool) -> None:
    stopped = instance.stop(settings, engine, console, purge=purge)
    if not purge:
        state = "stopped" if stopped else "was not running"
        cert.say_done(console, f"registry: {state}; images, trust and certificates are kept")
        registry.tell_of_prune(settings, engine, console)
        return
    mark = settings.folder / UNPROVED
    if engine.available and _unproved(mark, engine, console) and not console.dry:
        files.remove(mark, keep=settings.folder)
    uninstall.remove(settings, engine, console)
    ownership.drop_images(settings, engine, console)
    stored = registry.tell_volumes(settings, engine, console) or not (engine.available or console.dry)
    kit = "" if console.dry else trust.warn_of_kit(settings, console)
    trusted = trust.tell_left(settings, engine, console) or bool(kit)
    users.purge(settings.folder, console)
    # The id stays where something does: by it the commands that were just told find what they are to take.
    clear.remove_all(settings.folder, console, keep=(installation.FILE, kit) if stored or trusted else ())
    if not console.dry and settings.folder.exists():
        with files.locked(settings.folder):  # and with it goes what a run that was killed had left
            pass
    gone = [it for it, stays in (("images", stored), ("trust", trusted)) if not stays]
    taken = ", ".join([*gone, "keys"]).capitalize()
    cert.say_done(console, f"{taken} and certificates are gone. On other machines: ./inv trust.remove,")
    cert.say_done(console, "or where the kit or the page was used: sudo sh trust-*.sh --remove")


def _remains(settings: Settings, engine: Engine) -> bool:
    """Return whether anything is left to purge; True also if no engine answers, since one may hold images."""
    return bool(
        not engine.available
        or engine.find(settings.container)
        or engine.find(predecessor.name(settings.container))
        or engine.has_volume(settings.volume)
        or (settings.folder / UNPROVED).exists()
        or users.is_login_required(settings.folder)
        or clear.find(settings.folder)
        or owned.entries(settings)
    )
