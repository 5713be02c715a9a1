"""Which engine is meant: one of this machine, or another machine's, which is refused before anything is done."""

from __future__ import annotations

import hashlib
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import garbage
from tests.recorder import Recorder
from trusted_registry import address
from trusted_registry.engine import connection, engine
from trusted_registry.errors import RegistryError, RemoteEngineError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

OTHERS = ["tcp://192.0.2.9:2376", "ssh://ada@build.example", "https://192.0.2.9:2376", "tcp://[2001:db8::9]:2376"]


@pytest.fixture(autouse=True)
def _own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(address, "own_addresses", lambda: ("192.0.2.7",))
    with garbage.collected():
        yield


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says where the engine of the current context is."""
    monkeypatch.delenv("DOCKER_HOST")
    folder = Path.home() / ".docker"
    meta = folder / "contexts" / "meta" / hashlib.sha256(b"away").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"currentContext": "away"}))
    return meta


def names(host: str) -> str:
    """Return a context's file."""
    return json.dumps({"Name": "away", "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}})


@pytest.mark.parametrize("host", [*OTHERS, "192.0.2.9:2375"])
@pytest.mark.parametrize("console", [Recorder(), Recorder(dry=True)], ids=["real", "dry"])
def test_another_machine_s_engine_is_refused_early_with_a_cure(
    host: str, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(RemoteEngineError, match="is another machine's") as caught:
        engine.connect(console)
    assert host in caught.value.message
    assert caught.value.cure.startswith("unset DOCKER_HOST")


@pytest.mark.parametrize("host", OTHERS)
def test_another_machine_s_engine_by_a_context_is_refused(host: str, context: Path) -> None:
    context.write_text(names(host))
    with pytest.raises(RemoteEngineError) as caught:
        connection.client()
    assert caught.value.cure.startswith("docker context use default")


def test_a_context_that_a_variable_names_is_left_by_that_variable(
    context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.write_text(names(OTHERS[0]))
    monkeypatch.setenv("DOCKER_CONTEXT", "away")
    with pytest.raises(RemoteEngineError) as caught:
        connection.client()
    assert caught.value.cure.startswith("unset DOCKER_CONTEXT")


OWN = ["unix:///nowhere.sock", "tcp://127.0.0.1:9", "tcp://localhost:9", "tcp://[::1]:9", "tcp://192.0.2.7:9"]
NAMED = [f"tcp://{socket.gethostname().upper()}:9", f"tcp://{address.own_name() or 'localhost'}:9"]


@pytest.mark.parametrize("host", [*OWN, *NAMED])
def test_a_socket_a_name_and_an_address_of_this_machine_are_asked(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.setattr(connection, "_SLOW", 2)
    with pytest.raises(RegistryError, match="No Docker Engine answers") as caught:
        connection.client()
    assert not isinstance(caught.value, RemoteEngineError)


def test_a_context_of_a_socket_such_as_a_rootless_engine_s_is_asked(context: Path) -> None:
    context.write_text(names("unix:///nowhere/rootless.sock"))
    with pytest.raises(RegistryError, match="No Docker Engine answers at the context away"):
        connection.client()


def test_what_can_be_done_without_an_engine_goes_on_beside_another_machine_s_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", OTHERS[0])
    console = Recorder()
    assert not engine.connect_if_available(console, quiet=True).available
    (said,) = console.warned
    assert "the registry needs one of this machine. What needs one is left out. unset DOCKER_HOST" in said


def test_nodes_may_be_another_machine_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", OTHERS[0])
    monkeypatch.setattr(connection, "_SLOW", 2)
    with pytest.raises(RegistryError, match="No Docker Engine answers at") as caught:
        engine.connect(Recorder(), anywhere=True)
    assert not isinstance(caught.value, RemoteEngineError)
