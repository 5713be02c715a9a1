"""A changeover to another authority: what stands in the folder at each step, whatever kills a run in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import forge
from tests.disk import mode, snapshot
from tests.mine import Killed, Mine
from tests.recorder import Recorder
from trusted_registry.certificate import changeover, clear, inspect, issue, rules
from trusted_registry.certificate.changeover import Stage
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings


@pytest.fixture(params=["chain", "authority"])
def folder(request: pytest.FixtureRequest, settings: Settings) -> Path:
    """A folder with certificates of today's form, or with an authority that has its key."""
    settings.folder.mkdir(parents=True)
    if request.param == "chain":
        forge.fill(settings.folder, names=("192.168.0.12", "mine.local"))
    else:
        signer = forge.authority()
        forge.save(signer, settings.folder, "ca")
        forge.save(forge.server(signer, names=("192.168.0.12", "mine.local")), settings.folder, "domain")
    return settings.folder


def _count(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the certificates that count, and their keys."""
    return {name: it for name, it in snapshot(folder).items() if "/" not in name and name.endswith((".crt", ".key"))}


def test_the_new_root_is_made_beside_what_counts(settings: Settings, folder: Path, console: Recorder) -> None:
    before = _count(folder)
    assert changeover.begin(Run(settings, console))
    assert (_count(folder), changeover.stage(folder)) == (before, Stage.HANDED_OUT)
    new = changeover.next_root(folder)
    assert new
    assert new.fingerprint != inspect.read(folder / "ca.crt").fingerprint
    assert (mode(folder / "next"), mode(folder / "next" / "issuer.key")) == (0o700, 0o600)


def test_what_was_begun_is_not_begun_again(settings: Settings, folder: Path, console: Recorder) -> None:
    changeover.begin(Run(settings, console))
    before = snapshot(folder)
    assert not changeover.begin(Run(settings, console))
    assert snapshot(folder) == before


def test_a_switch_puts_the_new_chain_in_place_and_keeps_the_old_root(
    settings: Settings, folder: Path, console: Recorder
) -> None:
    old = (folder / "ca.crt").read_bytes()
    changeover.begin(Run(settings, console))
    new = changeover.next_root(folder)
    assert changeover.switch(Run(settings, console))
    issued = issue.find(folder)
    assert issued
    assert new
    assert (issued.anchor.fingerprint, changeover.stage(folder)) == (new.fingerprint, Stage.SWITCHED)
    assert rules.check(issued.server, issued.authority, settings.hosts, inspect.now(), issuers=issued.issuers) == []
    assert ((folder / "ca-old.crt").read_bytes(), (folder / "ca.key").exists(), (folder / "next").exists()) == (
        old,
        False,
        False,
    )
    assert issued.server.missing(("mine.local",)) == ()


def test_a_switch_is_made_once(settings: Settings, folder: Path, console: Recorder) -> None:
    changeover.begin(Run(settings, console))
    changeover.switch(Run(settings, console))
    before = snapshot(folder)
    assert not changeover.switch(Run(settings, console))
    assert snapshot(folder) == before


def test_without_a_beginning_there_is_no_switch(settings: Settings, folder: Path, console: Recorder) -> None:
    before = snapshot(folder)
    with pytest.raises(RegistryError, match="No changeover has begun") as caught:
        changeover.switch(Run(settings, console))
    assert (snapshot(folder), "cert.renew-authority begins" in caught.value.cure) == (before, True)


def test_none_begins_before_the_last_has_ended(settings: Settings, folder: Path, console: Recorder) -> None:
    changeover.begin(Run(settings, console))
    changeover.switch(Run(settings, console))
    before = snapshot(folder)
    with pytest.raises(RegistryError, match="is not finished") as caught:
        changeover.begin(Run(settings, console))
    assert (snapshot(folder), "--finish" in caught.value.cure) == (before, True)


@pytest.mark.parametrize("self_signed", [False, True])
def test_where_there_is_no_authority_none_is_changed(
    settings: Settings, console: Recorder, small_rsa: None, *, self_signed: bool
) -> None:
    assert small_rsa is None
    if self_signed:
        issue.ensure(Run(settings, console), self_signed=True)
    before = snapshot(settings.folder)
    with pytest.raises(RegistryError, match="holds no authority"):
        changeover.begin(Run(settings, console))
    assert snapshot(settings.folder) == before


def test_the_new_one_may_vouch_for_a_name_that_the_old_one_may_not(
    make_settings: MakeSettings, folder: Path, console: Recorder
) -> None:
    settings = make_settings(tool="cryptography", names="registry.example.com")
    with pytest.raises(RegistryError, match="may not vouch") as caught:
        issue.renew(Run(settings, console))
    assert "./inv cert.renew-authority --address 192.168.0.12 --names registry.example.com" in caught.value.cure
    changeover.begin(Run(settings, console))
    changeover.switch(Run(settings, console))
    assert inspect.read(folder / "domain.crt").missing(settings.hosts) == ()


def test_a_dry_changeover_changes_nothing_and_shows_what_it_would_type(settings: Settings, folder: Path) -> None:
    before, console = snapshot(folder), Recorder(dry=True)
    changeover.begin(Run(settings, console))
    assert (snapshot(folder), any("/next/issuer.key" in line for line in console.typed)) == (before, True)


@pytest.mark.parametrize("begun", [changeover.begin, changeover.switch])
def test_what_a_changeover_keeps_is_forgotten_whole(
    begun: object, settings: Settings, folder: Path, console: Recorder
) -> None:
    changeover.begin(Run(settings, console))
    if begun is changeover.switch:
        changeover.switch(Run(settings, console))
    counts = set(_count(folder)) - {"ca-old.crt"}
    changeover.forget(Run(settings, console))
    assert (changeover.stage(folder), set(_count(folder)), (folder / "next").exists()) == (Stage.NONE, counts, False)
    assert issue.find(folder)


def test_purge_takes_a_changeover_with_it(settings: Settings, folder: Path, console: Recorder) -> None:
    changeover.begin(Run(settings, console))
    clear.remove_all(folder, console)
    assert snapshot(folder) == {}


@pytest.mark.parametrize("step", range(2, 12))
def test_a_switch_that_was_killed_is_finished_by_the_next_one(
    step: int, settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changeover.begin(Run(settings, Recorder()))
    new = changeover.next_root(folder)
    assert new
    with monkeypatch.context() as patch:
        Mine(patch, step)
        with pytest.raises(Killed):
            changeover.switch(Run(settings, Recorder()))
    changeover.switch(Run(settings, Recorder()))
    issued = issue.find(folder)
    assert issued
    assert (issued.anchor.fingerprint, changeover.stage(folder)) == (new.fingerprint, Stage.SWITCHED)
    assert not (folder / "next").exists()
