"""`up` once more: what flags said stays, and what a run that did not come to its end left is made good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engine.conftest import ROOT
from tests.engine.test_up import wait_for
from trusted_registry.certificate import inspect
from trusted_registry.registry import prove
from trusted_registry.tasks.lifecycle import UNPROVED

if TYPE_CHECKING:
    import docker

    from tests.engine.conftest import Host

pytestmark = pytest.mark.engine


def proofs(client: docker.DockerClient, host: Host) -> list[str]:
    """Return the images on the engine that were packed for a proof by this registry."""
    tags = (tag for image in client.api.images() for tag in image["RepoTags"] or [])
    return [tag for tag in tags if tag.startswith(f"{host.reference}/{prove.REPOSITORY}:")]


def names(host: Host) -> tuple[str, ...]:
    """Return the DNS names that the certificate is for."""
    return inspect.read(host.certs / "domain.crt").dns


@pytest.mark.long
def test_a_name_given_once_stays_for_every_later_task_until_it_is_taken_back(host: Host) -> None:
    host.inv("up", "--names", "registry.local")
    again = host.inv("up")
    assert 'settings: --names registry.local, remembered; to forget them: ./inv up --names ""' in again
    assert "Nothing had to be changed." in again
    host.inv("trust.remove")
    trusted = Path(f"/etc/docker/certs.d/registry.local:{host.port}/ca.crt")
    assert not trusted.exists()
    host.inv("trust.linux", "--only", "docker")
    assert trusted.read_bytes() == (host.certs / "ca.crt").read_bytes()
    host.inv("cert.renew", "--names", "other.local")
    assert {"registry.local", "other.local"} < set(names(host))
    said = host.inv("up", "--names", "")
    assert "still names registry.local, other.local; a new one is made" in said
    assert "names: registry.local, other.local forgotten" in said
    assert not {"registry.local", "other.local"} & set(names(host))
    again = host.inv("up")
    assert "Nothing had to be changed." in again
    assert "remembered" not in again


def test_a_new_authority_vouches_for_the_names_that_were_given_to_the_old_one(host: Host) -> None:
    host.inv("cert", "--names", "registry.local")
    host.inv("cert", "--force")
    assert "registry.local" in names(host)


def test_an_up_after_one_that_was_killed_proves_and_clears_away_what_that_left(
    host: Host, client: docker.DockerClient
) -> None:
    mark = host.certs / UNPROVED
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", "up"],
        cwd=ROOT,
        env={**os.environ, **host.environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert wait_for(lambda: (mark.exists() and bool(mark.read_text())) or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    host.inv("up")
    assert not mark.exists()
    assert proofs(client, host) == []


STOPPED = """
from invoke.main import program
from trusted_registry.tasks import trust
real = trust.install_trust
def install_trust(*arguments):
    real(*arguments)
    raise KeyboardInterrupt
trust.install_trust = install_trust
program.run(["invoke", "up"])
"""


def test_an_up_after_one_that_was_stopped_between_trust_and_proof_proves(host: Host) -> None:
    host.inv("up")
    host.inv("trust.remove")
    environ = {**os.environ, **host.environ}
    stopped = subprocess.run([sys.executable, "-c", STOPPED], cwd=ROOT, env=environ, capture_output=True, check=False)
    assert stopped.returncode == 130
    assert f"proof: pushed to {host.reference}" in host.inv("up")


def left_behind(host: Host, client: docker.DockerClient, repository: str) -> str:
    """Leave an image and the mark of an `up` that was at it, and return the image's name."""
    reference = f"{host.reference}/{repository}:0123abcd"
    client.api.import_image_from_data(b"\0" * 1024, repository=reference.rpartition(":")[0], tag="0123abcd")
    (host.certs / UNPROVED).write_text(reference)
    return reference


def test_an_up_after_one_that_did_not_prove_proves_though_nothing_has_to_be_changed(
    host: Host, client: docker.DockerClient
) -> None:
    host.inv("up")
    left_behind(host, client, prove.REPOSITORY)
    said = host.inv("up")
    assert f"proof: pushed to {host.reference}" in said
    assert "Nothing had to be changed." not in said
    assert proofs(client, host) == []
    assert "Nothing had to be changed." in host.inv("up")


def test_a_registry_that_has_to_serve_a_renewed_certificate_is_proved(host: Host) -> None:
    host.inv("up")
    host.inv("cert.renew", DOCKER_HOST="unix:///nowhere.sock")  # as one that is killed before it restarts the registry
    assert f"proof: pushed to {host.reference}" in host.inv("up")


def test_a_purge_clears_away_what_an_up_that_was_killed_left(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    left_behind(host, client, prove.REPOSITORY)
    said = host.inv("down", "--purge", "--yes")
    assert "or, if the script was run there: sudo sh /var/lib/trusted-registry/trust-" in said
    assert "trust-*" not in said, "a second kit's file would become a word of the first one's command"
    assert proofs(client, host) == []
    assert not (host.certs / UNPROVED).exists()


def test_an_image_that_no_proof_packed_is_never_cleared_away(host: Host, client: docker.DockerClient) -> None:
    host.inv("up")
    reference = left_behind(host, client, "app")
    host.inv("up")
    assert client.images.get(reference)
    client.images.remove(reference)
