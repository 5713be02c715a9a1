"""What people do with a message: have it explained, and type the cure as it is printed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

from tests.e2e.checkout import HOME
from tests.e2e.steps import CERTS, carry, hand_over
from trusted_registry.client_messages.catalogue import MESSAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.hosts import Done, Host

CAUSES = {message.key: max(re.split(r"{\w+}", message.cause), key=len) for message in MESSAGES}
"""What each row's cause says whatever is filled in: the longest piece of it."""
ELSEWHERE = "# on the registry's machine"
STEP = re.compile(r"^ +(do|or): (.+)$", re.MULTILINE)


FORGE = """
import datetime, ipaddress, json, pathlib, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
folder, order = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
load = serialization.load_pem_private_key
issuer = (folder / "issuer.crt").read_bytes()
ca = x509.load_pem_x509_certificate(issuer)
signer = load((folder / "issuer.key").read_bytes(), None)
key = load((folder / "domain.key").read_bytes(), None)
begin = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=order.get("begin", -1))
usage = ExtendedKeyUsageOID.CLIENT_AUTH if order.get("client") else ExtendedKeyUsageOID.SERVER_AUTH
names = [x509.IPAddress(ipaddress.ip_address(it)) for it in order.get("addresses", [])]
names += [x509.DNSName(it) for it in order.get("names", [])]
made = (x509.CertificateBuilder()
    .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, order["subject"])])).issuer_name(ca.subject)
    .public_key(key.public_key()).serial_number(x509.random_serial_number())
    .not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=order.get("days", 90)))
    .add_extension(x509.BasicConstraints(False, None), True)
    .add_extension(x509.KeyUsage(True, *[False] * 8), True)
    .add_extension(x509.ExtendedKeyUsage([usage]), False)
    .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False))
if not order.get("orphan"):
    made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
if names:
    made = made.add_extension(x509.SubjectAlternativeName(names), False)
pem = made.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
(folder / "domain.crt").write_bytes(pem + issuer)
"""
"""Makes another server certificate by the registry's own issuer, good but for what is ordered."""


@dataclass
class Tally:
    """Which rows of the catalogue were heard from a real client, by whom, and which of their cures helped."""

    heard: dict[str, set[str]] = field(default_factory=dict)
    cured: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        """Return it as a line for the summary."""
        said = "; ".join(f"{key} ({', '.join(sorted(by))})" for key, by in sorted(self.heard.items()))
        return f"messages: {len(self.heard)} rows produced, {len(self.cured)} cured as printed: {said}"


@dataclass
class Case:
    """A client host with its registry host: who reads the messages, and where the cures are typed."""

    registry: Host
    client: Host
    tally: Tally

    def means(self, done: Done, key: str, *, host: Host | None = None) -> list[tuple[str, str]]:
        """Have a message explained, insist on the row, and return the steps as printed: do or or, and the line."""
        host = host or self.client
        said = host.does("./inv", "explain", done.said, user="dev", env=host.settings).out
        assert CAUSES[key] in said, f"{key} was meant:\n{said}\nby\n{done}"
        self.tally.heard.setdefault(key, set()).add(PurePath(done.argv[0]).stem)
        block = next(part for part in said.split("said: ") if CAUSES[key] in part)
        return STEP.findall(block)

    def cure(self, steps: list[tuple[str, str]], *, instead: bool = False, host: Host | None = None) -> None:
        """Type the steps of one way, each where it says."""
        lines = [line for word, line in steps if (word == "or") is instead]
        assert lines, f"there is no such step: {steps}"
        for line in lines:
            at = self.registry if ELSEWHERE in line else host or self.client
            at.does("sh", "-c", line, user="dev", env=at.settings)

    def cures(
        self, key: str, again: Callable[[], Done], *, instead: bool = False, between: Callable[[], object]
    ) -> None:
        """Insist that a command fails with a row's message, that its cure is typed, and that the command then works.

        Args:
            key: The row.
            again: Runs the command.
            instead: Whether the other way of the cure is gone.
            between: What the cure's comment asks for besides, such as handing a certificate over.
        """
        refused = again()
        assert refused.code != 0, f"This should have failed:\n{refused}"
        steps = self.means(refused, key)
        between()
        self.cure(steps, instead=instead)
        worked = again()
        assert worked.code == 0, f"The cure did not help:\n{steps}\n{worked}"
        self.tally.cured.add(key)

    def cures_with_a_new_authority(self, key: str, again: Callable[[], Done]) -> None:
        """As `cures`, where the cure makes an authority that must be handed over before the client's step."""
        steps = self.means(again(), key)
        self.cure(steps[:1])
        hand_over(self.registry, self.client)
        self.cure(steps[1:])
        worked = again()
        assert worked.code == 0, f"The cure did not help:\n{steps}\n{worked}"
        self.tally.cured.add(key)


def nothing() -> None:
    """Do nothing between a message and its cure."""


def pulls(host: Host, reference: str) -> Callable[[], Done]:
    """Return a pull that starts from nothing each time."""

    def again() -> Done:
        host.silently("docker", "rmi", "--force", reference)
        return host.run("docker", "pull", reference)

    return again


def runs(host: Host, *argv: str, user: str = "root", env: dict[str, str] | None = None) -> Callable[[], Done]:
    """Return a command."""
    return lambda: host.run(*argv, user=user, env=env)


def serves(registry: Host, order: str) -> None:
    """Have the registry serve a certificate that is made to order."""
    whole = (
        f'{{"subject": "{registry.address}", {order[1:]}' if order != "{}" else f'{{"subject": "{registry.address}"}}'
    )
    registry.does(f"{HOME}/.venv/bin/python", "-c", FORGE, CERTS, whole)
    carry(registry, "domain.crt", "domain.key")
