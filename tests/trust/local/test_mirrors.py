"""Mirrors on this machine: clients are told of them, in an order that no kill breaks, and are as they were after."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.fake_engine import FakeEngine, nobody
from tests.recorder import Recorder
from tests.trust.boxes import DOCKER, Box
from tests.trust.engines import RootlessEngine
from tests.trust.mirrors import DROP_IN, GITHUB, HUB, HUB_URL, note, trust
from trusted_registry import files
from trusted_registry.engine.types import PODMAN
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.tasks import trust as tasks_trust
from trusted_registry.trust.local import daemon, daemon_lists, ledger, trust_status, uninstall
from trusted_registry.trust.local.install import ALL_STORES
from trusted_registry.trust.model import Mirror
from trusted_registry.trust.specifics.daemon_json import INSECURE, MIRRORS

if TYPE_CHECKING:
    from trusted_registry.files import Remove, Write
    from trusted_registry.settings import Settings

THEIRS = '{"log-driver":"journald",   "debug": false}\n'

pytestmark = pytest.mark.usefixtures("this_machine")


@pytest.fixture
def path(box: Box) -> Path:
    """The configuration of the engine without root."""
    return box.file("{config}/docker/daemon.json", THEIRS)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, path: Path, box: Box) -> RootlessEngine:
    """An engine without root, on a machine with podman and containerd too."""
    stand_in = RootlessEngine()
    monkeypatch.setattr(daemon, "reload", lambda *_arguments: stand_in.reload(path))
    monkeypatch.setattr(daemon, "RELOAD_SECONDS", 0.05)
    for program in ("podman", "nerdctl", "k3s", "buildkitd"):
        box.program(program)
    return stand_in


def _remove(settings: Settings, engine: RootlessEngine) -> list[str]:
    return uninstall.remove(Run(settings, Recorder()), engine)


def test_the_engine_asks_the_mirror_of_docker_hub_alone(settings: Settings, engine: RootlessEngine, path: Path) -> None:
    note(settings, HUB, GITHUB)
    console = trust(settings, engine)
    assert json.loads(path.read_text()) == {**json.loads(THEIRS), MIRRORS.key: [HUB_URL]}
    assert engine.said.mirrors == (f"{HUB_URL}/",)
    assert f'{path}: "registry-mirrors" gains "{HUB_URL}"' in console.said


def test_without_a_mirror_of_docker_hub_the_engine_s_file_is_as_it_was(
    settings: Settings, engine: RootlessEngine, path: Path
) -> None:
    note(settings, GITHUB)
    trust(settings, engine)
    assert (path.read_text(), engine.reloads) == (THEIRS, 0)


def test_the_second_time_nothing_is_changed_nor_said_to_be(
    settings: Settings, engine: RootlessEngine, box: Box
) -> None:
    note(settings, HUB, GITHUB)
    trust(settings, engine)
    before, reloads = snapshot(box.root), engine.reloads
    console = trust(settings, engine)
    assert (snapshot(box.root), engine.reloads, console.said, console.warned) == (before, reloads, [], [])


def test_what_somebody_took_out_is_put_in_again(settings: Settings, engine: RootlessEngine, path: Path) -> None:
    note(settings, HUB)
    trust(settings, engine)
    path.write_text(THEIRS)  # the engine still has it: without the key it keeps what it had
    trust(settings, engine)
    assert json.loads(path.read_text())[MIRRORS.key] == [HUB_URL]


def test_a_dry_run_shows_the_file_and_changes_none(
    settings: Settings, engine: RootlessEngine, box: Box, path: Path
) -> None:
    note(settings, HUB)
    before = snapshot(box.root)
    console = trust(settings, engine, Recorder(dry=True))
    assert snapshot(box.root) == before
    for shown in (str(path), HUB_URL, "docker.io/hosts.toml", "50-trusted-registry-mirror.conf"):
        assert [line for line in console.typed if shown in line], shown


def test_all_is_taken_back_byte_for_byte(settings: Settings, engine: RootlessEngine, box: Box) -> None:
    box.file("/etc/rancher/k3s/registries.yaml", "# theirs\n")
    before = snapshot(box.root)
    note(settings, HUB, GITHUB)
    trust(settings, engine)
    assert snapshot(box.root) != before
    assert [it for it in _remove(settings, engine) if it.startswith(HUB_URL)]
    assert (snapshot(box.root), engine.said.mirrors, ledger.read(ledger.path())) == (before, (), [])


def test_a_mirror_that_is_not_used_any_more_leaves_no_trace(
    settings: Settings, engine: RootlessEngine, box: Box
) -> None:
    trust(settings, engine)
    before, known = snapshot(box.root), len(ledger.read(ledger.path()))
    note(settings, HUB, GITHUB)
    trust(settings, engine)
    note(settings, GITHUB, HUB, used=False)
    console = trust(settings, engine)
    assert (snapshot(box.root), engine.said.mirrors) == (before, ())
    assert len(ledger.read(ledger.path())) == known
    assert [it for it in console.said if "not used any more" in it]
    assert not [it for it in console.said if "earlier authority" in it]


def test_one_of_two_that_is_not_used_any_more_leaves_the_other(
    settings: Settings, engine: RootlessEngine, box: Box
) -> None:
    note(settings, GITHUB)
    trust(settings, engine)
    before = snapshot(box.root)
    note(settings, HUB)
    trust(settings, engine)
    note(settings, HUB, used=False)
    trust(settings, engine)
    assert (snapshot(box.root), engine.said.mirrors) == (before, ())


def test_a_mirror_at_another_port_takes_the_earlier_one_s_place(
    settings: Settings, engine: RootlessEngine, path: Path
) -> None:
    note(settings, HUB)
    trust(settings, engine)
    note(settings, HUB, offset=10)
    trust(settings, engine)
    assert json.loads(path.read_text())[MIRRORS.key] == ["https://192.168.0.12:5510"]
    assert engine.said.mirrors == ("https://192.168.0.12:5510/",)


def test_plain_http_and_a_mirror_share_the_file_and_its_backup(
    settings: Settings, engine: RootlessEngine, path: Path
) -> None:
    daemon_lists.allow_plain(Run(settings, Recorder()), engine)
    note(settings, HUB)
    trust(settings, engine)
    assert {INSECURE.key, MIRRORS.key} < json.loads(path.read_text()).keys()
    note(settings, HUB, used=False)
    trust(settings, engine)
    assert (engine.said.mirrors, len(engine.said.insecure)) == ((), 1)
    uninstall.disallow_plain(Run(settings, Recorder()), engine)
    assert (path.read_text(), [it.name for it in path.parent.iterdir() if "before" in it.name]) == (THEIRS, [])


def test_an_engine_that_takes_no_mirror_up_is_an_error_and_its_file_is_as_it_was(
    settings: Settings, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = RootlessEngine(deaf=True)
    monkeypatch.setattr(daemon, "reload", lambda *_arguments: deaf.reload(path))
    monkeypatch.setattr(daemon, "RELOAD_SECONDS", 0.05)
    note(settings, HUB)
    with pytest.raises(RegistryError, match="did not take up"):
        trust(settings, deaf)
    assert path.read_text() == THEIRS
    assert not [it for it in ledger.read(ledger.path()) if it.store == MIRRORS.store]


def test_an_engine_that_does_not_answer_is_told_nothing_and_that_is_said(settings: Settings, box: Box) -> None:
    box.folder("/var/lib/docker")
    note(settings, HUB)
    before = box.file("/etc/docker/daemon.json", THEIRS).read_bytes()
    console = trust(settings, nobody())
    assert box.machine.path("/etc/docker/daemon.json").read_bytes() == before
    assert [it for it in console.warned if HUB_URL in it and "no engine answers" in it]


@pytest.mark.parametrize("changes", [{"product": PODMAN}, {"desktop": True}])
def test_an_engine_whose_configuration_is_no_daemon_json_is_left_as_it_is(
    changes: dict[str, object], settings: Settings, box: Box
) -> None:
    engine = FakeEngine()
    engine.said = dataclasses.replace(engine.said, **changes)  # type: ignore[arg-type]
    note(settings, HUB)
    console = trust(settings, engine)
    assert not list(box.root.rglob("daemon.json"))
    told = [it for it in console.said if "Settings, Docker Engine" in it and HUB_URL in it]
    assert bool(told) is ("desktop" in changes)
    engine.said = dataclasses.replace(engine.said, mirrors=(f"{HUB_URL}/",))
    assert not [it for it in trust(settings, engine).said if "Settings" in it]


def test_a_user_s_certs_d_draws_no_drop_in_to_it(settings: Settings, engine: RootlessEngine, box: Box) -> None:
    box.folder("{home}/.config/containers/certs.d")
    note(settings, GITHUB)
    trust(settings, engine)
    assert box.machine.path(DROP_IN).is_file()
    assert not list(box.home.rglob("*mirror.conf"))


# A file that is named is there whenever a file names it


def _dangling(root: Path) -> list[str]:
    """Return the certificates that a hosts.toml names and that are not there."""
    tomls = [it.read_text() for it in root.rglob("hosts.toml")]
    named = [path for text in tomls for path in re.findall(r'"([^"]+\.crt)"', text)]
    return [it for it in named if not (root / it.lstrip("/")).exists() and not Path(it).exists()]


class _KilledError(Exception):
    pass


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, box: Box) -> list[int]:
    """Have every step of a change looked at: none leaves a name of a file that is not there."""
    steps: list[int] = []

    def carry_out(operations: list[Write | Remove], step_by_step: object = files.carry_out) -> None:
        for operation in operations:
            step_by_step([operation])  # type: ignore[operator]
            steps.append(1)
            assert _dangling(box.root) == [], operation

    monkeypatch.setattr(files, "carry_out", carry_out)
    return steps


@pytest.mark.parametrize("how", ["trust.remove", "mirror.down"])
def test_a_kill_after_any_step_leaves_no_name_of_a_certificate_that_is_gone(
    how: str, settings: Settings, engine: RootlessEngine, watched: list[int], box: Box
) -> None:
    note(settings, HUB, GITHUB)
    trust(settings, engine)
    assert len(list(box.root.rglob("hosts.toml"))) > 4
    before = len(watched)
    if how == "trust.remove":
        _remove(settings, engine)
    else:
        note(settings, HUB, GITHUB, used=False)
        trust(settings, engine)
    assert len(watched) > before + 8
    assert not list(box.root.rglob(f"{HUB}/hosts.toml"))


def test_a_hosts_toml_that_somebody_changed_stays_with_its_certificate(
    settings: Settings, engine: RootlessEngine, box: Box
) -> None:
    note(settings, GITHUB)
    trust(settings, engine)
    toml = box.machine.path("/etc/containerd/certs.d/ghcr.io/hosts.toml")
    toml.write_text(toml.read_text() + "# mine\n")
    _remove(settings, engine)
    assert toml.is_file()
    assert _dangling(box.root) == []
    toml.unlink()
    _remove(settings, engine)
    assert not list(box.root.rglob("ca.crt"))


# trust.list


def _states(settings: Settings, engine: FakeEngine) -> dict[tuple[str, str], str]:
    found = trust_status.find(settings, engine, ALL_STORES)
    return {(it.store.key, it.name): it.state for it in found if it.upstream}


def test_the_list_names_each_mirror_with_its_upstream_and_what_an_engine_cannot_do(
    settings: Settings, engine: RootlessEngine, box: Box
) -> None:
    hub, github = "docker.io by 192.168.0.12:5500", "ghcr.io by 192.168.0.12:5501"
    note(settings, HUB, GITHUB)
    assert set(_states(settings, engine).values()) == {"absent"}
    trust(settings, engine)
    found = _states(settings, engine)
    keys = ("containers", "containerd", "k3s", "buildkit")
    assert {found.get((key, name)) for key in keys[:2] for name in (hub, github)} == {"trusted"}
    assert {key for key, _ in found} == {"docker-rootless", *keys}
    assert found["docker-rootless", hub] == "trusted"
    assert found["docker-rootless", github] == "trusted, but pulled only as 192.168.0.12:5501/…"
    box.machine.path("{config}/docker/certs.d/docker.io/hosts.toml").unlink()
    assert _states(settings, engine)["docker-rootless", hub] == "absent"


def test_an_engine_that_lost_its_mirror_is_not_said_to_ask_it(settings: Settings, engine: RootlessEngine) -> None:
    note(settings, HUB)
    trust(settings, engine)
    engine.asks_mirrors()
    (state,) = {state for (key, _), state in _states(settings, engine).items() if key == "docker-rootless"}
    assert state == "absent: not in the engine's registry-mirrors"


def test_of_an_engine_that_does_not_answer_its_file_tells(settings: Settings, engine: RootlessEngine, box: Box) -> None:
    box.folder("/var/lib/docker")
    note(settings, HUB)
    trust(settings, engine)
    found = _states(settings, nobody())
    assert found["docker", "docker.io by 192.168.0.12:5500"] == "absent: not in the engine's registry-mirrors"
    box.folder("{data}/docker")
    assert _states(settings, nobody())["docker-rootless", "docker.io by 192.168.0.12:5500"] == "trusted"


def test_the_registry_s_own_state_does_not_depend_on_its_mirrors(settings: Settings, engine: RootlessEngine) -> None:
    trust(settings, engine)
    note(settings, HUB)
    own = {it.state for it in trust_status.find(settings, engine, ALL_STORES) if not it.upstream}
    assert own == {"trusted"}


def test_of_what_is_removed_an_engine_is_asked_about_certificates_and_not_about_upstreams() -> None:
    def is_asked(path: str) -> bool:
        return tasks_trust._is_engine_s(path.split("/"))

    assert is_asked(f"{DOCKER}/192.168.0.12:5500/ca.crt")
    assert not is_asked(f"{DOCKER}/docker.io/hosts.toml")
    assert not is_asked("/etc/containers/certs.d/192.168.0.12:5500/ca.crt")


@pytest.mark.parametrize(("begun", "told"), [(1.0, True), (1e12, False), (0.0, False)])
def test_builds_that_need_a_restart_are_told_of_until_there_was_one(
    begun: float, *, told: bool, settings: Settings, engine: RootlessEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(settings, HUB)
    trust(settings, engine)
    engine.said = dataclasses.replace(engine.said, version="20.10.24")
    monkeypatch.setattr(daemon, "began", lambda _: begun)
    assert daemon_lists.builds_with_restart([Mirror(HUB, "192.168.0.12:5500")], engine) is told
    assert not daemon_lists.builds_with_restart([Mirror(GITHUB, "192.168.0.12:5501")], engine)
