"""What this machine trusts."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trusted_registry import address, run
from trusted_registry.chapters.cert import tell
from trusted_registry.errors import RegistryError
from trusted_registry.registry import answers, prove
from trusted_registry.registry import engine as engines
from trusted_registry.settings import one_of
from trusted_registry.trust import stores, whereabouts
from trusted_registry.trust.clients import buildkit, containerd, macos
from trusted_registry.trust.elsewhere import kit
from trusted_registry.trust.local import anchor, daemon, here, ledger, left, overview, owned, takeback
from trusted_registry.trust.local.here import EVERY, Choice
from trusted_registry.trust.local.look import State

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.edge import Edge
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings
    from trusted_registry.trust.local.here import Outcome
    from trusted_registry.trust.local.overview import Place
    from trusted_registry.trust.row import Store


def choice(only: str, skip: str, *, system: bool) -> Choice:
    """Return which stores are meant by flags.

    Raises:
        SettingError: A name that is no store's.
    """
    return Choice(_names("--only", only), _names("--skip", skip), system)


def _names(flag: str, text: str) -> tuple[str, ...]:
    return tuple(one_of(flag, part.strip(), stores.NAMES) for part in text.split(",")) if text else ()


def linux(settings: Settings, edge: Edge, which: Choice, *, builders: bool = False) -> None:
    """Have this machine's clients trust the registry, and hear from the engine whether it does.

    Args:
        settings: Which registry.
        edge: Whom to tell.
        which: Which clients.
        builders: Whether builders of `docker buildx` are to be made anew, which is how they take trust in.
    """
    here.check_platform("Linux", "trust.linux")
    engine = engines.perhaps(edge, quiet=True)
    if not edge.dry:
        anchor.check_serves(settings)
        _check_containerd(here.chosen(engine, which), edge)
    outcome = written(settings, engine, edge, which)
    if any(store.key == "buildx" for store in (*outcome.written, *outcome.already)):
        _renew_builders(settings, edge, asked=builders)
    engines_own = here.engine_store(engine)
    if edge.dry or not any(store.key == engines_own for store in (*outcome.written, *outcome.already)):
        return
    unverified = here.unverified(settings, engine)  # that it accepts these proves nothing
    for spelling in (it for it in address.spellings(settings.hosts, settings.port) if it not in unverified):
        refused = prove.refusal(spelling, engine)
        if refused and prove.is_distrust(refused):
            raise RegistryError(f"The engine still refuses {spelling}: {refused}", cure=answers.cure(refused))
        if refused:
            edge.warn(f"nothing answers at {spelling}, so the trust was not proved: {refused}")
        else:
            edge.say(f"proof: the engine accepts {spelling}")


def _check_containerd(rows: list[Store], edge: Edge) -> None:
    """Say what in containerd's own configuration keeps it from reading what is written for it.

    Raises:
        RegistryError: containerd cannot read its configuration; the line is named.
    """
    if not any(store.key == "containerd" for store in rows) or not whereabouts.program(
        "containerd", whereabouts.here()
    ):
        return
    said = run.look(containerd.ASK)
    if not said.ok:
        if "permission denied" in said.err:  # root alone may read it: then it is not judged
            return
        raise RegistryError(f"containerd cannot read its configuration: {said.last_words}", cure="Mend that first.")
    for advice in containerd.advice(said.out):
        edge.warn(advice.words())


def _renew_builders(settings: Settings, edge: Edge, *, asked: bool) -> None:
    """Make the builders anew that do not trust yet, or say how it is done."""
    folder = whereabouts.here().docker / "buildx"
    wanted = anchor.subject(settings, dry=edge.dry)
    for builder in buildkit.find(folder):
        if buildkit.trusts(builder, wanted):
            continue
        try:
            commands = buildkit.rebuild_plan(builder, folder / "buildkitd.default.toml")
        except RegistryError as error:
            if asked:
                raise
            edge.warn(f"the builder {builder.name} does not trust yet: {error.message} {error.cure}")
            continue
        if not asked:
            edge.say(f"the builder {builder.name} must be made anew; --rebuild-builders does this:")
        for command in commands:
            if asked:
                run.act(command, edge)
            else:
                edge.command(command)


def written(settings: Settings, engine: Engine, edge: Edge, which: Choice = EVERY) -> Outcome:
    """Write the trust of this machine's clients, and say so."""
    outcome = here.trust(settings, engine, edge, which)
    names = ", ".join(address.spellings(settings.hosts, settings.port))
    if outcome.written:
        tell(edge, f"trust: now in place for {names}: {_who(outcome.written)}")
    if outcome.already:
        tell(edge, f"trust: already in place for {names}: {_who(outcome.already)}")
    if not (outcome.written or outcome.already or outcome.left):
        edge.warn(
            "no client of a registry was found here; to write for one all the same: ./inv trust.linux --only podman"
        )
    for store in outcome.written:
        if store.restart:
            edge.say(f"{store.clients}: it {store.restart.why}, so: {store.restart.command}")
    for spelling in here.unverified(settings, engine):
        why = "see insecure-registries in its daemon.json"
        if _is_loopback(spelling):
            why = "of loopback, Docker never does"
        edge.warn(f"the engine verifies nothing at {spelling}: {why}")
    return outcome


def _is_loopback(spelling: str) -> bool:
    host = urlsplit(f"//{spelling}").hostname or ""
    return address.is_ip(host) and ipaddress.ip_address(host).is_loopback


def _who(rows: tuple[Store, ...]) -> str:
    return "; ".join(dict.fromkeys(store.clients for store in rows))


def on_macos(settings: Settings, edge: Edge, *, keychain: str) -> None:
    """Have this Mac trust the registry: a keychain for its programs, certs.d for its engine."""
    which = one_of("--keychain", keychain, macos.KEYCHAINS)
    if not edge.dry:
        here.check_platform("Darwin", "trust.macos")
    here.trust_keychain(settings, edge, which)
    outcome = here.trust_desktop(settings, edge)
    if outcome.written:
        tell(edge, f"trust: now in place for {_who(outcome.written)}")
    for store in outcome.written:
        if store.restart:
            edge.say(f"{store.clients}: it {store.restart.why}, so: {store.restart.command}")


def insecure(settings: Settings, edge: Edge, *, remove: bool = False) -> None:
    """Let the engine use plain HTTP on the LAN address, or no longer."""
    if remove:
        _secure(settings, engines.perhaps(edge), edge)
        return
    changed = daemon.allow_plain(settings, engines.connect(edge), edge)
    registry = address.reference(settings.address, settings.plain_port)
    state = "now" if changed else "already"
    ends = "./inv trust.insecure --remove ends that"
    tell(edge, f"trust: plain HTTP on {registry} is {state} allowed; nobody verifies it. {ends}")


def _secure(settings: Settings, engine: Engine, edge: Edge) -> None:
    """Take back what this checkout allowed, and say where the engine verifies nothing all the same."""
    freed = takeback.disallow(settings, engine, edge)
    for place in freed:
        tell(edge, f"removed: {place}")
    if not freed:
        edge.say("trust: this checkout allows no plain HTTP here")
    if edge.dry:
        return
    plain = dataclasses.replace(settings, port=settings.plain_port)
    left = dict.fromkeys([*here.unverified(settings, engine), *here.unverified(plain, engine)])
    if left:
        edge.warn(f"the engine still verifies nothing at {', '.join(left)}, by another's doing: {daemon.by_hand()}")


def remove(settings: Settings, edge: Edge, *, everyone: bool) -> None:
    """Take back all that was written here, and hear from the engine that it refuses the registry again."""
    engine = engines.perhaps(edge)
    freed = takeback.remove(settings, engine, edge, everyone=everyone)
    for place in freed:
        tell(edge, f"removed: {place}")
    if not everyone:
        _tell_of_kits(settings, edge)
    kept = tell_left(settings, engine, edge)
    if not freed and not kept:
        edge.say("trust: there is none to take back")
    elif freed and not edge.dry and engine.here:
        _tell_refusals(freed, engine, edge)


def tell_left(settings: Settings, engine: Engine, edge: Edge) -> bool:
    """Name what still trusts this registry's authority, and the commands that take it; return whether there is any.

    A dry run, which took nothing away, tells nothing.
    """
    found = [] if edge.dry else left.find(settings, engine, edge)
    trusted = owned.authority(settings)
    recorded = (
        {path for line in kit.recorded(trusted, _kit_records()) for path in line.split("\t")} if trusted else set()
    )
    found = [it for it in found if _in_root(it.place) not in recorded]
    for command in dict.fromkeys(it.command for it in found):
        places = [it.place for it in found if it.command == command]
        edge.warn(f"still trusted, since this user's checkout did not write it: {', '.join(places)}. Do: {command}")
    return bool(found)


def _kit_records() -> tuple[Path, Path]:
    return whereabouts.here().path("/var/lib/trusted-registry/kit"), ledger.where().with_name("kit")


def _in_root(place: str) -> str:
    """Return a path as the kit records it: from the machine's own root."""
    root = str(whereabouts.here().root)
    return place if root == "/" else place.removeprefix(root)


def _tell_of_kits(settings: Settings, edge: Edge) -> None:
    """Say that the kit of this authority was run here too, which keeps a record of its own."""
    try:
        subject = anchor.subject(settings, dry=True)
    except RegistryError:  # one that no kit is made of
        return
    if kit.wrote(subject, _kit_records()):
        name = kit.file_name(subject, address.reference(settings.address, settings.port))
        edge.warn(f"what the kit wrote here is left: sudo sh {name} --remove; or both: ./inv trust.remove --all")


def _tell_refusals(freed: list[str], engine: Engine, edge: Edge) -> None:
    """Ask the engine about the names that it was to trust: those of the folders that were freed."""
    parts = [place.split("/") for place in freed]
    names = dict.fromkeys(it[-2] for it in parts if it[-3:-2] == ["certs.d"] and "docker" in it)
    systems = tuple(path for store in stores.STORES if store.name == "system" for path in store.signs.paths)
    why = "another certificate or insecure-registries vouches for it"
    if any(place.startswith(systems) for place in freed):  # Go reads that store once (crypto/x509/root.go, sync.Once)
        why = "it may have read the system's store before, which it forgets when restarted: sudo service docker restart"
    for name in names:
        refused = prove.refusal(name, engine)
        if refused is None:
            edge.warn(f"the engine still accepts {name}: {why}")
        elif prove.is_distrust(refused):
            edge.say(f"proof: the engine refuses {name} now")


def listed(settings: Settings, edge: Edge, which: Choice) -> tuple[str, list[str], list[list[str]]]:
    """Return title, columns and rows of what each client here trusts, one row a client and spelling."""
    asked = bool(which.only)
    found = [
        [it.store.clients, it.spelling, it.said if asked else _unless_asked(it)]
        for it in _listed(settings, edge, which)
    ]
    return "Trust on this machine; --json says where", ["Client", "Registry", "State"], found


def as_json(settings: Settings, edge: Edge, which: Choice) -> str:
    """Return the same as JSON, with a final newline."""
    found = [
        {
            "store": place.store.name,
            "client": place.store.clients,
            "registry": place.spelling,
            "state": place.said,
            "where": place.where,
        }
        for place in _listed(settings, edge, which)
    ]
    return json.dumps(found, indent=2) + "\n"


def _listed(settings: Settings, edge: Edge, which: Choice) -> list[Place]:
    return overview.overview(settings, engines.perhaps(edge, quiet=True), which, dry=edge.dry)


def _unless_asked(place: Place) -> str:
    """Return what a store says, and that nobody need wonder where trust is absent that is written on request alone."""
    idle = place.store.on_request and place.said == State.ABSENT.value
    return f"{place.said}, not asked for: --system" if idle else place.said
