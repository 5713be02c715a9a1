"""How things stand is told client by client and spelling by spelling, whatever is in one store's way."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.conftest import NOBODY
from tests.fake_engine import nobody
from tests.marks import by_root
from tests.recorder import Recorder
from tests.trust.boxes import DOCKER, REGISTRIES, SPELLINGS, USERS, Box
from tests.trust.engines import RootlessEngine
from tests.trust.mirrors import DROP_IN, GITHUB, note
from trusted_registry import status
from trusted_registry.certificate import issue
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.tasks import trust_list
from trusted_registry.trust.local import install, trust_status
from trusted_registry.trust.local.install import StoreSelection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeSettings
    from trusted_registry.engine.protocol import Engine
    from trusted_registry.report import Report
    from trusted_registry.settings import Settings

FOUND = ("docker", "containers", "k3s")

pytestmark = pytest.mark.usefixtures("docker_podman_k3s")


def _said(settings: Settings, engine: Engine | None = None, **choice: object) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in trust_status.find(settings, engine or nobody(), StoreSelection(**choice)):  # type: ignore[arg-type]
        found.setdefault(entry.store.key, []).append(entry.state)
    return found


def _trust(settings: Settings, **choice: object) -> None:
    install.trust(Run(settings, Recorder()), nobody(), StoreSelection(**choice))  # type: ignore[arg-type]


def test_before_trust_every_client_found_has_none(settings: Settings) -> None:
    assert _said(settings) == {key: ["absent", "absent"] for key in FOUND}


def test_after_it_each_has_it_for_every_spelling(settings: Settings) -> None:
    _trust(settings)
    assert _said(settings) == {key: ["trusted", "trusted"] for key in FOUND}


def test_another_authority_s_trust_is_stale(settings: Settings) -> None:
    _trust(settings)
    issue.ensure(Run(settings, Recorder()), force=True)
    assert _said(settings) == {key: ["stale", "stale"] for key in FOUND}


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ("stale", "stale (an older certificate is there)"),
        ("shadowed", "shadowed (the client reads another folder)"),
        ("stale, not verified (loopback)", "stale, not verified (loopback) (an older certificate is there)"),
        ("trusted", "trusted"),
        ("unsound: stale it is not", "unsound: stale it is not"),
    ],
)
def test_a_word_that_nobody_guesses_is_explained_to_people(state: str, shown: str) -> None:
    assert trust_status.explained(state) == shown


def test_one_spelling_s_trouble_is_that_spelling_s(box: Box, settings: Settings) -> None:
    _trust(settings)
    box.folder(f"{USERS}/{SPELLINGS[0]}")
    box.file(f"{DOCKER}/{SPELLINGS[1]}/ca.crt", b"another's")
    found = _said(settings)
    assert (found["containers"], found["docker"]) == (["shadowed", "trusted"], ["trusted", "foreign"])


@pytest.mark.parametrize(
    ("template", "said"),
    [(f"{DOCKER}/{SPELLINGS[0]}/client.key", "unsound: "), (f"{DOCKER}/{SPELLINGS[0]}/ca.crt/folder", "unsound: ")],
)
def test_what_is_in_one_store_s_way_is_told_there_and_hides_no_other(
    template: str, said: str, box: Box, settings: Settings
) -> None:
    _trust(settings, skip=("docker",))
    path = box.file(template)
    found = _said(settings)
    assert all(it.startswith(said) for it in found["docker"])
    assert str(path.parent) in found["docker"][0]
    assert found["k3s"] == ["trusted", "trusted"]


def test_what_takes_root_to_see_is_not_known_and_hides_no_other(
    box: Box, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path == box.machine.path(REGISTRIES):
            raise PermissionError(13, "Permission denied")
        return real(path)

    _trust(settings)
    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    found = _said(settings)
    assert all(it.startswith("not known: ") for it in found["k3s"])
    assert found["docker"] == ["trusted", "trusted"]


def test_without_a_certificate_there_is_nothing_to_compare_with(make_settings: MakeSettings) -> None:
    with pytest.raises(RegistryError, match="no certificate to trust"):
        trust_status.find(make_settings(), nobody(), install.ALL_STORES)


def test_an_engine_that_verifies_nothing_is_told(settings: Settings) -> None:
    listing = RootlessEngine()
    listing.verifies_nothing_at("192.168.0.0/16")
    _trust(settings, only=("docker",))
    found = _said(settings, listing)
    assert found["docker-rootless"] == ["absent, not verified (insecure-registries)"] * 2


@pytest.fixture
def k3s(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of that name which runs already."""
    program = tmp_path / "k3s"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "600"]) as process:
        time.sleep(0.1)
        yield process
        process.kill()


@pytest.mark.process
@pytest.mark.usefixtures("k3s")
def test_a_program_that_is_older_than_its_trust_needs_a_restart(settings: Settings) -> None:
    _trust(settings)
    found = _said(settings)
    assert (found["k3s"], found["docker"]) == (["needs a restart"] * 2, ["trusted"] * 2)


@pytest.mark.process
def test_a_program_that_was_started_since_needs_none(settings: Settings, request: pytest.FixtureRequest) -> None:
    _trust(settings)
    time.sleep(0.1)
    request.getfixturevalue("k3s")
    assert _said(settings)["k3s"] == ["trusted"] * 2


def _names() -> set[str]:
    """Return the names of all processes; psutil would remember one from before it became another program."""
    found = set()
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            found.add(Path(f"/proc/{pid}/comm").read_text().strip())
    return found


@contextlib.contextmanager
def _running(folder: Path, name: str, *through: str, user: int | None = None) -> Iterator[None]:
    """Have a process of a name run, through another program or as another user."""
    program = folder / name
    program.unlink(missing_ok=True)  # the last one may not have ended yet, and nobody writes to a program that runs
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([*through, program, "600"], user=user, start_new_session=True) as process:
        try:
            end = time.monotonic() + 20
            while name not in _names() and time.monotonic() < end:
                time.sleep(0.05)
            time.sleep(0.1)
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@by_root
@pytest.mark.process
@pytest.mark.parametrize("name", ["k3s", "buildkitd"])
def test_a_program_of_another_user_s_does_not_read_these_files(
    name: str, box: Box, settings: Settings, open_path: Path
) -> None:
    box.folder("/etc/buildkit")
    with _running(open_path, name, user=NOBODY):
        _trust(settings)
        found = _said(settings)
    assert (found["k3s"], found["buildkit"]) == (["trusted"] * 2, ["trusted"] * 2)


@by_root
@pytest.mark.process
@pytest.mark.parametrize("name", ["k3s", "buildkitd"])
def test_a_program_in_a_container_has_files_of_its_own(
    name: str, box: Box, settings: Settings, open_path: Path
) -> None:
    box.folder("/etc/buildkit")
    key = name.removesuffix("d")
    with _running(open_path, name, "unshare", "--pid", "--fork", "--kill-child"):
        _trust(settings)
        assert _said(settings)[key] == ["trusted"] * 2
    _trust(settings)
    with _running(open_path, name):
        time.sleep(0.1)
        for path in box.machine.path("/etc").rglob("*"):
            path.touch()
        assert _said(settings)[key] == ["needs a restart"] * 2


@pytest.mark.process
@pytest.mark.usefixtures("k3s")
def test_a_program_without_trust_needs_more_than_a_restart(settings: Settings) -> None:
    assert _said(settings)["k3s"] == ["absent"] * 2


def test_json_says_where_and_the_table_says_whose(
    box: Box, settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "connect_if_available", lambda *_arguments, **_options: nobody())
    _trust(settings)
    report = trust_list.show(Run(settings, console))
    assert report.table
    assert json.loads(json.dumps(report.content))[0] == {
        "store": "docker",
        "client": "Docker Engine",
        "registry": SPELLINGS[0],
        "upstream": "",
        "state": "trusted",
        "where": str(box.machine.path(f"{DOCKER}/{SPELLINGS[0]}/ca.crt")),
    }
    assert report.table.rows[0] == ["Docker Engine", ", ".join(SPELLINGS), "trusted"]
    (box.machine.path(f"{DOCKER}/{SPELLINGS[1]}/ca.crt")).unlink()
    apart = trust_list.show(Run(settings, console)).table
    assert apart
    assert [list(row)[1:] for row in apart.rows][:2] == [[SPELLINGS[0], "trusted"], [SPELLINGS[1], "absent"]]
    assert {len(row) for row in report.table.rows} == {len(report.table.columns)}


def test_a_mirror_is_told_with_its_upstream(
    settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "connect_if_available", lambda *_arguments, **_options: nobody())
    note(settings, GITHUB)
    _trust(settings)
    report = trust_list.show(Run(settings, console), only=["podman"])
    assert report.table
    assert [list(row)[1:] for row in report.table.rows] == [
        [f"{', '.join(SPELLINGS)}, ghcr.io by 192.168.0.12:5501", "trusted"]
    ]
    told = json.loads(json.dumps(report.content))[-1]
    assert (told["registry"], told["upstream"]) == ("192.168.0.12:5501", GITHUB)
    assert DROP_IN in told["where"]


def test_a_store_that_nobody_asked_for_is_not_just_absent(
    box: Box, settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "connect_if_available", lambda *_arguments, **_options: nobody())
    box.folder("/usr/local/share/ca-certificates")

    def states(report: Report) -> dict[str, str]:
        assert report.table
        return {row[0].partition(",")[0]: row[2] for row in report.table.rows}

    every = trust_list.show(Run(settings, console))
    said = states(every)
    assert (said["Docker Engine"], said["curl"]) == ("absent", "absent, not asked for: --system")
    assert states(trust_list.show(Run(settings, console), only=("system",)))["curl"] == "absent"
    assert {row["state"] for row in json.loads(json.dumps(every.content))} == {"absent"}


def test_status_says_the_same(settings: Settings) -> None:
    _trust(settings)
    assert set(status._trust(settings, nobody()).values()) == {"trusted"}
