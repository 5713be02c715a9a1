"""A registry in the middle: whatever it shows but the right certificate, every client turns away.

All scenarios share two machines. The registry's address is taken over by an impostor that serves the very same images,
so that a client's refusal can be about nothing but what it is shown; with the twin of each forgery, which is as it
should be, the same impostor passes.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cryptography.x509.oid import NameOID

from tests import forge
from tests.e2e.impostor import Impostor
from tests.e2e.steps import CERTS, PLAIN, hand_over, push

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.hosts import Done, Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite

PUBLIC, LOCAL = "registry.example.com", "images.lab.local"
"""Names that lead to the registry: of somebody else's public site, and one that its authority may vouch for."""

CTR = ("ctr", "--address", "/run/docker/containerd/containerd.sock", "--namespace", "lab", "images")
LOGIN = 'echo "the right password" | docker login --username ada --password-stdin "$1"'
CLIENTS = {
    "docker": ("docker", "pull", "{host}/app:1"),
    "docker login": ("sh", "-c", LOGIN, "sh", "{host}"),
    "podman": ("podman", "pull", "{host}/app:1"),
    "skopeo": ("skopeo", "inspect", "docker://{host}/app:1"),
    "ctr": (*CTR, "pull", "--hosts-dir", "/etc/containerd/certs.d", "{host}/app:1"),
    "curl": ("curl", "--silent", "--show-error", "--fail", "--cacert", f"{CERTS}/ca.crt", "https://{host}/v2/"),
}
FORGET = (("docker", "rmi", "--force"), ("podman", "rmi", "--force"), (*CTR, "rm"))


@dataclasses.dataclass
class Stage(Impostor):
    """The two machines, and all that could be stolen from the first."""

    client: Host

    def is_refused(self, said: Mapping[str, str], host: str = "") -> None:
        """Insist that every client fails, in words that tell of this attack, before it said what it wants."""
        asked = self._all(host)
        wrong = [str(it) for name, it in asked.items() if it.code == 0 or said.get(name, said[""]) not in it.said]
        assert not wrong, "\n\n".join(wrong)
        assert not self.heard(self.client), "no request, and so no password, reaches the impostor"

    def is_accepted(self, host: str = "") -> None:
        """Insist that every client gets what it asks for."""
        wrong = [str(it) for it in self._all(host).values() if it.code]
        assert not wrong, "\n\n".join(wrong)
        assert self.heard(self.client)

    def _all(self, host: str) -> dict[str, Done]:
        host = host or self.registry.address
        for argv in FORGET:
            self.client.silently(*argv, f"{host}/app:1")
        with ThreadPoolExecutor(max_workers=3) as several:
            argvs = [[word.replace("{host}", host) for word in argv] for argv in CLIENTS.values()]
            return dict(zip(CLIENTS, several.map(lambda argv: self.client.run(*argv), argvs), strict=True))


@pytest.fixture(scope="module")
def stage(lab: Lab, suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A registry with an image, a client that trusts it, and an impostor in its place."""
    registry, client = lab.start({"registry": suite.name, "client": suite.name})
    made = Stage(registry, tmp_path_factory.mktemp("stolen"), client)
    registry.settings["INVOKE_REGISTRY_NAMES"] = LOCAL
    registry.inv("up")
    push(registry, f"{registry.address}/app:1")
    hand_over(registry, client)
    client.does("sh", "-c", 'echo "$1" >> /etc/hosts', "sh", f"{registry.address} {PUBLIC} {LOCAL}")
    only = ("trust.linux", "--only", "docker,podman,containerd")
    client.inv(*only, registry_names=LOCAL)
    client.inv_fails(*only, saying=f"not {PUBLIC}", registry_names=f"{PUBLIC},{LOCAL}")  # it is trusted all the same
    made.take_over()
    yield made
    lab.stop([registry.name, client.name])


X509 = {"": "x509: ", "curl": "SSL certificate"}
UNKNOWN = {"": "x509: certificate signed by unknown authority", "curl": "SSL certificate"}


def _names(stage: Stage) -> tuple[str, ...]:
    return (stage.registry.address, LOCAL)


def test_the_certificate_of_another_authority_is_refused_even_of_one_by_the_same_name(stage: Stage) -> None:
    ours = stage.issuer
    (name,) = ours.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    for other in (forge.authority(permitted=None), forge.authority(permitted=None, subject=str(name.value))):
        stage.show(forge.server(other, names=_names(stage)), other)
        stage.is_refused(UNKNOWN)
    stage.show(forge.server(ours, names=_names(stage)), ours)
    stage.is_accepted()


def test_a_server_that_does_not_send_its_issuer_is_refused_as_if_there_were_no_trust(stage: Stage) -> None:
    stage.show(stage.server)
    stage.is_refused(UNKNOWN)
    stage.show(stage.server, stage.issuer)
    stage.is_accepted()


def test_plain_http_in_its_place_is_refused(stage: Stage) -> None:
    stage.show()
    stage.is_refused({"": PLAIN, "curl": "wrong version number"})
    stage.show(stage.server, stage.issuer)
    stage.is_accepted()


def test_an_expired_certificate_of_the_right_authority_is_refused(stage: Stage) -> None:
    expired = {"": "certificate has expired", "curl": "certificate has expired"}
    stage.show(forge.server(stage.issuer, names=_names(stage), age=30, days=29), stage.issuer)
    stage.is_refused(expired)
    stage.show(forge.server(stage.issuer, names=_names(stage), age=30, days=60), stage.issuer)
    stage.is_accepted()


def test_a_certificate_of_the_right_authority_for_another_name_is_refused(stage: Stage) -> None:
    wrong = {"": "x509: certificate is valid for ", "curl": "no alternative certificate subject name matches"}
    stage.show(forge.server(stage.issuer, names=("10.99.99.99", LOCAL)), stage.issuer)
    stage.is_refused(wrong)
    stage.is_accepted(LOCAL)


def test_whoever_stole_the_servers_key_cannot_pose_as_an_authority_with_it(stage: Stage) -> None:
    stage.show(forge.server(stage.server, names=_names(stage)), stage.server)
    stage.is_refused(X509)
    stage.show(stage.server, stage.issuer)
    stage.is_accepted()


def test_whoever_stole_the_issuers_key_cannot_pose_as_a_public_site_with_it(stage: Stage) -> None:
    outside = {"": "x509: ", "curl": "permitted subtree violation"}
    stage.show(forge.server(stage.issuer, names=(PUBLIC, stage.registry.address)), stage.issuer)
    stage.is_refused(outside, PUBLIC)
    stage.show(forge.server(stage.issuer, names=_names(stage)), stage.issuer)
    stage.is_accepted(LOCAL)
