"""Changeover to another authority, in steps: no client is without trust at any of them, and each can be repeated."""

from __future__ import annotations

from trusted_registry import installation
from trusted_registry.certificate import changeover, clear
from trusted_registry.certificate.changeover import Stage
from trusted_registry.console import pasteable
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance import run_lock
from trusted_registry.run import Run
from trusted_registry.tasks import cert, mirror_beside, trust
from trusted_registry.trust import client_stores
from trusted_registry.trust.local import install, outdated, owned, trust_anchor
from trusted_registry.trust.local.install import StoreSelection

_OTHERS = (
    "the other machines: ./inv trust.serve here, and paste there the line that it prints (or trust.hosts, trust.nodes, "
    "trust.windows; where the page's steps were done by hand, do those of the new page after --switch)"
)


def renew(run: Run, *, switch: bool, finish: bool) -> None:
    """Change over to another authority: begin, or go on with a step.

    Raises:
        SettingError: Two steps are asked for at once.
        RegistryError: The step before is missing, or this one did not succeed; the same command goes on with it.
    """
    if switch and finish:
        raise SettingError("--switch and --finish are two steps.", cure=f"{changeover.TASK} --switch")
    engine = engines.connect_if_available(run.console, quiet=True)
    with run_lock.held(run):
        step = _switch if switch else _finish if finish else _begin
        step(run, engine)


def _begin(run: Run, engine: Engine) -> None:
    cert.adopt(cert.on_this_machine(run))
    made = changeover.begin(run)
    installation.ensure(run.settings.folder, run.console)
    _install(run, engine)
    if not run.console.dry:
        root = changeover.next_root(run.settings.folder)
        made_now = "made" if made else "already there"
        run.console.say(f"authority: the new root is {made_now}, SHA-256 {root.fingerprint if root else ''}")
        names = ("--names", ",".join(run.settings.names)) if run.settings.names else ()
        then = pasteable([*changeover.TASK.split(), "--switch", *names])
        run.console.say(f"this machine's clients trust both roots. Now {_OTHERS}; then: {then}")


def _switch(run: Run, engine: Engine) -> None:
    from trusted_registry.instance import running

    local = cert.on_this_machine(run)
    cert.adopt(local)
    if changeover.stage(run.settings.folder) is Stage.HANDED_OUT:
        _install(run, engine)
    changed = changeover.switch(run)
    cert.keep(run)
    if running.restart(local, stale_only=not changed):
        cert.say_done(run.console, "registry: serves the new root's certificates")
    mirror_beside.renew(local)
    cert.say_done(run.console, f"switched. Now, once more, {_OTHERS}; then: {changeover.TASK} --finish")


def _finish(run: Run, engine: Engine) -> None:
    from trusted_registry.instance import running

    if changeover.stage(run.settings.folder) is not Stage.SWITCHED:
        begun = changeover.stage(run.settings.folder) is Stage.HANDED_OUT
        cure = f"{changeover.TASK} --switch" if begun else f"{changeover.TASK} begins one."
        raise RegistryError("There is no old root to remove.", cure=cure)
    running.restart(cert.on_this_machine(run), stale_only=True)
    mirror_beside.renew(cert.on_this_machine(run))
    _install(run, engine)
    if not run.console.dry:
        _check_taken_back(run)
    _remove_kits(run)
    changeover.forget(run)
    cert.say_done(
        run.console, "authority: the old root is removed here, and other machines are no longer told to remove it"
    )


def _check_taken_back(run: Run) -> None:
    """Insist that no store of this machine trusts the old root by this installation's doing.

    Raises:
        RegistryError: One does.
    """
    if left := outdated.find(run.settings, trust_anchor.load(run.settings)):
        places = ", ".join(dict.fromkeys(entry.path or entry.value for entry in left))
        cure = f"Once what is said above is done: {changeover.TASK} --finish"
        raise RegistryError(f"The old root is still trusted: {places}.", cure=cure)


def _remove_kits(run: Run) -> None:
    """Remove the old root's kits and pages, which would have machines trust it once more.

    A script that was run here stays, with the command that takes back what it wrote.
    """
    folder, old = run.settings.folder, changeover.old_root(run.settings.folder)
    kits = clear.find_kits(folder, old.fingerprint) if old else []
    if old and trust.ran_kit(trust_anchor.of(old, run.settings)):
        for script in (path for path in kits if path.suffix == ".sh"):
            taken = pasteable(["sudo", "sh", script, "--remove"])
            run.console.warn(f"the old root's kit was run here, so it stays: {taken}")
        kits = [path for path in kits if path.suffix != ".sh"]
    clear.remove(kits, folder, run.console)
    if kits:
        cert.say_done(run.console, f"kits: removed those for the old root: {', '.join(path.name for path in kits)}")


def _install(run: Run, engine: Engine) -> None:
    """Install trust in the stores that are found, and in those that this installation was asked to write before."""
    wrote = {entry.store for entry in owned.entries(run.settings)}
    present = {store.name for store in install.select_stores(engine, StoreSelection(system=True))}
    before = [store.name for store in client_stores.STORES if store.key in wrote and store.name in present]
    found = [store.name for store in install.select_stores(engine, install.ALL_STORES)]
    trust.install_trust(run, engine, StoreSelection(only=tuple(dict.fromkeys((*found, *before)))))
