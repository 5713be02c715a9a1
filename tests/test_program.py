"""Programs are started through one door: privately, without a shell, and their failures are quoted."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recorder import Recorder
from trusted_registry import program
from trusted_registry.errors import RegistryError

pytestmark = pytest.mark.process


def test_what_a_program_says_and_how_it_ends_is_returned() -> None:
    found = program.capture(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (found.code, found.out, found.err, found.ok) == (3, "out\n", "err\n", False)


def test_arguments_reach_a_program_as_they_are() -> None:
    assert program.capture(["printf", "%s", "$(reboot) a  b"]).out == "$(reboot) a  b"


def test_a_program_reads_what_it_is_given_and_nothing_of_ours() -> None:
    assert (program.capture(["cat"], text="given").out, program.capture(["cat"]).out) == ("given", "")


def test_what_a_program_leaves_behind_is_its_owner_s_alone(tmp_path: Path) -> None:
    program.capture(["touch", str(tmp_path / "left")])
    assert (tmp_path / "left").stat().st_mode & 0o777 == 0o600


def test_variables_are_set_on_top_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    assert program.capture(["sh", "-c", "echo $OURS $MORE"], env={"MORE": "2"}).out == "1 2\n"


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert program.capture(["printf", r"\377"]).out == "\ufffd"


def test_a_program_that_ctrl_c_ended_is_an_interrupt_here_too() -> None:
    ends = "import os, signal as s; s.signal(s.SIG{0}, s.SIG_DFL); os.kill(os.getpid(), s.SIG{0})"
    with pytest.raises(KeyboardInterrupt):
        program.capture([sys.executable, "-c", ends.format("INT")])
    assert program.capture([sys.executable, "-c", ends.format("TERM")]).code == -signal.SIGTERM


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo first; echo 'the reason' >&2; echo >&2", "the reason"),
        ("echo only out", "only out"),
        ("exit 7", "exit status 7"),
    ],
)
def test_the_last_words_are_the_last_line_that_says_something(script: str, words: str) -> None:
    assert program.capture(["sh", "-c", script]).last_line == words


def test_a_program_that_is_not_installed_is_named() -> None:
    with pytest.raises(RegistryError, match="no-such-program is not installed") as caught:
        program.capture(["no-such-program"])
    assert caught.value.cure == "Install the program no-such-program."


def test_a_program_that_cannot_be_started_for_want_of_open_files_is_cured_by_allowing_more() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(free := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))  # the next one that anybody opens is one too many
    try:
        with pytest.raises(RegistryError, match="Too many open files") as caught:
            program.capture(["true"])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "ulimit -n" in caught.value.cure


def test_a_program_that_does_not_end_is_stopped_and_named() -> None:
    with pytest.raises(RegistryError, match="did not end within 0 seconds"):
        program.capture(["sleep", "30"], timeout=0.05)


def test_acting_shows_the_command_and_insists_on_success(console: Recorder) -> None:
    assert program.run(["true"], console)
    with pytest.raises(RegistryError, match="sh failed: the reason") as caught:
        program.run(["sh", "-c", "echo the reason >&2; exit 1"], console)
    assert (len(console.commands), caught.value.cure.startswith("Try it by hand: sh -c ")) == (2, True)


def test_what_a_command_reads_is_shown_with_it(console: Recorder) -> None:
    program.run(["cat"], console, text="one\n'two' $three\n")
    shown = program.capture(["sh", "-c", console.typed[0]])
    assert shown.out == "one\n'two' $three\n"


def test_a_dry_run_shows_the_command_and_does_not_run_it(tmp_path: Path) -> None:
    console, path = Recorder(dry=True), str(tmp_path / "left")
    result = (program.run(["touch", path], console), program.interactive(["touch", path], console))
    assert (result, list(tmp_path.iterdir()), len(console.commands)) == ((None, 0), [], 2)


def test_a_program_on_the_person_s_own_terminal_returns_how_it_ended(console: Recorder) -> None:
    assert program.interactive([sys.executable, "-c", "raise SystemExit(5)"], console) == 5


def test_root_needs_no_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert program.sudo() == []


@pytest.mark.process
def test_of_a_command_behind_env_the_program_that_failed_is_named(console: Recorder) -> None:
    script = "echo 'E: Could not get lock /var/lib/dpkg/lock-frontend' >&2; exit 100"
    with pytest.raises(RegistryError, match=r"^sh failed: E: Could not get lock"):
        program.run(["env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", script], console)


@pytest.mark.process
@pytest.mark.parametrize(("text", "heard"), [("open sesame ", "<open sesame >"), ("", "<>")])
def test_a_long_program_hears_a_text_and_then_the_end_of_it(text: str, heard: str) -> None:
    said: list[str] = []
    assert program.stream(["sh", "-c", 'printf "<%s>" "$(cat)"'], said.append, text=text) == 0
    assert said == [heard]


@pytest.mark.process
@pytest.mark.parametrize("word", ["pä€ß", "p\udcff"])
def test_a_text_goes_to_a_long_program_as_it_was_typed_whatever_the_locale(word: str) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from trusted_registry import program\n"
        f"program.stream(['od', '-An', '-tx1'], lambda line: print(line.strip()), text={word!a})"
    )
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    argv = [sys.executable, "-c", code, str(Path(__file__).parent.parent)]
    done = subprocess.run(argv, env=plain, capture_output=True, text=True, check=True)
    assert bytes.fromhex(done.stdout) == word.encode(errors="surrogateescape")


@pytest.mark.process
def test_a_long_program_that_hears_nothing_is_no_error() -> None:
    assert program.stream(["sh", "-c", "exec <&-; sleep 0.1; exit 3"], list[str]().append, text="open sesame") == 3
