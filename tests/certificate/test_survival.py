"""Whatever goes wrong while a certificate is made: keys and certificates stay as they were, or are whole and new."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import programs
from tests.conftest import ADDRESS, mounted
from tests.disk import mode, snapshot
from tests.marks import by_root
from tests.mine import Killed, Mine
from tests.recorder import Recorder
from trusted_registry import files, run_log
from trusted_registry.certificate import issue, openssl
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.conftest import Invoke, MakeSettings
    from trusted_registry.settings import Settings

    Act = Callable[[Run], object]


def _force(run: Run) -> object:
    return issue.ensure(run, force=True)


def _force_self_signed(run: Run) -> object:
    return issue.ensure(run, force=True, self_signed=True)


every_maker = pytest.mark.parametrize("act", [issue.renew, _force, _force_self_signed])


KEYS = 3
"""Processes that make a key at the same time: the root's, the issuer's and the server's."""


@pytest.fixture
def issued(make_settings: MakeSettings, console: Recorder) -> Path:
    """A folder with an authority and a server certificate."""
    issue.ensure(Run(make_settings(tool="cryptography"), console))
    return make_settings().folder


@every_maker
@pytest.mark.process
def test_an_openssl_that_fails_is_quoted_and_leaves_everything_as_it_was(
    act: Act, make_settings: MakeSettings, issued: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.put("openssl", "echo 'no entropy today' >&2; exit 1", tmp_path, monkeypatch)
    before = snapshot(issued)
    with pytest.raises(RegistryError, match="failed: no entropy today") as caught:
        act(Run(make_settings(tool="openssl"), Recorder()))
    assert (snapshot(issued), "cryptography" in caught.value.cure) == (before, True)


@pytest.mark.process
def test_an_openssl_that_fails_at_the_second_step_leaves_everything_as_it_was(
    make_settings: MakeSettings, issued: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f'[ "$1" = x509 ] && exit 1; exec {programs.real("openssl")} "$@"'
    programs.put("openssl", script, tmp_path, monkeypatch)
    before = snapshot(issued)
    with pytest.raises(RegistryError, match="openssl x509 failed"):
        issue.renew(Run(make_settings(tool="openssl"), Recorder()))
    assert snapshot(issued) == before


@pytest.mark.process
def test_an_openssl_that_lies_and_makes_nothing_leaves_everything_as_it_was(
    make_settings: MakeSettings, issued: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.put("openssl", "exit 0", tmp_path, monkeypatch)
    before = snapshot(issued)
    with pytest.raises(RegistryError):
        issue.renew(Run(make_settings(tool="openssl"), Recorder()))
    assert snapshot(issued) == before


@pytest.mark.process
def test_an_openssl_that_cannot_be_started_leaves_everything_as_it_was(
    make_settings: MakeSettings, issued: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = programs.put("openssl", "", tmp_path, monkeypatch)
    (folder / "openssl").write_bytes(b"\x7fELF nonsense")
    monkeypatch.setenv("PATH", str(folder))
    before = snapshot(issued)
    with pytest.raises(RegistryError, match="openssl cannot be started"):
        issue.renew(Run(make_settings(tool="openssl"), Recorder()))
    assert snapshot(issued) == before


def test_openssl_asked_for_and_not_installed_is_named(
    make_settings: MakeSettings, issued: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", _missing)
    before = snapshot(issued)
    with pytest.raises(RegistryError, match="openssl is not installed"):
        issue.renew(Run(make_settings(tool="openssl"), Recorder()))
    assert snapshot(issued) == before


def _missing(argv: Sequence[str], **_options: object) -> None:
    raise FileNotFoundError(argv[0])


@every_maker
def test_ctrl_c_in_the_middle_leaves_everything_as_it_was(
    act: Act, make_settings: MakeSettings, issued: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(steps: Sequence[openssl.Step]) -> None:
        (first, *_) = steps
        staged = Path(first.argv[list(first.argv).index("-keyout") + 1])
        staged.write_bytes(b"half a key")
        raise KeyboardInterrupt

    monkeypatch.setattr(openssl, "carry_out", interrupted)
    before = snapshot(issued)
    with pytest.raises(KeyboardInterrupt):
        act(Run(make_settings(tool="openssl"), Recorder()))
    assert snapshot(issued) == before


@by_root
@pytest.mark.parametrize("tool", ["cryptography", pytest.param("openssl", marks=pytest.mark.process)])
def test_a_disk_that_fills_up_leaves_everything_as_it_was(
    tool: str, make_settings: MakeSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "certs"
    folder.mkdir()
    with mounted(folder, "size=64k"):
        issue.ensure(Run(make_settings(tool="cryptography"), Recorder()))
        with (folder / "filler").open("wb", buffering=0) as filler:
            while True:
                try:
                    filler.write(b"x" * 4096)
                except OSError:
                    break
        before = snapshot(folder)
        with pytest.raises(RegistryError):
            issue.renew(Run(make_settings(tool=tool), Recorder()))
        assert snapshot(folder) == before


@pytest.mark.process
def test_openssl_runs_with_a_umask_that_keeps_what_it_makes_private(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "umasks"
    programs.put("openssl", f'umask >> {log}; exec {programs.real("openssl")} "$@"', tmp_path, monkeypatch)
    issue.ensure(Run(make_settings(tool="openssl"), Recorder()))
    assert log.read_text().split() == ["0077"] * 5


@pytest.mark.process
def test_keys_are_made_in_a_folder_that_only_their_owner_enters(
    make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = openssl.carry_out

    def watched(steps: Sequence[openssl.Step]) -> None:
        (first, *_) = steps
        seen.append(mode(Path(first.argv[list(first.argv).index("-keyout") + 1]).parent))
        real(steps)

    monkeypatch.setattr(openssl, "carry_out", watched)
    issue.ensure(Run(make_settings(tool="openssl"), Recorder()))
    assert (seen, tmp_path.exists()) == ([0o700], True)


# A run that was killed


def _kill_at(step: int, settings: Settings) -> dict[str, bytes]:
    """Let `--force` die at a step of moving files into place, and return what it would have put there."""
    with pytest.MonkeyPatch.context() as patch:
        mine = Mine(patch, step)
        with pytest.raises(Killed):
            issue.ensure(Run(settings, Recorder()), force=True)
    return mine.decided


@pytest.mark.parametrize("step", [2, 3, 4, 5])
@pytest.mark.parametrize("act", [issue.ensure, issue.bring_up_to_date], ids=["cert", "up"])
def test_the_run_after_a_killed_one_finishes_what_that_had_decided(
    act: Act, step: int, make_settings: MakeSettings, issued: Path
) -> None:
    settings = make_settings(tool="cryptography")
    intended = _kill_at(step, settings)
    assert not act(Run(settings, Recorder()))
    assert {name: (issued / name).read_bytes() for name in intended} == intended


@pytest.mark.parametrize("step", [2, 3, 4, 5])
@pytest.mark.parametrize("act", [issue.ensure, issue.bring_up_to_date], ids=["cert", "up"])
def test_a_first_run_that_was_killed_is_finished_by_the_next(act: Act, step: int, make_settings: MakeSettings) -> None:
    settings = make_settings(tool="cryptography")
    intended = _kill_at(step, settings)
    act(Run(settings, Recorder()))
    assert {name: (settings.folder / name).read_bytes() for name in intended} == intended


# Two at once, and Ctrl-C, for real


def _start(invoke: Invoke, *arguments: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "INVOKE_REGISTRY_ADDRESS": ADDRESS}
    argv = [sys.executable, "-m", "invoke", *arguments]
    return subprocess.Popen(
        argv,
        cwd=invoke.root,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.process
def test_two_runs_at_once_end_with_one_consistent_set(invoke: Invoke) -> None:
    both = [_start(invoke, "cert") for _ in range(2)]
    said = [process.communicate(timeout=60) for process in both]
    assert ([process.returncode for process in both], [err for _, err in said]) == ([0, 0], ["", ""])
    assert sorted("already there" in out for out, _ in said) == [False, True]
    assert issue.find(invoke.root / "certs")


@pytest.mark.process
def test_two_forced_runs_at_once_end_with_one_consistent_set(invoke: Invoke) -> None:
    both = [_start(invoke, "cert", "--force") for _ in range(2)]
    assert [process.communicate(timeout=60)[1] for process in both] == ["", ""]
    assert issue.find(invoke.root / "certs")


@pytest.mark.process
def test_ctrl_c_at_the_terminal_ends_with_130_and_leaves_everything_as_it_was(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke("cert", INVOKE_REGISTRY_ADDRESS=ADDRESS).returncode == 0
    before = _certificates(invoke.root / "certs")
    programs.put("openssl", f"echo >> {tmp_path}/begun; exec sleep 30", tmp_path, monkeypatch)
    process = _start(invoke, "cert", "--force")
    begun = tmp_path / "begun"
    while not (begun.exists() and len(begun.read_text()) == KEYS):  # who begins later would not hear of it
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said.strip(), _certificates(invoke.root / "certs")) == (130, "Stopped.", before)


def _certificates(folder: Path) -> dict[str, object]:
    """Return what is in a folder of certificates, but for the log of the last run, which is of the one that ended."""
    return {name: content for name, content in snapshot(folder).items() if name != run_log.NAME}


@pytest.mark.process
def test_too_few_open_files_are_named_wherever_they_end(invoke: Invoke) -> None:
    limited = ["sh", "-c", 'ulimit -n "$1"; shift; exec "$@"', "sh"]
    said: dict[int, str] = {}
    for most in range(6, 40):
        run = partial(
            subprocess.run, cwd=invoke.root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        here = [*limited, str(most), sys.executable, "-m", "invoke"]
        if not said and run([*here, "--version"]).returncode:
            continue  # Invoke itself does not start
        done = run([*here, "cert", "--force"])
        if not done.returncode:
            break
        said[most] = done.stderr
    assert said
    assert all(files.MORE_FILES in it and "Traceback" not in it for it in said.values()), said
