"""Others' words about upstreams, which a mirror would overrule: each refuses that mirror before anything is started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trusted_registry import address, files, installation
from trusted_registry.console import pasteable
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import NeedsRootError, RegistryError
from trusted_registry.mirror.upstream import DOCKER_HUB
from trusted_registry.run import Run
from trusted_registry.run_log import without_secrets
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import daemon, daemon_lists, install, ledger, owned
from trusted_registry.trust.local import state as states
from trusted_registry.trust.managed_blocks import editing, merging
from trusted_registry.trust.model import Mirror, Store, TrustAnchor
from trusted_registry.trust.specifics import registries_conf
from trusted_registry.trust.specifics.daemon_json import MIRRORS

_LONGEST = 200
"""Characters of a line that are shown."""
_CERTIFICATES = (".crt", ".cert", ".key")
_COUNTS_NOT = "does not count any more once a hosts.toml is beside it"
_EVERY = '"*":'
"""Entry of registries.yaml for upstreams without one of their own (docs.k3s.io/installation/private-registry)."""
_UNKNOWN = "REGISTRY"
"""Registry host of a mirror that has no port yet."""


@dataclass(frozen=True)
class Word:
    """Somebody else's word about an upstream.

    Args:
        upstream: The upstream.
        place: Path and line number, or the flag.
        text: The line.
        cure: Command that takes it away.
    """

    upstream: str
    place: str
    text: str
    cure: str

    def __str__(self) -> str:
        """Return place and line, as compilers and grep write them."""
        return f"{self.place}: {without_secrets(self.text.strip())[:_LONGEST]}"


@dataclass(frozen=True)
class _Search:
    """A look at this machine.

    Args:
        anchor: The authority, with the mirrors that are to be.
        stores: The stores in which those would be written.
        machine: The machine.
        own: Entries of the ledger that are this installation's.
        all: All of its entries.
    """

    anchor: TrustAnchor
    stores: Sequence[Store]
    machine: machines.Machine
    own: Sequence[ledger.Entry]
    all: Sequence[ledger.Entry]

    @property
    def upstreams(self) -> tuple[str, ...]:
        """The upstreams."""
        return tuple(it.upstream for it in self.anchor.mirrors)

    def is_own(self, path: Path, content: bytes) -> bool:
        """Whether a file is as this installation wrote it."""
        return any(it.path == str(path) and it.sha256 == ledger.digest(content) for it in self.own)

    def another(self, path: Path, value: str = "") -> ledger.Entry | None:
        """Return another checkout's entry for a file, or a value in it, unless this one has an entry too."""
        found = [it for it in self.all if (it.path, it.value) == (str(path), value)]
        return None if any(it in self.own for it in found) else next(iter(found), None)

    def word(self, upstream: str, path: Path, number: int, text: str, value: str = "") -> Word:
        """Return the word that a line of a file is, with the command of whoever wrote it."""
        lines, another = text.splitlines(), self.another(path, value)
        sudo = () if os.access(path, os.W_OK) else ("sudo",)
        cure = pasteable([*sudo, "editor", f"+{number}", str(path)])
        if another and files.exists(Path(another.by) / "tasks.py"):
            cure = f"{pasteable(['cd', another.by])} && {pasteable(['./inv', 'mirror.down', upstream])}"
        return Word(upstream, f"{path}:{number}", lines[number - 1] if number <= len(lines) else "", cure)


def check(upstreams: Sequence[str], run: Run, engine: Engine) -> None:
    """Insist that nobody else has said anything of upstreams that are to be mirrored.

    Args:
        upstreams: Their hosts in references.
        run: Settings, and the console for a file with which mirrors have no effect.
        engine: This machine's engine.

    Raises:
        RegistryError: Somebody has, with each place and line; or a file cannot be read or parsed.
    """
    stores = install.select_stores(engine, install.ALL_STORES)
    own, all_of_them = owned.entries(run.settings), ledger.read(ledger.path())
    search = _Search(_anchor(upstreams, run), stores, machines.current(), own, all_of_them)
    found: list[Word] = []
    for store in stores:
        with contextlib.suppress(NeedsRootError):  # then it is not written either, and that is told
            found += [*_in_files(store, search), *_in_blocks(store, search)]
    has_podman = any(it.key == "containers" for it in stores)
    found += [*(_in_registries_conf(search) if has_podman else ()), *_in_daemon(search, engine)]
    if found:
        raise _refusal(found)
    if has_podman:
        _check_drop_in(search)
    if has_podman:
        _say_hiding(search, run)


def _anchor(upstreams: Sequence[str], run: Run) -> TrustAnchor:
    """Return the authority with mirrors of these upstreams, at the ports that they have."""
    noted = installation.known(run.settings.folder).mirrors
    hosts = {it: address.registry_host(run.settings.address, noted[it].port) for it in upstreams if it in noted}
    anchor = owned.authority(run.settings) or TrustAnchor(b"", "0" * 64, ())
    return replace(anchor, mirrors=tuple(Mirror(it, hosts.get(it, _UNKNOWN)) for it in upstreams), retired=())


def _refusal(found: Sequence[Word]) -> RegistryError:
    names = ", ".join(dict.fromkeys(it.upstream for it in found))
    lines = "; ".join(dict.fromkeys(map(str, found)))
    cures = "; ".join(dict.fromkeys(it.cure for it in found))
    return RegistryError(
        f"Somebody else has said where {names} comes from, and a mirror would overrule that; nothing was changed: "
        f"{lines}",
        cure=f"If that is not wanted any more: {cures}; then repeat this",
    )


def _in_files(store: Store, search: _Search) -> Iterator[Word]:
    """Yield others' hosts.toml of upstreams, and the one for those without one of their own."""
    for file in map(search.machine.filled, store.files(search.anchor)):
        path = search.machine.path(file.path)
        if path.name != "hosts.toml" or path.parent.name not in search.upstreams:
            continue
        upstream, every = path.parent.name, path.parent.with_name("_default") / path.name
        for place, expected in ((path, file.content), (every, None)):  # containerd, docs/hosts.md, "_default"
            present = states.content(place)
            if present is not None and present != expected and not search.is_own(place, present):
                text = present.decode(errors="replace")
                yield search.word(upstream, place, _first_statement(text), text)
        yield from _certificates(upstream, path.parent, search)


def _certificates(upstream: str, folder: Path, search: _Search) -> Iterator[Word]:
    """Yield others' certificates and keys in an upstream's folder, which do not count beside a hosts.toml.

    So containerd, docs/hosts.md, and Docker, which takes it from there.
    """
    for path in sorted(it for it in folder.glob("*") if it.suffix in _CERTIFICATES):
        try:
            present = states.content(path)
        except NeedsRootError:  # ours may be read by everybody
            present = b""
        if present is None or search.is_own(path, present) or search.anchor.is_in(present):
            continue
        sudo = () if os.access(folder, os.W_OK) else ("sudo",)
        yield Word(upstream, str(path), _COUNTS_NOT, pasteable([*sudo, "mv", path, f"{path}.before"]))


def _first_statement(text: str) -> int:
    """Return the number of the first line that is neither blank nor a comment; 1 without one."""
    said = (number for number, line in enumerate(text.splitlines(), 1) if line.strip() and line.strip()[0] != "#")
    return next(said, 1)


def _in_blocks(store: Store, search: _Search) -> Iterator[Word]:
    """Yield others' entries about upstreams in shared files."""
    for block in map(search.machine.resolve, store.blocks(search.anchor)):
        if block.registry_host not in search.upstreams:
            continue
        path, value = search.machine.path(block.path), ledger.block_key(block)
        states.check_link(path)
        text = states.read(path)
        merging.check(path, text)
        number = None if editing.is_held(text, block) else editing.foreign_line(text, block)
        if block.under == "mirrors:":
            number = number or editing.foreign_line(text, replace(block, claims=(_EVERY,)))
        if editing.current_content(text, block) is not None and search.another(path, value):
            number = _number(editing.begin(block), text)
        if number:
            yield search.word(block.registry_host, path, number, text, value)


def _number(said: str, text: str) -> int:
    """Return the number of the first line that has a text; 1 without one."""
    return next((number for number, line in enumerate(text.splitlines(), 1) if said in line), 1)


def _in_registries_conf(search: _Search) -> Iterator[Word]:
    """Yield podman's registries and drop-ins of others that are about upstreams."""
    dropped = {search.machine.path(it.path): it.content for store in search.stores for it in store.files(search.anchor)}
    for path in registries_conf.files(search.machine):
        present = states.content(path) or b""
        if present == dropped.get(path) or search.is_own(path, present):
            continue
        text = states.read(path)
        for upstream in search.upstreams:
            numbers = registries_conf.lines_about(upstream, path, text)
            yield from (search.word(upstream, path, number, text) for number in numbers)


def _check_drop_in(search: _Search) -> None:
    """Insist that the one drop-in with mirrors is not another installation's, whatever its upstreams.

    Raises:
        RegistryError: It is, or was changed since it was written here.
    """
    for file in (it for store in search.stores for it in store.files(search.anchor) if it.path.endswith(".conf")):
        path = search.machine.path(file.path)
        present = states.content(path)
        if present is not None and present != file.content and not search.is_own(path, present):
            raise _taken(path, registries_conf.upstreams(path, states.read(path)), search)


def _taken(path: Path, upstreams: Sequence[str], search: _Search) -> RegistryError:
    """Return the refusal of a drop-in that is not as this installation wrote it."""
    if any(it.path == str(path) for it in search.own):
        whose = "was changed since it was written here, and is now"
    else:
        another = search.another(path)
        whose = f"is another installation's{f', {another.by}' if another else ''},"
    away = pasteable([*(() if os.access(path, os.W_OK) else ("sudo",)), "rm", path])
    cure = f"Take that file away: {away}; then repeat this"
    if upstreams and "another" in whose:
        cure = _over_there(upstreams, search.another(path), away)
    return RegistryError(
        f"{path} {whose} for {', '.join(upstreams) or 'no upstream'}. Mirrors for podman and the like are in that one "
        "file; nothing was changed.",
        cure=cure,
    )


def _over_there(upstreams: Sequence[str], another: ledger.Entry | None, away: str) -> str:
    """Return the command that takes another installation's mirrors back there."""
    down = pasteable(["./inv", "mirror.down", ",".join(upstreams)])
    if another and files.exists(Path(another.by) / "tasks.py"):
        return f"If they are not wanted any more: {pasteable(['cd', another.by])} && {down}; then repeat this"
    return f"In that installation: {down}; or, if it is no more: {away}; then repeat this"


def _in_daemon(search: _Search, engine: Engine) -> Iterator[Word]:
    """Yield mirrors of Docker Hub that the engine has from others."""
    if DOCKER_HUB not in search.upstreams or not engine.available or not daemon_lists.has_file(engine):
        return
    flags = daemon.flags(engine, (MIRRORS.flag, daemon_lists.FILE_FLAG))
    path = Path(flags.get(daemon_lists.FILE_FLAG) or daemon_lists.config_file(engine))
    text = daemon_lists.text_of(path)
    own = {it.value for it in search.own if it.store == MIRRORS.store}
    own |= {f"https://{it.registry_host}" for it in search.anchor.mirrors if it.upstream == DOCKER_HUB}
    restart = daemon.restart(engine)  # an engine keeps its mirrors without the list (moby/moby, daemon/reload.go)
    foreign = [str(it) for it in MIRRORS.values(text, path) if MIRRORS.meaning(str(it)) not in own]
    for value in foreign:
        said = search.word(DOCKER_HUB, path, _number(value, text), text, value)
        its = f'"{MIRRORS.key}": ["{value}"]'  # the line may have more, such as a password
        yield replace(said, text=its, cure=said.cure if "mirror.down" in said.cure else f"{said.cure} && {restart}")
    if MIRRORS.flag in flags:
        cure = pasteable(["grep", "-r", "-e", MIRRORS.flag, *daemon_lists.FLAG_FILES])
        yield Word(DOCKER_HUB, "dockerd", f"{MIRRORS.flag} {flags[MIRRORS.flag]}", cure)
    elif not foreign:
        others = [it for it in engine.info().mirrors if MIRRORS.meaning(it) not in own]
        yield from (Word(DOCKER_HUB, "docker info", f"Registry Mirrors: {it}", restart) for it in others)


def _say_hiding(search: _Search, run: Run) -> None:
    """Warn of a user's registries.conf, with which that user's podman reads neither the system's nor its drop-ins."""
    path = registries_conf.hiding(search.machine)
    if path:
        folder = path.with_name("registries.conf.d")
        cure = f"{pasteable(['mkdir', '-p', folder])} && {pasteable(['mv', path, folder / '00-own.conf'])}"
        why = f"with {path} there, this user's podman reads nothing in /etc/containers, so it asks no mirror"
        run.console.warn(f"{why}. As a drop-in it counts beside that: {cure}")
