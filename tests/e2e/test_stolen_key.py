"""What a stolen issuer's key can do: each cell of SECURITY.md's table, asked of the client that it is about.

An impostor shows what the key signed, in the registry's place; what no server shows is judged by each trade's own
program. The same certificates by an authority of an earlier version are accepted there.
"""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests import forge, stolen_key
from tests.certificate.corporate import pem
from tests.e2e.clients import ASKED, FORGET, JAVA, OURS, THEIRS, tell, tell_engines, words_for
from tests.e2e.impostor import Impostor
from tests.e2e.steps import CERTS, push
from tests.stolen_key import (
    ACCEPTED,
    CLIENT,
    CODE,
    COMMON,
    FURTHER,
    IPV4,
    IPV6,
    LOCAL,
    MAIL,
    MISUSED,
    NOT_ASKED,
    PRIVATE,
    PUBLIC,
    REFUSED,
    SERVERS,
    USES,
    WILDCARD,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.e2e.hosts import Done, Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite
    from tests.forge import Forged

NAME, SITE = "images.lab.local", "www.example.com"
PUBLIC4, PUBLIC6 = "203.0.113.7", "2001:db8::7"
"""Addresses that lead to the registry's host here: of documents (RFC 5737, RFC 3849), and so nobody's."""

STRANGERS = ("unknown authority", "unable to get local issuer", "issuer is unknown", "UNKNOWN_ISSUER")
"""What clients say that lack the root; newer NSS says it of names beyond the limits too."""

UNREADABLE = ("invalid reference format", "Invalid image name")
"""What clients say that take no IPv6 address in a reference."""

CANNOT_READ = {"podman", "skopeo", "docker"}
"""Clients that take none: podman and skopeo of all suites, docker of bookworm's."""

PURPOSES = {
    CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
    CODE: ExtendedKeyUsageOID.CODE_SIGNING,
    MAIL: ExtendedKeyUsageOID.EMAIL_PROTECTION,
}
NSS_USAGES = {CLIENT: "0", CODE: "6", MAIL: "4"}
OPENSSL_PURPOSES = {CLIENT: "sslclient", MAIL: "smimesign"}

KEYS = """
for file in $(grep --recursive --files-with-matches --binary-files=text -e '-----BEGIN .*PRIVATE KEY-----' "$@"); do
    openssl pkey -in "$file" -passin pass: -pubout 2> /dev/null && echo "$file"
done
"""
PLACES = ("/etc", "/home", "/root", "/srv", "/tmp", "/var/lib/docker/volumes", "/dev/shm", "/run")  # noqa: S108 - searched

JARSIGNER = """
store="-storepass changeit"
openssl pkcs12 -export -inkey leaf.key -in chain.crt -name signer -passout pass:changeit -out signer.p12
rm -f app.jar && jar cf app.jar leaf.crt && jarsigner -keystore signer.p12 $store app.jar signer
jarsigner -verify -strict -keystore trust.p12 $store app.jar
test $(($? & 4)) -eq 0
"""
"""Signs a program and has it judged; 4 is the bit of a chain that is not valid (jarsigner's manual, -strict)."""


@dataclass
class Stage(Impostor):
    """The impostor, and a host with every client."""

    client: Host
    asked: dict[str, Done] = field(default_factory=dict)

    def ask(self, host: str, clients: Iterable[str]) -> dict[str, str]:
        """Have clients ask for what is shown by a name or an address, side by side, and return their answers."""
        asked_by = words_for(host)
        for argv in FORGET:
            self.client.silently(*argv, asked_by["reference"])
        argvs = {name: shlex.split(ASKED[name].command.format_map(asked_by)) for name in clients}
        with ThreadPoolExecutor(max_workers=3) as several:
            ended = several.map(lambda argv: self.client.run(*argv), argvs.values())
            self.asked = dict(zip(argvs, ended, strict=True))
        return {name: _answer(done, ASKED[name].refusal) for name, done in self.asked.items()}

    def strangers(self) -> set[str]:
        """Return the clients that refused as if they had been told no root."""
        return {name for name, done in self.asked.items() if done.code and any(it in done.said for it in STRANGERS)}

    def said(self, *names: str) -> str:
        """Return what clients said."""
        return "\n\n".join(str(self.asked[name]) for name in names)


def _answer(done: Done, refusal: str) -> str:
    """Return whether a client accepted; a refusal must be one, in its own words."""
    if done.code == 0:
        return ACCEPTED
    if any(words in done.said for words in UNREADABLE):
        return NOT_ASKED
    assert refusal in done.said, f"This failed for another reason:\n{done}"
    return REFUSED


@pytest.fixture(scope="module")
def stage(lab: Lab, suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A registry with an image, an impostor in its place, and a host with every client, which is told the root."""
    registry, desktop = lab.start({"robbed": suite.name, "judge": suite.name}, desktop="judge")
    made = Stage(registry, tmp_path_factory.mktemp("stolen"), desktop)
    registry.settings["INVOKE_REGISTRY_NAMES"] = NAME
    registry.inv("up")
    push(registry, f"{registry.address}/app:1")
    _lead_there(registry, desktop)
    root = registry.read(f"{CERTS}/ca.crt")
    tell(desktop, OURS, root)
    for host in (registry.address, NAME, SITE, PUBLIC4, f"[{PUBLIC6}]:443"):
        tell_engines(desktop, host, root)
    desktop.write("/srv/Trusts.java", (Path(__file__).parent / "Trusts.java").read_text())
    made.take_over()
    yield made
    lab.stop([registry.name, desktop.name])


def _lead_there(registry: Host, desktop: Host) -> None:
    """Have public names and addresses lead to the registry's host, on the lab's own network."""
    desktop.does("sh", "-c", 'echo "$1" >> /etc/hosts', "sh", f"{registry.address} {NAME} {SITE}")
    # The lab's network, which leads nowhere else, carries no other IPv4 address.
    way = ("iptables", "--table", "nat", "--append", "OUTPUT", "--destination", PUBLIC4)
    desktop.does(*way, "--jump", "DNAT", "--to-destination", registry.address)
    if registry.address6:
        registry.does("ip", "-6", "address", "add", f"{PUBLIC6}/128", "dev", "eth0", "nodad")
        desktop.does("ip", "-6", "route", "add", f"{PUBLIC6}/128", "via", registry.address6)


def _shown(stage: Stage, row: str) -> tuple[str, list[Forged]]:
    """Return by which name or address a row is asked for, and what the impostor shows, nearest first.

    All but the row of the common name have a DNS name that is permitted: where there is none, OpenSSL and GnuTLS take
    the common name for one, and refuse for that.
    """
    issuer, private = stage.issuer, stage.registry.address
    if row == FURTHER:
        further = forge.issuer(issuer, subject="further", permitted=None)
        return private, [_server(further, names=(private, NAME)), further, issuer]
    asked: dict[str, tuple[str, dict[str, object]]] = {
        PRIVATE: (private, {"names": (private, NAME)}),
        LOCAL: (NAME, {"names": (NAME,)}),
        PUBLIC: (SITE, {"names": (SITE,)}),
        WILDCARD: (SITE, {"names": (f"*.{SITE.partition('.')[2]}",)}),
        COMMON: (SITE, {"names": None, "subject": SITE}),
        IPV4: (PUBLIC4, {"names": (PUBLIC4, NAME)}),
        IPV6: (PUBLIC6, {"names": (PUBLIC6, NAME)}),
        MISUSED: (private, {"names": (private, NAME), "purpose": ExtendedKeyUsageOID.CLIENT_AUTH}),
    }
    host, changes = asked[row]
    return host, [_server(issuer, **changes), issuer]


def _server(signer: Forged, **changes: object) -> Forged:
    """Return a certificate with a number of its own: NSS takes two of the same number for a forgery."""
    return forge.server(signer, serial=x509.random_serial_number(), **changes)


def test_the_root_s_key_is_nowhere_on_the_machine_that_made_it_and_the_issuer_s_in_one_file(stage: Stage) -> None:
    kept = stage.registry.run("sh", "-c", KEYS, "sh", *PLACES).out
    root, issuer = (_public_key(stage.registry, name) for name in ("ca.crt", "issuer.crt"))
    assert root not in kept
    assert kept.count(issuer) == 1


def _public_key(host: Host, name: str) -> str:
    return host.does("openssl", "x509", "-in", f"{CERTS}/{name}", "-noout", "-pubkey").out


@pytest.mark.parametrize("row", SERVERS)
def test_a_server_s_certificate_by_a_stolen_key_is_taken_by_whom_the_table_names(row: str, stage: Stage) -> None:
    if row == IPV6 and not stage.registry.address6:
        assert not stage.registry.network.attrs["EnableIPv6"], "without IPv6 on the network there is no such address"
        return
    expected = {name: cell for name, cell in stolen_key.table()[row].items() if name in ASKED}
    assert expected.keys() == ASKED.keys()
    host, chain = _shown(stage, row)
    stage.show(*chain)
    answers = stage.ask(host, expected)
    unread = {name for name, answer in answers.items() if answer == NOT_ASKED}
    assert not unread or (row == IPV6 and unread <= CANNOT_READ), stage.said(*unread)
    wrong = [name for name in answers.keys() - unread if answers[name] != expected[name]]
    assert not wrong, stage.said(*wrong)
    if strangers := stage.strangers() - unread:
        _know_the_root(strangers, stage)


def _know_the_root(clients: set[str], stage: Stage) -> None:
    """Have clients accept a server of the same key: they were told the root, and refused for another reason."""
    host, chain = _shown(stage, PRIVATE)
    stage.show(*chain)
    answers = stage.ask(host, clients)
    assert answers == dict.fromkeys(clients, ACCEPTED), f"told no root:\n{stage.said(*clients)}"


@pytest.mark.parametrize("row", USES)
def test_a_certificate_of_another_trade_by_a_stolen_key_is_taken_by_whom_the_table_names(
    row: str, stage: Stage
) -> None:
    expected = {name: cell for name, cell in stolen_key.table()[row].items() if cell != NOT_ASKED}
    assert _judged(stage, row, OURS, stage.issuer) == expected

    authority = forge.authority(subject="earlier")  # it had constraints, and no extended key usage
    tell(stage.client, THEIRS, pem(authority).decode())
    assert _judged(stage, row, THEIRS, authority) == dict.fromkeys(expected, ACCEPTED)


def _judged(stage: Stage, row: str, folder: str, signer: Forged) -> dict[str, str]:
    """Have each program of a trade judge a certificate for it, which a signer made, and return their answers."""
    leaf = _server(signer, subject="Ada", names=(NAME,), purpose=PURPOSES[row], usage=("digital_signature",))
    files = {"leaf.crt": pem(leaf), "signer.crt": pem(signer), "chain.crt": pem(leaf, signer)}
    for name, content in {**files, "leaf.key": forge.pem(leaf.key)}.items():
        stage.client.write(f"{folder}/{name}", content)
    programs = _programs(row, folder)
    ended = {name: stage.client.run("sh", "-c", line, folder=folder) for name, line in programs.items()}
    answers = {name: REFUSED if done.code else ACCEPTED for name, done in ended.items()}
    return {**answers, **({"registry": _admitted(stage, folder)} if row == CLIENT else {})}


def _programs(row: str, folder: str) -> dict[str, str]:
    """Return the commands by which programs judge chain.crt in a folder, by the authority there."""
    purpose = PURPOSES[row].dotted_string
    found = {
        "GnuTLS": f"certtool --verify --load-ca-certificate ca.crt --infile chain.crt --verify-purpose {purpose}",
        "NSS": f"vfychain -d sql:nss -u {NSS_USAGES[row]} -a leaf.crt -a signer.crt",
    }
    if row in OPENSSL_PURPOSES:
        purpose = OPENSSL_PURPOSES[row]
        found["OpenSSL"] = f"openssl verify -CAfile ca.crt -untrusted chain.crt -purpose {purpose} chain.crt"
    if row == CLIENT:
        found["Java"] = f"{JAVA.replace(OURS, folder)} client chain.crt"
    if row == CODE:
        found["Java"] = JARSIGNER
    return found


def _admitted(stage: Stage, folder: str) -> str:
    """Return whether a registry that wants clients' certificates, a program in Go, admits one."""
    stage.show(stage.server, stage.issuer, clients=stage.client.read(f"{folder}/ca.crt"))
    # By TLS 1.3 the client hears of it after its request, or sees a connection that is gone.
    curl = ("curl", "--silent", "--show-error", "--fail", "--tls-max", "1.2", "--cacert", f"{OURS}/ca.crt")
    there = f"https://{stage.registry.address}/v2/"
    stage.client.fails(*curl, there, saying="alert")
    done = stage.client.run(*curl, "--cert", f"{folder}/chain.crt", "--key", f"{folder}/leaf.key", there)
    assert done.code == 0 or "bad certificate" in done.said, done
    return REFUSED if done.code else ACCEPTED
