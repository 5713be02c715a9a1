"""Trust on nodes that are containers: kind, k3d, kubeadm-dind-cluster and the like."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace

from trusted_registry import program
from trusted_registry.console import Console, here_document, pasteable
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.report import Report, Table
from trusted_registry.run import Run
from trusted_registry.tasks import trust_kit
from trusted_registry.trust.remote import kit, nodes
from trusted_registry.trust.specifics import containerd

_ANY_NODE = nodes.Node("NODE", "", "running")
"""Placeholder for every node in a dry run without an engine."""
_KUBECTL_SECONDS = 30
_LARGEST_DUMP, _LONGEST_LINE = 1 << 18, 1 << 11
"""Characters of a containerd's configuration, and of a line of it: a parser's time grows with the line's square."""


@dataclass(frozen=True)
class NodeOptions:
    """Options of `trust.nodes`; by default every node is made to trust.

    Args:
        label: Label of the containers that are nodes, as KEY=VALUE or KEY.
        remove: Whether to remove trust.
        check: Whether only to check trust.
        restart: Whether to restart nodes that read trust at their start alone.
        mirrors: Whether nodes are told of the mirrors here, too.
    """

    label: str = ""
    remove: bool = False
    check: bool = False
    restart: bool = False
    mirrors: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of the kit for these options."""
        return ("--remove",) if self.remove else ("--check",) if self.check else ()


@dataclass(frozen=True)
class _KitRun:
    """One run of the kit over all nodes: options, script, engine and console."""

    options: NodeOptions
    name: str
    kit: bytes
    engine: Engine
    console: Console


def on_nodes(  # noqa: PLR0913 - the task has as many flags
    run: Run, *, label: str, remove: bool, check: bool, restart: bool, mirrors: bool = False
) -> Report:
    """Have every node trust the registry, and report the nodes; none in a dry run.

    Raises:
        SettingError: The flags contradict each other, or the label is not valid.
        RegistryError: No container is a node, or no node runs.
    """
    options = NodeOptions(label, remove=remove, check=check, restart=restart, mirrors=mirrors)
    return report(trust(run, engines.connect(run.console, anywhere=True), options))


def report(results: Sequence[nodes.NodeResult]) -> Report:
    """Report nodes, and whether all is well on every one."""
    if not results:
        return Report()
    rows = [[it.node.name, it.node.kind, it.runtime, it.state, it.left] for it in results]
    table = Table("nodes", ["node", "made by", "runtime", "result", "left to do"], rows)
    bad = [it.node.name for it in results if not it.fine]
    message = f"{len(bad)} of {len(results)} nodes have a problem: {', '.join(bad)}."
    failure = RegistryError(message, cure="Fix what the table names, then repeat the command.")
    return Report(table=table, failure=failure if bad else None)


def trust(run: Run, engine: Engine, options: NodeOptions) -> tuple[nodes.NodeResult, ...]:
    """Run the kit on every node, update their clusters, and return the result of each; none in a dry run.

    Raises:
        SettingError: The flags contradict each other, or the label is not valid.
        RegistryError: No container is a node, or no node runs.
    """
    if options.remove and options.check:
        raise SettingError("--remove and --check cannot be combined.", cure="Leave out one of the two.")
    if options.label:
        nodes.label(options.label)
    registry_host = run.settings.registry_host
    anchor = trust_kit.load_anchor(run.settings, dry=run.console.dry, mirrors=options.mirrors)
    name, script = kit.file_name(anchor, registry_host), kit.render(anchor, registry_host)
    kit_run = _KitRun(options, name, script, engine, run.console)
    found = nodes.select(engine.list_containers(), options.label) if engine.available else (_ANY_NODE,)
    if all(nodes.wake_command(node) for node in found):
        raise RegistryError("No node runs.", cure="; ".join(nodes.wake_command(node) for node in found))
    results = tuple(_run_on(node, kit_run) for node in found)
    contexts = dict.fromkeys(it.node.context for it in results if it.node.context and it.state != nodes.LEFT_OUT)
    kubectl = shutil.which("kubectl")
    for context in contexts if kubectl else ():
        _publish(context, registry_host, run.console, options)
    if not options.remove and not (contexts and kubectl):
        by_hand = _publish_by_hand(registry_host)
        run.console.say(f"for tools that ask a cluster for its registry, where kubectl is: {by_hand}")
    return () if run.console.dry else results


def _run_on(node: nodes.Node, kit_run: _KitRun) -> nodes.NodeResult:
    """Run the kit on one node and return the result; an error becomes a result, so that the other nodes go on."""
    wake, runtime = nodes.wake_command(node), ""
    if wake:
        return nodes.NodeResult(node, "", nodes.LEFT_OUT, f"it is {node.state}: {wake}")
    try:
        runtime = _runtime(node, kit_run.engine)
        flags = ("--only", nodes.STORES[runtime], *kit_run.options.flags)
        for argv in nodes.shown_commands(node.name, kit_run.name, flags):
            kit_run.console.command(argv)
        if kit_run.console.dry:
            return nodes.NodeResult(node, runtime, "")
        ran = kit_run.engine.execute(node.name, nodes.kit_argv(kit_run.kit, kit_run.name, flags))
        for note in nodes.notes(ran):
            kit_run.console.warn(f"{node.name}: {note}")
        result = nodes.read_result(node, runtime, ran)
        return replace(result, left=_left_to_do(result, kit_run)) if result.state != nodes.FAILED else result
    except RegistryError as error:
        return nodes.failure(node, runtime, error.message)


def _runtime(node: nodes.Node, engine: Engine) -> str:
    """Return the container runtime of a node; containerd in a dry run without an engine."""
    if not engine.available:
        return "containerd"
    found = engine.execute(node.name, ("sh", "-c", nodes.FIND_RUNTIME)).out.strip()
    if found not in nodes.STORES:
        raise RegistryError("neither containerd, nor k3s, nor dockerd is on its PATH", cure="")
    return found


def _left_to_do(result: nodes.NodeResult, kit_run: _KitRun) -> str:
    """Return the step that remains on a node after the kit, "" if none."""
    name = result.node.name
    if result.runtime == "k3s" and result.state == nodes.CHANGED:
        if kit_run.options.restart:
            kit_run.engine.restart(name)
            return "it was restarted"
        return f"k3s reads that when it starts: {pasteable(['docker', 'restart', name])}"
    if result.runtime == "containerd" and not kit_run.options.remove:
        try:
            advice = containerd.advice(_dump(name, kit_run.engine), _config(name, kit_run.engine))
        except RegistryError as error:
            kit_run.console.warn(f"{name}: {error.message}")
            return "see the note above"
        for one in advice:
            kit_run.console.warn(f"{name}: {one.words(prefix=('docker', 'exec', name))}")
        return "see the note above" if any(one.cure for one in advice) else ""
    return ""


def _dump(name: str, engine: Engine) -> str:
    """Return the effective configuration of a node's containerd."""
    ran = engine.execute(name, containerd.ASK)
    if ran.code != 0:
        last = (ran.err.strip() or "it does not say why").splitlines()[-1]
        raise RegistryError(f"containerd config dump failed: {nodes.short(last)}", cure="")
    if len(ran.out) > _LARGEST_DUMP or max(map(len, ran.out.splitlines()), default=0) > _LONGEST_LINE:
        raise RegistryError("containerd config dump printed no configuration of containerd's", cure="")
    return ran.out


def _config(name: str, engine: Engine) -> str:
    """Return the text of a node's config.toml; empty for none."""
    ran = engine.execute(name, ("cat", containerd.CONFIG))
    return ran.out if ran.code == 0 else ""


def _publish(context: str, registry_host: str, console: Console, options: NodeOptions) -> None:
    """Publish the registry in a cluster's ConfigMap if kubectl reaches the cluster; others' entries stay."""
    if console.dry:
        text = here_document(nodes.manifest(registry_host))
        console.command(nodes.withdraw(context) if options.remove else [*nodes.publish(context), text])
        return
    try:
        asked = program.capture(nodes.ask_config(context), timeout=_KUBECTL_SECONDS)
        if not asked.ok:
            by_hand = _publish_by_hand(registry_host)
            console.say(f"kubectl does not reach {context} ({asked.last_line}); where it does: {by_hand}")
            return
        _update_config_map(context, registry_host, nodes.published(asked.out), console, options)
    except RegistryError as error:
        console.warn(f"{context} was not told: {error.message}")


def _publish_by_hand(registry_host: str) -> str:
    return pasteable(nodes.publish_by_hand(registry_host))


def _update_config_map(
    context: str, registry_host: str, said: tuple[str, bool], console: Console, options: NodeOptions
) -> None:
    """Update a cluster's ConfigMap, unless right or written by others."""
    host, ours = said
    named = f"{context}: {nodes.NAMESPACE}/{nodes.CONFIG_MAP} names {host or 'no registry'}"
    if options.check or host == ("" if options.remove else registry_host):
        console.say(named)
    elif not ours:
        console.warn(f"{named}, which was not written here; it was left so")
    elif options.remove and host != registry_host:
        console.warn(f"{named}, which is another one; it was left so")
    elif options.remove:
        program.run(nodes.withdraw(context), console, timeout=_KUBECTL_SECONDS)
        console.say(f"{context}: {nodes.NAMESPACE}/{nodes.CONFIG_MAP} is gone")
    else:
        program.run(nodes.publish(context), console, text=nodes.manifest(registry_host), timeout=_KUBECTL_SECONDS)
        console.say(f"{context}: {nodes.NAMESPACE}/{nodes.CONFIG_MAP} now names {registry_host}")
