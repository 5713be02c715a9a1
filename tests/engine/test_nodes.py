"""Other people's containers on a real engine: how they are listed, and what becomes of a program that runs in one."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.engine.conftest import NAME
from tests.recorder import Recorder
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker
    from docker.models.containers import Container

    from trusted_registry.engine.protocol import Engine
    from trusted_registry.engine.types import ListedContainer

pytestmark = pytest.mark.engine

NODE = f"{NAME}-node"
LABELS = {f"{NAME}.cluster": "dev"}
PROGRAM = "/bin/registry"
CONFIG = b"version: 0.1\nstorage: {inmemory: {}}\nhttp: {addr: '127.0.0.1:0'}\n"
"""Has the program wait, which is all that it is to do."""


def _tar(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = engines.connect(Recorder())
    yield made
    made.close()


@pytest.fixture
def node(client: docker.DockerClient, registry_image: str) -> Iterator[Container]:
    """A container that runs, with one program and no shell in it."""
    made = client.containers.create(registry_image, ["serve", "/node.yml"], name=NODE, labels=LABELS)
    made.put_archive("/", _tar("node.yml", CONFIG))
    made.start()
    yield made
    made.remove(force=True)


def _found(engine: Engine) -> ListedContainer | None:
    return next((it for it in engine.list_containers() if it.name == NODE), None)


def test_a_container_is_listed_with_its_state_and_labels_whether_it_runs_or_not(
    node: Container, engine: Engine
) -> None:
    running = _found(engine)
    assert running
    assert running.state == "running"
    assert running.labels.items() >= LABELS.items()
    for act, state in ((node.pause, "paused"), (node.unpause, "running"), (node.kill, "exited")):
        act()
        node.wait() if state == "exited" else None
        found = _found(engine)
        assert found
        assert found.state == state


@pytest.mark.usefixtures("node")
def test_a_program_s_words_and_exit_status_come_back(engine: Engine) -> None:
    well, ill = (engine.execute(NODE, (PROGRAM, *words)) for words in (["--version"], ["serve", "/absent.yml"]))
    assert (well.code, "registry" in well.out, well.err) == (0, True, "")
    assert ill.code == 1
    assert "/absent.yml" in ill.err


@pytest.mark.usefixtures("node")
def test_a_program_that_is_not_there_is_a_failure_and_no_traceback(engine: Engine) -> None:
    assert engine.execute(NODE, ("no-such-program",)).code in (126, 127)


def test_nothing_runs_in_a_container_that_waits_or_is_gone(node: Container, engine: Engine) -> None:
    node.pause()
    with pytest.raises(RegistryError, match=f"Nothing can run in {NODE}: .*paused"):
        engine.execute(NODE, (PROGRAM, "--version"))
    node.unpause()
    node.kill()
    with pytest.raises(RegistryError, match=f"Nothing can run in {NODE}: .*not running"):
        engine.execute(NODE, (PROGRAM, "--version"))
    with pytest.raises(RegistryError, match=f"Nothing can run in {NODE}-absent: .*No such container"):
        engine.execute(f"{NODE}-absent", (PROGRAM, "--version"))
