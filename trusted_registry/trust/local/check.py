"""Proves trust with each client's own pull of a tiny image that was put into the registry for it."""

from __future__ import annotations

import contextlib
import http.client
import platform
import re
import secrets
import shutil
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from trusted_registry import files, run
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError
from trusted_registry.registry import answers, probe, prove, upload
from trusted_registry.registry import engine as engines
from trusted_registry.trust import whereabouts
from trusted_registry.trust.clients import pulls
from trusted_registry.trust.clients.pulls import CLIENTS, Verdict, is_distrust, judge
from trusted_registry.trust.local import anchor, here, look
from trusted_registry.trust.local.here import Choice
from trusted_registry.trust.local.look import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from trusted_registry.edge import Edge
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings
    from trusted_registry.trust.clients.pulls import Ask, Client
    from trusted_registry.trust.whereabouts import Where

_PATIENCE = 60.0
"""Seconds for one pull of a few hundred bytes, retries of the client's own included."""

_BESIDE = 4
"""Stores whose clients pull at a time: each is quick, and mostly waits for its own service."""

_VERSION = re.compile(r"\d+(\.\d+)+")
_OTHER = re.compile(
    r"IP SANs|certificate is (not )?valid|expired|not yet valid|legacy Common Name|HTTP response to HTTPS|subject name"
    r"|subject alternative name|mismatch|not permitted",
    re.IGNORECASE,
)
"""What no trust would mend: the certificate itself, the clock, or a registry without TLS."""
_SILENT = "no engine answers"
_ENGLISH = {"LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Row:
    """A client, a spelling of the registry's name, and what came of the pull.

    `counts` is False of a client that nobody asked to have trust.
    """

    client: str
    version: str
    spelling: str
    verdict: Verdict
    counts: bool
    reason: str = ""
    cure: str = ""

    @property
    def bad(self) -> bool:
        """Whether this is a client that should trust, and does not."""
        return self.counts and self.verdict is not Verdict.ACCEPTED


def check(settings: Settings, edge: Edge, only: Sequence[str] = ()) -> list[Row]:
    """Have every client here pull from the registry by every spelling of its name, and leave nothing behind.

    Args:
        settings: Which registry, and where its authority's certificate is.
        edge: Whom to show it to.
        only: Names of clients; with them no others, and these must trust whoever was asked to.

    Returns:
        A row for each client and spelling, in the table's order; none in a dry run.

    Raises:
        RegistryError: There is no certificate to trust, nothing answers, or another authority's registry does.
    """
    anchor.subject(settings, dry=edge.dry)
    wanted = [client for client in CLIENTS if not only or client.name in only]
    where, token = whereabouts.here(), secrets.token_hex(4)
    with files.lent_folder() as folder, _engine(edge) as (engine, silence):
        away = {client.name: why for client in wanted if (why := _away(client, where, engine)) is not None}
        found = [client for client in wanted if client.name not in away]
        asks = {client: pulls.plan(client, settings, token, folder, where) for client in found}
        for ask in (ask for each in asks.values() for ask in each):
            _show(ask, edge)
        if edge.dry:
            return []
        with _image(settings, [f"{token}-{client.name}" for client in found]) as empty:
            counted = {store.name for store in here.chosen(engine, Choice())} | _told(settings)
            rows = _all(asks, Round(engine, frozenset(counted), frozenset(only), empty), edge)
    for name, why in away.items():
        rows[name] = [_absent(name, only, why, silence)]
    return [row for client in wanted for row in rows[client.name]]


def _show(ask: Ask, edge: Edge) -> None:
    edge.command(ask.pull)
    for argv in ask.clean if edge.dry else ():
        edge.command(argv)


def _absent(name: str, only: Sequence[str], why: str, silence: RegistryError | None) -> Row:
    """Return the row of a client that is not here; an engine that lets nobody in is."""
    if why == _SILENT and isinstance(silence, answers.AccessDenied):
        return Row(name, "", "", Verdict.FAILED, counts=True, reason=silence.message, cure=silence.cure)
    return Row(name, "", "", Verdict.ABSENT, counts=name in only, reason=why)


def _away(client: Client, where: Where, engine: Engine) -> str | None:
    """Return why a client is not here to be asked, "" for what needs no words; None where it is.

    An engine that answers is, even without the program.
    """
    if client.engine:
        return None if engine.here else _SILENT
    if not shutil.which(client.program):
        return ""
    if not client.socket:
        return None
    at = pulls.socket(client, where)
    if _missing(at):
        return f"its service does not run: there is no {at}"
    # an engine without root may be the very one that answers
    return "" if engine.here and engine.info().socket == f"unix://{at}" else None


def _missing(path: Path) -> bool:
    try:
        path.stat()
    except PermissionError:
        return False
    except OSError:
        return True
    return False


class _Shown:
    """An edge to which every command was shown before."""

    dry = False

    def command(self, argv: Sequence[str]) -> None:
        """Show nothing again."""


@contextlib.contextmanager
def _engine(edge: Edge) -> Iterator[tuple[Engine, RegistryError | None]]:
    """Lend the engine that answers; where none does, one that has nothing, and why."""
    silence = None
    try:
        engine = engines.connect(edge if edge.dry else cast("Edge", _Shown()))
    except RegistryError as error:
        engine, silence = engines.Engine(None, edge), error
    try:
        yield engine, silence
    finally:
        engine.close()


@contextlib.contextmanager
def _image(settings: Settings, tags: Iterable[str]) -> Iterator[bool]:
    """Have an image in the registry for as long as this lasts; lends whether there is none since a login is wanted."""
    anchor.check_serves(settings)
    at = probe.Endpoint(settings.address, settings.port)
    tls = probe.context(issue.trusted(settings.folder).path)
    image = upload.tiny()
    try:
        with _explained(at):
            upload.put(image, at, prove.REPOSITORY, tags, tls)
    except upload.LoginWanted:
        yield True
        return
    try:
        yield False
    finally:
        probe.delete_manifest(at, prove.REPOSITORY, image.digest, tls)


@contextlib.contextmanager
def _explained(at: probe.Endpoint) -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise RegistryError(
            f"No client can accept {at}: {error.verify_message}.", cure="./inv cert.renew, on the registry's machine"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise RegistryError(
            f"No registry answers at {at}: {error}.",
            cure="On its machine: ./inv up; where it is another: ./inv trust.check --address 192.168.0.12",
        ) from error


def _told(settings: Settings) -> set[str]:
    """Return the names of the stores that are written on request alone, and were."""
    try:
        rows = [store for store in look.chosen(whereabouts.here(), only=("system",)) if not store.database]
        held = here.items(settings, rows)
    except RegistryError:  # a system with no such store, or something in its way, which trust.list tells
        return set()
    return {item.store.name for item in held if item.state is State.TRUSTED}


@dataclass(frozen=True)
class Round:
    """What all pulls of one run have in common."""

    engine: Engine
    counted: frozenset[str]
    named: frozenset[str]
    empty: bool

    def counts(self, client: Client) -> bool:
        """Whether a client should trust: its store is among those that are written here, or it was asked for."""
        return client.store in self.counted or client.name in self.named


def _all(asks: dict[Client, list[Ask]], round_: Round, edge: Edge) -> dict[str, list[Row]]:
    """Have all clients pull, and return their rows by their names.

    Those of one store take turns, since most of them share their images too: what buildah removes, podman would miss.
    """
    rows: dict[str, list[Row]] = {}
    kin: dict[str, list[Client]] = {}
    for client in asks:
        kin.setdefault(client.store, []).append(client)

    def pull(clients_of_one: list[Client]) -> None:
        for client in clients_of_one:
            rows[client.name] = _each(client, asks[client], round_)
            progress.update("clients", len(rows), len(asks))

    with edge.progress(f"{len(asks)} clients pull") as progress, ThreadPoolExecutor(max_workers=_BESIDE) as pool:
        for pulled in [pool.submit(pull, clients_of_one) for clients_of_one in kin.values()]:
            pulled.result()
    return rows


def _each(client: Client, asks: Iterable[Ask], round_: Round) -> list[Row]:
    """Have one client pull by one spelling after the other: some keep others out of their storage meanwhile."""
    version = _version(client, round_.engine)
    rows = []
    for ask in asks:
        try:
            verdict, reason = _pulled(ask, round_)
        except RegistryError as error:
            verdict, reason = Verdict.FAILED, error.message
        if verdict is Verdict.ABSENT:
            return [Row(client.name, version, "", verdict, counts=client.name in round_.named, reason=reason)]
        counts = round_.counts(client)
        told = cure(client, reason) if verdict is not Verdict.ACCEPTED else ""
        rows.append(Row(client.name, version, ask.spelling, verdict, counts, reason, told))
    return rows


def _pulled(ask: Ask, round_: Round) -> tuple[Verdict, str]:
    if ask.client.engine:
        return _by_engine(ask, round_)
    try:
        done = run.look(ask.pull, text=ask.text, env=_ENGLISH, timeout=_PATIENCE)
        return judge(ask.client, ok=done.ok, said=f"{done.out}\n{done.err}", empty=round_.empty)
    finally:
        for argv in ask.clean:
            with contextlib.suppress(RegistryError):  # what was refused is not there to be removed
                run.look(argv, timeout=_PATIENCE)


def _by_engine(ask: Ask, round_: Round) -> tuple[Verdict, str]:
    reference = ask.pull[-1]
    try:
        round_.engine.ask(reference)
    except RegistryError as error:
        return judge(ask.client, ok=False, said=error.message, empty=round_.empty)
    finally:
        with contextlib.suppress(RegistryError):
            round_.engine.untag(reference)
    return Verdict.ACCEPTED, ""


def _version(client: Client, engine: Engine) -> str:
    if client.engine:
        return engine.info().version if engine.here else ""
    if not client.version:
        return ""
    with contextlib.suppress(RegistryError):
        found = _VERSION.search(run.look((client.program, *client.version), timeout=_PATIENCE).out)
        return found.group() if found else ""
    return ""


def cure(client: Client, reason: str) -> str:
    """Return what helps a client that does not pull: trust in its own store, unless something else is wrong."""
    if reason.startswith("sudo:"):
        return "sudo ./inv trust.check"
    if not is_distrust(reason):
        return ""
    if _OTHER.search(reason):
        return answers.cure(reason)
    if platform.system() == "Darwin":
        return "./inv trust.macos"
    return f"./inv trust.linux --only {client.store}"
