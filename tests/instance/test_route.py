"""An address that is a router's: it needs --nat, is tried as a client would go, and refused before a change."""

from __future__ import annotations

import dataclasses
import os
import socket
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests import loopback, programs
from tests.disk import snapshot
from tests.recorder import Recorder
from trusted_registry import address, saved_flags
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
NOWHERE = "192.0.2.1"
"""An address that nobody has (RFC 5737)."""

pytestmark = pytest.mark.process


@pytest.fixture
def behind(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A machine with none of these addresses, and a port that is free."""
    monkeypatch.setattr(address, "own_addresses", lambda: ("192.168.0.12",))
    monkeypatch.setattr(address, "is_elsewhere", lambda host: host in (ROUTER, NOWHERE))
    monkeypatch.setattr(route, "SECONDS", 10.0)
    monkeypatch.setattr(observe, "CONNECT_SECONDS", 0.2)
    with closing(socket.create_server(("", 0))) as free:
        return dataclasses.replace(settings, address=ROUTER, listen="", port=free.getsockname()[1])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait no longer than it takes for what will not come."""
    monkeypatch.setattr(route, "SECONDS", 1.0)


def test_an_address_that_leads_here_is_one_for_a_registry(behind: Settings, console: Recorder) -> None:
    before = snapshot(behind.folder)
    checks.check_address(Run(behind, console), nat=True)
    assert snapshot(behind.folder) == before
    with closing(socket.create_server(("", behind.port))):
        pass  # the listener has let go of the port


def test_without_the_flag_it_is_refused_and_the_flag_named(behind: Settings, console: Recorder) -> None:
    with pytest.raises(SettingError, match="none of this machine's addresses") as caught:
        checks.check_address(Run(behind, console))
    assert f"./inv up --address {ROUTER} --nat" in caught.value.cure


@pytest.mark.usefixtures("impatient")
def test_one_that_does_not_lead_here_is_refused_whatever_is_said(behind: Settings, console: Recorder) -> None:
    before = snapshot(behind.folder)
    with pytest.raises(RegistryError, match=f"{NOWHERE}, port {behind.port}, does not lead to this machine") as caught:
        checks.check_address(Run(dataclasses.replace(behind, address=NOWHERE), console), nat=True)
    assert (f"--names {NOWHERE}" in caught.value.cure, snapshot(behind.folder)) == (True, before)


@pytest.mark.usefixtures("impatient")
def test_another_s_server_at_it_is_not_this_machine(behind: Settings) -> None:
    with closing(socket.create_server((ROUTER, behind.port))) as other:
        threading.Thread(target=_greet, args=(other,), daemon=True).start()
        assert route.broken(behind)


def _greet(other: socket.socket) -> None:
    while True:
        try:
            connection, _ = other.accept()
        except OSError:
            return
        with connection:
            connection.sendall(b"0" * 32)


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
    checks.check_address(Run(dataclasses.replace(behind, saved_flags_before={"address": ROUTER}), console))


@pytest.mark.usefixtures("impatient")
def test_an_address_that_was_kept_and_leads_here_no_more_is_refused(behind: Settings, console: Recorder) -> None:
    moved = dataclasses.replace(behind, address=NOWHERE, saved_flags_before={"address": NOWHERE})
    with pytest.raises(SettingError, match="none of this machine's addresses"):
        checks.check_address(Run(moved, console))


def test_a_renewal_keeps_an_address_that_was_kept_before(behind: Settings, console: Recorder) -> None:
    said = {"address": ROUTER}
    cert.keep(Run(dataclasses.replace(behind, saved_flags=said, saved_flags_before=said), console))
    assert console.warned == []
    cert.keep(Run(dataclasses.replace(behind, saved_flags=said), Recorder()))
    assert saved_flags.read(behind.folder) == {}


def test_a_dry_run_tries_nothing(behind: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "broken", lambda _: pytest.fail("it was tried"))
    checks.check_address(Run(behind, Recorder(dry=True)), nat=True)
