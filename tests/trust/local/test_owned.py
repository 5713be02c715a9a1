"""An entry of the ledger is an installation's by its id; one of a version before ids by where and what was written."""

from __future__ import annotations

import dataclasses
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests import forge
from tests.disk import snapshot
from tests.recorder import Recorder
from tests.trust.local.uninstalls import FILES, remove, trust
from trusted_registry import installation
from trusted_registry.run import Run
from trusted_registry.trust.local import ledger, owned
from trusted_registry.trust.local.install import StoreSelection

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.trust.boxes import Box
    from trusted_registry.settings import Settings

pytestmark = pytest.mark.usefixtures("this_machine")
OTHER_STORES = StoreSelection(only=("docker", "podman", "containerd", "k3s"))


@pytest.fixture
def checkout(settings: Settings) -> Settings:
    """A checkout that can be moved."""
    root = settings.root / "checkout"
    root.mkdir()
    settings.folder.rename(root / "certs")
    (root / "tasks.py").touch()
    return dataclasses.replace(settings, root=root, folder=root / "certs")


def _moved(settings: Settings, name: str = "moved") -> Settings:
    root = settings.root.parent / name
    settings.root.rename(root)
    return dataclasses.replace(settings, root=root, folder=root / "certs")


def _as_before_ids(settings: Settings) -> None:
    """Have the ledger as 436f26f writes it, and no id in the folder."""
    path = ledger.path()
    said = json.loads(path.read_bytes())
    for entry in said["entries"]:
        del entry["installation"]
    path.write_text(json.dumps(said))
    (settings.folder / installation.FILE).unlink()


@pytest.mark.parametrize("selection", [FILES, OTHER_STORES], ids=["files", "other stores"])
@pytest.mark.parametrize("before", [lambda _: None, _as_before_ids], ids=["with an id", "before ids"])
def test_a_checkout_that_moved_takes_all_of_its_trust_back(
    before: Callable[[Settings], None], selection: StoreSelection, box: Box, checkout: Settings
) -> None:
    disk = snapshot(box.root)
    trust(checkout, selection)
    trust(dataclasses.replace(checkout, names=("registry.local",)), selection)
    before(checkout)
    assert remove(_moved(checkout))
    assert (snapshot(box.root), ledger.read(ledger.path())) == (disk, [])


def test_a_keychain_s_entry_of_before_ids_is_known_by_the_certificate_s_fingerprint(checkout: Settings) -> None:
    anchor = owned.authority(checkout)
    assert anchor
    file = checkout.folder / "ca.crt"
    wrote = ledger.entry("keychain-login", file, b"", by=checkout.root, value=anchor.sha1.lower())
    ledger.record(ledger.path(), [wrote, dataclasses.replace(wrote, value="0" * 40, by="/elsewhere")])
    assert owned.entries(_moved(checkout)) == [wrote]


def test_a_copy_of_the_certificates_takes_it_back_and_a_fresh_clone_does_not(box: Box, checkout: Settings) -> None:
    trust(checkout)
    disk = snapshot(box.root)
    fresh = dataclasses.replace(checkout, root=box.root.parent / "fresh", folder=box.root.parent / "fresh/certs")
    forge.save(forge.authority(), _made(fresh.folder), "ca")
    assert remove(fresh) == []
    installation.ensure(fresh.folder, Recorder())
    assert (remove(fresh), snapshot(box.root)) == ([], disk)
    copy = box.root.parent / "copy"
    shutil.copytree(checkout.folder, copy / "certs")
    assert remove(dataclasses.replace(checkout, root=copy, folder=copy / "certs"))
    assert ledger.read(ledger.path()) == []


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def test_what_a_checkout_that_is_still_there_wrote_before_ids_is_not_another_s(checkout: Settings) -> None:
    trust(checkout)
    _as_before_ids(checkout)
    client = checkout.root.parent / "client"
    shutil.copytree(checkout.folder, client / "certs")
    assert remove(dataclasses.replace(checkout, root=client, folder=client / "certs")) == []
    assert remove(checkout)


def test_what_was_written_before_ids_gets_the_id_with_the_next_trust_and_nothing_else_changes(
    box: Box, checkout: Settings
) -> None:
    trust(checkout)
    _as_before_ids(checkout)
    id_ = installation.ensure(checkout.folder, Recorder()).id
    disk, before = snapshot(box.root), ledger.read(ledger.path())
    trust(checkout)
    assert ledger.read(ledger.path()) == [dataclasses.replace(entry, installation=id_) for entry in before]
    assert snapshot(box.root) == disk
    moved = _moved(checkout)
    (moved.folder / "ca.crt").unlink()  # not known by the authority any more
    assert remove(moved)


def test_a_dry_run_of_trust_changes_no_entry(checkout: Settings) -> None:
    trust(checkout)
    _as_before_ids(checkout)
    installation.ensure(checkout.folder, Recorder())
    before = ledger.path().read_bytes()
    owned.adopt(Run(checkout, Recorder(dry=True)))
    assert ledger.path().read_bytes() == before


def test_where_no_id_is_left_the_path_tells(box: Box, checkout: Settings) -> None:
    disk = snapshot(box.root)
    trust(checkout)
    shutil.rmtree(checkout.folder)
    assert remove(checkout)
    assert snapshot(box.root) == disk
