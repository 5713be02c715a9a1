"""An engine that runs while the kit changes its daemon.json: it is told, and forgets a mirror that is taken back."""

from __future__ import annotations

import contextlib
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.disk import mode
from tests.programs import put
from tests.trust.remote.kits import Disk, hand_over, last
from tests.trust.remote.test_kit_mirrors import GITHUB, HUB, LISTED, mirrored
from tests.trust.remote.test_kit_prove import ABSENT, run
from trusted_registry.trust.model import Mirror

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.process

ENGINE = """#!/bin/sh
read_again() {
    cat "$1" >>"$2/heard"
    ! grep -q registry-mirrors "$1" || cp "$1" "$2/asks"
}
config=$1 folder=$2
trap 'read_again "$config" "$folder"' HUP
touch "$folder/ready"
while :; do sleep 0.05; done
"""
"""What stands in for an engine; it keeps its mirrors where the file has no list (moby/moby, daemon/reload.go)."""


@pytest.fixture
def rootless(open_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A user's home with an engine of that user's, and a kit with mirrors."""
    (open_path / "run/docker.sock").mkdir(parents=True)
    put("curl", "printf 200", open_path, monkeypatch)
    info = f'case "$*" in *info*) cat "{open_path}/asks" ;; *) echo "{ABSENT}" >&2; exit 1 ;; esac'
    put("docker", info, open_path, monkeypatch)
    put("python3", 'exec /usr/bin/python3 "$@"', open_path, monkeypatch)  # the one here may be in a private folder
    return Disk(open_path, mirrored(HUB, GITHUB))


def _config(disk: Disk) -> Path:
    return disk.home / ".config/docker/daemon.json"


@contextlib.contextmanager
def _engine(disk: Disk, name: str = "dockerd", *flags: str) -> Iterator[None]:
    """Have a process of an engine's name run, and its number stand where the engine's own is."""
    program = disk.folder / name
    program.write_text(ENGINE)
    program.chmod(0o755)
    (disk.folder / "asks").touch()
    user = hand_over(disk.folder)
    process = subprocess.Popen([str(program), str(_config(disk)), str(disk.folder), *flags], user=user)
    try:
        (disk.folder / "run/docker.pid").write_text(f"{process.pid}\n")
        end = time.monotonic() + 20
        while not (disk.folder / "ready").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait()


def _heard(disk: Disk) -> str:
    path = disk.folder / "heard"
    return path.read_text() if path.exists() else ""


def test_it_reads_the_list_and_at_the_removal_an_empty_one_first(rootless: Disk) -> None:
    others = '{\n  "debug": true\n}\n'
    _config(rootless).parent.mkdir(parents=True)
    _config(rootless).write_text(others)
    with _engine(rootless):
        done = run(rootless)
        assert (last(done), done.stderr) == ((0, "changed"), "")
        asks = (rootless.folder / "asks").read_text()
        assert ("https://192.168.0.12:5500" in asks, '"debug": true' in asks) == (True, True)
        done = run(rootless, "--remove")
        assert (last(done), done.stderr) == ((0, "changed"), "")
        emptied = (rootless.folder / "asks").read_text()
    assert ("5500" in emptied, "registry-mirrors" in emptied) == (False, True)
    assert _config(rootless).read_text() == others


def test_a_file_that_the_kit_made_goes_and_the_engine_has_forgotten_the_mirror(rootless: Disk) -> None:
    with _engine(rootless):
        assert last(run(rootless)) == (0, "changed")
        assert _config(rootless).read_text() == LISTED
        assert last(run(rootless, "--remove")) == (0, "changed")
        assert ("5500" in _heard(rootless), "5500" in (rootless.folder / "asks").read_text()) == (True, False)
    assert not _config(rootless).exists()


BEFORE = {
    "no file": None,
    "other keys": '{"debug": true,\n   "ipv6": false}',
    "nothing in it": "",
}


@pytest.fixture
def deaf(rootless: Disk, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The same with an engine that takes nothing up."""
    put("sleep", "exit 0", rootless.folder, monkeypatch)
    info = f'case "$*" in *info*) echo Registry Mirrors: ;; *) echo "{ABSENT}" >&2; exit 1 ;; esac'
    put("docker", info, rootless.folder, monkeypatch)
    return rootless


@pytest.mark.parametrize("kind", BEFORE)
def test_what_it_does_not_take_up_is_put_back_to_the_byte_and_is_trouble(kind: str, deaf: Disk) -> None:
    before, path = BEFORE[kind], _config(deaf)
    if before is not None:
        path.parent.mkdir(parents=True)
        path.write_text(before)
        path.chmod(0o640)
    with _engine(deaf):
        done = run(deaf)
        assert last(done) == (1, "failed")
        assert f"error: The engine did not take up its changed configuration, {path}, which is as it was again.\n" in (
            done.stderr
        )
        assert "   do: Its log says why: journalctl --user --unit docker\n" in done.stderr
        assert ("not all of it was written\n" in done.stdout, "now trusted" in done.stdout) == (True, False)
        _wait_for(lambda: _heard(deaf).endswith(before or ""))  # a slow one finds the file as it was each time
    assert (path.read_text() if path.exists() else None) == before
    assert before is None or mode(path) == 0o640
    kept = deaf.home / ".local/state/trusted-registry"
    assert [it.name for it in kept.iterdir() if "daemon" in it.name] == []
    assert "daemon" not in (kept / "kit").read_text()
    assert last(run(deaf, "--check")) == (1, "absent")
    assert last(run(deaf, "--remove")) == (0, "changed")
    assert (path.read_text() if path.exists() else None) == before


def test_an_earlier_mirror_stays_where_the_next_one_is_not_taken_up(deaf: Disk) -> None:
    path = _config(deaf)
    assert last(run(deaf)) == (0, "changed")
    first = path.read_text()
    moved = Disk(deaf.folder, mirrored(Mirror(HUB.upstream, "192.168.0.12:5510"), GITHUB))
    with _engine(moved):
        assert last(run(moved)) == (1, "failed")
    assert path.read_text() == first
    assert last(run(moved, "--remove")) == (0, "changed")
    assert not path.exists()


CONTAINERD, CLASSIC = "overlayfs\n  driver-type: io.containerd.snapshotter.v1", "overlay2\n  Native Overlay Diff: true"
ALONE = "it pulls through the mirror of docker.io alone"
VERSIONS = {
    "before 28": ("20.10.24", CLASSIC, f"Docker 20.10.24: {ALONE}. For others: "),
    "before 28 with containerd's store": ("27.5.1", CONTAINERD, f"Docker 27.5.1: {ALONE}. For others: "),
    "28 without containerd's store": (
        "28.5.1",
        CLASSIC,
        f"Docker 28.5.1 with its classic store: {ALONE}; in builds it asks all of them. For others: ",
    ),
    "28": ("28.5.1", CONTAINERD, ""),
    "29": ("29.1.0", CONTAINERD, ""),
    "of no number": ("dev", CLASSIC, f"Docker dev: {ALONE}. For others: "),
}


@pytest.mark.parametrize("kind", VERSIONS)
def test_one_that_can_mirror_docker_hub_alone_is_told_of_with_the_reference_that_works(
    kind: str, rootless: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, store, said = VERSIONS[kind]
    info = rootless.folder / "info"
    info.write_text(f"Server:\n Server Version: {version}\n Storage Driver: {store}\n")
    shown = f'cat "{info}" "{rootless.folder}/asks"'
    put("docker", f'case "$*" in *info*) {shown} ;; *) exit 1 ;; esac', rootless.folder, monkeypatch)
    with _engine(rootless):
        done = run(rootless)
        assert last(done) == (0, "changed")
        again = run(rootless)
    notes = [it for it in done.stderr.splitlines() if "docker.io alone" in it]
    assert notes == ([f"note: {said}192.168.0.12:5501/org/app in place of ghcr.io/org/app"] if said else [])
    assert "docker.io alone" not in again.stderr


def test_with_the_mirror_of_docker_hub_alone_nothing_is_told_of_others(
    rootless: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("docker", f'echo " Server Version: 20.10.24"; cat "{rootless.folder}/asks"', rootless.folder, monkeypatch)
    alone = Disk(rootless.folder, mirrored(HUB))
    with _engine(alone):
        done = run(alone)
    assert "docker.io alone" not in done.stderr


def _wait_for(come: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not come():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_another_process_of_that_number_gets_no_signal(rootless: Disk) -> None:
    with _engine(rootless, "bystander"):
        assert last(run(rootless)) == (0, "changed")
        time.sleep(0.2)
    assert _heard(rootless) == ""
    assert _config(rootless).read_text() == LISTED


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--registry-mirror=https://other",), "the flag --registry-mirror of dockerd"),
        (("--registry-mirror", "https://other"), "the flag --registry-mirror of dockerd"),
        (("--config-file", "/etc/other.json"), "the file that the flag --config-file of dockerd names"),
    ],
)
def test_one_whose_flags_say_it_is_left_alone(flags: tuple[str, ...], named: str, rootless: Disk) -> None:
    with _engine(rootless, "dockerd", *flags):
        done = run(rootless)
    assert last(done) == (0, "changed")
    assert f"docker-rootless is told of no mirror of docker.io: {named} says" in done.stderr
    assert (_config(rootless).exists(), _heard(rootless)) == (False, "")
    certs = rootless.home / ".config/docker/certs.d"
    assert ((certs / "ghcr.io/hosts.toml").exists(), (certs / "docker.io").exists()) == (True, False)


def test_a_flag_that_names_the_same_file_is_in_no_way(rootless: Disk) -> None:
    with _engine(rootless, "dockerd", f"--config-file={_config(rootless)}"):
        assert last(run(rootless)) == (0, "changed")
    assert _config(rootless).read_text() == LISTED
