"""What registry.test says before it asks anybody, where there is nobody to be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from tests.fake_engine import FakeEngine, container
from tests.recorder import Recorder
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.registry import probe, prove
from trusted_registry.run import Run
from trusted_registry.tasks import registry

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from trusted_registry.engine.types import Container


class Try(Protocol):
    """Runs registry.test where this container is; returns the names that an image was packed for, and pushes none."""

    def __call__(self, container: Container | None, *, lan: bool, dry: bool = False) -> list[str]:
        """Return them."""


@pytest.fixture
def asked(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Try:
    """A registry.test of which nothing is left but whom it would ask."""
    settings, names = make_settings(), []
    target = registry.Target(probe.Endpoint(settings.address, settings.port), None)

    def pack(name: str, *_: object, **__: object) -> str:
        names.append(name)
        return name

    def run(container: Container | None, *, lan: bool, dry: bool = False) -> list[str]:
        monkeypatch.setattr(engines, "connect", lambda _: FakeEngine(container=container))
        registry.test(Run(settings, Recorder(dry=dry)), image="", lan=lan)
        return names

    monkeypatch.setattr(prove, "pack", pack)
    monkeypatch.setattr(registry, "prove_push_and_pull", lambda *_, **__: None)
    monkeypatch.setattr(registry, "tls_target", lambda *_, **__: target)
    return run


def test_with_lan_and_nothing_running_the_commands_that_start_a_registry_are_named(asked: Try) -> None:
    with pytest.raises(RegistryError, match="No registry runs here") as caught:
        asked(None, lan=True)
    assert ("./inv registry.basic --lan" in caught.value.cure, "./inv up" in caught.value.cure) == (True, True)


@pytest.mark.parametrize(
    ("role", "lan", "cure"),
    [
        ("plain", True, "./inv registry.basic --lan"),
        ("plain", False, "./inv registry.basic"),
        ("tls", True, "./inv up"),
        ("tls", False, "./inv up"),
    ],
)
def test_a_registry_that_was_stopped_is_not_asked_and_the_command_that_starts_it_is_named(
    role: str,
    lan: bool,  # noqa: FBT001 - a parameter
    cure: str,
    asked: Try,
) -> None:
    with pytest.raises(RegistryError, match="does not run: its container is exited") as caught:
        asked(container(role=role, state="exited"), lan=lan)
    assert caught.value.cure == cure


@pytest.mark.parametrize(("lan", "name"), [(True, "192.168.0.12:5000"), (False, "localhost:5000")])
def test_a_plain_registry_that_runs_is_asked_where_it_is_meant(
    lan: bool,  # noqa: FBT001 - a parameter
    name: str,
    asked: Try,
) -> None:
    assert asked(container(role="plain", port=5000), lan=lan) == [name]


def test_a_dry_run_shows_the_way_though_nothing_runs(asked: Try) -> None:
    assert asked(None, lan=True, dry=True)


def test_without_lan_another_machine_s_registry_is_asked(asked: Try) -> None:
    assert asked(None, lan=False) == ["192.168.0.12"]
