"""The registry on several hosts of a swarm: brought up step by step, so that the next run goes on with what is left."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from functools import partial

from trusted_registry import address, installation, saved_flags, status
from trusted_registry.bucket import opening
from trusted_registry.certificate import issue
from trusted_registry.console import pasteable
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance import front, front_image, images, ownership, run_lock, running
from trusted_registry.instance.model import Image, Role
from trusted_registry.report import Report
from trusted_registry.run import Run
from trusted_registry.swarm import machines, noted, rollout
from trusted_registry.swarm.machines import HostFacts
from trusted_registry.swarm.model import DOWN, SwarmNode
from trusted_registry.swarm.noted import Note
from trusted_registry.swarm.protocol import Swarm
from trusted_registry.swarm.stack import REGISTRY_PORT, Stack
from trusted_registry.tasks import cert, swarm_hosts, swarm_images, swarm_plan, trust_hosts
from trusted_registry.tasks.swarm_hosts import Access
from trusted_registry.trust.remote.hosts import HostResult


def up(run: Run, *, hosts: Sequence[str], init: bool, user: str, ask_become_pass: bool) -> Report:
    """Have the registry run on each host, clients there trust it, and an image pushed at one be pulled at the others.

    Raises:
        SettingError: A flag cannot be used, or the images are not in a bucket.
        RegistryError: A host is away or will not do; the next run goes on.
    """
    swarm_plan.planned(run, hosts)  # before a password is asked for
    engine, access = (
        engines.connect(run.console),
        swarm_hosts.access(user, run.console, ask_become_pass=ask_become_pass),
    )
    with run_lock.held(run):
        run, note = swarm_plan.planned(run.anew(), hosts)  # whoever was waited for may have changed the hosts
        return _Up(run, note, swarm_plan.connect(run), engine, access).carry_out(init=init)


class _Up:
    """Bringing up of the registry on the hosts of a note; each step changes only what is not as it should be."""

    def __init__(self, run: Run, note: Note, swarm: Swarm, engine: Engine, access: Access) -> None:
        self._run, self._note, self._swarm, self._engine, self._access = run, note, swarm, engine, access

    def carry_out(self, *, init: bool) -> Report:
        """Take every step, and report the hosts whose clients were told."""
        run, before = self._run, noted.read(self._run.settings.folder)
        saved_flags.announce(run)
        installation.ensure(run.settings.folder, run.console)
        single = self._single()
        self._check_bucket()
        found = (images.ensure(run, self._engine), front_image.ensure(run, self._engine))
        by_host = self._inspect(found)
        self._check(by_host, before, single, init=init)
        issued = issue.bring_up_to_date(run)  # which may be refused
        cert.say_briefly(run, "made" if issued else "already there")
        nodes = self._nodes(by_host, init=init)
        note = self._note = dataclasses.replace(
            self._note,
            unprivileged=max([it.unprivileged for it in by_host.values()], default=1024),
            nodes=tuple(it.id for it in nodes),
        )
        self._take_address(before)
        if not run.console.dry:  # from here on tasks about this machine alone refuse
            noted.save(run.settings.folder, note)
            saved_flags.save(run)
        self._load(found, by_host)
        changed = rollout.label(nodes, run, self._swarm)
        wanted = swarm_plan.plan(run, note, self._swarm, self._engine, found)
        changed = self._deploy(wanted, nodes, single) or changed
        self._give_address()
        rollout.check_served([*note.hosts, *filter(None, [note.address])], run.settings.port, run)
        report = trust_hosts.report(swarm_hosts.trust_authority(note.hosts, self._access, run))
        rollout.show(note.hosts, REGISTRY_PORT, run)
        rollout.sweep(wanted, run, self._swarm)
        if not (changed or issued):
            run.console.say("Nothing had to be changed.")
        cert.say_done(run.console, f"registry: https://{run.settings.registry_host}, on {', '.join(note.hosts)}")
        cert.say_done(run.console, status.next_steps(run.settings))
        return report

    def _single(self) -> Container | None:
        """Return the registry that runs on this machine alone, and is to be moved over.

        Raises:
            RegistryError: Its images are elsewhere than in the bucket that is set.
        """
        there = ownership.container(self._run, self._engine)
        if there is None or there.role != Role.TLS:
            return None
        if ownership.is_elsewhere(there, self._run.settings):
            wrong = f"The registry here has its images in {there.bucket or f'the volume {there.volume}'}."
            to = pasteable(["--to", *opening.location(self._run.settings).words])
            raise RegistryError(wrong, cure=self._run.settings.command(f"registry.move {to}"))
        return there

    def _check_bucket(self) -> None:
        run = self._run
        if not run.console.dry:
            opening.prove(run, opening.opened(run.settings), is_new=not noted.read(run.settings.folder).hosts)

    def _inspect(self, found: Sequence[Image]) -> dict[str, HostFacts]:
        """Return the facts of every host.

        Raises:
            RegistryError: One is away, or its engine or its clock will not do.
        """
        own = installation.known(self._run.settings.folder).id
        script, since = machines.inspection(found, (self._run.settings.port, REGISTRY_PORT), own), time.time()
        results = swarm_hosts.carry("inspect.sh", script, self._note.hosts, self._access, self._run)
        swarm_hosts.insist(results)
        by_host = {it.host: machines.facts(it, since) for it in results}
        for facts in by_host.values():
            machines.check(facts)
        return by_host

    def _check(self, by_host: Mapping[str, HostFacts], before: Note, single: Container | None, *, init: bool) -> None:
        """Insist on all that the hosts and the swarm have to be, before anything is changed.

        Raises:
            RegistryError: This engine manages no swarm, a host is no node of it, or somebody else has a name or a port.
        """
        run, hosts = self._run, self._note.hosts
        there = rollout.patiently(run.console, self._swarm.nodes)
        rollout.check_own(run, self._swarm)
        if run.console.dry:
            return
        if not there and not init:
            raise RegistryError("The engine here manages no swarm.", cure=self._init)
        if not there and not set(hosts) & set(address.own_addresses()):
            raise SettingError("With --init this machine must be one of the hosts.", cure=swarm_plan.HOSTS)
        for host in hosts:
            if not (init and by_host[host].state == machines.INACTIVE):
                machines.node_of(host, there, by_host[host], self._init)
        self._check_ports(by_host, there, single)
        virtual = self._note.address
        if virtual and virtual not in {before.address, *(it.address for it in by_host.values())}:
            machines.check_virtual(virtual)

    @property
    def _init(self) -> str:
        """Command that has the hosts join."""
        return self._run.settings.command(f"swarm.up {pasteable(['--init', '--hosts', ','.join(self._note.hosts)])}")

    def _nodes(self, by_host: Mapping[str, HostFacts], *, init: bool) -> list[SwarmNode]:
        """Return the nodes of the hosts, which join where that is wanted; in a dry run those that there are."""
        run, swarm, hosts = self._run, self._swarm, self._note.hosts
        there = rollout.patiently(run.console, swarm.nodes)
        first = [it for it in hosts if it in address.own_addresses()][:1] if init and not there else []
        if first:
            swarm.init(first[0])
            there = rollout.await_nodes(first, run, swarm)
        if run.console.dry:
            members = self._note.members(there)
            absent = [host for host, it in members.items() if init and it is None and host not in first]
            swarm_hosts.carry("join.sh", b"", absent, self._access, run)
            return [it for it in members.values() if it]
        left = [it for it in hosts if by_host[it].state == machines.INACTIVE and it not in first]
        if init and left:
            self._join(left, there)
            there = rollout.await_nodes(hosts, run, swarm)
        joined = {*first, *(left if init else ())}  # what they told is of before
        return [machines.node_of(it, there, None if it in joined else by_host[it], self._init) for it in hosts]

    def _join(self, hosts: Sequence[str], there: Sequence[SwarmNode]) -> None:
        """Have hosts join, as managers as long as more are needed; one after the other, as raft wants that."""
        leader = next((it for it in there if it.leader), there[0])
        if not leader.address:
            raise RegistryError("The swarm tells no address at which a host could join.", cure="docker node ls")
        former = [it for it in there if it.manager and it.state == DOWN and it.address in hosts]
        for node in former:
            drop = pasteable(["docker", "node", "demote", node.id]), pasteable(["docker", "node", "rm", node.id])
            self._run.console.warn(
                f"{node.address} joins anew; its former entry counts as a manager: {' && '.join(drop)}"
            )
        more = machines.managers(len(self._note.hosts)) - sum(it.manager and it not in former for it in there)
        for at, host in enumerate(hosts):
            token = rollout.patiently(self._run.console, partial(self._swarm.token, manager=at < more))
            script = machines.join(self._note.hosts, leader.address, token)
            swarm_hosts.insist(swarm_hosts.carry("join.sh", script, [host], self._access, self._run))

    def _check_ports(
        self, by_host: Mapping[str, HostFacts], nodes: Sequence[SwarmNode], single: Container | None
    ) -> None:
        """Insist that nobody else listens at the ports of a host that has no registry of this installation yet."""
        own = installation.known(self._run.settings.folder).id
        ours = {it.id for it in nodes if own and it.labels.get(installation.LABEL) == own}
        own_addresses = address.own_addresses() if single else ()
        moves = front.as_met(single, self._run.settings, self._engine).port if single else None
        for host, facts in by_host.items():
            taken = [it for it in facts.taken if not (host in own_addresses and it == moves)]
            if taken and facts.node not in ours:
                see = f"See who, and stop that: {pasteable(['ssh', host, 'ss', '-ltnp'])}; or another port: --port 8443"
                raise RegistryError(f"Port {taken[0]} of {host} is in use.", cure=see)

    def _load(self, found: Sequence[Image], by_host: Mapping[str, HostFacts]) -> None:
        for image in found:
            left = [it for it in self._note.hosts if it not in by_host or image.id not in by_host[it].images]
            content = self._engine.save(image.name) if left and not self._run.console.dry else ()
            script = machines.load(image, content)
            swarm_hosts.insist(swarm_hosts.carry("load.sh", script, left, self._access, self._run, large=True))

    def _deploy(self, wanted: Stack, nodes: Sequence[SwarmNode], single: Container | None) -> bool:
        """Deploy the stack; a registry on this machine goes on until those of the hosts are proved."""
        run, hosts = self._run, self._note.hosts
        swarm_images.end_collector(run, self._engine)
        if single:
            rollout.carry_out(dataclasses.replace(wanted, with_front=False), nodes, run, self._swarm)
            rollout.show(hosts, REGISTRY_PORT, run)
            since = time.monotonic()
            running.stop(run, self._engine, purge=False)
        changed, _ = rollout.carry_out(wanted, nodes, run, self._swarm)
        if single and not run.console.dry:
            rollout.check_served([it for it in hosts if it in address.own_addresses()], run.settings.port, run)
            run.console.say(f"registry: moved over; no answer here for {time.monotonic() - since:.1f} s")
            swarm_images.forget_pulls(run, self._engine)
        return changed

    def _take_address(self, before: Note) -> None:
        """Have hosts that are to have no virtual address any more give it up: the next run does not know of them."""
        gone = [it for it in before.hosts if before.address and (it not in self._note.hosts or not self._note.address)]
        swarm_hosts.warn_of_address(self._keepalived("", gone), before.address, self._run.console)

    def _give_address(self) -> None:
        """Have keepalived move the virtual address between the hosts."""
        if self._note.address:
            swarm_hosts.insist(self._keepalived(self._note.address, self._note.hosts))

    def _keepalived(self, virtual: str, hosts: Sequence[str]) -> tuple[HostResult, ...]:
        known = installation.known(self._run.settings.folder)
        port = self._run.settings.port
        script = machines.give_address(virtual, self._note.hosts, port, known.id, known.http_secret)
        return swarm_hosts.carry("address.sh", script, hosts, self._access, self._run)
