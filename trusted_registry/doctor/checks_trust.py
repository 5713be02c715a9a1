"""Checks of trust: contents of each client's store, and obstacles to reading them."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from trusted_registry.console import pasteable
from trusted_registry.doctor.finding import ChmodFix, Finding, TrustFix
from trusted_registry.errors import NeedsRootError
from trusted_registry.settings import registry_flags
from trusted_registry.trust.local import plan
from trusted_registry.trust.local.state import State
from trusted_registry.trust.model import File

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trusted_registry.doctor.facts import Facts, StoreState
    from trusted_registry.trust.local.state import Item

_DOCKER = ("docker", "docker-rootless", "docker-desktop")


def _flags(facts: Facts) -> str:
    """Return the flags that direct trust.linux at another machine's registry."""
    if not facts.remote:
        return ""
    return f" {' '.join(registry_flags(facts.settings.address, facts.settings.port))}"


def _trusted(facts: Facts, store_state: StoreState, *, only: bool = True) -> str:
    return f"./inv trust.linux{f' --only {store_state.store.name}' if only else ''}{_flags(facts)}"


def _of(store_state: StoreState, state: State) -> list[Item]:
    return [item for item in store_state.items if item.state is state]


def _places(items: list[Item]) -> str:
    return (
        ", ".join(dict.fromkeys(str(item.path) for item in items if str(item.path) != ".")) or "the program's own store"
    )


def certs_d(facts: Facts) -> Iterator[Finding]:
    """Yield findings for unusable stores, absent or foreign trust, odd files."""
    for store_state in facts.store_states:
        clients, client = store_state.store.clients, store_state.store.name
        if store_state.problem and not isinstance(
            store_state.problem, NeedsRootError
        ):  # a store that root alone may see is no fault by itself
            yield Finding(
                "certs.d",
                store_state.problem.message,
                f"{clients} cannot use it.",
                (store_state.problem.cure,),
                client=client,
            )
        if absent := _of(store_state, State.ABSENT):
            cause = f"{clients}: certificate signed by unknown authority."
            yield _untold(facts, store_state, "certs.d", f"no trust at {_places(absent)}", cause)
        for item in _of(store_state, State.FOREIGN):
            yield _foreign(facts, store_state, item)
        yield from _stray(facts, store_state)


def _untold(  # noqa: PLR0913 - a finding has as many parts
    facts: Facts, store_state: StoreState, check: str, evidence: str, cause: str, *, asks: bool = True
) -> Finding:
    """Return the finding of a store that trust.linux would mend."""
    name, cure = store_state.store.name, (_trusted(facts, store_state),)
    return Finding(check, evidence, cause, cure, TrustFix(name), asks=asks, client=name)


def _foreign(facts: Facts, store_state: StoreState, item: Item) -> Finding:
    see, away = map(pasteable, plan.inspect_commands(item))
    if isinstance(item.what, File):
        away = pasteable([*plan.sudo(item.store, item.path), "mv", str(item.path), f"{item.path}.old"])
    return Finding(
        "certs.d",
        f"{plan.place(item)} holds something that this project did not write",
        f"{store_state.store.clients}: what it trusts there is not this registry's authority.",
        (f"{see}  # see whose it is", f"{away} && {_trusted(facts, store_state)}  # if nobody needs it"),
        client=store_state.store.name,
    )


def _stray(facts: Facts, store_state: StoreState) -> Iterator[Finding]:
    names = {path.parent / path.stem for path in store_state.files if path.suffix == ".crt"}
    for path in store_state.files:
        if path.suffix == ".pem":
            cure = (
                f"{pasteable([*plan.sudo(store_state.store, path), 'rm', str(path)])}  # a copy: ca.crt is there"
                if path.parent / "ca" in names
                else _trusted(facts, store_state)
            )
            yield Finding(
                "certs.d",
                f"{path} counts for nothing",
                f"{store_state.store.clients}: authorities are read from files that end in .crt.",
                (cure,),
                client=store_state.store.name,
            )
        if (
            store_state.store.key in _DOCKER
            and path.name == "hosts.toml"
            and facts.engine
            and facts.engine.store == "containerd"
        ):
            yield _hosts_toml(path, store_state)


def _hosts_toml(path: Path, store_state: StoreState) -> Finding:
    away = pasteable([*plan.sudo(store_state.store, path), "mv", str(path), f"{path}.unused"])
    return Finding(
        "certs.d",
        f"{path} stands beside ca.crt",
        "With the containerd image store the engine reads it instead, and .crt files only where it names them.",
        (f"{away}  # or name ca.crt in it",),
        client=store_state.store.name,
    )


def stale(facts: Facts) -> Iterator[Finding]:
    """Yield findings for our trust in an earlier authority."""
    for store_state in facts.store_states:
        if found := _of(store_state, State.STALE):
            evidence = f"{_places(found)} holds the certificate of an earlier authority"
            cause = f"{store_state.store.clients}: certificate signed by unknown authority, since it was made anew."
            more = any(item.state in (State.ABSENT, State.FOREIGN) for item in store_state.items)
            yield _untold(facts, store_state, "stale", evidence, cause, asks=more)


def shadowed(facts: Facts) -> Iterator[Finding]:
    """Yield findings for folders that are read instead of a store's own."""
    for store_state in facts.store_states:
        if found := _of(store_state, State.SHADOWED):
            folders = ", ".join(dict.fromkeys(str(item.path.parent) for item in found))
            clients = store_state.store.clients
            cause = f"{clients}: the first folder that exists is read, and this user's hides the system's."
            yield _untold(facts, store_state, "shadowed", f"{folders} exists without ca.crt", cause)


def spelling(facts: Facts) -> Iterator[Finding]:
    """Yield findings for trust that has a misspelt registry host."""
    for store_state in facts.store_states:
        if store_state.other_files and _of(store_state, State.ABSENT):
            folders = ", ".join(str(path) for path in store_state.other_files)
            wanted = ", ".join(
                dict.fromkeys(item.registry_host for item in _of(store_state, State.ABSENT) if item.registry_host)
            )
            evidence = f"{folders} trusts the registry's authority; {wanted} has no folder"
            cause = "The folder is named exactly after what stands before the first slash of an image's name."
            yield _untold(facts, store_state, "spelling", evidence, cause)


def readable(facts: Facts) -> Iterator[Finding]:
    """Yield findings for certificates that clients without root cannot read."""
    for store_state in facts.store_states:
        for path in store_state.unreadable:
            bits = "go+rx" if path.is_dir() else "go+r"
            yield Finding(
                "readable",
                f"{path} may not be read by everybody",
                f"{store_state.store.clients}: those that run without root fail with permission denied. It is no "
                "secret.",
                (f"sudo chmod {bits} {shlex.quote(str(path))}",),
                ChmodFix(path, bits)
                if any(it == str(path) or it.startswith(f"{path}/") for it in store_state.ours)
                else None,
                client=store_state.store.name,
            )


def containerd(facts: Facts) -> Iterator[Finding]:
    """Yield findings for settings of containerd that keep certs.d unread."""
    for advice in facts.containerd:
        if advice.cure:
            said = "; ".join(line.strip() for line in advice.lines)
            cure = f"# {advice.cure}{f': {said}' if said else ''}"
            restart = "sudo systemctl restart containerd"
            yield Finding(
                "containerd", advice.wrong, "Kubernetes pulls without this trust.", (cure, restart), client="containerd"
            )


def os_store(facts: Facts) -> Iterator[Finding]:
    """Yield a finding if the system store changed after the engine's start.

    Only an engine without trust of its own is concerned: the system store is read at the start, certs.d each time.
    """
    bare = any(
        store_state.store.key in _DOCKER and _of(store_state, State.ABSENT) for store_state in facts.store_states
    )
    if facts.vouched and bare and facts.engine_since and facts.bundle_since > facts.engine_since:
        yield Finding(
            "os-store",
            "the system's store of authorities changed after the engine was started",
            "The engine reads it once, when it starts; certs.d it reads each time.",
            (f"./inv trust.linux --only docker{_flags(facts)}",),
            TrustFix("docker"),
            asks=True,
            client="docker",
            instead=("sudo systemctl restart docker" if facts.systemd else "sudo service docker restart",),
        )
