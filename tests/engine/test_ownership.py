"""Images, volumes and containers on a real engine: used by the installation that made them, and by no other."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import docker
import pytest

from tests.engine.checkouts import brought_up_to_date, earlier
from tests.engine.conftest import NAME, ROOT, Host, clear
from tests.engine.test_refusals import UNREACHABLE
from trusted_registry import installation
from trusted_registry.registry import layer, probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trusted_registry.installation import MadeImage

pytestmark = pytest.mark.engine

FORGED = "somebody/handy-tool:1"
LABELS = ("trusted-registry.origin", "trusted-registry.instead-of", "trusted-registry.shell")


@pytest.fixture
def second(tmp_path: Path, client: docker.DockerClient) -> Iterator[Host]:
    """Another installation on this machine, that is told to use the first one's names."""
    folder = tmp_path / "second"
    folder.mkdir()
    made = Host(folder, folder / "state")
    yield made
    for name in ("my-registry", "my-registry-2"):
        with contextlib.suppress(docker.errors.NotFound):
            client.containers.get(name).remove(force=True)
        with contextlib.suppress(docker.errors.NotFound):
            client.volumes.get(name).remove()
    made.run("trust.remove")


@pytest.fixture
def foreign(client: docker.DockerClient) -> Iterator[str]:
    """A volume that nobody of this project made, with something in it."""
    volume = client.volumes.create(f"{NAME}-foreign")
    yield str(volume.name)
    volume.remove()


@pytest.fixture
def forged(client: docker.DockerClient) -> Iterator[str]:
    """An image that says of itself that it was made here in place of the registry's, and prints what it is given."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        script = b"#!/bin/sh\ncat /config/domain.key\n"
        member = tarfile.TarInfo("bin/registry")
        member.size, member.mode = len(script), 0o755
        tar.addfile(member, io.BytesIO(script))
    origin, instead, shell = LABELS
    labels = f'LABEL {origin}="the package docker-registry" {instead}="{UNREACHABLE}" {shell}="/bin/sh"'
    repository, tag = FORGED.split(":")
    changes = ['ENTRYPOINT ["/bin/registry"]', labels]
    client.api.import_image_from_data(buffer.getvalue(), repository=repository, tag=tag, changes=changes)
    yield str(client.images.get(FORGED).id)
    client.images.remove(FORGED, force=True)


def _inspect(client: docker.DockerClient, name: str) -> dict[str, object]:
    attributes: dict[str, object] = client.containers.get(name).attrs
    return attributes


def _volumes(client: docker.DockerClient, name: str) -> list[str]:
    mounts = client.containers.get(name).attrs["Mounts"]
    return [mount["Name"] for mount in mounts if mount["Type"] == "volume"]


def _push(host: Host, client: docker.DockerClient) -> None:
    """Push an image of this machine's user."""
    repository = f"{host.reference}/mine"
    client.api.import_image_from_data(layer.random_tar(), repository=repository, tag="1")
    assert "error" not in client.images.push(repository, tag="1")
    client.images.remove(f"{repository}:1")


def _made(host: Host) -> tuple[str, MadeImage]:
    """Return the image that this installation made in place of the one that cannot be pulled."""
    images = installation.known(host.certs).images.items()
    return next((id_, image) for id_, image in images if image.instead_of == UNREACHABLE)


# Images


def test_an_image_that_says_it_was_made_here_is_not_run(host: Host, client: docker.DockerClient, forged: str) -> None:
    said = host.inv("up", INVOKE_REGISTRY_IMAGE=UNREACHABLE)
    assert FORGED not in said
    assert "image: package docker-registry" in said
    runs = _inspect(client, host.name)["Image"]
    assert (runs != forged, runs) == (True, _made(host)[0])


def test_what_was_made_here_runs_by_its_id_though_its_name_is_moved(
    host: Host, client: docker.DockerClient, forged: str
) -> None:
    host.inv("up", INVOKE_REGISTRY_IMAGE=UNREACHABLE)
    id_, made = _made(host)
    repository, tag = made.reference.split(":")
    client.images.get(forged).tag(repository, tag=tag)
    try:
        for task in ("down", "up"):
            host.inv(task, INVOKE_REGISTRY_IMAGE=UNREACHABLE)
        host.run("registry.user.add", "ada", INVOKE_REGISTRY_IMAGE=UNREACHABLE)
        assert _inspect(client, host.name)["Image"] == id_
    finally:
        client.images.get(id_).tag(repository, tag=tag)
    assert host.status()["registry"]["image"] == made.reference


@pytest.mark.long
def test_a_label_gives_an_image_no_shell(host: Host, forged: str) -> None:
    host.inv("cert")
    done = host.run("registry.tls", INVOKE_REGISTRY_IMAGE=FORGED)
    assert forged
    assert f"{FORGED} may have no shell" in done.stderr
    assert not (host.certs / "start.sh").exists()


# Two installations


def _paste(host: Host, cure: str) -> str:
    """Run a cure as it was printed, by a shell; what the tests set themselves stands behind."""
    line = cure.replace("./inv", f"{sys.executable} -m invoke")
    environ = {**os.environ, **host.environ}
    done = subprocess.run(["sh", "-c", line], cwd=host.root, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _status(host: Host, port: int, path: str = "/v2/") -> int:
    trust = probe.context(host.certs / "ca.crt")
    return probe.request(probe.Endpoint(host.address, port), "GET", path, trust)[0]


def _cure(said: str) -> str:
    found = re.search(r"INVOKE_REGISTRY_CONTAINER=\S+ INVOKE_REGISTRY_VOLUME=\S+ \S+ up[^;\n]*", said)
    assert found, said
    return found.group()


@pytest.mark.long
def test_a_second_installation_never_has_the_first_one_s_volume_whichever_cure_is_pasted(
    host: Host, second: Host, client: docker.DockerClient
) -> None:
    host.inv("up")
    _push(host, client)
    (host.certs / "users").mkdir(mode=0o700)
    (host.certs / "users" / "htpasswd").write_text(f"ada:$2y$10${'a' * 53}\n")
    host.inv("registry.tls")
    assert _status(host, host.port) == 401

    said = second.refused("up")
    assert "another checkout's" in said
    assert "did not make it" in second.refused("up", "--port", "8555", INVOKE_REGISTRY_CONTAINER="my-registry")
    assert not (second.certs / "issuer.key").exists()
    _paste(second, _cure(said))
    port = int(client.containers.get("my-registry").attrs["HostConfig"]["PortBindings"]["5000/tcp"][0]["HostPort"])
    assert (port != host.port, _status(second, port)) == (True, 200)
    assert _status(second, port, "/v2/mine/tags/list") == 404
    assert not set(_volumes(client, "my-registry")) & set(_volumes(client, host.name))

    second.name = "my-registry"
    assert "did not make it" in second.refused("down", "--purge", "--yes", INVOKE_REGISTRY_VOLUME=host.name)
    assert client.containers.get("my-registry").status == "running"
    second.inv("down", "--purge", "--yes")
    assert _status(host, host.port) == 401
    assert client.volumes.get(host.name)


# Volumes


@pytest.mark.parametrize(
    "task",
    [
        ("down", "--purge", "--yes"),
        pytest.param(("registry.stop", "--purge", "--yes"), marks=pytest.mark.long),
        pytest.param(("up",), marks=pytest.mark.long),
    ],
)
def test_a_volume_of_somebody_else_s_lives_on_and_is_named(
    task: tuple[str, ...], host: Host, client: docker.DockerClient, foreign: str
) -> None:
    host.inv("registry.basic")
    said = host.refused(*task, INVOKE_REGISTRY_VOLUME=foreign)
    assert f"A volume named {foreign} exists, and this installation did not make it" in said
    assert client.volumes.get(foreign)
    assert client.containers.get(host.name).status == "running"
    assert not (host.certs / "issuer.key").exists()


@pytest.mark.parametrize("task", ["up", pytest.param("registry.basic", marks=pytest.mark.long)])
def test_a_volume_of_the_set_name_that_is_somebody_else_s_is_used_only_when_a_person_says_so(
    task: str, host: Host, client: docker.DockerClient
) -> None:
    client.volumes.create(host.name)
    assert f"A volume named {host.name} exists" in host.refused(task)
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(host.name)
    assert f"A volume named {host.name} exists" in host.refused("down", "--purge", "--yes")
    assert f"{host.name} is this installation's from now on" in host.inv("up", "--adopt")
    host.inv("down", "--purge", "--yes")
    with pytest.raises(docker.errors.NotFound):
        client.volumes.get(host.name)


def _prune(client: docker.DockerClient, host: Host) -> list[str]:
    """Prune volumes as the engine does, but none without this installation's label."""
    filters = {"label": f"{installation.LABEL}={installation.known(host.certs).id}"}
    named = {} if int(client.version()["Version"].partition(".")[0]) < 23 else {"all": "true"}
    return list(client.volumes.prune(filters={**filters, **named})["VolumesDeleted"] or [])


@pytest.mark.parametrize(
    ("start", "stop"), [pytest.param("up", "down", marks=pytest.mark.long), ("registry.basic", "registry.stop")]
)
def test_what_a_prune_takes_from_a_stopped_registry_is_told_before(
    start: str, stop: str, host: Host, client: docker.DockerClient
) -> None:
    host.inv(start)
    assert _prune(client, host) == []
    told = host.run(stop)
    assert "docker volume prune" in told.stderr
    assert host.name in told.stderr
    assert _prune(client, host) == [host.name]
    assert "docker volume prune" not in host.run(stop).stderr
    host.inv(start)


# A version before ids


@pytest.fixture
def old(tmp_path: Path, client: docker.DockerClient) -> Iterator[Host]:
    """A checkout of the version before ids, on this machine."""
    root = earlier(tmp_path / "checkout")
    made = Host(root, tmp_path / "state", root=root)
    clear(made, client)
    yield made
    here = dataclasses.replace(made, root=ROOT)  # the checkout may be somewhere else by now
    here.run("trust.remove", "--all")
    clear(here, client)


def _moved(host: Host, to: Path) -> Host:
    host.root.rename(to)
    return dataclasses.replace(host, folder=to, root=to)


@pytest.mark.long
@pytest.mark.parametrize("first", ["up", "down"])
def test_a_registry_of_an_older_version_is_adopted_with_its_images_and_goes_whole_after_a_move(
    first: str, old: Host, client: docker.DockerClient, tmp_path: Path
) -> None:
    old.inv("up")
    _push(old, client)
    assert not (old.certs / installation.FILE).exists()

    brought_up_to_date(old.root)
    old.inv(first)
    old.inv("up")
    assert "Nothing had to be changed." in old.inv("up")
    noted = installation.known(old.certs)
    assert noted.volumes == (old.name,)
    assert _status(old, old.port, "/v2/mine/tags/list") == 200

    moved = _moved(old, tmp_path / "moved")
    assert "another checkout's" not in moved.inv("up")
    assert _status(moved, moved.port, "/v2/mine/tags/list") == 200
    assert "are gone" in moved.inv("down", "--purge", "--yes")
    for gone in (client.containers.get, client.volumes.get):
        with pytest.raises(docker.errors.NotFound):
            gone(moved.name)
    assert json.loads((old.state / "trusted-registry" / "ledger.json").read_text())["entries"] == []


@pytest.mark.long
def test_one_that_was_moved_before_it_was_brought_up_to_date_is_adopted_while_it_runs(
    old: Host, client: docker.DockerClient, tmp_path: Path
) -> None:
    old.inv("up")
    moved = _moved(old, tmp_path / "moved")
    brought_up_to_date(moved.root)
    stranger = Host(tmp_path / "stranger", tmp_path / "stranger-state")
    assert "where nothing is now" in stranger.refused("up")
    assert "are gone" in moved.inv("down", "--purge", "--yes")
    with pytest.raises(docker.errors.NotFound):
        client.volumes.get(moved.name)
    assert json.loads((old.state / "trusted-registry" / "ledger.json").read_text())["entries"] == []
