"""The proof: what went is what came back, under the same digest, and nothing of it is left behind."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.fake_engine import FakeEngine
from tests.recorder import Recorder
from trusted_registry.client_messages import catalogue
from trusted_registry.client_messages.message import Kind
from trusted_registry.errors import RegistryError
from trusted_registry.registry import prove
from trusted_registry.trust.specifics import pulls
from trusted_registry.trust.specifics.pulls import Verdict

if TYPE_CHECKING:
    from trusted_registry.registry.prove import Proof
    from trusted_registry.registry.users import Login

SENT, OTHER = "sha256:" + "0a" * 32, "sha256:" + "0b" * 32


class _Forger(FakeEngine):
    """An engine whose registry gives another image back than it was sent, or tells no digest."""

    def __init__(self, pushed: str | None, pulled: str | None) -> None:
        super().__init__()
        self._pushed, self._pulled = pushed, pulled

    def push(self, reference: str, login: Login | None = None) -> str | None:
        super().push(reference, login)
        return self._pushed

    def pull(self, reference: str, login: Login | None = None) -> str | None:
        super().pull(reference, login)
        return self._pulled


def _refusing(reason: str) -> FakeEngine:
    engine = FakeEngine()
    engine.refusal = reason
    return engine


def _prove(engine: FakeEngine, console: Recorder, image: str = "") -> Proof | None:
    return prove.prove(prove.pack("192.168.0.12", engine, image=image), engine, console)


def test_what_comes_back_the_same_is_a_proof(console: Recorder) -> None:
    engine = FakeEngine()
    proof = _prove(engine, console)
    assert proof
    assert proof.registry == "192.168.0.12"
    assert list(engine.remote.values()) == list(engine.layers)


def test_the_image_is_removed_between_push_and_pull_and_afterwards(console: Recorder) -> None:
    engine = FakeEngine()
    _prove(engine, console)
    assert [line.partition(" ")[0] for line in engine.done] == ["import", "push", "untag", "pull", "untag"]


def test_every_step_names_the_same_image_in_a_repository_of_its_own(console: Recorder) -> None:
    engine = FakeEngine()
    _prove(engine, console)
    (reference,) = {line.partition(" ")[2] for line in engine.done}
    assert reference.startswith("192.168.0.12/trusted-registry-proof:")


def test_an_image_that_a_person_names_goes_to_another_repository_than_what_is_cleared_away(console: Recorder) -> None:
    engine = FakeEngine(images=("app:1",))
    proof = _prove(engine, console, "app:1")
    (reference,) = {it.split()[-1] for it in engine.done if it.startswith(("push", "pull"))}
    assert reference.startswith("192.168.0.12/trusted-registry-proof-image:")
    assert (proof and proof.repository, prove.is_packed(reference)) == ("trusted-registry-proof-image", True)
    assert [prove.is_proof(it) for it in ("trusted-registry-proof-image", "trusted-registry-proof", "app")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(("pushed", "pulled"), [(SENT, OTHER), (SENT, None), (None, SENT), (None, None)])
def test_what_does_not_come_back_the_same_is_no_proof(
    pushed: str | None, pulled: str | None, console: Recorder
) -> None:
    with pytest.raises(RegistryError, match="is not what was pushed"):
        _prove(_Forger(pushed, pulled), console)


def test_a_push_that_fails_leaves_no_image_behind(console: Recorder) -> None:
    engine = _refusing("x509: unknown authority")
    before = dict(engine.images)
    with pytest.raises(RegistryError, match="x509"):
        _prove(engine, console)
    assert engine.images == before


def test_two_proofs_never_send_the_same_image(console: Recorder) -> None:
    engine = FakeEngine()
    for _ in range(2):
        _prove(engine, console)
    assert len(set(engine.layers.values())) == 2


def test_the_image_is_a_tar_of_one_file(console: Recorder) -> None:
    engine = FakeEngine()
    _prove(engine, console)
    (layer,) = engine.layers.values()
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert [(member.name, member.size) for member in tar] == [("proof", 64)]


@pytest.mark.parametrize(("image", "first"), [("here:1", ["tag", "push"]), ("far:1", ["pull", "tag"])])
def test_an_image_that_was_asked_for_is_sent_and_pulled_first_where_it_is_not_here(
    image: str, first: list[str], console: Recorder
) -> None:
    engine = FakeEngine(images=("here:1",), remote=("far:1",))
    _prove(engine, console, image)
    assert ([line.partition(" ")[0] for line in engine.done[:2]], engine.layers) == (first, {})


def test_a_dry_run_proves_nothing() -> None:
    assert _prove(_Forger(None, None), Recorder(dry=True)) is None


@pytest.mark.parametrize(
    "said",
    ["manifest unknown", "not found: manifest unknown: manifest unknown", "no basic auth credentials", "unauthorized"],
)
def test_a_registry_that_answers_is_accepted_though_it_has_no_such_image(said: str) -> None:
    assert prove.refusal("192.168.0.12", _refusing(said)) is None


@pytest.mark.parametrize(
    "said",
    [
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "http: server gave HTTP response to HTTPS client",
        "dial tcp 192.168.0.12:443: connect: connection refused",
    ],
)
def test_a_registry_that_the_engine_refuses_is_refused_in_its_words(said: str) -> None:
    refusal = prove.refusal("192.168.0.12", _refusing(said))
    assert refusal
    assert refusal.reason == said


@pytest.mark.parametrize(
    "reason", ["x509: certificate signed by unknown authority", "server gave HTTP response to HTTPS client"]
)
def test_a_host_by_the_name_of_an_answer_is_not_taken_for_one(reason: str) -> None:
    said = f'Get "https://denied.not.found.local/v2/": {reason}'
    refusal = prove.refusal("denied.not.found.local", _refusing(said))
    assert refusal
    assert (refusal.reason, refusal.is_judged) == (said, True)


GET = 'Get "https://192.168.0.12/v2/": '
SEVEN = [
    ("x509: certificate signed by unknown authority", Kind.DISTRUST, True, Verdict.REFUSED),
    ("server gave HTTP response to HTTPS client", Kind.PLAIN, True, Verdict.REFUSED),
    ("tls: first record does not look like a TLS handshake", Kind.PLAIN, True, Verdict.REFUSED),
    ("remote error: tls: protocol version not supported", Kind.PROTOCOL, True, Verdict.FAILED),
    ("proxyconnect tcp: tls: first record does not look like a TLS handshake", Kind.UNREACHABLE, False, Verdict.FAILED),
    ("missing client certificate domain.cert for key domain.key", Kind.CLIENT, True, Verdict.FAILED),
    ("dial tcp 192.168.0.12:443: connect: connection refused", Kind.REFUSED, False, Verdict.FAILED),
]
"""Words of an engine that refuses: an engine's proof and a client's pull once took four of them differently."""


@pytest.mark.parametrize(("words", "kind", "judged", "verdict"), SEVEN)
def test_a_refusal_is_the_same_to_the_proof_to_the_pull_and_to_explain(
    words: str, kind: Kind, verdict: Verdict, *, judged: bool
) -> None:
    refusal = prove.refusal("192.168.0.12", _refusing(f"{GET}{words}"))
    assert refusal
    assert (refusal.kind, refusal.is_judged, refusal.is_distrust) == (kind, judged, kind is Kind.DISTRUST)
    docker = next(client for client in pulls.CLIENTS if client.engine)
    assert pulls.judge(docker, ok=False, output=f"{GET}{words}", empty=True)[0] is verdict
    assert [found.kind for found in catalogue.find(f"{GET}{words}")] == [kind]


@pytest.mark.parametrize(
    "words",
    [
        "unauthorized",
        "no basic auth credentials",
        "denied: requested access to the resource is denied",
        "repository library/app not found: does not exist or no pull access",
        "manifest unknown",
        'failed to resolve reference "192.168.0.12/proof:absent": 192.168.0.12/proof:absent: not found',
        "toomanyrequests: retry-after: 1s",
    ],
)
def test_a_registry_that_answers_has_been_accepted_by_the_proof_and_by_the_pull(words: str) -> None:
    assert prove.refusal("192.168.0.12", _refusing(words)) is None
    docker = next(client for client in pulls.CLIENTS if client.engine)
    if "toomanyrequests" not in words:  # then there is no image to show, and a pull is what was asked for
        assert pulls.judge(docker, ok=False, output=words, empty=True)[0] is Verdict.ACCEPTED


def test_a_refusal_in_words_that_nobody_knows_is_no_distrust() -> None:
    refusal = prove.refusal("192.168.0.12", _refusing("remote error: tls: internal error"))
    assert refusal
    assert (refusal.kind, refusal.is_judged, refusal.is_distrust) == (None, False, False)
