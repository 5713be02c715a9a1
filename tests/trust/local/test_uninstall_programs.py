"""Removal from the stores that are a program's: the system's, browsers' and Java's, and what is said of them."""

from __future__ import annotations

import dataclasses
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests import programs
from tests.disk import snapshot
from tests.fake_engine import nobody
from tests.programs import on_host
from tests.recorder import Recorder
from tests.trust.boxes import ANCHORS, Box, states
from tests.trust.local.uninstalls import remove, trust
from trusted_registry import program
from trusted_registry.certificate import issue
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.tasks import trust as task
from trusted_registry.trust import client_stores
from trusted_registry.trust.local import ledger
from trusted_registry.trust.local.install import StoreSelection
from trusted_registry.trust.local.state import State

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.settings import Settings

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

pytestmark = pytest.mark.usefixtures("this_machine")


def _system(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put Debian's own program on PATH, in small, and return where it notes its arguments."""
    log = tmp_path / "refreshed"
    anchors, bundle = box.folder(ANCHORS), box.file(BUNDLE, "# theirs\n")
    script = f'echo "refreshed $*" >> {log}; cat {anchors}/*.crt > {bundle} 2>/dev/null || echo "# theirs" > {bundle}'
    programs.put("update-ca-certificates", script, tmp_path, monkeypatch)
    return log


@pytest.mark.process
def test_the_system_s_store_is_refreshed_after_removal_in_the_way_that_forgets(
    box: Box, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = _system(box, tmp_path, monkeypatch)
    before = snapshot(box.root)
    trust(settings, StoreSelection(only=("system",)))
    assert set(states(settings, nobody(), StoreSelection(only=("system",))).values()) == {State.TRUSTED}
    trust(settings, StoreSelection(only=("system",)))
    assert log.read_text().splitlines() == ["refreshed "]
    remove(settings)
    assert (log.read_text().splitlines(), snapshot(box.root)) == (["refreshed ", "refreshed --fresh"], before)


@pytest.mark.process
def test_a_refresh_that_fails_is_tried_again_by_the_next_run_either_way(
    box: Box, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _system(box, tmp_path, monkeypatch)
    before = snapshot(box.root)
    broken = tmp_path / "broken"
    broken.mkdir()
    for act, wanted in ((trust, {State.TRUSTED}), (lambda it, _: remove(it), {State.ABSENT})):
        with monkeypatch.context() as patch:
            programs.put("update-ca-certificates", "echo no >&2; exit 1", broken, patch)
            with pytest.raises(RegistryError, match="update-ca-certificates failed: no"):
                act(settings, StoreSelection(only=("system",)))
        act(settings, StoreSelection(only=("system",)))
        assert set(states(settings, nobody(), StoreSelection(only=("system",))).values()) == wanted
    assert snapshot(box.root) == before


def _browser(box: Box, *templates: str) -> list[Path]:
    box.program("certutil")
    folders = [box.folder(template) for template in templates]
    for folder in folders:
        assert program.capture(["certutil", "-N", "-d", f"sql:{folder}", "--empty-password"]).ok
    return folders


def _listed(folder: Path) -> str:
    return program.capture(["certutil", "-L", "-d", f"sql:{folder}"]).out


@on_host("certutil")
@pytest.mark.process
def test_browsers_get_it_and_give_it_back_with_theirs_left_alone(box: Box, settings: Settings) -> None:
    folders = _browser(box, "{home}/.pki/nssdb", "{home}/.mozilla/firefox/a b.default")
    theirs = ["certutil", "-A", "-d", f"sql:{folders[0]}", "-t", "C,,", "-n", "theirs", "-i"]
    other = dataclasses.replace(settings, folder=settings.folder.parent / "others")
    issue.ensure(Run(other, Recorder()))
    assert program.capture([*theirs, str(other.folder / "ca.crt")]).ok
    before = [_listed(folder) for folder in folders]
    trust(settings, StoreSelection(only=("nss",)))
    assert all("trusted-registry-" in _listed(folder) for folder in folders)
    assert "C,," in _listed(folders[1])
    freed = remove(settings)
    assert ([_listed(folder) for folder in folders], len(freed)) == (before, 2)


@on_host("certutil")
@pytest.mark.process
def test_a_browser_s_profile_that_is_gone_is_forgotten(box: Box, settings: Settings) -> None:
    one, other = _browser(box, "{home}/.pki/nssdb", "{home}/.mozilla/firefox/old")
    trust(settings, StoreSelection(only=("nss",)))
    shutil.rmtree(other)
    freed = remove(settings)
    assert (ledger.read(ledger.path()), [str(one) in place for place in freed]) == ([], [True])
    assert "trusted-registry-" not in _listed(one)


@on_host("certutil")
@pytest.mark.process
def test_a_profile_with_a_password_is_an_error_and_no_question_that_waits_for_ever(
    box: Box, settings: Settings, tmp_path: Path
) -> None:
    box.program("certutil")
    folder = box.folder("{home}/.pki/nssdb")
    (tmp_path / "password").write_text("secret\n")
    assert program.capture(["certutil", "-N", "-d", f"sql:{folder}", "-f", str(tmp_path / "password")]).ok
    with pytest.raises(RegistryError, match="certutil failed") as caught:
        trust(settings, StoreSelection(only=("nss",)))
    assert caught.value.cure.startswith("Try it by hand: certutil -A")


@on_host("keytool")
@pytest.mark.process
def test_java_gets_it_and_gives_it_back(
    box: Box, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, keystore = programs.real("keytool"), tmp_path / "cacerts"
    own = f'[ "$word" = -cacerts ] && set -- "$@" -keystore {keystore} || set -- "$@" "$word"'
    programs.put("keytool", f'for word; do shift; {own}; done; exec {real} "$@"', tmp_path, monkeypatch)
    box.program("keytool")
    assert set(states(settings, nobody(), StoreSelection(only=("java",))).values()) == {State.ABSENT}
    trust(settings, StoreSelection(only=("java",)))
    assert set(states(settings, nobody(), StoreSelection(only=("java",))).values()) == {State.TRUSTED}
    (freed,) = remove(settings)
    assert freed.endswith(" in the store of Java")
    assert set(states(settings, nobody(), StoreSelection(only=("java",))).values()) == {State.ABSENT}


@pytest.mark.process
def test_a_person_is_told_of_stores_by_whose_they_are_and_never_by_our_keys(
    box: Box, settings: Settings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _system(box, tmp_path, monkeypatch)
    box.file("/etc/ca-certificates/update.d/jks-keystore")
    box.folder("/var/lib/rancher/k3s")
    held = tmp_path / "held"
    script = f"case $1 in -list) [ -e {held} ] ;; -importcert) touch {held} ;; -delete) rm {held} ;; esac"
    programs.put("keytool", script, tmp_path, monkeypatch)
    monkeypatch.setattr(engines, "connect_if_available", lambda *_, **__: nobody())
    task.install_trust(Run(settings, console), nobody(), StoreSelection(system=True))
    task.remove(Run(settings, console), all=False)
    said = "\n".join([*console.said, *console.warned])
    assert "Java, through the system store: it reads its certificates when it starts, so: start your Java" in said
    assert said.count("k3s, k3d: it reads registries.yaml when it starts") == 2
    assert "in the store of Java, through the system store" in said
    assert [store.key for store in client_stores.STORES if "-" in store.key and store.key in said] == []
    assert not re.search(r"^(system|java|k3s|nss): ", said, re.MULTILINE)
