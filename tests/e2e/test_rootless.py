"""An engine that runs without root keeps its trust in its user's home."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.checkout import DEV
from tests.e2e.lab import IMAGES
from tests.e2e.steps import UNTRUSTED, hand_over, push

if TYPE_CHECKING:
    from tests.e2e.hosts import Host

RUNTIME = f"/run/user/{DEV}"
ENVIRONMENT = {
    "XDG_RUNTIME_DIR": RUNTIME,
    "DOCKER_HOST": f"unix://{RUNTIME}/docker.sock",
    "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    "HOME": "/home/dev",
}
START = "/usr/share/docker.io/contrib/dockerd-rootless.sh"
THEIRS = "/home/dev/.config/docker/certs.d"


def test_a_rootless_engine_trusts_by_its_users_directory_and_not_by_the_systems(registry: Host, client: Host) -> None:
    registry.inv("up")
    reference = f"{registry.address}/app:1"
    push(registry, reference)
    _start(client)
    hand_over(registry, client)
    client.settings |= ENVIRONMENT

    pull = ["docker", "pull", reference]
    client.fails(*pull, saying=UNTRUSTED, user="dev", env=ENVIRONMENT)
    client.inv("trust.linux", "--only", "docker-rootless")
    client.does("test", "-f", f"{THEIRS}/{registry.address}/ca.crt")
    client.fails("find", "/etc/docker/certs.d", saying="No such file")
    _as_dev(client, *pull)
    client.fails(*pull, saying=UNTRUSTED)  # the engine of root, beside it

    client.inv("trust.remove")
    _as_dev(client, "docker", "rmi", reference)
    client.fails(*pull, saying=UNTRUSTED, user="dev", env=ENVIRONMENT)


def test_a_rootless_engine_carries_the_registry_on_a_port_that_it_may_have(registry: Host, client: Host) -> None:
    _start(registry)
    registry.settings |= ENVIRONMENT
    for reference, (archive, program) in IMAGES.items():
        _as_dev(registry, "docker", "import", "--change", f'ENTRYPOINT ["{program}"]', archive, reference)
    registry.inv_fails("up", saying="./inv up --port 8443")
    registry.inv("up", registry_port="8443")
    reference = f"{registry.address}:8443/app:1"
    _as_dev(registry, "docker", "tag", "busybox:1", reference)
    _as_dev(registry, "docker", "push", reference)
    hand_over(registry, client)
    client.fails("docker", "pull", reference, saying=UNTRUSTED)
    client.inv("trust.linux", registry_port="8443")
    client.does("docker", "pull", reference)
    registry.inv("up", "--front", "on", registry_port="8443")
    registry.inv("cert.renew", registry_port="8443")
    client.does("docker", "rmi", reference)
    client.does("docker", "pull", reference)


def _as_dev(host: Host, *argv: str) -> None:
    host.does(*argv, user="dev", env=ENVIRONMENT)


def _start(host: Host) -> None:
    """Start the ordinary user's own engine, as a session of that user would."""
    host.does("install", "--directory", "--owner", "dev", "--mode", "0700", RUNTIME)
    environment = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    host.begin("runuser", "--user", "dev", "--", "env", *environment, START, log="/srv/rootless.log")
    ask = ("docker", "version")
    host.wait_for("the rootless engine", lambda: host.silently(*ask, user="dev", env=ENVIRONMENT).code == 0)
