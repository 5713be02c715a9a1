"""Words that no task knows, and none at all: what a person reads then."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT

if TYPE_CHECKING:
    from tests.conftest import Invoke

pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("words", "wrong", "cure"),
    [
        ("up --prot 8443", "up has no flag --prot.", "Did you mean --port? ./inv --help up"),
        ("up --prot=8443", "up has no flag --prot.", "Did you mean --port? ./inv --help up"),
        ("--dri up", "./inv has no flag --dri.", "Did you mean --dry? ./inv --help"),
        ("up --dri", "up has no flag --dri.", "Did you mean --dry? ./inv --help up"),
        ("up --zzzzz", "up has no flag --zzzzz.", "./inv --help up"),
        ("regisrty.tls", "There is no task 'regisrty.tls'.", "Did you mean registry.tls? ./inv --list"),
        ("crt", "There is no task 'crt'.", "Did you mean cert? ./inv --list"),
        ("--help trsut.linux", "There is no task 'trsut.linux'.", "Did you mean trust.linux? ./inv --list"),
        ("zzzzz", "There is no task 'zzzzz'.", "./inv --list"),
        (
            "registry.user",
            "registry.user is a chapter. Its tasks: registry.user.add, registry.user.list, registry.user.remove.",
            "./inv --list registry.user",
        ),
        ("it's", 'There is no task "it\'s".', "./inv --list"),
        ("explain --jsn", "explain has no flag --jsn.", "Did you mean --json? ./inv --help explain"),
        ("explain --text", "--text needs a value.", "./inv --help explain"),
        ("up --names", "--names needs a value.", "./inv --help up"),
        (
            "registry.user.add",
            "'registry.user.add' did not receive required positional arguments: 'name'.",
            "./inv --help registry.user.add",
        ),
    ],
)
def test_a_word_that_is_not_understood_is_named_with_the_nearest_that_is(
    words: str, wrong: str, cure: str, invoke: Invoke
) -> None:
    done = invoke(*words.split())
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {wrong}\n   do: {cure}\n")


def test_who_types_nothing_reads_how_to_begin_and_then_what_there_is(invoke: Invoke) -> None:
    begin, _, rest = invoke().stdout.partition("\n\n")
    assert begin.startswith("Begin with ./inv up")
    assert "\n" not in begin
    assert rest == invoke("--list").stdout


@pytest.mark.parametrize("words", ["--help", "--help up", "up --help"])
def test_help_stays_invoke_s_own(words: str, invoke: Invoke) -> None:
    done = invoke(*words.split())
    assert (done.returncode, done.stdout.partition(":")[0]) == (0, "Usage")


LOADED = """
import contextlib, io, sys
from invoke.main import program
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    program.run(["invoke", *sys.argv[1:]])
print(*sorted(sys.modules))
"""


def test_who_types_nothing_waits_for_no_module_more_than_a_list_needs() -> None:
    def loaded(*words: str) -> str:
        argv = [sys.executable, "-c", LOADED, *words]
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert loaded() == loaded("--list")


COLLECTED = """
import contextlib, gc, io
from invoke.main import program
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    program.run(["invoke", "--list"])
print(gc.isenabled())
"""


def test_who_asks_for_the_list_waits_for_no_search_for_garbage() -> None:
    argv = [sys.executable, "-c", COLLECTED]
    assert subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "False\n"
