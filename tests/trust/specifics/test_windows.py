"""Windows' commands, argument for argument, and their grammar: nobody here has a Windows machine to run them on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tree_sitter
import tree_sitter_powershell

from tests.trust import sample
from trusted_registry.certificate import changeover, issue
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.tasks import trust_serve
from trusted_registry.trust.specifics import windows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeSettings
    from tests.recorder import Recorder

GOLDEN = Path(__file__).parents[2] / "golden"
POWERSHELL = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
MARK = "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{SINGLE LOW-9 QUOTATION MARK}"
each = pytest.mark.parametrize("whose", windows.WHOSE)


def _nodes(text: str) -> Iterator[tree_sitter.Node]:
    """Yield every part of a PowerShell text; the text must have no mistake in it."""
    root = POWERSHELL.parse(text.encode()).root_node
    assert not root.has_error, text
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


def _words(text: str, kind: str) -> list[str]:
    return [(node.text or b"").decode() for node in _nodes(text) if node.type == kind]


@each
def test_what_is_pasted_is_as_it_was_when_it_was_checked_word_for_word(whose: str) -> None:
    made = windows.script(sample.anchor(), "192.168.0.12", whose)
    assert made == (GOLDEN / f"trust-{whose}.ps1").read_text()


@each
def test_powershell_s_grammar_takes_what_is_pasted(whose: str) -> None:
    assert list(_nodes(windows.script(sample.anchor(), "192.168.0.12", whose)))


def test_the_grammar_would_notice_a_string_left_open() -> None:
    text = windows.script(sample.anchor(), "192.168.0.12", "user").replace("ROOT $path", "ROOT '$path")
    assert POWERSHELL.parse(text.encode()).root_node.has_error


@each
def test_what_is_pasted_is_one_statement_so_that_nothing_runs_after_a_refusal(whose: str) -> None:
    (program,) = [node for node in _nodes(windows.script(sample.anchor(), "R", whose)) if node.type == "program"]
    statements = [part for part in program.children if part.type != "comment"]
    assert [len(part.named_children) for part in statements] == [1]


@each
def test_the_fingerprint_is_compared_before_the_store_is_touched(whose: str) -> None:
    made = windows.add(sample.anchor(), whose)
    assert made.index(sample.SHA256) < made.index("throw") < made.index("-addstore")


@each
def test_powershell_reads_the_very_certificate(whose: str) -> None:
    (pasted,) = _words(windows.add(sample.anchor(), whose), "verbatim_here_string_characters")
    assert pasted == f"@'\n{sample.CERTIFICATE.decode()}'@"


def test_whatever_else_the_certificate_s_file_says_is_not_pasted() -> None:
    said = b"'@\nRemove-Item -Recurse C:\\\n@'\n" + sample.CERTIFICATE + b"'@\nmore\n"
    assert windows.add(sample.anchor(content=said), "user") == windows.add(sample.anchor(), "user")


@pytest.mark.parametrize(
    ("whose", "expected"),
    [
        ("machine", "certutil -addstore -f ROOT $path"),
        ("user", "certutil -user -addstore -f ROOT $path"),
    ],
)
def test_the_certificate_goes_into_the_root_store_that_was_asked_for(whose: str, expected: str) -> None:
    assert expected in [line.strip() for line in windows.add(sample.anchor(), whose).splitlines()]


@pytest.mark.parametrize(
    ("whose", "look", "remove"),
    [
        ("machine", f"certutil -store ROOT {sample.SHA1}", f"certutil -delstore ROOT {sample.SHA1}"),
        ("user", f"certutil -user -store ROOT {sample.SHA1}", f"certutil -user -delstore ROOT {sample.SHA1}"),
    ],
)
def test_it_is_looked_for_and_taken_back_by_its_name_in_windows(whose: str, look: str, remove: str) -> None:
    assert (windows.find(sample.anchor(), whose), windows.remove(sample.anchor(), whose)) == (look, remove)


@each
def test_only_the_trust_itself_happens_on_pasting_and_the_rest_is_told(whose: str) -> None:
    made = windows.script(sample.anchor(), "192.168.0.12", whose)
    acts = "\n".join(line for line in made.splitlines() if not line.startswith("#"))
    assert ("docker desktop restart" in made, "delstore" in made) == (True, True)
    assert ("docker" in acts, "delstore" in acts) == (False, False)


@pytest.mark.parametrize("text", ["plain", "it's", f"a{MARK}b", '$(Remove-Item x) `n "', "'; Remove-Item x; '"])
def test_a_literal_is_one_string_that_says_what_was_given(text: str) -> None:
    literal = windows.literal(text)
    inside = literal[1:-1]
    for quote in f"'{MARK}":
        assert len(re.findall(quote, inside)) == 2 * text.count(quote)
        inside = inside.replace(2 * quote, quote)
    assert (literal[0], inside, literal[-1]) == ("'", text, "'")


def test_the_grammar_takes_a_literal_for_one_string() -> None:
    text = windows.literal("'; Remove-Item x; '")
    assert _words(text, "string_literal") == [text]


def test_fingerprints_are_written_as_openssl_writes_them() -> None:
    assert windows.colons(sample.anchor().fingerprint) == sample.SHA256


@pytest.mark.process
@pytest.mark.parametrize(("digest", "expected"), [("sha256", sample.SHA256), ("sha1", sample.SHA1)])
def test_openssl_says_the_same_fingerprints_of_the_sample(digest: str, expected: str) -> None:
    argv = ["openssl", "x509", "-noout", "-fingerprint", f"-{digest}"]
    said = subprocess.run(argv, input=sample.CERTIFICATE, capture_output=True, check=True).stdout.decode()
    assert said.partition("=")[2].strip().replace(":", "") == expected.replace(":", "")


def test_a_subject_knows_its_name_in_windows_and_on_a_mac() -> None:
    assert sample.anchor().sha1 == sample.SHA1


def test_the_task_prints_what_is_pasted(make_settings: MakeSettings, console: Recorder) -> None:
    settings = make_settings(tool="cryptography")
    issue.ensure(Run(settings, console))
    console.said.clear()
    trust_serve.windows(Run(settings, console), user=True)
    (said,) = console.said
    assert ("certutil -user -addstore" in said, issue.trust_anchor(settings.folder).sha1.upper() in said) == (
        True,
        True,
    )


def test_in_a_changeover_it_prints_both_roots(make_settings: MakeSettings, console: Recorder) -> None:
    settings = make_settings(tool="cryptography")
    issue.ensure(Run(settings, console))
    changeover.begin(Run(settings, console))
    console.said.clear()
    trust_serve.windows(Run(settings, console), user=False)
    roots = (issue.trust_anchor(settings.folder), changeover.next_root(settings.folder))
    assert [root.fingerprint if root else "" for root in roots] == [
        re.findall(r"SHA-256: ([0-9A-F:]+)", said)[0].replace(":", "").lower() for said in console.said
    ]


def test_without_a_certificate_the_task_says_how_to_make_one(make_settings: MakeSettings, console: Recorder) -> None:
    with pytest.raises(RegistryError, match="no certificate to trust"):
        trust_serve.windows(Run(make_settings(), console), user=False)
