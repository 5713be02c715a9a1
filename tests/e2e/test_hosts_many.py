"""Many machines from one, by trust.hosts: a real Ansible, real sshds, a real sudo."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.e2e.checkout import DEV, HOME
from tests.e2e.steps import is_refused, pull, push

if TYPE_CHECKING:
    from tests.e2e.hosts import Done, Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite

INVENTORY = f"{HOME}/hosts.ini"
TRUST = ("trust.hosts", "--inventory", INVENTORY)


def test_of_three_hosts_the_new_one_is_told_the_other_left_and_the_unreachable_one_named(
    registry: Host, client: Host, bystander: Host, lab: Lab, suite: Suite
) -> None:
    told, off = lab.start({"told": suite.name, "off": suite.name})
    registry.inv("up")
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    for host in (client, told):
        is_refused(host, reference)
    install_ansible(registry)
    let_in(registry, client, told)
    registry.write(INVENTORY, "".join(f"{host.name} ansible_host={host.address}\n" for host in (told, off, client)))

    registry.inv(*TRUST, "--limit", told.name)
    assert pull(told, reference) == pushed
    would = registry.inv_fails(*TRUST, "--check", saying="1 of 3 hosts")
    assert _table(would) == {told.name: "already trusted", off.name: "unreachable", client.name: "would change"}
    is_refused(client, reference)

    done = registry.inv_fails(*TRUST, saying="1 of 3 hosts")
    assert _table(done) == {told.name: "already trusted", off.name: "unreachable", client.name: "changed"}
    assert (done.code, f"--limit {off.name}" in done.err) == (1, True), done
    assert pull(client, reference) == pushed
    is_refused(bystander, reference)

    freed = registry.inv(*TRUST, "--remove", "--limit", f"{told.name},{client.name}")
    assert set(_table(freed).values()) == {"changed"}
    for host in (told, client):
        is_refused(host, reference)


def test_a_host_that_is_not_known_or_gives_no_root_refuses_until_that_is_mended(registry: Host, client: Host) -> None:
    registry.inv("up")
    reference = f"{registry.address}/app:1"
    pushed = push(registry, reference)
    install_ansible(registry)
    let_in(registry, client)
    registry.write(INVENTORY, f"{client.name} ansible_host={client.address}\n")

    known = registry.read("/home/dev/.ssh/known_hosts")
    registry.write("/home/dev/.ssh/known_hosts", "", owner=DEV)
    registry.inv_fails(*TRUST, saying="its host key is not known")
    registry.write("/home/dev/.ssh/known_hosts", known, owner=DEV)

    sudoers = client.read("/etc/sudoers.d/dev")
    client.does("rm", "/etc/sudoers.d/dev")
    client.does("gpasswd", "--delete", "dev", "sudo")
    registry.inv_fails(*TRUST, saying="no root there")
    is_refused(client, reference)

    client.write("/etc/sudoers.d/dev", sudoers, mode=0o440)
    registry.inv(*TRUST)
    assert pull(client, reference) == pushed


def install_ansible(registry: Host) -> None:
    """Type the command that the error names."""
    registry.write(INVENTORY, "nobody\n")
    missing = registry.inv_fails(*TRUST, saying="Ansible is not installed")
    cure = missing.err.partition("do: ")[2].strip()
    registry.does("sh", "-c", cure, user="dev", seconds=300)


def let_in(registry: Host, *hosts: Host) -> None:
    """Let the ordinary user of the registry's host into others, whose host keys that user has seen."""
    registry.does("install", "-d", "-m", "700", "/home/dev/.ssh", "-o", "dev", "-g", "dev")
    registry.does("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/home/dev/.ssh/id_ed25519", user="dev")
    key = registry.read("/home/dev/.ssh/id_ed25519.pub")
    seen = ""
    for host in hosts:
        host.does("service", "ssh", "start")
        host.does("install", "-d", "-m", "700", "/home/dev/.ssh", "-o", "dev", "-g", "dev")
        host.write("/home/dev/.ssh/authorized_keys", key, owner=DEV, mode=0o600)
        shown = host.read("/etc/ssh/ssh_host_ed25519_key.pub").split()
        seen += f"{host.address} {shown[0]} {shown[1]}\n"
    registry.write("/home/dev/.ssh/known_hosts", seen, owner=DEV)


def _table(done: Done) -> dict[str, str]:
    """Return the results that a table shows, by host."""
    _, _, table = done.out.partition("\nHosts\nhost ")
    rows = re.findall(r"^(\S+)  +([a-z][a-z ]*?)(?:  .*)?$", table, re.MULTILINE)
    assert rows, f"There is no table:\n{done}"
    return dict(rows)
