"""Proof of trust: each client's own pull of a tiny image that was uploaded to the registry for that purpose."""

from __future__ import annotations

import platform
import re
import secrets
import shutil
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from trusted_registry import files, program
from trusted_registry.certificate import issue
from trusted_registry.client_messages.message import REFUSING, Kind
from trusted_registry.console import Console
from trusted_registry.engine import engine as engines
from trusted_registry.engine import types as engine_types
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import AccessDeniedError, LoginRequiredError, RegistryError
from trusted_registry.registry import probe, prove, upload
from trusted_registry.registry.api import RegistryClient
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import install, trust_anchor, unverified
from trusted_registry.trust.local import state as states
from trusted_registry.trust.local.state import State
from trusted_registry.trust.local.unverified import Unverified
from trusted_registry.trust.specifics import pulls
from trusted_registry.trust.specifics.pulls import CLIENTS, Client, Pull, Verdict, judge

_PATIENCE = 60.0
"""Seconds for one pull of a few hundred bytes, the client's own retries included."""

_AT_ONCE = 4
"""Stores whose clients pull at a time: each pull is quick, and mostly waits for its own service."""

_VERSION = re.compile(r"\d+(\.\d+)+")
_SILENT = "no engine answers"
_ENGLISH = {"LC_ALL": "C.UTF-8"}
_SHOWN_BEFORE = cast("Console", SimpleNamespace(dry=False, command=lambda _argv: None))
"""Console for commands that were all shown before."""


@dataclass(frozen=True)
class PullResult:
    """Result of a client's pull by one registry host.

    `counts` is False for a client that was not set up to trust the registry.
    """

    client: str
    version: str
    registry_host: str
    verdict: Verdict
    counts: bool
    reason: str = ""
    cure: str = ""

    @property
    def bad(self) -> bool:
        """True for a client that should trust the registry and does not."""
        return self.counts and self.verdict not in {Verdict.ACCEPTED, Verdict.UNVERIFIED}


def check(run: Run, only: Sequence[str] = ()) -> list[PullResult]:
    """Pull with every client by every registry host; leave nothing behind.

    Args:
        run: The registry with the folder of its authority's certificate, and the console that shows the pulls.
        only: Names of clients; no others pull, and these must trust the registry even if not set up to.

    Returns:
        A result for each client and registry host, in the table's order; none in a dry run.

    Raises:
        RegistryError: There is no certificate to trust, no registry answers, or a registry of another authority does.
    """
    trust_anchor.load(run.settings, dry=run.console.dry)
    wanted = [client for client in CLIENTS if not only or client.name in only]
    machine, token = machines.current(), secrets.token_hex(4)
    with files.temp_folder() as folder, _engine(run.console) as engine:
        reasons = {client.name: _why_absent(client, machine, engine) for client in wanted}
        found = [client for client in wanted if reasons[client.name] is None]
        asks = {client: pulls.plan(client, run.settings, token, folder, machine) for client in found}
        for pull in (pull for each in asks.values() for pull in each):
            for argv in (pull.argv, *(pull.clean if run.console.dry else ())):
                run.console.command(argv)
        if run.console.dry:
            return []
        with _test_image(run.settings, [f"{token}-{client.name}" for client in found]) as empty:
            found_here = {store.name for store in install.select_stores(engine, install.ALL_STORES)}
            counted = frozenset(found_here | _recorded_stores(run.settings))
            skipped = {it.registry_host: it for it in unverified.find(run.settings, engine)}
            rows = _pull_all(asks, CheckRun(engine, counted, frozenset(only), empty, skipped), run.console)
    rows |= {name: [_absent(name, only, why, engine)] for name, why in reasons.items() if why is not None}
    return [it for client in wanted for it in rows[client.name]]


def _why_absent(client: Client, machine: machines.Machine, engine: Engine) -> str | None:
    """Return the reason for a client's absence, or None if present.

    An empty reason needs no words. An engine that answers is present, even without its program.
    """
    if client.engine:
        return None if engine.available else _SILENT
    if not shutil.which(client.program):
        return ""
    if not client.socket:
        return None
    at = pulls.socket(client, machine)
    if _missing(at):
        return f"its service does not run: there is no {at}"
    # an engine without root may be the very one that answers
    return "" if engine.available and engine.info().socket == f"unix://{at}" else None


def _missing(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        return not isinstance(error, PermissionError)
    return False


def _absent(name: str, only: Sequence[str], why: str, engine: Engine) -> PullResult:
    """Return the result of a client that is absent.

    An engine that denies this user access is present, and has failed.
    """
    denied = engine.connect_error
    if why == _SILENT and isinstance(denied, AccessDeniedError):
        return PullResult(name, "", "", Verdict.FAILED, counts=True, reason=denied.message, cure=denied.cure)
    return PullResult(name, "", "", Verdict.ABSENT, counts=name in only, reason=why)


def _engine(console: Console) -> AbstractContextManager[Engine]:
    """Return the engine that answers, or an empty one with the connect error."""
    try:
        return closing(engines.connect(console if console.dry else _SHOWN_BEFORE))
    except RegistryError as error:
        return closing(engines.unavailable(console, error))


@contextmanager
def _test_image(settings: Settings, tags: Iterable[str]) -> Iterator[bool]:
    """Keep a test image in the registry, and yield whether a login is needed.

    If so, no image was uploaded.
    """
    at = probe.Endpoint(settings.address, settings.port)
    if lost := trust_anchor.check_serves(settings):
        raise _silent(at, lost)
    tls = probe.context(issue.trust_anchor(settings.folder).path)
    image = upload.tiny()
    try:
        upload.put(image, at, prove.REPOSITORY, tags, tls)
    except LoginRequiredError:
        yield True
        return
    except ssl.SSLCertVerificationError as error:
        raise RegistryError(
            f"No client can accept {at}: {error.verify_message}.", cure="./inv cert.renew, on the registry's machine"
        ) from error
    except probe.NO_ANSWER as error:
        raise _silent(at, error) from error
    try:
        yield False
    finally:
        RegistryClient(at, tls).delete_manifest(prove.REPOSITORY, image.digest)


def _silent(at: probe.Endpoint, reason: object) -> RegistryError:
    cure = "On its machine: ./inv up; to check another one: ./inv trust.check --address 192.168.0.12"
    return RegistryError(f"No registry answers at {at}: {reason}.", cure=cure)


def _recorded_stores(settings: Settings) -> set[str]:
    """Return the names of on-request stores that were written."""
    with suppress(RegistryError):  # a system with no such store, or a conflict in one, which trust.list shows
        rows = [store for store in states.select(machines.current(), only=("system",)) if not store.database]
        return {item.store.name for item in install.find_items(settings, rows) if item.state is State.TRUSTED}
    return set()


@dataclass(frozen=True)
class CheckRun:
    """Values that all pulls of one check share."""

    engine: Engine
    counted: frozenset[str]
    named: frozenset[str]
    empty: bool
    skipped: Mapping[str, Unverified]

    def counts(self, client: Client) -> bool:
        """Return whether a client should trust the registry.

        The client was asked for by name, or its store is among those that are written on this machine.
        """
        return client.store in self.counted or client.name in self.named

    def unverified(self, pull: Pull) -> Unverified | None:
        """Return what tells that the pulling engine verifies nothing there, or None; loopback no Docker verifies."""
        found = self.skipped.get(pull.registry_host)
        skips = pull.client.engine or (found and found.is_loopback and pull.client.store == "docker-rootless")
        return found if skips else None


def _pull_all(asks: dict[Client, list[Pull]], check_run: CheckRun, console: Console) -> dict[str, list[PullResult]]:
    """Run all clients' pulls, and return the results by client.

    Clients of one store take turns, since most of them share their images too: podman would miss an image that buildah
    removes.
    """
    rows: dict[str, list[PullResult]] = {}
    kin: dict[str, list[Client]] = {}
    for client in asks:
        kin.setdefault(client.store, []).append(client)

    def pull(clients_of_one: list[Client]) -> None:
        for client in clients_of_one:
            rows[client.name] = _pull_each(client, asks[client], check_run)
            progress.update("clients", len(rows), len(asks))

    watched = console.progress(f"{len(asks)} clients pull", unit="clients")
    with watched as progress, ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        list(pool.map(pull, kin.values()))  # raises an error of any pull
    return rows


def _pull_each(client: Client, asks: Iterable[Pull], check_run: CheckRun) -> list[PullResult]:
    """Run one client's pulls in turn: some lock their storage meanwhile."""
    version = _version(client, check_run.engine)
    rows = []
    for pull in asks:
        try:
            verdict, reason = _pull_one(pull, check_run)
        except RegistryError as error:
            verdict, reason = Verdict.FAILED, error.message
        if verdict is Verdict.ABSENT:
            return [PullResult(client.name, version, "", verdict, counts=client.name in check_run.named, reason=reason)]
        counts = check_run.counts(client)
        remedy = pull_cure(client, reason) if verdict is not Verdict.ACCEPTED else ""
        if verdict is Verdict.ACCEPTED and (skipped := check_run.unverified(pull)):
            verdict, reason, remedy = Verdict.UNVERIFIED, skipped.why, skipped.cure
        rows.append(PullResult(client.name, version, pull.registry_host, verdict, counts, reason, remedy))
    return rows


def _pull_one(pull: Pull, check_run: CheckRun) -> tuple[Verdict, str]:
    if pull.client.engine:
        return _pull_by_engine(pull, check_run)
    try:
        result = program.capture(pull.argv, text=pull.text, env=_ENGLISH, timeout=_PATIENCE)
        return judge(pull.client, ok=result.ok, output=f"{result.out}\n{result.err}", empty=check_run.empty)
    finally:
        for argv in pull.clean:
            with suppress(RegistryError):  # an image that was refused cannot be removed
                program.capture(argv, timeout=_PATIENCE)


def _pull_by_engine(pull: Pull, check_run: CheckRun) -> tuple[Verdict, str]:
    reference = pull.argv[-1]
    try:
        check_run.engine.try_pull(reference)
    except RegistryError as error:
        return judge(pull.client, ok=False, output=error.message, empty=check_run.empty)
    finally:
        with suppress(RegistryError):
            check_run.engine.untag(reference)
    return Verdict.ACCEPTED, ""


def _version(client: Client, engine: Engine) -> str:
    if client.engine:
        info = engine.info() if engine.available else None
        return "" if info is None else info.version if info.product == engine_types.DOCKER else f"by {info.title}"
    with suppress(RegistryError):
        out = program.capture((client.program, *client.version), timeout=_PATIENCE).out if client.version else ""
        return found.group() if (found := _VERSION.search(out)) else ""
    return ""


def pull_cure(client: Client, reason: str) -> str:
    """Return the cure for a client's failed pull; empty if none is known.

    The cure is trust in the client's own store, unless the reason is another fault.
    """
    if reason.startswith("sudo:"):
        return "sudo -v && ./inv trust.check"
    kinds = pulls.kinds(reason)
    if not kinds & REFUSING:
        return ""
    if Kind.DISTRUST not in kinds:
        return engine_types.pull_cure(reason)
    return "./inv trust.macos" if platform.system() == "Darwin" else f"./inv trust.linux --only {client.store}"
