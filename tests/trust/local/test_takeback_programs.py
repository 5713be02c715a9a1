"""Removal from the stores that are a program's: the system's, browsers' and Java's, and what is said of them."""

from __future__ import annotations

import dataclasses
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests import programs
from tests.disk import snapshot
from tests.programs import on_host
from tests.recorder import Recorder
from tests.trust.engines import nobody
from tests.trust.local.takebacks import remove, trust
from tests.trust.machines import ANCHORS, Machine, states
from trusted_registry import run
from trusted_registry.certificate import issue
from trusted_registry.chapters import trust as chapter
from trusted_registry.errors import RegistryError
from trusted_registry.registry import engine as engines
from trusted_registry.trust import stores
from trusted_registry.trust.local import ledger
from trusted_registry.trust.local.here import Choice
from trusted_registry.trust.local.look import State

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.settings import Settings

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

pytestmark = pytest.mark.usefixtures("this_machine")


def _system(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put Debian's own program on PATH, in small, and return where it notes its arguments."""
    log = tmp_path / "refreshed"
    anchors, bundle = machine.folder(ANCHORS), machine.file(BUNDLE, "# theirs\n")
    script = f'echo "refreshed $*" >> {log}; cat {anchors}/*.crt > {bundle} 2>/dev/null || echo "# theirs" > {bundle}'
    programs.put("update-ca-certificates", script, tmp_path, monkeypatch)
    return log


@pytest.mark.process
def test_the_system_s_store_is_refreshed_after_removal_in_the_way_that_forgets(
    machine: Machine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = _system(machine, tmp_path, monkeypatch)
    before = snapshot(machine.root)
    trust(settings, Choice(only=("system",)))
    assert set(states(settings, nobody(), Choice(only=("system",))).values()) == {State.TRUSTED}
    trust(settings, Choice(only=("system",)))
    assert log.read_text().splitlines() == ["refreshed "]
    remove(settings)
    assert (log.read_text().splitlines(), snapshot(machine.root)) == (["refreshed ", "refreshed --fresh"], before)


@pytest.mark.process
def test_a_refresh_that_fails_is_tried_again_by_the_next_run_either_way(
    machine: Machine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _system(machine, tmp_path, monkeypatch)
    before = snapshot(machine.root)
    broken = tmp_path / "broken"
    broken.mkdir()
    for act, wanted in ((trust, {State.TRUSTED}), (lambda it, _: remove(it), {State.ABSENT})):
        with monkeypatch.context() as patch:
            programs.put("update-ca-certificates", "echo no >&2; exit 1", broken, patch)
            with pytest.raises(RegistryError, match="update-ca-certificates failed: no"):
                act(settings, Choice(only=("system",)))
        act(settings, Choice(only=("system",)))
        assert set(states(settings, nobody(), Choice(only=("system",))).values()) == wanted
    assert snapshot(machine.root) == before


def _browser(machine: Machine, *templates: str) -> list[Path]:
    machine.program("certutil")
    folders = [machine.folder(template) for template in templates]
    for folder in folders:
        assert run.look(["certutil", "-N", "-d", f"sql:{folder}", "--empty-password"]).ok
    return folders


def _listed(folder: Path) -> str:
    return run.look(["certutil", "-L", "-d", f"sql:{folder}"]).out


@on_host("certutil")
@pytest.mark.process
def test_browsers_get_it_and_give_it_back_with_theirs_left_alone(machine: Machine, settings: Settings) -> None:
    folders = _browser(machine, "{home}/.pki/nssdb", "{home}/.mozilla/firefox/a b.default")
    theirs = ["certutil", "-A", "-d", f"sql:{folders[0]}", "-t", "C,,", "-n", "theirs", "-i"]
    other = dataclasses.replace(settings, folder=settings.folder.parent / "others")
    issue.ensure(other, Recorder())
    assert run.look([*theirs, str(other.folder / "ca.crt")]).ok
    before = [_listed(folder) for folder in folders]
    trust(settings, Choice(only=("nss",)))
    assert all("trusted-registry-" in _listed(folder) for folder in folders)
    assert "C,," in _listed(folders[1])
    freed = remove(settings)
    assert ([_listed(folder) for folder in folders], len(freed)) == (before, 2)


@on_host("certutil")
@pytest.mark.process
def test_a_browser_s_profile_that_is_gone_is_forgotten(machine: Machine, settings: Settings) -> None:
    one, other = _browser(machine, "{home}/.pki/nssdb", "{home}/.mozilla/firefox/old")
    trust(settings, Choice(only=("nss",)))
    shutil.rmtree(other)
    freed = remove(settings)
    assert (ledger.read(ledger.where()), [str(one) in place for place in freed]) == ([], [True])
    assert "trusted-registry-" not in _listed(one)


@on_host("certutil")
@pytest.mark.process
def test_a_profile_with_a_password_is_an_error_and_no_question_that_waits_for_ever(
    machine: Machine, settings: Settings, tmp_path: Path
) -> None:
    machine.program("certutil")
    folder = machine.folder("{home}/.pki/nssdb")
    (tmp_path / "password").write_text("secret\n")
    assert run.look(["certutil", "-N", "-d", f"sql:{folder}", "-f", str(tmp_path / "password")]).ok
    with pytest.raises(RegistryError, match="certutil failed") as caught:
        trust(settings, Choice(only=("nss",)))
    assert caught.value.cure.startswith("Try it by hand: certutil -A")


@on_host("keytool")
@pytest.mark.process
def test_java_gets_it_and_gives_it_back(
    machine: Machine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, keystore = programs.real("keytool"), tmp_path / "cacerts"
    own = f'[ "$word" = -cacerts ] && set -- "$@" -keystore {keystore} || set -- "$@" "$word"'
    programs.put("keytool", f'for word; do shift; {own}; done; exec {real} "$@"', tmp_path, monkeypatch)
    machine.program("keytool")
    assert set(states(settings, nobody(), Choice(only=("java",))).values()) == {State.ABSENT}
    trust(settings, Choice(only=("java",)))
    assert set(states(settings, nobody(), Choice(only=("java",))).values()) == {State.TRUSTED}
    (freed,) = remove(settings)
    assert freed.endswith(" in the store of Java")
    assert set(states(settings, nobody(), Choice(only=("java",))).values()) == {State.ABSENT}


@pytest.mark.process
def test_a_person_is_told_of_stores_by_whose_they_are_and_never_by_our_keys(
    machine: Machine, settings: Settings, edge: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _system(machine, tmp_path, monkeypatch)
    machine.file("/etc/ca-certificates/update.d/jks-keystore")
    machine.folder("/var/lib/rancher/k3s")
    held = tmp_path / "held"
    script = f"case $1 in -list) [ -e {held} ] ;; -importcert) touch {held} ;; -delete) rm {held} ;; esac"
    programs.put("keytool", script, tmp_path, monkeypatch)
    monkeypatch.setattr(engines, "perhaps", lambda *_, **__: nobody())
    chapter.written(settings, nobody(), edge, Choice(system=True))
    chapter.remove(settings, edge, everyone=False)
    said = "\n".join([*edge.said, *edge.warned])
    assert "Java, through the system store: it reads its certificates when it starts, so: start your Java" in said
    assert said.count("k3s, k3d: it reads registries.yaml when it starts") == 2
    assert "in the store of Java, through the system store" in said
    assert [row.key for row in stores.STORES if "-" in row.key and row.key in said] == []
    assert not re.search(r"^(system|java|k3s|nss): ", said, re.MULTILINE)
