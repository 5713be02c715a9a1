"""What tests with many hosts share, and those with nodes, of what is offered to the LAN, and of the kit."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pytest

from tests import sshd
from tests.conftest import ADDRESS
from tests.programs import real
from tests.trust.remote.cluster import Cluster, Go, rounds
from tests.trust.remote.fleets import ADDRESSES, PROGRAMS, Fleet
from tests.trust.remote.kits import SHELLS, Disk, parameters
from tests.trust.remote.offered import HOST, OFFERED
from trusted_registry import address
from trusted_registry.trust.remote import kit_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.recorder import Recorder
    from tests.sshd import Farm
    from trusted_registry.settings import Settings
    from trusted_registry.trust.remote.kit_server import Offer, Server


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    folder = tmp_path_factory.mktemp("sshd")
    (folder / "tmp").mkdir()
    (folder / "disks").mkdir()
    (folder / "programs").mkdir()
    for name in PROGRAMS:
        (folder / "programs" / name).symlink_to(real(name))
    variables = {"PATH": folder / "programs", "TMPDIR": folder / "tmp", "DISKS": folder / "disks"}
    with sshd.farm(folder, ADDRESSES, {name: str(value) for name, value in variables.items()}) as made:
        yield made


@pytest.fixture
def fleet(farm: Farm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setenv("ANSIBLE_TIMEOUT", "3")
    monkeypatch.setenv("ANSIBLE_SSH_ARGS", "-o ControlMaster=no")  # no connection outlives its test
    made = Fleet(farm, tmp_path)
    made.has(one=ADDRESSES[0], two=ADDRESSES[1], three=ADDRESSES[2])
    return made


@pytest.fixture
def no_kubectl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep a real kubectl, and with it real clusters, out of reach."""
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))


@pytest.fixture
def cluster() -> Cluster:
    """An engine without containers; a test adds the nodes."""
    return Cluster()


@pytest.fixture
def go(settings: Settings, cluster: Cluster, console: Recorder) -> Go:
    """A maker of rounds over the nodes."""
    return rounds(settings, cluster, console)


@pytest.fixture
def loopback_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have loopback be this machine's, too: its addresses are what may be listened on."""
    monkeypatch.setattr(address, "own_addresses", lambda: (ADDRESS, HOST, "::1"))


@pytest.fixture
def taken() -> list[str]:
    """What the server said was taken, and by whom."""
    return []


@pytest.fixture
def start(taken: list[str]) -> Iterator[Callable[..., int]]:
    """A starter of servers on loopback; returns the port."""
    with contextlib.ExitStack() as stack:

        def begin(offered: tuple[Offer, ...] = OFFERED, host: str = HOST) -> int:
            server = kit_server.listen(host, 0, offered, lambda client, offer: taken.append(f"{client} {offer.path}"))
            over = threading.Event()
            thread = threading.Thread(target=_answer, args=[server, over])
            for step in (server.server_close, thread.join, over.set):  # the last one first
                stack.callback(step)
            thread.start()
            return int(server.server_address[1])

        yield begin


def _answer(server: Server, over: threading.Event) -> None:
    server.timeout = 0.02
    while not over.is_set():
        server.handle_request()


@pytest.fixture(params=parameters(SHELLS, pytest.mark.long))
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    """A disk on which every client is found, and a shell."""
    return Disk(tmp_path, shell=request.param).furnish()


@pytest.fixture
def one(tmp_path: Path) -> Disk:
    """A disk on which every client is found, and this machine's own shell alone."""
    return Disk(tmp_path).furnish()
