"""What a person sees of explain and doctor: sentences, cures, JSON, exit codes."""

from __future__ import annotations

import gc
import io
import json
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from tests.disk import as_client, snapshot
from trusted_registry.certificate import inspect
from trusted_registry.doctor.finding import ChmodFix, Finding
from trusted_registry.engine import types as engine_types
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.registry import observe
from trusted_registry.registry.probe import Endpoint
from trusted_registry.run import Run
from trusted_registry.tasks import doctor

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from tests.conftest import Invoke
    from tests.recorder import Recorder
    from trusted_registry.settings import Settings

SAID = 'Get "https://192.168.0.99/v2/": x509: certificate signed by unknown authority'


def test_a_message_is_shown_with_its_cause_and_its_cure(settings: Settings, console: Recorder) -> None:
    (shown,) = doctor.explain(Run(settings, console), text=SAID).lines
    assert shown.startswith(f"said: {SAID}\n why: ")
    assert "\n  do: ./inv trust.serve  # on the registry's machine; then paste here" in shown
    assert shown.splitlines()[-1] == "also: ./inv doctor checks whether it is so here"


def test_a_client_s_checkout_is_told_to_trust_with_what_it_is_handed(settings: Settings, console: Recorder) -> None:
    as_client(settings.folder)
    (shown,) = doctor.explain(Run(settings, console), text=SAID).lines
    assert "\n  do: ./inv trust.linux --address 192.168.0.99  # with certs/ca.crt of the registry's" in shown


def test_a_message_is_shown_to_its_end_and_the_last_line_of_an_explanation_is_not_empty(
    settings: Settings, console: Recorder
) -> None:
    names = ", ".join(f"192.168.0.{number}" for number in range(1, 30))
    said = f'Get "https://192.168.0.99/v2/": x509: certificate is valid for {names}, not 192.168.0.99'
    first, second = doctor.explain(Run(settings, console), text=f"{said}\n{SAID}").lines
    assert first.splitlines()[0] == f"said: {said}"
    assert second.startswith("\nsaid: ")
    assert not any(shown.endswith("\n") for shown in (first, second))


def test_of_a_very_long_message_both_ends_are_shown_by_whole_words(settings: Settings, console: Recorder) -> None:
    said = f"{'before ' * 300}{SAID} {'after ' * 30}".strip()
    shown = doctor.explain(Run(settings, console), text=said).lines[0].splitlines()[0].removeprefix("said: ")
    assert len(shown) < 1100
    assert set(shown.split()) == {*said.split(), "…"}


def test_a_message_is_read_from_standard_input(
    settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"pulling…\n{SAID}\n"))
    assert [match.key for match in doctor.recognise(Run(settings, console), "")] == ["unknown-authority"]


def test_a_text_without_a_known_message_ends_with_1_and_says_what_to_do(settings: Settings, console: Recorder) -> None:
    failure = doctor.explain(Run(settings, console), text="all is well").failure
    assert failure
    told = failure.message.startswith("There is no known error message")
    assert (told, failure.code, "./inv doctor" in failure.cure) == (
        True,
        1,
        True,
    )


def test_on_the_registry_s_own_machine_a_cure_needs_no_other(settings: Settings, console: Recorder) -> None:
    said = SAID.replace(".99", ".12").replace("signed by unknown authority", "has expired")
    (match,) = doctor.recognise(Run(settings, console), said)
    assert match.cure[0].line == "./inv cert.renew"
    (settings.folder / "domain.key").unlink()
    (match,) = doctor.recognise(Run(settings, console), said)
    assert "on the registry's machine" in match.cure[0].line


def test_a_push_that_fails_explains_itself(console: Recorder) -> None:
    reason = 'Get "https://192.168.0.12/v2/": x509: certificate signed by unknown authority'
    with pytest.raises(RegistryError) as caught, console.progress("x") as progress:
        engine_types.follow_transfer([{"error": reason}], progress, "Pushing 192.168.0.12/app failed")
    assert caught.value.cure.startswith("./inv trust.linux --address 192.168.0.12 (")
    with pytest.raises(RegistryError) as caught, console.progress("x") as progress:
        engine_types.follow_transfer(
            [{"error": "no basic auth credentials"}], progress, "Pushing 192.168.0.12:8443/app failed"
        )
    assert "docker login 192.168.0.12:8443" in caught.value.cure
    assert engine_types.pull_cure("something new") == "./inv doctor looks for what is wrong."


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("192.168.0.12", ("192.168.0.12", 443)),
        ("192.168.0.12:8443", ("192.168.0.12", 8443)),
        ("Registry.local:5000", ("registry.local", 5000)),
        ("fd00::12", ("fd00::12", 443)),
        ("[fd00::12]", ("fd00::12", 443)),
        ("[fd00::12]:8443", ("fd00::12", 8443)),
    ],
)
def test_another_machine_s_registry_is_named_as_in_a_reference(typed: str, meant: tuple[str, int]) -> None:
    assert doctor.host_and_port(typed) == meant


@pytest.mark.parametrize(
    "typed",
    ["a b", "a:", "a:0", "a:70000", "a:x", "https://a", "127.0.0.1", "localhost:5000", "999.1.1.1", "a/b", "-x"],
)
def test_what_is_no_registry_s_name_is_refused(typed: str) -> None:
    with pytest.raises(SettingError):
        doctor.host_and_port(typed)


def test_a_client_that_is_not_known_is_refused(settings: Settings, console: Recorder) -> None:
    with pytest.raises(SettingError, match="--client"):
        doctor.examine(Run(settings, console), client="rkt", remote="", fix=False)


def test_what_is_wrong_is_told_with_evidence_cause_and_cure_and_ends_with_1(tmp_path: Path) -> None:
    wrong = Finding("keys", "seen", "because", ("chmod x",), ChmodFix(tmp_path, "x"), instead=("rm x",))
    report = doctor.report([wrong])
    assert report.lines == ["wrong: keys: seen\n  why: because", "   do: chmod x\n   or: rm x\n"]
    assert report.failure
    assert (report.failure.message, report.failure.code) == ("1 thing is wrong.", 1)
    assert "--fix" in report.failure.cure


def test_nothing_wrong_is_told_in_one_line() -> None:
    report = doctor.report([])
    assert [line.startswith("doctor: nothing is wrong") for line in report.lines] == [True]
    assert report.failure is None


def test_what_answers_at_another_machine_is_told_even_where_it_is_well(settings: Settings) -> None:
    signer = forge.authority(subject="\x1b[2Jauthority")
    forge.save(signer, settings.folder, "ca")
    shown = forge.save(forge.server(signer, names=("127.0.0.1", "registry.local")), settings.folder, "domain")
    with loopback.registry(shown, status=401) as port:
        seen = observe.ask(Endpoint("127.0.0.1", port), settings.folder / "ca.crt", thorough=True)
    assert seen.certificate
    said = doctor._observed(seen, seen.certificate, inspect.now())
    wanted = ("TLSv1.3", "/v2/ answers 401", "127.0.0.1, registry.local", "364 days left", "does not accept it")
    assert [part for part in wanted if part not in said] == []
    assert "\x1b" not in said


def test_findings_are_json_for_programs(tmp_path: Path) -> None:
    wrong = Finding("keys", "seen", "because", ("chmod x",), ChmodFix(tmp_path, "x"))
    (read,) = json.loads(json.dumps(doctor.report([wrong]).content))
    assert (read["check"], read["cure"], read["fixable"]) == ("keys", ["chmod x"], True)


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # the Docker SDK's, of one that was refused
def test_a_machine_without_an_engine_is_told_what_is_wrong_and_nothing_is_changed(
    settings: Settings, console: Recorder
) -> None:
    before = snapshot(settings.root)
    findings = doctor.examine(Run(settings, console), client="", remote="", fix=False)
    assert "engine" in {finding.check for finding in findings}
    assert snapshot(settings.root) == before
    gc.collect()


@pytest.mark.process
@pytest.mark.parametrize(
    "words",
    [
        ["explain", SAID],
        ["explain", "--json", SAID],
        ["explain", SAID, "--json"],
        ["explain", "--text", SAID],
        ["explain", f"-bash: {SAID}"],
        ["explain", f"--bash: {SAID}"],
        ["explain", "-bash:", *SAID.split()],
        ["explain", *SAID.split(), "status"],
        ["explain", "--", SAID],
        ["--dry", "explain", "--json", f"-bash: a=b {SAID}"],
    ],
)
def test_what_follows_the_task_s_name_is_the_message(words: list[str], invoke: Invoke) -> None:
    done = invoke(*words, INVOKE_REGISTRY_ADDRESS="192.168.0.12")
    assert (done.returncode, "--address 192.168.0.99" in done.stdout) == (0, True)
    assert [flag for flag in ("--text", "--json", "--dry") if flag in done.stdout] == []


@pytest.mark.process
@pytest.mark.parametrize("words", [["explain"], ["explain", "--json"]])
def test_without_a_word_the_task_reads_standard_input(words: list[str], invoke: Invoke) -> None:
    done = invoke(*words, INVOKE_REGISTRY_ADDRESS="192.168.0.12")
    assert (done.returncode, "There is no known error message" in done.stderr) == (1, True)


@pytest.mark.process
def test_a_dry_doctor_shows_how_a_person_would_look(invoke: Invoke) -> None:
    done: subprocess.CompletedProcess[str] = invoke("--dry", "doctor", INVOKE_REGISTRY_ADDRESS="192.168.0.12")
    assert (done.returncode, done.stderr) == (0, "")
    assert "$ openssl s_client -connect 192.168.0.12:443" in done.stdout
    there = invoke("--dry", "doctor", "--remote", "10.0.0.9:8443", INVOKE_REGISTRY_ADDRESS="192.168.0.12").stdout
    assert "-connect 10.0.0.9:8443" in there
    assert "docker inspect" not in there
