"""What is kept of a scenario that failed, and the table at the end."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from docker.errors import DockerException

from tests.e2e.checkout import HOME, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.e2e.hosts import Host

FOLDER = ROOT / "e2e-report"

SERVICES = """
docker node ls
docker service ps --no-trunc $(docker service ls --quiet)
for it in $(docker ps --all --quiet --filter label=trusted-registry.role); do
    echo "$it" && docker logs --timestamps --tail 200 "$it"
done
cat /etc/keepalived/keepalived.conf | grep -v auth_pass
"""
"""What the node of a swarm says of its services; where there is no swarm, that is said too."""

EVIDENCE = {
    "engine.log": ["cat", "/var/log/docker.log"],
    "daemon.json": ["cat", "/etc/docker/daemon.json"],
    "containers.txt": ["docker", "ps", "--all", "--no-trunc"],
    "registry.log": ["docker", "logs", "--timestamps", "registry"],
    "registry.json": ["docker", "inspect", "registry"],
    "services.txt": ["sh", "-c", SERVICES],
    "trust.txt": ["find", "/etc/docker", "/etc/containers/certs.d", "/usr/local/share/ca-certificates", "-ls"],
    "addresses.txt": ["ip", "address"],
    "files.txt": ["ls", "-lAR", "certs"],
}
"""Files of a report, and the commands on a host whose words they hold."""

CERTIFICATES = ["find", f"{HOME}/certs", "/etc/docker/certs.d", "-name", "*.crt"]


@dataclass(frozen=True)
class Ended:
    """A scenario's end: its name, how it went, and how many seconds it took, its hosts' start left out."""

    name: str
    result: str
    seconds: float


def keep(suite: str, scenario: str, hosts: Iterable[Host]) -> Path:
    """Keep what the hosts can say of a failure, a folder a host, and return the folder of them all."""
    folder = FOLDER / suite / scenario
    shutil.rmtree(folder, ignore_errors=True)
    for host in list(hosts):
        _keep_host(host, folder / host.name)
    return folder.relative_to(ROOT)


def _keep_host(host: Host, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "commands.txt").write_text("\n\n".join(map(str, host.history)))
    try:
        for file, argv in EVIDENCE.items():
            (folder / file).write_text(str(host.silently("timeout", "20", *argv)))
        (folder / "certificates.txt").write_text("\n".join(_in_words(host)))
    except DockerException as error:  # a host that is gone has nothing more to say
        (folder / "unreachable.txt").write_text(str(error))


def _in_words(host: Host) -> list[str]:
    found = host.silently(*CERTIFICATES).out.split()
    return [str(host.silently("openssl", "x509", "-in", path, "-noout", "-text")) for path in found]


def table(ended: Iterable[Ended]) -> list[str]:
    """Return the summary, a line a scenario."""
    return [f"{one.result:8} {one.seconds:6.1f} s  {sentence(one.name)}" for one in ended]


def sentence(name: str) -> str:
    """Return a test's name as the sentence that it is."""
    return name.removeprefix("test_").replace("_", " ")
