"""The bench on this machine: however it ends, the machine is as it was before."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench import leftovers, stand
from tests.engine.conftest import ROOT
from tests.engine.test_up import wait_for
from trusted_registry import address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import docker

pytestmark = [pytest.mark.machine, pytest.mark.timeout(120)]

ETC = Path("/etc")
CERTS_D = ETC / "docker/certs.d"
PORTS = tuple(f":{port}" for port in stand.PORTS)
WITNESS = "trusted-registry-test-witness"
QUICK = ("--only", "again", "--runs", "5")
"""The cheapest measure that has a registry, and trust of it."""


class Bench:
    """The bench as a person starts it, with a journal and a file of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.json = folder / "bench.json"
        self.started: list[subprocess.Popen[str]] = []

    @property
    def environ(self) -> dict[str, str]:
        """Return this environment, with a journal of the test's own."""
        return {**os.environ, "XDG_STATE_HOME": str(self.folder / "state")}

    def start(self, *words: str, path: str = "", program: Sequence[str] = ("bench",)) -> subprocess.Popen[str]:
        """Start it and return at once; this very process is the bench."""
        argv = [sys.executable, "-m", *program, *words, "--json", str(self.json)]
        env = {**self.environ, "PATH": path or os.environ["PATH"]}
        with (self.folder / "log").open("w") as log:
            started = subprocess.Popen(argv, cwd=ROOT, env=env, stdout=log, stderr=log, text=True)
        self.started.append(started)
        return started

    def end(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """Wait for its end and return its status and what it said."""
        code = process.wait(60)
        said = (self.folder / "log").read_text()
        assert "Traceback" not in said, said
        return code, said

    def run(self, *words: str, path: str = "") -> tuple[int, str]:
        """Run it to its end."""
        return self.end(self.start(*words, path=path))

    @property
    def written(self) -> Any:  # noqa: ANN401 - JSON
        """Return what is in its file."""
        return json.loads(self.json.read_text())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench; nothing of it stays when its test fails."""
    made = Bench(tmp_path)
    yield made
    for process in made.started:
        process.terminate()
        process.wait(60)
    if (tmp_path / "state" / "trusted-registry-bench").exists():
        made.run("--only", "kit", "--runs", "5")


@pytest.fixture
def witness(client: docker.DockerClient) -> Iterator[str]:
    """A container, a volume and an image that are not the bench's."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    client.api.import_image_from_data(content.getvalue(), repository=WITNESS, tag="1")
    client.volumes.create(WITNESS)
    client.containers.create(f"{WITNESS}:1", ["/none"], name=WITNESS)
    yield WITNESS
    client.containers.get(WITNESS).remove(force=True)
    client.volumes.get(WITNESS).remove()
    client.images.remove(f"{WITNESS}:1")


def _etc() -> dict[str, tuple[int, int, str]]:
    """Return mode, owner and content of all that is in /etc, but for other registries' trust."""
    others = {path for path in CERTS_D.glob("*") if not path.name.endswith(PORTS)}
    paths = [path for path in ETC.rglob("*") if others.isdisjoint((path, *path.parents))]
    return {str(path): _seen(path) for path in sorted(paths) if path != CERTS_D or not others}


def _seen(path: Path) -> tuple[int, int, str]:
    seen = path.lstat()
    content = str(path.readlink()) if path.is_symlink() else ""
    if stat.S_ISREG(seen.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return seen.st_mode, seen.st_uid, content


def _engine(client: docker.DockerClient) -> dict[str, list[str]]:
    """Return the names that the bench could have made, or is to leave alone: others use this engine meanwhile."""
    images = [tag for it in client.api.images() for tag in it["RepoTags"] or []]
    ours = (stand.SMALL, WITNESS)
    made = (*ours, *leftovers.REGISTRY_IMAGES)
    containers, volumes = (
        [str(it.name) for it in found]
        for found in (client.containers.list(all=True, ignore_removed=True), client.volumes.list())
    )
    return {
        "containers": sorted(name for name in containers if name.startswith(ours)),
        "volumes": sorted(name for name in volumes if name.startswith(ours)),
        "images": sorted(tag for tag in images if tag.startswith(made) or tag.partition("/")[0].endswith(PORTS)),
        "the registry's images": leftovers.registry_images(),
    }


def _machine(client: docker.DockerClient) -> dict[str, object]:
    folders = sorted(path.name for path in Path("/tmp").glob("trusted-registry-bench-*"))  # noqa: S108 - the bench's
    others = {path: Path(path).expanduser().exists() for path in ("/run/sshd", "~/.docker", "/var/lib/rancher")}
    return {"/etc": _etc(), "folders": folders, **others, **_engine(client)}


def _trust() -> Path:
    return CERTS_D / f"{address.bracketed(address.own_address())}:{stand.PORTS[0]}"


def _wait_until_it_stands(client: docker.DockerClient, process: subprocess.Popen[str]) -> None:
    """Wait until there are a container of the bench and trust of it on this machine."""

    def stands() -> bool:
        assert process.poll() is None, "it ended first"
        names = [it.name for it in client.containers.list(all=True, ignore_removed=True)]
        return stand.SMALL in names and (_trust() / "ca.crt").exists()

    assert wait_for(stands, 60)


@pytest.fixture(autouse=True)
def _as_before(client: docker.DockerClient, witness: str, bench: Bench) -> Iterator[None]:
    """Compare the machine, once the test's own bench has ended."""
    assert witness
    before = _machine(client)
    yield
    after = _machine(client)
    assert after == before
    assert not (bench.folder / "state" / "trusted-registry-bench").exists()


def test_after_success_the_machine_is_as_before_whatever_clients_it_has(bench: Bench) -> None:
    clients = bench.folder / "clients"
    clients.mkdir()
    for name in ("k3s", "skopeo", "buildkitd"):
        (clients / name).symlink_to("/bin/true")
    code, said = bench.run(*QUICK, path=f"{clients}:{os.environ['PATH']}")
    assert code == 0, said
    assert [row["what"] for row in bench.written["rows"]] == ["./inv up again, nothing to do"]
    assert "| ./inv up again, nothing to do |" in said
    assert "nothing of it is left" in said


def test_after_a_failure_the_machine_is_as_before_and_the_other_measures_are_there(bench: Bench) -> None:
    with socket.create_server(("", stand.PORTS[0])):
        code, said = bench.run("--only", "again,kit", "--runs", "5")
    assert code == 1, said
    assert [one["measure"] for one in bench.written["failed"]] == ["again"]
    assert str(stand.PORTS[0]) in bench.written["failed"][0]["reason"]
    assert [row["what"].split(":")[0] for row in bench.written["rows"]] == ["the kit alone"] * 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_after_a_signal_the_machine_is_as_before_and_that_is_said(
    bench: Bench, client: docker.DockerClient, number: signal.Signals
) -> None:
    process = bench.start(*QUICK)
    _wait_until_it_stands(client, process)
    process.send_signal(number)
    code, said = bench.end(process)
    assert code == 130, said
    assert said.index("nothing of it is left") < said.index("bench: stopped")


def test_after_nox_is_told_to_end_the_machine_is_as_before(bench: Bench, client: docker.DockerClient) -> None:
    process = bench.start("-s", "bench", "--", *QUICK, program=("nox", "-f", str(ROOT / "noxfile.py")))
    _wait_until_it_stands(client, process)
    process.terminate()
    process.wait(60)
    log = bench.folder / "log"
    assert wait_for(lambda: "bench: stopped" in log.read_text()), log.read_text()


def test_after_a_kill_the_next_run_takes_away_what_is_left(bench: Bench, client: docker.DockerClient) -> None:
    process = bench.start(*QUICK)
    _wait_until_it_stands(client, process)
    process.kill()
    process.wait(60)
    assert stand.SMALL in _engine(client)["containers"]
    assert _trust().exists()
    code, said = bench.run("--only", "kit", "--runs", "5")
    assert code == 0, said
    assert "the last run was killed; taking away what it left" in said


def test_without_an_engine_its_measures_are_left_out_with_the_command_that_installs_one(bench: Bench) -> None:
    programs = bench.folder / "programs"
    programs.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for program in Path(folder).glob("*"):
            with contextlib.suppress(FileExistsError):
                (programs / program.name).symlink_to(program)
    (programs / "docker").unlink()
    assert shutil.which("docker"), "it is there, and is hidden"
    code, said = bench.run("--only", "up,tls,kit", "--runs", "5", path=str(programs))
    assert code == 0, said
    for title in ("inv up", "new TLS connections"):
        assert said.count(f"left out: {title}: Docker is not installed; do: ./inv engine") == 2, said
    assert [row["what"].split(":")[0] for row in bench.written["rows"]] == ["the kit alone"] * 2
    assert [one["measure"] for one in bench.written["left_out"]] == ["up", "tls"]
