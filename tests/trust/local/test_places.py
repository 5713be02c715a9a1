"""A ledger counts where the table of stores could have written, and root uses no folder that is another user's."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.fake_engine import nobody
from tests.marks import by_root
from tests.trust.boxes import ANCHORS, DOCKER, Box, entry
from trusted_registry.run import Run
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import install, ledger, places, uninstall
from trusted_registry.trust.local.install import StoreSelection
from trusted_registry.trust.specifics import daemon_json
from trusted_registry.trust.specifics.daemon_json import INSECURE

if TYPE_CHECKING:
    from tests.recorder import Recorder
    from trusted_registry.settings import Settings
    from trusted_registry.trust.model import Store

NAME = f"trusted-registry-{'a' * 16}"
CONTENT = b"somebody's"

# What a ledger names


def _hostile(box: Box) -> dict[str, tuple[str, Path]]:
    outside = box.folder("/home/x")
    link = box.folder(DOCKER) / "linked"
    link.symlink_to(outside)
    return {
        "a file of the system": ("docker", box.machine.path("/etc/passwd")),
        "a file of another's home": ("docker", outside / "ca.crt"),
        "another store's place": ("containers", box.machine.path(f"{DOCKER}/host/ca.crt")),
        "another name beside": ("docker", box.machine.path(f"{DOCKER}/host/ca.pem")),
        "a folder deeper": ("docker", box.machine.path(f"{DOCKER}/a/b/ca.crt")),
        "a way out by dots": ("docker", box.root / "etc/docker/certs.d/../ca.crt"),
        "a way out by a link": ("docker", link / "ca.crt"),
        "a certificate of another name": (
            "system-debian",
            box.machine.path(f"{ANCHORS}/my.crt"),
        ),
        "a file that others share": ("k3s", box.machine.path("/etc/rancher/k3s/config.yaml")),
        "a store that there is none of": ("no-such", box.machine.path(f"{DOCKER}/host/ca.crt")),
        "another daemon.json": (INSECURE.store, box.machine.path("/home/x/daemon.json")),
        "a relative path": ("docker", Path("ca.crt")),
    }


CASES = [
    "a file of the system", "a file of another's home", "another store's place", "another name beside",
    "a folder deeper",
    "a way out by dots", "a way out by a link", "a certificate of another name", "a file that others share",
    "a store that there is none of", "another daemon.json", "a relative path",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_a_ledger_names_outside_its_store_s_places_is_named_and_stays(
    case: str, box: Box, settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(box.root)
    store, path = _hostile(box)[case]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    ledger.record(ledger.path(), [dataclasses.replace(entry(path, CONTENT, store), by=str(settings.root))])
    assert uninstall.remove(Run(settings, console), nobody()) == []
    assert path.read_bytes() == CONTENT
    assert f"names {path}, where nothing of {store} is ever written; it stays." in console.warned[0]


def test_every_case_is_tried(box: Box) -> None:
    assert list(_hostile(box)) == CASES


@pytest.mark.parametrize("store", client_stores.STORES, ids=lambda store: store.key)
def test_whatever_the_table_writes_is_a_place_of_its_store(store: Store, box: Box) -> None:
    fingerprint = "b" * 64
    for registry_host in ("192.168.0.12", "192.168.0.12:8443", "[fd00::12]:443", "registry.local"):
        wanted = dataclasses.replace(places._ANY, fingerprint=fingerprint, registry_hosts=(registry_host,))
        machine = box.machine
        paths = [machine.path(it.path) for it in store.files(wanted)]
        paths += [machine.path(it.path) for it in store.blocks(wanted)]
        paths += [machine.path(folder) / registry_host / "ca.crt" for folder in store.shadowed_by]
        for path in paths:
            assert places.belongs(entry(path, CONTENT, store.key), machine), path


@pytest.mark.parametrize(("value", "counts"), [(NAME, True), ("debian:a.pem", False), ("--all", False), ("", False)])
def test_in_a_database_an_entry_counts_by_our_names_alone(value: str, box: Box, *, counts: bool) -> None:
    java = dataclasses.replace(entry(Path(), CONTENT, "java"), path="", value=value)
    profile = box.folder("{home}/.mozilla/firefox/one")
    nss = dataclasses.replace(entry(profile, CONTENT, "nss"), value=value)
    assert [places.belongs(it, box.machine) for it in (java, nss)] == [counts, counts]
    elsewhere = dataclasses.replace(nss, path="/home/x/profile")
    assert not places.belongs(elsewhere, box.machine)


def test_a_folder_that_is_linked_above_a_store_s_own_still_counts(box: Box) -> None:
    """An administrator's link to another disk, say: no spelling's folder is a link."""
    box.folder("/etc")
    box.machine.path("/etc/docker").symlink_to(box.folder("/disk/docker"))
    assert places.belongs(entry(box.machine.path(f"{DOCKER}/host/ca.crt"), CONTENT), box.machine)


# Whose folders root uses

VARIABLES = {
    "XDG_CONFIG_HOME": lambda: machines.current().config,
    "XDG_DATA_HOME": lambda: machines.current().data,
    "XDG_RUNTIME_DIR": lambda: machines.current().run,
    "DOCKER_CONFIG": lambda: machines.current().docker,
    "XDG_STATE_HOME": lambda: ledger.path().parents[1],
    "XDG_CONFIG_HOME of daemon.json": lambda: daemon_json.config_file(rootless=True).parents[1],
}


def _owned(folder: Path) -> Path:
    os.chown(folder, 1234, 1234)
    return folder


def _below(folder: Path) -> Path:
    (folder / "root-s").mkdir()
    return _owned(folder) / "root-s"


def _open_to_all(folder: Path) -> Path:
    folder.chmod(0o777)
    return folder


def _open_to_a_group(folder: Path) -> Path:
    os.chown(folder, 0, 1234)
    folder.chmod(0o770)
    return folder


def _missing_in_a_sticky_one(folder: Path) -> Path:
    folder.chmod(0o1777)
    return folder / "not-there"


def _linked_by_another(folder: Path) -> Path:
    link = folder / "link"
    link.symlink_to(folder)
    os.chown(link, 1234, 1234, follow_symlinks=False)
    return link


def _linked_to_another_s(folder: Path) -> Path:
    (folder / "theirs").mkdir()
    _owned(folder / "theirs")
    (folder / "link").symlink_to(folder / "theirs")
    return folder / "link"


THEIRS = [
    _owned, _below, _open_to_all, _open_to_a_group, _missing_in_a_sticky_one, _linked_by_another, _linked_to_another_s,
]  # fmt: skip


@by_root
@pytest.mark.parametrize("theirs", THEIRS)
@pytest.mark.parametrize("variable", VARIABLES)
def test_root_uses_no_folder_of_a_variable_that_another_user_may_change(
    variable: str, theirs: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/root")
    folder = theirs(tmp_path)  # type: ignore[operator]
    monkeypatch.setenv(variable.partition(" ")[0], str(folder))
    assert VARIABLES[variable]() != folder


def _own(folder: Path) -> Path:
    return folder


def _not_there(folder: Path) -> Path:
    return folder / "not" / "there"


def _own_in_a_sticky_one(folder: Path) -> Path:
    folder.chmod(0o1777)
    (folder / "mine").mkdir()
    return folder / "mine"


def _linked(folder: Path) -> Path:
    (folder / "mine").mkdir()
    (folder / "link").symlink_to(folder / "mine")
    return folder / "link"


@pytest.mark.parametrize("own", [_own, _not_there, _own_in_a_sticky_one, _linked])
@pytest.mark.parametrize("variable", VARIABLES)
def test_a_folder_of_one_s_own_is_used(
    variable: str, own: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = own(tmp_path)  # type: ignore[operator]
    monkeypatch.setenv(variable.partition(" ")[0], str(folder))
    assert VARIABLES[variable]() == folder


@by_root
def test_root_s_removal_believes_no_ledger_of_another_user_s(
    box: Box, settings: Settings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = box.file(f"{DOCKER}/host/ca.crt", CONTENT)
    theirs = tmp_path / "theirs"
    hostile = theirs / "trusted-registry" / "ledger.json"
    ledger.record(hostile, [dataclasses.replace(entry(path, CONTENT), by=str(settings.root))])
    _owned(theirs)
    monkeypatch.setenv("XDG_STATE_HOME", str(theirs))
    assert (uninstall.remove(Run(settings, console), nobody(), everyone=True), path.read_bytes()) == ([], CONTENT)


@by_root
def test_root_s_trust_writes_nothing_by_the_links_of_another_user_s_folder(
    box: Box, settings: Settings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = _owned(box.folder("/home/x/.config"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(theirs))
    target = tmp_path / "target"
    target.mkdir()
    (theirs / "docker").symlink_to(target)
    monkeypatch.setattr(machines, "current", lambda: dataclasses.replace(box.machine, config=_config(box)))
    install.trust(Run(settings, console), nobody(), StoreSelection(only=("docker-rootless",)))
    assert (snapshot(target), list(theirs.iterdir())) == ({}, [theirs / "docker"])


def _config(box: Box) -> Path:
    return machines.configured("XDG_CONFIG_HOME") or box.home / ".config"
