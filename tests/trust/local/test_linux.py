"""trust.linux beside what others configured: builders that must be made anew, a containerd that cannot be read."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import programs
from tests.disk import snapshot
from tests.fake_engine import nobody
from tests.loopback import free_port
from tests.trust.engines import RootlessEngine
from tests.trust.specifics.test_buildkit import PLAIN
from trusted_registry.errors import RegistryError
from trusted_registry.registry import prove
from trusted_registry.run import Run
from trusted_registry.tasks import trust
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import trust_anchor

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from tests.recorder import Recorder
    from trusted_registry.settings import Settings


@pytest.fixture
def settings(certified: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with a certificate, and a builder that was made before it."""
    made = certified(address="nowhere.invalid")
    monkeypatch.setattr("trusted_registry.engine.engine.connect_if_available", lambda *_console, **_how: nobody())
    instances = Path.home() / ".docker" / "buildx" / "instances"
    instances.mkdir(parents=True)
    (instances / "plain").write_text(PLAIN)
    return made


def _linux(settings: Settings, console: Recorder, *, asked: bool) -> list[str]:
    trust.linux(Run(settings, console), only=("buildkit",), rebuild_builders=asked)
    return [line for line in console.typed if line.startswith("docker buildx")]


def test_how_a_builder_is_made_anew_is_said_and_not_done(settings: Settings, console: Recorder) -> None:
    shown = _linux(settings, console, asked=False)
    assert [line.split()[2] for line in shown] == ["rm", "create"]
    assert "the builder plain must be recreated; --rebuild-builders does this:" in console.said


@pytest.mark.process
def test_on_request_it_is_done(
    settings: Settings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "docker.log"
    programs.put("docker", f'echo "$2 $3" >> {log}', tmp_path, monkeypatch)
    _linux(settings, console, asked=True)
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["rm", "create"]


def _containerd(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = programs.put("containerd", script, tmp_path, monkeypatch)
    machine = dataclasses.replace(machines.current(), programs=(folder,))
    monkeypatch.setattr(machines, "current", lambda: machine)


@pytest.mark.process
def test_a_containerd_that_cannot_read_its_configuration_is_named_with_the_line_and_nothing_is_written(
    settings: Settings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "containerd: failed to load TOML: /etc/containerd/config.toml: (3, 5): unexpected token"
    _containerd(f'echo "{said}" >&2; exit 1', tmp_path, monkeypatch)
    with pytest.raises(RegistryError, match=r"/etc/containerd/config\.toml: \(3, 5\)"):
        trust.linux(Run(settings, console), only=("containerd",))
    assert (snapshot(machines.current().root), console.commands) == ({}, [])


@pytest.mark.process
@pytest.mark.parametrize("user", [1000, 0])
def test_what_keeps_containerd_from_reading_is_said_and_the_rest_is_done(
    settings: Settings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int
) -> None:
    plugin = '[plugins."io.containerd.grpc.v1.cri"]\nsandbox_image = "pause"'
    _containerd(f"printf '%b\\n' '{plugin}'", tmp_path, monkeypatch)
    monkeypatch.setattr("trusted_registry.tasks.trust.os.geteuid", lambda: user)
    trust.linux(Run(settings, console), only=("containerd",))
    restart = f"; then: {'sudo ' if user else ''}systemctl restart containerd"
    assert [line for line in console.warned if "its config_path is not set" in line and line.endswith(restart)]
    assert (machines.current().root / "etc/containerd/certs.d/nowhere.invalid/hosts.toml").exists()


def test_a_registry_that_is_off_is_told_at_once_and_no_engine_asks_it_for_half_a_minute(
    certified: MakeSettings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = RootlessEngine()
    monkeypatch.setattr("trusted_registry.engine.engine.connect_if_available", lambda *_console, **_how: engine)
    monkeypatch.setattr(prove, "refusal", lambda *_asked: pytest.fail("the engine was asked"))
    made = dataclasses.replace(certified(), address="127.0.0.1", port=free_port())
    begun = time.monotonic()
    trust.linux(Run(made, console), only=("docker-rootless",))
    assert time.monotonic() - begun < 10
    (told,) = console.warned
    assert told.startswith(
        f"127.0.0.1:{made.port} does not answer: Connection refused. Once it does, prove the trust: "
    )
    assert (Path.home() / f".config/docker/certs.d/127.0.0.1:{made.port}/ca.crt").exists()


def test_an_engine_that_verifies_nothing_proves_nothing_and_the_reason_is_told(
    certified: MakeSettings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = certified(names="127.0.0.2,192.168.0.13")
    engine = RootlessEngine()
    engine.verifies_nothing_at("127.0.0.0/8", "192.168.0.13")
    monkeypatch.setattr("trusted_registry.engine.engine.connect_if_available", lambda *_console, **_how: engine)
    asked: list[str] = []
    monkeypatch.setattr(prove, "refusal", lambda registry_host, _engine: asked.append(registry_host))
    monkeypatch.setattr(trust_anchor, "check_serves", lambda _settings: "")
    trust.linux(Run(made, console), only=("docker-rootless",))
    verified = ["192.168.0.12", "192.168.0.12:443"]
    assert asked == verified
    assert [line for line in console.said if line.startswith("proof")] == [
        f"proof: the engine accepts {it}" for it in verified
    ]
    assert [line.partition("nothing at ")[2] for line in console.warned] == [
        "127.0.0.2: of loopback, Docker never does",
        "127.0.0.2:443: of loopback, Docker never does",
        "192.168.0.13: see insecure-registries in its daemon.json",
        "192.168.0.13:443: see insecure-registries in its daemon.json",
    ]
