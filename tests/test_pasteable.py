"""Every command that is shown can be pasted: what stands in it for a path or a name is one word, whatever it holds."""

from __future__ import annotations

import ast
import errno
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trusted_registry import files, locks
from trusted_registry.certificate import inspect
from trusted_registry.console import pasteable
from trusted_registry.engine import types as engine_types
from trusted_registry.errors import RegistryError
from trusted_registry.trust.managed_blocks import editing, merging, toml
from trusted_registry.trust.model import ManagedBlock
from trusted_registry.trust.remote import nodes
from trusted_registry.trust.specifics import buildkit
from trusted_registry.trust.specifics.daemon_json import INSECURE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Invoke

ROOT = Path(__file__).parent.parent

PROGRAMS = "cat chmod chown cp curl df docker editor findmnt fuser git grep head kubectl ls mkdir mv openssl python3"
COMMAND = re.compile(rf"(?:^|[:;&(|] *|sudo )({PROGRAMS.replace(' ', '|')}|rm|scp|sed) (?:[^:;&|,]* )?'?$")
SAFE = re.compile(r"pasteable\(|shlex\.|page\.SAVED|url$|create$|image$|folder$|LOG$")
"""Words already, and constants: the log's path, and the folder of catalogue.py."""
PROSE = re.compile(r"openssl $|git tracks |kubectl does not |.*  # ")
"""Beginnings of sentences that only begin with a program's name, and remarks behind a command."""

ODD = ["a b", "it's", 'say "x"', "$(touch gone)", "`touch gone`", "a;touch gone", "*", "&", "~", "#", "a\\b", "$HOME"]


def _unquoted(path: Path) -> Iterator[str]:
    """Yield the values that a module puts after the name of a program without making them a word."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            before = ""
            for value in node.values:
                if isinstance(value, ast.FormattedValue):
                    source = ast.unparse(value.value)
                    if COMMAND.search(before) and not SAFE.match(source) and not PROSE.match(before):
                        yield f"{path.relative_to(ROOT)}:{node.lineno}: {before}{{{source}}}"
                before += str(value.value) if isinstance(value, ast.Constant) else "X"


@pytest.mark.parametrize("path", sorted((ROOT / "trusted_registry").rglob("*.py")), ids=lambda it: it.name)
def test_no_value_is_put_into_a_command_as_it_is(path: Path) -> None:
    assert list(_unquoted(path)) == []


@pytest.mark.parametrize("line", ['f"Look: ls -l {path}"', 'f"do it; sudo rm {a} {b}"', "f\"grep -n '{key}' x\""])
def test_a_value_that_is_put_in_as_it_is_would_be_found(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.test_pasteable.ROOT", tmp_path)
    (tmp_path / "module.py").write_text(line)
    assert list(_unquoted(tmp_path / "module.py"))


@pytest.mark.process
@pytest.mark.parametrize("word", ODD)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_shell_reads_each_word_as_it_was(shell: str, word: str, tmp_path: Path) -> None:
    line = pasteable(["printf", "%s|%s", word, Path("/srv") / word])
    done = subprocess.run([shell, "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, list(tmp_path.iterdir())) == (f"{word}|/srv/{word}", [])


def _raised(act: Callable[[], object]) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        act()
    return caught.value


def _refused(number: int, path: Path) -> RegistryError:
    def act() -> None:
        path.mkdir()
        with files.explained(path / "lock"):
            raise OSError(number, os.strerror(number))

    return _raised(act)


def _locked(path: Path) -> RegistryError:
    path.mkdir(exist_ok=True)
    lock = locks.hold(path / "lock", 1)
    try:
        return _raised(lambda: locks.hold(path / "lock", 0.01))
    finally:
        os.close(lock)


def _block(path: Path) -> ManagedBlock:
    return ManagedBlock(str(path), "mirrors:", "192.168.0.12", ("  192.168.0.12:",), ())


def _file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _builder(folder: Path) -> None:
    (folder / "instances").mkdir(parents=True, exist_ok=True)
    _file(folder / "instances" / "mine", "{")
    buildkit.find(folder)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize(
    "fault",
    [
        *[
            lambda path, number=it: _refused(number, path)
            for it in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EEXIST)
        ],
        _locked,
        lambda path: _raised(lambda: inspect.read(path)),
        lambda path: _raised(lambda: inspect.read(_file(path, "no certificate"))),
        lambda path: _raised(lambda: toml.read(path, "a = ")),
        lambda path: _raised(lambda: editing.check("\ufeffmirrors:\n", _block(path))),
        lambda path: _raised(lambda: INSECURE.added("{", "192.168.0.12", path)),
        lambda path: _raised(lambda: INSECURE.added("[" * 100_000, "192.168.0.12", path)),
    ],
)
def test_a_path_in_a_cure_is_one_word(fault: Callable[[Path], RegistryError], name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    cure = fault(path).cure
    assert shlex.quote(str(path)) in cure or shlex.quote(f"{path}/lock") in cure


def test_a_builder_s_file_in_a_cure_is_one_word(tmp_path: Path) -> None:
    folder = tmp_path / "it's $(touch gone)"
    assert shlex.split(_raised(lambda: _builder(folder)).cure)[-1] == str(folder / "instances" / "mine")


@pytest.mark.process
@pytest.mark.parametrize("key", ["it's", "a'; touch gone; '", "$(touch gone)", "-r"])
def test_a_key_of_others_in_a_cure_is_one_word(key: str, tmp_path: Path) -> None:
    path = _file(tmp_path / "registries.yaml", f'"{key}": 1\n"{key}": 2\n')
    cure = _raised(lambda: merging.check(path, path.read_text())).cure.partition(": ")[2]
    done = subprocess.run(["sh", "-c", cure], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout.count("\n"), [it.name for it in tmp_path.iterdir()]) == (2, [path.name])


@pytest.mark.parametrize("name", ODD)
def test_a_name_that_an_engine_gives_is_one_word(name: str) -> None:
    assert shlex.split(nodes.wake_command(nodes.Node(name, "", "exited"))) == ["docker", "start", name]
    assert shlex.split(engine_types.foreign_volume(name).cure.partition(": ")[2]) == ["docker", "volume", "rm", name]


@pytest.mark.process
@pytest.mark.parametrize(
    "name",
    [
        'it\'s "$(touch gone)"',
        pytest.param("`touch gone` & more", marks=pytest.mark.long),
        pytest.param("a; touch gone #", marks=pytest.mark.long),
    ],
)
def test_in_a_checkout_of_an_odd_path_the_cure_of_a_broken_key_can_be_pasted(
    name: str, invoke: Invoke, tmp_path: Path
) -> None:
    root = tmp_path / name
    invoke.root.rename(root)
    invoke.root = root
    assert invoke("cert").returncode == 0
    key = root / "certs" / "domain.key"
    key.write_text("no key")
    done = invoke("cert")
    cure = done.stderr.partition("move it away: ")[2].strip()
    assert (done.returncode, cure.startswith("mv ")) == (1, True), done.stderr
    subprocess.run(["sh", "-c", cure], cwd=root, check=True)
    assert (key.exists(), key.with_name("domain.key.broken").read_text()) == (False, "no key")
    assert not [it for it in (tmp_path, root) if (it / "gone").exists()]
