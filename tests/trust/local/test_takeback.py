"""Removal gives the machine back as it was, whatever it was, and however far the run came that changed it."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import programs
from tests.disk import mode, snapshot
from tests.recorder import Recorder
from tests.trust.engines import nobody
from tests.trust.machines import SPELLINGS, Machine, states
from trusted_registry import run
from trusted_registry.certificate import clear, issue
from trusted_registry.chapters import trust as chapter
from trusted_registry.errors import RegistryError
from trusted_registry.registry import engine as engines
from trusted_registry.trust import stores
from trusted_registry.trust.local import apply, here, ledger, takeback
from trusted_registry.trust.local.here import Choice
from trusted_registry.trust.local.look import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from trusted_registry.edge import Edge
    from trusted_registry.settings import Settings
    from trusted_registry.trust.local.plan import Plan

DOCKER = "/etc/docker/certs.d"
REGISTRIES = "/etc/rancher/k3s/registries.yaml"
USERS = "{home}/.config/containers/certs.d"
ANCHORS = "/usr/local/share/ca-certificates"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
SHARED = "# since 2019\nmirrors:\n    docker.io: # theirs\n        endpoint: [https://mirror.example]\n"
THEIRS = "another's certificate"
FILES = Choice(only=("docker", "podman", "containerd", "k3s", "buildkit"))

pytestmark = pytest.mark.usefixtures("this_machine")


class Killed(BaseException):
    """What no handler expects: as good as a kill."""


def _trust(settings: Settings, choice: Choice = FILES) -> None:
    here.trust(settings, nobody(), Recorder(), choice)


def _remove(settings: Settings, edge: Recorder | None = None, *, everyone: bool = False) -> list[str]:
    return takeback.remove(settings, nobody(), edge or Recorder(), everyone=everyone)


def _nothing(_: Machine) -> None:
    """Leave the machine empty."""


def _empty(machine: Machine) -> None:
    machine.folder(f"{DOCKER}/{SPELLINGS[0]}")
    machine.folder("/etc/containers/certs.d").chmod(0o700)
    machine.file(REGISTRIES)


def _others(machine: Machine) -> None:
    machine.file(REGISTRIES, SHARED, 0o600)
    machine.file("/etc/buildkit/buildkitd.toml", 'debug = true\n[registry."docker.io"]\n  http = true\n', 0o640)
    machine.file(f"{DOCKER}/other.example/ca.crt", THEIRS)
    machine.file("/etc/docker/daemon.json", "{}", 0o600)
    machine.file(f"/etc/containerd/certs.d/{SPELLINGS[0]}/theirs.crt", THEIRS)


def _already(machine: Machine) -> None:
    machine.folder(f"{USERS}/{SPELLINGS[0]}")
    machine.file(f"{USERS}/{SPELLINGS[1]}/note")


START = pytest.mark.parametrize("start", [_nothing, _empty, _others, _already])


@START
def test_removal_restores_the_tree_to_the_byte_and_the_mode(
    start: Callable[[Machine], None], machine: Machine, settings: Settings
) -> None:
    start(machine)
    before = snapshot(machine.root)
    _trust(settings)
    assert len(snapshot(machine.root)) > len(before)
    assert _remove(settings)
    assert (snapshot(machine.root), ledger.read(ledger.where())) == (before, [])


@START
def test_removal_restores_it_though_names_and_stores_came_in_several_runs(
    start: Callable[[Machine], None], machine: Machine, settings: Settings
) -> None:
    start(machine)
    before = snapshot(machine.root)
    _trust(settings, Choice(only=("podman",)))
    _trust(settings)
    _trust(dataclasses.replace(settings, names=("registry.local", "other.local")))
    _remove(settings)
    assert snapshot(machine.root) == before


@START
def test_removal_restores_it_though_the_authority_changed_in_between(
    start: Callable[[Machine], None], machine: Machine, settings: Settings
) -> None:
    start(machine)
    before = snapshot(machine.root)
    _trust(settings)
    issue.ensure(settings, Recorder(), force=True)
    _trust(settings)
    _remove(settings)
    assert snapshot(machine.root) == before


def test_a_second_removal_finds_nothing_and_runs_nothing(machine: Machine, settings: Settings, edge: Recorder) -> None:
    _trust(settings)
    _remove(settings)
    assert (_remove(settings, edge), edge.commands, edge.warned) == ([], [], [])
    assert not machine.where.path("/etc").exists()


def test_removal_needs_no_certificate(machine: Machine, settings: Settings) -> None:
    before = snapshot(machine.root)
    _trust(settings)
    clear.everything(settings.folder, Recorder())
    _remove(settings)
    assert snapshot(machine.root) == before


def test_a_dry_removal_shows_everything_and_changes_nothing(machine: Machine, settings: Settings) -> None:
    machine.file(REGISTRIES, SHARED)
    _trust(settings)
    before, edge = (snapshot(machine.root), ledger.read(ledger.where())), Recorder(dry=True)
    _remove(settings, edge)
    assert (snapshot(machine.root), ledger.read(ledger.where())) == before
    assert ["rm", str(machine.where.path(f"{DOCKER}/{SPELLINGS[0]}/ca.crt"))] in edge.commands


def test_what_forgets_only_when_it_is_started_anew_is_told(machine: Machine, settings: Settings) -> None:
    _trust(settings, Choice(only=("k3s", "docker")))
    told, again = Recorder(), Recorder()
    _remove(settings, told)
    _remove(settings, again)
    assert [line for line in told.said if line.endswith("systemctl restart k3s || systemctl restart k3s-agent")]
    assert (len(told.said), again.said) == (1, [])
    assert not machine.where.path("/etc/rancher").exists()


# What others did meanwhile


def test_what_others_added_to_a_shared_file_meanwhile_stays(machine: Machine, settings: Settings) -> None:
    _trust(settings)
    path = machine.where.path(REGISTRIES)
    path.write_text(path.read_text() + "# mine, since today\n")
    path.chmod(0o600)
    _remove(settings)
    assert (path.read_text(), mode(path)) == ("# mine, since today\n", 0o600)


def test_lines_that_were_changed_between_our_marks_stay_with_a_warning_and_all_else_goes(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    _trust(settings)
    path = machine.where.path("{docker}/buildx/buildkitd.default.toml")
    ours = f'# trusted-registry: {SPELLINGS[0]}\n[registry."{SPELLINGS[0]}"]\n'
    assert ours in path.read_text()
    path.write_text(path.read_text().replace(ours, f"{ours}  http = true\n"))
    _remove(settings, edge)
    left = path.read_text()
    assert (left.startswith(f"{ours}  http = true\n  ca = "), left.count("[registry.")) == (True, 1)
    assert edge.warned == [f"{path}: lines between our marks were changed since; they stay."]
    assert [it for it in machine.root.rglob("*") if it.is_file()] == [path]
    assert ledger.read(ledger.where()) == []


def test_lines_of_ours_are_known_whatever_margin_and_line_ends_they_were_given(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    _trust(settings)
    path = machine.where.path(REGISTRIES)
    path.write_text(path.read_text().replace("  ", "    ").replace("\n", "\r\n"), newline="")
    _remove(settings, edge)
    assert (SPELLINGS[0] in path.read_text(), edge.warned) == (False, [])


def test_lines_that_an_older_ledger_knew_by_their_marks_alone_go(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    _trust(settings, Choice(only=("k3s",)))
    said = json.loads(ledger.where().read_text())
    for entry in said["entries"]:
        entry["sha256"] = ledger.digest(b"") if entry["value"] else entry["sha256"]
    ledger.where().write_text(json.dumps(said))
    path = machine.where.path(REGISTRIES)
    path.write_text(path.read_text().replace("tls:", "tls: # mine"))
    _remove(settings, edge)
    assert (path.exists(), edge.warned) == (False, [])


def test_a_shared_file_that_became_a_link_is_not_followed(machine: Machine, settings: Settings) -> None:
    _trust(settings, Choice(only=("k3s", "docker")))
    path, theirs = machine.where.path(REGISTRIES), machine.root / "theirs.yaml"
    path.rename(theirs)
    path.symlink_to(theirs)
    before = theirs.read_bytes()
    with pytest.raises(RegistryError, match=r"is a link to .*; it is not followed"):
        _remove(settings)
    assert (theirs.read_bytes(), path.is_symlink()) == (before, True)
    assert {entry.store for entry in ledger.read(ledger.where())} == {"k3s"}
    assert not machine.where.path("/etc/docker").exists()


def test_what_others_put_into_our_folders_meanwhile_stays(machine: Machine, settings: Settings) -> None:
    _trust(settings)
    path = machine.file(f"{DOCKER}/{SPELLINGS[0]}/theirs.crt", THEIRS)
    _remove(settings)
    assert [it.name for it in path.parent.iterdir()] == ["theirs.crt"]


def test_a_file_that_was_changed_since_stays_with_a_warning_and_all_else_goes(
    machine: Machine, settings: Settings, edge: Recorder
) -> None:
    _trust(settings)
    path = machine.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", THEIRS)
    _remove(settings, edge)
    assert [line for line in edge.warned if str(path) in line]
    assert [it for it in machine.where.path("/etc").rglob("*") if it.is_file()] == [path]


def test_what_is_gone_already_is_forgotten(machine: Machine, settings: Settings) -> None:
    _trust(settings)
    for template in ("/etc", "{docker}"):
        shutil.rmtree(machine.where.path(template))
    assert _remove(settings) == []
    assert ledger.read(ledger.where()) == []


def test_one_store_s_trouble_keeps_no_other_store_s_trust(machine: Machine, settings: Settings, edge: Recorder) -> None:
    _trust(settings)
    path = machine.where.path(REGISTRIES)
    path.write_bytes(b"\xff")
    with pytest.raises(RegistryError, match="is no text"):
        _remove(settings, edge)
    assert not machine.where.path("/etc/docker").exists()
    assert not machine.where.path("/etc/buildkit").exists()
    assert {entry.store for entry in ledger.read(ledger.where())} == {"k3s"}
    assert f"removed: {machine.where.path(DOCKER)}/{SPELLINGS[0]}/ca.crt" in edge.said


# Runs that were cut short


def _killed_after(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let a run die at its n-th store, after the ledger was told and before anything is written."""
    real, done = apply.carry_out, []

    def carry_out(plan: Plan, edge: Edge) -> None:
        done.append(plan.store)
        if len(done) == number:
            raise Killed
        real(plan, edge)

    monkeypatch.setattr(apply, "carry_out", carry_out)


@START
@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_run_that_was_killed_can_be_taken_back(
    number: int, start: Callable[[Machine], None], machine: Machine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(machine)
    before = snapshot(machine.root)
    with monkeypatch.context() as patch:
        _killed_after(patch, number)
        with pytest.raises(Killed):
            _trust(settings)
    _remove(settings)
    assert (snapshot(machine.root), ledger.read(ledger.where())) == (before, [])


@START
@pytest.mark.parametrize("number", [1, 3, 6, 9])
def test_a_run_that_was_killed_between_two_files_is_finished_by_the_next_and_taken_back(
    number: int, start: Callable[[Machine], None], machine: Machine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(machine)
    before = snapshot(machine.root)
    steps = []
    real = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if machine.root in target.parents:
            steps.append(target)
            if len(steps) == number:
                raise Killed
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(Killed):
            _trust(settings)
    _trust(settings)
    assert set(states(settings, nobody(), FILES).values()) == {State.TRUSTED}
    _remove(settings)
    assert snapshot(machine.root) == before


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_removal_that_was_killed_is_finished_by_the_next(
    number: int, machine: Machine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _others(machine)
    before = snapshot(machine.root)
    _trust(settings)
    with monkeypatch.context() as patch:
        _killed_after(patch, number)
        with pytest.raises(Killed):
            _remove(settings)
    _remove(settings)
    assert (snapshot(machine.root), ledger.read(ledger.where())) == (before, [])


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_a_removal_that_was_killed_between_a_file_and_its_folders_is_finished_by_the_next(
    number: int, machine: Machine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(machine.root)
    _trust(settings)
    real, steps = Path.rmdir, []

    def rmdir(path: Path) -> None:
        steps.append(path)
        if len(steps) == number:
            raise Killed
        real(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rmdir", rmdir)
        with pytest.raises(Killed):
            _remove(settings)
    _remove(settings)
    assert (snapshot(machine.root), ledger.read(ledger.where())) == (before, [])


# Whose it is


def test_a_checkout_leaves_what_another_one_wrote(machine: Machine, settings: Settings) -> None:
    other = dataclasses.replace(settings, root=settings.root / "other", names=("other.local",))
    _trust(settings)
    mine = snapshot(machine.root)
    _trust(other)
    _remove(other)
    assert snapshot(machine.root) == mine
    assert set(states(settings, nobody(), FILES).values()) == {State.TRUSTED}


def test_everything_of_every_checkout_goes_on_request(machine: Machine, settings: Settings) -> None:
    before = snapshot(machine.root)
    _trust(settings)
    _trust(dataclasses.replace(settings, root=settings.root / "other", names=("other.local",)))
    _remove(dataclasses.replace(settings, root=settings.root / "third"), everyone=True)
    assert snapshot(machine.root) == before


def test_what_another_user_wrote_goes_on_request_lines_in_shared_files_too(
    machine: Machine, settings: Settings
) -> None:
    for sign in ("/var/lib/docker", "/var/lib/rancher/k3s", ANCHORS):
        machine.folder(sign)
    machine.file(REGISTRIES, SHARED)
    before = snapshot(machine.root)
    _trust(settings, Choice(only=("docker", "k3s")))
    ledger.where().unlink()  # it is another user's
    assert _remove(settings) == []
    assert _remove(settings, everyone=True)
    after = snapshot(machine.root)
    for folder in ("etc/docker", "etc/docker/certs.d"):  # whose folders they were is not known any more
        after.pop(folder, None)
    assert after == before


def test_an_older_ledger_that_knew_no_folders_is_enough(machine: Machine, settings: Settings) -> None:
    machine.file("/etc/docker/daemon.json", "{}")
    before = snapshot(machine.root)
    _trust(settings, Choice(only=("docker",)))
    said = json.loads(ledger.where().read_text())
    for entry in said["entries"]:
        del entry["keep"]
    ledger.where().write_text(json.dumps(said))
    _remove(settings)
    assert snapshot(machine.root) == before


# Programs


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
    _trust(settings, Choice(only=("system",)))
    assert set(states(settings, nobody(), Choice(only=("system",))).values()) == {State.TRUSTED}
    _trust(settings, Choice(only=("system",)))
    assert log.read_text().splitlines() == ["refreshed "]
    _remove(settings)
    assert (log.read_text().splitlines(), snapshot(machine.root)) == (["refreshed ", "refreshed --fresh"], before)


@pytest.mark.process
def test_a_refresh_that_fails_is_tried_again_by_the_next_run_either_way(
    machine: Machine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _system(machine, tmp_path, monkeypatch)
    before = snapshot(machine.root)
    broken = tmp_path / "broken"
    broken.mkdir()
    for act, wanted in ((_trust, {State.TRUSTED}), (lambda it, _: _remove(it), {State.ABSENT})):
        with monkeypatch.context() as patch:
            programs.put("update-ca-certificates", "echo no >&2; exit 1", broken, patch)
            with pytest.raises(RegistryError, match="update-ca-certificates failed: no"):
                act(settings, Choice(only=("system",)))
        act(settings, Choice(only=("system",)))
        assert set(states(settings, nobody(), Choice(only=("system",))).values()) == wanted
    assert snapshot(machine.root) == before


def _browser(machine: Machine, *templates: str) -> list[Path]:
    programs.need(certutil="libnss3-tools")
    machine.program("certutil")
    folders = [machine.folder(template) for template in templates]
    for folder in folders:
        assert run.look(["certutil", "-N", "-d", f"sql:{folder}", "--empty-password"]).ok
    return folders


def _listed(folder: Path) -> str:
    return run.look(["certutil", "-L", "-d", f"sql:{folder}"]).out


@pytest.mark.process
def test_browsers_get_it_and_give_it_back_with_theirs_left_alone(machine: Machine, settings: Settings) -> None:
    folders = _browser(machine, "{home}/.pki/nssdb", "{home}/.mozilla/firefox/a b.default")
    theirs = ["certutil", "-A", "-d", f"sql:{folders[0]}", "-t", "C,,", "-n", "theirs", "-i"]
    other = dataclasses.replace(settings, folder=settings.folder.parent / "others")
    issue.ensure(other, Recorder())
    assert run.look([*theirs, str(other.folder / "ca.crt")]).ok
    before = [_listed(folder) for folder in folders]
    _trust(settings, Choice(only=("nss",)))
    assert all("trusted-registry-" in _listed(folder) for folder in folders)
    assert "C,," in _listed(folders[1])
    freed = _remove(settings)
    assert ([_listed(folder) for folder in folders], len(freed)) == (before, 2)


@pytest.mark.process
def test_a_browser_s_profile_that_is_gone_is_forgotten(machine: Machine, settings: Settings) -> None:
    one, other = _browser(machine, "{home}/.pki/nssdb", "{home}/.mozilla/firefox/old")
    _trust(settings, Choice(only=("nss",)))
    shutil.rmtree(other)
    freed = _remove(settings)
    assert (ledger.read(ledger.where()), [str(one) in place for place in freed]) == ([], [True])
    assert "trusted-registry-" not in _listed(one)


@pytest.mark.process
def test_a_profile_with_a_password_is_an_error_and_no_question_that_waits_for_ever(
    machine: Machine, settings: Settings, tmp_path: Path
) -> None:
    programs.need(certutil="libnss3-tools")
    machine.program("certutil")
    folder = machine.folder("{home}/.pki/nssdb")
    (tmp_path / "password").write_text("secret\n")
    assert run.look(["certutil", "-N", "-d", f"sql:{folder}", "-f", str(tmp_path / "password")]).ok
    with pytest.raises(RegistryError, match="certutil failed") as caught:
        _trust(settings, Choice(only=("nss",)))
    assert caught.value.cure.startswith("Try it by hand: certutil -A")


@pytest.mark.process
def test_java_gets_it_and_gives_it_back(
    machine: Machine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.need(keytool="default-jre-headless")
    real, keystore = programs.real("keytool"), tmp_path / "cacerts"
    own = f'[ "$word" = -cacerts ] && set -- "$@" -keystore {keystore} || set -- "$@" "$word"'
    programs.put("keytool", f'for word; do shift; {own}; done; exec {real} "$@"', tmp_path, monkeypatch)
    machine.program("keytool")
    assert set(states(settings, nobody(), Choice(only=("java",))).values()) == {State.ABSENT}
    _trust(settings, Choice(only=("java",)))
    assert set(states(settings, nobody(), Choice(only=("java",))).values()) == {State.TRUSTED}
    (freed,) = _remove(settings)
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
