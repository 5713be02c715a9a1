"""The clients' own answers: what files promise and an engine refuses is told, with what that engine reads instead."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.doctor.conftest import ADDRESS, ENGINE, DoctorBox, found, only, stored_states
from tests.fake_engine import FakeEngine
from tests.fake_images import INFO
from tests.recorder import Recorder
from trusted_registry.client_messages.message import Kind
from trusted_registry.doctor import checks, engine_folder
from trusted_registry.doctor.engine_folder import CONFIG, EngineFolder
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.registry import prove
from trusted_registry.run import Run
from trusted_registry.tasks import lifecycle, registry, trust
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import asking, daemon, install, trust_anchor
from trusted_registry.trust.local.asking import Answer
from trusted_registry.trust.local.install import InstallResult
from trusted_registry.trust.specifics import pulls

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import MakeSettings
    from trusted_registry.doctor.facts import Facts

UNKNOWN = "x509: certificate signed by unknown authority"
REFUSED = Answer("docker", "Docker Engine", ADDRESS, UNKNOWN, Kind.DISTRUST, engine=True)
SNAP = Path("/var/snap/docker/current/etc/docker")


def refusing(box: DoctorBox, folder: EngineFolder | None = None, answer: Answer = REFUSED) -> Facts:
    """Return facts of a machine whose files are as they should be, and whose client refuses."""
    box.trusts("docker", "containers")
    states = stored_states(box, "docker", "containers")
    return replace(box.facts, store_states=states, answers=(answer,), engine_folder=folder)


def test_clients_that_accept_are_no_finding(box: DoctorBox) -> None:
    assert found(refusing(box, answer=replace(REFUSED, reason="", kind=None))) == []


def test_an_engine_that_reads_another_folder_is_told_with_the_files_that_it_lacks(box: DoctorBox) -> None:
    finding = only(refusing(box, EngineFolder(CONFIG, SNAP, 7)), "refused")
    assert finding.evidence.startswith(f"Docker Engine refuses {ADDRESS}: {UNKNOWN}; what this project wrote")
    assert f"does not read /etc/docker here: its own is {SNAP}" in finding.cause
    folder = box.facts.settings.folder
    assert finding.cure == (f"sudo install -D -m 0644 {folder}/ca.crt {SNAP}/certs.d/{ADDRESS}/ca.crt",)
    assert (finding.client, finding.fix) == ("docker", None)


def test_every_registry_host_that_is_refused_gets_its_file(box: DoctorBox) -> None:
    facts = refusing(box, EngineFolder(CONFIG, SNAP, 7))
    both = (*facts.answers, replace(REFUSED, registry_host=f"{ADDRESS}:443"))
    finding = only(replace(facts, answers=both, engine=replace(ENGINE, rootless=True)), "refused")
    assert f"{ADDRESS}, {ADDRESS}:443: " in finding.evidence
    assert [line.rpartition("/certs.d/")[2] for line in finding.cure] == [f"{ADDRESS}/ca.crt", f"{ADDRESS}:443/ca.crt"]
    assert not any(line.startswith("sudo") for line in finding.cure)


@pytest.mark.parametrize(
    ("folder", "says", "cure"),
    [
        (EngineFolder(CONFIG, None, 7), "root alone can see that", "sudo ./inv doctor  #"),
        (
            EngineFolder(CONFIG, None, 0),
            "not a process of this machine",
            f"./inv trust.linux --address {ADDRESS}  #",
        ),
        (EngineFolder(CONFIG, CONFIG, 7), "does not take what is there", "sudo journalctl"),
    ],
)
def test_what_cannot_be_seen_is_not_guessed(folder: EngineFolder, says: str, cure: str, box: DoctorBox) -> None:
    finding = only(refusing(box, folder), "refused")
    assert says in finding.cause
    assert finding.cure[0].startswith(cure)


def test_a_client_that_reads_when_it_starts_is_to_be_started_again(box: DoctorBox) -> None:
    box.trusts("docker-desktop")
    facts = replace(box.facts, store_states=stored_states(box, "docker-desktop"), answers=(REFUSED,))
    finding = only(facts, "refused")
    assert finding.cure == ("systemctl --user restart docker-desktop",)


def test_another_refusal_has_its_own_cause_and_cure(box: DoctorBox) -> None:
    closed = Answer("docker", "Docker Engine", ADDRESS, "lookup registry.local: no such host", None, engine=True)
    finding = only(refusing(box, answer=closed), "refused")
    assert "no such host" in finding.evidence
    assert finding.cure
    strange = Answer("podman", "podman", ADDRESS, "who knows", Kind.CLIENT)
    assert only(refusing(box, answer=strange), "refused").cure == (
        "./inv trust.check --only podman  # asks again, by every name",
    )


def test_a_refusal_whose_reason_is_found_is_not_told_again(box: DoctorBox) -> None:
    facts = refusing(box)
    (box.folder / "etc/docker/certs.d" / ADDRESS / "ca.crt").unlink()
    assert found(replace(facts, store_states=stored_states(box, "docker"))) == ["certs.d"]
    facts = refusing(box)
    (box.folder / "etc/containers/certs.d" / ADDRESS / "ca.crt").unlink()
    both = stored_states(box, "docker", "containers")
    assert found(replace(facts, store_states=both)) == ["certs.d", "refused"], "podman's lack is no reason of Docker's"


def test_an_engine_that_accepts_by_the_system_s_store_lacks_nothing(box: DoctorBox) -> None:
    states = stored_states(box, "docker")
    accepting = tuple(replace(REFUSED, registry_host=it, reason="", kind=None) for it in (ADDRESS, f"{ADDRESS}:443"))
    facts = replace(box.facts, store_states=states, vouched=True, answers=accepting, engine_since=1.0, bundle_since=2.0)
    assert found(facts) == []
    assert found(replace(facts, answers=accepting[:1])) == ["certs.d", "os-store"]
    assert found(replace(facts, vouched=False)) == ["certs.d"]


# Who is asked, and what


@pytest.fixture
def podman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A podman that says something and fails, first on the PATH."""
    here = tmp_path / "programs"
    here.mkdir()
    current = machines.current()
    monkeypatch.setattr(machines, "current", lambda: replace(current, programs=(here,)))
    monkeypatch.setenv("PATH", f"{here}:/usr/bin:/bin")

    def say(words: str) -> None:
        (here / "podman").write_text(f"#!/bin/sh\n[ $1 = pull ] || exit 0\necho \"$2\" '{words}' >&2\nexit 125\n")
        (here / "podman").chmod(0o755)

    return say


SAID = {
    "manifest unknown: manifest unknown": "",
    "unauthorized: authentication required": "",
    f'Get "https://{ADDRESS}/v2/": tls: failed to verify certificate: {UNKNOWN}': UNKNOWN,
}


@pytest.mark.process
@pytest.mark.parametrize("words", SAID)
def test_podman_is_asked_by_every_registry_host(
    words: str, podman: Callable[[str], None], make_settings: MakeSettings, box: DoctorBox
) -> None:
    podman(words)
    engine = FakeEngine()
    answers = asking.ask(make_settings(), engine, [box.store("docker"), box.store("containers")])
    assert [(it.client, it.registry_host) for it in answers] == [
        *(("Docker Engine", host) for host in (ADDRESS, f"{ADDRESS}:443")),
        *(("podman", host) for host in (ADDRESS, f"{ADDRESS}:443")),
    ]
    assert {it.reason for it in answers if it.store == "podman"} == {SAID[words]}
    assert engine.done == []


@pytest.mark.process
def test_a_program_that_fails_by_itself_says_nothing_of_the_registry(
    podman: Callable[[str], None], make_settings: MakeSettings, box: DoctorBox
) -> None:
    podman("cannot clone: Operation not permitted")
    assert asking.ask(make_settings(), FakeEngine(), [box.store("containers")]) == ()


def test_who_is_not_here_is_not_asked_nor_an_engine_of_what_it_does_not_verify(
    make_settings: MakeSettings, box: DoctorBox
) -> None:
    stores = [box.store(key) for key in ("docker", "containers", "containerd")]
    answers = asking.ask(make_settings(), FakeEngine(), stores, skip={ADDRESS})
    assert [it.registry_host for it in answers] == [f"{ADDRESS}:443"]


def test_an_engine_is_asked_by_all_hosts_at_once_since_a_silent_registry_takes_its_time_with_each(
    make_settings: MakeSettings, box: DoctorBox
) -> None:
    settings = make_settings(names=",".join(f"192.168.1.{it}" for it in range(1, 8)))
    together = threading.Barrier(16)

    class Waits(FakeEngine):
        def try_pull(self, reference: str) -> None:
            together.wait(20)
            super().try_pull(reference)

    answers = asking.ask(settings, Waits(), [box.store("docker")])
    assert [it.registry_host for it in answers] == list(settings.registry_hosts)


def test_a_program_that_waits_for_a_silent_registry_is_asked_by_one_host_alone(
    podman: Callable[[str], None], make_settings: MakeSettings, box: DoctorBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    podman("")
    asked: list[list[str]] = []

    def silent(argv: list[str], **_how: object) -> None:
        asked.append(argv)
        raise RegistryError("no answer", cure="")

    monkeypatch.setattr("trusted_registry.program.capture", silent)
    assert asking.ask(make_settings(), FakeEngine(), [box.store("containers")]) == ()
    assert len(asked) == 1


def test_who_needs_root_is_not_asked_by_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    client = next(it for it in pulls.CLIENTS if it.name == "ctr")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.access", lambda *_: False)
    assert pulls.needs_sudo(client, machines.current())


# What an engine reads


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """An engine that is process 7."""
    monkeypatch.setattr(daemon, "process_of", lambda _: 7)
    return FakeEngine()


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """What the kernel tells of process 7, whose root is a folder of the test's own."""
    (tmp_path / "proc/7/root").mkdir(parents=True)
    (tmp_path / "proc/7/mountinfo").write_text("")
    return tmp_path / "proc"


def _inside(proc: Path, own: Path) -> Path:
    path = proc / "7/root" / own.relative_to("/")
    path.parent.mkdir(parents=True)
    return path


def test_an_engine_that_reads_this_machine_s_folder_reads_no_other(
    engine: FakeEngine, proc: Path, tmp_path: Path
) -> None:
    own = tmp_path / "etc/docker"
    own.mkdir(parents=True)
    _inside(proc, own).symlink_to(own)
    seen = engine_folder.find(engine, proc, own)
    assert (seen, seen.is_another) == (EngineFolder(own, own, 7), False)


@pytest.mark.parametrize("named", ["elsewhere", "else where", ""])
def test_a_folder_that_is_mounted_over_is_named_as_this_machine_knows_it(
    named: str, engine: FakeEngine, proc: Path, tmp_path: Path
) -> None:
    own, other = tmp_path / "etc/docker", tmp_path / (named or "gone")
    own.mkdir(parents=True)
    other.mkdir()
    _inside(proc, own).symlink_to(other)
    root = str(other if named else "/nowhere").replace(" ", "\\040")
    lines = ["1 0 8:1 / / rw - ext4 /dev/sda rw", f"2 1 8:1 {root} {own} rw - ext4 /dev/sda rw"]
    (proc / "7/mountinfo").write_text("\n".join(lines))
    seen = engine_folder.find(engine, proc, own)
    assert seen == EngineFolder(own, other if named else _path(proc, own), 7)
    assert seen.is_another


def _path(proc: Path, own: Path) -> Path:
    return proc / "7/root" / own.relative_to("/")


def test_a_folder_above_that_is_mounted_over_is_told_too(engine: FakeEngine, proc: Path, tmp_path: Path) -> None:
    own, other = tmp_path / "etc/docker", tmp_path / "chroot/etc"
    own.mkdir(parents=True)
    (other / "docker").mkdir(parents=True)
    _inside(proc, own).symlink_to(other / "docker")
    (proc / "7/mountinfo").write_text(f"2 1 8:1 {other} {own.parent} rw - ext4 /dev/sda rw\n")
    assert engine_folder.find(engine, proc, own).read == other / "docker"


@pytest.mark.parametrize(
    ("images", "read"), [("/var/snap/docker/common/var-lib-docker", SNAP), ("/var/lib/docker", None)]
)
def test_who_is_not_root_knows_the_snap_by_where_its_images_lie(
    images: str, read: Path | None, engine: FakeEngine, proc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.said = replace(INFO, folder=images)
    monkeypatch.setattr(engine_folder, "_identity", _denied)
    assert engine_folder.find(engine, proc) == EngineFolder(CONFIG, read, 7)


def _denied(path: Path) -> None:
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.parametrize(
    ("environ", "read"),
    [
        ("HOME=/home/me\0XDG_CONFIG_HOME=/opt/conf\0", Path("/opt/conf/docker")),
        ("HOME=/home/me\0", Path("/home/me/.config/docker")),
        ("", None),
    ],
)
def test_an_engine_without_root_finds_its_folder_by_its_own_environment(
    environ: str, read: Path | None, engine: FakeEngine, proc: Path
) -> None:
    engine.said = replace(INFO, rootless=True)
    (proc / "7/environ").write_text(environ)
    assert engine_folder.find(engine, proc) == EngineFolder(machines.current().config / "docker", read, 7)


def test_an_engine_of_another_machine_has_no_process_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: object) -> int:
        raise RegistryError("none", cure="")

    monkeypatch.setattr(daemon, "process_of", nobody)
    assert engine_folder.find(FakeEngine()) == EngineFolder(CONFIG, None, 0)


def test_the_checks_know_the_one_that_asks() -> None:
    assert checks.CHECKS[-1].__name__ == "refused"
    assert install.engine_store(FakeEngine()) == "docker"


# After trust was installed


@pytest.mark.parametrize(("reason", "cure"), [(UNKNOWN, prove.DOCTOR), ("no space left on device", "other")])
def test_up_does_not_tell_to_install_what_it_has_just_installed(
    reason: str, cure: str, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RegistryError(f"Pushing {ADDRESS}/x failed: {reason}", cure="other")

    monkeypatch.setattr(registry, "tls_target", lambda _: None)
    monkeypatch.setattr(registry, "prove_push_and_pull", refuse)
    with pytest.raises(RegistryError, match=reason) as caught:
        lifecycle._prove("x", Run(make_settings(), Recorder()), FakeEngine())
    assert caught.value.cure == cure


@pytest.mark.parametrize(("reason", "circle"), [(UNKNOWN, False), ("x509: certificate has expired", True)])
def test_trust_linux_does_not_either(
    reason: str, *, circle: bool, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, box: DoctorBox
) -> None:
    engine = FakeEngine()
    engine.refusal = f"tls: failed to verify certificate: {reason}"
    monkeypatch.setattr(install, "check_platform", lambda *_: None)
    monkeypatch.setattr(engines, "connect_if_available", lambda *_, **__: engine)
    monkeypatch.setattr(trust_anchor, "check_serves", lambda _: "")
    monkeypatch.setattr(install, "select_stores", lambda *_: [])
    monkeypatch.setattr(trust, "install_trust", lambda *_: InstallResult((box.store("docker"),), (), ()))
    with pytest.raises(RegistryError, match=f"still refuses {ADDRESS}") as caught:
        trust.linux(Run(make_settings(), Recorder()))
    assert (caught.value.cure != prove.DOCTOR) is circle
