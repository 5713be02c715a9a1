"""Plans: the files to write for clients and the commands to run, as values to show or to carry out."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trusted_registry import files, program
from trusted_registry.console import here_document, pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.files import PUBLIC_FILE, Remove, Write
from trusted_registry.run_log import without_secrets
from trusted_registry.trust import client_stores
from trusted_registry.trust.local import databases
from trusted_registry.trust.local import state as states
from trusted_registry.trust.local.ledger import Entry, digest
from trusted_registry.trust.local.state import Item, State
from trusted_registry.trust.managed_blocks import editing, merging
from trusted_registry.trust.model import MACHINE, Database, File, ManagedBlock, Store, TrustAnchor

ANY = TrustAnchor(b"", "0" * 64, ("registry",))
"""Stands for every certificate: the names of shared files are the same for all."""


@dataclass(frozen=True)
class Plan:
    """Files to write or remove, the commands that a person would type for that, and those that follow.

    Args:
        store: Key of the store, or of the list in daemon.json.
        operations: Writes and removals, in the order in which they are carried out.
        typed: The same as commands.
        runs: Commands that are run afterwards, shown as they are.
        machine: Whether root is needed: for `runs`, and for files that this user may not write.
    """

    store: str
    operations: tuple[Write | Remove, ...]
    typed: tuple[tuple[str, ...], ...]
    runs: tuple[tuple[str, ...], ...] = ()
    machine: bool = True

    def __bool__(self) -> bool:
        """Return whether there is anything to do."""
        return bool(self.operations or self.runs)


def install(store: Store, items: Sequence[Item], anchor: TrustAnchor) -> Plan:
    """Return the plan that makes a store trust the certificate.

    Args:
        store: The store.
        items: The store's contents, with their states.
        anchor: The certificate to trust.

    Raises:
        RegistryError: The store has foreign contents, or a block cannot be added to a shared file.
    """
    missing = [item for item in items if item.state is not State.TRUSTED]
    for item in missing:
        if item.state is State.FOREIGN:
            raise _foreign(item)
    writes = [Write(item.path, item.what.content) for item in missing if isinstance(item.what, File)]
    typed = [_typed(write, anchor) for write in writes]
    for path in dict.fromkeys(item.path for item in missing if isinstance(item.what, ManagedBlock)):
        text = next(item.text for item in items if item.path == path)
        wanted = [item.what for item in items if item.path == path and isinstance(item.what, ManagedBlock)]
        merging.check(path, text)
        stale = [item.what for item in missing if item.path == path and item.state is State.STALE]
        write = Write(path, merging.merge(_without(stale, text), wanted).encode(), mode(path))
        writes.append(write)
        typed.append(patch(text, write))
    added = [(it.what, it.anchor or anchor, it.path) for it in missing if isinstance(it.what, Database)]
    runs = [databases.command_about(database.add, wanted, path) for database, wanted, path in added]
    runs += [store.refresh.command] if writes and store.refresh else []
    return Plan(store.key, tuple(writes), tuple(typed), tuple(runs), machine=store.scope == MACHINE)


def _without(stale: Iterable[object], text: str) -> str:
    for block in stale:
        text = editing.removed(text, block) if isinstance(block, ManagedBlock) else text
    return text


def _foreign(item: Item) -> RegistryError:
    """Return the error about a foreign item.

    Raises:
        RegistryError: The item is a block, and a line of others about the same registry is named instead.
    """
    see, away = inspect_commands(item)
    if isinstance(item.what, ManagedBlock) and not editing.changed_lines(item.text, item.what):
        merging.merge(item.text, [replace(item.what, path=str(item.path))])  # names the line
    return RegistryError(
        f"{place(item)} holds something that was not written here; nothing was changed.",
        cure=f"See what it is: {pasteable(see)}; then remove it: {pasteable(away)}; or go on without it: --skip "
        f"{item.store.name}",
    )


def place(item: Item) -> str:
    """Return the place of an item, for people.

    For a database with the entry's name, for a changed block with its line numbers.
    """
    if isinstance(item.what, ManagedBlock) and (found := editing.changed_lines(item.text, item.what)):
        return f"{item.path}, between our marks in lines {found[0]} to {found[1]},"
    if not isinstance(item.what, Database):
        return str(item.path)
    place = "the store" if item.path == Path() else str(item.path)
    return f"{place} of {item.store.clients}, by the name {item.text}," if item.text else place


def inspect_commands(item: Item) -> tuple[Sequence[str], Sequence[str]]:
    """Return the commands that show and that remove a foreign item."""
    path, root = str(item.path), ("sudo",) if item.store.scope == MACHINE else ()
    if isinstance(item.what, Database):
        remove = databases.command_by_name(item.what.remove[0], item.text, item.path)
        return databases.command_by_name(item.what.find, item.text, item.path), (*root, *remove)
    if isinstance(item.what, File):
        return ("cat", path), (*sudo(item.store, item.path), "rm", path)
    if found := editing.changed_lines(item.text, item.what):
        lines = f"{found[0]},{found[1]}"
        return ("sed", "-n", f"{lines}p", path), (*root, "sed", "-i", f"{lines}d", path)
    return ("cat", path), (*root, "editor", path)


def sudo(store: Store, path: Path) -> tuple[str, ...]:
    """Return the sudo prefix of a command on a file of a store; none for one in a home folder of this user's own."""
    return ("sudo",) if store.scope == MACHINE or not os.access(path.parent, os.W_OK) else ()


def _typed(write: Write, anchor: TrustAnchor) -> tuple[str, ...]:
    """Return the command that a person would type for a file.

    The command installs the certificate, or contains the file's text.
    """
    for it in anchor.all:
        if write.content == it.content:
            return ("install", "-D", "-m", f"{write.mode:04o}", it.file, str(write.path))
    return patch("", write)


def patch(before: str, write: Write) -> tuple[str, ...]:
    """Return the command that changes a file's lines, or writes a file that had none.

    Lines around them are left out, since those may hold passwords; of lines that may themselves, none is shown.
    """
    if not before:
        return ("sh", "-c", 'printf %s "$1" > "$0"', str(write.path), write.content.decode())
    lines = before.splitlines(keepends=True), write.content.decode().splitlines(keepends=True)
    changed = difflib.unified_diff(*lines, str(write.path), str(write.path), n=0)
    text = "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in changed)
    if without_secrets(text) != text:
        return ("editor", str(write.path))
    return ("patch", str(write.path), here_document(text))


def mode(path: Path) -> int:
    """Return the mode of a file to keep, or the public mode for a new one."""
    return path.stat().st_mode & 0o777 if files.exists(path) else PUBLIC_FILE


def removal(store: str, removes: Iterable[Remove], *, machine: bool = True) -> Plan:
    """Return the plan that removes files, and the folders left empty."""
    removes = tuple(removes)
    emptied = dict.fromkeys(remove.path.parent for remove in removes if remove.path.parent != remove.keep)
    typed = [("rm", str(remove.path)) for remove in removes] + [("rmdir", str(folder)) for folder in emptied]
    return Plan(store, removes, tuple(typed), machine=machine)


@dataclass(frozen=True)
class Staying:
    """Files of a store that a removal leaves.

    Args:
        changed: Those that were changed since they were written.
        named: Certificates that a shared file of others still names, with that file.
    """

    changed: list[Path] = field(default_factory=list)
    named: dict[Path, Path] = field(default_factory=dict)


def uninstall(key: str, entries: Sequence[Entry]) -> tuple[Plan, Staying]:
    """Return the plan that undoes a store's ledger entries, and the files that stay.

    Raises:
        RegistryError: A file cannot be read.
    """
    store = client_stores.store(key)
    gone, changed = _files([entry for entry in entries if not entry.value])
    valued = [entry for entry in entries if entry.value]
    edits, unmerged = ([], []) if store.database else _unmerged(valued)
    naming = {it.path: file for it in gone if (file := _naming(it.path, store, edits) or _hosts_toml(it.path, gone))}
    gone = [it for it in gone if it.path not in naming]
    gone.sort(key=lambda it: it.path.suffix == ".crt")  # what names one first: where that names none, every pull fails
    plan = removal(key, gone, machine=store.scope == MACHINE)
    operations = [*edits, *plan.operations]
    typed = [command for command in plan.typed if os.path.lexists(command[-1])]
    # though the file is gone: an interrupted run did not reach this
    runs = [store.refresh.after_removal or store.refresh.command] if store.refresh and entries else []
    if store.database:
        runs += _removal_commands(store.database, valued)
    edited = [patch(states.read(it.path), it) if isinstance(it, Write) else ("rm", str(it.path)) for it in edits]
    plan = replace(plan, operations=tuple(operations), typed=(*edited, *typed), runs=tuple(runs))
    return plan, Staying([*changed, *unmerged], naming)


def shared_naming(path: Path, store: Store, texts: Mapping[Path, str]) -> Path | None:
    """Return the shared file of a store that names a certificate beside it, or None.

    Args:
        path: The certificate.
        store: The store.
        texts: Texts of shared files, where they are not those on the disk.
    """
    for name in dict.fromkeys(Path(block.path).name for block in store.blocks(ANY)):
        naming_file = path.with_name(name)
        text = texts[naming_file] if naming_file in texts else states.read(naming_file)
        if any(path.name in line.partition("#")[0] for line in text.splitlines()):
            return naming_file
    return None


def _naming(path: Path, store: Store, edits: Iterable[Write | Remove]) -> Path | None:
    after = {it.path: it.content.decode() if isinstance(it, Write) else "" for it in edits}
    return shared_naming(path, store, after)


def _hosts_toml(path: Path, gone: Iterable[Remove]) -> Path | None:
    """Return a hosts.toml that stays and names a certificate, or None (containerd, docs/hosts.md, "ca")."""
    if path.suffix != ".crt" or path.parents[1].name != "certs.d":
        return None
    staying = sorted({*path.parents[1].glob("*/hosts.toml")} - {it.path for it in gone})
    named = f"{path.parent.name}/{path.name}".encode()
    return next((it for it in staying if named in (states.content(it) or b"")), None)


def _files(entries: Sequence[Entry]) -> tuple[list[Remove], list[Path]]:
    removes, changed = [], []
    for path in dict.fromkeys(Path(entry.path) for entry in entries):
        mine = [entry for entry in entries if Path(entry.path) == path]
        # The folders that the first of several writes made are ours to remove.
        keeps = [Path(entry.keep) if entry.keep else path.parent.parent.parent for entry in mine]
        keep = min(keeps, key=lambda it: len(it.parts))
        present = states.content(path)
        half_gone = present is None and any(entry.keep for entry in mine) and _must_stay(path, keep)
        if half_gone or (present is not None and digest(present) in {entry.sha256 for entry in mine}):
            removes.append(Remove(path, keep=keep))
        elif present is not None:
            changed.append(path)
    return removes, changed


def _must_stay(path: Path, keep: Path) -> bool:
    """Return whether the empty folder of an absent file is left over.

    The folder was made for the file; a run was interrupted between the two.
    """
    nearest = next(folder for folder in path.parents if os.path.lexists(folder))
    return keep in nearest.parents and os.access(nearest, os.R_OK) and not any(nearest.iterdir())


def _unmerged(entries: Sequence[Entry]) -> tuple[list[Write | Remove], list[Path]]:
    """Return the operations that remove blocks from shared files.

    Returned with them are the files with blocks that were changed since, and therefore stay. A file that was made for
    the blocks, and has no other content, is removed.
    """
    operations: list[Write | Remove] = []
    changed: list[Path] = []
    for path in dict.fromkeys(Path(entry.path) for entry in entries):
        states.check_link(path)
        before = after = states.read(path)
        mine = [entry for entry in entries if Path(entry.path) == path]
        for value in dict.fromkeys(entry.value for entry in mine):
            under, _, registry_host = value.rpartition(" ")
            block = ManagedBlock(str(path), under, registry_host, (), ())
            content = editing.current_content(after, block)
            known = {entry.sha256 for entry in mine if entry.value == value}
            # An older ledger knew blocks by their marks alone: each digest is that of empty content.
            if content is not None and known & {digest(content), digest(b"")}:
                after = editing.removed(after, block)
            elif content is not None:
                changed.append(path)
        if after != before and {entry.unended for entry in mine} & {_last_line(after)} and editing.MARK not in after:
            after = after.removesuffix("\n")
        keep = next((Path(entry.keep) for entry in mine if entry.keep), None)
        if before and not after and keep:
            operations.append(Remove(path, keep=keep))
        elif after != before:
            operations.append(Write(path, after.encode(), mode(path)))
    return operations, list(dict.fromkeys(changed))


def _last_line(text: str) -> str:
    """Return the digest of a text's last line, without its line end."""
    return digest(text.removesuffix("\n").rpartition("\n")[2].encode())


def _removal_commands(database: Database, entries: Iterable[Entry]) -> list[tuple[str, ...]]:
    """Return the commands that remove certificates still in a database."""
    found = []
    for entry in entries:
        place = Path(entry.path)
        gone = database.mark and not files.exists(place / database.mark)
        if not gone and program.capture(databases.command_by_name(database.find, entry.value, place)).ok:
            found += [databases.command_by_name(argv, entry.value, place) for argv in database.remove]
    return found
