"""Images in a real registry on a real engine: listed, measured, found broken, mended; a proof leaves nothing."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine import test_login
from trusted_registry.address import registry_host
from trusted_registry.images import history
from trusted_registry.registry import probe
from trusted_registry.registry.api import MANIFEST, Manifest, RegistryClient, digest
from trusted_registry.registry.layer import random_tar

if TYPE_CHECKING:
    import docker

    from tests.engine.conftest import Host

pytestmark = pytest.mark.engine

ROOT = "/var/lib/registry/docker/registry/v2"
FOUND = "find blobs -type f; find repositories"


def api(host: Host) -> RegistryClient:
    """Return a client of this project's own."""
    return RegistryClient(probe.Endpoint(host.address, host.port), probe.context(host.certs / "ca.crt"))


def push(host: Host, client: docker.DockerClient, name: str) -> str:
    """Push an image of random content by the engine, and return its digest."""
    reference = f"{registry_host(host.address, host.port)}/{name}"
    repository, _, tag = reference.rpartition(":")
    client.api.import_image_from_data(random_tar(), repository=repository, tag=tag)
    client.images.push(repository, tag=tag)
    client.images.remove(reference)
    return api(host).manifest(*name.split(":")).digest


def inside(host: Host, client: docker.DockerClient, script: str) -> str:
    """Run a script in the registry's container, as its programs are."""
    done = client.containers.get(host.name).exec_run(["/bin/sh", "-c", f"cd {ROOT} && {script}"], user="0")
    assert isinstance(done.output, bytes)
    return done.output.decode().strip()


def collect(host: Host, client: docker.DockerClient) -> None:
    """Have the registry's own collection take what no manifest needs."""
    argv = ["/bin/registry", "garbage-collect", "/config/registry.yml"]
    done = client.containers.get(host.name).exec_run(argv, user="0")
    assert done.exit_code == 0, done.output


def printed(host: Host, *words: str, code: int = 0) -> Any:  # noqa: ANN401 - JSON
    """Return what a task prints with --json."""
    done = host.run(*words, "--json")
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def test_proofs_leave_nothing_behind_and_stand_in_no_list(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    for _ in range(3):
        host.inv("registry.test")
    end = time.monotonic() + 10  # nobody says when it is done
    while inside(host, client, FOUND) != "repositories" and time.monotonic() < end:
        time.sleep(0.1)
    assert inside(host, client, FOUND) == "repositories"
    assert printed(host, "images.list") == []


def test_what_is_pushed_is_listed_and_its_pulls_outlive_the_container(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    pushed = push(host, client, "team/app:1")
    reference = f"{registry_host(host.address, host.port)}/team/app"
    client.images.pull(reference, tag="1")
    client.images.remove(f"{reference}:1")
    (before,) = printed(host, "images.list")
    assert (before["repository"], before["tag"], before["digest"]) == ("team/app", "1", pushed)
    assert (before["kind"], before["pulls"] > 0, before["clients"]) == ("image", True, 1)
    host.inv("up", INVOKE_REGISTRY_METRICS="55999")  # another container
    client.images.pull(reference, tag="1")
    client.images.remove(f"{reference}:1")
    (after,) = printed(host, "images.list")
    assert after["pulls"] > before["pulls"]
    host.inv("registry.stop")
    host.inv("up")
    assert printed(host, "images.list")[0]["pulls"] >= after["pulls"]
    kept = client.containers.get(host.name).exec_run(["/bin/sh", "-c", f"cat /var/lib/registry/{history.FILE}"]).output
    assert isinstance(kept, bytes)
    assert history.parse(kept).since > 0


def test_the_usage_is_what_du_finds_and_shown_and_status_know_the_image(
    host: Host, client: docker.DockerClient
) -> None:
    host.inv("up")
    pushed = push(host, client, "app:1")
    usage = printed(host, "images.usage")
    (image,) = usage["images"]
    assert usage["free"] > 0
    before = int(inside(host, client, "du -s -k . | cut -f 1"))
    assert api(host).delete_manifest("app", pushed)
    collect(host, client)
    freed = (before - int(inside(host, client, "du -s -k . | cut -f 1"))) << 10
    assert abs(freed - image["frees"]) <= freed / 100
    assert abs(usage["total"] - (before << 10)) <= 200_000, (
        "the folders above those of contents and links, and empty ones"
    )
    push(host, client, "app:2")
    assert printed(host, "images.show", "app:2")["parts"][0]["layers"]
    status = host.status()["registry"]
    assert (status["repositories"], status["tags"], status["bytes"] > 0) == (1, 1, True)


def test_damage_is_found_and_mended_and_the_rest_is_named(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    pushed = [push(host, client, f"app:{number}") for number in range(3)]
    assert printed(host, "images.check") == []
    assert "nothing is broken" in host.inv("images.check")
    hexed = pushed[0].partition(":")[2]
    inside(host, client, f": >repositories/app/_manifests/revisions/sha256/{hexed}/link")
    inside(host, client, f": >blobs/sha256/{pushed[1].partition(':')[2][:2]}/{pushed[1].partition(':')[2]}/data")
    found = printed(host, "images.check", code=1)
    assert {it["kind"] for it in found} == {"link", "blob", "tag", "refused"}
    assert [it["push"] for it in found if it["push"]] == [["app:1"]]
    mended = printed(host, "images.check", "--fix", "--yes", code=1)  # one must be pushed again
    assert all(it["mended"] for it in mended)
    assert api(host).manifest("app", "0").digest == pushed[0]
    assert sorted(api(host).tags("app")) == ["0", "2"]
    push(host, client, "app:1")
    assert printed(host, "images.check") == []


def test_with_users_it_works_by_a_login_of_the_moment(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    push(host, client, "app:1")
    test_login.add(host, "ada")
    assert [it["tag"] for it in printed(host, "images.list")] == ["1"]
    assert "nothing is broken" in host.inv("images.check")


def test_a_manifest_that_was_pushed_by_its_digest_alone_is_listed(host: Host) -> None:
    host.inv("up")
    config = b"{}"
    api(host).upload("lone", config)
    described = {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": digest(config), "size": 2}
    content = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": []}).encode()
    api(host).put_manifest("lone", digest(content), Manifest(MANIFEST, digest(content), content))
    (image,) = printed(host, "images.list")
    assert (image["tag"], image["digest"]) == (None, digest(content))
