"""Three hosts on paper: a swarm and an engine in memory, scripts that are noted, registries that are as they should."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ADDRESS
from tests.fake_engine import FakeEngine
from tests.fake_images import IMAGE
from tests.fake_swarm import FakeSwarm, node
from tests.recorder import Recorder
from trusted_registry import address
from trusted_registry.bucket import opening
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.engine import engine as engines
from trusted_registry.instance import pulls
from trusted_registry.run import Run
from trusted_registry.swarm import machines, rollout
from trusted_registry.tasks import swarm, swarm_hosts, swarm_images, swarm_plan, swarm_up
from trusted_registry.trust.remote.hosts import REFUSED, HostResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.conftest import MakeSettings
    from trusted_registry.report import Report
    from trusted_registry.settings import Settings
    from trusted_registry.tasks.swarm_hosts import Access

HOSTS = (ADDRESS, "192.168.0.13", "192.168.0.14")
VIRTUAL = "192.168.0.10"
BUCKET = {"storage": "s3://images/lan", "storage_endpoint": "https://192.168.0.9:8333"}
HAPROXY = "haproxy:lts"
STOPS = "once it is back: ssh -t 192.168.0.14 sudo systemctl disable --now keepalived"
"""How a host that may keep the virtual address gives that up."""


@dataclass
class Place:
    """A checkout whose registry is to be on a swarm.

    Args:
        settings: Settings of a run without flags.
        facts: Facts of hosts that differ from those of a sound one.
        fails: Reasons why scripts fail, by script and host.
    """

    settings: Settings
    swarm: FakeSwarm
    engine: FakeEngine
    console: Recorder = field(default_factory=Recorder)
    facts: dict[str, dict[str, str]] = field(default_factory=dict)
    fails: dict[tuple[str, str], str] = field(default_factory=dict)
    carried: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    scripts: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def run(self) -> Run:
        """A run of the next task."""
        return Run(self.settings, self.console)

    def up(self, hosts: Sequence[str] = HOSTS, *, init: bool = False) -> Report:
        """Type swarm.up."""
        return swarm_up.up(self.run, hosts=tuple(hosts), init=init, user="", ask_become_pass=False)

    def down(self, purge: str = "") -> None:
        """Type swarm.down."""
        swarm.down(self.run, purge=purge, user="", ask_become_pass=False)

    def carry(
        self,
        name: str,
        script: bytes,
        hosts: Sequence[str],
        _access: Access,
        run: Run,
        *,
        large: bool = False,  # noqa: ARG002 - no difference here
    ) -> tuple[HostResult, ...]:
        """Note a script, and say what each host would."""
        if not hosts or run.console.dry:
            return ()
        self.carried.append((name, tuple(hosts)))
        self.scripts[name] = script
        return tuple(self._result(name, it) for it in hosts)

    def _result(self, name: str, host: str) -> HostResult:
        if reason := self.fails.get((name, host)):
            return HostResult(host, REFUSED, reason)
        if name == "join.sh":
            self.swarm.members[host] = node(host, manager=b"SWMTKN-manager" in self.scripts[name])
        return HostResult(host, "ready", facts=self._facts(host) if name == "inspect.sh" else ())

    def _facts(self, host: str) -> tuple[str, ...]:
        there = self.swarm.members.get(host)
        said = {
            "engine": "26.1.5",
            "state": "active" if there else machines.INACTIVE,
            "node": there.id if there else "",
            "time": str(int(time.time())),
            "unprivileged": "1024",
            **self.facts.get(host, {}),
        }
        return tuple(f"{name}={value}" for name, value in said.items())


@pytest.fixture
def place(certified: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A checkout with a bucket, on a machine that is one of the hosts of a swarm."""
    settings = certified(**BUCKET)
    Credentials("access", "hidden").keep(settings.folder)
    made = Place(settings, FakeSwarm(HOSTS), FakeEngine(images=(IMAGE, HAPROXY)))
    monkeypatch.setattr(address, "own_addresses", lambda: (ADDRESS,))
    monkeypatch.setattr(engines, "connect", lambda _console: made.engine)
    monkeypatch.setattr(swarm_plan, "connect", lambda _run: made.swarm)
    monkeypatch.setattr(swarm_hosts, "carry", made.carry)
    monkeypatch.setattr(opening, "opened", lambda _settings: "bucket")
    monkeypatch.setattr(opening, "prove", lambda *_arguments, **_options: "bucket")
    monkeypatch.setattr(
        rollout, "check_served", lambda hosts, port, _run: made.asked.append(f"{','.join(hosts)} {port}")
    )
    monkeypatch.setattr(rollout, "show", lambda _hosts, port, _run: made.asked.append(f"proof {port}"))
    monkeypatch.setattr(machines, "check_virtual", lambda virtual: made.asked.append(f"virtual {virtual}"))
    monkeypatch.setattr(pulls, "keep", lambda *_arguments: None)
    monkeypatch.setattr(swarm_images, "forget_pulls", lambda *_arguments: made.asked.append("pulls are forgotten"))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(rollout, "MONITOR_SECONDS", 0.0)
    return made
