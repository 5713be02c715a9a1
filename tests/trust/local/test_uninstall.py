"""Removal gives the machine back as it was, whatever it was, and takes what is this checkout's own."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.fake_engine import nobody
from tests.recorder import Recorder
from tests.trust.boxes import ANCHORS, DOCKER, REGISTRIES, SPELLINGS, Box, states
from tests.trust.local.uninstalls import FILES, SHARED, START, remove, trust
from trusted_registry.certificate import clear, issue
from trusted_registry.run import Run
from trusted_registry.trust.local import ledger
from trusted_registry.trust.local.install import StoreSelection
from trusted_registry.trust.local.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from trusted_registry.settings import Settings

pytestmark = pytest.mark.usefixtures("this_machine")


@START
def test_removal_restores_the_tree_to_the_byte_and_the_mode(
    start: Callable[[Box], None], box: Box, settings: Settings
) -> None:
    start(box)
    before = snapshot(box.root)
    trust(settings)
    assert len(snapshot(box.root)) > len(before)
    assert remove(settings)
    assert (snapshot(box.root), ledger.read(ledger.path())) == (before, [])


@START
def test_removal_restores_it_though_names_and_stores_came_in_several_runs(
    start: Callable[[Box], None], box: Box, settings: Settings
) -> None:
    start(box)
    before = snapshot(box.root)
    trust(settings, StoreSelection(only=("podman",)))
    trust(settings)
    trust(dataclasses.replace(settings, names=("registry.local", "other.local")))
    remove(settings)
    assert snapshot(box.root) == before


@START
def test_removal_restores_it_though_the_authority_changed_in_between(
    start: Callable[[Box], None], box: Box, settings: Settings
) -> None:
    start(box)
    before = snapshot(box.root)
    trust(settings)
    issue.ensure(Run(settings, Recorder()), force=True)
    trust(settings)
    remove(settings)
    assert snapshot(box.root) == before


def test_a_second_removal_finds_nothing_and_runs_nothing(box: Box, settings: Settings, console: Recorder) -> None:
    trust(settings)
    remove(settings)
    assert (remove(settings, console), console.commands, console.warned) == ([], [], [])
    assert not box.machine.path("/etc").exists()


def test_removal_needs_no_certificate(box: Box, settings: Settings) -> None:
    before = snapshot(box.root)
    trust(settings)
    clear.remove_all(settings.folder, Recorder())
    remove(settings)
    assert snapshot(box.root) == before


def test_a_dry_removal_shows_everything_and_changes_nothing(box: Box, settings: Settings) -> None:
    box.file(REGISTRIES, SHARED)
    trust(settings)
    before, console = (snapshot(box.root), ledger.read(ledger.path())), Recorder(dry=True)
    remove(settings, console)
    assert (snapshot(box.root), ledger.read(ledger.path())) == before
    assert ["rm", str(box.machine.path(f"{DOCKER}/{SPELLINGS[0]}/ca.crt"))] in console.commands


def test_what_forgets_only_when_it_is_started_anew_is_told(box: Box, settings: Settings) -> None:
    trust(settings, StoreSelection(only=("k3s", "docker")))
    told, again = Recorder(), Recorder()
    remove(settings, told)
    remove(settings, again)
    assert [line for line in told.said if line.endswith("systemctl restart k3s || systemctl restart k3s-agent")]
    assert (len(told.said), again.said) == (1, [])
    assert not box.machine.path("/etc/rancher").exists()


# Whose it is


def test_a_checkout_leaves_what_another_one_wrote(box: Box, settings: Settings) -> None:
    root = settings.root / "other"
    (root / "certs").mkdir(parents=True)
    (root / "certs" / "ca.crt").write_bytes((settings.folder / "ca.crt").read_bytes())
    other = dataclasses.replace(settings, root=root, folder=root / "certs", names=("other.local",))
    trust(settings)
    mine = snapshot(box.root)
    trust(other)
    remove(other)
    assert snapshot(box.root) == mine
    assert set(states(settings, nobody(), FILES).values()) == {State.TRUSTED}


def test_everything_of_every_checkout_goes_on_request(box: Box, settings: Settings) -> None:
    before = snapshot(box.root)
    trust(settings)
    trust(dataclasses.replace(settings, root=settings.root / "other", names=("other.local",)))
    remove(dataclasses.replace(settings, root=settings.root / "third"), everyone=True)
    assert snapshot(box.root) == before


def test_what_another_user_wrote_goes_on_request_lines_in_shared_files_too(box: Box, settings: Settings) -> None:
    for sign in ("/var/lib/docker", "/var/lib/rancher/k3s", ANCHORS):
        box.folder(sign)
    box.file(REGISTRIES, SHARED)
    before = snapshot(box.root)
    trust(settings, StoreSelection(only=("docker", "k3s")))
    ledger.path().unlink()  # it is another user's
    assert remove(settings) == []
    assert remove(settings, everyone=True)
    after = snapshot(box.root)
    for folder in ("etc/docker", "etc/docker/certs.d"):  # whose folders they were is not known any more
        after.pop(folder, None)
    assert after == before


def test_an_older_ledger_that_knew_no_folders_is_enough(box: Box, settings: Settings) -> None:
    box.file("/etc/docker/daemon.json", "{}")
    before = snapshot(box.root)
    trust(settings, StoreSelection(only=("docker",)))
    said = json.loads(ledger.path().read_text())
    for entry in said["entries"]:
        del entry["keep"]
    ledger.path().write_text(json.dumps(said))
    remove(settings)
    assert snapshot(box.root) == before
