"""Certificates and dates of foreign servers: whatever they hold, `doctor --remote` ends with findings alone."""

from __future__ import annotations

import random
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from tests import forge, loopback
from tests.fake_engine import nobody
from trusted_registry.certificate import inspect, rules
from trusted_registry.doctor import checks, gather
from trusted_registry.errors import RegistryError
from trusted_registry.registry import observe

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

SIGNED_BY = bytes.fromhex("06082a8648ce3d0403")
"""Beginning of the identifiers of ECDSA with SHA-2 in DER; the last byte says which (RFC 5758, 3.2)."""
UNKNOWN = {
    "a number that nobody gave away": SIGNED_BY + b"\x7f",
    "an MD5 that signs nothing": bytes.fromhex("06082a864886f70d0205"),
    "one of a private enterprise": bytes.fromhex("06082b06010401ce0f01"),
}


def _signed_by(identifier: bytes, forged: forge.Forged) -> bytes:
    der = forged.certificate.public_bytes(serialization.Encoding.DER)
    assert der.count(SIGNED_BY + b"\x02") == 2
    return der.replace(SIGNED_BY + b"\x02", identifier)


def _judge(der: bytes) -> list[rules.Violation]:
    shown = inspect.from_der(Path("shown"), der)
    authority = inspect.of(Path("ca.crt"), forge.authority().certificate)
    assert not inspect.signed_by(shown, authority)
    rules.check(shown, None, ["192.168.0.12"], inspect.now())
    return rules.check(shown, authority, ["192.168.0.12"], inspect.now())


@pytest.mark.parametrize("identifier", UNKNOWN.values(), ids=UNKNOWN)
def test_a_certificate_signed_in_an_unknown_way_is_judged(identifier: bytes) -> None:
    broken = [it.rule for it in _judge(_signed_by(identifier, forge.server(forge.authority())))]
    assert broken == ["has a weak signature", "is not signed by ca.crt"]


@pytest.mark.parametrize("identifier", UNKNOWN.values(), ids=UNKNOWN)
def test_a_file_with_such_a_certificate_is_read(identifier: bytes, tmp_path: Path) -> None:
    path = tmp_path / "domain.crt"
    path.write_text(ssl.DER_cert_to_PEM_cert(_signed_by(identifier, forge.server(forge.authority()))))
    assert inspect.read(path).subject == "192.168.0.12"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("06072a8648ce3d0201", "06072a8648ce3d0277"),
        ("06082a8648ce3d030107", "06082a8648ce3d030177"),
        ("a003020102", "a003020177"),
    ],
    ids=["kind of key", "curve", "version"],
)
def test_a_file_with_a_certificate_that_no_client_could_read_is_an_error_with_a_cure(
    old: str, new: str, tmp_path: Path
) -> None:
    der = forge.server(forge.authority()).certificate.public_bytes(serialization.Encoding.DER)
    changed = der.replace(bytes.fromhex(old), bytes.fromhex(new))
    assert changed != der
    path = tmp_path / "domain.crt"
    path.write_text(ssl.DER_cert_to_PEM_cert(changed))
    with pytest.raises(RegistryError, match="holds no certificate that can be read"):
        inspect.read(path)


def test_a_key_of_an_unknown_kind_is_an_error_with_a_cure(tmp_path: Path) -> None:
    server = forge.server(forge.authority())
    path = forge.save(server, tmp_path, "domain")
    der = server.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    changed = der.replace(bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0277"))
    pem = ssl.DER_cert_to_PEM_cert(changed).replace("CERTIFICATE", "PRIVATE KEY")
    path.with_suffix(".key").write_text(pem)
    with pytest.raises(RegistryError, match="holds no private key that can be read"):
        inspect.is_pair(path.with_suffix(".key"), inspect.read(path))


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_thousand_damaged_certificates_are_refused_or_judged() -> None:
    chance = random.Random(14)  # noqa: S311 - the same ones each time
    der = forge.server(forge.authority()).certificate.public_bytes(serialization.Encoding.DER)
    judged = 0
    for _ in range(1000):
        damaged = bytearray(der)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(len(der))] = chance.randrange(256)
        try:
            _judge(bytes(damaged))
        except ValueError:
            continue
        judged += 1
    assert 0 < judged < 1000


# Dates


FAR = "9" * 20
DATES = [
    f"Thu, 26 Nov {FAR} 09:11:10 GMT",
    f"Thu, {FAR} Nov 2026 09:11:10 GMT",
    f"Thu, 26 Nov 2026 {FAR}:11:10 GMT",
    f"Thu, 26 Nov 2026 09:11:10 +{FAR}",
    f"Thu, 26 Nov 2026 09:11:10 -{'9' * 4000}",
    FAR,
    "Thu, 01 Jan 0001 00:00:00 +2359",
]


@pytest.mark.parametrize("date", DATES)
def test_a_date_beyond_all_numbers_is_no_date(date: str) -> None:
    assert observe.skew(date) is None or "0001" in date


def test_whatever_stands_in_a_date_it_is_one_or_none() -> None:
    chance = random.Random(14)  # noqa: S311 - the same ones each time
    for _ in range(5000):
        text = list("Thu, 26 Nov 2026 09:11:10 +0000")
        for _ in range(chance.randint(1, 4)):
            text[chance.randrange(len(text))] = chance.choice("0123456789 :,+-.GMTJan") * chance.choice([0, 1, 20])
        assert isinstance(observe.skew("".join(text)), float | None)


# All of `doctor --remote`


def _found(settings: Settings, shown: Path) -> set[str]:
    """Return the checks that `doctor --remote` fails, on a machine that trusts an authority."""
    forge.save(forge.authority(), settings.folder, "ca")
    (settings.folder / "ca.key").unlink()
    with loopback.registry(shown, weak=True) as port:
        facts = gather.remote(settings, nobody(), loopback.HOST, port)
    return {finding.check for finding in checks.judge(facts)}


@pytest.mark.parametrize("date", DATES)
def test_doctor_looks_at_a_registry_with_any_date(
    date: str, make_settings: MakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loopback._Registry, "date_time_string", lambda *_: date)
    shown = forge.save(forge.server(forge.authority(), names=(loopback.HOST,)), tmp_path, "shown")
    assert "chain" in _found(make_settings(), shown)


@pytest.mark.parametrize("identifier", UNKNOWN.values(), ids=UNKNOWN)
def test_doctor_looks_at_a_registry_with_such_a_certificate(
    identifier: bytes, make_settings: MakeSettings, tmp_path: Path
) -> None:
    server = forge.server(forge.authority(), names=(loopback.HOST,))
    shown = forge.save(server, tmp_path, "shown")
    shown.write_text(ssl.DER_cert_to_PEM_cert(_signed_by(identifier, server)))
    assert _found(make_settings(), shown) == {"chain"}
