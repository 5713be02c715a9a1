"""A company's own certificates, in the forms that companies hand out: imported, served, and taken by every client.

All scenarios share a registry and a machine with Java; what that one trusts is taken back after each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from tests import forge
from tests.certificate.corporate import DER, LOOSE, Company, key, p12, pem
from tests.e2e.checkout import DEV
from tests.e2e.steps import fingerprint, hand_over, is_refused, pull, push, served_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.e2e.hosts import Done, Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite

Files = dict[str, bytes]
"""Contents of files, by the flag that names each of them."""

NAME, WILDCARD = "reg.corp.lab.local", "*.corp.lab.local"
PASSPHRASE = "correct horse battery staple"  # noqa: S105 - of a test
TYPED = 'passphrase=$1; shift; printf "%s\\n" "$passphrase" | "$@"'
CURL = ("curl", "--silent", "--show-error", "--fail")
JAVA = ("java", "/srv/Trusts.java", "server")
NEVER = "PKIX path building failed"


def four_files(made: Company) -> Files:
    """Return certificate, key, chain and root, each in a file of its own."""
    return {
        "certificate": pem(made.leaf),
        "key": key(made.leaf),
        "chain": pem(made.middle),
        "authority": pem(made.root),
    }


def by_the_root(made: Company) -> Files:
    """Return what there is where no intermediate is."""
    return {name: content for name, content in four_files(made).items() if name != "chain"}


def all_in_der(made: Company) -> Files:
    """Return all four in DER."""
    chain = {"certificate": made.leaf, "chain": made.middle, "authority": made.root}
    found = {name: it.certificate.public_bytes(DER) for name, it in chain.items()}
    return {**found, "key": key(made.leaf, encoding=DER)}


def one_p12(made: Company) -> Files:
    """Return one file of PKCS #12, with a passphrase."""
    return {"certificate": p12(made, PASSPHRASE.encode())}


def encrypted_key(made: Company) -> Files:
    """Return four files, the key's with a passphrase."""
    return {**four_files(made), "key": key(made.leaf, passphrase=PASSPHRASE.encode())}


@dataclass(frozen=True)
class Form:
    """How a company's certificate differs from a flawless one, and how it is handed out."""

    changes: Mapping[str, object]
    pack: Callable[[Company], Files] = four_files
    signed_by_root: bool = False
    name: str = ""


FORMS = {
    "leaf by the root": Form({}, by_the_root, signed_by_root=True),
    "leaf, intermediate, root": Form({}),
    "wildcard": Form({"names": (WILDCARD, "localhost")}, name=NAME),
    "CA:FALSE not critical": Form({"critical": False}),
    "no keyUsage": Form({"usage": None}),
    "825 days": Form({"days": 825}),
    "DER": Form({}, all_in_der),
    "PKCS12": Form({}, one_p12),
    "encrypted key": Form({}, encrypted_key),
}


@dataclass
class Stage:
    """A registry's host and a client, and the authority of a company."""

    registry: Host
    client: Host
    root: forge.Forged
    middle: forge.Forged

    def make(self, form: Form) -> Company:
        """Have the company sign a certificate for the registry."""
        signer = self.root if form.signed_by_root else self.middle
        flawless = {"names": (self.registry.address, "localhost"), "serial": x509.random_serial_number()}
        return Company(self.root, self.middle, forge.server(signer, **{**flawless, **form.changes}))

    def take(self, files: Files, host: str) -> Done:
        """Type the import of files, and their passphrase where it asks for one."""
        words = ["./inv", "cert.import", "--address", host]
        for flag, content in files.items():
            self.registry.write(f"/srv/{flag}", content, owner=DEV, mode=0o600)
            words += [f"--{flag}", f"/srv/{flag}"]
        return self.registry.run("sh", "-c", TYPED, "sh", PASSPHRASE, *words, user="dev", env=self.registry.settings)

    def asks(self, host: str) -> dict[str, tuple[str, ...]]:
        """Return what each client is asked with, beside Docker."""
        url = f"https://{host}/v2/"
        return {
            "podman": ("podman", "pull", f"{host}/app:1"),
            "curl": (*CURL, url),
            "Java": (*JAVA, url),
        }


@pytest.fixture(scope="module")
def stage(lab: Lab, suite: Suite) -> Iterator[Stage]:
    """A registry's host without a certificate, a client with Java, and a company."""
    registry, client = lab.start({"importer": suite.name, "importer-client": suite.name}, desktop="importer-client")
    for host in (registry, client):
        host.does("sh", "-c", 'echo "$1" >> /etc/hosts', "sh", f"{registry.address} {NAME}")
    client.write("/srv/Trusts.java", (Path(__file__).parent / "Trusts.java").read_text())
    root = forge.authority(subject="Corp Root", **LOOSE)
    yield Stage(registry, client, root, forge.issuer(root, subject="Corp Issuing", serves=False, **LOOSE))
    lab.stop([registry.name, client.name])


@pytest.mark.parametrize("form", FORMS)
def test_a_company_s_certificate_is_imported_and_docker_podman_curl_and_java_take_it(
    form: str, stage: Stage, bystander: Host
) -> None:
    host = FORMS[form].name or stage.registry.address
    made = stage.make(FORMS[form])
    done = stage.take(FORMS[form].pack(made), host)
    assert done.code == 0, done
    stage.registry.inv("up")
    assert "breaks no known rule" in stage.registry.inv("cert.check").out
    pushed = push(stage.registry, f"{host}/app:1")
    stage.registry.write("/srv/leaf.crt", pem(made.leaf))
    assert served_fingerprint(bystander, stage.registry.address) == fingerprint(stage.registry, "/srv/leaf.crt")

    _are_refused(stage, host)
    hand_over(stage.registry, stage.client)
    stage.client.settings["INVOKE_REGISTRY_ADDRESS"] = host
    stage.client.inv("trust.linux", "--system")
    try:
        assert pull(stage.client, f"{host}/app:1") == pushed
        for argv in stage.asks(host).values():
            stage.client.does(*argv)
        is_refused(bystander, f"{stage.registry.address}/app:1", "x509: ")
    finally:
        stage.client.run("./inv", "trust.remove", user="dev", env=stage.client.settings)
    _are_refused(stage, host)


def _are_refused(stage: Stage, host: str) -> None:
    """Insist that each client fails for want of trust."""
    is_refused(stage.client, f"{host}/app:1")
    says = {"podman": "x509: certificate signed by unknown authority", "curl": "SSL certificate", "Java": NEVER}
    stage.client.run("podman", "rmi", "--force", f"{host}/app:1")
    for name, argv in stage.asks(host).items():
        stage.client.fails(*argv, saying=says[name])


REFUSED: dict[str, tuple[dict[str, object], Callable[[Company], Files], str]] = {
    "expired": ({"age": 30, "days": 29}, four_files, "expired"),
    "another's address": ({"names": ("10.99.99.99", "localhost")}, four_files, "10.99.99.99"),
    "without its chain": ({}, by_the_root, "signed"),
    "another's key": ({}, lambda it: {**four_files(it), "key": key(forge.authority())}, "key"),
    "another's passphrase": (
        {},
        lambda it: {**four_files(it), "key": key(it.leaf, passphrase=b"another one")},
        "not the passphrase",
    ),
    "no certificate": ({}, lambda it: {**four_files(it), "certificate": b"\x1b]0;x\x07" * 999}, "neither"),
}
"""What is handed out by mistake, or by somebody else, and a word of the refusal."""


def _kept(host: Host) -> str:
    """Return the digests of the certificates' folder, but for the log of the run that was refused."""
    return host.does("sh", "-c", "sha256sum certs/*.* | grep --invert-match last-run.log").out


@pytest.mark.parametrize("wrong", REFUSED)
def test_what_clients_would_refuse_is_not_imported_and_the_registry_serves_what_it_did(
    wrong: str, stage: Stage
) -> None:
    here = stage.registry.address
    assert stage.take(four_files(stage.make(Form({}))), here).code == 0
    stage.registry.inv("up")
    before, kept = served_fingerprint(stage.registry, here), _kept(stage.registry)
    changes, pack, saying = REFUSED[wrong]
    done = stage.take(pack(stage.make(Form(changes))), here)
    assert (done.code, saying in done.err, "do: " in done.err, "Traceback" in done.err) == (1, True, True, False), done
    assert "\x1b" not in done.said
    assert _kept(stage.registry) == kept
    assert served_fingerprint(stage.registry, here) == before
    stage.registry.inv("cert.check")
