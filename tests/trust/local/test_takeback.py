"""Removal gives the machine back as it was, whatever it was, and takes what is this checkout's own."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.recorder import Recorder
from tests.trust.engines import nobody
from tests.trust.local.takebacks import FILES, SHARED, START, remove, trust
from tests.trust.machines import ANCHORS, DOCKER, REGISTRIES, SPELLINGS, Machine, states
from trusted_registry.certificate import clear, issue
from trusted_registry.trust.local import ledger
from trusted_registry.trust.local.here import Choice
from trusted_registry.trust.local.look import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from trusted_registry.settings import Settings

pytestmark = pytest.mark.usefixtures("this_machine")


@START
def test_removal_restores_the_tree_to_the_byte_and_the_mode(
    start: Callable[[Machine], None], machine: Machine, settings: Settings
) -> None:
    start(machine)
    before = snapshot(machine.root)
    trust(settings)
    assert len(snapshot(machine.root)) > len(before)
    assert remove(settings)
    assert (snapshot(machine.root), ledger.read(ledger.where())) == (before, [])


@START
def test_removal_restores_it_though_names_and_stores_came_in_several_runs(
    start: Callable[[Machine], None], machine: Machine, settings: Settings
) -> None:
    start(machine)
    before = snapshot(machine.root)
    trust(settings, Choice(only=("podman",)))
    trust(settings)
    trust(dataclasses.replace(settings, names=("registry.local", "other.local")))
    remove(settings)
    assert snapshot(machine.root) == before


@START
def test_removal_restores_it_though_the_authority_changed_in_between(
    start: Callable[[Machine], None], machine: Machine, settings: Settings
) -> None:
    start(machine)
    before = snapshot(machine.root)
    trust(settings)
    issue.ensure(settings, Recorder(), force=True)
    trust(settings)
    remove(settings)
    assert snapshot(machine.root) == before


def test_a_second_removal_finds_nothing_and_runs_nothing(machine: Machine, settings: Settings, edge: Recorder) -> None:
    trust(settings)
    remove(settings)
    assert (remove(settings, edge), edge.commands, edge.warned) == ([], [], [])
    assert not machine.where.path("/etc").exists()


def test_removal_needs_no_certificate(machine: Machine, settings: Settings) -> None:
    before = snapshot(machine.root)
    trust(settings)
    clear.everything(settings.folder, Recorder())
    remove(settings)
    assert snapshot(machine.root) == before


def test_a_dry_removal_shows_everything_and_changes_nothing(machine: Machine, settings: Settings) -> None:
    machine.file(REGISTRIES, SHARED)
    trust(settings)
    before, edge = (snapshot(machine.root), ledger.read(ledger.where())), Recorder(dry=True)
    remove(settings, edge)
    assert (snapshot(machine.root), ledger.read(ledger.where())) == before
    assert ["rm", str(machine.where.path(f"{DOCKER}/{SPELLINGS[0]}/ca.crt"))] in edge.commands


def test_what_forgets_only_when_it_is_started_anew_is_told(machine: Machine, settings: Settings) -> None:
    trust(settings, Choice(only=("k3s", "docker")))
    told, again = Recorder(), Recorder()
    remove(settings, told)
    remove(settings, again)
    assert [line for line in told.said if line.endswith("systemctl restart k3s || systemctl restart k3s-agent")]
    assert (len(told.said), again.said) == (1, [])
    assert not machine.where.path("/etc/rancher").exists()


# Whose it is


def test_a_checkout_leaves_what_another_one_wrote(machine: Machine, settings: Settings) -> None:
    root = settings.root / "other"
    (root / "certs").mkdir(parents=True)
    (root / "certs" / "ca.crt").write_bytes((settings.folder / "ca.crt").read_bytes())
    other = dataclasses.replace(settings, root=root, folder=root / "certs", names=("other.local",))
    trust(settings)
    mine = snapshot(machine.root)
    trust(other)
    remove(other)
    assert snapshot(machine.root) == mine
    assert set(states(settings, nobody(), FILES).values()) == {State.TRUSTED}


def test_everything_of_every_checkout_goes_on_request(machine: Machine, settings: Settings) -> None:
    before = snapshot(machine.root)
    trust(settings)
    trust(dataclasses.replace(settings, root=settings.root / "other", names=("other.local",)))
    remove(dataclasses.replace(settings, root=settings.root / "third"), everyone=True)
    assert snapshot(machine.root) == before


def test_what_another_user_wrote_goes_on_request_lines_in_shared_files_too(
    machine: Machine, settings: Settings
) -> None:
    for sign in ("/var/lib/docker", "/var/lib/rancher/k3s", ANCHORS):
        machine.folder(sign)
    machine.file(REGISTRIES, SHARED)
    before = snapshot(machine.root)
    trust(settings, Choice(only=("docker", "k3s")))
    ledger.where().unlink()  # it is another user's
    assert remove(settings) == []
    assert remove(settings, everyone=True)
    after = snapshot(machine.root)
    for folder in ("etc/docker", "etc/docker/certs.d"):  # whose folders they were is not known any more
        after.pop(folder, None)
    assert after == before


def test_an_older_ledger_that_knew_no_folders_is_enough(machine: Machine, settings: Settings) -> None:
    machine.file("/etc/docker/daemon.json", "{}")
    before = snapshot(machine.root)
    trust(settings, Choice(only=("docker",)))
    said = json.loads(ledger.where().read_text())
    for entry in said["entries"]:
        del entry["keep"]
    ledger.where().write_text(json.dumps(said))
    remove(settings)
    assert snapshot(machine.root) == before
