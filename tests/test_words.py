"""Words that no task knows, and none at all: what a person reads then."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from invoke.parser import Parser

import tasks
from tests.conftest import ROOT
from trusted_registry import usage
from trusted_registry.trust import client_stores
from trusted_registry.trust.specifics import pulls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.conftest import Invoke
    from trusted_registry.declarations.task import Task

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
        ("registry.stop --yeah", "registry.stop has no flag --yeah.", "./inv --help registry.stop"),
        ("status --yes", "status has no flag --yes.", "./inv --help status"),
        ("up --verbose", "up has no flag --verbose.", "./inv --help up"),
        ("up --quiet", "up has no flag --quiet.", "./inv --help up"),
        ("stop", "There is no task 'stop'.", "Did you mean registry.stop? ./inv --list"),
        ("registry stop", "A task's name is one word: registry.stop.", "./inv registry.stop"),
        ("registry user add ada", "A task's name is one word: registry.user.add.", "./inv registry.user.add"),
        ("cert renew", "A task's name is one word: cert.renew.", "./inv cert.renew"),
        ("trust list --only docker", "A task's name is one word: trust.list.", "./inv trust.list"),
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


def test_the_list_is_short_in_rows_of_80_columns_and_begins_with_what_is_typed_daily(invoke: Invoke) -> None:
    rows = invoke("--list").stdout.splitlines()
    assert (len(rows) <= 70, max(map(len, rows)) <= 80) == (True, True)
    assert [row for row in rows if row.endswith(":") and not row.startswith(" ")] == [f"{it}:" for it in tasks.GROUPS]
    assert rows[1].split()[0] == "up"


def test_a_chapter_s_list_has_its_tasks_alone(invoke: Invoke) -> None:
    names = [row.split()[0] for row in invoke("--list", "cert").stdout.splitlines() if row.startswith("  ")]
    assert sorted(names) == sorted(task.typed_name for task in tasks.CONTENTS if task.name.startswith("cert."))


@pytest.mark.parametrize("words", ["--help up", "up --help", "help up", "help registry.stop", "help registry stop"])
def test_the_help_of_a_task_is_asked_for_in_either_way(words: str, invoke: Invoke) -> None:
    done = invoke(*words.split())
    name = "registry.stop" if "stop" in words else "up"
    assert (done.returncode, done.stdout.partition("\n")[0]) == (0, f"Usage: ./inv {name} [flags]")


def test_help_for_a_task_that_there_is_none_of_names_the_nearest(invoke: Invoke) -> None:
    done = invoke("help", "trsut.linux")
    assert (done.returncode, "Did you mean trust.linux?" in done.stderr) == (2, True)


def test_help_alone_lists_the_tasks_and_the_flags_of_all(invoke: Invoke) -> None:
    said = invoke("help").stdout
    assert [word for word in ("Usage: ./inv", *tasks.GROUPS, "--dry", "--echo", "--version") if word not in said] == []


def test_the_version_is_the_project_s_own(invoke: Invoke) -> None:
    assert re.fullmatch(r"trusted-registry \d+\.\d+\.\d+ \(Invoke [\d.]+, Python [\d.]+\)\n", invoke("version").stdout)


def _help(name: str) -> str:
    task = next(it for it in tasks.CONTENTS if it.name == name)
    head, parts = usage.of_task(task)
    return head + "".join(f"{left} {right}\n" for pairs in parts.values() for left, right in pairs)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("up", ["--port=PORT", "Default: 443.", "./inv up --names registry.local --port 8443", "--dry", "--echo"]),
        ("registry.user.add", ["Usage: ./inv registry.user.add NAME [flags]", "NAME "]),
        ("explain", ["Usage: ./inv explain [MESSAGE …] [flags]", "--text=MESSAGE"]),
        ("trust.serve", ["--minutes=MINUTES", "Default: 10.", "--at=PORT", "Default: 8000."]),
        ("cert.renew", ["--if-expiring=DAYS"]),
        ("cert.make", ["Usage: ./inv cert [flags]"]),
    ],
)
def test_the_help_of_a_task_has_words_units_defaults_and_an_example(name: str, shown: list[str]) -> None:
    said = re.sub(r" +", " ", _help(name))
    assert [it for it in shown if it not in said] == []


@pytest.mark.parametrize("task", tasks.CONTENTS, ids=lambda task: task.name)
def test_each_task_s_example_is_one_that_is_understood_as_that_task(task: Task) -> None:
    words = shlex.split(task.example)
    parsed = Parser(contexts=tasks.ns.to_contexts()).parse_argv(
        ["explain", f"--text={words[2]}"] if task.text else words[1:]
    )
    assert words[:2] == ["./inv", task.typed_name]
    assert [context.name for context in parsed] == [task.name]


def test_a_yes_is_no_error_where_nothing_is_asked(invoke: Invoke) -> None:
    done = invoke("--dry", "up", "--yes", INVOKE_REGISTRY_ADDRESS="198.51.100.77")
    assert (done.returncode, done.stderr) == (0, "")


# Completion


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("inv trust.linux --only", client_stores.NAMES),
        ("inv trust.linux --only po", client_stores.NAMES),
        ("inv trust.list --skip=", client_stores.NAMES),
        ("inv trust.list --skip = po", client_stores.NAMES),
        ("inv trust.list --json --only docker,po", [f"docker,{it}" for it in client_stores.NAMES]),
        ("inv trust.check --only", pulls.NAMES),
        ("./inv doctor --client", client_stores.NAMES),
        ("inv cert --tool", ("auto", "openssl", "cryptography")),
        ("inv trust.macos --keychain", ("system", "login")),
        ("inv up --front", ("on", "off")),
        ("inv registry.logs --front", None),
        ("inv trust.linux --only docker", None),
        ("inv trust.linux --only docker up", None),
        ("inv trust.linux --address", None),
        ("inv up --only", None),
        ("inv --only", None),
        ("inv ", None),
    ],
)
def test_a_shell_completes_the_values_that_there_are(line: str, offered: Sequence[str] | None) -> None:
    assert usage.values(tasks.CONTENTS, line) == (None if offered is None else list(offered))


@pytest.mark.parametrize(
    ("line", "word"),
    [("inv trust.check --only", "podman"), ("./inv up -", "--adopt"), ("./inv trust.linux --", "--only")],
)
def test_completion_offers_them_by_either_name_of_the_program(line: str, word: str, invoke: Invoke) -> None:
    assert word in invoke("--complete", "--", *line.split()).stdout.split()


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
