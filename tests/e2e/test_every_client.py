"""Each client that can be told: refused before, accepted after, refused again after removal; each by its own pull."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.e2e import cri
from tests.e2e.checkout import HOME
from tests.e2e.steps import hand_over, push

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.e2e.hosts import Host
    from tests.e2e.lab import Lab
    from tests.e2e.suites import Suite

X509 = "x509: certificate signed by unknown authority"
CTR = ("ctr", "--namespace", "lab", "images")
STRICT = (
    "import ssl, sys, urllib.request; tls = ssl.create_default_context(); tls.verify_flags |= ssl.VERIFY_X509_STRICT; "
    "print(urllib.request.urlopen(sys.argv[1], context=tls).read())"
)


@dataclass(frozen=True)
class Typed:
    """What a person types for a client, what it says where it does not trust, and what makes it forget what it has."""

    command: tuple[str, ...]
    refusal: str = X509
    forget: tuple[str, ...] = ()
    user: str = "root"


CLIENTS = {
    "docker": Typed(("docker", "pull", "{reference}"), forget=("docker", "rmi", "--force")),
    "podman": Typed(("podman", "pull", "{reference}"), forget=("podman", "rmi", "--force")),
    "skopeo": Typed(("skopeo", "inspect", "docker://{reference}")),
    "buildah": Typed(("buildah", "pull", "--policy", "always", "{reference}")),
    "ctr": Typed((*CTR, "pull", "--hosts-dir", cri.CERTS_D, "{reference}"), forget=(*CTR, "rm")),
    "crane": Typed(("crane", "digest", "{reference}")),
    "oras": Typed(("oras", "manifest", "fetch", "{reference}")),
    "curl": Typed(("curl", "--silent", "--show-error", "--fail", "{url}"), refusal="SSL certificate"),
    "python3": Typed(("python3", "-c", STRICT, "{url}"), refusal="CERTIFICATE_VERIFY_FAILED"),
    "openssl": Typed(
        ("openssl", "s_client", "-verify_return_error", "-verify_ip", "{host}", "-connect", "{host}:443"),
        refusal="unable to get local issuer certificate",
    ),
    "java": Typed(("ant", "-f", "/srv/build.xml", "-Durl={url}"), refusal="PKIX path building failed"),
    "firefox": Typed((f"{HOME}/tests/firefox.py", "{url}"), refusal="SEC_ERROR_UNKNOWN_ISSUER", user="dev"),
}
OF_DIRECTORIES = ("docker", "podman", "skopeo", "buildah")
OF_SYSTEM = ("curl", "python3", "openssl", "crane", "oras")
PACKAGED_LATELY = ("crane", "oras")

ANT = '<project><get src="${url}" dest="/srv/fetched"/></project>'
"""A program of Java that fetches a file."""

CHROMIUM = ("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom")
"""Prints the page as the browser has it: the registry's own, or that of a warning."""
PAGE = "<pre>{}</pre>"
WARNING = "ERR_CERT_AUTHORITY_INVALID"

VERSIONS = {"bookworm": "1.6.", "trixie": "1.7.", "sid": "2."}
"""Of containerd: what trust needs differs between them."""

SESSION = {"XDG_RUNTIME_DIR": "/run/user/1000"}


@pytest.fixture(scope="module")
def reference(lab: Lab, suite: Suite) -> Iterator[str]:
    """An image in a registry, and a machine with every client that is to trust it; all scenarios here share them."""
    registry, desktop = lab.start({"registry": suite.name, "desktop": suite.name}, desktop="desktop")
    registry.inv("up")
    push(registry, f"{registry.address}/app:1")
    hand_over(registry, desktop)
    desktop.write("/srv/build.xml", ANT)
    desktop.does("install", "--directory", "--owner", "dev", "--mode", "0700", SESSION["XDG_RUNTIME_DIR"])
    desktop.settings |= SESSION
    # engines read the system's store once: this one before anybody tells it
    desktop.silently("docker", "pull", f"{registry.address}/app:1")
    cri.start(desktop)  # from the beginning on: where it is missing, ctr waits for it
    yield f"{registry.address}/app:1"
    lab.stop([registry.name, desktop.name])


@pytest.fixture
def client(lab: Lab, reference: str) -> Iterator[Host]:
    """The machine with every client, on which nothing is trusted, nor will be."""
    assert reference
    yield lab.hosts["desktop"]
    lab.hosts["desktop"].run("./inv", "trust.remove", user="dev", env=lab.hosts["desktop"].settings)


def _command(name: str, reference: str) -> list[str]:
    host = reference.partition("/")[0]
    words = {"reference": reference, "url": f"https://{host}/v2/", "host": host}
    return [word.format_map(words) for word in CLIENTS[name].command]


def _has(host: Host, name: str) -> bool:
    return name not in PACKAGED_LATELY or host.suite.has(name)


def are_refused(host: Host, names: Iterable[str], reference: str) -> None:
    """Insist that clients fail for want of trust, each in its own words, and whatever they had in store."""
    for name in names:
        if CLIENTS[name].forget:
            host.silently(*CLIENTS[name].forget, reference)
        if _has(host, name):
            host.fails(*_command(name, reference), saying=CLIENTS[name].refusal, user=CLIENTS[name].user)


def are_accepted(host: Host, names: Iterable[str], reference: str) -> None:
    """Insist that clients get what they ask for."""
    for name in names:
        if _has(host, name):
            host.does(*_command(name, reference), user=CLIENTS[name].user)


def test_docker_podman_skopeo_and_buildah_pull_once_they_are_told_by_every_spelling(
    client: Host, bystander: Host, reference: str
) -> None:
    with_port = reference.replace("/", ":443/")
    are_refused(client, OF_DIRECTORIES, reference)
    are_refused(client, OF_DIRECTORIES, with_port)
    client.inv("trust.linux")
    are_accepted(client, OF_DIRECTORIES, reference)
    are_accepted(client, OF_DIRECTORIES, with_port)
    are_refused(client, ["curl"], reference)  # nobody asked for the system's store
    are_refused(bystander, OF_DIRECTORIES, reference)
    client.inv("trust.remove")
    are_refused(client, OF_DIRECTORIES, reference)
    are_refused(client, OF_DIRECTORIES, with_port)


def test_containerd_pulls_once_it_is_told_for_ctr_and_for_a_kubelet_with_no_restart(
    client: Host, reference: str
) -> None:
    version = client.does("ctr", "version").out.partition("Server:")[2]
    assert f"Version:  {VERSIONS[client.suite.name]}" in version
    number = client.does("pgrep", "--full", "--oldest", "^containerd$").out
    are_refused(client, ["ctr"], reference)
    assert X509 in cri.pull_fails(client, reference)
    client.inv("trust.linux", "--only", "podman")  # another's directory is none of containerd's
    are_refused(client, ["ctr"], reference)
    assert X509 in cri.pull_fails(client, reference)

    client.inv("trust.linux", "--only", "containerd")
    are_accepted(client, ["ctr"], reference)
    cri.pull(client, reference)
    client.inv("trust.remove")
    are_refused(client, ["ctr"], reference)
    cri.forget(client, reference)
    assert X509 in cri.pull_fails(client, reference)
    assert client.does("pgrep", "--full", "--oldest", "^containerd$").out == number, "it was never restarted"


def test_programs_that_ask_the_systems_store_accept_once_that_is_told(
    client: Host, bystander: Host, reference: str
) -> None:
    are_refused(client, (*OF_SYSTEM, "java"), reference)
    client.inv("trust.linux", "--only", "system")
    are_accepted(client, (*OF_SYSTEM, "java"), reference)
    are_refused(client, ["docker"], reference)  # it reads that store when it starts, and was not restarted
    are_refused(bystander, OF_SYSTEM, reference)
    client.inv("trust.remove")
    are_refused(client, (*OF_SYSTEM, "java"), reference)


def test_java_accepts_once_its_own_store_is_told_and_the_systems_programs_do_not(client: Host, reference: str) -> None:
    are_refused(client, ["java"], reference)
    client.inv("trust.linux", "--only", "java")
    are_accepted(client, ["java"], reference)
    are_refused(client, ["curl"], reference)
    client.inv("trust.remove")
    are_refused(client, ["java"], reference)


@pytest.mark.parametrize("asked", [("--only", "nss"), ("--system",)], ids=["only", "system"])
def test_browsers_show_the_registrys_page_once_their_own_store_is_told_and_a_warning_otherwise(
    client: Host, reference: str, asked: tuple[str, ...]
) -> None:
    url = f"https://{reference.partition('/')[0]}/v2/"
    assert WARNING in _browsed(client, url)
    are_refused(client, ["firefox"], reference)
    client.inv("trust.linux", *asked)
    shown = _browsed(client, url)
    assert PAGE in shown
    assert WARNING not in shown
    are_accepted(client, ["firefox"], reference)
    if "nss" in asked:
        are_refused(client, ["curl"], reference)
    client.inv("trust.remove")
    assert WARNING in _browsed(client, url)
    are_refused(client, ["firefox"], reference)


def _browsed(host: Host, url: str) -> str:
    """Return what Chromium shows to the ordinary user, started anew; the later ones log why they show nothing."""
    return host.does(*CHROMIUM, url, user="dev").said


def test_trust_check_tells_of_each_client_what_its_own_pull_shows(client: Host, reference: str) -> None:
    asked = (*OF_DIRECTORIES, *OF_SYSTEM, "java")
    before = _checked(client, code=1)
    client.inv("trust.linux", "--system")
    after = _checked(client, code=0)
    for name in filter(lambda name: _has(client, name), asked):
        assert before[name] == "refused"
        assert after[name] == "accepted"
    are_accepted(client, OF_DIRECTORIES, reference)
    _nothing_is_left(client, reference)

    client.inv("trust.remove")
    client.inv("trust.linux", "--only", "podman")
    client.inv("trust.check", "--only", "podman,skopeo")
    client.inv_fails("trust.check", saying="did not: docker.")
    client.inv_fails("trust.check", "--only", "podman,curl", saying="did not: curl.")
    client.inv_fails("trust.check", "--only", "wget", saying="--only")
    client.inv_fails("trust.check", "--port", "444", saying="No registry answers")


def _checked(host: Host, *, code: int) -> dict[str, str]:
    """Return the results of a check by client; those of all spellings must be alike."""
    done = host.run("./inv", "trust.check", "--json", user="dev", env=host.settings)
    assert done.code == code, done
    found: dict[str, set[str]] = {}
    for row in json.loads(done.out):
        found.setdefault(row["client"], set()).add(row["result"])
    assert all(len(results) == 1 for results in found.values()), done
    return {name: results.pop() for name, results in found.items()}


def _nothing_is_left(host: Host, reference: str) -> None:
    for argv in (["docker", "images"], ["podman", "images"], ["ctr", "namespaces", "list"]):
        assert "trusted-registry" not in host.does(*argv, user="dev" if argv[0] == "podman" else "root").out
    tags = f"https://{reference.partition('/')[0]}/v2/trusted-registry-proof/tags/list"
    said = host.does("curl", "--silent", tags).out
    assert json.loads(said).get("tags") in (None, []), said
