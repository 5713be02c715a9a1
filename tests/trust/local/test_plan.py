"""What is to be written to one store, and taken back from it, is planned before anything is."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.disk import mode, snapshot
from tests.recorder import Recorder
from tests.trust import sample
from tests.trust.boxes import ANCHORS, DOCKER, REGISTRIES, SPELLINGS, Box, entry, store_of
from trusted_registry import files
from trusted_registry.console import pasteable
from trusted_registry.errors import NeedsRootError, RegistryError
from trusted_registry.files import Remove, Write
from trusted_registry.trust.local import apply, ledger, plan
from trusted_registry.trust.local import state as states
from trusted_registry.trust.local.state import State
from trusted_registry.trust.managed_blocks import editing
from trusted_registry.trust.model import MACHINE, USER

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.trust.local.plan import Plan
    from trusted_registry.trust.model import TrustAnchor

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
OLD, THEIRS = b"our old certificate", b"another's certificate"
SHARED = "# ours, since 2019\nmirrors:\n    docker.io: # theirs\n        endpoint: [https://mirror.example]\n"

pytestmark = pytest.mark.usefixtures("docker_podman_k3s")


def _install(box: Box, key: str, ours: TrustAnchor) -> Plan:
    return plan.install(store_of(key), box.look(key, ours), ours)


# Written


def test_what_is_absent_is_written_for_every_user_to_read(box: Box, ours: TrustAnchor) -> None:
    path = box.machine.path(f"{DOCKER}/{SPELLINGS[1]}/ca.crt")
    box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", ours.content)
    assert _install(box, "docker", ours).operations == (Write(path, ours.content, 0o644),)


def test_what_is_stale_is_written_anew(box: Box, ours: TrustAnchor) -> None:
    path = box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", OLD)
    found = box.look("docker", ours, [entry(path, OLD)])
    assert Write(path, ours.content) in plan.install(store_of("docker"), found, ours).operations


def test_what_is_trusted_already_needs_nothing(box: Box, ours: TrustAnchor) -> None:
    for it in SPELLINGS:
        box.file(f"{DOCKER}/{it}/ca.crt", ours.content)
    its_plan = _install(box, "docker", ours)
    assert (bool(its_plan), its_plan.typed) == (False, ())


def test_another_s_certificate_is_refused_with_what_to_look_at(box: Box, ours: TrustAnchor) -> None:
    path = box.file(f"{DOCKER}/{SPELLINGS[1]}/ca.crt", THEIRS)
    with pytest.raises(RegistryError, match="was not written here; nothing was changed") as caught:
        _install(box, "docker", ours)
    assert f"cat {path}" in caught.value.cure
    assert "--skip docker" in caught.value.cure


@pytest.mark.parametrize("key", ["buildkit", "buildx"])
def test_the_file_whose_line_is_in_the_way_is_named_by_its_path(key: str, box: Box, ours: TrustAnchor) -> None:
    path = box.look(key, ours)[-1].path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'[registry."{ours.registry_hosts[0]}"]\nhttp = true\n')
    with pytest.raises(RegistryError) as caught:
        _install(box, key, ours)
    named = str(path).removeprefix(str(box.root))
    assert (f"{named}, line 1, already" in caught.value.message, "{" in caught.value.message) == (True, False)


@pytest.mark.process
@pytest.mark.parametrize("key", ["k3s", "buildkit", "buildx"])
def test_lines_of_ours_that_another_hand_changed_are_refused_and_the_cure_is_one(
    key: str, box: Box, ours: TrustAnchor
) -> None:
    files.carry_out(list(_install(box, key, ours).operations))
    path = box.look(key, ours)[-1].path
    path.write_text(path.read_text().replace(ours.name, "theirs", 1))
    changed = snapshot(box.root)
    with pytest.raises(RegistryError, match="was not written here; nothing was changed") as caught:
        _install(box, key, ours)
    assert (f"{path}, between our marks in lines" in caught.value.message, snapshot(box.root)) == (True, changed)
    see, _, rest = caught.value.cure.removeprefix("See what it is: ").partition("; then remove it: ")
    away, _, instead = rest.partition("; or go on without it: ")
    assert instead == f"--skip {store_of(key).name}"
    assert (away.startswith("sudo "), store_of(key).scope) in ((True, MACHINE), (False, USER))
    shown = subprocess.run(shlex.split(see), capture_output=True, text=True, check=True).stdout.splitlines()
    assert (editing.MARK in shown[0], "theirs" in "".join(shown), shown[-1].strip()) == (True, True, editing.END)
    subprocess.run(shlex.split(away.removeprefix("sudo ")), check=True)
    files.carry_out(list(_install(box, key, ours).operations))
    assert {item.state for item in box.look(key, ours)} == {State.TRUSTED}
    assert "theirs" not in path.read_text()


@pytest.mark.process
@pytest.mark.parametrize("key", ["docker", "containerd", "k3s", "buildkit", "system-rhel"])
def test_the_commands_that_a_person_would_type_do_the_same(
    key: str, box: Box, ours: TrustAnchor, tmp_path: Path
) -> None:
    its_plan = plan.install(store_of(key), box.look(key, ours), ours)
    before = snapshot(box.root)
    files.carry_out(list(its_plan.operations))
    done = snapshot(box.root)
    for path in set(done) - set(before):
        target = box.root / path
        if target.is_file():
            target.unlink()
    for command in its_plan.typed:
        assert subprocess.run(command, cwd=tmp_path, check=False, umask=0o022).returncode == 0, shlex.join(command)
    assert snapshot(box.root) == done


def test_a_file_of_others_keeps_its_mode_and_every_byte_around_ours(box: Box, ours: TrustAnchor) -> None:
    path = box.file(REGISTRIES, SHARED, 0o600)
    files.carry_out(list(_install(box, "k3s", ours).operations))
    kept = [line for line in path.read_text().splitlines() if line in SHARED.splitlines()]
    assert (mode(path), kept) == (0o600, SHARED.splitlines())


def test_a_new_shared_file_is_every_user_s_to_read(box: Box, ours: TrustAnchor) -> None:
    files.carry_out(list(_install(box, "k3s", ours).operations))
    assert mode(box.machine.path(REGISTRIES)) == 0o644


def test_what_is_added_to_a_file_of_others_is_shown_and_nothing_around_it(box: Box, ours: TrustAnchor) -> None:
    box.file(REGISTRIES, f"{SHARED}configs:\n  docker.io:\n    auth: {{password: secret}}\n")
    its_plan = _install(box, "k3s", ours)
    console = Recorder(dry=True)
    apply.carry_out(its_plan, console)
    (shown,) = (line for line in console.typed if "patch " in line)
    assert f'+        - "https://{SPELLINGS[0]}"' in shown.splitlines()
    assert "secret" not in shown


@pytest.mark.process
@pytest.mark.parametrize(
    "before",
    [
        SHARED,
        SHARED.removesuffix("\n"),
        f"{SHARED}configs:\n  docker.io:\n    auth: {{password: secret}}\n",
        f"# a comment\n\n{SHARED}",
    ],
    ids=["mirrors", "no line end", "a login behind", "a comment before"],
)
def test_the_patch_that_a_person_would_type_makes_the_same_file_and_unmakes_it(
    before: str, box: Box, ours: TrustAnchor
) -> None:
    path = box.file(REGISTRIES, before)
    its_plan = _install(box, "k3s", ours)
    (write,) = (it for it in its_plan.operations if isinstance(it, Write) and it.path == path)
    (there,) = (it for it in its_plan.typed if it[0] == "patch")
    back = plan.patch(write.content.decode(), Write(path, before.encode()))
    for typed, after in ((there, write.content.decode()), (back, before)):
        # A fresh machine has no patch, and git reads the same form.
        line = pasteable(typed).replace(f"patch {shlex.quote(str(path))} ", "git apply --unidiff-zero --unsafe-paths ")
        done = subprocess.run(["sh", "-c", line], cwd="/", capture_output=True, text=True, check=False)
        assert (done.returncode, path.read_text()) == (0, after), done.stderr


@pytest.mark.parametrize(
    "value", ['"auth": "hunter2"', '"http-proxy": "http://ada:hunter2@proxy"', '"password": "a b,hunter2"']
)
def test_of_a_line_that_may_hold_a_password_no_patch_is_shown(value: str, tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    after = f'{{\n  {value},\n  "insecure-registries": []\n}}\n'
    assert plan.patch(f"{{{value}}}", Write(path, after.encode())) == ("editor", str(path))
    assert plan.patch(f"{{\n  {value}\n}}\n", Write(path, after.encode()))[0] == "editor", "a comma was added to it"
    kept = f'{{\n  {value},\n  "debug": true\n}}\n'
    assert plan.patch(kept, Write(path, after.encode()))[0] == "patch", "the line beside is not touched"


def test_a_second_time_there_is_nothing_to_write_in_shared_files(box: Box, ours: TrustAnchor) -> None:
    box.file(REGISTRIES, SHARED)
    files.carry_out(list(_install(box, "k3s", ours).operations))
    assert not _install(box, "k3s", ours)


@pytest.mark.parametrize("text", ["mirrors: [\n", f'mirrors:\n  "{SPELLINGS[0]}":\n    endpoint: []\n'])
def test_a_shared_file_that_cannot_be_added_to_is_named_with_its_line(text: str, box: Box, ours: TrustAnchor) -> None:
    path = box.file(REGISTRIES, text)
    with pytest.raises(RegistryError, match=r"line \d.*It was left as it is"):
        _install(box, "k3s", ours)
    assert path.read_text() == text


def test_the_system_s_store_is_refreshed_once_and_only_after_a_change(box: Box, ours: TrustAnchor) -> None:
    box.folder(ANCHORS)
    its_plan = _install(box, "system-debian", ours)
    assert its_plan.runs == (("update-ca-certificates",),)
    files.carry_out(list(its_plan.operations))
    assert not _install(box, "system-debian", ours)


def test_a_run_that_was_cut_short_before_the_refresh_is_finished_by_the_next(box: Box, ours: TrustAnchor) -> None:
    box.file(BUNDLE, b"")
    files.carry_out(list(_install(box, "system-debian", ours).operations))
    assert _install(box, "system-debian", ours).runs == (("update-ca-certificates",),)


def test_a_cure_can_be_pasted_though_a_path_has_spaces(box: Box) -> None:
    with pytest.raises(RegistryError) as caught:
        states.read(box.file("/a b/registries.yaml", b"\xff"))
    assert caught.value.cure == f"See what it is: file '{box.root}/a b/registries.yaml'"
    wanted = sample.anchor("a b")
    box.file(f"{DOCKER}/a b/ca.crt", THEIRS)
    with pytest.raises(RegistryError) as caught:
        plan.install(store_of("docker"), box.look("docker", wanted), wanted)
    path = box.machine.path(f"{DOCKER}/a b/ca.crt")
    assert f"cat '{path}'; then remove it: sudo rm '{path}';" in caught.value.cure


@pytest.mark.parametrize(("key", "sudo"), [("docker", "sudo "), ("docker-rootless", "")])
def test_what_is_somebody_else_s_is_removed_as_root_but_not_in_one_s_own_home(
    key: str, sudo: str, box: Box, ours: TrustAnchor
) -> None:
    for file in store_of(key).files(ours):
        box.file(file.path, THEIRS)
    with pytest.raises(RegistryError) as caught:
        _install(box, key, ours)
    assert f"; then remove it: {sudo}rm /" in caught.value.cure


def test_in_a_folder_of_root_s_in_one_s_own_home_it_takes_root(
    box: Box, ours: TrustAnchor, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = box.machine.path(next(iter(store_of("docker-rootless").files(ours))).path)
    path.parent.mkdir(parents=True)
    assert plan.sudo(store_of("docker-rootless"), path) == ()
    monkeypatch.setattr("os.access", lambda folder, _mode: folder != path.parent)
    assert plan.sudo(store_of("docker-rootless"), path) == ("sudo",)


# Taken back


def _taken_back(key: str, *entries: ledger.Entry) -> tuple[Plan, list[Path]]:
    found, stays = plan.uninstall(key, list(entries))
    return found, stays.changed


def test_what_was_written_is_taken_back_with_its_folders_and_no_further(box: Box) -> None:
    path = box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", OLD)
    box.file("/etc/docker/daemon.json", "{}")
    its_plan, changed = _taken_back("docker", entry(path, OLD))  # of a ledger that knew no `keep` yet
    assert its_plan.operations == (Remove(path, keep=box.machine.path("/etc/docker")),)
    files.carry_out(list(its_plan.operations))
    assert (changed, {it.name for it in box.machine.path("/etc/docker").iterdir()}) == ([], {"daemon.json"})


def test_what_was_changed_since_stays_and_is_named(box: Box) -> None:
    path = box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", THEIRS)
    its_plan, changed = _taken_back("docker", entry(path, OLD))
    assert (its_plan.operations, changed) == ((), [path])


def test_what_is_gone_already_needs_no_removal(tmp_path: Path) -> None:
    its_plan, changed = _taken_back("docker", entry(tmp_path / "gone", OLD))
    assert (bool(its_plan), changed) == (False, [])


def test_the_system_s_store_is_refreshed_though_a_run_was_cut_short_after_the_file(tmp_path: Path) -> None:
    its_plan, _ = _taken_back("system-debian", entry(tmp_path / "gone", OLD, "system-debian"))
    assert its_plan.runs == (("update-ca-certificates", "--fresh"),)


def test_removal_of_what_may_not_be_looked_at_takes_root(forbidden: Path) -> None:
    with pytest.raises(NeedsRootError):
        _taken_back("docker", entry(forbidden / SPELLINGS[0] / "ca.crt", OLD))


def test_the_commands_that_take_it_back_name_file_and_folder(box: Box) -> None:
    path = box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", OLD)
    its_plan, _ = _taken_back("docker", entry(path, OLD))
    assert its_plan.typed == (("rm", str(path)), ("rmdir", str(path.parent)))
