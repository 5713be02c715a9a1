"""This machine's trust: looks, plans and carries out, for every client that is found on it."""

from __future__ import annotations

import dataclasses
import ipaddress
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trusted_registry import address, installation, run
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError
from trusted_registry.trust import whereabouts
from trusted_registry.trust.clients import macos
from trusted_registry.trust.lines import blocks
from trusted_registry.trust.local import anchor, apply, ledger, look, owned, plan
from trusted_registry.trust.local.look import NoRoot, State
from trusted_registry.trust.row import MACOS, USER, Block, File, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trusted_registry.edge import Edge
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings
    from trusted_registry.trust.local.ledger import Entry
    from trusted_registry.trust.local.look import Item
    from trusted_registry.trust.local.plan import Plan
    from trusted_registry.trust.row import Store
    from trusted_registry.trust.whereabouts import Where

_SYSTEMS = {"Darwin": "macOS"}
_TASKS = {"Darwin": "./inv trust.macos", "Linux": "./inv trust.linux"}


@dataclass(frozen=True)
class Choice:
    """Which of this machine's stores: those that are found, only some of them, without some, with the system's.

    `engine` is the key of the store that is meant where no engine answers yet.
    """

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    system: bool = False
    engine: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of the stores: those that were written, those that trusted already, those left for want of root."""

    written: tuple[Store, ...]
    already: tuple[Store, ...]
    left: tuple[Store, ...]


EVERY = Choice()


def check_platform(system: str, task: str) -> None:
    """Refuse to do one system's work on another."""
    here = platform.system()
    if here != system:
        instead = _TASKS.get(here, "the commands that ./inv --dry trust.linux shows, as a pattern")
        raise RegistryError(f"{task} is for {_SYSTEMS.get(system, system)}; this is not.", cure=f"Use {instead}.")


def chosen(engine: Engine, choice: Choice) -> list[Store]:
    """Return the stores of this machine that are meant, the answering engine's own among them."""
    own = engine_store(engine) or choice.engine
    return look.chosen(whereabouts.here(), only=choice.only, skip=choice.skip, system=choice.system, engine=own)


def engine_store(engine: Engine) -> str:
    """Return the key of the store that the answering engine reads; empty where none answers."""
    if not engine.here:
        return ""
    if platform.system() == MACOS:  # three engines share one folder there, and tell each its own restart
        return "" if macos.engines(whereabouts.here()) else "macos-docker-desktop"
    if engine.info().desktop:
        return "docker-desktop"
    return "docker-rootless" if engine.info().rootless else "docker"


def items(settings: Settings, rows: Sequence[Store], *, dry: bool = False) -> list[Item]:
    """Return what stands in stores for the registry; in a dry run a certificate is still required, and left alone.

    Raises:
        RegistryError: There is no certificate to trust, or something in a store's way.
    """
    wanted = anchor.subject(settings, dry=dry, required=True)
    return look.look(rows, wanted, whereabouts.here(), ledger.read(ledger.where()))


def trust(settings: Settings, engine: Engine, edge: Edge, choice: Choice = EVERY) -> Outcome:
    """Have this machine's clients trust the registry by every spelling of its name.

    Everything is looked at before anything is written: where one store holds another's certificate, none is changed.

    Raises:
        RegistryError: There is nothing to trust, a store holds what is not ours, or cannot be written.
    """
    with apply.one_at_a_time(edge):
        rows = chosen(engine, choice)
        return _write(rows, settings, edge, needed=(engine_store(engine), *choice.only))


def _write(rows: Sequence[Store], settings: Settings, edge: Edge, needed: Sequence[str]) -> Outcome:
    wanted = anchor.subject(settings, dry=edge.dry)
    owned.adopt(settings, edge)
    known, where = ledger.read(ledger.where()), whereabouts.here()
    borrowed = ledger.borrowed()
    left, rows = _split(rows, borrowed=borrowed)
    theirs = list(left)

    def leave(store: Store, error: NoRoot) -> None:
        if store.key in needed or store.name in needed:
            raise error
        left.append(store)
        again = " ".join(("sudo ./inv trust.linux", *settings.flags, "--only", store.name))
        edge.warn(f"{store.clients}: left out. {error.message} To tell it too: {again}")

    planned: list[tuple[Store, list[Item], Plan]] = []
    for store in rows:
        try:
            found = look.look([store], wanted, where, known)
        except NoRoot as error:
            leave(store, error)
            continue
        for path in look.ignored(found):
            edge.warn(f"{path} counts for nothing: clients read files that end in .crt")
        parts = list(_parts(found, where))
        if borrowed and len(parts) > 1:
            theirs.append(store)
        planned += [(store, part, plan.install(store, part, wanted)) for part in parts[: 1 if borrowed else None]]
    _leave_to_whose_home_it_is(theirs, edge, needed, beside=rows)
    written: list[Store] = []
    for store, part, its_plan in planned:
        try:
            if its_plan:
                _carry_out(part, its_plan, wanted, settings, edge)
                written.append(store)
        except NoRoot as error:
            leave(store, error)
    already = [store for store, _, _ in planned if store not in written and store not in left]
    return Outcome(*(tuple(dict.fromkeys(found)) for found in (written, already, left)))


def _split(rows: Sequence[Store], *, borrowed: bool) -> tuple[list[Store], list[Store]]:
    """Return the stores that lie in a home folder that is another user's, and the others."""
    theirs = [store for store in rows if borrowed and store.scope == USER]
    return theirs, [store for store in rows if store not in theirs]


def _leave_to_whose_home_it_is(
    left: Sequence[Store], edge: Edge, needed: Sequence[str], *, beside: Sequence[Store] = ()
) -> None:
    """Say that root writes nothing into another user's home folder.

    Raises:
        RegistryError: Just that was asked for: no store of the name is beside it.
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
    edge.warn(f"{error.message} {error.cure}")


def _parts(found: Sequence[Item], where: Where) -> Iterator[list[Item]]:
    """Yield what a store holds, and what this user's own folders hold instead of it, for which nobody need be root."""
    users = [item for item in found if isinstance(item.what, File) and item.path != where.path(item.what.path)]
    yield [item for item in found if item not in users]
    if users:
        yield users


def _carry_out(part: Sequence[Item], its_plan: Plan, wanted: Subject, settings: Settings, edge: Edge) -> None:
    if not edge.dry:
        written = [_entry(it, wanted, settings) for it in part if it.state is not State.TRUSTED]
        ledger.record(ledger.where(), written, installation=installation.ensure(settings.folder, edge).id)
    apply.carry_out(its_plan, edge)


def _entry(item: Item, wanted: Subject, settings: Settings) -> Entry:
    """Return what to remember of a write: of a file its content, of lines what they say and of whom, else the name."""
    if isinstance(item.what, File):
        return ledger.entry(item.store.key, item.path, item.what.content, by=settings.root)
    if isinstance(item.what, Block):
        said, value = blocks.said(item.what.lines), ledger.value(item.what)
        made = ledger.entry(item.store.key, item.path, said, by=settings.root, value=value)
        return dataclasses.replace(made, keep="") if item.path.exists() else made
    made = ledger.entry(item.store.key, item.path, wanted.content, by=settings.root, value=wanted.name)
    return dataclasses.replace(made, path="" if item.path == Path() else str(item.path))


def trust_desktop(settings: Settings, edge: Edge) -> Outcome:
    """Write the certificate where the engines of a Mac look; those that are here are the ones that were told."""
    rows = macos.engines(whereabouts.here()) or [macos.row("docker-desktop")]
    outcome = _write(rows[:1], settings, edge, needed=(rows[0].key,))  # they share one folder
    return dataclasses.replace(outcome, written=tuple(rows)) if outcome.written else outcome


def trust_keychain(settings: Settings, edge: Edge, keychain: str) -> None:
    """Trust the certificate in a keychain of this Mac."""
    row = macos.row(keychain)
    if row.scope == USER and ledger.borrowed():
        _leave_to_whose_home_it_is([row], edge, [row.key])
    try:
        source = issue.trusted(settings.folder, dry=edge.dry).path
    except RegistryError:
        if not edge.dry:
            raise
        source = settings.folder / "ca.crt"
    if not edge.dry:
        sha1 = issue.trusted(settings.folder).sha1
        written = ledger.entry(f"keychain-{keychain}", source, b"", by=settings.root, value=sha1)
        ledger.record(ledger.where(), [written], installation=installation.ensure(settings.folder, edge).id)
    run.act(macos.add(source, keychain, Path.home()), edge)


def unverified(settings: Settings, engine: Engine) -> list[str]:
    """Return the spellings that the engine does not verify at all: its configuration lists them, or their network."""
    listed = engine.info().insecure if engine.here else ()
    networks = [network for entry in listed if (network := _network(entry))]
    return [
        spelling
        for host in settings.hosts
        for spelling in address.spellings((host,), settings.port)
        if spelling in listed
        or (address.is_ip(host) and any(ipaddress.ip_address(host) in network for network in networks))
    ]


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry)
    except ValueError:
        return None
