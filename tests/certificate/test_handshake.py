"""A real handshake, as strict as Python 3.13's, with what both makers make; and each way in which it must fail."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from tests.certificate.makers import ANCHORS, TOOLS, both_kinds, both_tools
from tests.certificate.profiles import ADDRESS
from trusted_registry.certificate.make import CertificateKind

if TYPE_CHECKING:
    from pathlib import Path

    from tests.certificate.makers import Maker

pytestmark = pytest.mark.process


@both_tools
@both_kinds
def test_python_shakes_hands_strictly_by_address(tool: str, kind: CertificateKind, made: Maker) -> None:
    with loopback.registry(made(tool, kind) / "domain.crt") as port:
        assert loopback.shake_hands(port, made(tool, kind) / ANCHORS[kind]) == ADDRESS


@both_tools
@both_kinds
def test_python_refuses_an_address_that_is_not_named(tool: str, kind: CertificateKind, made: Maker) -> None:
    with (
        loopback.registry(made(tool, kind) / "domain.crt") as port,
        pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"),
    ):
        loopback.shake_hands(port, made(tool, kind) / ANCHORS[kind], "127.0.0.2")


@both_tools
@both_kinds
def test_python_refuses_it_under_another_authority(tool: str, kind: CertificateKind, made: Maker) -> None:
    other = next(it for it in TOOLS if it != tool)
    with (
        loopback.registry(made(tool, kind) / "domain.crt") as port,
        pytest.raises(ssl.SSLCertVerificationError, match="verify failed"),
    ):
        loopback.shake_hands(port, made(other, kind) / ANCHORS[kind])


@both_tools
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"subject": loopback.HOST, "names": None}, "IP address mismatch", id="address only in the CN"),
        pytest.param({"names": ("a.local",), "mistyped": (loopback.HOST,)}, "IP address mismatch", id="as a DNS name"),
        pytest.param({"names": (loopback.HOST, "a.local"), "age": 30, "days": 29}, "has expired", id="expired"),
        pytest.param({"names": (loopback.HOST, "a.local"), "age": -2}, "not yet valid", id="not yet valid"),
        pytest.param({"names": (loopback.HOST, "example.com")}, "permitted subtree", id="a public name"),
        pytest.param(
            {"names": (loopback.HOST, "a.local"), "signer_id": False},
            "Missing Authority Key Id",
            id="no authority key id",
        ),
    ],
)
def test_python_refuses_a_broken_certificate_of_our_authority(
    tool: str, changes: dict[str, object], said: str, made: Maker, tmp_path: Path
) -> None:
    authority = made(tool, CertificateKind.AUTHORITY)
    issuer = forge.load(authority, "issuer")
    leaf = forge.save(forge.server(issuer, **changes), tmp_path, "leaf", issuer)
    with loopback.registry(leaf) as port, pytest.raises(ssl.SSLCertVerificationError, match=said):
        loopback.shake_hands(port, authority / "ca.crt")


@both_tools
def test_python_accepts_a_sound_certificate_of_our_authority(tool: str, made: Maker, tmp_path: Path) -> None:
    authority = made(tool, CertificateKind.AUTHORITY)
    issuer = forge.load(authority, "issuer")
    leaf = forge.save(forge.server(issuer, names=(loopback.HOST, "a.local")), tmp_path, "leaf", issuer)
    with loopback.registry(leaf) as port:
        assert loopback.shake_hands(port, authority / "ca.crt") == ADDRESS
