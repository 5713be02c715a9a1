"""The terminal: what people see, what programs see, and who is asked."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trusted_registry.errors import RegistryError
from trusted_registry.terminal import Terminal, explain

if TYPE_CHECKING:
    from collections.abc import Callable


class _Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _shown(act: Callable[[Terminal], object], *, quiet: bool = False) -> str:
    out = io.StringIO()
    act(Terminal(out=out, quiet=quiet))
    return out.getvalue()


def test_a_command_is_shown_as_it_can_be_pasted() -> None:
    assert _shown(lambda t: t.command(["echo", "a b", "$x"])) == "$ echo 'a b' '$x'\n"


def test_a_path_below_this_folder_is_shown_relative_to_it() -> None:
    assert _shown(lambda t: t.command(["cat", str(Path.cwd() / "certs" / "ca.crt")])) == "$ cat certs/ca.crt\n"


def test_a_path_elsewhere_is_shown_in_full() -> None:
    assert _shown(lambda t: t.command(["cat", "/elsewhere/ca.crt"])) == "$ cat /elsewhere/ca.crt\n"


def test_what_goes_to_a_file_has_no_colours() -> None:
    assert "\033" not in _shown(lambda t: t.command(["ls"]))


def test_what_goes_to_a_screen_has_colours_unless_a_person_wants_none(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured, plain = _Screen(), _Screen()
    Terminal(out=coloured).command(["ls"])
    monkeypatch.setenv("NO_COLOR", "1")
    Terminal(out=plain).command(["ls"])
    assert ("\033[" in coloured.getvalue(), plain.getvalue()) == (True, "$ ls\n")


@pytest.mark.parametrize("act", [lambda t: t.say("made"), lambda t: t.command(["ls"])])
def test_a_quiet_one_leaves_standard_output_to_programs(act: Callable[[Terminal], None]) -> None:
    assert (_shown(act, quiet=True), _shown(act) != "") == ("", True)


def test_a_warning_goes_to_standard_error_even_from_a_quiet_one(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(quiet=True).warn("look here")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "note: look here\n")


@pytest.mark.parametrize(("yes", "dry"), [(True, False), (False, True)])
def test_a_yes_given_beforehand_and_a_dry_run_ask_nobody(*, yes: bool, dry: bool) -> None:
    assert Terminal(yes=yes, dry=dry).ask("Remove everything?")


def test_without_anybody_to_answer_nothing_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(RegistryError, match=r"Nobody is here to answer: Remove everything\?") as caught:
        Terminal().ask("Remove everything?")
    assert caught.value.cure == "Add --yes to the command."


@pytest.mark.parametrize(
    ("typed", "answer"), [("y", True), ("yes", True), (" YES ", True), ("", False), ("n", False), ("yep", False)]
)
def test_only_a_yes_is_a_yes(typed: str, monkeypatch: pytest.MonkeyPatch, *, answer: bool) -> None:
    monkeypatch.setattr(sys, "stdin", _Screen())
    monkeypatch.setattr("builtins.input", lambda _prompt: typed)
    assert Terminal().ask("Remove everything?") is answer


def test_an_end_of_input_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(sys, "stdin", _Screen())
    monkeypatch.setattr("builtins.input", end)
    assert not Terminal().ask("Remove everything?")


def test_a_table_keeps_brackets_that_look_like_markup() -> None:
    shown = _shown(lambda t: t.table("Registry", ["What", "How"], [["trust for [fd00::12]", "trusted"]]))
    assert "trust for [fd00::12]" in shown


def test_progress_shows_nothing_where_nobody_watches() -> None:
    def work(terminal: Terminal) -> None:
        with terminal.progress("Pulling") as progress:
            progress.update("layer", 1, 2)

    assert _shown(work) == ""


def test_an_error_is_two_lines_of_which_the_second_is_the_cure() -> None:
    assert explain(RegistryError("It broke.", cure="Mend it.")) == "error: It broke.\n   do: Mend it."
