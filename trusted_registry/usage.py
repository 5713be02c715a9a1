"""Usage of `./inv`: the tasks by their purpose, the help of one, and the values that a shell completes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module

from trusted_registry.declarations.flag import Flag
from trusted_registry.declarations.task import Task

Pairs = list[tuple[str, str]]

OF_EVERY_TASK: Pairs = [
    ("--dry", "Show the commands, and change nothing."),
    ("--echo", "Show the commands while they run; certs/last-run.log keeps them."),
    ("--help", "Explain the task."),
]
OF_NO_TASK: Pairs = [
    ("--list", "List the tasks; --list cert those of one chapter."),
    ("--version", "Name the version."),
]
BEGIN = "Begin with ./inv up, which does it all; ./inv help up explains it.\n\n"
MORE = "Each takes --dry (only show) and --echo (show its commands too): ./inv help TASK\n"


def sections(groups: Mapping[str, Sequence[Task]], within: str = "") -> dict[str, Pairs]:
    """Return name and sentence of each task by its group, in columns of one width; of one chapter, if named."""
    found = {
        heading: [task for task in tasks if not within or task.name.startswith(f"{within}.")]
        for heading, tasks in groups.items()
    }
    width = max((len(task.typed_name) for tasks in found.values() for task in tasks), default=0)
    return {
        heading: [(task.typed_name.ljust(width), task.__doc__ or "") for task in tasks]
        for heading, tasks in found.items()
        if tasks
    }


def of_task(task: Task) -> tuple[str, dict[str, Pairs]]:
    """Return the head of a task's help, and its flags under their headings, in columns of one width."""
    words = [flag for flag in task.flags if flag.default is None]
    usage = " ".join(["./inv", task.typed_name, *(flag.shown for flag in words)])
    usage += f" [{task.text.value} …]" if task.text else ""
    parts = {
        "Words": _pairs(words),
        "Flags": _pairs(flag for flag in task.flags if flag.default is not None),
        "Flags of every task": OF_EVERY_TASK,
    }
    width = max(len(left) for pairs in parts.values() for left, _ in pairs)
    head = f"Usage: {usage} [flags]\n\n{task.__doc__}\n\nExample:\n  {task.example}\n\n"
    return head, {name: [(left.ljust(width), right) for left, right in pairs] for name, pairs in parts.items() if pairs}


def _pairs(flags: Iterable[Flag]) -> Pairs:
    return [(flag.shown, flag.shown_help) for flag in flags]


def values(tasks: Iterable[Task], line: str) -> list[str] | None:
    """Return the values that a shell may put at the end of a command line; None where other words may stand.

    Args:
        tasks: The tasks that may be on the line.
        line: The line from the shell, which puts a blank before and after an equals sign.
    """
    ended = re.fullmatch(r"(?P<before>.*) --(?P<flag>[a-z-]+)(?: ?= ?| +|\Z)(?P<list>\S+,)?(?P<word>[^\s,]*)", line)
    if not ended:
        return None
    named = [task for task in tasks if task.typed_name in ended["before"].split()]
    name = ended["flag"].replace("-", "_")
    choices = next((flag.choices for task in named for flag in task.flags if flag.name == name and flag.choices), "")
    if not choices:
        return None
    module, _, attribute = choices.rpartition(".")
    found: Sequence[str] = getattr(import_module(f"trusted_registry.{module}"), attribute)
    # A whole value ends there: the next word is another.
    return None if ended["word"] in found else [f"{ended['list'] or ''}{it}" for it in found]
