"""What is told to a machine that has an authority of its own: nothing that would put another's in its place."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from tests.client_messages.samples import SAMPLES
from tests.disk import as_client
from trusted_registry.certificate import inspect, issue
from trusted_registry.client_messages.catalogue import MESSAGES, LocalContext, find
from trusted_registry.doctor import checks_certificate
from trusted_registry.doctor.facts import Facts
from trusted_registry.errors import RegistryError
from trusted_registry.registry.observe import Observation
from trusted_registry.trust.local import trust_anchor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

DESTROYS = re.compile(r"(?i)cop(y|ied).*ca\.crt|ca\.crt.*(in|into|over) certs|ca\.crt (anew|again|here)")
ELSEWHERE = LocalContext(registry="10.0.0.1", hosts=frozenset({"10.0.0.1"}), keeps=True)
AT_HOME = LocalContext(registry="192.168.0.12", hosts=frozenset({"192.168.0.12", "registry.local"}), keeps=True)


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """A registry's own machine: its authority and its keys are in the folder."""
    settings = replace(make_settings(), address=loopback.HOST)
    signer = forge.authority()
    forge.save(signer, settings.folder, "ca")
    forge.save(forge.server(signer, names=(loopback.HOST,)), settings.folder, "domain")
    return settings


@pytest.mark.parametrize("words", ["copy certs/ca.crt here", "with certs/ca.crt in certs/", "copy the new ca.crt here"])
def test_the_words_that_are_looked_for_are_those_of_such_cures(words: str) -> None:
    assert DESTROYS.search(words)


def _lines(said: str, local: LocalContext) -> list[str]:
    return [step.line for found in find(said, local) for step in found.cure]


@pytest.mark.parametrize("local", [ELSEWHERE, AT_HOME], ids=["another machine's registry", "its own"])
@pytest.mark.parametrize(("said", "key"), SAMPLES)
def test_no_cure_of_a_message_overwrites_the_authority(said: str, key: str, local: LocalContext) -> None:
    assert [line for line in _lines(said, local) if DESTROYS.search(line)] == []
    assert key in {message.key for message in MESSAGES}


@pytest.mark.parametrize("row", MESSAGES, ids=lambda row: row.key)
def test_no_step_of_the_table_says_so_without_saying_when(row: object) -> None:
    for step in row.cure:  # type: ignore[attr-defined]
        for words in (step.note, step.away):
            assert not DESTROYS.search(words) or "where that holds no keys of its own" in words


def test_another_machine_s_authority_is_trusted_by_the_line_that_is_served_there() -> None:
    said = next(said for said, key in SAMPLES if key == "unknown-authority")
    assert "./inv trust.serve  # on the registry's machine" in _lines(said, ELSEWHERE)[0]
    assert _lines(said, AT_HOME)[0].startswith("./inv trust.linux")
    assert "with certs/ca.crt" in _lines(said, replace(ELSEWHERE, keeps=False))[0]


def _expired(settings: Settings) -> None:
    forge.save(forge.authority(age=400, days=365), settings.folder, "ca")


def _a_server_s(settings: Settings) -> None:
    forge.save(forge.server(forge.authority()), settings.folder, "ca")


def _gone(settings: Settings) -> None:
    (settings.folder / "ca.crt").unlink()


@pytest.mark.parametrize("fault", [_expired, _a_server_s, _gone])
def test_what_is_wrong_with_the_authority_is_not_cured_by_another_s(fault: object, settings: Settings) -> None:
    fault(settings)  # type: ignore[operator]
    with pytest.raises(RegistryError) as caught:
        trust_anchor.load(settings)
    assert not DESTROYS.search(caught.value.cure)


@pytest.mark.parametrize("fault", [_expired, _a_server_s, _gone])
def test_a_machine_that_only_trusts_is_told_to_copy_it(fault: object, settings: Settings) -> None:
    fault(settings)  # type: ignore[operator]
    as_client(settings.folder)
    with pytest.raises(RegistryError) as caught:
        trust_anchor.load(settings)
    assert DESTROYS.search(caught.value.cure)


@pytest.mark.parametrize("keeps", [True, False])
def test_a_registry_of_another_authority_is_not_trusted_over_the_own_one(
    settings: Settings, tmp_path: Path, *, keeps: bool
) -> None:
    if not keeps:
        as_client(settings.folder)
    other = forge.save(forge.server(forge.authority(), names=(loopback.HOST,)), tmp_path, "domain")
    with loopback.registry(other) as port, pytest.raises(RegistryError) as caught:
        trust_anchor.check_serves(replace(settings, port=port))
    assert (bool(DESTROYS.search(caught.value.cure)), "./inv trust.serve" in caught.value.cure) == (not keeps, keeps)


@pytest.mark.parametrize("remote", [True, False])
def test_doctor_cures_no_chain_by_another_s_authority(settings: Settings, tmp_path: Path, *, remote: bool) -> None:
    shown = inspect.read(forge.save(forge.server(forge.authority()), tmp_path, "other"))
    issued = issue.find(settings.folder)
    assert issued
    observation = Observation(
        settings.address, 443, certificate=shown, distrust="unable to get local issuer certificate"
    )
    facts = Facts(settings, inspect.now(), anchor=issued.anchor, observation=observation, remote=remote)
    (finding,) = checks_certificate.chain(facts)
    assert [line for line in finding.cure if DESTROYS.search(line)] == []
    assert "./inv trust.serve" in finding.cure[-1]
    as_client(settings.folder)
    (finding,) = checks_certificate.chain(facts)
    assert DESTROYS.search(finding.cure[0])
