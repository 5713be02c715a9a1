"""What a connection tells, by real servers on loopback."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from trusted_registry import address
from trusted_registry.certificate import inspect
from trusted_registry.registry import observe, probe
from trusted_registry.registry.probe import Endpoint

if TYPE_CHECKING:
    from pathlib import Path

HOST = loopback.HOST


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An authority, and a certificate for loopback that it signed."""
    signer = forge.authority()
    forge.save(signer, tmp_path, "ca")
    forge.save(forge.server(signer, names=(HOST, "registry.local")), tmp_path, "domain")
    return tmp_path


def test_a_registry_that_is_well_shows_its_certificate_its_protocol_and_its_clock(folder: Path) -> None:
    with loopback.registry(folder / "domain.crt") as port:
        seen = observe.ask(Endpoint(HOST, port), folder / "ca.crt", thorough=True)
    assert seen.certificate
    assert seen.certificate.fingerprint == inspect.read(folder / "domain.crt").fingerprint
    assert (seen.connect_error, seen.plain, seen.refused, seen.distrust, seen.outdated_tls) == (
        "",
        False,
        "",
        "",
        False,
    )
    assert (seen.status, seen.protocol, bool(seen.system)) == (200, "TLSv1.3", True)
    assert seen.skew is not None
    assert abs(seen.skew) < 60


def test_what_the_authority_does_not_stand_behind_is_told(folder: Path) -> None:
    other = forge.save(forge.authority(), folder, "other")
    with loopback.registry(folder / "domain.crt") as port:
        assert observe.ask(Endpoint(HOST, port), other, thorough=True).distrust
        assert observe.ask(Endpoint(HOST, port), None, thorough=True).distrust == ""


def test_a_login_is_a_status_of_its_own(folder: Path) -> None:
    with loopback.registry(folder / "domain.crt", status=401) as port:
        assert observe.ask(Endpoint(HOST, port), folder / "ca.crt", thorough=True).status == 401


def test_a_registry_that_is_not_well_is_told_from_what_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback.registry(folder / "domain.crt", status=503) as port:
        seen = observe.ask(Endpoint(HOST, port), folder / "ca.crt", thorough=True)
        monkeypatch.setattr(loopback._Registry, "api", "")
        other = observe.ask(Endpoint(HOST, port), folder / "ca.crt", thorough=True)
    assert (seen.is_strange, seen.status, seen.api) == (False, 503, "registry/2.0")
    assert (other.is_strange, other.status, other.api) == (True, 503, "")


def test_plain_http_is_told_from_tls(folder: Path) -> None:
    with loopback.registry(None) as port:
        seen = observe.ask(Endpoint(HOST, port), folder / "ca.crt", thorough=True)
    assert (seen.plain, bool(seen.refused), seen.certificate) == (True, True, None)


def test_an_authority_that_signed_an_outdated_certificate_is_told_from_another_one(folder: Path) -> None:
    late = forge.server(forge.load(folder, "ca"), names=(HOST, "registry.local"), age=30, days=29)
    other = forge.save(forge.authority(), folder, "other")
    with loopback.registry(forge.save(late, folder, "late")) as port:
        own = observe.ask(Endpoint(HOST, port), folder / "ca.crt")
        foreign = observe.ask(Endpoint(HOST, port), other)
    assert ("expired" in own.distrust, own.foreign, own.status) == (True, "", 200)
    assert (bool(foreign.distrust), bool(foreign.foreign), foreign.fingerprint) == (True, True, own.fingerprint)


def test_an_authority_of_the_same_name_and_another_key_is_foreign_whatever_host_is_asked(folder: Path) -> None:
    shown = forge.save(forge.server(forge.authority(), names=(HOST,), signer_id=False), folder, "twin")
    with loopback.registry(shown) as port:
        seen = observe.ask(Endpoint("other.local", port, via=HOST), folder / "ca.crt")
    assert "signature" in seen.foreign


def test_a_name_is_looked_for_while_the_connection_goes_via_an_address(folder: Path) -> None:
    with loopback.registry(folder / "domain.crt") as port:
        seen = observe.ask(Endpoint("registry.local", port, via=HOST), folder / "ca.crt", thorough=True)
        other = observe.ask(Endpoint("other.local", port, via=HOST), folder / "ca.crt")
    assert (seen.connect_error, seen.distrust, seen.status, seen.host) == ("", "", 200, "registry.local")
    assert ("mismatch" in other.distrust, other.foreign) == (True, "")


def test_plain_http_is_asked_for_only_where_it_is_to_be_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Endpoint] = []
    monkeypatch.setattr(probe, "speaks_plain", asked.append)
    with loopback.registry(folder / "domain.crt") as port:
        at = Endpoint(HOST, port)
        observe.ask(at, folder / "ca.crt")
        assert not asked, "the registry's log would tell of each"
        observe.ask(at, folder / "ca.crt", plain=True)
    assert asked == [at]


def test_what_speaks_tls_and_no_http_is_refused_though_its_certificate_was_seen(folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "domain.crt", folder / "domain.key")
    with _shaking(context) as port:
        seen = observe.ask(Endpoint(HOST, port), folder / "ca.crt")
    assert (bool(seen.refused), seen.fingerprint) == (True, inspect.read(folder / "domain.crt").fingerprint)


def test_silence_is_told(folder: Path) -> None:
    with loopback.silence() as port:
        assert "refused" in observe.ask(Endpoint(HOST, port), folder / "ca.crt", thorough=True).connect_error


def test_a_name_that_nobody_knows_is_told_and_not_an_error() -> None:
    assert observe.ask(Endpoint("nobody.invalid", 443)).connect_error
    assert address.resolve("nobody.invalid") == ()


def test_a_name_that_is_known_has_addresses() -> None:
    assert set(address.resolve("localhost")) & {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    "words", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nDate: never\r\n\r\n", b"\x15\x03\x01"]
)
def test_what_is_no_registry_at_all_is_refused_in_words(words: bytes, folder: Path) -> None:
    with _saying(words) as port:
        seen = observe.ask(Endpoint(HOST, port), folder / "ca.crt", thorough=True)
    assert (bool(seen.refused), seen.certificate, seen.status) == (True, None, 0)


def test_tls_that_was_given_up_is_found_where_it_is_accepted(folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "domain.crt", folder / "domain.key")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with _shaking(context) as port:
        assert observe._takes_outdated(Endpoint(HOST, port))


class _saying:  # noqa: N801 - read as a statement
    """A server that says the same to everybody and hangs up."""

    def __init__(self, words: bytes, context: ssl.SSLContext | None = None) -> None:
        self._words = words
        self._context = context
        self._server = socket.create_server((HOST, 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> int:
        """Start."""
        self._thread.start()
        return int(self._server.getsockname()[1])

    def __exit__(self, *_error: object) -> None:
        """Stop."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self._server.accept()
            except OSError:
                return
            with accepted:
                try:
                    self._talk(accepted)
                except OSError:
                    continue

    def _talk(self, accepted: socket.socket) -> None:
        if self._context:
            with self._context.wrap_socket(accepted, server_side=True):
                return
        accepted.settimeout(5)
        accepted.recv(1)
        accepted.sendall(self._words)


def _shaking(context: ssl.SSLContext) -> _saying:
    return _saying(b"", context)
