"""What programs say that bring rules and stores of their own: Firefox, Java, and those in Rust."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.messages import Case, nothing, runs
from tests.e2e.steps import hand_over
from tests.e2e.test_every_client import ANT, CLIENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.hosts import Done, Host
    from tests.e2e.lab import Lab
    from tests.e2e.messages import Tally
    from tests.e2e.suites import Suite

DOCUMENT = r"""
sed -e 's/^# *req_extensions = v3_req/req_extensions = v3_req/' \
    -e '/^\[ *v3_ca *\]/a subjectAltName = @alt_names' /etc/ssl/openssl.cnf > openssl.cnf
printf '\n[ alt_names ]\nIP.1 = %s\n' "$1" >> openssl.cnf
mkdir -p certs
openssl req -newkey rsa:4096 -nodes -sha256 -keyout certs/domain.key -x509 -days 365 -out certs/domain.crt \
    -config openssl.cnf -subj "/CN=$1"
rm openssl.cnf
"""
"""What the document has a person type for a certificate; openssl makes an authority of it."""

UV = "/srv/uv/bin/uv"
BUNDLE = {"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
"""Has a program with authorities of its own trust those of the system."""


@pytest.fixture
def case(registry: Host, lab: Lab, suite: Suite, tally: Tally) -> Case:
    """A registry, and a machine with browsers that nobody has used."""
    name = registry.name.replace("registry", "desktop")
    (desktop,) = lab.start({name: suite.name}, desktop=name)
    return Case(registry, desktop, tally)


def firefox(case: Case) -> Callable[[], Done]:
    """Return how the ordinary user's Firefox opens the registry's page."""
    command = [word.format(url=_url(case)) for word in CLIENTS["firefox"].command]
    return runs(case.client, *command, user="dev")


def _url(case: Case) -> str:
    return f"https://{case.registry.address}/v2/"


def test_what_firefox_and_programs_in_rust_say_of_an_authority_in_a_servers_place_is_explained_and_cured(
    case: Case,
) -> None:
    registry, desktop = case.registry, case.client
    registry.does("sh", "-ec", DOCUMENT, "sh", registry.address, user="dev")
    registry.inv("registry.tls")
    hand_over(registry, desktop, "domain.crt")
    desktop.does("python3", "-m", "venv", "/srv/uv")
    desktop.does("/srv/uv/bin/pip", "install", "--quiet", "uv")
    fetches = ["python", "list", "--no-cache", "--python-downloads-json-url", _url(case)]
    opens, uv = firefox(case), runs(desktop, UV, *fetches, env=BUNDLE)
    case.cure(case.means(opens(), "unknown-authority-browser"))
    desktop.inv("trust.linux", "--only", "system")
    desktop.does("curl", "--silent", "--show-error", "--fail", _url(case))  # which takes it as it is
    case.means(uv(), "authority-as-server")
    case.cures_with_a_new_authority("authority-as-server", opens)
    assert uv().code == 0


def test_what_firefox_and_java_say_of_an_authority_that_they_do_not_know_is_explained_and_cured(case: Case) -> None:
    registry, desktop = case.registry, case.client
    registry.inv("up")
    hand_over(registry, desktop)
    desktop.write("/srv/build.xml", ANT)
    case.cures("unknown-authority-browser", firefox(case), between=nothing)
    java = [word.format(url=_url(case)) for word in CLIENTS["java"].command]
    case.cures("unknown-authority-java", runs(desktop, *java), between=nothing)
