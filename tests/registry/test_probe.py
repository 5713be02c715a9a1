"""The registry itself is asked, through real handshakes on loopback: what is right is accepted, all else refused."""

from __future__ import annotations

import hashlib
import ssl
import time
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from tests import forge, loopback
from trusted_registry.errors import RegistryError
from trusted_registry.registry import probe
from trusted_registry.registry.api import RegistryClient
from trusted_registry.registry.probe import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = (loopback.HOST, "registry.local")


@pytest.fixture
def anchor(tmp_path: Path) -> Path:
    """An authority's certificate, beside domain.crt that it signed."""
    authority = forge.authority()
    forge.save(forge.server(authority, names=NAMES), tmp_path, "domain")
    return forge.save(authority, tmp_path, "ca")


@pytest.fixture
def certificate(anchor: Path) -> Path:
    """The server certificate for loopback."""
    return anchor.with_name("domain.crt")


def _ask(port: int, anchor: Path, host: str = loopback.HOST) -> int:
    return probe.request(Endpoint(host, port), "GET", "/v2/", probe.context(anchor))[0]


def test_a_registry_with_the_right_certificate_is_accepted(anchor: Path, certificate: Path) -> None:
    with loopback.registry(certificate) as port:
        assert _ask(port, anchor) == 200


def test_a_registry_with_its_own_certificate_is_accepted_where_that_is_trusted(tmp_path: Path) -> None:
    certificate = forge.save(forge.server(None, names=NAMES), tmp_path, "domain")
    with loopback.registry(certificate) as port:
        assert _ask(port, certificate) == 200


def test_a_registry_of_another_authority_is_refused(certificate: Path, tmp_path: Path) -> None:
    other = forge.save(forge.authority(), tmp_path / "other", "ca")
    with loopback.registry(certificate) as port, pytest.raises(ssl.SSLCertVerificationError):
        _ask(port, other)


def test_a_registry_asked_by_a_name_that_it_does_not_carry_is_refused(anchor: Path, certificate: Path) -> None:
    with loopback.registry(certificate) as port, pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        _ask(port, anchor, "localhost")


@pytest.mark.parametrize(
    "changes", [{"age": 30, "days": 29}, {"signer_id": False}, {"names": ("a.local",), "subject": loopback.HOST}]
)
def test_a_certificate_that_strict_clients_refuse_is_refused(changes: dict[str, object], tmp_path: Path) -> None:
    authority = forge.authority()
    anchor = forge.save(authority, tmp_path, "ca")
    certificate = forge.save(forge.server(authority, **{"names": NAMES, **changes}), tmp_path, "domain")
    with loopback.registry(certificate) as port, pytest.raises(ssl.SSLCertVerificationError):
        _ask(port, anchor)


def test_the_fingerprint_is_that_of_the_certificate_that_is_shown_trusted_or_not(
    certificate: Path, tmp_path: Path
) -> None:
    shown = forge.load(tmp_path, "domain").certificate.public_bytes(serialization.Encoding.DER)
    with loopback.registry(certificate) as port:
        assert probe.fingerprint(Endpoint(loopback.HOST, port)) == hashlib.sha256(shown).hexdigest()


def test_plain_http_is_seen_as_such() -> None:
    with loopback.registry(None) as port:
        assert probe.speaks_plain(Endpoint(loopback.HOST, port))


def test_tls_is_not_taken_for_plain_http(certificate: Path) -> None:
    with loopback.registry(certificate) as port:
        assert not probe.speaks_plain(Endpoint(loopback.HOST, port))


def test_a_refusal_of_plain_http_is_not_taken_for_it() -> None:
    with loopback.registry(None, status=400) as port:  # as Go's TLS server says to plain HTTP
        assert not probe.speaks_plain(Endpoint(loopback.HOST, port))


def test_silence_is_not_taken_for_plain_http() -> None:
    with loopback.silence() as port:
        assert not probe.speaks_plain(Endpoint(loopback.HOST, port))


def test_plain_http_shows_no_certificate_to_fingerprint() -> None:
    with loopback.registry(None) as port, pytest.raises(ssl.SSLError):
        probe.fingerprint(Endpoint(loopback.HOST, port))


def test_plain_http_is_no_answer_to_a_tls_request(anchor: Path) -> None:
    with loopback.registry(None) as port, pytest.raises(ssl.SSLError):
        _ask(port, anchor)


@pytest.mark.parametrize(("repository", "gone"), [("app", True), ("other", False)])
def test_a_manifest_is_forgotten_only_where_the_registry_says_so(repository: str, *, gone: bool) -> None:
    with loopback.registry(None) as port:
        assert RegistryClient(Endpoint(loopback.HOST, port), None).delete_manifest(repository, "sha256:00") is gone


def test_a_manifest_cannot_be_forgotten_where_nobody_answers() -> None:
    with loopback.silence() as port:
        assert not RegistryClient(Endpoint(loopback.HOST, port), None).delete_manifest("app", "sha256:00")


@pytest.mark.parametrize(("host", "said"), [("192.168.0.12", "192.168.0.12:443"), ("fd00::12", "[fd00::12]:443")])
def test_an_endpoint_is_written_as_people_write_it(host: str, said: str) -> None:
    assert str(Endpoint(host, 443)) == said


# Waiting


def _answers(*results: int | Exception) -> Callable[[], int]:
    """Answer with each outcome in turn, and with the last one from then on."""
    left = list(results)

    def ask() -> int:
        result = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(result, Exception):
            raise result
        return result

    return ask


@pytest.mark.parametrize("status", [200, 401])
def test_waiting_ends_when_the_registry_is_ready(status: int) -> None:
    asked: list[int] = []
    ask = _answers(ConnectionRefusedError(), 503, status)
    probe.await_answer(lambda: asked.append(found := ask()) or found, lambda: True)  # type: ignore[func-returns-value]
    assert asked == [503, status]


def _await(port: int, anchor: Path) -> None:
    probe.await_answer(lambda: _ask(port, anchor), lambda: True, patience=0.2)


def test_waiting_ends_at_once_when_the_certificate_is_not_trusted(certificate: Path, tmp_path: Path) -> None:
    other = forge.save(forge.authority(), tmp_path / "other", "ca")
    with loopback.registry(certificate) as port, pytest.raises(ssl.SSLCertVerificationError):
        _await(port, other)


def test_waiting_ends_at_once_when_plain_http_answers(anchor: Path) -> None:
    with loopback.registry(None) as port, pytest.raises(RegistryError, match="answers plain HTTP"):
        _await(port, anchor)


def test_waiting_goes_on_while_a_certificate_is_not_valid_yet(tmp_path: Path) -> None:
    authority = forge.authority()
    anchor = forge.save(authority, tmp_path, "ca")
    certificate = forge.save(forge.server(authority, names=NAMES, age=-1), tmp_path, "domain")
    with loopback.registry(certificate) as port, pytest.raises(RegistryError, match=r"did not answer .*not yet valid"):
        _await(port, anchor)


def test_waiting_ends_at_once_when_the_registry_has_died() -> None:
    with pytest.raises(RegistryError, match="stopped as soon as it was started"):
        probe.await_answer(_answers(ConnectionRefusedError()), lambda: False)


def test_a_registry_that_starts_is_asked_and_the_engine_about_it_only_now_and_then() -> None:
    asked: list[float] = []

    def look() -> bool:
        asked.append(time.monotonic())
        return True

    begun = time.monotonic()
    with pytest.raises(RegistryError, match="did not answer"):
        probe.await_answer(_answers(ConnectionRefusedError()), look, patience=0.3)
    assert len(asked) >= 2
    assert min(later - earlier for earlier, later in zip([begun, *asked], asked[:-1], strict=False)) >= 0.05


@pytest.mark.parametrize(("result", "said"), [(ConnectionRefusedError("refused"), "refused"), (503, "status 503")])
def test_waiting_for_too_long_ends_with_the_last_answer(result: int | Exception, said: str) -> None:
    with pytest.raises(RegistryError, match=f"did not answer within 0 seconds .{said}"):
        probe.await_answer(_answers(result), lambda: True, patience=0.05)
