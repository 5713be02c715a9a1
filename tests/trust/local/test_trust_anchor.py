"""What was given by hand is looked at before anything trusts it: the right authority, alone, and in time."""

from __future__ import annotations

import dataclasses
import socket
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from tests.disk import snapshot
from tests.fake_engine import nobody
from tests.recorder import Recorder
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import install, trust_anchor
from trusted_registry.trust.local.install import StoreSelection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeSettings
    from tests.forge import Forged
    from trusted_registry.settings import Settings

NAMES = ("127.0.0.1", "registry.local")


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """Settings of a registry on loopback."""
    return dataclasses.replace(make_settings(), address=loopback.HOST)


@pytest.fixture
def authority(settings: Settings) -> Forged:
    """The authority that was given by hand."""
    made = forge.authority()
    forge.save(made, settings.folder, "ca")
    (settings.folder / "ca.key").unlink()
    return made


def _served(settings: Settings, port: int) -> Settings:
    return dataclasses.replace(settings, port=port)


def _refused(settings: Settings) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        install.trust(Run(settings, Recorder()), nobody(), StoreSelection(only=("docker",)))
    assert caught.value.cure
    left = {Path(path).name for path, (_, content) in snapshot(Path.home()).items() if content}
    assert left | set(machines.current().root.iterdir()) == set()
    return caught.value


# The certificate itself


def test_an_authority_that_expired_is_refused_with_its_date(settings: Settings) -> None:
    forge.save(forge.authority(age=400, days=365), settings.folder, "ca")
    assert "expired on 20" in _refused(settings).message


def test_a_server_s_certificate_is_no_authority(settings: Settings, authority: Forged) -> None:
    forge.save(forge.server(authority), settings.folder, "ca")
    (settings.folder / "ca.key").unlink()
    refused = _refused(settings)
    assert "is not an authority's certificate: authority signed it" in refused.message
    assert "not domain.crt" in refused.cure


@pytest.mark.parametrize(
    "text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_named(text: str, settings: Settings) -> None:
    settings.folder.mkdir()
    (settings.folder / "ca.crt").write_text(text)
    assert "holds no certificate that can be read" in _refused(settings).message


def test_a_second_certificate_in_its_file_does_not_slip_through(settings: Settings, authority: Forged) -> None:
    path = settings.folder / "ca.crt"
    path.write_bytes(path.read_bytes() + forge.save(forge.authority(), settings.folder, "other").read_bytes())
    refused = _refused(settings)
    assert "more than one certificate" in refused.message
    assert refused.cure == f"Keep the first alone: openssl x509 -in {path} -out {path}"
    assert authority


def test_a_key_in_its_file_never_leaves(settings: Settings, authority: Forged) -> None:
    path = settings.folder / "ca.crt"
    path.write_bytes(path.read_bytes() + forge.pem(authority.key))
    assert "more than one certificate" in _refused(settings).message


@pytest.mark.usefixtures("authority")
def test_words_before_the_certificate_do_no_harm(settings: Settings) -> None:
    path = settings.folder / "ca.crt"
    path.write_bytes(b"Certificate:\n    Data:\n" + path.read_bytes())
    assert trust_anchor.load(settings).content == path.read_bytes()


# The registry behind it


def test_the_right_authority_is_accepted(settings: Settings, authority: Forged, tmp_path: Path) -> None:
    with loopback.registry(forge.save(forge.server(authority, names=NAMES), tmp_path, "domain")) as port:
        trust_anchor.check_serves(_served(settings, port))


@pytest.mark.usefixtures("authority")
@pytest.mark.parametrize(
    "signer",
    [None, forge.authority(), forge.authority(subject="another authority")],
    ids=["itself", "one of the same name", "another"],
)
@pytest.mark.parametrize("signer_id", [True, False], ids=["key id", "no key id"])
def test_a_registry_of_another_authority_is_refused(
    signer: Forged | None, signer_id: object, settings: Settings, tmp_path: Path
) -> None:
    shown = forge.save(forge.server(signer, names=NAMES, signer_id=signer_id), tmp_path, "domain")
    with (
        loopback.registry(shown) as port,
        pytest.raises(RegistryError, match=r"is not the authority of the registry at 127\.0\.0\.1") as caught,
    ):
        trust_anchor.check_serves(_served(settings, port))
    assert "Copy ca.crt from the registry's machine again" in caught.value.cure


def test_a_registry_with_another_authority_s_chain_is_refused(
    settings: Settings, authority: Forged, tmp_path: Path
) -> None:
    assert authority
    other = forge.authority(subject="another authority")
    shown = forge.save(forge.server(other, names=NAMES), tmp_path, "domain")
    shown.write_bytes(shown.read_bytes() + forge.save(other, tmp_path, "other").read_bytes())
    with loopback.registry(shown) as port, pytest.raises(RegistryError, match="is not the authority"):
        trust_anchor.check_serves(_served(settings, port))


@pytest.mark.parametrize("changes", [{"age": 400}, {"names": ("other.example",)}], ids=["expired", "another name"])
def test_what_a_renewal_mends_is_no_matter_of_the_authority(
    changes: dict[str, object], settings: Settings, authority: Forged, tmp_path: Path
) -> None:
    with loopback.registry(forge.save(forge.server(authority, **changes), tmp_path, "domain")) as port:
        trust_anchor.check_serves(_served(settings, port))


def test_the_document_s_single_certificate_is_its_own_authority(settings: Settings) -> None:
    shown = forge.save(forge.server(None, names=NAMES), settings.folder, "domain")
    with loopback.registry(shown) as port:
        trust_anchor.check_serves(_served(settings, port))
    forge.save(forge.server(None, names=NAMES), settings.folder, "other")
    with (
        loopback.registry(settings.folder / "other.crt") as port,
        pytest.raises(RegistryError, match="is not the authority"),
    ):
        trust_anchor.check_serves(_served(settings, port))


@pytest.mark.usefixtures("authority")
def test_where_nothing_answers_nothing_is_held_against_it(settings: Settings) -> None:
    with loopback.silence() as port:
        trust_anchor.check_serves(_served(settings, port))


@pytest.mark.usefixtures("authority")
def test_where_plain_http_answers_nothing_is_held_against_it(settings: Settings) -> None:
    with loopback.registry(None) as port:
        trust_anchor.check_serves(_served(settings, port))


@pytest.fixture
def another_protocol(authority: Forged, tmp_path: Path) -> Iterator[int]:
    """A port on which something speaks TLS, and then no HTTP."""
    shown = forge.save(forge.server(authority, names=NAMES), tmp_path, "domain")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(shown, shown.with_suffix(".key"))
    with socket.create_server((loopback.HOST, 0)) as listening:

        def greet() -> None:
            with tls.wrap_socket(listening.accept()[0], server_side=True) as wrapped:
                wrapped.sendall(b"220 mail.example ESMTP\r\n")
                wrapped.recv(1 << 16)  # or its end would be a reset, which is another error

        thread = threading.Thread(target=greet)
        thread.start()
        yield int(listening.getsockname()[1])
        thread.join()


def test_where_something_else_than_http_answers_there_is_no_traceback(
    settings: Settings, another_protocol: int
) -> None:
    trust_anchor.check_serves(_served(settings, another_protocol))
