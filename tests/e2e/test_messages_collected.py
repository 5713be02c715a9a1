"""What is said of images of which a garbage collection took a part, while the registry still remembered it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.messages import pulls, runs
from tests.e2e.steps import CERTS, hand_over, push

if TYPE_CHECKING:
    from tests.e2e.hosts import Host
    from tests.e2e.messages import Case

CONFIG = """version: 0.1
storage:
  cache: {blobdescriptor: inmemory}
  delete: {enabled: true}
  filesystem: {rootdirectory: /var/lib/registry}
http: {addr: ':5000', tls: {certificate: /certs/domain.crt, key: /certs/domain.key}}
"""
"""As the image of registry:2 brings it: with a memory of what it has."""


def test_an_image_that_the_registry_only_remembers_is_explained_and_cured(case: Case) -> None:
    registry = case.registry
    reference = _collected(case)
    push(registry, reference)  # of which the registry takes nothing: it believes to have the manifest
    lost = pulls(case.client, reference)()
    assert lost.code != 0, f"This should have failed:\n{lost}"
    case.cure(case.means(lost, "no-image"), instead=True)
    _answers(registry)
    push(registry, reference)
    assert pulls(case.client, reference)().code == 0
    case.tally.cured.add("no-image")


def test_a_layer_that_the_registry_only_remembers_is_explained_and_cured(case: Case) -> None:
    registry, client = case.registry, case.client
    reference = _collected(case)
    registry.does("docker", "import", "--change", "LABEL made=anew", "/opt/busybox.tar", "anew:1")
    registry.does("docker", "tag", "anew:1", reference)
    assert "Layer already exists" in registry.does("docker", "push", reference).out
    pull, podman = pulls(client, reference), runs(client, "podman", "pull", reference)
    steps = case.means(pull(), "cut-off")
    case.cure(steps, instead=True)
    _answers(registry)
    case.means(podman(), "blob-lost")  # the registry has forgotten, and nobody has pushed again
    case.cure(case.means(pull(), "blob-lost"))
    _answers(registry)
    push(registry, reference, "anew:1")
    assert (pull().code, podman().code) == (0, 0)
    case.tally.cured |= {"cut-off", "blob-lost"}


def _collected(case: Case) -> str:
    """Have a registry with a memory whose only image was deleted and collected; return the image's name."""
    registry, client = case.registry, case.client
    registry.inv("cert")
    registry.inv("trust.linux")
    hand_over(registry, client)
    client.inv("trust.linux")
    registry.write("/srv/config.yml", CONFIG)
    shown = [f"--volume={CERTS}:/certs:ro", "--volume=/srv/config.yml:/config.yml:ro"]
    by_hand = ["--detach", "--name", "registry", "--publish", "443:5000", *shown]
    registry.does("docker", "run", *by_hand, "registry:2", "serve", "/config.yml")
    _answers(registry)
    reference = f"{registry.address}/app:latest"
    digest = push(registry, reference)
    at = f"https://{registry.address}/v2/app/manifests/{digest}"
    registry.does("curl", "--silent", "--fail", "--cacert", f"{CERTS}/ca.crt", "--request", "DELETE", at)
    registry.does("docker", "exec", "registry", "/bin/registry", "garbage-collect", "/config.yml")
    return reference


def _answers(registry: Host) -> None:
    there = ["curl", "--silent", "--insecure", f"https://{registry.address}/v2/"]
    registry.wait_for("the registry answers", lambda: registry.silently(*there).code == 0)
