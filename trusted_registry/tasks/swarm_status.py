"""State of the registry on a swarm: each host, its services, and the certificate that it serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from trusted_registry.certificate import inspect, issue
from trusted_registry.errors import RegistryError
from trusted_registry.registry import observe, probe
from trusted_registry.report import Report, Table
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.swarm.model import RUNNING, Node, NoLeaderError, Task
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
    """Report every host, with the faults that somebody should mend."""
    note = swarm_plan.here(run)
    swarm = swarm_plan.connect(run)
    nodes: Sequence[Node] = ()
    tasks: Sequence[Task] = ()
    leader = True
    try:
        nodes, tasks = swarm.nodes(), swarm.tasks(NAME)
    except NoLeaderError:
        leader = False  # it is not waited for: hosts can be asked without one
    wanted = "" if run.console.dry else inspect.read(run.settings.folder / "domain.crt").fingerprint
    found = [_host(it, nodes, tasks, run.settings, wanted, known=leader) for it in note.hosts]
    content = {
        "reference": run.settings.registry_host,
        "address": note.address or None,
        "storage": run.settings.storage or None,
        "leader": next((it.name for it in nodes if it.leader), None),
        "hosts": [asdict(it) for it in found],
    }
    lines = [f"registry: {run.settings.registry_host}", f"storage: {run.settings.storage}"]
    lines += [f"leader: {content['leader'] or 'none, so nothing can be changed; registries that run serve on'}"]
    wrong = [it.host for it in found if it.problem]
    message = f"Something is wrong at {', '.join(wrong)}." if wrong else "The swarm has no leader."
    failure = RegistryError(message, cure="./inv swarm.up mends what can be mended.") if wrong or not leader else None
    return Report(
        content, Table("Hosts", _COLUMNS, [_row(it) for it in found]), lines, None if run.console.dry else failure
    )


def _row(found: HostStatus) -> tuple[str, ...]:
    shown = f"{found.certificate[:16]}…, {found.days_left} days" if found.certificate else ""
    node = f"{found.node} {found.part}".strip()
    return (found.host, node, found.engine, found.registry, found.front, shown, found.problem)


def _host(  # noqa: PLR0913 - what all of them know, and whose it is
    host: str, nodes: Sequence[Node], tasks: Sequence[Task], settings: Settings, wanted: str, *, known: bool
) -> HostStatus:
    """Return the state of a host, by the swarm if that has a leader, and by a client's connection."""
    node = next((it for it in nodes if it.address == host), None)
    seen = observe.look(probe.Endpoint(host, REGISTRY_PORT), issue.trust_anchor(settings.folder).path)
    registry, front = (_newest(service, node, tasks) for service in (REGISTRY, FRONT))
    problem = seen.connect_error or seen.distrust or seen.refused
    if seen.fingerprint and seen.fingerprint != wanted:
        problem = "its registry shows another certificate than domain.crt: ./inv swarm.renew"
    if known and not (node and node.works):
        problem = f"its node is {node.state if node and node.state != 'ready' else 'not active' if node else 'gone'}"
    elif known and front.state != RUNNING:
        problem = problem or f"its front is {front.state or 'absent'}{f': {front.error}' if front.error else ''}"
    return HostStatus(
        host=host,
        node=node.state if node else "",
        part=("leader" if node.leader else "manager" if node.manager else "worker") if node else "",
        engine=node.version if node else "",
        registry=registry.state,
        front=front.state,
        image=registry.image,
        certificate=seen.fingerprint,
        days_left=seen.certificate.days_left(inspect.now()) if seen.certificate else None,
        problem=problem,
    )


def _newest(service: str, node: Node | None, tasks: Sequence[Task]) -> Task:
    """Return the task of a service on a node that is to run, or one of no state."""
    own = [it for it in tasks if node and it.service == service and it.node == node.id and it.wanted == RUNNING]
    return next(iter(sorted(own, key=lambda it: it.state != RUNNING)), Task(service, "", "", ""))
