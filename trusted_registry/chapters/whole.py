"""All of it at once: up and down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import files, given, installation, summary
from trusted_registry.certificate import clear, issue
from trusted_registry.chapters import cert, registry, trust
from trusted_registry.errors import RegistryError
from trusted_registry.registry import engine as engines
from trusted_registry.registry import ownership, predecessor, prove, serve, turn, users
from trusted_registry.trust.local import owned, takeback
from trusted_registry.trust.local.here import Choice

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.edge import Edge
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings


UNPROVED = ".unproved"
"""Beside the certificates while an `up` is at work: names the image that it proves with."""


def up(settings: Settings, edge: Edge, *, adopt: bool = False) -> None:
    """Certificate, registry, trust and proof: whatever of it is not there yet. A second run waits for the first.

    Args:
        settings: What the registry should be.
        edge: Whom to show it to.
        adopt: Whether a volume that is there, and nobody's, is this installation's, since a person says so.
    """
    engine = engines.connect(edge)
    with turn.taken(settings, edge):
        if adopt:
            ownership.adopt_volume(settings, engine, edge)
        _up(settings, engine, edge)


def _up(settings: Settings, engine: Engine, edge: Edge) -> None:
    serve.check_address(settings, edge)
    given.recall(settings, edge)
    serve.check_port(settings, engine, edge)
    issued = issue.bring_up_to_date(settings, edge)
    cert.tell_certificate(settings, edge, "made" if issued else "already there", names=issued)
    mark = settings.folder / UNPROVED
    unproved = _unproved(mark, engine, edge)
    packed: list[str] = []

    def note(reference: str = "") -> None:
        if not edge.dry:
            files.write(mark, reference.encode())

    def pack() -> None:
        packed.append(prove.pack(summary.registry(settings), engine, note=note))

    note()

    try:
        started = registry.tls(settings, engine, edge, meanwhile=pack)
        trusted = bool(trust.written(settings, engine, edge, Choice(engine="docker")).written)
        if not packed and (issued or started or trusted or unproved):
            pack()
    except BaseException:
        for reference in packed:
            prove.discard(reference, engine)
        raise
    for reference in packed:
        registry.proved(reference, registry.secured(settings, edge), engine, edge)
    if not edge.dry:
        files.remove(mark, keep=settings.folder)
    if not (issued or started or trusted or unproved):
        edge.say("Nothing had to be changed.")
    cert.tell(edge, summary.after_up(settings))


def _unproved(mark: Path, engine: Engine, edge: Edge) -> bool:
    """Whether an `up` before did not come to its end; the image that it left on the engine, if any, is taken away."""
    try:
        with files.explained(mark, "read"):
            reference = mark.read_text(errors="replace") if mark.exists() else None
    except RegistryError as error:
        edge.warn(error.message)
        return True
    if reference is None:
        return False
    if prove.is_packed(reference) and engine.has_image(reference):
        prove.discard(reference, engine)
    return True


def down(settings: Settings, edge: Edge, *, purge: bool) -> None:
    """Stop the registry; when purging, take away images, trust, keys and certificates too."""
    engine = engines.perhaps(edge)
    if purge and not edge.dry:
        with turn.taken(settings, edge, to_end=True):  # not in the middle of an `up`
            remains = _remains(settings, engine)
        if not remains:
            cert.tell(edge, "There is nothing to remove: no registry, image, trust or certificate of this checkout.")
            return
    if purge:
        ownership.claimed(settings, engine, edge)
    if purge and not edge.ask("Remove every image, this machine's trust, and all keys and certificates?"):
        raise RegistryError("Nothing was removed.", cure="./inv down without --purge only stops the registry.")
    with turn.taken(settings, edge, to_end=True):
        _down(settings, engine, edge, purge=purge)


def _down(settings: Settings, engine: Engine, edge: Edge, *, purge: bool) -> None:
    stopped = serve.stop(settings, engine, edge, purge=purge)
    if not purge:
        state = "stopped" if stopped else "was not running"
        cert.tell(edge, f"registry: {state}; images, trust and certificates are kept")
        registry.tell_of_prune(settings, engine, edge)
        return
    mark = settings.folder / UNPROVED
    if _unproved(mark, engine, edge) and not edge.dry:
        files.remove(mark, keep=settings.folder)
    takeback.remove(settings, engine, edge)
    ownership.drop_images(settings, engine, edge)
    stored = registry.tell_volumes(settings, engine, edge)
    trusted = trust.tell_left(settings, engine, edge)
    users.purge(settings.folder, edge)
    # The id stays where something does: by it the commands that were just told find what they are to take.
    clear.everything(settings.folder, edge, keep=(installation.FILE,) if stored or trusted else ())
    if not edge.dry and settings.folder.exists():
        with files.locked(settings.folder):  # and with it goes what a run that was killed had left
            pass
    gone = [it for it, stays in (("images", stored), ("trust", trusted)) if not stays]
    taken = ", ".join([*gone, "keys"]).capitalize()
    cert.tell(edge, f"{taken} and certificates are gone. On other machines: ./inv trust.remove,")
    cert.tell(edge, "or where the kit or the page was used: sudo sh trust-*.sh --remove")


def _remains(settings: Settings, engine: Engine) -> bool:
    """Whether there is anything to purge, or an engine that does not answer may have it."""
    return bool(
        not engine.here
        or engine.find(settings.container)
        or engine.find(predecessor.name(settings.container))
        or engine.has_volume(settings.volume)
        or (settings.folder / UNPROVED).exists()
        or users.wanted(settings.folder)
        or clear.found(settings.folder)
        or owned.entries(settings)
    )
