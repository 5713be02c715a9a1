"""Checks of trust: contents of each client's store, and obstacles to reading them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from trusted_registry import address
from trusted_registry.console import pasteable
from trusted_registry.doctor.facts import Facts, StoreState
from trusted_registry.doctor.finding import ChmodFix, Finding, TrustFix
from trusted_registry.errors import NeedsRootError
from trusted_registry.settings import registry_flags
from trusted_registry.trust.local import plan
from trusted_registry.trust.local.state import Item, State
from trusted_registry.trust.model import File

_ABSENT = "no trust"
_DOCKER = ("docker", "docker-rootless", "docker-desktop")


SERVED = "./inv trust.serve  # on the registry's machine; then paste here the line that it prints"


def _trust(facts: Facts, name: str) -> str:
    """Return the command that has a store trust the registry, here or on another machine."""
    if facts.remote and not facts.keeps_anchor:
        return SERVED
    flags = registry_flags(facts.settings.address, facts.settings.port) if facts.remote else ()
    return pasteable(["./inv", "trust.linux", "--only", name, *flags])


def _of(store_state: StoreState, state: State) -> list[Item]:
    return [item for item in store_state.items if item.state is state]


def _joined(parts: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, parts)))


def _places(items: list[Item]) -> str:
    return _joined(item.path for item in items if item.path != Path()) or "the program's own store"


def certs_d(facts: Facts) -> Iterator[Finding]:
    """Yield findings for unusable stores, absent or foreign trust, odd files."""
    for store_state in facts.store_states:
        clients, problem = store_state.store.clients, store_state.problem
        # A store that root alone may see is no fault by itself.
        if problem and not isinstance(problem, NeedsRootError):
            cause, client = f"{clients} cannot use it.", store_state.store.name
            yield Finding("certs.d", problem.message, cause, (problem.cure,), client=client)
        absent = _of(store_state, State.ABSENT)
        if absent and not _accepts(facts, store_state, absent):
            cause = f"{clients}: certificate signed by unknown authority."
            yield _untold(facts, store_state, "certs.d", f"{_ABSENT} at {_places(absent)}", cause)
        for item in _of(store_state, State.FOREIGN):
            yield _foreign(facts, store_state, item)
        yield from _stray(facts, store_state)


def merged(facts: Facts, found: list[Finding]) -> list[Finding]:
    """Return findings, with all clients' lack of trust in another machine's registry merged into one fault."""
    absent = [it for it in found if it.check == "certs.d" and it.evidence.startswith(_ABSENT)]
    if not facts.remote or len(absent) < 2:  # noqa: PLR2004 - one is one already
        return found
    at = address.registry_host(facts.settings.address, facts.settings.port)
    evidence = f"{_ABSENT} for {at}: {_joined(it.client for it in absent)}"
    flags = registry_flags(facts.settings.address, facts.settings.port)
    cure = pasteable(["./inv", "trust.linux", *flags]) if facts.keeps_anchor else SERVED
    fix = TrustFix("") if facts.keeps_anchor else None
    one = Finding("certs.d", evidence, "Certificate signed by unknown authority.", (cure,), fix, asks=True)
    return [one if it is absent[0] else it for it in found if it is absent[0] or it not in absent]


def _accepts(facts: Facts, store_state: StoreState, items: Iterable[Item]) -> bool:
    """Whether a store's client was asked and accepts the registry by the system's store, without trust of its own."""
    asked = {it.registry_host for it in facts.answers if it.store == store_state.store.name and it.accepted}
    return facts.vouched and {item.registry_host for item in items} <= asked


def _untold(  # noqa: PLR0913 - a finding has as many parts
    facts: Facts, store_state: StoreState, check: str, evidence: str, cause: str, *, asks: bool = True
) -> Finding:
    """Return the finding of a store that trust.linux would mend."""
    name = store_state.store.name
    fix = TrustFix(name) if facts.keeps_anchor or not facts.remote else None
    return Finding(check, evidence, cause, (_trust(facts, name),), fix, asks=asks, client=name)


def _foreign(facts: Facts, store_state: StoreState, item: Item) -> Finding:
    name = store_state.store.name
    see, away = map(pasteable, plan.inspect_commands(item))
    if isinstance(item.what, File):
        away = _moved(store_state, item.path, "old")
    evidence = f"{plan.place(item)} holds something that this project did not write"
    cause = f"{store_state.store.clients}: what it trusts there is not this registry's authority."
    cure = (f"{see}  # see whose it is", f"{away} && {_trust(facts, name)}  # if nobody needs it")
    return Finding("certs.d", evidence, cause, cure, client=name)


def _moved(store_state: StoreState, path: Path, suffix: str) -> str:
    return pasteable([*plan.sudo(store_state.store, path), "mv", str(path), f"{path}.{suffix}"])


def _stray(facts: Facts, store_state: StoreState) -> Iterator[Finding]:
    name = store_state.store.name
    reads_hosts_toml = facts.engine and facts.engine.store == "containerd" and store_state.store.key in _DOCKER
    for path in store_state.files:
        if path.suffix == ".pem":
            remove = pasteable([*plan.sudo(store_state.store, path), "rm", str(path)])
            is_copy = path.with_name("ca.crt") in store_state.files
            cure = f"{remove}  # a copy: ca.crt is there" if is_copy else _trust(facts, name)
            cause = f"{store_state.store.clients}: authorities are read from files that end in .crt."
            yield Finding("certs.d", f"{path} is ignored", cause, (cure,), client=name)
        if path.name == "hosts.toml" and reads_hosts_toml:
            cause = "An engine that keeps its images in containerd reads that, and .crt files only where it names them."
            cure = f"{_moved(store_state, path, 'unused')}  # or name ca.crt in it"
            yield Finding("certs.d", f"{path} lies beside ca.crt", cause, (cure,), client=name)


def stale(facts: Facts) -> Iterator[Finding]:
    """Yield findings for our trust in an earlier authority."""
    for store_state in facts.store_states:
        if found := _of(store_state, State.STALE):
            evidence = f"{_places(found)} holds the certificate of an earlier authority"
            cause = f"{store_state.store.clients}: certificate signed by unknown authority, because it was replaced."
            more = any(item.state in (State.ABSENT, State.FOREIGN) for item in store_state.items)
            yield _untold(facts, store_state, "stale", evidence, cause, asks=more)


def shadowed(facts: Facts) -> Iterator[Finding]:
    """Yield findings for folders that are read instead of a store's own."""
    for store_state in facts.store_states:
        if found := _of(store_state, State.SHADOWED):
            evidence = f"{_joined(item.path.parent for item in found)} exists without ca.crt"
            first = "the first folder that exists is read, and this user's hides the system's."
            yield _untold(facts, store_state, "shadowed", evidence, f"{store_state.store.clients}: {first}")


def spelling(facts: Facts) -> Iterator[Finding]:
    """Yield findings for trust that has a misspelt registry host."""
    for store_state in facts.store_states:
        absent = _of(store_state, State.ABSENT)
        if store_state.other_files and absent:
            wanted = _joined(item.registry_host for item in absent if item.registry_host)
            evidence = f"{_joined(store_state.other_files)} trusts the registry's authority; {wanted} has no folder"
            cause = "The folder is named exactly after what stands before the first slash of an image's name."
            yield _untold(facts, store_state, "spelling", evidence, cause)


def readable(facts: Facts) -> Iterator[Finding]:
    """Yield findings for certificates that clients without root cannot read."""
    for store_state in facts.store_states:
        for path in store_state.unreadable:
            bits = "go+rx" if path.is_dir() else "go+r"
            evidence = f"{path} may not be read by everybody"
            fails = "those that run without root fail with permission denied. It is no secret."
            cause = f"{store_state.store.clients}: {fails}"
            cure = pasteable(["sudo", "chmod", bits, path])
            ours = any(it == str(path) or it.startswith(f"{path}/") for it in store_state.ours)
            fix = ChmodFix(path, bits) if ours else None
            yield Finding("readable", evidence, cause, (cure,), fix, client=store_state.store.name)


def containerd(facts: Facts) -> Iterator[Finding]:
    """Yield findings for settings of containerd that keep certs.d unread."""
    for advice in facts.containerd:
        if advice.cure:
            repair = pasteable(["sudo", *advice.command]) if advice.command else f"# {advice.repair()}"
            cure = (repair, "sudo systemctl restart containerd")
            cause = "Kubernetes pulls without this trust."
            yield Finding("containerd", advice.wrong, cause, cure, client="containerd")


def os_store(facts: Facts) -> Iterator[Finding]:
    """Yield a finding if the system store changed after the engine's start.

    Only an engine without trust of its own is concerned: the system store is read at the start, certs.d each time.
    """
    bare = any(
        it.store.key in _DOCKER and (absent := _of(it, State.ABSENT)) and not _accepts(facts, it, absent)
        for it in facts.store_states
    )
    if facts.vouched and bare and facts.engine_since and facts.bundle_since > facts.engine_since:
        evidence = "the system's store of authorities changed after the engine was started"
        cause = "The engine reads it once, when it starts; certs.d it reads each time."
        restart = ("sudo systemctl restart docker" if facts.systemd else "sudo service docker restart",)
        fix, cure = TrustFix("docker"), (_trust(facts, "docker"),)
        yield Finding("os-store", evidence, cause, cure, fix, asks=True, client="docker", instead=restart)
