"""Declared tasks, as Invoke calls them: each makes a run of settings and flags, and leaves the work to a function.

Nothing heavy is imported before a task is called, so that `inv --list` stays quick.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import invoke.tasks
from invoke.collection import Collection
from invoke.parser.argument import Argument

from trusted_registry.declarations.flag import JSON, UNSAID, YES, Flag
from trusted_registry.defaults import DEFAULTS, ROOT

if TYPE_CHECKING:
    from invoke.context import Context

    from trusted_registry.settings import Settings


class Task(invoke.tasks.Task[Any]):
    """Task as it is typed, and the function that does its work.

    Args:
        name: Name of the task after those of its collections: registry.user.add.
        sentence: First line of help, and the task's line in the list.
        function: Module of `trusted_registry.tasks` and function in it. The function takes a run and each flag by
            name, and may return a report; a test compares its parameters with the flags.
        flags: Flags of the task.
        default: Whether the collection's name alone means this task.
        needs_settings: Whether the function takes a run; otherwise it takes a console, and no setting can be wrong.
        example: A command for help to show; the bare one by default.
    """

    def __init__(  # noqa: PLR0913 - all of a task that is typed or read
        self,
        name: str,
        sentence: str,
        function: str,
        *flags: Flag,
        default: bool = False,
        needs_settings: bool = True,
        example: str = "",
    ) -> None:
        positional = [flag.name for flag in flags if flag.default is None]
        super().__init__(self._perform, name=name, positional=positional, default=default)
        self.__doc__ = sentence
        self.function = function
        self.text = next((flag for flag in flags if flag.is_text), None)
        """The flag that takes all words after the task's name."""
        self.flags = flags
        self.needs_settings = needs_settings
        self.typed_name = name.rpartition(".")[0] if default else name
        """The name as it is typed: that of the collection for its default."""
        self.example = example or f"./inv {self.typed_name}"

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:  # noqa: ARG002, FBT001 - Invoke's own signature
        """Return the flags for Invoke's parser, none of them with a short form: `-h` is help."""
        return [_argument(flag) for flag in sorted(self.flags, key=lambda it: it.default is not None)]

    def find_function(self) -> Callable[..., object]:
        """Import the function that does the work."""
        module, _, name = self.function.partition(".")
        found: Callable[..., object] = getattr(import_module(f"trusted_registry.tasks.{module}"), name)
        return found

    def _perform(self, context: Context, **typed: Any) -> None:  # noqa: ANN401 - each flag has a type of its own
        """Do the work, and show the report."""
        from trusted_registry import run_log
        from trusted_registry.lists import split
        from trusted_registry.report import Report
        from trusted_registry.run import Run
        from trusted_registry.terminal import Terminal

        values: dict[Flag, Any] = {flag: typed.get(flag.name, flag.default) for flag in self.flags}
        options, log = context.config["run"], run_log.current()
        shown = {"dry": options["dry"], "echo": options["echo"], "as_json": bool(values.get(JSON))}
        terminal = Terminal(**shown, yes=bool(values.get(YES)), log=log)
        settings = _settings(context, values) if self.needs_settings else None
        log.begin(self.name, settings.folder if settings else None)
        if settings:
            _check_place(self.name, settings)
        run = Run(settings, terminal, lambda: _settings(_reread(context), values)) if settings else terminal
        own = {flag: value for flag, value in values.items() if not flag.is_setting and flag not in (YES, JSON)}
        parameters = {flag.name: split(value) if flag.is_list else value for flag, value in own.items()}
        found = self.find_function()(run, **parameters)
        if isinstance(found, Report):
            terminal.report(found)


def _check_place(name: str, settings: Settings) -> None:
    """Refuse a task about a registry on this machine alone where that is on a swarm."""
    from trusted_registry.swarm import noted

    noted.check(name, settings)


def _argument(flag: Flag) -> Argument:
    return Argument(
        names=(flag.typed,),
        attr_name=flag.name if "_" in flag.name else None,
        kind=bool if isinstance(flag.default, bool) else str,
        default=flag.default,
        help=flag.help,
        positional=flag.default is None,
    )


def _reread(context: Context) -> Context:
    """Return a context of the files as they are now.

    Raises:
        SettingError: They say who carries out tasks, which is no setting.
    """
    from invoke.config import Config

    from trusted_registry.errors import SettingError

    config = Config(project_location=ROOT)
    config.load_collection(DEFAULTS)
    config.load_project()
    config.load_shell_env()
    config.set_runtime_path(context.config._runtime_path)  # noqa: SLF001 - by which invoke -f goes
    config.load_runtime()
    if dict(config["tasks"]) != dict(context.config["tasks"]):
        raise SettingError("invoke.yaml says more than settings of the registry.", cure="git checkout invoke.yaml")
    return type(context)(config=config)


def _settings(context: Context, values: Mapping[Flag, Any]) -> Settings:
    """Check all settings, overridden by the flags that were typed."""
    from trusted_registry import address, saved_flags, settings

    config = context.config
    sections = {name: value if isinstance(value, str) else dict(value or {}) for name, value in config.items()}
    settings.check_keys(sections, os.environ)
    return settings.load(
        {name: dict(config[name]) for name in DEFAULTS},
        root=ROOT,
        find_address=address.own_address,
        flags={f"registry.{flag.name}": value for flag, value in values.items() if flag.is_setting and value != UNSAID},
        find_saved_flags=saved_flags.read,
        environ=os.environ,
    )


def collection(tasks: Iterable[Task]) -> Collection:
    """Return Invoke's collection of tasks, with a collection in it for each part of their names."""
    root = Collection()
    for task in tasks:
        *parents, name = task.name.split(".")
        inner = root
        for parent in parents:
            if parent not in inner.collections:
                inner.add_collection(Collection(parent))
            inner = inner.collections[parent]
        inner.add_task(task, name=name, default=task.is_default)
    root.configure(DEFAULTS)
    return root
