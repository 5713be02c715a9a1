"""Three hosts of three generations, a bucket on a fourth, and a client: the registry on a swarm, in the lab.

A scenario that shares them leaves all of them well. None may use `pair` beside them, whose end clears the lab.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e import s3
from tests.e2e.checkout import HOME
from tests.e2e.steps import hand_over
from tests.e2e.suites import SUITES
from tests.e2e.test_hosts_many import install_ansible, let_in
from tests.e2e.test_login import PIPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.hosts import Done, Host
    from tests.e2e.lab import Lab
    from tests.e2e.s3 import Server
    from tests.e2e.suites import Suite

PORT = 5443
"""Port at which each host's registry answers, beside its front."""
SECONDS = 900
"""Seconds that a task may take: each host has its share of them."""
LISTED = """
docker node inspect --format '{{.ID}} {{json .Spec}}' $(docker node ls --quiet)
docker service inspect --format '{{.ID}} {{.Version.Index}} {{json .Spec}}' $(docker service ls --quiet)
docker service ps --no-trunc --filter desired-state=running --format '{{.ID}} {{.Name}} {{.Node}}' \\
    $(docker service ls --quiet)
docker secret ls --format '{{.ID}} {{.Name}}'
docker config ls --format '{{.ID}} {{.Name}}'
"""
"""What a swarm has, but nothing that is another a moment later."""


@dataclass(frozen=True)
class Site:
    """Hosts of a swarm, or of one that is to be made, the bucket's server, and a client that is none of them.

    Args:
        hosts: The hosts; the first has the checkout, Ansible, and the bucket's key.
        server: The bucket's server.
        client: The client.
        virtual: An address that nobody has yet.
    """

    hosts: tuple[Host, ...]
    server: Server
    client: Host
    virtual: str

    @property
    def first(self) -> Host:
        """The host on which the tasks are typed."""
        return self.hosts[0]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses of the hosts, which all must be on."""
        return tuple(it.address for it in self.hosts)

    @property
    def named(self) -> tuple[str, str]:
        """The flag that names all hosts."""
        return ("--hosts", ",".join(self.addresses))

    def inv(self, *words: str) -> Done:
        """Run tasks on the first host that may take minutes."""
        return self.first.does("./inv", *words, user="dev", env=self.first.settings, seconds=SECONDS)

    def up(self, *words: str) -> str:
        """Bring the registry up, and return what was said."""
        return self.inv("swarm.up", *words).said

    def trusted_by_client(self, address: str) -> None:
        """Have the client trust the registry at an address."""
        hand_over(self.first, self.client)
        self.client.settings["INVOKE_REGISTRY_ADDRESS"] = address
        self.client.inv("trust.linux")

    def add_user(self, name: str, password: str) -> None:
        """Let a user in, the password on standard input."""
        argv = ("sh", "-c", PIPE, "sh", password, f"{HOME}/inv", "registry.user.add", name)
        self.first.does(*argv, user="dev", env=self.first.settings, seconds=SECONDS)

    def status(self) -> Any:  # noqa: ANN401 - JSON
        """Return the state of all hosts, as the task tells it."""
        return json.loads(self.inv("swarm.status", "--json").out)

    def is_well(self) -> bool:
        """Whether nothing is wrong at any host."""
        return self.first.silently("./inv", "swarm.status", user="dev", env=self.first.settings).code == 0

    def becomes_well(self) -> None:
        """Wait until nothing is wrong at any host: the swarm mends by itself."""
        self.first.wait_for("every host is well", self.is_well, seconds=300)

    def listed(self) -> str:
        """Return all that the swarm has."""
        return self.first.does("sh", "-c", LISTED).out

    def containers(self) -> list[dict[str, str]]:
        """Return the containers that run on each host."""
        return [it.containers() for it in self.hosts]

    def container(self, host: Host, service: str) -> str:
        """Return the number of the container of a service on a host."""
        found: list[str] = []

        def is_alone() -> bool:
            running = host.containers().items()
            found[:] = [it for name, it in running if name.startswith(f"trusted-registry_{service}.")]
            return len(found) == 1

        host.wait_for(f"one {service} is left", is_alone)  # one that was replaced ends what is under way first
        return found[0]

    def holder(self) -> Host:
        """Return the host that has the virtual address, which may just be moved."""
        return self._one("the address is at one host", self._holders)

    def _holders(self) -> list[Host]:
        return [it for it in self.hosts if it.silently("ip", "-o", "-4", "addr", "show", "to", self.virtual).out]

    def leader(self) -> Host:
        """Return the host whose engine leads the swarm."""
        argv = ("docker", "node", "inspect", "self", "--format", "{{.ManagerStatus.Leader}}")
        return self._one("one host leads", lambda: [it for it in self.hosts if it.silently(*argv).out == "true\n"])

    def _one(self, what: str, find: Callable[[], list[Host]]) -> Host:
        found: list[Host] = []

        def is_one() -> bool:
            found[:] = find()
            return len(found) == 1

        self.first.wait_for(what, is_one)
        return found[0]

    def parts_address_from_leader(self) -> None:
        """Have the virtual address be at a host that does not lead the swarm, so that either can be lost alone."""
        leader = self.leader()
        if self.holder() is not leader:
            return
        leader.does("service", "keepalived", "stop")
        leader.wait_for("another has the address", lambda: self._holders() not in ([], [leader]))
        leader.does("service", "keepalived", "start")

    def another(self) -> Host:
        """Return a host that neither leads the swarm nor has the virtual address."""
        known = (self.holder(), self.leader())
        return next(it for it in self.hosts if it not in known)


def prepare(lab: Lab, suite: Suite, folder: Path) -> Site:
    """Start hosts that have all that a swarm takes, and make none yet.

    Args:
        lab: The lab.
        suite: Suite of the client.
        folder: A folder here, for keys.
    """
    names = {f"swarm-{name}": name for name in SUITES}
    *hosts, bucket, client = lab.start({**names, "swarm-bucket": "bookworm", "swarm-client": suite.name})
    server = s3.start(bucket, folder)
    first, *others = hosts
    server.is_told_to(first)
    s3.install_boto3(first)
    first.inv("cert")  # without which nobody is told that Ansible is missing
    install_ansible(first)
    let_in(first, *others)
    return Site(tuple(hosts), server, client, lab.address())


def remove(lab: Lab, site: Site) -> None:
    """Remove the hosts."""
    lab.stop([it.name for it in (*site.hosts, site.server.host, site.client)])


@contextlib.contextmanager
def off(host: Host) -> Iterator[None]:
    """Have a host be without power for a while; then it boots, as far as a container does."""
    host.container.kill()
    try:
        yield
    finally:
        host.container.start()
        host.wait()
        host.does("service", "ssh", "start")  # as a machine's init would
        host.run("service", "keepalived", "start")  # where there is one


@contextlib.contextmanager
def hung(host: Host) -> Iterator[None]:
    """Have nothing on a host go on for a while; its kernel answers."""
    host.container.pause()
    try:
        yield
    finally:
        host.container.unpause()
        host.wait()
