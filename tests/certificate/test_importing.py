"""A certificate of one's own, in every form that companies hand out: read, put in order, and refused with a reason."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests import forge
from tests.certificate import corporate
from tests.certificate.corporate import DER, PEM, Company, company, key, p7b, p12, pem, put
from trusted_registry.certificate import foreign_files, importing, inspect
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Invoke
    from trusted_registry.certificate.importing import Imported

OLD, PKCS8 = serialization.PrivateFormat.TraditionalOpenSSL, serialization.PrivateFormat.PKCS8
NOISE = b"Bag Attributes\n    friendlyName: registry\nsubject=CN = x\n"
PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


def nobody(question: str) -> NoReturn:
    """Fail where a passphrase is asked for."""
    pytest.fail(f"{question}?")


def imported(paths: dict[str, Path], ask: Callable[[str], str] = nobody) -> Imported:
    """Return what files hold; one named `authority` is the root's."""
    return importing.find(foreign_files.read(paths.values(), ask), paths.get("authority"))


def is_whole(found: Imported, made: Company) -> bool:
    """Return whether leaf, chain and root are those of a company, in this order."""
    whole = (found.server, *found.issuers, found.root)
    same = whole == tuple(it.certificate for it in (made.leaf, made.middle, made.root))
    return same and found.key.public_key() == made.leaf.certificate.public_key()


FORMS: dict[str, Callable[[Company], dict[str, bytes]]] = {
    "four files": lambda it: {
        "certificate": pem(it.leaf), "key": key(it.leaf), "chain": pem(it.middle), "authority": pem(it.root)
    },
    "leaf and chain in one": lambda it: {
        "certificate": pem(it.leaf, it.middle), "key": key(it.leaf), "authority": pem(it.root)
    },
    "intermediate before leaf": lambda it: {
        "certificate": pem(it.middle, it.leaf), "key": key(it.leaf), "authority": pem(it.root)
    },
    "root first, with the intermediate": lambda it: {
        "certificate": pem(it.leaf), "key": key(it.leaf), "authority": pem(it.root, it.middle)
    },
    "all in one file": lambda it: {"certificate": key(it.leaf) + pem(it.root, it.middle, it.leaf)},
    "text between": lambda it: {"certificate": NOISE + pem(it.leaf) + NOISE + pem(it.middle, it.root) + key(it.leaf)},
    "Windows' line ends": lambda it: {
        "certificate": (pem(it.leaf, it.middle, it.root) + key(it.leaf)).replace(b"\n", b"\r\n")
    },
    "PowerShell's UTF-16": lambda it: {
        "certificate": (pem(it.leaf, it.middle, it.root) + key(it.leaf)).decode().encode("utf-16")
    },
    "DER": lambda it: {
        "certificate": it.leaf.certificate.public_bytes(DER),
        "key": key(it.leaf, encoding=DER),
        "chain": it.middle.certificate.public_bytes(DER),
        "authority": it.root.certificate.public_bytes(DER),
    },
    "SEC 1, with its parameters": lambda it: {
        "certificate": pem(it.leaf, it.middle, it.root), "key": PARAMETERS + key(it.leaf, form=OLD)
    },
    "SEC 1 in DER": lambda it: {
        "certificate": pem(it.leaf, it.middle, it.root), "key": key(it.leaf, form=OLD, encoding=DER)
    },
    "PKCS #7": lambda it: {
        "certificate": pem(it.leaf), "key": key(it.leaf), "chain": p7b(it.middle), "authority": pem(it.root)
    },
    "PKCS #7 of all": lambda it: {"certificate": p7b(it.root, it.leaf, it.middle, encoding=PEM), "key": key(it.leaf)},
    "PKCS #12": lambda it: {"certificate": p12(it)},
    "PKCS #12 of the leaf": lambda it: {
        "certificate": p12(it, whole=False), "chain": pem(it.middle), "authority": pem(it.root)
    },
    "another certificate between": lambda it: {
        "certificate": pem(forge.authority(subject="other"), it.leaf, it.middle), "key": key(it.leaf),
        "authority": pem(it.root),
    },
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_company_s_certificate_is_found_whatever_form_it_has(form: str, tmp_path: Path) -> None:
    made = company()
    assert is_whole(imported(put(tmp_path / "given", **FORMS[form](made))), made)


@pytest.mark.process
@pytest.mark.parametrize("last", ["root", "middle"])
def test_a_chain_in_another_order_than_der_s_is_read_and_no_library_s_warning_is_shown(
    last: str, invoke: Invoke, tmp_path: Path
) -> None:
    made = company()
    first, second = sorted((made.root, made.middle), key=lambda it: it.certificate.public_bytes(DER))
    chain = p7b(first, second)
    parts = [it.certificate.public_bytes(DER) for it in (first, second)]
    swapped = chain.replace(b"".join(parts), b"".join(reversed(parts)))
    assert swapped != chain
    paths = put(
        tmp_path / last,
        certificate=pem(made.leaf),
        key=key(made.leaf),
        chain=swapped,
        authority=pem(getattr(made, last)),
    )
    done = invoke("cert.import", *(word for name, path in paths.items() for word in (f"--{name}", str(path))))
    assert ("Warning" in done.stderr, done.returncode) == (False, 0 if last == "root" else 1)


@pytest.mark.parametrize("form", [OLD, PKCS8])
def test_an_rsa_key_may_be_of_pkcs_1_and_8(form: serialization.PrivateFormat, tmp_path: Path) -> None:
    root = forge.authority(**corporate.LOOSE)
    leaf = forge.server(root, key="weak")  # as weak as it is quick
    paths = put(tmp_path / "given", certificate=pem(leaf), key=key(leaf, form=form), authority=pem(root))
    found = imported(paths)
    assert (found.server, found.issuers, found.root) == (leaf.certificate, (), root.certificate)
    assert isinstance(found.key, rsa.RSAPrivateKey)


LOCKED: dict[str, Callable[[Company], dict[str, bytes]]] = {
    "PKCS #8": lambda it: {"certificate": pem(it.leaf, it.middle, it.root), "key": key(it.leaf, passphrase=b"open")},
    "PKCS #8 in DER": lambda it: {
        "certificate": pem(it.leaf, it.middle, it.root), "key": key(it.leaf, passphrase=b"open", encoding=DER)
    },
    "OpenSSL's own format": lambda it: {
        "certificate": pem(it.leaf, it.middle, it.root), "key": key(it.leaf, passphrase=b"open", form=OLD)
    },
    "PKCS #12": lambda it: {"certificate": p12(it, b"open")},
}  # fmt: skip


@pytest.mark.parametrize("form", LOCKED)
def test_a_passphrase_is_asked_for_once_and_another_one_is_refused(form: str, tmp_path: Path) -> None:
    made, asked = company(), []

    def answer(question: str) -> str:
        asked.append(question)
        return "open"

    paths = put(tmp_path / "given", **LOCKED[form](made))
    assert is_whole(imported(paths, answer), made)
    assert asked == [f"Passphrase of {paths.get('key', paths['certificate'])}"]
    for wrong in ("close", ""):
        with pytest.raises(RegistryError, match="That is not the passphrase of"):
            imported(paths, lambda _, wrong=wrong: wrong)  # type: ignore[misc]


def test_a_passphrase_of_two_files_is_asked_for_once(tmp_path: Path) -> None:
    made, asked = company(), []

    def answer(question: str) -> str:
        asked.append(question)
        return "open"

    paths = put(tmp_path / "given", certificate=p12(made, b"open"), key=key(made.leaf, passphrase=b"open"))
    assert is_whole(imported(paths, answer), made)
    assert len(asked) == 1


# What does not fit


def _refused(paths: dict[str, Path]) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        imported(paths)
    assert caught.value.cure
    return caught.value


def test_a_key_of_none_of_the_certificates_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    made, other = company(), company()
    paths = put(tmp_path / "given", certificate=pem(made.leaf, made.middle, made.root), key=key(other.leaf))
    assert f"{paths['key']} holds the key of none of the certificates: CN=192.168.0.12" in _refused(paths).message


def test_a_missing_key_is_told(tmp_path: Path) -> None:
    made = company()
    paths = put(tmp_path / "given", certificate=pem(made.leaf, made.middle, made.root))
    assert "--key" in _refused(paths).cure


def test_a_missing_intermediate_is_named_with_whom_it_signed(tmp_path: Path) -> None:
    made = company()
    error = _refused(put(tmp_path / "given", certificate=pem(made.leaf), key=key(made.leaf), authority=pem(made.root)))
    assert error.message == "The certificate of CN=Corp Issuing, which signed CN=192.168.0.12, is missing."
    assert "--chain" in error.cure


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    made = company()
    error = _refused(put(tmp_path / "given", certificate=pem(made.leaf, made.middle), key=key(made.leaf)))
    assert "CN=Corp Root, which signed CN=Corp Issuing, is missing" in error.message


def test_an_intermediate_is_no_root_for_every_client(tmp_path: Path) -> None:
    made = company()
    paths = put(tmp_path / "given", certificate=pem(made.leaf), key=key(made.leaf), authority=pem(made.middle))
    assert "holds no root" in _refused(paths).message


def test_another_root_than_the_one_that_is_to_be_trusted_is_refused(tmp_path: Path) -> None:
    made, other = company(), company()
    whole = pem(made.leaf, made.middle, made.root)
    paths = put(tmp_path / "given", certificate=whole, key=key(made.leaf), authority=pem(other.root))
    assert "CN=Corp Root, is not in the file of --authority" in _refused(paths).message


def test_of_two_roots_the_named_one_is_taken_though_another_one_signed_the_same_intermediate(tmp_path: Path) -> None:
    made = company()
    older = forge.authority(subject="Old Root", **corporate.LOOSE)
    crossed = forge.Forged(made.root.key, forge.issuer(older, subject="Corp Root", **corporate.LOOSE).certificate)
    paths = put(
        tmp_path / "given",
        certificate=pem(made.leaf, made.middle, crossed, made.root, older),
        key=key(made.leaf),
        authority=pem(made.root),
    )
    assert is_whole(imported(paths), made)


def test_a_certificate_that_signed_itself_has_another_command(tmp_path: Path) -> None:
    leaf = forge.server(None)
    assert "--self-signed" in _refused(put(tmp_path / "given", certificate=pem(leaf), key=key(leaf))).cure


def test_a_key_that_the_registry_cannot_serve_is_refused(tmp_path: Path) -> None:
    made = company()
    found = foreign_files.read(put(tmp_path / "given", certificate=pem(made.leaf), key=key(made.leaf)).values(), nobody)
    odd = ec.generate_private_key(ec.SECP256K1())
    with pytest.raises(RegistryError, match="cannot serve a certificate with a key of this kind"):
        importing._check_kind(odd)
    importing._check_kind(found.keys[0][0])


ODD: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b"", "neither a certificate nor a key", "openssl asn1parse"),
    "prose": (b"see attached\n", "neither a certificate nor a key", "openssl asn1parse"),
    "Java's keystore": (b"\xfe\xed\xfe\xed\0\0\0\2", "a Java keystore", "keytool -importkeystore"),
    "a trusted certificate": (
        b"-----BEGIN TRUSTED CERTIFICATE-----\nAA==\n-----END TRUSTED CERTIFICATE-----\n", "OpenSSL's", "openssl x509"
    ),
    "a key for SSH": (
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nAA==\n-----END OPENSSH PRIVATE KEY-----\n", "for SSH", "Name the key"
    ),
    "a broken certificate": (
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds a certificate that cannot", "new copy"
    ),
    "a broken key": (
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds a private key that cannot", "new copy"
    ),
    "far too much": (b"x" * (1 << 20 | 1), "more than 1 MiB", "Name the file"),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_a_file_of_another_kind_is_named_with_its_cure(case: str, tmp_path: Path) -> None:
    content, says, cure = ODD[case]
    error = _refused(put(tmp_path / "given", certificate=content))
    assert says in error.message
    assert cure in error.cure


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        assert str(path) in _refused({"certificate": path}).message
    os.mkfifo(tmp_path / "queue")
    assert "is not a file" in _refused({"certificate": tmp_path / "queue"}).message


# What is kept


def test_what_is_kept_is_leaf_then_intermediates_the_open_key_and_the_root(tmp_path: Path) -> None:
    made, folder = company(), tmp_path / "certs"
    forge.fill(folder)
    importing.save(imported(put(tmp_path / "given", certificate=p12(made))), folder)
    assert (folder / "domain.crt").read_bytes() == pem(made.leaf, made.middle)
    assert (folder / "ca.crt").read_bytes() == pem(made.root)
    assert inspect.is_pair(folder / "domain.key", inspect.read(folder / "domain.crt"))
    assert (folder / "domain.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["ca.crt", "domain.crt", "domain.key"]
