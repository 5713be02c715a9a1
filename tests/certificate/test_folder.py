"""A folder of certificates: what of it clients trust, its configuration, and how it is emptied."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.disk import mode, snapshot
from tests.recorder import Recorder
from trusted_registry.certificate import clear, config_file, inspect, issue, make, rules
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trusted_registry.settings import Settings

pytestmark = pytest.mark.usefixtures("small_rsa")

NAMES = ("ca.crt", "issuer.crt", "issuer.key", "domain.crt", "domain.key")


def _without(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


# What clients trust


def test_clients_trust_the_authority(issued: Path) -> None:
    assert issue.trust_anchor(issued).path == issued / "ca.crt"


def test_clients_trust_the_single_certificate_itself(self_signed: Path) -> None:
    assert issue.trust_anchor(self_signed).path == self_signed / "domain.crt"


def test_a_client_s_machine_needs_no_key_to_trust(issued: Path) -> None:
    _without("issuer.key", "issuer.crt", "domain.key", "domain.crt")(issued)
    assert issue.trust_anchor(issued).path == issued / "ca.crt"


@pytest.mark.parametrize(
    ("change", "cure"), [(_without(*NAMES), "./inv up "), (_without("ca.crt", "issuer.crt"), "Put the ca.crt back ")]
)
def test_a_folder_without_anything_to_trust_says_so(change: Callable[[Path], None], cure: str, issued: Path) -> None:
    change(issued)
    with pytest.raises(RegistryError, match="holds no certificate to trust") as caught:
        issue.trust_anchor(issued)
    assert caught.value.cure.startswith(cure)


# The configuration


def test_the_configuration_alone_can_be_rendered(settings: Settings, console: Recorder) -> None:
    path = config_file.write(Run(settings, console))
    assert (set(snapshot(settings.folder)), mode(path)) == ({"openssl.cnf"}, 0o644)


def test_the_configuration_names_this_machine_s_address(settings: Settings, console: Recorder) -> None:
    assert "\nIP.1 = 192.168.0.12\n" in config_file.write(Run(settings, console)).read_text()


def test_a_dry_configuration_writes_nothing(settings: Settings) -> None:
    config_file.write(Run(settings, Recorder(dry=True)))
    assert not settings.folder.exists()


@pytest.mark.process
def test_the_command_that_is_shown_for_the_configuration_makes_the_same_file(
    settings: Settings, console: Recorder
) -> None:
    path = config_file.write(Run(settings, console))
    made = path.read_bytes()
    path.unlink()
    (typed,) = console.typed
    subprocess.run(["sh", "-c", typed], check=True, stdout=subprocess.DEVNULL)
    assert path.read_bytes() == made


# Taking it away


def test_purge_takes_away_what_was_issued_and_nothing_else(issued: Path, console: Recorder) -> None:
    for name in (".gitignore", "trust-me.txt", "trust-192.168.0.12-0123456789abcdef.sh"):
        (issued / name).touch()
    clear.remove_all(issued, console)
    assert set(snapshot(issued)) == {".gitignore", "trust-me.txt"}


def test_a_dry_purge_takes_nothing_away_and_shows_what_it_would(issued: Path) -> None:
    before, console = snapshot(issued), Recorder(dry=True)
    clear.remove_all(issued, console)
    assert (snapshot(issued), ["rm", str(issued / "issuer.key")] in console.commands) == (before, True)


def test_a_dry_run_of_the_first_certificate_makes_nothing(settings: Settings) -> None:
    assert issue.ensure(Run(settings, Recorder(dry=True)))
    assert not settings.folder.exists()


def test_every_secret_is_listed_by_no_public_mode() -> None:
    assert [name for name in make.MODES if name.endswith(".key")] == []


def test_facts_of_what_was_made_are_checked_clean(settings: Settings, issued: Path) -> None:
    found = issue.find(issued)
    assert found
    assert rules.check(found.server, found.authority, settings.hosts, inspect.now(), issuers=found.issuers) == []
