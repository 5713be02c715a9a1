"""All stores are planned before the first is written: what is foreign anywhere means nothing anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.recorder import Recorder
from tests.trust.engines import nobody
from tests.trust.machines import ANCHORS, DOCKER, REGISTRIES, SPELLINGS, USERS, Machine, states
from trusted_registry.errors import RegistryError
from trusted_registry.trust.local import here, ledger
from trusted_registry.trust.local.here import Choice
from trusted_registry.trust.local.look import State

if TYPE_CHECKING:
    from trusted_registry.settings import Settings

THEIRS = b"another's certificate"

pytestmark = pytest.mark.usefixtures("docker_podman_k3s")


def _trust(settings: Settings, edge: Recorder, choice: Choice = here.EVERY) -> set[str]:
    return {store.key for store in here.trust(settings, nobody(), edge, choice).written}


@pytest.mark.parametrize(
    ("template", "content"),
    [
        (f"{DOCKER}/{SPELLINGS[1]}/ca.crt", "another's"),
        (f"{USERS}/{SPELLINGS[0]}/ca.crt", "another's"),
        (f"/etc/containers/certs.d/{SPELLINGS[0]}/client.key", ""),
        (REGISTRIES, "mirrors: ["),
        (REGISTRIES, f"configs:\n  {SPELLINGS[0]}:\n"),
    ],
    ids=["file", "user's file", "stray key", "broken", "another's lines"],
)
def test_what_is_wrong_in_one_store_leaves_every_store_as_it_was(
    template: str, content: str, machine: Machine, settings: Settings, edge: Recorder
) -> None:
    machine.file(template, content)
    before = snapshot(machine.root)
    with pytest.raises(RegistryError) as caught:
        _trust(settings, edge)
    assert caught.value.cure
    assert (snapshot(machine.root), ledger.read(ledger.where()), edge.commands) == (before, [], [])


def test_what_is_wrong_in_one_store_is_no_matter_when_that_is_skipped(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", THEIRS)
    assert _trust(settings, edge, Choice(skip=("docker",))) == {"containers", "k3s"}


def test_every_client_found_is_told_and_the_second_time_none(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    assert _trust(settings, edge) == {"docker", "containers", "k3s"}
    before, again = snapshot(machine.root), Recorder()
    outcome = here.trust(settings, nobody(), again)
    assert (outcome.written, {store.key for store in outcome.already}) == ((), {"docker", "containers", "k3s"})
    assert (snapshot(machine.root), again.commands) == (before, [])


def test_a_dry_run_shows_every_command_and_changes_nothing(machine: Machine, settings: Settings) -> None:
    edge = Recorder(dry=True)
    machine.folder(ANCHORS)
    before = snapshot(machine.root)
    _trust(settings, edge, Choice(system=True))
    assert snapshot(machine.root) == before
    assert not ledger.where().exists()
    assert [command[0] for command in edge.commands].count("update-ca-certificates") == 1


def test_what_is_read_instead_is_written_too(machine: Machine, settings: Settings, edge: Recorder) -> None:
    folder = machine.folder(f"{USERS}/{SPELLINGS[0]}")
    _trust(settings, edge)
    content = (settings.folder / "ca.crt").read_bytes()
    assert (folder / "ca.crt").read_bytes() == content
    assert machine.where.path(f"/etc/containers/certs.d/{SPELLINGS[0]}/ca.crt").read_bytes() == content
    assert set(states(settings, nobody(), Choice(only=("podman",))).values()) == {State.TRUSTED}


def test_certificates_that_count_for_nothing_are_told(machine: Machine, settings: Settings, edge: Recorder) -> None:
    path = machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.pem", THEIRS)
    _trust(settings, edge)
    assert [line for line in edge.warned if str(path) in line]
