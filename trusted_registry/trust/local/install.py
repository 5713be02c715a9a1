"""Installation of trust on this machine, for every client that is found: state, plan, apply."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trusted_registry import files, program
from trusted_registry.console import Console, pasteable
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import NeedsRootError, RegistryError
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import apply, daemon_lists, ledger, outdated, owned, plan, trust_anchor
from trusted_registry.trust.local import state as states
from trusted_registry.trust.local.state import Item, State
from trusted_registry.trust.managed_blocks import editing
from trusted_registry.trust.model import MACOS, USER, File, ManagedBlock, Mirror, Store, TrustAnchor
from trusted_registry.trust.specifics import macos

_SYSTEMS = {"Darwin": "macOS"}
_ENGINES = ("docker", "docker-rootless")
"""Names of the stores of engines, which have a daemon.json."""
_TASKS = {"Darwin": "./inv trust.macos", "Linux": "./inv trust.linux"}


@dataclass(frozen=True)
class StoreSelection:
    """Selection of this machine's stores, by default those with signs of their clients.

    Args:
        only: Names of stores; no others are selected.
        skip: Names of stores to leave out.
        system: Whether to include the stores of the operating system, of browsers and of Java.
        engine: Key of the store of the engine, while no engine answers.
    """

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    system: bool = False
    engine: str = ""


@dataclass(frozen=True)
class InstallResult:
    """Result of an installation, by store.

    Args:
        written: Stores that were changed.
        already: Stores that trusted the registry before.
        left: Stores left out for lack of root.
    """

    written: tuple[Store, ...]
    already: tuple[Store, ...]
    left: tuple[Store, ...]


ALL_STORES = StoreSelection()


def check_platform(system: str, task: str) -> None:
    """Refuse to run one system's task on another."""
    present = platform.system()
    if present != system:
        instead = _TASKS.get(present, "the commands that ./inv --dry trust.linux shows, as a pattern")
        raise RegistryError(f"{task} is for {_SYSTEMS.get(system, system)}; this is not.", cure=f"Use {instead}.")


def select_stores(engine: Engine, chosen: StoreSelection) -> list[Store]:
    """Return the selected stores, the answering engine's own among them."""
    own = engine_store(engine) or chosen.engine
    return states.select(machines.current(), only=chosen.only, skip=chosen.skip, system=chosen.system, engine=own)


def engine_store(engine: Engine) -> str:
    """Return the key of the answering engine's store; empty if none answers."""
    if not engine.available:
        return ""
    if platform.system() == MACOS:  # three engines share one folder there, each with its own restart
        return "" if macos.engines(machines.current()) else "macos-docker-desktop"
    if engine.info().desktop:
        return "docker-desktop"
    return "docker-rootless" if engine.info().rootless else "docker"


def find_items(settings: Settings, rows: Sequence[Store], *, dry: bool = False) -> list[Item]:
    """Return the contents of stores for the registry, with their states.

    A dry run requires the certificate too, and leaves that unchanged.

    Raises:
        RegistryError: There is no certificate to trust, or a store has a conflict.
    """
    wanted = trust_anchor.load(settings, dry=dry, required=True)
    return states.find(rows, wanted, machines.current(), ledger.read(ledger.path()))


def trust(
    run: Run, engine: Engine, selection: StoreSelection = ALL_STORES, mirrors: Sequence[Mirror] = ()
) -> InstallResult:
    """Make this machine's clients trust every registry host, and use the mirrors.

    All stores are read before any is written: if one has a foreign certificate, none is changed.

    Args:
        run: Settings, and the console that shows the commands.
        engine: This machine's engine.
        selection: The stores.
        mirrors: Mirrors that clients are to use besides those of the installation, which a dry run does not start.

    Raises:
        RegistryError: There is no certificate to trust, a store has foreign contents, or cannot be written.
    """
    with apply.locked(run.console):
        rows, own = select_stores(engine, selection), engine_store(engine)
        wanted = _with(mirrors, trust_anchor.load(run.settings, dry=run.console.dry))
        result = _install(rows, wanted, run, needed=(own, *selection.only))
        engines = [it for it in (*result.written, *result.already) if it.name in _ENGINES and own in (it.key, "")]
        changed = engines if engines and daemon_lists.use_mirror(wanted, run, engine) else []
        outdated.take_back([store for store in rows if store not in result.left], wanted, run)
        written = tuple(dict.fromkeys((*result.written, *changed)))
        return InstallResult(written, tuple(it for it in result.already if it not in written), result.left)


def _with(mirrors: Sequence[Mirror], anchor: TrustAnchor) -> TrustAnchor:
    all_of_them = {it.upstream: it for it in (*anchor.mirrors, *mirrors)}
    return dataclasses.replace(anchor, mirrors=tuple(all_of_them.values()))


def _install(rows: Sequence[Store], wanted: TrustAnchor, run: Run, needed: Sequence[str]) -> InstallResult:
    owned.adopt(run)
    known, machine = ledger.read(ledger.path()), machines.current()
    foreign_home = ledger.is_root_in_foreign_home()
    left = [store for store in rows if foreign_home and store.scope == USER]
    theirs, rows = list(left), [store for store in rows if store not in left]

    def leave(store: Store, error: NeedsRootError) -> None:
        again = _by_root(store, run.settings)
        if store.key in needed or store.name in needed:
            raise error if program.may_use_sudo() else NeedsRootError(error.message, cure=again)
        left.append(store)
        run.console.warn(f"{store.clients}: left out. {error.message} To include it: {again}")

    planned: list[tuple[Store, list[Item], plan.Plan]] = []
    for store in rows:
        try:
            found = states.find([store], wanted, machine, known)
        except NeedsRootError as error:
            leave(store, error)
            continue
        for path in states.ignored_certificates(found):
            run.console.warn(f"{path} is ignored: clients read files that end in .crt")
        parts = _by_owner(found, machine)
        if foreign_home and len(parts) > 1:
            theirs.append(store)
        planned += [(store, part, plan.install(store, part, wanted)) for part in parts[: 1 if foreign_home else None]]
    _leave_to_owner_of_home(theirs, run.console, needed, beside=rows)
    written: list[Store] = []
    for store, part, store_plan in planned:
        try:
            if _carry_out(store_plan, part, wanted, run):
                written.append(store)
        except NeedsRootError as error:
            leave(store, error)
    already = [store for store, _, _ in planned if store not in written and store not in left]
    return InstallResult(*(tuple(dict.fromkeys(found)) for found in (written, already, left)))


def _carry_out(store_plan: plan.Plan, part: Sequence[Item], wanted: TrustAnchor, run: Run) -> bool:
    """Carry out a store's plan, and return whether that changed anything; what killed runs left beside files goes."""
    if store_plan:
        new = [item for item in part if item.state is not State.TRUSTED]
        owned.record(run, [_entry(item, wanted, run.settings) for item in new])
        apply.carry_out(store_plan, run.console)
    if not run.console.dry:
        for folder in {item.path.parent for item in part if isinstance(item.what, File | ManagedBlock)}:
            files.clear_parts(folder)
    return bool(store_plan)


def _by_root(store: Store, settings: Settings) -> str:
    """Return what has root write a store: by sudo, or by an administrator, who needs no checkout."""
    if program.may_use_sudo():
        return pasteable(["sudo", "./inv", "trust.linux", *settings.flags, "--only", store.name])
    script = pasteable(["./inv", "trust.kit", *settings.flags])
    return f"{script}, ask an administrator to run that script, then repeat this"


def _leave_to_owner_of_home(
    left: Sequence[Store], console: Console, needed: Sequence[str], *, beside: Sequence[Store] = ()
) -> None:
    """Warn that root writes nothing into another user's home folder.

    Raises:
        RegistryError: Such a store was asked for, and no store of its name is `beside`.
    """
    if not left:
        return
    clients = "; ".join(dict.fromkeys(store.clients for store in left))
    error = RegistryError(
        f"This is root in another user's home folder, {Path.home()}; what that user's clients read was left out: "
        f"{clients}.",
        cure="As that user, the same command without sudo.",
    )
    asked = set(needed) - {name for store in beside for name in (store.key, store.name)}
    if any(store.key in asked or store.name in asked for store in left):
        raise error
    console.warn(f"{error.message} {error.cure}")


def _by_owner(found: Sequence[Item], machine: machines.Machine) -> list[list[Item]]:
    """Return the items of a store, then those in this user's own folders, if any.

    The latter are read instead of the store's, and need no root.
    """
    users = [item for item in found if isinstance(item.what, File) and item.path != machine.path(item.what.path)]
    others = [item for item in found if item not in users]
    return [others, users] if users else [others]


def _entry(item: Item, wanted: TrustAnchor, settings: Settings) -> ledger.Entry:
    """Return the ledger's entry for an item.

    The entry has a file's content, a block's lines and key, or the certificate's name in a database.
    """
    if isinstance(item.what, File):
        return ledger.entry(item.store.key, item.path, item.what.content, by=settings.root)
    if isinstance(item.what, ManagedBlock):
        said, value = editing.content(item.what.lines), ledger.block_key(item.what)
        made = ledger.entry(item.store.key, item.path, said, by=settings.root, value=value)
        made = dataclasses.replace(made, unended=_unended(item.text))
        return dataclasses.replace(made, keep="") if files.exists(item.path) else made
    held = item.anchor or wanted
    made = ledger.entry(item.store.key, item.path, held.content, by=settings.root, value=held.name)
    return dataclasses.replace(made, path="" if item.path == Path() else str(item.path))


def _unended(text: str) -> str:
    """Return the digest of a text's last line, if that has no line end."""
    last = text.rpartition("\n")[2]
    return ledger.digest(last.encode()) if last else ""


def trust_desktop(run: Run) -> InstallResult:
    """Install trust in the folder that the engines of a Mac share.

    The stores of all engines on this Mac count as written.
    """
    rows = macos.engines(machines.current()) or [macos.store("docker-desktop")]
    wanted = trust_anchor.load(run.settings, dry=run.console.dry)
    result = _install(rows[:1], wanted, run, needed=(rows[0].key,))  # they share one folder
    outdated.take_back([store for store in rows[:1] if store not in result.left], wanted, run)
    return dataclasses.replace(result, written=tuple(rows)) if result.written else result


def trust_keychain(run: Run, keychain: str) -> None:
    """Trust the certificate in a keychain of this Mac."""
    store = macos.store(keychain)
    if store.scope == USER and ledger.is_root_in_foreign_home():
        _leave_to_owner_of_home([store], run.console, [store.key])
    wanted = trust_anchor.load(run.settings, dry=run.console.dry)
    source = Path(wanted.file)
    if not run.console.dry:
        sha1 = wanted.sha1.lower()
        owned.record(run, [ledger.entry(f"keychain-{keychain}", source, b"", by=run.settings.root, value=sha1)])
    program.run(macos.add(source, keychain, Path.home()), run.console)
