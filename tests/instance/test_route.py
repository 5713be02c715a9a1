"""An address that is a router's: it needs --nat, is tried as a client would go, and refused before a change."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback, programs
from tests.disk import snapshot
from tests.fake_engine import FakeEngine, container, nobody
from tests.recorder import Recorder
from trusted_registry import address, installation, saved_flags
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance import checks, route
from trusted_registry.registry import observe
from trusted_registry.run import Run
from trusted_registry.tasks import cert

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.settings import Settings

ROUTER = "127.0.0.9"
"""Stands for a router's address: whoever connects to it comes here, as everything of loopback does."""
NOWHERE = "127.0.0.10"
"""Stands for an address that does not lead here: a registry that listens at ROUTER alone is not heard at this one."""
NOTHING = "no connection to it comes back"

pytestmark = pytest.mark.process


@pytest.fixture
def behind(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A machine with none of these addresses, and a port that is free."""
    monkeypatch.setattr(address, "own_addresses", lambda: ("192.168.0.12",))
    monkeypatch.setattr(address, "is_elsewhere", lambda host: host in (ROUTER, NOWHERE))
    monkeypatch.setattr(route, "SECONDS", 60.0)
    monkeypatch.setattr(observe, "CONNECT_SECONDS", 0.2)
    return dataclasses.replace(settings, address=ROUTER, listen="", port=loopback.free_port())


@pytest.fixture
def lost(behind: Settings) -> Settings:
    """A registry whose address does not lead to it."""
    return dataclasses.replace(behind, address=NOWHERE, listen=ROUTER)


@pytest.fixture
def impatient(behind: Settings, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - it sets the same
    """Wait no longer than it takes for what will not come."""
    monkeypatch.setattr(route, "SECONDS", 1.0)


def test_an_address_that_leads_here_is_one_for_a_registry(behind: Settings, console: Recorder) -> None:
    before = snapshot(behind.folder)
    checks.check_address(Run(behind, console), nobody(), nat=True)
    assert snapshot(behind.folder) == before
    with closing(socket.create_server(("", behind.port))):
        pass  # the listener has let go of the port


def test_without_the_flag_it_is_refused_and_the_flag_named(behind: Settings, console: Recorder) -> None:
    with pytest.raises(SettingError, match="none of this machine's addresses") as caught:
        checks.check_address(Run(behind, console), nobody())
    assert f"./inv up --address {ROUTER} --nat" in caught.value.cure


@pytest.mark.usefixtures("impatient")
def test_one_that_does_not_lead_here_is_refused_whatever_is_said(lost: Settings, console: Recorder) -> None:
    before = snapshot(lost.folder)
    with pytest.raises(RegistryError, match=f"{NOWHERE}, port {lost.port}, does not lead to this machine") as caught:
        checks.check_address(Run(lost, console), nobody(), nat=True)
    assert NOTHING in caught.value.message
    assert (f"--names {NOWHERE}" in caught.value.cure, snapshot(lost.folder)) == (True, before)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("said", [b"0" * 32, b"", b".", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_another_s_server_at_it_is_not_this_machine(said: bytes, lost: Settings) -> None:
    with closing(socket.create_server((NOWHERE, lost.port))) as other:
        threading.Thread(target=_greet, args=(other, said), daemon=True).start()
        assert route.broken(lost) == NOTHING


def _greet(other: socket.socket, said: bytes) -> None:
    while True:
        try:
            connection, _ = other.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            connection.sendall(said)


@pytest.mark.parametrize("said", [b".", b"the word", b"0" * 32])
def test_a_stranger_at_the_open_port_proves_nothing(
    said: bytes, lost: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "SECONDS", 1.5)
    heard: list[bytes] = []
    stranger = threading.Thread(target=_intrude, args=(lost.port, said, heard), daemon=True)
    stranger.start()
    assert route.broken(lost) == NOTHING
    stranger.join(60)
    assert [len(word) for word in heard] == [32]


def _intrude(port: int, said: bytes, heard: list[bytes]) -> None:
    """Connect to the open port as soon as there is one, hear its word, and say or repeat something."""
    for _ in range(6000):
        with contextlib.suppress(OSError), socket.create_connection((ROUTER, port), timeout=60) as connection:
            if word := connection.recv(32, socket.MSG_WAITALL):  # else a port that was only tried
                heard.append(word)
                connection.sendall(word if said == b"the word" else said)
                return
        time.sleep(0.01)


def test_a_python_that_loads_for_longer_than_a_connection_may_take_is_waited_for(
    behind: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "SECONDS", 1.0)
    slow = programs.put("slow", f'sleep 1.5; exec {sys.executable} "$@"', tmp_path, monkeypatch)
    monkeypatch.setattr(sys, "executable", str(slow / "slow"))
    assert route.broken(behind) == ""


@pytest.fixture
def ran(behind: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """This installation's registry on the port; nothing is tried, as the port is in use."""
    monkeypatch.setattr(route, "_tried", lambda *_: pytest.fail("a listener was started"))
    for name in ("served", "another"):
        signer = forge.authority()
        forge.save(forge.server(signer, names=(ROUTER,)), tmp_path, name)
    own = installation.ensure(behind.folder, Recorder()).id
    return FakeEngine(container=container(port=behind.port, installation=own))


def _kept(settings: Settings, host: str) -> Run:
    return Run(dataclasses.replace(settings, address=host, saved_flags_before={"address": host}), Recorder())


@pytest.mark.parametrize("nat", [True, False])
def test_a_registry_that_serves_an_older_certificate_than_the_one_on_disk_is_this_machine_s(
    behind: Settings, ran: FakeEngine, tmp_path: Path, *, nat: bool
) -> None:
    with loopback.registry(tmp_path / "served.crt", host="", port=behind.port):
        checks.check_address(_kept(behind, ROUTER), ran, nat=nat)
        if nat:
            checks.check_address(Run(behind, Recorder()), ran, nat=True)


def test_a_router_that_passes_nothing_on_for_a_moment_ends_no_registry_that_runs(
    behind: Settings, ran: FakeEngine, tmp_path: Path
) -> None:
    with loopback.registry(tmp_path / "served.crt", port=behind.port):
        checks.check_address(_kept(behind, NOWHERE), ran)
        with pytest.raises(RegistryError, match=NOTHING):
            checks.check_address(Run(dataclasses.replace(behind, address=NOWHERE), Recorder()), ran, nat=True)


@pytest.mark.parametrize("shown", ["another.crt", ""])
def test_another_server_at_an_address_that_was_kept_is_not_the_registry_that_runs(
    shown: str, behind: Settings, ran: FakeEngine, tmp_path: Path
) -> None:
    other = loopback.registry(tmp_path / shown if shown else None, host=NOWHERE, port=behind.port)
    with loopback.registry(tmp_path / "served.crt", port=behind.port), other:
        with pytest.raises(RegistryError, match="another server answers there"):
            checks.check_address(_kept(behind, NOWHERE), ran, nat=True)
        with pytest.raises(SettingError):
            checks.check_address(_kept(behind, NOWHERE), ran)


@pytest.mark.parametrize("changes", [{"state": "exited"}, {"port": 1}, {"installation": "f" * 32}, {"role": None}])
def test_a_container_that_is_not_ours_or_has_not_the_port_vouches_for_nothing(
    changes: dict[str, object], behind: Settings, ran: FakeEngine, tmp_path: Path
) -> None:
    assert ran.container
    ran.container = dataclasses.replace(ran.container, **changes)  # type: ignore[arg-type]
    with (
        loopback.registry(tmp_path / "served.crt", host="", port=behind.port),
        pytest.raises(RegistryError, match="another program listens here"),
    ):
        checks.check_address(_kept(behind, ROUTER), ran, nat=True)


@pytest.mark.parametrize("reason", ["OSError: [Errno 98] Address already in use", "sudo: timed out", "Killed"])
def test_a_listener_that_ends_before_it_listens_is_the_reason(
    reason: str, behind: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = programs.put("ends", f'echo "{reason}" >&2; exit 1', tmp_path, monkeypatch)
    monkeypatch.setattr(sys, "executable", str(ends / "ends"))
    assert route.broken(behind) == reason


def test_where_the_registry_itself_answers_there_nothing_else_is_tried(
    behind: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(route, "_tried", lambda *_: pytest.fail("a listener was started"))
    with loopback.registry(behind.folder / "domain.crt") as port:
        assert route.broken(dataclasses.replace(behind, address=loopback.HOST, port=port)) == ""


def test_a_port_that_is_root_s_is_listened_on_by_sudo(
    behind: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.put("sudo", '[ "$1" = -n ] && shift; echo "$1" >> "${0%/*}/asked"; exec "$@"', tmp_path, monkeypatch)
    _have_ports_be_root_s(monkeypatch)
    assert route.broken(behind) == ""
    assert (tmp_path / "programs" / "asked").read_text().splitlines() == ["true", sys.executable]
    (tmp_path / "programs" / "sudo").unlink()
    assert "there is no sudo" in route.broken(behind)


@pytest.mark.parametrize("refusal", ["sudo: a password is required", "ada is not in the sudoers file.", "sudo: no tty"])
def test_a_sudo_that_refuses_is_the_reason_and_no_connection_is_waited_for(
    refusal: str, behind: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.put("sudo", f'echo "{refusal}" >&2; exit 1', tmp_path, monkeypatch)
    monkeypatch.setattr(route, "_tried", lambda *_: pytest.fail("a listener was started"))
    _have_ports_be_root_s(monkeypatch)
    assert refusal.rstrip(".") in route.broken(behind)


def _have_ports_be_root_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every port be one that root alone may listen on, and this user another."""
    real = route._listen

    def refuse(host: str, port: int) -> socket.socket:
        real(host, port).close()
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(route, "_listen", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def test_an_address_that_was_kept_is_tried_without_the_flag(behind: Settings, console: Recorder) -> None:
    checks.check_address(Run(dataclasses.replace(behind, saved_flags_before={"address": ROUTER}), console), nobody())


@pytest.mark.usefixtures("impatient")
def test_an_address_that_was_kept_and_leads_here_no_more_is_refused(lost: Settings, console: Recorder) -> None:
    moved = dataclasses.replace(lost, saved_flags_before={"address": NOWHERE})
    with pytest.raises(SettingError, match="none of this machine's addresses"):
        checks.check_address(Run(moved, console), nobody())


def test_a_renewal_keeps_an_address_that_was_kept_before(behind: Settings, console: Recorder) -> None:
    said = {"address": ROUTER}
    cert.keep(Run(dataclasses.replace(behind, saved_flags=said, saved_flags_before=said), console))
    assert console.warned == []
    cert.keep(Run(dataclasses.replace(behind, saved_flags=said), Recorder()))
    assert saved_flags.read(behind.folder) == {}


def test_a_dry_run_tries_nothing(behind: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "broken", lambda *_, **__: pytest.fail("it was tried"))
    checks.check_address(Run(behind, Recorder(dry=True)), nobody(), nat=True)
