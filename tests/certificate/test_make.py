"""Both makers, both shapes: the same certificates, accepted by what clients verify with, and nothing beyond them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from tests import forge, programs
from tests.certificate import der
from tests.certificate.makers import ANCHORS, TOOLS, both_kinds, both_tools
from tests.certificate.profiles import ADDRESS, planned
from tests.conftest import mounted
from tests.disk import mode
from tests.marks import by_root
from tests.recorder import Recorder
from trusted_registry.certificate import inspect, make, openssl, rules
from trusted_registry.certificate.make import CertificateKind
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.certificate.makers import Maker

pytestmark = pytest.mark.process


def _verify(anchor: Path, certificate: Path, *, ip: str = ADDRESS, options: tuple[str, ...] = ()) -> str:
    """Return what `openssl verify` holds against a certificate; nothing where it accepts it."""
    # A clock that is set back a little right after a certificate was made would make it one of the future.
    begun = str(int(inspect.read(certificate).not_before.timestamp()) + 3600)
    at = () if "-attime" in options else ("-attime", begun)
    argv = [
        "openssl",
        "verify",
        "-x509_strict",
        *at,
        *options,
        "-CAfile",
        str(anchor),
        *([] if "-untrusted" in options else ["-untrusted", str(certificate)]),
        "-verify_ip",
        ip,
        str(certificate),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (done.stdout.strip() == f"{certificate}: OK")
    return done.stderr if done.returncode else ""


# The two makers


@both_kinds
def test_both_makers_write_the_same_server_extensions_byte_for_byte(kind: CertificateKind, made: Maker) -> None:
    by_openssl, natively = (der.without_key_ids(made(tool, kind) / "domain.crt") for tool in TOOLS)
    assert len(by_openssl) == 4
    assert by_openssl == natively


@pytest.mark.parametrize(("name", "count"), [("ca.crt", 3), ("issuer.crt", 4)])
def test_both_makers_write_the_same_extensions_of_root_and_issuer_byte_for_byte(
    name: str, count: int, made: Maker
) -> None:
    by_openssl, natively = (der.without_key_ids(made(tool, CertificateKind.AUTHORITY) / name) for tool in TOOLS)
    assert len(by_openssl) == count
    assert by_openssl == natively


@both_kinds
@pytest.mark.parametrize("name", ["ca.crt", "issuer.crt", "domain.crt"])
def test_both_makers_write_all_extensions_in_the_same_order(name: str, kind: CertificateKind, made: Maker) -> None:
    name = "domain.crt" if kind is CertificateKind.SELF_SIGNED else name
    by_openssl, natively = (der.extensions(made(tool, kind) / name) for tool in TOOLS)
    assert [name for name, _ in by_openssl] == [name for name, _ in natively]


def test_both_makers_write_key_ids_of_the_same_form(made: Maker) -> None:
    sizes = [
        [(name, len(it)) for name, it in der.extensions(made(tool, CertificateKind.AUTHORITY) / "domain.crt")]
        for tool in TOOLS
    ]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("name", ["ca.crt", "issuer.crt", "domain.crt"])
def test_both_makers_write_the_same_subject_byte_for_byte(name: str, made: Maker) -> None:
    by_openssl, natively = (der.subject(made(tool, CertificateKind.AUTHORITY) / name) for tool in TOOLS)
    assert by_openssl == natively


@both_tools
@both_kinds
def test_keys_are_private_and_certificates_are_not(tool: str, kind: CertificateKind, made: Maker) -> None:
    found = {path.name: mode(path) for path in made(tool, kind).iterdir()}
    expected = {"domain.crt": 0o644, "domain.key": 0o600, "openssl.cnf": 0o644}
    more = {"ca.crt": 0o644, "issuer.crt": 0o644, "issuer.key": 0o600}
    assert found == expected | (more if kind is CertificateKind.AUTHORITY else {})


@both_tools
def test_no_file_holds_the_root_s_key(tool: str, made: Maker) -> None:
    folder = made(tool, CertificateKind.AUTHORITY)
    root = inspect.read(folder / "ca.crt")
    assert [path.name for path in folder.glob("*") if b"PRIVATE KEY" in path.read_bytes()] != []
    assert not any(inspect.is_pair(path, root) for path in folder.glob("*.key"))


@both_tools
def test_a_chain_is_served_server_first_and_ends_at_the_root_on_one_day(tool: str, made: Maker) -> None:
    folder = made(tool, CertificateKind.AUTHORITY)
    server, issuer = inspect.read_chain(folder / "domain.crt")
    root = inspect.read(folder / "ca.crt")
    assert (issuer.fingerprint, server.addresses) == (
        inspect.read(folder / "issuer.crt").fingerprint,
        planned().server.addresses,
    )
    assert root.self_issued
    assert all(inspect.signed_by(*pair) for pair in ((server, issuer), (issuer, root), (root, root)))
    assert (root.not_after.date(), server.not_after <= issuer.not_after) == (issuer.not_after.date(), True)


def test_an_issuer_that_would_end_a_day_after_its_root_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = f'[ "$1" = x509 ] && ! [ -e {tmp_path}/once ] && touch {tmp_path}/once && more="-days 3651"'
    programs.put("openssl", f'{late}; exec {programs.real("openssl")} "$@" $more', tmp_path, monkeypatch)
    (tmp_path / "certs").mkdir()
    make.make(planned(), CertificateKind.AUTHORITY, tmp_path / "certs", Recorder(), tool="openssl")
    root, issuer = (inspect.read(tmp_path / "certs" / name) for name in ("ca.crt", "issuer.crt"))
    assert ((tmp_path / "once").exists(), issuer.not_after.date()) == (True, root.not_after.date())


def test_an_openssl_that_fails_with_a_key_in_its_output_is_not_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f'[ "$2" = -x509 ] && echo c2VjcmV0 && exit 1; exec {programs.real("openssl")} "$@"'
    programs.put("openssl", script, tmp_path, monkeypatch)
    with pytest.raises(RegistryError, match="openssl req failed: exit status 1"):
        make.make(planned(), CertificateKind.AUTHORITY, tmp_path, Recorder(), tool="openssl")


def test_openssl_gets_the_root_s_key_by_a_pipe_and_writes_it_to_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = f'[ "$2" = -x509 ] && to=$(readlink /proc/$$/fd/1) && echo "$to" > {tmp_path}/out; '
    seen += f'[ "$2" = -req ] && by=$(readlink /proc/$$/fd/0) && echo "$by" >> {tmp_path}/in'
    programs.put("openssl", f'{seen}; exec {programs.real("openssl")} "$@"', tmp_path, monkeypatch)
    (tmp_path / "certs").mkdir()
    make.make(planned(), CertificateKind.AUTHORITY, tmp_path / "certs", Recorder(), tool="openssl")
    ends = (tmp_path / "out").read_text(), *(tmp_path / "in").read_text().splitlines()
    assert [end.partition(":")[0] for end in ends] == ["pipe"] * 3


@both_tools
@both_kinds
def test_check_finds_nothing_in_what_is_made(tool: str, kind: CertificateKind, made: Maker) -> None:
    folder = made(tool, kind)
    authority = inspect.read(folder / "ca.crt") if kind is CertificateKind.AUTHORITY else None
    server, *issuers = inspect.read_chain(folder / "domain.crt")
    assert rules.check(server, authority, [ADDRESS], inspect.now(), issuers=issuers) == []


@both_tools
@both_kinds
def test_the_certificate_says_what_was_planned(tool: str, kind: CertificateKind, made: Maker) -> None:
    certificate, wanted = inspect.read(made(tool, kind) / "domain.crt"), planned().server
    assert (certificate.subject, certificate.dns, certificate.addresses) == (
        wanted.subject,
        wanted.dns,
        wanted.addresses,
    )


@both_tools
@pytest.mark.parametrize("kind", ["ec:P-256", "ec:P-384", "rsa:2048"])
def test_the_key_is_of_the_kind_that_was_asked_for(tool: str, kind: str, tmp_path: Path) -> None:
    make.make(planned(kind), CertificateKind.SELF_SIGNED, tmp_path, Recorder(), tool=tool)
    assert inspect.read(tmp_path / "domain.crt").key == kind


@both_tools
def test_the_life_is_what_was_asked_for_in_days(tool: str, made: Maker) -> None:
    certificate = inspect.read(made(tool, CertificateKind.AUTHORITY) / "domain.crt")
    assert (certificate.not_after - certificate.not_before).days == 365


def test_serials_are_random_and_long() -> None:
    serials = {int(openssl.serial(), 16) for _ in range(50)}
    assert (len(serials), {serial.bit_length() for serial in serials}) == (50, {127})


def test_auto_takes_openssl_where_it_is_installed(tmp_path: Path, console: Recorder) -> None:
    make.make(planned(), CertificateKind.SELF_SIGNED, tmp_path, console, tool="auto")
    assert console.said == []


def test_auto_does_without_openssl_where_it_is_not_installed_and_says_so(
    tmp_path: Path, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    make.make(planned(), CertificateKind.SELF_SIGNED, tmp_path, console, tool="auto")
    assert "cryptography" in console.said[0]


def test_the_shown_command_for_a_self_signed_one_is_the_document_s(tmp_path: Path) -> None:
    console = Recorder(dry=True)
    make.make(planned("rsa:4096"), CertificateKind.SELF_SIGNED, tmp_path, console, tool="openssl")
    assert " ".join(console.commands[0][:5]) == "openssl req -newkey rsa:4096 -nodes"
    assert {"-x509", "-keyout", "-out", "-config", "-days", "365"} <= set(console.commands[0])


def test_a_dry_run_makes_nothing(tmp_path: Path) -> None:
    make.make(planned(), CertificateKind.AUTHORITY, tmp_path, Recorder(dry=True), tool="openssl")
    assert list(tmp_path.iterdir()) == []


@both_kinds
def test_the_shown_commands_make_the_same_when_typed(kind: CertificateKind, tmp_path: Path, made: Maker) -> None:
    (tmp_path / "openssl.cnf").write_bytes((made("openssl", kind) / "openssl.cnf").read_bytes())
    console = Recorder(dry=True)
    make.make(
        planned("rsa:2048" if kind is CertificateKind.SELF_SIGNED else "ec:P-256"),
        kind,
        tmp_path,
        console,
        tool="openssl",
    )
    for line in console.typed:
        subprocess.run(["sh", "-ec", line], check=True, capture_output=True)
    assert {path.name for path in tmp_path.glob("*.crt")} == {path.name for path in made("openssl", kind).glob("*.crt")}
    for path in tmp_path.glob("*.crt"):
        assert der.without_key_ids(path) == der.without_key_ids(made("openssl", kind) / path.name)
    assert _verify(tmp_path / ANCHORS[kind], tmp_path / "domain.crt") == ""


def test_the_made_openssl_cnf_is_a_configuration_that_openssl_reads(made: Maker, tmp_path: Path) -> None:
    config = made("cryptography", CertificateKind.AUTHORITY) / "openssl.cnf"
    key, out = tmp_path / "x.key", tmp_path / "x.crt"
    typed = ["openssl", "req", "-x509", *openssl.new_key("ec:P-256"), "-keyout", str(key), "-out", str(out)]
    more = ["-config", str(config), "-extensions", "v3_req", "-subj", "/CN=x"]
    subprocess.run([*typed, *more], check=True, capture_output=True)
    assert inspect.read(out).addresses == planned().server.addresses


# openssl verify


@both_tools
@both_kinds
@pytest.mark.parametrize("ip", [ADDRESS, "fd00::12", "203.0.113.7", "127.0.0.1"])
def test_openssl_verifies_every_address_strictly(tool: str, kind: CertificateKind, ip: str, made: Maker) -> None:
    assert _verify(made(tool, kind) / ANCHORS[kind], made(tool, kind) / "domain.crt", ip=ip) == ""


@both_tools
@both_kinds
def test_openssl_refuses_an_address_that_is_not_named(tool: str, kind: CertificateKind, made: Maker) -> None:
    said = _verify(made(tool, kind) / ANCHORS[kind], made(tool, kind) / "domain.crt", ip="10.9.9.9")
    assert "IP address mismatch" in said


@both_tools
@both_kinds
def test_openssl_refuses_it_under_another_authority(tool: str, kind: CertificateKind, made: Maker) -> None:
    other = next(it for it in TOOLS if it != tool)
    assert _verify(made(other, kind) / ANCHORS[kind], made(tool, kind) / "domain.crt")


@both_tools
@both_kinds
def test_openssl_refuses_it_when_it_has_expired(tool: str, kind: CertificateKind, made: Maker) -> None:
    certificate = made(tool, kind) / "domain.crt"
    after = str(int(inspect.read(certificate).not_after.timestamp()) + 1)
    said = _verify(made(tool, kind) / ANCHORS[kind], certificate, options=("-attime", after))
    assert "has expired" in said


@both_tools
@pytest.mark.parametrize("name", ["www.example.com", "8.8.8.8", "evil-local", "2606:4700::1"])
def test_openssl_refuses_what_the_authority_may_not_vouch_for(
    tool: str, name: str, made: Maker, tmp_path: Path
) -> None:
    authority = made(tool, CertificateKind.AUTHORITY)
    issuer = forge.load(authority, "issuer")
    leaf = forge.save(forge.server(issuer, names=(ADDRESS, name)), tmp_path, "domain", issuer)
    assert "permitted subtree violation" in _verify(authority / "ca.crt", leaf)


@both_tools
@pytest.mark.parametrize("name", ["a.local", "localhost", "10.9.9.9", "registry.example", "2001:db8::7"])
def test_openssl_accepts_what_the_authority_may_vouch_for(tool: str, name: str, made: Maker, tmp_path: Path) -> None:
    authority = made(tool, CertificateKind.AUTHORITY)
    names = (ADDRESS, "localhost", name)  # without a DNS name, OpenSSL takes the CN for one and finds it not permitted
    issuer = forge.load(authority, "issuer")
    leaf = forge.save(forge.server(issuer, names=names), tmp_path, "domain", issuer)
    assert _verify(authority / "ca.crt", leaf) == ""


@both_tools
def test_openssl_refuses_an_authority_made_by_our_authority(tool: str, made: Maker, tmp_path: Path) -> None:
    authority = made(tool, CertificateKind.AUTHORITY)
    issuer = forge.load(authority, "issuer")
    middle = forge.issuer(issuer, subject="middle")
    leaf = forge.save(forge.server(middle), tmp_path, "leaf", middle, issuer)
    assert "path length constraint exceeded" in _verify(authority / "ca.crt", leaf)


@both_tools
@pytest.mark.parametrize("purpose", ["sslclient", "smimesign", "smimeencrypt"])
def test_openssl_refuses_what_is_no_server_s_of_our_issuer(
    tool: str, purpose: str, made: Maker, tmp_path: Path
) -> None:
    authority = made(tool, CertificateKind.AUTHORITY)
    issuer = forge.load(authority, "issuer")
    usage = ("digital_signature", "key_encipherment", "content_commitment", "crl_sign")
    leaf = forge.save(forge.server(issuer, serves=False, usage=usage), tmp_path, "leaf", issuer)
    server = _verify(authority / "ca.crt", leaf, options=("-purpose", "sslserver"))
    other = _verify(authority / "ca.crt", leaf, options=("-purpose", purpose))
    assert (server, "unsuitable certificate purpose" in other or "unsupported certificate purpose" in other) == (
        "",
        True,
    )


@both_tools
def test_a_self_signed_certificate_can_sign_nothing(tool: str, made: Maker, tmp_path: Path) -> None:
    ours = made(tool, CertificateKind.SELF_SIGNED)
    leaf = forge.save(forge.server(forge.load(ours, "domain")), tmp_path, "leaf")
    assert _verify(ours / "domain.crt", leaf)


def test_the_document_s_own_key_is_4096_bits_of_rsa(tmp_path: Path) -> None:
    make.make(planned("rsa:4096"), CertificateKind.SELF_SIGNED, tmp_path, Recorder(), tool="openssl")
    certificate = x509.load_pem_x509_certificate((tmp_path / "domain.crt").read_bytes())
    assert inspect.of(tmp_path, certificate).key == "rsa:4096"


@by_root
@pytest.mark.parametrize("pages", range(2, 6))
def test_a_disk_that_fills_up_under_openssl_is_named_and_not_what_openssl_made_of_it(
    pages: int, console: Recorder, tmp_path: Path
) -> None:
    with mounted(tmp_path, f"size={pages * 4}k"):
        with pytest.raises(RegistryError, match="No space left") as caught:
            make.make(planned(), CertificateKind.AUTHORITY, tmp_path, console, tool="openssl")
        assert (caught.value.cure, list(tmp_path.iterdir())) == (f"Make room on the disk: df -h {tmp_path}", [])
