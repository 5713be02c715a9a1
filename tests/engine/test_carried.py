"""What a registry reads travels with its container: it needs no checkout; and the image that runs is the one named."""

from __future__ import annotations

import contextlib
import io
import shutil
import stat
import tarfile
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.engine.test_up import answers, container
from trusted_registry import installation
from trusted_registry.engine import exec_output
from trusted_registry.errors import RegistryError
from trusted_registry.registry import probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from tests.engine.conftest import Host

pytestmark = pytest.mark.engine

MOVING = "trusted-registry-test-moving:1"


def _is_served(host: Host, patience: float = 5) -> bool:
    """Whether the registry's address answers by the certificate of a checkout."""
    trust = probe.context(host.certs / "ca.crt")
    at = probe.Endpoint(host.address, host.port)
    with contextlib.suppress(OSError, RegistryError):
        probe.await_answer(lambda: probe.request(at, "GET", "/v2/", trust)[0], lambda: True, patience=patience)
        return True
    return False


def _said(client: docker.DockerClient, host: Host, *argv: str) -> str:
    """Run a program in the container, and return what it said."""
    number = client.api.exec_create(host.name, list(argv))["Id"]
    output, errors = exec_output.read(exec_output.start(client.api, number), host.name)
    assert client.api.exec_inspect(number)["ExitCode"] == 0, output + errors
    return (output + errors).decode()


def _held(client: docker.DockerClient, host: Host) -> set[str]:
    """Return the names of the files that the container reads, as the engine hands them out."""
    chunks, _ = client.containers.get(host.name).get_archive("/config")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        return {it.name.removeprefix("config/") for it in tar if not it.isdir()}


def _moved(host: Host) -> Host:
    """Move a checkout's certificates to another folder."""
    to = host.folder / "elsewhere"
    to.mkdir()
    shutil.move(host.certs, to / "certs")
    return replace(host, folder=to)


def test_a_registry_whose_checkout_is_away_restarts_and_a_copy_of_its_folder_takes_over(
    host: Host, client: docker.DockerClient
) -> None:
    host.inv("up")
    id_ = client.containers.get(host.name).id
    moved = _moved(host)
    client.containers.get(host.name).restart()
    assert _is_served(moved)
    shutil.copytree(moved.certs, host.certs)
    said = host.inv("up")
    assert ("already running" in said, client.containers.get(host.name).id) == (True, id_)


def test_a_fresh_checkout_takes_over_nothing(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    id_ = client.containers.get(host.name).id
    moved = _moved(host)
    assert "another checkout's" in host.refused("up")
    assert (client.containers.get(host.name).id, _is_served(moved)) == (id_, True)
    shutil.rmtree(host.certs, ignore_errors=True)
    shutil.move(moved.certs, host.certs)


def test_no_file_of_this_machine_is_mounted_and_no_key_of_the_authority_is_in_the_volume(
    host: Host, client: docker.DockerClient
) -> None:
    host.inv("up")
    mounts = container(client, host)["Mounts"]
    assert {it["Destination"]: (it["Type"], it["RW"]) for it in mounts} == {
        "/config": ("volume", False),
        "/var/lib/registry": ("volume", True),
    }
    assert _held(client, host) == {"domain.crt", "domain.key", "registry.yml", "start.sh"}
    for name, wanted in (("domain.key", 0o600), ("registry.yml", 0o600), ("domain.crt", 0o644)):
        seen = client.containers.get(host.name).get_archive(f"/config/{name}")[1] or {}
        assert stat.S_IMODE(seen["mode"]) == wanted
    secret = installation.known(host.certs).http_secret
    assert (len(secret), secret in (host.certs / "registry.yml").read_text()) == (64, True)
    assert secret not in str(container(client, host))


def test_a_registry_that_starts_before_its_files_are_there_waits_for_them(
    host: Host, client: docker.DockerClient
) -> None:
    host.inv("up")
    described, packed = container(client, host), io.BytesIO()
    host.inv("registry.stop")
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for file in ("registry.yml", "domain.crt", "domain.key", "start.sh"):  # whoever starts waits for the last
            tar.add(host.certs / file, f"config/{file}")
    name = f"{host.name}-waits"
    with contextlib.ExitStack() as stack:
        volume = client.volumes.create(name)
        stack.callback(volume.remove)
        waits = client.containers.create(
            described["Image"],
            described["Config"]["Cmd"],
            entrypoint=["/bin/sh"],
            name=name,
            ports={"5000": host.port},
            volumes=[f"{name}:/config"],
            tmpfs={"/var/lib/registry": ""},
        )
        stack.callback(waits.remove, force=True)
        waits.start()
        assert not _is_served(host, patience=0.5)
        waits.reload()
        assert (waits.status, waits.logs()) == ("running", b"")
        waits.put_archive("/", packed.getvalue())
        assert _is_served(host)


def test_a_renewal_leaves_one_set_of_files_and_a_purge_none(host: Host, client: docker.DockerClient) -> None:
    def sets() -> list[str]:
        return [str(it.name) for it in client.volumes.list() if str(it.name).startswith(f"{host.name}-files-")]

    host.inv("up")
    first = sets()
    host.inv("cert.renew")
    assert (len(first), sets()) == (1, first)
    host.inv("down", "--purge", "--yes")
    assert sets() == []


def test_no_process_is_left_a_zombie_and_the_first_one_hears_at_once(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    host.inv("registry.test")
    client.containers.get(host.name).restart()
    assert _is_served(host)
    states = _said(client, host, "sh", "-c", "cat /proc/[0-9]*/stat")
    assert [line for line in states.splitlines() if ") Z " in line] == []


# An image that is moved under its name


@pytest.fixture
def moving(client: docker.DockerClient, registry_image: str) -> Iterator[str]:
    """A name that stands for the registry's image, until a test moves it."""
    repository, tag = MOVING.split(":")
    client.images.get(registry_image).tag(repository, tag=tag)
    yield MOVING
    with contextlib.suppress(Exception):
        client.images.remove(MOVING, force=True)


def _move(client: docker.DockerClient, change: str) -> str:
    """Have the name stand for a new image, made of the one that it stands for; return its id."""
    repository, tag = MOVING.split(":")
    made = client.containers.create(MOVING)
    moved = made.commit(repository, tag, changes=change)
    made.remove()
    return str(moved.id)


def test_an_image_that_was_moved_under_its_name_is_run_once_it_is_proved(
    host: Host, client: docker.DockerClient, moving: str
) -> None:
    host.more["INVOKE_REGISTRY_IMAGE"] = moving
    host.inv("up")
    old = container(client, host)["Image"]
    new = _move(client, "LABEL moved=yes")
    said = host.inv("up")
    now, before = (it.removeprefix("sha256:")[:12] for it in (new, old))
    assert f"image: {moving} is now {now}; it replaces {before}, which runs" in said
    assert (container(client, host)["Image"], answers(host)) == (new, True)
    assert f"proof: pushed to {host.reference}" in said
    again = host.inv("up")
    assert ("Nothing had to be changed." in again, container(client, host)["Image"]) == (True, new)


def test_one_that_is_no_registry_by_now_is_only_tried_and_the_one_that_runs_never_notices(
    host: Host, client: docker.DockerClient, moving: str
) -> None:
    host.more["INVOKE_REGISTRY_IMAGE"] = moving
    host.inv("up")
    before = client.containers.get(host.name).id
    _move(client, 'ENTRYPOINT ["/bin/registry", "--no-such-flag"]')
    trust, at = probe.context(host.certs / "ca.crt"), probe.Endpoint(host.address, host.port)
    seen: list[int] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            try:
                seen.append(probe.request(at, "GET", "/v2/", trust)[0])
            except OSError:
                seen.append(0)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        said = host.refused("up")
    finally:
        done.set()
        looking.join()
    assert "That was only tried: the registry that runs goes on." in said
    assert (client.containers.get(host.name).id, set(seen), len(seen) > 10) == (before, {200}, True)
    assert container(client, host)["State"]["StartedAt"]


@pytest.mark.long
def test_the_version_that_runs_and_where_it_came_from_are_shown(host: Host) -> None:
    host.inv("up")
    registry = host.status()["registry"]
    assert registry["version"][0].isdigit()
    assert registry["origin"].startswith(("made here from ", "pulled as "))
    host.inv("down")
    assert host.status()["registry"]["version"] is None
