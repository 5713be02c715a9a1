"""State of the registry on a swarm: each host, its services, and the certificate that it serves."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from trusted_registry.bucket import opening
from trusted_registry.certificate import inspect
from trusted_registry.doctor import swarm
from trusted_registry.doctor.facts import SwarmFacts, SwarmHost
from trusted_registry.errors import NoLeaderError, RegistryError
from trusted_registry.registry.observe import Observation
from trusted_registry.report import Report, Table
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.swarm.model import IMAGE_LABEL, RUNNING
from trusted_registry.swarm.noted import Note
from trusted_registry.tasks import swarm_plan

_COLUMNS = ("host", "node", "engine", "registry", "front", "certificate", "wrong")


@dataclass(frozen=True)
class HostStatus:
    """State of one host.

    Args:
        host: Address.
        node: State of its node, in the swarm's word; "" where it is none.
        part: leader, manager, worker, or "".
        engine: Version of the engine.
        registry: State of the registry's container; "" for none.
        front: State of the front's.
        image: Image of the registry.
        certificate: Fingerprint of the certificate that its registry shows; "" if none answers.
        days_left: Days until that ends; None if none answers.
        problem: Fault of the host, in a sentence; "" for none.
    """

    host: str
    node: str = ""
    part: str = ""
    engine: str = ""
    registry: str = ""
    front: str = ""
    image: str = ""
    certificate: str = ""
    days_left: int | None = None
    problem: str = ""


def status(run: Run) -> Report:
    """Report every host, the virtual address and the bucket, with the faults that somebody should mend."""
    note, settings = swarm_plan.require_note(run), run.settings
    facts = swarm.find(settings, note, swarm_plan.connect(run)) if note.hosts else SwarmFacts(())
    found = [_host(it, settings, known=facts.manages) for it in facts.hosts]
    address = _problem(swarm.answer_at(note.address, settings.port, settings), settings) if note.address else ""
    beside = {"leader": _leader(facts), "address": address, "storage": _bucket(run, note)}
    problems = [f"{name}: {problem}" for name, problem in beside.items() if problem]
    content = {
        "reference": settings.registry_host,
        "address": note.address or None,
        "storage": settings.storage or None,
        "leader": facts.leader or None,
        "hosts": [asdict(it) for it in found],
        "problems": problems,
    }
    lines = [f"registry: {settings.registry_host}", f"storage: {settings.storage}"]
    lines += [f"leader: {facts.leader}"] if facts.leader else []
    wrong = [*(it.host for it in found if it.problem), *(name for name, problem in beside.items() if problem)]
    failure = RegistryError(f"Something is wrong: {', '.join(wrong)}.", cure="./inv swarm.up mends what can be mended.")
    table = Table("Hosts", _COLUMNS, [_row(it) for it in found])
    return Report(content, table, [*lines, *problems], failure if wrong and not run.console.dry else None)


def _leader(facts: SwarmFacts) -> str:
    """Return what keeps the swarm from being changed; "" if nothing does."""
    if isinstance(facts.error, NoLeaderError):
        return "none, so nothing can be changed; registries that run serve on"
    if facts.error:
        return facts.error.message
    return "" if facts.manages else "not known: the engine here manages no swarm"


def _bucket(run: Run, note: Note) -> str:
    """Return what is wrong with the bucket; "" if nothing is."""
    try:
        if not run.console.dry:
            swarm_plan.check_storage(run.settings, note)
            opening.prove(run, opening.opened(run.settings), is_new=False, known=True)
    except RegistryError as error:
        return error.message
    return ""


def _problem(seen: Observation, settings: Settings) -> str:
    wanted = inspect.read(settings.folder / "domain.crt").fingerprint
    if seen.fingerprint and seen.fingerprint != wanted:
        return "its registry shows another certificate than domain.crt: ./inv swarm.renew"
    return seen.connect_error or seen.distrust or seen.refused


def _row(found: HostStatus) -> tuple[str, ...]:
    shown = f"{found.certificate[:16]}…, {found.days_left} days" if found.certificate else ""
    node = f"{found.node} {found.part}".strip()
    return (found.host, node, found.engine, found.registry, found.front, shown, found.problem)


def _host(host: SwarmHost, settings: Settings, *, known: bool) -> HostStatus:
    """Return the state of a host, by the swarm if that can be asked, and by a client's connections."""
    node, front, seen = host.node, host.front, host.seen
    problem = _problem(seen, settings)
    if known and not (node and node.works):
        problem = f"its node is {node.word if node else 'gone'}"
    elif known and front.state != RUNNING:
        problem = problem or f"its front is {front.state or 'absent'}{f': {front.error}' if front.error else ''}"
    elif not problem and (wrong := _problem(host.met, settings)):
        problem = f"its front: {wrong}"
    return HostStatus(
        host=host.host,
        node=node.state if node else "",
        part=("leader" if node.leader else "manager" if node.manager else "worker") if node else "",
        engine=node.version if node else "",
        registry=host.registry.state,
        front=front.state,
        image=host.registry.labels.get(IMAGE_LABEL, ""),
        certificate=seen.fingerprint,
        days_left=seen.certificate.days_left(inspect.now()) if seen.certificate else None,
        problem=problem,
    )
