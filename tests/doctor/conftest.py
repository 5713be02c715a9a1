"""A healthy machine as facts: real certificates, a real registry on loopback, stores in a folder of the test's own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from tests import forge
from trusted_registry.certificate import inspect, issue
from trusted_registry.doctor import checks, store_states
from trusted_registry.doctor.facts import Disk, Facts, FileMode
from trusted_registry.engine.types import Container, EngineInfo
from trusted_registry.registry.observe import Observation
from trusted_registry.trust import client_stores
from trusted_registry.trust.machine import Machine
from trusted_registry.trust.model import Store, TrustAnchor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.conftest import MakeSettings
    from tests.forge import Forged
    from trusted_registry.doctor.facts import StoreState
    from trusted_registry.doctor.finding import Finding
    from trusted_registry.settings import Settings
    from trusted_registry.trust.local.ledger import Entry

ADDRESS = "192.168.0.12"
ENGINE = EngineInfo(
    "Debian", "28.5.2", "unix:///run/docker.sock", rootless=False, store="classic", insecure=(), desktop=False
)
RUNNING = Container("1", "tls", "d", "running", "registry:3", "", 443)


@dataclass
class DoctorBox:
    """A machine's disk below a folder, and facts about it that have nothing wrong in them."""

    folder: Path
    facts: Facts
    signer: Forged

    @property
    def machine(self) -> Machine:
        """The folders of its user, who has no programs."""
        home = self.folder / "home"
        return Machine(home, home / ".config", home / ".local", self.folder / "run", home / ".docker", (), self.folder)

    @property
    def anchor(self) -> TrustAnchor:
        """What is to be trusted on it."""
        assert self.facts.anchor
        content = self.facts.anchor.path.read_bytes()
        return TrustAnchor(content, self.facts.anchor.fingerprint, (ADDRESS, f"{ADDRESS}:443"))

    def store(self, key: str) -> Store:
        """Return a row of the table."""
        return next(store for store in client_stores.STORES if store.key == key)

    def trusts(self, *keys: str) -> None:
        """Write what stores need."""
        for key in keys:
            for file in self.store(key).files(self.anchor):
                path = self.machine.path(file.path)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.content)

    def serves(self, forged: Forged) -> None:
        """Have another certificate beside the same authority, on disk and on the wire."""
        forge.save(forged, self.facts.settings.folder, "domain")
        server = inspect.read(self.facts.settings.folder / "domain.crt")
        assert self.facts.issued
        assert self.facts.observation
        issued = replace(self.facts.issued, server=server)
        self.facts = replace(self.facts, issued=issued, observation=replace(self.facts.observation, certificate=server))


def found(facts: Facts, client: str = "") -> list[str]:
    """Return the keys of what is wrong, each once."""
    return list(dict.fromkeys(finding.check for finding in checks.judge(facts, client)))


def only(facts: Facts, check: str) -> Finding:
    """Return the only thing that is wrong."""
    findings = checks.judge(facts)
    assert [finding.check for finding in findings] == [check]
    return findings[0]


def observed(box: DoctorBox, **changes: object) -> Facts:
    """Return facts with something else on the wire."""
    assert box.facts.observation
    return replace(box.facts, observation=replace(box.facts.observation, **changes))  # type: ignore[arg-type]


def contained(box: DoctorBox, **changes: object) -> Facts:
    """Return facts with another container."""
    assert box.facts.container
    return replace(box.facts, container=replace(box.facts.container, **changes))  # type: ignore[arg-type]


def stored_states(box: DoctorBox, *keys: str, known: Sequence[Entry] = ()) -> tuple[StoreState, ...]:
    """Return what stores of a machine hold, looked at as on any."""
    return tuple(store_states.store_state(box.store(key), box.anchor, known, box.machine) for key in keys)


@pytest.fixture
def settings(certified: MakeSettings) -> Settings:
    """A checkout with a certificate."""
    return certified()


@pytest.fixture
def box(tmp_path: Path, make_settings: MakeSettings) -> DoctorBox:
    """A machine on which all is well: every check must be silent about it."""
    settings = make_settings()
    signer = forge.authority()
    forge.save(signer, settings.folder, "ca")
    forge.save(forge.server(signer), settings.folder, "domain")
    issued = issue.find(settings.folder)
    assert issued
    now = inspect.now()
    shown = Observation(ADDRESS, 443, certificate=issued.server, protocol="TLSv1.3", status=200, skew=0.4)
    facts = Facts(
        settings,
        now,
        issued=issued,
        anchor=issued.anchor,
        file_modes=(
            FileMode(settings.folder, 0o755, owned=True),
            FileMode(settings.folder / "ca.key", 0o600, owned=True),
        ),
        own_addresses=(ADDRESS,),
        engine=ENGINE,
        container=RUNNING,
        wanted="d",
        observation=shown,
        disk=Disk("/var/lib/docker", 10 << 30, 1000, 900),
        first_port=1024,
    )
    return DoctorBox(tmp_path / "disk", facts, signer)
