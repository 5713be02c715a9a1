"""Images and a whole registry in one file, from a real registry into another one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.engine import test_login
from tests.engine.conftest import clear, note
from tests.engine.test_images import api, printed
from tests.engine.test_images_change import gives, put
from tests.engine.test_login import RIGHT, _typed
from tests.recorder import Recorder
from trusted_registry.archives import saving, tar
from trusted_registry.archives.layout import About
from trusted_registry.archives.source import Served
from trusted_registry.engine.docker_engine import DockerEngine
from trusted_registry.images import inventory
from trusted_registry.images.volume import VolumeStorage
from trusted_registry.registry.api import Manifest, digest

if TYPE_CHECKING:
    from pathlib import Path

    import docker

    from tests.engine.conftest import Host
    from trusted_registry.registry.api import RegistryClient

pytestmark = pytest.mark.engine

LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
WORDS = "four words that nobody guesses"
SLOW = """
import sys, time
from trusted_registry.archives import tar
write = tar.Writer.write
def slow(*its):
    time.sleep(0.2)
    write(*its)
tar.Writer.write = slow
from invoke.main import program
program.run(["invoke", *sys.argv[1:]])
"""
"""Runs a task that takes its time over each file of an archive."""


def fill(registry: RegistryClient) -> None:
    """Push tags of one digest, an index, an image of two repositories, and one without a tag."""
    for tag in ("1", "same"):
        put(registry, "app", tag, b"1")
    put(registry, "other", "1", b"1")
    put(registry, "team/alone", "", b"alone")
    children = []
    for architecture in ("amd64", "arm64"):
        made = put(registry, "multi", "", architecture.encode())
        found = registry.manifest("multi", made)
        platform = {"os": "linux", "architecture": architecture}
        children.append({"mediaType": found.kind, "digest": made, "size": len(found.content), "platform": platform})
    content = json.dumps({"schemaVersion": 2, "mediaType": LIST, "manifests": children}).encode()
    registry.put_manifest("multi", "1", Manifest(LIST, digest(content), content))


def listed(host: Host) -> set[tuple[str, str | None, str]]:
    """Return repository, tag and digest of all images."""
    return {(it["repository"], it["tag"], it["digest"]) for it in printed(host, "images.list")}


def anew(host: Host, client: docker.DockerClient) -> None:
    """Take everything away, as on a machine that never saw the registry; its image is there."""
    clear(host, client)
    note(host, client)


def begun(host: Host, *words: str) -> subprocess.Popen[str]:
    """Begin a task."""
    environ = {**os.environ, **host.environ}
    argv, pipe = [sys.executable, "-m", "invoke", *words], subprocess.PIPE
    return subprocess.Popen(argv, cwd=host.root, env=environ, stdout=pipe, stderr=pipe, text=True)


def test_images_go_by_a_file_and_only_what_is_new_by_the_next(
    host: Host, client: docker.DockerClient, tmp_path: Path
) -> None:
    host.inv("up")
    fill(api(host))
    before, first, second = listed(host), f"{tmp_path}/first.tar", f"{tmp_path}/second.tar"
    assert "saved: 5 images" in host.inv("images.save", first)
    put(api(host), "app", "2", b"2")
    said = host.inv("images.save", second, "--since", f"{first}.index")
    assert "saved: 6 images" in said
    assert (tmp_path / "second.tar").stat().st_size < (tmp_path / "first.tar").stat().st_size
    after = listed(host)
    anew(host, client)
    host.inv("up")
    assert "leaves out" in host.refused("images.load", second)
    assert "loaded: 5 images" in host.inv("images.load", first)
    assert listed(host) == before
    assert "loaded: 1 image; the registry gives all 6" in host.inv("images.load", second)
    assert listed(host) == after
    assert "loaded: nothing" in host.inv("images.load", second)
    assert "nothing is broken" in host.inv("images.check")


def test_one_image_goes_alone_with_its_signature_and_a_tag_moves_only_if_somebody_says_so(
    host: Host, tmp_path: Path
) -> None:
    host.inv("up")
    registry, file = api(host), f"{tmp_path}/one.tar"
    one = put(registry, "app", "1", b"1")
    put(registry, "app", f"{one.replace(':', '-')}.sig", b"signature")
    put(registry, "app", "2", b"2")
    assert "saved: 2 images" in host.inv("images.save", file, "--references", "app:1")
    moved = put(registry, "app", "1", b"another")
    host.refused("images.load", file)
    assert registry.manifest("app", "1").digest == moved
    said = host.inv("images.load", file, "--yes")
    assert "other images have these tags here: app:1" in said
    assert registry.manifest("app", "1").digest == one


@pytest.mark.long
def test_a_load_that_is_killed_is_gone_on_with(host: Host, client: docker.DockerClient, tmp_path: Path) -> None:
    host.inv("up")
    for number in range(30):
        put(api(host), "app", f"{number}", f"{number:02}".encode() * 20)
    before, file = listed(host), f"{tmp_path}/images.tar"
    host.inv("images.save", file)
    anew(host, client)
    host.inv("up")
    with begun(host, "images.load", file) as task:
        while task.poll() is None and not gives(api(host), "app", "3"):
            time.sleep(0.01)
        task.kill()
    assert "loaded: " in host.inv("images.load", file)
    assert listed(host) == before
    assert "nothing is broken" in host.inv("images.check")


@pytest.mark.parametrize("task", [pytest.param("images.save", marks=pytest.mark.long), "images.load"])
def test_two_at_once_go_one_after_the_other(task: str, host: Host, client: docker.DockerClient, tmp_path: Path) -> None:
    host.inv("up")
    fill(api(host))
    before, file = listed(host), f"{tmp_path}/images.tar"
    if task == "images.load":
        host.inv("images.save", file)
        anew(host, client)
        host.inv("up")
    both = [begun(host, task, file, "--yes") for _ in range(2)]
    said = [it.communicate(timeout=60) for it in both]
    assert [it.returncode for it in both] == [0, 0], said
    if task == "images.save":
        anew(host, client)
        host.inv("up")
        host.inv("images.load", file)
        assert sorted(it.name for it in tmp_path.glob("*images.tar*")) == ["images.tar", "images.tar.index"]
    assert listed(host) == before


@pytest.mark.parametrize("task", [pytest.param("images.save", marks=pytest.mark.long), "registry.backup"])
def test_what_ctrl_c_ends_leaves_no_part_of_a_file(task: str, host: Host, tmp_path: Path) -> None:
    host.inv("up")
    for number in range(3):
        put(api(host), "app", f"{number}", os.urandom(1000))
    file, part = tmp_path / "images.tar", tmp_path / ".images.tar.part"
    environ = {**os.environ, **host.environ}
    argv, pipe = [sys.executable, "-c", SLOW, task, str(file)], subprocess.PIPE
    with subprocess.Popen(
        argv, cwd=host.root, env=environ, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        assert process.stdin
        process.stdin.write(f"{WORDS}\n")
        process.stdin.close()
        while process.poll() is None and not part.exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        assert process.stderr
        said = process.stderr.read()
    assert (process.returncode, "Traceback" in said) == (130, False), said
    assert list(tmp_path.glob("*images.tar*")) == []


def test_the_registry_itself_gives_the_same_as_its_files(
    host: Host, client: docker.DockerClient, tmp_path: Path
) -> None:
    host.inv("up")
    fill(api(host))
    host.inv("images.save", f"{tmp_path}/files.tar")
    name, engine = host.environ["INVOKE_REGISTRY_CONTAINER"], DockerEngine(client, Recorder())
    found = inventory.find(VolumeStorage(name, engine), sizes=True)
    chosen = saving.select(found.images, found)
    with Recorder().progress("Saving") as progress:
        saving.save(tmp_path / "served.tar", chosen, Served(api(host)), About(1.0), progress)
    with tar.opened(tmp_path / "files.tar") as one, tar.opened(tmp_path / "served.tar") as other:
        blobs = [it for it in one.places if it.startswith("blobs/sha256/")]
        assert len(blobs) > 10
        assert {it: b"".join(one.chunks(it)) for it in blobs} == {it: b"".join(other.chunks(it)) for it in blobs}


def test_a_restored_registry_is_the_one_that_clients_trust_already(
    host: Host, client: docker.DockerClient, tmp_path: Path
) -> None:
    host.inv("up")
    fill(api(host))
    test_login.add(host, "ada")
    before, keys = listed(host), host.keys()
    trusted = (host.certs / "ca.crt").read_bytes()
    file = f"{tmp_path}/backup.tar"
    done = _typed(host, "registry.backup", file, line=f"{WORDS}\n{WORDS}\n")
    assert done.returncode == 0, done.stderr
    assert b"PRIVATE KEY" not in (tmp_path / "backup.tar").read_bytes()
    assert (tmp_path / "backup.tar").stat().st_mode & 0o777 == 0o600
    clear(host, client)
    wrong = _typed(host, "registry.restore", file, line="another passphrase\n")
    assert (wrong.returncode, "passphrase is another one" in wrong.stderr) == (1, True)
    assert not (host.certs / "ca.key").exists()
    done = _typed(host, "registry.restore", file, line=f"{WORDS}\n")
    assert done.returncode == 0, done.stderr + done.stdout
    assert (host.keys(), (host.certs / "ca.crt").read_bytes()) == (keys, trusted)
    assert listed(host) == before
    for path in host.certs.glob("*.key"):
        assert path.stat().st_mode & 0o777 == 0o600
    assert "ada" in host.inv("registry.user.list")
    again = _typed(host, "registry.restore", file, line=f"{WORDS}\n")
    assert (again.returncode, "loaded: nothing" in again.stdout) == (0, True), again.stderr
    host.inv("up")
    assert host.keys() == keys
    assert RIGHT not in done.stdout


def test_what_is_here_already_is_not_replaced(host: Host, client: docker.DockerClient, tmp_path: Path) -> None:
    host.inv("up")
    put(api(host), "app", "1", b"1")
    file = f"{tmp_path}/backup.tar"
    assert _typed(host, "registry.backup", file, line=f"{WORDS}\n").returncode == 0
    put(api(host), "app", "new", b"new")
    kept = _typed(host, "registry.restore", file, line=f"{WORDS}\n")
    assert (kept.returncode, "1 image that the backup has not" in kept.stderr) == (1, True), kept.stderr
    anew(host, client)
    host.inv("up")
    keys = host.keys()
    another = _typed(host, "registry.restore", file, line=f"{WORDS}\n")
    assert (another.returncode, "Another registry is in this checkout" in another.stderr) == (1, True)
    into = _typed(host, "registry.restore", file, "--into", line=f"{WORDS}\n")
    assert into.returncode == 0, into.stderr
    assert (host.keys(), gives(api(host), "app", "1")) == (keys, True)
