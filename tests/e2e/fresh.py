"""The README's first command, and the test command, on a bare Debian: `python -m tests.e2e.fresh SUITE`.

The machine is a container with a network, unlike a host of the lab: Debian's packages and Python's come from where they
come from for anybody. Its Debian is minimal, with git, python3-venv and ca-certificates, all that the README asks for.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from docker.errors import APIError

from tests import alone
from tests.e2e import bases, rights
from tests.e2e.checkout import ROOT
from tests.e2e.outer import LABEL, clear, connect
from tests.e2e.suites import SUITES
from tests.e2e.trouble import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient
    from docker.models.containers import Container

    from tests.e2e.suites import Suite

FRESH = f"{LABEL}.fresh"
"""Label of such a machine, with its suite: one of each may run, beside the lab too."""
PACKAGES = "git python3 python3-venv ca-certificates"
FIRST = ("./inv", "engine", "--yes", "up")
SECOND = ("./inv", "engine", "--yes", "test")
PIP = ("PIP_CERT", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_DEFAULT_TIMEOUT")
"""Variables that say how pip reaches its packages here, which is nothing that a checkout should know."""
MOUNTS = Path(__file__).parent / "node" / "mounts"


def main(argv: list[str]) -> int:
    """Return 0 where both commands succeed on a fresh machine of a suite."""
    suite = SUITES[argv[0]]
    lock = alone.wait(f"fresh-{suite.name}")
    try:
        with contextlib.closing(connect()) as engine:
            mine = f"{FRESH}={suite.name}"
            clear(engine, mine)
            try:
                return _typed(suite, engine)
            finally:
                clear(engine, mine)
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        lock.release()


def _typed(suite: Suite, engine: DockerClient) -> int:
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "checkout.bundle"
        subprocess.run(["git", "-C", str(ROOT), "bundle", "create", "--quiet", str(bundle), "HEAD"], check=True)
        machine = _machine(suite, engine, _image(suite, engine))
        assert machine.put_archive("/root", _tar(bundle))
    for name, command in (("first", FIRST), ("second", SECOND)):
        clone = ("git", "-c", "advice.detachedHead=false", "clone", "--quiet", "checkout.bundle", name)
        _run(machine, *clone, folder="/root")
        if code := _run(machine, *command, folder=f"/root/{name}"):
            return code
    return 0


def _image(suite: Suite, engine: DockerClient) -> str:
    base = bases.make(suite, engine, rebuild=False, say=_say)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Dockerfile").write_text(
            f"FROM {base}\nLABEL {LABEL}=fresh {FRESH}=image\n"  # the base is the lab's, which may run beside
            "RUN apt-get -o Acquire::Check-Valid-Until=false update"
            f" && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends {PACKAGES}\n"
        )
        made, _ = engine.images.build(path=folder, rm=True, forcerm=True, network_mode="host")
    return str(made.id)


def _machine(suite: Suite, engine: DockerClient, image: str) -> Container:
    """Start the machine, with all rights or, when the engine refuses these, as many as this machine has."""
    name, mine = f"{FRESH}.{suite.name}", {FRESH: suite.name}
    disk = engine.volumes.create(name, labels=mine)
    environ = {variable: os.environ[variable] for variable in PIP if variable in os.environ}
    binds = [f"{disk.name}:/disk"]
    if certificates := environ.get("PIP_CERT"):
        environ["PIP_CERT"] = "/root/certificates.pem"
        binds.append(f"{certificates}:/root/certificates.pem:ro")
    boot = [
        "sh",
        "-c",
        f"{MOUNTS.read_text()}\nexec sleep infinity",
        "mounts",
        "/var/lib/docker",
        "/var/lib/containerd",
    ]
    for allowed in (rights.PRIVILEGED, rights.piecemeal()):
        config = engine.api.create_host_config(init=True, cgroupns="private", tmpfs={"/run": "exec"}, binds=binds)
        made = engine.api.create_container(
            image,
            boot,
            name=name,
            hostname="fresh",
            labels=mine,
            environment=environ,
            host_config={**config, **allowed},
        )
        container = engine.containers.get(made["Id"])
        try:
            container.start()
        except APIError as error:
            container.remove(force=True)
            if not rights.is_refused(error):
                raise LabError(f"The machine does not start: {error.explanation}") from error
        else:
            return container
    raise LabError("The engine refuses the machine its rights.")


def _run(machine: Container, *argv: str, folder: str) -> int:
    """Run a command on the machine and show its output as it comes."""
    begun = time.monotonic()
    _say(f"$ cd {folder}; {' '.join(argv)}")
    api = machine.client.api if machine.client else None
    assert api
    number = api.exec_create(machine.id, list(argv), workdir=folder)["Id"]
    for chunk in _streamed(api.exec_start(number, stream=True)):
        sys.stdout.write(chunk)
        sys.stdout.flush()
    code = int(api.exec_inspect(number)["ExitCode"])
    _say(f"exit status {code} after {time.monotonic() - begun:.0f} s")
    return code


def _streamed(chunks: Iterator[bytes]) -> Iterator[str]:
    for chunk in chunks:
        yield chunk.decode(errors="replace")


def _tar(path: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(path, path.name)
    return buffer.getvalue()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
