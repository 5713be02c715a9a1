"""State of the registry on a swarm: each host, its services, and the certificate that it serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from trusted_registry.bucket import opening
from trusted_registry.certificate import inspect, issue
from trusted_registry.errors import RegistryError
from trusted_registry.registry import observe, probe
from trusted_registry.registry.observe import Observation
from trusted_registry.report import Report, Table
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.swarm.model import IMAGE_LABEL, RUNNING, Node, NoLeaderError, Task, newest
from trusted_registry.swarm.stack import FRONT, NAME, REGISTRY, REGISTRY_PORT
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
    note = swarm_plan.here(run)
    swarm = swarm_plan.connect(run)
    nodes: Sequence[Node] = ()
    tasks: Sequence[Task] = ()
    whole = "none, so nothing can be changed; registries that run serve on"
    try:
        nodes, tasks = swarm.nodes(), swarm.tasks(NAME)
        whole = next((it.name for it in nodes if it.leader), "not known: the engine here manages no swarm")
    except NoLeaderError:
        pass  # it is not waited for: hosts can be asked without one
    members = note.members(nodes)
    found = [_host(host, node, tasks, run.settings, known=bool(nodes)) for host, node in members.items()]
    beside = {"address": _served(note.address, run.settings) if note.address else "", "storage": _bucket(run)}
    problems = [f"{name}: {problem}" for name, problem in beside.items() if problem]
    content = {
        "reference": run.settings.registry_host,
        "address": note.address or None,
        "storage": run.settings.storage or None,
        "leader": next((it.name for it in nodes if it.leader), None),
        "hosts": [asdict(it) for it in found],
        "problems": problems,
    }
    lines = [f"registry: {run.settings.registry_host}", f"storage: {run.settings.storage}", f"leader: {whole}"]
    wrong = [*(it.host for it in found if it.problem), *(name for name, problem in beside.items() if problem)]
    message = f"Something is wrong: {', '.join(wrong)}." if wrong else "The swarm has no leader."
    failure = RegistryError(message, cure="./inv swarm.up mends what can be mended.")
    sound = run.console.dry or not (wrong or content["leader"] is None)
    table = Table("Hosts", _COLUMNS, [_row(it) for it in found])
    return Report(content, table, [*lines, *problems], None if sound else failure)


def _bucket(run: Run) -> str:
    """Return what is wrong with the bucket; "" if nothing is."""
    try:
        if not run.console.dry:
            opening.prove(run, opening.opened(run.settings), is_new=False)
    except RegistryError as error:
        return error.message
    return ""


def _served(host: str, settings: Settings) -> str:
    """Return what is wrong with the registry at the front's port of a host; "" if nothing is."""
    return _problem(
        observe.look(probe.Endpoint(host, settings.port), issue.trust_anchor(settings.folder).path), settings
    )


def _problem(seen: Observation, settings: Settings) -> str:
    wanted = inspect.read(settings.folder / "domain.crt").fingerprint
    if seen.fingerprint and seen.fingerprint != wanted:
        return "its registry shows another certificate than domain.crt: ./inv swarm.renew"
    return seen.connect_error or seen.distrust or seen.refused


def _row(found: HostStatus) -> tuple[str, ...]:
    shown = f"{found.certificate[:16]}…, {found.days_left} days" if found.certificate else ""
    node = f"{found.node} {found.part}".strip()
    return (found.host, node, found.engine, found.registry, found.front, shown, found.problem)


def _host(host: str, node: Node | None, tasks: Sequence[Task], settings: Settings, *, known: bool) -> HostStatus:
    """Return the state of a host, by the swarm if that can be asked, and by a client's connections."""
    seen = observe.look(probe.Endpoint(host, REGISTRY_PORT), issue.trust_anchor(settings.folder).path)
    registry, front = (newest(service, node, tasks) for service in (REGISTRY, FRONT))
    problem = _problem(seen, settings)
    if known and not (node and node.works):
        problem = f"its node is {node.word if node else 'gone'}"
    elif known and front.state != RUNNING:
        problem = problem or f"its front is {front.state or 'absent'}{f': {front.error}' if front.error else ''}"
    elif not problem and (wrong := _served(host, settings)):
        problem = f"its front: {wrong}"
    return HostStatus(
        host=host,
        node=node.state if node else "",
        part=("leader" if node.leader else "manager" if node.manager else "worker") if node else "",
        engine=node.version if node else "",
        registry=registry.state,
        front=front.state,
        image=registry.labels.get(IMAGE_LABEL, ""),
        certificate=seen.fingerprint,
        days_left=seen.certificate.days_left(inspect.now()) if seen.certificate else None,
        problem=problem,
    )
