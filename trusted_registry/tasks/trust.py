"""Trust on this machine: install, list and remove."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from trusted_registry import files, program, saved_flags
from trusted_registry.certificate import handed
from trusted_registry.console import pasteable
from trusted_registry.engine import engine as engines
from trusted_registry.engine import types as engine_types
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.registry import prove
from trusted_registry.run import Run
from trusted_registry.tasks.cert import say_done, shortened
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import (
    install,
    ledger,
    leftovers,
    outdated,
    owned,
    trust_anchor,
    uninstall,
    unverified,
)
from trusted_registry.trust.local import state as states
from trusted_registry.trust.local.install import ALL_STORES, InstallResult, StoreSelection
from trusted_registry.trust.model import Mirror, Store, TrustAnchor
from trusted_registry.trust.remote import kit
from trusted_registry.trust.specifics import buildkit, containerd, macos
from trusted_registry.values import one_of


def selection(only: Sequence[str], skip: Sequence[str], *, system: bool) -> StoreSelection:
    """Return the selection of stores that the flags name.

    Raises:
        SettingError: A name is no store's.
    """
    for flag, names in (("--only", only), ("--skip", skip)):
        for name in names:
            one_of(flag, name, client_stores.NAMES)
    return StoreSelection(tuple(only), tuple(skip), system)


def linux(
    run: Run,
    *,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    system: bool = False,
    rebuild_builders: bool = False,
) -> None:
    """Install trust for this machine's clients, and prove the engine's trust.

    Args:
        run: The registry to trust, and the console for commands and results.
        only: Names of stores; no others are written.
        skip: Names of stores to leave out.
        system: Whether to include the stores of the operating system, of browsers and of Java.
        rebuild_builders: Whether to rebuild the builders of `docker buildx`, which read trust only when made.

    Raises:
        RegistryError: A store cannot be written, or the engine still refuses the registry.
        SettingError: A name is no store's.
    """
    stores = selection(only, skip, system=system)
    install.check_platform("Linux", "trust.linux")
    engine = engines.connect_if_available(run.console, quiet=True)
    lost = ""
    if not run.console.dry:
        lost = trust_anchor.check_serves(run.settings)
        _check_containerd(install.select_stores(engine, stores), run)
    result = install_trust(run, engine, stores)
    _remember(run)
    if any(store.key == "buildx" for store in (*result.written, *result.already)):
        _renew_builders(run, asked=rebuild_builders)
    if run.console.dry:
        return
    engines_own = install.engine_store(engine)
    if lost:  # an engine would ask for half a minute
        again = pasteable(["./inv", "trust.check", *run.settings.flags])
        run.console.warn(
            f"{run.settings.registry_host} does not answer: {lost}. Once it does, prove the trust: {again}"
        )
    elif any(store.key == engines_own for store in (*result.written, *result.already)):
        _prove(run, engine)


def _prove(run: Run, engine: Engine) -> None:
    """Have the engine prove that it accepts the registry, by each name that it verifies at all.

    Raises:
        RegistryError: It refuses.
    """
    skipped = {it.registry_host for it in unverified.find(run.settings, engine)}  # accepting these proves nothing
    for registry_host in (it for it in run.settings.registry_hosts if it not in skipped):
        refused = prove.refusal(registry_host, engine)
        if refused and refused.is_judged:
            # What it refuses was just written: to write it again would be no cure.
            cure = prove.DOCTOR if refused.is_distrust else engine_types.pull_cure(refused.reason)
            raise RegistryError(f"The engine still refuses {registry_host}: {refused.reason}", cure=cure)
        if refused:
            run.console.warn(f"nothing answers at {registry_host}, so the trust was not proved: {refused.reason}")
        else:
            run.console.say(f"proof: the engine accepts {registry_host}")


def _check_containerd(rows: list[Store], run: Run) -> None:
    """Warn of settings in containerd's configuration that keep containerd from reading its store.

    Raises:
        RegistryError: containerd cannot read its configuration; the message names the line.
    """
    asked = any(store.key == "containerd" for store in rows)
    if not asked or not machines.find_program("containerd", machines.current()):
        return
    result = program.capture(containerd.ASK)
    if not result.ok:
        if "permission denied" in result.err:  # only root may read that file, so no check
            return
        raise RegistryError(f"containerd cannot read its configuration: {result.last_line}", cure="Fix that first.")
    for advice in containerd.advice(result.out, states.text_or_none(machines.current().path(containerd.CONFIG))):
        run.console.warn(advice.words(prefix=("sudo",) if os.geteuid() else ()))


def _renew_builders(run: Run, *, asked: bool) -> None:
    """Rebuild the builders that do not trust yet, or show the commands."""
    folder = machines.current().docker / "buildx"
    wanted = trust_anchor.load(run.settings, dry=run.console.dry)
    for builder in buildkit.find(folder):
        if buildkit.trusts(builder, wanted):
            continue
        try:
            commands = buildkit.rebuild_commands(builder, folder / "buildkitd.default.toml")
        except RegistryError as error:
            if asked:
                raise
            run.console.warn(f"the builder {builder.name} does not trust yet: {error.message} {error.cure}")
            continue
        if not asked:
            run.console.say(f"the builder {builder.name} must be recreated; --rebuild-builders does this:")
        for command in commands:
            if asked:
                program.run(command, run.console)
            else:
                run.console.advise(command)


def install_trust(
    run: Run, engine: Engine, selection: StoreSelection = ALL_STORES, mirrors: Sequence[Mirror] = ()
) -> InstallResult:
    """Install trust for this machine's clients, and report the stores; a dry run takes `mirrors` for running."""
    result = install.trust(run, engine, selection, mirrors)
    names = shortened(run.settings.registry_hosts)
    if result.written:
        say_done(run.console, f"trust: now in place for {names}: {_client_names(result.written)}")
    if result.already:
        say_done(run.console, f"trust: already in place for {names}: {_client_names(result.already)}")
    if not (result.written or result.already or result.left):
        run.console.warn("no registry client was found here; to write for one anyway: ./inv trust.linux --only podman")
    for store in result.written:
        if store.restart:
            run.console.say(f"{store.clients}: it {store.restart.why}, so: {store.restart.command}")
    for it in unverified.find(run.settings, engine):
        do = f". Do: {it.cure}" if it.cure else ""
        run.console.warn(f"the engine verifies nothing at {it.registry_host}: {it.why}{do}")
    return result


def _client_names(rows: tuple[Store, ...]) -> str:
    return "; ".join(dict.fromkeys(store.clients for store in rows))


def _remember(run: Run) -> None:
    """Have later tasks mean the registry that was just trusted, where the folder is for another machine's.

    Where it has keys of its own it is for the registry here: what another one's address was said for is done.
    """
    if handed.is_handed(run.settings.folder):
        saved_flags.save(run)


def on_macos(run: Run, *, keychain: str) -> None:
    """Install trust on this Mac: in a keychain for its programs, in certs.d for its engine."""
    which = one_of("--keychain", keychain, macos.KEYCHAINS)
    if not run.console.dry:
        install.check_platform("Darwin", "trust.macos")
    install.trust_keychain(run, which)
    result = install.trust_desktop(run)
    _remember(run)
    if result.written:
        say_done(run.console, f"trust: now in place for {_client_names(result.written)}")
    for store in result.written:
        if store.restart:
            run.console.say(f"{store.clients}: it {store.restart.why}, so: {store.restart.command}")


def remove(run: Run, *, all: bool) -> None:  # noqa: A002 - the flag's name
    """Remove all trust written on this machine, and prove that the engine refuses the registry again."""
    engine = engines.connect_if_available(run.console)
    freed = uninstall.remove(run, engine, everyone=all)
    for place in freed:
        say_done(run.console, f"removed: {place}")
    if not all:
        warn_of_kit(run)
    remaining = say_left(run, engine)
    if not freed and not remaining:
        run.console.say("trust: there is nothing to remove")
    elif freed and not run.console.dry and engine.available:
        _prove_refusals(freed, engine, run)


def say_left(run: Run, engine: Engine) -> bool:
    """Name what still trusts this registry's authority, and the commands that take it; return whether there is any.

    A dry run, which took nothing away, tells nothing.
    """
    found = [] if run.console.dry else leftovers.find(run, engine)
    trusted = owned.authority(run.settings)
    lines = kit.recorded(trusted, _kit_records()) if trusted else ()
    recorded = {path for line in lines for path in line.split("\t")}
    found = [it for it in found if _in_root(it.place) not in recorded]
    for command in dict.fromkeys(it.command for it in found):
        places = ", ".join(it.place for it in found if it.command == command)
        run.console.warn(f"still trusted, since this user's checkout did not write it: {places}. Do: {command}")
    return bool(found)


def _kit_records() -> tuple[Path, Path]:
    return machines.current().path(f"{kit.FOLDER}/kit"), ledger.path().with_name("kit")


def _in_root(place: str) -> str:
    """Return a path as the kit records it: from the machine's own root."""
    root = str(machines.current().root)
    return place if root == "/" else place.removeprefix(root)


def warn_of_kit(run: Run) -> str:
    """Warn if this authority's kit was run here too, and return that kit's name; it keeps a ledger of its own."""
    try:
        anchor = trust_anchor.load(run.settings, dry=True)
    except RegistryError:  # no kit is made of this anchor
        return ""
    if not ran_kit(anchor):
        return ""
    name = kit.file_name(anchor, run.settings.registry_host)
    run.console.warn(f"what the kit wrote here is left: {_kit_removal(name)}; or both: ./inv trust.remove --all")
    return name


def _kit_removal(name: str) -> str:
    """Return the command that removes what a kit wrote, by the copy that it left beside its record if that is here."""
    by_root, own = (record.with_name(name) for record in _kit_records())
    if files.exists(own) and not files.exists(by_root):
        return pasteable(["sh", str(own), "--user", "--remove"])
    return pasteable(["sudo", "sh", str(by_root) if files.exists(by_root) else name, "--remove"])


def ran_kit(anchor: TrustAnchor) -> bool:
    """Return whether an authority's kit was run on this machine, and what it wrote is left."""
    return bool(kit.recorded(anchor, _kit_records()))


def _is_engine_s(parts: Sequence[str]) -> bool:
    """Whether a path is that of an authority in an engine's folder."""
    return parts[-3:-2] == ["certs.d"] and "docker" in parts and parts[-1].endswith(".crt")


def _prove_refusals(freed: list[str], engine: Engine, run: Run) -> None:
    """Prove that the engine refuses the registry hosts whose folders were removed, or warn."""
    parts = [place.split("/") for place in freed]
    names = dict.fromkeys(it[-2] for it in parts if _is_engine_s(it))
    systems = tuple(path for store in client_stores.STORES if store.name == "system" for path in store.signs.paths)
    why = "another certificate or insecure-registries vouches for it"
    if any(place.startswith(systems) for place in freed):  # Go reads that store once (crypto/x509/root.go, sync.Once)
        why = outdated.ENGINE_REMEMBERS
    for name in names:
        refused = prove.refusal(name, engine)
        if refused is None:
            run.console.warn(f"the engine still accepts {name}: {why}")
        elif refused.is_distrust:
            run.console.say(f"proof: the engine refuses {name} now")
