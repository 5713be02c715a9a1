"""Lifecycle: `up` makes certificate, registry and trust at once, `down` ends them."""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path

from trusted_registry import address, files, installation, saved_flags
from trusted_registry.certificate import clear, issue
from trusted_registry.console import Console, pasteable
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.instance import checks, ownership, run_lock, running
from trusted_registry.instance.model import front_name, predecessor_name
from trusted_registry.registry import prove, users
from trusted_registry.report import Report
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.tasks import cert, registry

UNPROVED = ".unproved"
"""Name of a file beside the certificates while an `up` runs; the file holds the reference of the proof's image."""

LATER = ("trusted_registry.registry.api", "trusted_registry.status", "trusted_registry.tasks.trust")
"""Modules that `up` takes after the container's start: loaded while the engine starts it, which takes longer."""


def show_status(run: Run) -> Report:
    """Report how certificate, registry and trust stand."""
    from trusted_registry import status

    engine = engines.connect_if_available(run.console)
    return status.report(status.find(run.settings, engine, dry=run.console.dry), judged=not run.console.dry)


def up(run: Run, *, adopt: bool = False, nat: bool = False, from_: str = "") -> None:
    """Make the missing parts of certificate, registry, trust and proof; a second run waits for the first.

    Args:
        run: The registry's settings, and the console that shows the commands.
        adopt: Whether an unlabelled volume becomes this installation's, since a person says so.
        nat: Whether the address is a router's, that leads here.
        from_: Path of a file for a site, whose images come along; "" for none.
    """
    if from_:
        from trusted_registry.tasks import site

        site.up(run, from_, adopt=adopt, nat=nat)
        return
    engine = engines.connect(run.console)
    checks.check_address(run, engine, nat=nat)
    with run_lock.held(run):
        if adopt:
            run = ownership.adopt_volume(run, engine)
        _up(run, engine)


def _up(run: Run, engine: Engine) -> None:
    saved_flags.announce(run)
    checks.check_port(run, engine)
    mark = run.settings.folder / UNPROVED
    unproved = _unproved(mark, engine, run.console)
    if unproved:
        checks.check_lost_containers(run, engine)
    issued: list[bool] = []
    packed: list[str] = []

    note = partial(_note, mark, run.console)

    def prepare() -> None:
        issued.append(issue.bring_up_to_date(run))
        cert.say_briefly(run, "made" if issued[0] else "already there")
        note()

    def pack() -> None:
        packed.append(prove.pack(address.registry_host(run.settings.address, run.settings.port), engine, note=note))
        _load_later(engine)

    try:
        started = registry.tls(run, engine, meanwhile=pack, prepare=prepare)
        started = _start_mirrors(run, engine) or started
        from trusted_registry.tasks import trust
        from trusted_registry.trust.local.install import StoreSelection

        trusted = bool(trust.install_trust(run, engine, StoreSelection(engine="docker")).written)
        if not packed:
            pack()
    except BaseException:
        for reference in packed:
            prove.discard(reference, engine)
        raise
    for reference in packed:
        _prove(reference, run, engine)
    if not run.console.dry:
        files.remove(mark, keep=run.settings.folder)
    if not (any(issued) or started or trusted or unproved):
        run.console.say("Nothing had to be changed.")
    from trusted_registry import status

    cert.say_done(run.console, status.next_steps(run.settings))


def _note(mark: Path, console: Console, reference: str = "") -> None:
    """Note the reference of the proof's image for the next run, should this one be killed."""
    if not console.dry:
        files.write(mark, reference.encode())


def _start_mirrors(run: Run, engine: Engine) -> bool:
    """Have the mirrors run that clients use; return whether one was started."""
    if not installation.known(run.settings.folder).mirrors:
        return False
    from trusted_registry.tasks import mirror_beside

    return mirror_beside.start(run, engine)


def _prove(reference: str, run: Run, engine: Engine) -> None:
    """Prove the registry by a push and a pull.

    Raises:
        RegistryError: Either failed. Trust was just installed, so an engine without it is not told to install it.
    """
    try:
        registry.prove_push_and_pull(reference, registry.tls_target(run), run, engine)
    except RegistryError as error:
        if type(error) is RegistryError and prove.is_distrust(error):
            raise RegistryError(error.message, cure=prove.DOCTOR) from error
        raise


def _load_later(engine: Engine) -> None:
    """Load the modules, and ask the engine for the description, that are wanted after the container's start."""
    for name in LATER:
        importlib.import_module(name)
    if engine.available:
        engine.info()


def _unproved(mark: Path, engine: Engine, console: Console) -> bool:
    """Return whether an earlier `up` was cut short; the proof's image that remains on the engine is removed."""
    try:
        with files.explained(mark, "read"):
            reference = mark.read_text(errors="replace") if files.exists(mark) else None
    except RegistryError as error:
        console.warn(error.message)
        return True
    if reference is None:
        return False
    if prove.is_packed(reference) and engine.has_image(reference):
        prove.discard(reference, engine)
    return True


def down(run: Run, *, purge: bool) -> None:
    """Stop the registry and its mirrors; when purging, remove images, trust, keys and certificates too."""
    engine = engines.connect_if_available(run.console)
    if purge and not run.console.dry:
        with run_lock.held(run, to_end=True):  # not in the middle of an `up`
            remains = _remains(run.settings, engine)
        if not remains:
            cert.say_done(
                run.console, "There is nothing to remove: no registry, image, trust or certificate of this checkout."
            )
            return
    if purge:
        ownership.claimed(run, engine)
    mirrors = ", every mirror with what it holds" if installation.known(run.settings.folder).mirrors else ""
    key = f" here, the access key of {run.settings.storage}" if run.settings.storage else ""
    goes = f"Remove every image{key}{mirrors}, this machine's trust, and all keys and certificates?"
    if purge and not run.console.ask(goes):
        raise RegistryError("Nothing was removed.", cure="./inv down without --purge only stops the registry.")
    with run_lock.held(run, to_end=True):
        _down(run, engine, purge=purge)


def _down(run: Run, engine: Engine, *, purge: bool) -> None:
    from trusted_registry.tasks import mirror_beside

    stopped = running.stop(run, engine, purge=purge)
    if not purge:
        state = "stopped" if stopped else "was not running"
        cert.say_done(run.console, f"registry: {state}; images, trust and certificates are kept")
        registry.say_prune(run, engine)
        mirror_beside.stop(run, engine)
        return
    mark = run.settings.folder / UNPROVED
    if engine.available and _unproved(mark, engine, run.console) and not run.console.dry:
        files.remove(mark, keep=run.settings.folder)
    from trusted_registry.tasks import trust
    from trusted_registry.trust.local import uninstall

    uninstall.remove(run, engine)
    mirror_beside.purge(run, engine)  # once no client here asks for them
    ownership.drop_images(run, engine)
    has_images = registry.say_volumes(run, engine) or not (engine.available or run.console.dry)
    if run.settings.storage:
        run.console.warn(f"the images in {run.settings.storage} stay: whoever runs that store can remove them")
        has_images = True
    ran = "" if run.console.dry else trust.warn_of_kit(run)
    trusted, kit_removal = trust.say_left(run, engine) or bool(ran), _kit_removal(run)
    users.purge(run.settings.folder, run.console)
    # The id stays where something does: by it the commands that were just told find what they are to take.
    clear.remove_all(run.settings.folder, run.console, keep=(installation.FILE, ran) if has_images or trusted else ())
    if not run.console.dry and files.exists(run.settings.folder):
        with files.locked(run.settings.folder):  # and with it goes what a run that was killed had left
            pass
    gone = [it for it, stays in (("images", has_images), ("trust", trusted)) if not stays]
    _say_gone(", ".join([*gone, "keys"]).capitalize(), kit_removal, run.console)
    pulled = (run.settings.image, *([run.settings.front_image] if run.settings.front else []))
    remaining = ["Docker itself", *filter(engine.has_image, pulled), ".venv"]
    cert.say_done(run.console, f"Kept, as others may need them: {', '.join(remaining)}")


def _kit_removal(run: Run) -> str:
    """Return the command that has this registry's kit, and no other, take back what it wrote on another machine.

    That is "" where no kit can be made.
    """
    from trusted_registry.trust.local import trust_anchor
    from trusted_registry.trust.remote import kit

    try:
        name = kit.file_name(trust_anchor.load(run.settings, dry=run.console.dry), run.settings.registry_host)
    except RegistryError:
        return ""
    return pasteable(["sudo", "sh", f"{kit.FOLDER}/{name}", "--remove"])


def _say_gone(taken: str, kit_removal: str, console: Console) -> None:
    """Tell what a purge took, and the commands for other machines: the kit's too, where there can be one."""
    end = "," if kit_removal else "."
    cert.say_done(console, f"{taken} and certificates are gone. On other machines: ./inv trust.remove{end}")
    if kit_removal:
        cert.say_done(console, f"or, if the script was run there: {kit_removal}")


def _remains(settings: Settings, engine: Engine) -> bool:
    """Return whether anything is left to purge; True also if no engine answers, since one may hold images."""
    from trusted_registry.trust.local import owned

    return bool(
        not engine.available
        or engine.find(settings.container)
        or engine.find(predecessor_name(settings.container))
        or any(
            engine.find(it) for it in (front_name(settings.container), predecessor_name(front_name(settings.container)))
        )
        or engine.volume(settings.volume)
        or engine.list_files_volumes(installation.known(settings.folder).id or "none")
        or installation.known(settings.folder).mirrors
        or files.exists(settings.folder / UNPROVED)
        or users.is_login_required(settings.folder)
        or clear.find(settings.folder)
        or owned.entries(settings)
    )
