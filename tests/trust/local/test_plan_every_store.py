"""All stores are planned before the first is written: what is foreign anywhere means nothing anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.fake_engine import nobody
from tests.recorder import Recorder
from tests.trust.boxes import ANCHORS, DOCKER, REGISTRIES, SPELLINGS, USERS, Box, states
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.trust.local import install, ledger
from trusted_registry.trust.local.install import StoreSelection
from trusted_registry.trust.local.state import State

if TYPE_CHECKING:
    from trusted_registry.settings import Settings

THEIRS = b"another's certificate"

pytestmark = pytest.mark.usefixtures("docker_podman_k3s")


def _trust(settings: Settings, console: Recorder, selection: StoreSelection = install.ALL_STORES) -> set[str]:
    return {store.key for store in install.trust(Run(settings, console), nobody(), selection).written}


@pytest.mark.parametrize(
    ("template", "content"),
    [
        (f"{DOCKER}/{SPELLINGS[1]}/ca.crt", "another's"),
        (f"{USERS}/{SPELLINGS[0]}/ca.crt", "another's"),
        (f"/etc/containers/certs.d/{SPELLINGS[0]}/client.key", ""),
        (REGISTRIES, "mirrors: ["),
        (REGISTRIES, f"configs:\n  {SPELLINGS[0]}: {{}}\n"),
    ],
    ids=["file", "user's file", "stray key", "broken", "another's lines"],
)
def test_what_is_wrong_in_one_store_leaves_every_store_as_it_was(
    template: str, content: str, box: Box, settings: Settings, console: Recorder
) -> None:
    box.file(template, content)
    before = snapshot(box.root)
    with pytest.raises(RegistryError) as caught:
        _trust(settings, console)
    assert caught.value.cure
    assert (snapshot(box.root), ledger.read(ledger.path()), console.commands) == (before, [], [])


def test_what_is_wrong_in_one_store_is_no_matter_when_that_is_skipped(
    box: Box, settings: Settings, console: Recorder
) -> None:
    box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", THEIRS)
    assert _trust(settings, console, StoreSelection(skip=("docker",))) == {"containers", "k3s"}


def test_every_client_found_is_told_and_the_second_time_none(box: Box, settings: Settings, console: Recorder) -> None:
    assert _trust(settings, console) == {"docker", "containers", "k3s"}
    before, again = snapshot(box.root), Recorder()
    result = install.trust(Run(settings, again), nobody())
    assert (result.written, {store.key for store in result.already}) == ((), {"docker", "containers", "k3s"})
    assert (snapshot(box.root), again.commands) == (before, [])


def test_a_dry_run_shows_every_command_and_changes_nothing(box: Box, settings: Settings) -> None:
    console = Recorder(dry=True)
    box.folder(ANCHORS)
    before = snapshot(box.root)
    _trust(settings, console, StoreSelection(system=True))
    assert snapshot(box.root) == before
    assert not ledger.path().exists()
    assert [command[0] for command in console.commands].count("update-ca-certificates") == 1


def test_what_is_read_instead_is_written_too(box: Box, settings: Settings, console: Recorder) -> None:
    folder = box.folder(f"{USERS}/{SPELLINGS[0]}")
    _trust(settings, console)
    content = (settings.folder / "ca.crt").read_bytes()
    assert (folder / "ca.crt").read_bytes() == content
    assert box.machine.path(f"/etc/containers/certs.d/{SPELLINGS[0]}/ca.crt").read_bytes() == content
    assert set(states(settings, nobody(), StoreSelection(only=("podman",))).values()) == {State.TRUSTED}


def test_certificates_that_count_for_nothing_are_told(box: Box, settings: Settings, console: Recorder) -> None:
    path = box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.pem", THEIRS)
    _trust(settings, console)
    assert [line for line in console.warned if str(path) in line]
