"""What goes wrong with engines, ports, containers and images: said with its cure, and nothing lost."""

from __future__ import annotations

import contextlib
import datetime
import io
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests import loopback
from tests.recorder import Recorder
from trusted_registry.certificate import native
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.instance import images, ports
from trusted_registry.registry import prove
from trusted_registry.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeSettings
    from tests.engine.conftest import Host

pytestmark = pytest.mark.engine

UNREACHABLE = "registry.invalid/registry:1"
"""RFC 6761 keeps `.invalid` from ever resolving."""


@pytest.fixture
def taken(host: Host) -> Iterator[socket.socket]:
    """A listener of this very process on the registry's port."""
    with socket.create_server(("0.0.0.0", host.port)) as listener:  # noqa: S104 - the port is to be busy everywhere
        yield listener


@pytest.mark.usefixtures("taken")
def test_a_port_that_a_process_holds_is_named_with_the_process(host: Host, client: docker.DockerClient) -> None:
    host.inv("cert")
    keys = host.keys()
    said = host.refused("registry.tls")
    assert f"Port {host.port} is in use by" in said
    assert "(process " in said
    assert host.keys() == keys
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(host.name)


@pytest.mark.usefixtures("taken")
def test_up_finds_a_taken_port_before_it_makes_anything(host: Host) -> None:
    said = host.refused("up")
    assert f"Port {host.port} is in use by" in said
    assert f"./inv up --port {host.port + 1}" in said
    assert not (host.certs / "issuer.key").exists()


def test_a_port_that_a_container_holds_is_named_with_the_container(
    host: Host, standing: Host, client: docker.DockerClient
) -> None:
    host.inv("cert")
    said = host.refused("registry.tls", INVOKE_REGISTRY_PORT=str(standing.port))
    assert f"in use by the container {standing.name}" in said
    assert client.containers.get(standing.name).status == "running"


def test_a_foreign_container_with_our_name_is_left_alone(
    host: Host, client: docker.DockerClient, registry_image: str
) -> None:
    foreign = client.containers.create(registry_image, name=host.name, command=["--version"])
    host.inv("cert")
    for task in ("registry.tls", "registry.basic", "registry.stop", "down", "up"):
        assert "this project did not make it" in host.refused(task)
    assert client.containers.get(host.name).id == foreign.id


def test_a_docker_host_that_nobody_answers_is_named(host: Host) -> None:
    said = host.refused("up", DOCKER_HOST="unix:///nonexistent.sock")
    assert "No Docker Engine answers at unix:///nonexistent.sock." in said


@contextlib.contextmanager
def dying(folder: Path, word: str) -> Iterator[str]:
    """An engine that dies when a request mentions a word; yields its DOCKER_HOST."""
    path, real = folder / "engine.sock", "/var/run/docker.sock"
    script = Path(__file__).parent / "dying_engine.py"
    process = subprocess.Popen([sys.executable, str(script), str(path), real, word])
    try:
        while not path.exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield f"unix://{path}"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "word",
    [
        "/containers/create",
        *(pytest.param(word, marks=pytest.mark.long) for word in ("/start", "/images/create", "/push")),
    ],
)
def test_an_engine_that_dies_half_way_loses_no_key_and_the_next_up_succeeds(host: Host, word: str) -> None:
    host.inv("cert")
    keys = host.keys()
    with dying(host.folder, word) as docker_host:
        assert "stopped answering" in host.refused("up", DOCKER_HOST=docker_host)
    assert host.keys() == keys
    host.inv("up")
    assert "proof: pushed" in host.inv("registry.test")


def test_an_image_from_no_source_lists_what_was_tried(
    host: Host, monkeypatch: pytest.MonkeyPatch, make_settings: MakeSettings
) -> None:
    console = Recorder()
    engine = engines.connect(console)
    monkeypatch.setenv("PATH", str(host.folder))
    settings = make_settings(image=UNREACHABLE)
    with pytest.raises(RegistryError, match="There is no image of the registry") as caught:
        images.ensure(Run(settings, console), engine)
    for reason in ("Pulling registry.invalid/registry:1 failed", "No archive is set", "no package docker-registry"):
        assert reason in caught.value.message
    assert "docker save" in caught.value.cure


def test_an_image_that_cannot_be_pulled_is_loaded_from_the_archive(
    host: Host, client: docker.DockerClient, registry_image: str
) -> None:
    archive = host.folder / "registry.tar"
    client.images.get(registry_image).tag(UNREACHABLE)
    archive.write_bytes(b"".join(client.images.get(UNREACHABLE).save(named=UNREACHABLE)))
    client.images.remove(UNREACHABLE)
    variables = {"INVOKE_REGISTRY_IMAGE": UNREACHABLE, "INVOKE_REGISTRY_ARCHIVE": str(archive)}
    host.inv("registry.basic", **variables)
    assert host.status()["registry"]["image"] == UNREACHABLE
    assert "already running" in host.inv("registry.basic", **variables)
    host.inv("registry.stop")
    client.images.remove(UNREACHABLE)


def test_an_archive_with_another_image_says_which(
    host: Host, client: docker.DockerClient, registry_image: str, make_settings: MakeSettings
) -> None:
    archive = host.folder / "other.tar"
    archive.write_bytes(b"".join(client.images.get(registry_image).save(named=registry_image)))
    console = Recorder()
    settings = make_settings(image=UNREACHABLE, archive=str(archive))
    with pytest.raises(RegistryError, match=f"holds {registry_image} and not {UNREACHABLE}"):
        images._from_archive(Run(settings, console), engines.connect(console))


def test_the_registry_s_image_is_pulled_from_another_registry(
    host: Host, standing: Host, client: docker.DockerClient, registry_image: str
) -> None:
    name = f"{standing.reference}/mirror/registry"
    client.images.get(registry_image).tag(name, tag="2")
    assert "error" not in client.images.push(name, tag="2")
    client.images.remove(f"{name}:2")
    host.inv("registry.basic", INVOKE_REGISTRY_IMAGE=f"{name}:2", INVOKE_REGISTRY_ARCHIVE="none.tar")
    assert f"docker pull {name}:2" in (host.certs / "last-run.log").read_text()
    assert host.status()["registry"]["image"] == f"{name}:2"
    host.inv("registry.stop")
    client.images.remove(f"{name}:2")


def test_an_image_that_ignores_its_configuration_is_stopped_again(
    host: Host, client: docker.DockerClient, registry_image: str
) -> None:
    """What registry:3 did with a configuration at registry:2's path: plain HTTP, in silence."""
    name = "trusted-registry-test/ignores-config:1"
    made = client.containers.create(registry_image, name=f"{host.name}-plain", command=["x"])
    exported = b"".join(made.export())  # type: ignore[arg-type]  # bytes, whatever its stub says
    client.containers.get(f"{host.name}-plain").remove()
    plain = ['ENTRYPOINT ["/bin/registry", "serve", "/config/../etc/plain.yml"]']
    client.api.import_image_from_data(_with_plain_config(exported), repository=name[:-2], tag="1", changes=plain)
    host.inv("cert")
    said = host.refused("registry.tls", INVOKE_REGISTRY_IMAGE=name)
    assert "answers plain HTTP. It was stopped again." in said
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(host.name)
    client.images.remove(name)


def _with_plain_config(tar: bytes) -> bytes:
    text = b"version: 0.1\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\nhttp: {addr: ':5000'}\n"
    buffer = io.BytesIO(tar)
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        member = tarfile.TarInfo("etc/plain.yml")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return buffer.getvalue()


def test_an_expired_certificate_is_not_served(host: Host, client: docker.DockerClient) -> None:
    host.inv("cert")
    _expire(host.certs)
    assert "domain.crt expired on" in host.refused("registry.tls")
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(host.name)


def _expire(certs: Path) -> None:
    """Put a copy of the server certificate in its place that differs in its dates alone."""
    key, authority = native.load_signer(certs / "issuer.crt")
    old = x509.load_pem_x509_certificate((certs / "domain.crt").read_bytes())
    past = old.not_valid_before_utc - datetime.timedelta(days=30)
    copy = (
        x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), old.serial_number)
        .not_valid_before(past)
        .not_valid_after(past + datetime.timedelta(days=1))
    )
    for extension in old.extensions:
        copy = copy.add_extension(extension.value, extension.critical)
    assert authority.subject == old.issuer
    chain = (native.public_pem(copy.sign(key, hashes.SHA256())), (certs / "issuer.crt").read_bytes())
    (certs / "domain.crt").write_bytes(b"".join(chain))


def test_plain_http_listens_on_loopback_alone_unless_told(host: Host) -> None:
    host.inv("registry.basic")
    assert "loopback alone" in host.refused("registry.test", "--lan")
    assert "proof: pushed to localhost" in host.inv("registry.test")


def test_plain_http_on_the_lan_address_is_refused_with_the_cure(host: Host) -> None:
    host.inv("registry.basic", "--lan")
    said = host.refused("registry.test", "--lan")
    assert "server gave HTTP response to HTTPS client" in said
    assert "./inv trust.insecure" in said


def test_plain_http_does_not_replace_tls(standing: Host) -> None:
    assert "step back" in standing.refused("registry.basic")
    assert standing.status()["registry"]["role"] == "tls"


def test_tls_without_a_certificate_says_which_task_makes_one(host: Host) -> None:
    assert "./inv cert" in host.refused("registry.tls")


def test_a_push_that_fails_fails_the_proof(host: Host, client: docker.DockerClient) -> None:
    host.inv("cert")
    host.inv("registry.tls")
    console = Recorder()
    with pytest.raises(RegistryError, match="x509"):
        _prove(host, console)
    tags = [tag for image in client.api.images() for tag in image["RepoTags"] or []]
    assert not [tag for tag in tags if tag.startswith(f"{host.reference}/")]


def _prove(host: Host, console: Recorder) -> None:
    engine = engines.connect(console)
    prove.prove(prove.pack(host.reference, engine), engine, console)


def test_the_listener_of_a_free_port_is_nobody() -> None:
    assert ports.listening_process(loopback.free_port()) is None
