"""A registry that is replaced on a real engine: what ran goes on running where its successor proves nothing."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.engine.conftest import PORT, ROOT, Host
from tests.engine.test_up import answers, container, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

pytestmark = pytest.mark.engine

BEFORE = "-before"


@pytest.fixture
def bad_image(client: docker.DockerClient) -> Iterator[str]:
    """An image that is there and is no registry: it holds nothing that could be started."""
    name = "trusted-registry-test-bad:2"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    client.api.import_image_from_data(content.getvalue(), repository=name.partition(":")[0], tag="2")
    yield name
    client.images.remove(name, force=True)


def _names(client: docker.DockerClient, host: Host) -> list[str]:
    found = [str(it["Names"][0]).lstrip("/") for it in client.api.containers(all=True)]
    return sorted(name for name in found if name in (host.name, f"{host.name}{BEFORE}"))


def _policy(client: docker.DockerClient, host: Host) -> str:
    return str(container(client, host)["HostConfig"]["RestartPolicy"]["Name"])


def test_an_image_that_is_no_registry_leaves_the_one_that_ran(
    host: Host, client: docker.DockerClient, bad_image: str
) -> None:
    host.inv("up")
    before = client.containers.get(host.name).id
    said = host.refused("registry.tls", INVOKE_REGISTRY_IMAGE=bad_image)
    assert "That was only tried: the registry that runs goes on." in said
    assert (client.containers.get(host.name).id, answers(host), _names(client, host)) == (before, True, [host.name])
    assert _policy(client, host) == "always"
    assert "Nothing had to be changed." in host.inv("up")


def test_an_image_that_starts_and_dies_leaves_the_one_that_ran_on_its_port(
    host: Host, client: docker.DockerClient, registry_image: str
) -> None:
    """The registry's own image, made to fail by an entry point of its own."""
    host.inv("up")
    name = "trusted-registry-test-dies:2"
    made = client.containers.create(registry_image, entrypoint=["/no/such/program"])
    made.commit("trusted-registry-test-dies", "2", changes='ENTRYPOINT ["/bin/registry", "--no-such-flag"]')
    made.remove()
    try:
        said = host.refused("registry.tls", "--port", str(PORT + 7), INVOKE_REGISTRY_IMAGE=name)
        assert "That was only tried: the registry that runs goes on." in said
        assert (answers(host), _names(client, host)) == (True, [host.name])
    finally:
        client.images.remove(name, force=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_a_run_that_is_cut_short_in_the_middle_is_mended_by_the_next_up(
    host: Host, client: docker.DockerClient, number: signal.Signals
) -> None:
    host.inv("up")
    argv = [sys.executable, "-m", "invoke", "registry.tls", "--port", str(PORT + 8)]
    environ = {**os.environ, **host.environ}
    del environ["INVOKE_REGISTRY_PORT"]
    with subprocess.Popen(argv, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        assert wait_for(lambda: f"{host.name}{BEFORE}" in _names(client, host) or run.poll() is not None)
        with contextlib.suppress(ProcessLookupError):
            run.send_signal(number)
        run.communicate(timeout=120)
    host.inv("up")
    assert (answers(host), _names(client, host), _policy(client, host)) == (True, [host.name], "always")
