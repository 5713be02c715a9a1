"""The question to clients whether they accept a registry: each is told to pull what is not there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from trusted_registry import files, program
from trusted_registry.client_messages.message import Kind
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.registry import prove
from trusted_registry.settings import Settings
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import install
from trusted_registry.trust.machine import Machine
from trusted_registry.trust.model import Store
from trusted_registry.trust.specifics import pulls
from trusted_registry.trust.specifics.pulls import CLIENTS, Client, Verdict

ABSENT = "absent"
"""Tag of no image: tags of the proof are hexadecimal."""
_PATIENCE = 10.0
"""Seconds for one answer, which mostly takes a tenth of one."""
_AT_ONCE = 32
"""Questions at a time: each of them only waits, and an engine is asked one by every registry host."""
_ENGLISH = {"LC_ALL": "C.UTF-8"}
_TOLD = frozenset({Kind.CLIENT, Kind.PROTOCOL})
"""Kinds, besides a refusal, by which a program tells of the way to the registry and not of itself."""


@dataclass(frozen=True)
class Answer:
    """Answer of a client about a registry host.

    Args:
        store: Name of the store that the client reads.
        client: Program that was asked; an engine is asked by its API.
        registry_host: Registry host of the reference.
        reason: Words of the refusal; "" of a client that accepts.
        kind: Kind of the trouble, if the words are known.
        engine: Whether the engine that answers here was asked.
    """

    store: str
    client: str
    registry_host: str
    reason: str = ""
    kind: Kind | None = None
    engine: bool = False

    @property
    def accepted(self) -> bool:
        """Whether the client accepts the registry."""
        return not self.reason


def ask(settings: Settings, engine: Engine, stores: Iterable[Store], skip: Collection[str] = ()) -> tuple[Answer, ...]:
    """Ask one client of each store, by every registry host, and leave nothing behind.

    Args:
        settings: Settings of the registry, which answers.
        engine: The engine that answers here, if any.
        stores: Stores whose clients are asked, as far as they are here and need no root.
        skip: Registry hosts of which the engine is not asked.
    """
    own, machine = install.engine_store(engine), machines.current()
    with files.temp_folder() as folder, ThreadPoolExecutor(_AT_ONCE) as beside:

        def questions(store: Store) -> Iterator[Callable[[], Sequence[Answer]]]:
            if store.key == own:  # of whom one that waits for a silent registry takes half a minute
                for host in (it for it in settings.registry_hosts if it not in skip):
                    yield partial(_of_engine, store, host, engine)
            elif client := next((it for it in CLIENTS if _is_here(it, store, machine)), None):
                yield partial(_of_program, pulls.plan(client, settings, ABSENT, folder, machine))

        asked = [beside.submit(question) for store in stores for question in questions(store)]
        return tuple(answer for answers in asked for answer in answers.result())


def _of_engine(store: Store, registry_host: str, engine: Engine) -> list[Answer]:
    refused = prove.refusal(registry_host, engine)
    words = (refused.reason, refused.kind) if refused else ("", None)
    return [Answer(store.name, store.clients, registry_host, *words, engine=True)]


def _is_here(client: Client, store: Store, machine: Machine) -> bool:
    """Whether a program of a store is here, with its service, and can be asked by this user."""
    if client.store != store.name or client.engine or not machines.find_program(client.program, machine):
        return False
    served = not client.socket or machines.exists(pulls.socket(client, machine))
    return served and not pulls.needs_sudo(client, machine)


def _of_program(asked: Iterable[pulls.Pull]) -> list[Answer]:
    """Return a program's answers, without those that tell nothing of the registry."""
    found = []
    for pull in asked:
        try:
            result = program.capture(pull.argv, text=pull.text, env=_ENGLISH, timeout=_PATIENCE)
        except RegistryError:  # it waits, or does not start: by the other hosts too
            break
        found.append(_answer(pull, result))
    return [it for it in found if it]


def _answer(pull: pulls.Pull, result: program.Result) -> Answer | None:
    client = pull.client
    output = f"{result.out}\n{result.err}"
    verdict, reason = pulls.judge(client, ok=result.ok, output=output, empty=True)
    if verdict is Verdict.ACCEPTED:
        return Answer(client.store, client.name, pull.registry_host)
    told = pulls.kinds(output)
    if verdict is not Verdict.REFUSED and not told & _TOLD:
        return None
    kind = Kind.DISTRUST if Kind.DISTRUST in told else next(iter(sorted(told & _TOLD or told)), None)
    return Answer(client.store, client.name, pull.registry_host, reason, kind)
