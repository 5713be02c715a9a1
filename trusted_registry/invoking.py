"""Invoke's errors and usage: each error with a cure, and a first step for an empty command line."""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import gc
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from invoke.config import AmbiguousMergeError
from invoke.exceptions import Exit, ParseError
from invoke.executor import Executor
from invoke.program import Program
from invoke.vendor.lexicon import Lexicon

from trusted_registry.declarations.task import Task as DeclaredTask
from trusted_registry.defaults import ROOT
from trusted_registry.errors import RegistryError, SettingError

if TYPE_CHECKING:
    from invoke.collection import Collection as TaskCollection
    from invoke.parser import Parser, ParseResult
    from invoke.parser.context import ParserContext

_NEAR = 0.66
"""Likeness from which on a word may be a misspelt one: `--prot` is like `--port`, and `--yes` is not like `--names`."""
_AGAIN_SECONDS = 0.01
_FLAG = re.compile(r"--?[a-z][a-z-]*(=.*)?", re.DOTALL)
"""A word that can only be a flag, with a value or without."""


class TaskExecutor(Executor):
    """Executor that shows an error as one line and a cure; invoke.yaml names this class."""

    def execute(self, *tasks: Any) -> Any:  # noqa: ANN401 - Invoke's own signature
        """Run tasks; exit with 1 for an error, 2 for a wrong setting, 130 for Ctrl-C."""
        from trusted_registry import run_log
        from trusted_registry.engine import membership
        from trusted_registry.terminal import explain

        log = run_log.RunLog(os.environ.pop(run_log.CARRIED, ""))
        run_log.CURRENT.set(log)
        try:
            try:
                membership.enter_if_listed()
                return super().execute(*tasks)
            except RegistryError as error:
                log.end(f"error: {error}")
                raise Exit(explain(error), code=error.code) from error
        except KeyboardInterrupt:  # while an error is told, too
            # A program that was interrupted ends at times before the interrupt reaches this process.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            # Python ends by that signal, not by an exit status, if the interrupt came while a text was executed (a
            # dataclass of a module that was just being loaded is made so); executing another one has it forget that.
            exec("")  # noqa: S102 - no text at all
            raise Exit("Stopped.", code=130) from None
        finally:
            log.save()


def install(groups: Mapping[str, Sequence[DeclaredTask]]) -> None:
    """Install this module's help and messages in the program that loads the tasks, `./inv` or `invoke`."""
    sys.excepthook = on_uncaught
    sys.unraisablehook = functools.partial(on_unraisable, sys.unraisablehook)
    if not sys.warnoptions:  # those of libraries are for who writes programs; a foreign certificate is enough for one
        warnings.simplefilter("ignore")
    # Invoke loads tasks.py, not the other way round, and a configuration can name no class but the executor's.
    if main := sys.modules.get("invoke.main"):
        main.program.__class__ = TaskProgram
        TaskProgram.groups = groups
        # It lives for seconds and makes little garbage: looking for that costs more than it frees, at exit above all.
        gc.disable()
        atexit.register(gc.freeze)


class _Contexts(Lexicon):
    """Tasks with their flags, to be read: Invoke copies all of them for every run, and the one that it fills again."""

    def __deepcopy__(self, memo: object) -> _Contexts:
        return self


class TaskProgram(Program):
    """Invoke's program, with help of our own, and messages for unknown words and for an empty command line."""

    groups: ClassVar[Mapping[str, Sequence[DeclaredTask]]] = {}
    """The tasks by what they are for."""

    def parse_tasks(self) -> None:
        """Parse the command line's words into tasks, or into a wish for help; exit with 2 if that fails."""
        words = self.core.unparsed
        if words[:1] == ["version"]:
            self.print_version()
            raise Exit
        if words[1:] in (["--help"], ["-h"]):  # which a task whose value must follow would take for that
            words[:] = ["help", words[0]]
        if words[:1] == ["help"]:
            self.args.help.set_value(".".join(words[1:]) or True, cast=False)
            words.clear()
        words[:] = _joined_text(self.core, self.collection)
        with self._explained():
            super().parse_tasks()

    def _make_parser(self) -> Parser:
        parser = super()._make_parser()
        object.__setattr__(parser.contexts, "__class__", _Contexts)  # its own takes attributes for keys
        return parser

    def parse_cleanup(self) -> None:
        """Carry out core flags such as --help; exit with 2 if that fails."""
        if self.args.complete.value:
            self._complete()
        with self._explained():
            super().parse_cleanup()

    def _complete(self) -> None:
        """Print the values that may end a line whose last flag has known ones; leave other lines to Invoke."""
        from trusted_registry import usage

        # Invoke knows its own name without a path alone.
        self.core.remainder = re.sub(r"\A\S*/(?=inv(oke)? )", "", self.core.remainder)
        found = usage.values((it for tasks in self.groups.values() for it in tasks), self.core.remainder)
        if found is not None:
            sys.stdout.writelines(f"{it}\n" for it in found)
            raise Exit

    def print_version(self) -> None:
        """Print the versions of the project, of Invoke and of Python."""
        import platform
        from importlib import metadata

        ours = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
        on = f"Invoke {metadata.version('invoke')}, Python {platform.python_version()}"
        sys.stdout.write(f"trusted-registry {ours[1] if ours else 'of no known version'} ({on})\n")

    def no_tasks_given(self) -> None:
        """Show the first command to type, then list the tasks."""
        from trusted_registry import usage

        sys.stdout.write(usage.BEGIN)
        self.list_tasks()
        raise Exit

    def print_help(self) -> None:
        """List the tasks and the flags of all."""
        from trusted_registry import usage

        sys.stdout.write("Usage: ./inv TASK [flags] [TASK [flags] …]\n\n")
        self._print(usage.sections(self.groups))
        self._print({"Flags of every task": usage.OF_EVERY_TASK, "Without a task": usage.OF_NO_TASK})

    def print_task_help(self, name: str) -> None:
        """Explain one task."""
        from trusted_registry import usage

        head, sections = usage.of_task(self.collection[name])
        sys.stdout.write(head)
        self._print(sections)

    def list_flat(self) -> None:
        """List the tasks by their purpose."""
        from trusted_registry import usage

        if self.list_depth:
            super().list_flat()
            return
        self._print(usage.sections(self.groups, self.list_root or ""))
        sys.stdout.write(usage.MORE)

    def _print(self, sections: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        for heading, pairs in sections.items():
            sys.stdout.write(f"{heading}:\n")
            self.print_columns(pairs)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ParseError as error:
            from trusted_registry.terminal import explain

            tasks = (*self.parser.contexts, *self.parser.contexts.aliases)
            wrong = _dotted(error, self.core.unparsed, tasks) or _misunderstood(error, tasks, self.initial_context)
            raise Exit(explain(wrong), code=wrong.code) from error


_UNKNOWN = re.compile(r"No idea what (['\"])(.*)\1 is!")


def _dotted(error: ParseError, words: Sequence[str], tasks: Collection[str]) -> SettingError | None:
    """Return the error for a task that was typed in words, as in `registry stop`, or None."""
    unknown = _UNKNOWN.fullmatch(str(error))
    if not unknown or unknown[2] not in words:
        return None
    at = words.index(unknown[2])
    spans = [(begin, end) for begin in (at - 2, at - 1, at) for end in (at + 3, at + 2, at + 1) if begin >= 0]
    joined = (".".join(words[begin:end]) for begin, end in spans if end - begin > 1)
    name = next((it for it in joined if it in tasks and "." in it), "")
    return SettingError(f"A task's name is one word: {name}.", cure=f"./inv {name}") if name else None


def _misunderstood(error: ParseError, tasks: Iterable[str], core: ParserContext) -> SettingError:
    """Return the error for words after `./inv` that cannot be parsed, with the nearest known word in its cure."""
    message, task = str(error), error.context.name if error.context else None
    of_task = f"./inv --help {task}" if task else "./inv --help"
    if unknown := _UNKNOWN.fullmatch(message):
        word = unknown[2]
        if word.startswith("-"):
            flags = (*(error.context.flags if task and error.context else ()), *core.flags)
            return _unknown(f"{task or './inv'} has no flag {word}.", word, flags, of_task)
        if within := sorted(name for name in tasks if name.startswith(f"{word}.")):
            return SettingError(f"{word} is a chapter. Its tasks: {', '.join(within)}.", cure=f"./inv --list {word}")
        return _unknown(f"There is no task {word!r}.", word, tasks, "./inv --list")
    if lacking := re.match(r"Flag <Argument: ([\w-]+)", message):
        return SettingError(f"--{lacking[1]} needs a value.", cure=of_task)
    return SettingError(f"{message.rstrip('.!')}.", cure=of_task)


def _unknown(message: str, word: str, known: Iterable[str], all_of_them: str) -> SettingError:
    import difflib

    # Dashes make every flag like every other one.
    bare = {it.lstrip("-"): it for it in known}
    typed = word.lstrip("-").partition("=")[0]
    same = [it for it in bare if it.endswith(f".{typed}")]
    near = (same if len(same) == 1 else []) or difflib.get_close_matches(typed, list(bare), n=1, cutoff=_NEAR)
    return SettingError(message, cure=f"{f'Did you mean {bare[near[0]]}? ' if near else ''}{all_of_them}")


def _joined_text(line: ParseResult, tasks: TaskCollection) -> list[str]:
    """Return the words after `./inv` with those that a task takes as a text made the value of that task's flag.

    Invoke requires every positional argument, and takes a word that begins with a dash for a flag; a message that was
    pasted is neither.
    """
    words = line.unparsed
    for at, word in enumerate(words):
        task = tasks[word] if word in tasks.task_names else None
        if not isinstance(task, DeclaredTask) or task.text is None:
            continue
        name, after = f"--{task.text.name}", words[at + 1 :]
        text = [*(it for it in after if not _FLAG.fullmatch(it)), *filter(None, [line.remainder])]
        if not text or name in after:
            return words
        return [*words[: at + 1], *(it for it in after if _FLAG.fullmatch(it)), f"{name}={' '.join(text)}"]
    return words


def on_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show an error that no task explains: unreadable settings, Ctrl-C, a closed pipe, a full disk."""
    if isinstance(error, KeyboardInterrupt):
        sys.stderr.write("Stopped.\n")
        raise SystemExit(130)
    if isinstance(error, BrokenPipeError):
        # The reader closed the pipe, as `head` does; Python would complain of that at exit (docs, signal).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141)
    if wrong := _mendable(error):
        from trusted_registry.terminal import explain

        sys.stderr.write(f"{explain(wrong)}\n")
        raise SystemExit(wrong.code)
    sys.__excepthook__(kind, error, trace)


def on_unraisable(earlier: Callable[[sys.UnraisableHookArgs], object], ignored: sys.UnraisableHookArgs) -> None:
    """Send Ctrl-C anew where Python ignores it, as in a callback of an import; other errors are the earlier hook's."""
    if ignored.exc_type is not KeyboardInterrupt:
        earlier(ignored)
        return
    # A moment later: here, and in whatever called that, it would be ignored again.
    again = threading.Timer(_AGAIN_SECONDS, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    again.daemon = True
    again.start()


def _mendable(error: BaseException) -> RegistryError | None:
    """Return the error of this project for one of Invoke or Python, or None for a bug.

    Invoke casts a variable to the type of its key in invoke.yaml; an unquoted number there makes the type a number.
    """
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return RegistryError("The output cannot be written: no space left.", cure="df -h")
    # Wherever it comes: each module that is loaded is a file, too.
    if isinstance(error, (OSError, ImportError)) and os.strerror(errno.EMFILE) in str(error):
        from trusted_registry import files

        return RegistryError("Too many files are open at once.", cure=files.MORE_FILES)
    if isinstance(error, (AmbiguousMergeError, UnicodeDecodeError)):
        return SettingError(f"invoke.yaml is not valid: {error}", cure="See the one in git.")
    if mark := getattr(error, "problem_mark", None):
        problem = getattr(error, "problem", "it is not YAML")
        return SettingError(f"{mark.name}, line {mark.line + 1}: {problem}.", cure="Fix that line.")
    text = str(error).rpartition(": ")[2].strip("'") if isinstance(error, ValueError) else None
    names = [name for name, value in os.environ.items() if name.startswith("INVOKE_") and value == text]
    return SettingError(f"{names[0]} is {text!r}.", cure="Use a whole number.") if names else None
