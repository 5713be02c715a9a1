"""No proof is claimed where the engine verifies nothing, or where its refusal has another reason than distrust."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fake_engine import nobody
from tests.trust.engines import RootlessEngine
from trusted_registry import address
from trusted_registry.engine import engine as engines
from trusted_registry.run import Run
from trusted_registry.tasks import trust, trust_check
from trusted_registry.trust.local import check, trust_anchor, trust_status, unverified
from trusted_registry.trust.local.install import StoreSelection
from trusted_registry.trust.specifics import pulls
from trusted_registry.trust.specifics.pulls import Verdict

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from tests.recorder import Recorder
    from trusted_registry.settings import Settings

NAME = "reg.example"
KNOWN = {NAME: ("127.0.1.1",), "lan.example": ("192.168.0.13",), "both.example": ("192.168.0.13", "10.9.0.1")}


class _Answers(RootlessEngine):
    """An engine that notes which registries are asked of it; they lack the image unless it refuses them."""

    def __init__(self, *insecure: str) -> None:
        super().__init__()
        self.verifies_nothing_at("127.0.0.0/8", *insecure)
        self.asked: list[str] = []

    def try_pull(self, reference: str) -> None:
        """Note the registry."""
        self.asked.append(reference.partition("/")[0])
        super().try_pull(reference)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> _Answers:
    """The engine that answers here."""
    made = _Answers()
    monkeypatch.setattr(engines, "connect_if_available", lambda *_console, **_how: made)
    return made


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have names mean what /etc/hosts says of them here."""
    monkeypatch.setattr(address, "_addresses", lambda name: list(KNOWN.get(name, ())))
    monkeypatch.setattr(trust_anchor, "check_serves", lambda _settings: "")


def _found(settings: Settings, *insecure: str) -> list[str]:
    return [it.registry_host for it in unverified.find(settings, _Answers(*insecure))]


@pytest.mark.parametrize(
    ("name", "insecure", "skipped"),
    [
        (NAME, (), True),
        ("lan.example", (), False),
        ("lan.example", ("192.168.0.0/24",), True),
        ("both.example", ("10.0.0.0/8",), True),
        ("nobody.example", ("0.0.0.0/0",), False),
        ("nobody.example", ("nobody.example", "nobody.example:443"), True),
    ],
)
def test_a_name_is_verified_unless_it_is_listed_or_means_an_address_that_is_not(
    name: str, insecure: tuple[str, ...], make_settings: MakeSettings, *, skipped: bool
) -> None:
    found = [it for it in _found(make_settings(names=name), *insecure) if "example" in it]
    assert found == ([name, f"{name}:443"] if skipped else [])


def test_an_engine_that_does_not_answer_skips_nothing_that_is_known(make_settings: MakeSettings) -> None:
    assert unverified.find(make_settings(names=NAME), nobody()) == []


def test_no_proof_is_claimed_of_a_name_that_means_loopback_and_the_cure_is_told(
    certified: MakeSettings, console: Recorder, engine: _Answers
) -> None:
    trust.linux(Run(certified(names=NAME), console), only=["docker-rootless"])
    accepted = [line for line in console.said if line.startswith("proof")]
    assert accepted == [f"proof: the engine accepts {it}" for it in ("192.168.0.12", "192.168.0.12:443")]
    assert [line.partition("nothing at ")[2] for line in console.warned] == [
        f"{it}: {NAME} means 127.0.1.1 here: loopback, which Docker never verifies. "
        f"Do: sudo editor /etc/hosts  # the registry's address before {NAME}, in place of 127.0.1.1"
        for it in (NAME, f"{NAME}:443")
    ]
    assert engine.asked == ["192.168.0.12", "192.168.0.12:443"]


def test_a_name_that_means_the_registry_s_address_is_proved(
    certified: MakeSettings, console: Recorder, engine: _Answers
) -> None:
    trust.linux(Run(certified(names="lan.example"), console), only=["docker-rootless"])
    assert "proof: the engine accepts lan.example" in console.said
    assert (console.warned, engine.asked[-1]) == ([], "lan.example:443")


def test_the_list_of_trust_says_why_a_name_is_not_verified(
    certified: MakeSettings,
) -> None:
    rows = trust_status.find(
        certified(names=NAME), _Answers("192.168.0.0/24"), StoreSelection(only=("docker-rootless",))
    )
    assert {it.registry_host: it.state.partition(", ")[2] for it in rows if not it.registry_host.endswith("443")} == {
        "192.168.0.12": "not verified (insecure-registries)",
        NAME: "not verified (loopback)",
    }


def _pulled(registry_host: str, client: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> check.PullResult:
    """Return the result of a pull that succeeds."""
    engine = _Answers()
    skipped = {it.registry_host: it for it in unverified.find(settings, engine)}
    chosen = next(it for it in pulls.CLIENTS if it.name == client)
    run = check.CheckRun(engine, frozenset({chosen.store}), frozenset(), empty=False, skipped=skipped)
    monkeypatch.setattr(check, "_pull_one", lambda *_: (Verdict.ACCEPTED, ""))
    monkeypatch.setattr(check, "_version", lambda *_: "1")
    (pull,) = check._pull_each(chosen, [pulls.Pull(chosen, registry_host, (), (), "")], run)
    return pull


@pytest.mark.parametrize(
    ("registry_host", "client", "verdict"),
    [
        (NAME, "docker", Verdict.UNVERIFIED),
        (NAME, "docker-rootless", Verdict.UNVERIFIED),
        (NAME, "podman", Verdict.ACCEPTED),
        ("192.168.0.12", "docker", Verdict.ACCEPTED),
    ],
)
def test_a_pull_by_an_engine_that_verifies_nothing_is_no_acceptance(
    registry_host: str, client: str, verdict: Verdict, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull = _pulled(registry_host, client, make_settings(names=NAME), monkeypatch)
    assert (pull.verdict, pull.bad) == (verdict, False)
    assert ("loopback" in pull.reason, "/etc/hosts" in pull.cure) == (verdict is Verdict.UNVERIFIED,) * 2


def test_a_check_of_nothing_but_such_pulls_is_no_success(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(names=NAME)
    skipped = _pulled(NAME, "docker", settings, monkeypatch)
    failure = trust_check.report([skipped], settings).failure
    assert failure
    assert failure.message.startswith(f"No pull here proves trust: the engine verifies nothing at {NAME}")
    both = [skipped, _pulled("192.168.0.12", "docker", settings, monkeypatch)]
    assert trust_check.report(both, settings).failure is None


# Removal

X509 = "x509: certificate signed by unknown authority"


@pytest.mark.parametrize(
    ("words", "proved"),
    [
        (X509, True),
        ("server gave HTTP response to HTTPS client", False),
        ("remote error: tls: protocol version not supported", False),
        ("x509: certificate has expired or is not yet valid: current time 2026 is after 2025", False),
        ("dial tcp 192.168.0.12:443: connect: connection refused", False),
    ],
)
def test_a_refusal_proves_a_removal_only_where_the_authority_is_what_is_refused(
    words: str, certified: MakeSettings, console: Recorder, engine: _Answers, *, proved: bool
) -> None:
    settings = certified()
    trust.linux(Run(settings, console), only=["docker-rootless"])
    engine.refusal = f'Get "https://192.168.0.12/v2/": {words}'
    engine.asked.clear()
    trust.remove(Run(settings, console), all=False)
    assert engine.asked, "the folders were there, and are gone"
    assert [line for line in console.said if "now" in line and line.startswith("proof")] == [
        f"proof: the engine refuses {it} now" for it in engine.asked if proved
    ]
