"""The README's commands exist, and a dry run of each shows what it would do and changes nothing."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import programs
from trusted_registry import status

if TYPE_CHECKING:
    from tests.conftest import Invoke, MakeSettings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines()]
NOBODY_S = "192.0.2.77"
"""For documentation alone (RFC 5737): of this machine's own addresses another checkout's registry may have one."""
LEADING_VARIABLE = re.compile(r"([A-Z_]+)=(\S+) ")


def split(line: str) -> tuple[dict[str, str], list[str]]:
    """Return the variables before a command, and its words after ./inv."""
    variables = dict(LEADING_VARIABLE.findall(line))
    words = shlex.split(LEADING_VARIABLE.sub("", line))
    assert words[0] == "./inv", line
    return variables, words[1:]


def tasks(words: list[str]) -> list[str]:
    """Return the names of the tasks among a command's words."""
    flags = ("--address", "--names", "--port", "--if-expiring", "--sessions", "--only", "--inventory", "--remote")
    given = (*flags, "registry.user.add", "registry.user.remove", "explain")
    values = [at + 1 for at, word in enumerate(words) if word in given]
    return [word for at, word in enumerate(words) if not word.startswith("-") and at not in values]


OURS = [line for line in COMMANDS if "./inv" in line]


def test_every_command_of_the_readme_is_one_of_this_project_or_of_the_shell() -> None:
    others = [line for line in COMMANDS if line not in OURS]
    assert others == ['PATH="$PWD/.venv/bin:$PATH"', "source <(invoke --print-completion-script bash)"]


@pytest.mark.process
@pytest.mark.parametrize("line", OURS)
def test_a_dry_run_of_a_command_of_the_readme_succeeds_and_changes_nothing(
    line: str, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVOKE_REGISTRY_ADDRESS", NOBODY_S)
    for program in ("keytool", "certutil"):  # this machine may have the stores; their programs are hidden from tests
        programs.put(program, "exit 1", tmp_path, monkeypatch)
    variables, words = split(line)
    if any(it in words for it in ("cert.renew", "trust.list", "trust.hosts", "trust.nodes")):
        invoke("cert")
    (invoke.root / "hosts.ini").write_text("web1\n")
    before = sorted(invoke.root.rglob("*"))
    done = invoke("--dry", *[word for word in words if word != "--dry"], **variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert sorted(invoke.root.rglob("*")) == before


@pytest.mark.process
def test_every_task_of_the_readme_is_listed_and_every_listed_task_is_in_the_readme(invoke: Invoke) -> None:
    said = invoke("--list").stdout
    listed = set(re.findall(r"^  ([a-z.]+)", said, re.MULTILINE)) - {"cert.make"} | {"cert"}
    assert {name for line in OURS for name in tasks(split(line)[1])} <= listed
    assert not {name for name in listed if not re.search(rf"(`|\./inv |yes ){re.escape(name)}\b", README)}


def test_the_readme_s_first_command_and_ci_s_are_those_that_it_promises() -> None:
    assert OURS[0] == "./inv engine --yes up"
    ci = (ROOT / ".ci" / "run").read_text().splitlines()
    assert ci[-1] == "./inv engine --yes test"
    assert ci[-1] in OURS


def test_the_readme_shows_the_last_words_of_up_as_they_are(make_settings: MakeSettings) -> None:
    settings = replace(make_settings(), address="192.168.0.12")
    assert f"{status.next_steps(settings)}\n```\n" in README


def test_up_s_last_words_fetch_the_image_that_they_tag(make_settings: MakeSettings) -> None:
    lines = [line.split() for line in status.next_steps(make_settings()).splitlines()]
    tagged = next(words[2] for words in lines if words[:2] == ["docker", "tag"])
    assert lines.index(["docker", "pull", tagged]) < next(lines.index(words) for words in lines if "tag" in words)


def test_the_readme_stops_the_tls_registry_before_it_runs_a_plain_one_and_says_how_it_comes_back() -> None:
    starts = [block.splitlines() for block in BLOCKS if "registry.basic" in block]
    assert [lines[0] for lines in starts] == ["./inv registry.stop"] * len(starts)
    assert "`./inv up` brings back" in README.partition("### A registry without TLS")[2].partition("###")[0]
