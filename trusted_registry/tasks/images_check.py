"""Check of all images: damage is found, mended where that needs no push, and the registry asked for each tag."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace

from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.images import damage, history, inventory, pulling, storages, words
from trusted_registry.images.damage import Damage, Kind, Search
from trusted_registry.images.mend import Step
from trusted_registry.images.storage import Storage
from trusted_registry.instance import front, run_lock
from trusted_registry.instance.model import LOOPBACK, Role
from trusted_registry.registry import probe
from trusted_registry.registry.api import RegistryClient
from trusted_registry.report import Report, Table
from trusted_registry.run import Run
from trusted_registry.tasks import images, registry, swarm_images

_ROUNDS = 4
"""Times that it mends at most."""
_SAID = 10
"""Lines of what the shell said that are shown."""


def check(run: Run, *, fix: bool) -> Report:
    """Report what is broken; mend what can be mended without a push, if that is wanted.

    Raises:
        RegistryError: The registry does not run here or does not answer, or a person does not want it mended.
    """
    engine = engines.connect(run.console)
    container = images.running(run, engine)
    if container is None:
        return Report([])
    history.updated(container, run, engine)  # the questions below push what is older out of the log
    storage = storages.of(container, run.settings, engine)
    found, search = damage.find(storage, run.console)
    done = _Done(found, search)
    if fix and _steps(found):
        _ask(found, run)
        with run_lock.held(run):
            done = _mended(search, run, storage)
    try:
        with asked(container, run, engine) as client:
            done.left += _refused(client, done.search, run, storage)
    except RegistryError as error:  # what was found, and what must be pushed, is told all the same
        done.failure = error
    return _report(done)


@dataclass
class _Done:
    """What is broken still, what was mended, and what the shell said of that."""

    left: list[Damage]
    search: Search
    mended: list[Damage] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    failure: RegistryError | None = None


def _steps(found: Iterable[Damage]) -> list[Step]:
    return [step for it in found for step in it.steps]


def _ask(found: list[Damage], run: Run) -> None:
    count = sum(1 for it in found if it.steps)
    if not run.console.ask(f"Mend {words.plural(count, 'place')} in {images.place(run)}?"):
        raise RegistryError("Nothing was mended.", cure="./inv images.check shows what is broken.")


def _mended(search: Search, run: Run, storage: Storage) -> _Done:
    """Look again, mend, and look again: what a lost link hid is found once that is back."""
    console = run.console
    done = _Done(*damage.find(storage, console, search.sound))
    for _ in range(_ROUNDS):
        steps, before = _steps(done.left), done.left
        if not steps:
            break
        try:
            done.said += storage.mend(steps, console)
            done.left, done.search = damage.find(storage, console, done.search.sound)
        except RegistryError as error:  # the rounds before are told all the same
            done.failure = error
            break
        left = {it.key for it in done.left}
        done.mended += [it for it in before if it.steps and it.key not in left]
        if _steps(done.left) == steps:
            break
    return done


def _refused(client: RegistryClient, search: Search, run: Run, storage: Storage) -> list[Damage]:
    """Return the tags that the registry itself does not give, though all of their files seem well.

    Raises:
        RegistryError: It does not answer.
    """
    tags = [it for it in search.inventory.images if it.is_tagged and it.manifest]
    with run.console.progress("Asking the registry", "parts") as progress:
        try:
            client.ping()
            wrong = pulling.refused(tags, search.inventory, client, progress)
            there = inventory.find(storage) if wrong else None
        except probe.NO_ANSWER as error:
            reason = f"The files were looked at, but the registry does not answer at {client.at}: {error}"
            raise RegistryError(reason, cure="./inv doctor") from error
    left = {(images.reference_of(it), it.digest) for it in there.images} if there else set()
    # Others went, or moved, meanwhile.
    found = {images.reference_of(it): why for it, why in wrong.items() if (images.reference_of(it), it.digest) in left}
    return [Damage(Kind.REFUSED, name, why) for name, why in found.items()]


@contextlib.contextmanager
def asked(container: Container, run: Run, engine: Engine) -> Iterator[RegistryClient]:
    """Yield a client of the registry here, with a login of the moment if that asks for one."""
    if swarm_images.there(run):
        yield swarm_images.client(run)
        return
    met = front.as_met(container, run.settings, engine)
    if container.role == Role.PLAIN:
        yield RegistryClient(probe.Endpoint(met.listen or "localhost", met.port or run.settings.plain_port), None)
        return
    target = registry.tls_target(run, port=met.port)
    at = replace(target.at, via=met.listen or LOOPBACK)  # a router's address need not lead back here
    with registry.temporary_login(run, engine) as login:
        client = RegistryClient(at, target.tls, login)
        if login and not client.admits():
            raise RegistryError(
                f"{at} does not accept a login that was just made.", cure="./inv registry.logs says why."
            )
        yield client


def _report(done: _Done) -> Report:
    every = [*((it, True) for it in done.mended), *((it, False) for it in done.left)]
    content = [{**_content(it), "mended": mended} for it, mended in every]
    rows = [_row(it, mended=mended) for it, mended in every]
    table = Table("Broken", ["Kind", "What", "Why", "State"], rows) if rows else None
    size = sum(max(it.size, 0) for it in done.search.listing.blobs.values())
    read = f"{words.plural(len(done.search.listing.blobs), 'content')}, {words.size(size)}, read"
    pushes = sorted({one for it, _ in every for one in it.push.split()})
    lines = [f"push again, since a part is lost: {one}" for one in pushes]
    lines += [f"mended: {words.plural(len(done.mended), 'place')}"] if done.mended else []
    lines += [f"not mended: {it[:300]}" for it in done.said[:_SAID]]
    if any(it.kind is Kind.SIGNATURE for it in done.left):
        lines.append("left alone: a signature of what is not here harms nobody")
    wrong = [it for it in done.left if not it.is_harmless]
    if not wrong and not pushes and not done.said and not done.failure:
        lines.append(f"check: nothing is broken; {read}, and the registry gives every tag")
    return Report(content, table, lines, _failure(wrong, pushes, done))


def _row(it: Damage, *, mended: bool) -> list[str]:
    return [str(it.kind), it.subject, it.evidence, "mended" if mended else "harmless" if it.is_harmless else "broken"]


def _content(it: Damage) -> dict[str, object]:
    content = asdict(it)
    steps = content.pop("steps")
    return {**content, "kind": str(it.kind), "push": it.push.split(), "mendable": bool(steps)}


def _failure(wrong: list[Damage], pushes: list[str], done: _Done) -> RegistryError | None:
    """Return the error of what is still broken, with the command that mends it."""
    if done.failure:
        return done.failure
    if done.said:
        return RegistryError(f"Not all could be mended: {done.said[0][:300]}", cure="./inv doctor; ./inv images.usage")
    if _steps(wrong):
        return RegistryError(f"{words.plural(len(wrong), 'place')} broken.", cure="./inv images.check --fix")
    if pushes:
        lost = f"{words.plural(len(pushes), 'image')} must be pushed again: {', '.join(pushes[:3])}"
        return RegistryError(lost, cure=f"docker push, of each of them; first of {pushes[0]}")
    if wrong:
        return RegistryError(f"{wrong[0].subject}: {wrong[0].evidence}", cure="./inv registry.logs; ./inv doctor")
    return None
