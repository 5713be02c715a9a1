"""Declared tasks: each calls a function that is there and takes its flags, and stands once in the table of contents."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest
from invoke.config import Config
from invoke.context import Context

import tasks
from tests.conftest import ADDRESS, ROOT
from trusted_registry import lists
from trusted_registry.declarations import cert, images, kubernetes, lifecycle, mirror, registry, site, swarm, trust
from trusted_registry.declarations import task as declared
from trusted_registry.declarations.flag import JSON, SYSTEM, THIS_REGISTRY, YES, Flag, words
from trusted_registry.declarations.task import Task
from trusted_registry.defaults import DEFAULTS
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trusted_registry.console import Console
    from trusted_registry.run import Run

every_task = pytest.mark.parametrize("task", tasks.CONTENTS, ids=lambda task: task.name)
NO_VALUE = inspect.Parameter.empty


# What mypy cannot see: the functions that are called by their names


def _own(task: Task) -> list[Flag]:
    return [flag for flag in task.flags if not flag.is_setting and flag not in (YES, JSON)]


def _kind(flag: Flag) -> tuple[str, ...]:
    if flag.is_list:
        return ("Sequence[str]", "tuple[str, ...]")
    return ("bool",) if isinstance(flag.default, bool) else ("str",)


@every_task
def test_a_task_s_function_takes_its_flags_by_their_names_and_types(task: Task) -> None:
    parameters = dict(list(inspect.signature(task.find_function()).parameters.items())[1:])
    lacking = [flag.name for flag in _own(task) if flag.name not in parameters]
    wrong = [flag.name for flag in _own(task) if parameters[flag.name].annotation not in _kind(flag)]
    assert (lacking, wrong) == ([], [])


@every_task
def test_a_task_s_function_needs_nothing_that_no_flag_gives(task: Task) -> None:
    (first, *others) = inspect.signature(task.find_function()).parameters.values()
    given = {flag.name for flag in _own(task)}
    assert (first.name, first.annotation) == (("run", "Run") if task.needs_settings else ("console", "Console"))
    assert [it.name for it in others if it.default is NO_VALUE and it.name not in given] == []


@every_task
def test_only_a_report_is_returned_for_json(task: Task) -> None:
    returned = inspect.signature(task.find_function()).return_annotation
    assert JSON not in task.flags or returned == "Report"


# Once each


def test_every_declared_task_stands_once_in_the_table_of_contents() -> None:
    modules = (cert, images, kubernetes, lifecycle, mirror, registry, site, swarm, trust)
    found = [it for module in modules for it in vars(module).values() if isinstance(it, Task)]
    assert sorted(it.name for it in found) == sorted(it.name for it in tasks.CONTENTS)
    assert len({it.name for it in found}) == len(found)


def test_a_flag_that_several_tasks_have_is_written_once() -> None:
    every = [flag for task in tasks.CONTENTS for flag in task.flags]
    assert [one.name for one in every if any(one == other and one is not other for other in every)] == []


# A call


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A caller of a task whose function is the test's own."""
    monkeypatch.setattr(declared, "ROOT", tmp_path)
    monkeypatch.setenv("INVOKE_REGISTRY_ADDRESS", ADDRESS)

    def call(task: Task, function: Callable[..., object], *, dry: bool = False, **typed: object) -> None:
        monkeypatch.setattr(task, "find_function", lambda: function)
        config = Config(overrides={**DEFAULTS, "run": {"dry": dry}})
        task(Context(config), **typed)

    return call


def test_a_function_gets_a_run_of_the_settings_and_its_own_flags_alone(call: Callable[..., None]) -> None:
    got: list[object] = []

    def work(run: Run, **flags: object) -> None:
        got.extend((run.settings.address, run.settings.port, run.console.dry, run.console.ask("Sure?"), flags))

    task = Task(
        "a", "Do it.", "x.y", *THIS_REGISTRY, YES, SYSTEM, words("only", "Only these."), Flag("lines", "Many.", "50")
    )
    call(task, work, port="8443", address="192.168.0.77", yes=True, only="docker, podman")
    flags = {"system": False, "only": ("docker", "podman"), "lines": "50"}
    assert got == ["192.168.0.77", 8443, False, True, flags]


def test_a_task_that_needs_no_settings_is_run_however_wrong_they_are(
    call: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVOKE_REGISTRY_PROT", "1")
    got: list[bool] = []

    def work(console: Console) -> None:
        got.append(console.dry)

    call(Task("a", "Do it.", "x.y", needs_settings=False), work, dry=True)
    assert got == [True]
    with pytest.raises(SettingError, match="INVOKE_REGISTRY_PROT"):
        call(Task("a", "Do it.", "x.y"), work)


def test_settings_that_are_read_anew_have_those_of_invoke_s_f_too(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("registry:\n  port: 8443\n")
    ports = []
    for runtime in (tmp_path / "run.yaml", None):
        config = Config(project_location=ROOT, runtime_path=runtime)
        config.load_collection(DEFAULTS)
        config.load_project()
        config.load_runtime()
        ports += [config["registry"]["port"], declared._reread(Context(config)).config["registry"]["port"]]
    assert ports == [8443, 8443, *[DEFAULTS["registry"]["port"]] * 2]


def test_what_a_function_reports_is_shown_and_its_failure_ends_the_task(
    call: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report({"a": 1}, lines=["one"])
    call(Task("a", "Do it.", "x.y", JSON), lambda _run: report)
    call(Task("a", "Do it.", "x.y", JSON), lambda _run: report, json=True)
    assert capsys.readouterr().out == 'one\n{\n  "a": 1\n}\n'
    with pytest.raises(RegistryError, match="Bad"):
        call(Task("a", "Do it.", "x.y"), lambda _run: Report(failure=RegistryError("Bad.", cure="Mend.")))


def test_two_tasks_of_one_name_in_two_collections_are_two() -> None:
    assert (registry.test == lifecycle.test, registry.test == tasks.ns["registry.test"]) == (False, True)


# Lists


@pytest.mark.parametrize(
    ("text", "parts"),
    [("", ()), ("a", ("a",)), ("a,b", ("a", "b")), ("a, b ,c", ("a", "b", "c")), ("a,,b", ("a", "", "b"))],
)
def test_a_list_is_one_word_with_commas(text: str, parts: tuple[str, ...]) -> None:
    assert lists.split(text) == parts
