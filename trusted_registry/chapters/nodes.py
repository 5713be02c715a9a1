"""Trust on the nodes of clusters that run in containers: kind, k3d, kubeadm-dind-cluster and their like."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trusted_registry import address, run
from trusted_registry.chapters import kit as kits
from trusted_registry.edge import printable
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.registry import inside
from trusted_registry.trust.clients import containerd
from trusted_registry.trust.elsewhere import kit, nodes
from trusted_registry.trust.elsewhere.nodes import Node, Outcome

if TYPE_CHECKING:
    from trusted_registry.edge import Edge
    from trusted_registry.registry.engine import Engine
    from trusted_registry.settings import Settings

_ANY = Node("NODE", "", "running")
"""Stands for every node in a dry run without an engine."""
_KUBECTL_SECONDS = 30


@dataclass(frozen=True)
class Errand:
    """What is wanted: by default that all nodes trust.

    Args:
        label: Only containers with this label, as KEY=VALUE or KEY.
        remove: That they do no longer.
        check: Only to be told whether they do.
        restart: That what reads trust only at its start is started anew.
    """

    label: str = ""
    remove: bool = False
    check: bool = False
    restart: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """What the kit is told."""
        return ("--remove",) if self.remove else ("--check",) if self.check else ()


@dataclass(frozen=True)
class _Round:
    """One errand, with what it takes on every node."""

    errand: Errand
    name: str
    kit: bytes
    engine: Engine
    edge: Edge


def trust(settings: Settings, engine: Engine, edge: Edge, errand: Errand) -> tuple[Outcome, ...]:
    """Run the kit on every node, tell their clusters, and return how it ended on each; nothing in a dry run.

    Raises:
        SettingError: The flags contradict each other, or the label is none.
        RegistryError: No container is a node, or none of the nodes runs.
    """
    if errand.remove and errand.check:
        raise SettingError("--remove and --check are two things.", cure="Leave one of the two out.")
    if errand.label:
        nodes.label(errand.label)
    subject, reference = kits.subject(settings, dry=edge.dry), address.reference(settings.address, settings.port)
    its = _Round(errand, kit.file_name(subject, reference), kit.render(subject, reference), engine, edge)
    found = nodes.select(inside.containers(engine), errand.label) if engine.here else (_ANY,)
    if all(nodes.wake(node) for node in found):
        raise RegistryError("No node runs.", cure="; ".join(nodes.wake(node) for node in found))
    outcomes = tuple(_on(node, its) for node in found)
    contexts = dict.fromkeys(it.node.context for it in outcomes if it.node.context and it.state != nodes.LEFT_OUT)
    kubectl = shutil.which("kubectl")
    for context in contexts if kubectl else ():
        _tell(context, reference, edge, errand)
    if not errand.remove and not (contexts and kubectl):
        edge.say(f"for tools that ask a cluster for its registry, where kubectl is: {_by_hand(reference)}")
    return () if edge.dry else outcomes


def _on(node: Node, its: _Round) -> Outcome:
    """Run the kit on one node; whatever goes wrong there is its outcome, and no matter of the others."""
    wake, runtime = nodes.wake(node), ""
    if wake:
        return Outcome(node, "", nodes.LEFT_OUT, f"it is {node.state}: {wake}")
    try:
        runtime = _runtime(node, its.engine)
        flags = ("--only", nodes.STORES[runtime], *its.errand.flags)
        for argv in nodes.typed(node.name, its.name, flags):
            its.edge.command(argv)
        if its.edge.dry:
            return Outcome(node, runtime, "")
        ran = inside.run(its.engine, node.name, nodes.kit_argv(its.kit, its.name, flags))
        for note in nodes.notes(ran):
            its.edge.warn(f"{node.name}: {note}")
        outcome = nodes.read(node, runtime, ran)
        return replace(outcome, left=_left(outcome, its)) if outcome.state != nodes.FAILED else outcome
    except RegistryError as error:
        return nodes.failed(node, runtime, error.message)


def _runtime(node: Node, engine: Engine) -> str:
    """Return what pulls images on a node; for any node, where no engine answers a dry run."""
    if not engine.here:
        return "containerd"
    found = inside.run(engine, node.name, ("sh", "-c", nodes.LOOK)).out.strip()
    if found not in nodes.STORES:
        raise RegistryError("neither containerd, nor k3s, nor dockerd is on its PATH", cure="")
    return found


def _left(outcome: Outcome, its: _Round) -> str:
    """Return what is left to do on a node once the kit is through."""
    name = outcome.node.name
    if outcome.runtime == "k3s" and outcome.state == nodes.CHANGED:
        if its.errand.restart:
            its.engine.restart(name)
            return "it was restarted"
        return f"k3s reads that when it starts: docker restart {name}"
    if outcome.runtime == "containerd" and not its.errand.remove:
        try:
            advice = containerd.advice(_dump(name, its.engine))
        except RegistryError as error:
            its.edge.warn(f"{name}: {error.message}")
            return "see the note above"
        for one in advice:
            its.edge.warn(f"{name}: {one.words(inside=('docker', 'exec', name))}")
        return "see the note above" if any(one.cure for one in advice) else ""
    return ""


def _dump(name: str, engine: Engine) -> str:
    """Return what a node's containerd goes by."""
    ran = inside.run(engine, name, containerd.ASK)
    if ran.code != 0:
        last = (ran.err.strip() or "it does not say why").splitlines()[-1]
        raise RegistryError(f"containerd config dump failed: {last}", cure="")
    return ran.out


def _tell(context: str, reference: str, edge: Edge, errand: Errand) -> None:
    """Have a cluster name the registry, where kubectl reaches it; another's word is left to stand."""
    if edge.dry:
        edge.command(nodes.withdraw(context) if errand.remove else nodes.publish(context))
        return
    try:
        asked = run.look(nodes.ask(context), timeout=_KUBECTL_SECONDS)
        if not asked.ok:
            edge.say(f"kubectl does not reach {context} ({asked.last_words}); where it does: {_by_hand(reference)}")
            return
        _settle(context, reference, nodes.published(asked.out), edge, errand)
    except RegistryError as error:
        edge.warn(f"{context} was not told: {error.message}")


def _by_hand(reference: str) -> str:
    return printable(nodes.by_hand(reference))


def _settle(context: str, reference: str, said: tuple[str, bool], edge: Edge, errand: Errand) -> None:
    """Change what a cluster names, unless it is right, or somebody else's."""
    host, ours = said
    named = f"{context}: {nodes.NAMESPACE}/{nodes.CONFIG_MAP} names {host or 'no registry'}"
    if errand.check or (not errand.remove and host == reference) or (errand.remove and not host):
        edge.say(named)
    elif not ours:
        edge.warn(f"{named}, which was not written here; it was left so")
    elif errand.remove and host != reference:
        edge.warn(f"{named}, which is another one; it was left so")
    elif errand.remove:
        _change(nodes.withdraw(context), "", edge)
        edge.say(f"{context}: {nodes.NAMESPACE}/{nodes.CONFIG_MAP} is gone")
    else:
        _change(nodes.publish(context), nodes.manifest(reference), edge)
        edge.say(f"{context}: {nodes.NAMESPACE}/{nodes.CONFIG_MAP} now names {reference}")


def _change(argv: tuple[str, ...], text: str, edge: Edge) -> None:
    edge.command(argv)
    done = run.look(argv, text=text, timeout=_KUBECTL_SECONDS)
    if not done.ok:
        raise RegistryError(f"kubectl failed: {done.last_words}", cure=f"Try it by hand: {printable(argv)}")
