"""Plain HTTP on the LAN address: the engine's own file, changed and changed back, and an engine that takes it up."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pwd
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.disk import mode, snapshot
from tests.marks import by_root, on_linux
from tests.recorder import Recorder
from tests.trust.engines import RootlessEngine
from trusted_registry import installation, program
from trusted_registry.certificate import issue
from trusted_registry.doctor import store_states
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.tasks import trust_insecure
from trusted_registry.trust.local import daemon, daemon_lists, install, ledger, uninstall
from trusted_registry.trust.local.install import StoreSelection
from trusted_registry.trust.specifics import daemon_json
from trusted_registry.trust.specifics.daemon_json import INSECURE, MIRRORS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeSettings

REGISTRY = "192.168.0.12:5000"
THEIRS = '{"log-driver":"journald",   "debug": false}\n'


@pytest.fixture
def path() -> Path:
    """The engine's configuration, in this test's home."""
    found = Path.home() / ".config" / "docker" / "daemon.json"
    found.parent.mkdir(parents=True)
    return found


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, path: Path) -> RootlessEngine:
    """An engine that reads its file when it is told to."""
    stand_in = RootlessEngine()
    monkeypatch.setattr(daemon, "reload", lambda *_arguments: stand_in.reload(path))
    return stand_in


def _allow(make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, **given: str) -> bool:
    return daemon_lists.allow_plain(Run(make_settings(**given), console), engine)


def _remove(make_settings: MakeSettings, engine: RootlessEngine, console: Recorder) -> list[str]:
    return uninstall.remove(Run(make_settings(), console), engine)


def test_the_engine_takes_plain_http_up(make_settings: MakeSettings, engine: RootlessEngine, console: Recorder) -> None:
    assert _allow(make_settings, engine, console)
    assert engine.said.insecure == (REGISTRY,)


@by_root
def test_root_in_another_user_s_home_leaves_that_user_s_engine_to_him(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = pwd.struct_passwd(("root", "x", 0, 0, "", str(path.parent / "root"), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: root)
    os.chown(Path.home(), 1234, 1234)
    before = snapshot(Path.home())
    with pytest.raises(RegistryError, match="root in another user's home folder") as caught:
        _allow(make_settings, engine, console)
    assert caught.value.cure == "As that user, the same command without sudo."
    assert (snapshot(Path.home()), engine.reloads, ledger.read(ledger.path())) == (before, 0, [])


def test_the_second_time_nothing_is_changed(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    _allow(make_settings, engine, console)
    before = path.read_bytes()
    assert not _allow(make_settings, engine, console)
    assert (path.read_bytes(), engine.reloads) == (before, 1)


def test_what_was_there_before_is_kept_beside_it(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    path.write_text(THEIRS)
    _allow(make_settings, engine, console)
    assert path.with_name(path.name + daemon_json.BACKUP).read_text() == THEIRS


def test_removal_restores_every_byte_and_the_engine_forgets(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    path.write_text(THEIRS)
    before = snapshot(path.parent)
    _allow(make_settings, engine, console)
    _remove(make_settings, engine, console)
    assert (snapshot(path.parent), engine.said.insecure) == (before, ())


def test_removal_takes_a_file_away_that_was_not_there(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    _allow(make_settings, engine, console)
    _remove(make_settings, engine, console)
    assert (path.exists(), engine.said.insecure) == (False, ())


def test_removal_keeps_what_was_changed_there_since(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    path.write_text(THEIRS)
    _allow(make_settings, engine, console)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"debug": True}))
    _remove(make_settings, engine, console)
    assert json.loads(path.read_text()) == {"log-driver": "journald", "debug": True}


def test_removal_of_two_registries_restores_every_byte(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    path.write_text(THEIRS)
    _allow(make_settings, engine, console)
    _allow(make_settings, engine, console, address="192.168.0.13")
    _remove(make_settings, engine, console)
    assert (path.read_text(), engine.said.insecure) == (THEIRS, ())


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o644])
def test_the_file_keeps_its_mode(
    bits: int, make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    path.write_text(THEIRS)
    path.chmod(bits)
    _allow(make_settings, engine, console)
    assert {mode(it) for it in path.parent.iterdir()} == {bits}


@pytest.mark.parametrize("text", ['{"a": 1,', "[1]", "\xff"])
def test_a_file_that_is_not_understood_is_left_byte_for_byte(
    text: str, make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    path.write_bytes(text.encode("latin-1"))
    before = snapshot(path.parent)
    with pytest.raises(RegistryError, match=str(path)):
        _allow(make_settings, engine, console)
    assert (snapshot(path.parent), engine.reloads, ledger.read(ledger.path())) == (before, 0, [])


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch, path: Path) -> RootlessEngine:
    """An engine that reads its file when it is told to, and takes nothing up."""
    stand_in = RootlessEngine(deaf=True)
    monkeypatch.setattr(daemon, "reload", lambda *_arguments: stand_in.reload(path))
    monkeypatch.setattr(daemon, "RELOAD_SECONDS", 0.05)
    return stand_in


def test_an_engine_that_does_not_take_it_up_is_an_error(
    make_settings: MakeSettings, deaf: RootlessEngine, console: Recorder
) -> None:
    with pytest.raises(RegistryError, match="did not take up") as caught:
        _allow(make_settings, deaf, console)
    assert ("journalctl --user --unit docker" in caught.value.cure) == Path("/run/systemd/system").is_dir()
    assert ("/var/log/docker.log" in caught.value.cure) != Path("/run/systemd/system").is_dir()


FILES = {
    "as people write it": THEIRS.encode(),
    "line ends of Windows": THEIRS.replace(",", ",\r\n").replace("\n", "\r\n").encode(),
    "no line end": b'{"shutdown-timeout": 1e1}',
    "tabs and a list": '{\n\t"insecure-registries": ["a:5000"],\n\t"x": "\u00e9"\n}\n\n'.encode(),
    "nothing in it": b"",
    "a line end alone": b"\n",
    "an object alone": b"{}",
    "an empty list": b'{"insecure-registries": []}',
    "an empty list of mirrors": b'{"registry-mirrors": []}',
    "empty lists beside others": b'{ "registry-mirrors": [],\n "debug": true, "insecure-registries": [] }\n',
}
files = pytest.mark.parametrize("content", FILES.values(), ids=FILES)


@files
def test_what_the_engine_does_not_take_up_is_put_back_to_the_byte(
    content: bytes, make_settings: MakeSettings, deaf: RootlessEngine, console: Recorder, path: Path
) -> None:
    path.write_bytes(content)
    path.chmod(0o640)
    before = snapshot(path.parent)
    with pytest.raises(RegistryError, match="did not take up"):
        _allow(make_settings, deaf, console)
    assert (snapshot(path.parent), mode(path), ledger.read(ledger.path())) == (before, 0o640, [])
    assert (path.read_bytes(), deaf.reloads) == (content, 2)


def test_a_file_that_was_not_there_is_gone_again_with_its_folder(
    make_settings: MakeSettings, deaf: RootlessEngine, console: Recorder, path: Path
) -> None:
    path.parent.rmdir()
    before = snapshot(path.parent.parent)
    with pytest.raises(RegistryError, match="did not take up"):
        _allow(make_settings, deaf, console)
    assert snapshot(path.parent.parent) == before


def test_where_the_engine_cannot_be_told_the_file_is_as_it_was(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: object) -> None:
        raise RegistryError("sudo says no", cure="ask")

    monkeypatch.setattr(daemon, "reload", refused)
    path.write_text(THEIRS)
    with pytest.raises(RegistryError, match="sudo says no"):
        _allow(make_settings, engine, console)
    assert (path.read_text(), list(path.parent.iterdir())) == (THEIRS, [path])


def test_what_another_checkout_allowed_outlives_what_is_put_back(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text(THEIRS)
    _allow(make_settings, engine, console)
    before = snapshot(path.parent)
    monkeypatch.setattr(daemon, "RELOAD_SECONDS", 0.05)
    monkeypatch.setattr(daemon, "reload", lambda *_arguments: None)
    with pytest.raises(RegistryError, match="did not take up"):
        _allow(make_settings, engine, console, address="192.168.0.13")
    assert (snapshot(path.parent), len(ledger.read(ledger.path()))) == (before, 1)


def test_a_removal_that_is_not_taken_up_is_put_back_and_can_be_repeated(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(FILES["line ends of Windows"])
    _allow(make_settings, engine, console)
    before = snapshot(path.parent)
    with monkeypatch.context() as patch:
        patch.setattr(daemon, "RELOAD_SECONDS", 0.05)
        patch.setattr(daemon, "reload", lambda *_arguments: None)
        with pytest.raises(RegistryError, match="did not take up"):
            _remove(make_settings, engine, console)
    assert (snapshot(path.parent), len(ledger.read(ledger.path()))) == (before, 1)
    _remove(make_settings, engine, console)
    assert path.read_bytes() == FILES["line ends of Windows"]


@files
def test_removal_gives_every_file_back_to_the_byte(
    content: bytes, make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    path.write_bytes(content)
    _allow(make_settings, engine, console)
    assert REGISTRY in engine.said.insecure
    _remove(make_settings, engine, console)
    assert {it.name: it.read_bytes() for it in path.parent.iterdir()} == {path.name: content}


@files
@pytest.mark.parametrize("last", [INSECURE, MIRRORS])
def test_removal_of_a_value_in_each_list_gives_every_file_back_to_the_byte(  # noqa: PLR0913, PLR0917 - one case
    last: daemon_json.DaemonList,
    content: bytes,
    make_settings: MakeSettings,
    engine: RootlessEngine,
    console: Recorder,
    path: Path,
) -> None:
    path.write_bytes(content)
    run = Run(make_settings(), console)
    installation.ensure(run.settings.folder, console)
    for listed in sorted((INSECURE, MIRRORS), key=lambda it: it is last):
        assert daemon_lists.add(listed, f"https://{REGISTRY}", run, engine)
    for entry in ledger.read(ledger.path()):
        daemon_lists.remove(entry, engine, console)
        ledger.forget(ledger.path(), [entry])
    assert {it.name: it.read_bytes() for it in path.parent.iterdir()} == {path.name: content}


def test_removal_of_a_value_in_each_list_takes_a_file_away_that_was_not_there(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    run = Run(make_settings(), console)
    installation.ensure(run.settings.folder, console)
    for listed in (INSECURE, MIRRORS):
        daemon_lists.add(listed, f"https://{REGISTRY}", run, engine)
    for entry in ledger.read(ledger.path()):
        daemon_lists.remove(entry, engine, console)
        ledger.forget(ledger.path(), [entry])
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(("before", "left"), [(THEIRS, "{}\n"), (None, None)])
def test_only_a_file_that_was_not_there_goes_once_nothing_is_in_it(  # noqa: PLR0913, PLR0917 - one case
    before: str | None,
    left: str | None,
    make_settings: MakeSettings,
    engine: RootlessEngine,
    console: Recorder,
    path: Path,
) -> None:
    if before is not None:
        path.write_text(before)
    _allow(make_settings, engine, console)
    path.write_text(json.dumps({INSECURE.key: [REGISTRY]}))
    _remove(make_settings, engine, console)
    assert (path.read_text() if path.exists() else None) == left


def test_a_file_that_somebody_took_away_does_not_come_back(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    path.write_text(THEIRS)
    _allow(make_settings, engine, console)
    path.unlink()
    _remove(make_settings, engine, console)
    assert list(path.parent.iterdir()) == []


def test_a_file_of_windows_that_was_changed_meanwhile_keeps_its_line_ends(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    path.write_bytes(b'{\r\n    "debug": false\r\n}')
    _allow(make_settings, engine, console)
    path.write_bytes(path.read_bytes().replace(b"false", b"true"))
    _remove(make_settings, engine, console)
    assert path.read_bytes() == b'{\r\n    "debug": true\r\n}'


@pytest.mark.parametrize("theirs", ["http://{}", "https://{}", "HTTP://{}"])
def test_an_entry_of_others_that_means_the_same_is_let_be(
    theirs: str, make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    text = json.dumps({INSECURE.key: [theirs.format(REGISTRY)]})
    path.write_text(text)
    assert _allow(make_settings, engine, console)
    assert (path.read_text(), engine.said.insecure, ledger.read(ledger.path())) == (text, (REGISTRY,), [])


def test_an_entry_of_others_beside_ours_does_not_keep_ours_from_being_taken_back(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    _allow(make_settings, engine, console)
    path.write_text(json.dumps({INSECURE.key: [f"http://{REGISTRY}", REGISTRY]}))
    assert uninstall.disallow_plain(Run(make_settings(), console), engine) == [f"{REGISTRY} in {path}"]
    assert json.loads(path.read_text()) == {INSECURE.key: [f"http://{REGISTRY}"]}
    assert (engine.said.insecure, ledger.read(ledger.path())) == ((REGISTRY,), [])


def test_an_entry_of_another_registry_is_none_of_ours(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    path.write_text(json.dumps({INSECURE.key: [f"http://{REGISTRY}0", f"ftp://{REGISTRY}"]}))
    _allow(make_settings, engine, console)
    assert json.loads(path.read_text())[INSECURE.key][2:] == [REGISTRY]


def test_a_dry_run_changes_nothing_and_shows_the_file(
    make_settings: MakeSettings, engine: RootlessEngine, path: Path
) -> None:
    path.write_text(THEIRS)
    before, console = snapshot(Path.home()), Recorder(dry=True)
    _allow(make_settings, engine, console)
    assert (snapshot(Path.home()), any(str(path) in line for line in console.typed)) == (before, True)


def test_an_ipv6_registry_stands_in_brackets(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder
) -> None:
    _allow(make_settings, engine, console, address="fd00::12")
    assert engine.said.insecure == ("[fd00::12]:5000",)


def test_plain_http_alone_is_taken_back_and_the_trust_beside_it_stays(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    path.write_text(THEIRS)
    settings = make_settings(tool="cryptography")
    issue.ensure(Run(settings, console))
    install.trust(Run(settings, console), engine, StoreSelection(only=("docker-rootless",)))
    trusted = snapshot(path.parent / "certs.d")
    _allow(make_settings, engine, console)
    assert uninstall.disallow_plain(Run(settings, console), engine) == [f"{REGISTRY} in {path}"]
    assert (path.read_text(), engine.said.insecure, snapshot(path.parent / "certs.d")) == (THEIRS, (), trusted)
    assert {entry.store for entry in ledger.read(ledger.path())} == {"docker-rootless"}
    assert len(trusted) == 4
    assert uninstall.disallow_plain(Run(settings, console), engine) == []


def test_what_another_checkout_allowed_stays_allowed(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, tmp_path: Path
) -> None:
    _allow(make_settings, engine, console)
    another = dataclasses.replace(make_settings(), root=tmp_path / "another", folder=tmp_path / "another" / "certs")
    installation.ensure(another.folder, console)
    assert uninstall.disallow_plain(Run(another, console), engine) == []
    assert engine.said.insecure == (REGISTRY,)


def test_a_dry_run_of_taking_it_back_changes_nothing(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    _allow(make_settings, engine, console)
    before, dry = snapshot(Path.home()), Recorder(dry=True)
    uninstall.disallow_plain(Run(make_settings(), dry), engine)
    assert (snapshot(Path.home()), any(str(path) in line for line in dry.typed)) == (before, True)


def test_a_person_hears_what_was_taken_back_and_what_somebody_else_left_there(
    make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "connect_if_available", lambda _console: engine)
    _allow(make_settings, engine, console)
    trust_insecure.allow(Run(make_settings(), console), remove=True)
    assert (console.said[-1], console.warned) == (f"removed: {REGISTRY} in {path}", [])
    path.write_text(json.dumps({INSECURE.key: [REGISTRY, "192.168.0.12"]}))
    engine.reload(path)
    trust_insecure.allow(Run(make_settings(), console), remove=True)
    assert console.said[-1] == "trust: this checkout allows no plain HTTP here"
    assert [line.partition(", allowed by")[0] for line in console.warned] == [
        f"the engine still verifies nothing at 192.168.0.12, 192.168.0.12:443, {REGISTRY}"
    ]


_LISTEN = """
import pathlib, socket, sys
from trusted_registry.run import Run
pathlib.Path("/proc/self/comm").write_text(sys.argv[2])
with socket.socket(socket.AF_UNIX) as server:
    server.bind(sys.argv[1])
    server.listen()
    print("listening", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def _listening(path: Path, name: str, *flags: str) -> Iterator[int]:
    """Have a process of this name listen at a socket."""
    argv = [sys.executable, "-c", _LISTEN, str(path), name, *flags]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        process.communicate("")


@pytest.mark.process
@on_linux
def test_the_engine_that_is_told_is_the_one_that_answers_and_no_other_of_its_name(
    tmp_path: Path, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(daemon, "_systemd", lambda: False)
    monkeypatch.setattr(program, "run", lambda argv, _console, **_options: told.append(" ".join(argv)))
    one, two = tmp_path / "one", tmp_path / "two"
    with _listening(one, "dockerd") as first, _listening(two, "dockerd") as second:
        for path in (one, two):
            daemon.reload(RootlessEngine(socket=f"unix://{path}"), console)
    assert told == [f"kill -HUP {first}", f"kill -HUP {second}"]


@pytest.mark.process
@on_linux
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--insecure-registry", "10.0.0.1:5000"], "--insecure-registry 10.0.0.1:5000: with that list in"),
        (["--debug", "--insecure-registry=10.0.0.0/8"], "--insecure-registry 10.0.0.0/8: with that list in"),
        (["--config-file", "/srv/docker.json"], "--config-file /srv/docker.json: it does not read"),
        (["--config-file=/srv/docker.json"], "--config-file /srv/docker.json: it does not read"),
    ],
)
def test_a_flag_of_the_engine_that_excludes_the_file_is_named_before_anything_is_written(
    flags: list[str], message: str, make_settings: MakeSettings, console: Recorder, tmp_path: Path
) -> None:
    before = snapshot(Path.home())
    with (
        _listening(tmp_path / "socket", "dockerd", *flags),
        pytest.raises(RegistryError, match=re.escape(f"The engine was started with {message}")) as caught,
    ):
        _allow(make_settings, RootlessEngine(socket=f"unix://{tmp_path / 'socket'}"), console)
    assert REGISTRY in caught.value.cure
    assert snapshot(Path.home()) == before


@pytest.mark.process
@on_linux
@pytest.mark.parametrize("flags", [[], ["--debug"], ["--config-file", "{}"], ["--config-file={}"]])
def test_other_flags_of_the_engine_are_no_hindrance(
    flags: list[str], make_settings: MakeSettings, engine: RootlessEngine, console: Recorder, path: Path
) -> None:
    socket = path.with_name("socket")
    engine.said = dataclasses.replace(engine.said, socket=f"unix://{socket}")
    with _listening(socket, "dockerd", *(flag.format(path) for flag in flags)):
        assert _allow(make_settings, engine, console)
    assert engine.said.insecure == (REGISTRY,)


def _started(pid: int) -> float:
    return float(psutil.Process(pid).create_time())


@pytest.mark.process
@on_linux
def test_an_engine_runs_since_its_own_start_and_not_since_that_of_another_of_its_name(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with _listening(one, "dockerd") as first:
        time.sleep(0.02)  # two starts in one tick of the clock, a hundredth of a second, would be the same
        with _listening(two, "dockerd") as second:
            sockets = [f"unix://{path}" for path in (one, two, tmp_path / "none")]
            found = [store_states.engine_start(RootlessEngine(socket=it)) for it in sockets]
            assert found == [_started(first), _started(second), 0.0]
    assert found[0] < found[1]


@pytest.mark.process
@on_linux
def test_where_systemd_listens_the_engine_is_the_one_of_the_file_beside_the_socket_or_none(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "docker.sock", tmp_path / "elsewhere"
    noted, engine = tmp_path / "docker.pid", RootlessEngine(socket=f"unix://{ours}")
    with _listening(theirs, "dockerd") as dockerd, _listening(ours, "systemd") as systemd:
        assert store_states.engine_start(engine) == 0.0
        for text in ("", str(systemd), "4194305"):
            noted.write_text(text)
            assert store_states.engine_start(engine) == 0.0
        noted.write_text(f"{dockerd}\n")
        assert store_states.engine_start(engine) == _started(dockerd)


@pytest.mark.process
def test_what_answers_for_an_engine_and_is_none_gets_no_signal(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with (
        _listening(path, "systemd"),
        pytest.raises(RegistryError, match=f"No dockerd process of this machine answers at unix://{path}"),
    ):
        daemon.process_of(RootlessEngine(socket=f"unix://{path}"))
    with pytest.raises(RegistryError, match="No dockerd process"):
        daemon.process_of(RootlessEngine(socket=f"unix://{path}"))


@pytest.mark.parametrize(
    ("systemd", "told"), [(True, "sudo systemctl reload docker"), (False, "sudo kill -HUP $(cat /var/run/docker.pid)")]
)
def test_by_hand_too_the_engine_itself_is_told(told: str, *, systemd: bool) -> None:
    assert daemon.removal_by_hand(systemd=systemd) == f"sudo editor /etc/docker/daemon.json && {told}"
