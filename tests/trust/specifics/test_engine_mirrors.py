"""Engines and the upstreams that they can mirror, as they were seen to (Docker 20.10, 26.1 and 28.5, podman)."""

from __future__ import annotations

import dataclasses

import pytest

from tests.fake_engine import FakeEngine
from trusted_registry.engine.types import DOCKER, PODMAN, EngineInfo
from trusted_registry.trust.model import Mirror
from trusted_registry.trust.specifics import engine_mirrors

HUB, GITHUB = Mirror("docker.io", "192.168.0.12:5500"), Mirror("ghcr.io", "192.168.0.12:5501")


def _info(version: str, store: str = "classic", *, product: str = DOCKER, desktop: bool = False) -> EngineInfo:
    return dataclasses.replace(FakeEngine().said, version=version, store=store, product=product, desktop=desktop)


@pytest.mark.parametrize("version", ["20.10.24+dfsg1", "26.1.5", "27.9", "dev", ""])
@pytest.mark.parametrize("store", ["classic", "containerd"])
def test_docker_before_28_mirrors_docker_hub_alone_and_the_references_that_work_are_named(
    store: str, version: str
) -> None:
    said = engine_mirrors.limit(_info(version, store), [HUB, GITHUB])
    assert "192.168.0.12:5501/org/image in place of ghcr.io/org/image" in said
    assert "docker.io/" not in said
    assert "builds" not in said


def test_docker_28_with_the_classic_store_builds_with_all_and_pulls_docker_hub_alone() -> None:
    said = engine_mirrors.limit(_info("28.5.2"), [HUB, GITHUB])
    assert "classic store" in said
    assert "in builds it asks all of them" in said
    assert "in place of ghcr.io/org/image" in said


@pytest.mark.parametrize("version", ["28.0.0", "29.1.3", "30.0"])
def test_docker_from_28_on_with_the_containerd_store_mirrors_all(version: str) -> None:
    assert engine_mirrors.limit(_info(version, "containerd"), [HUB, GITHUB]) == ""
    assert engine_mirrors.is_asked(_info(version, "containerd"), "ghcr.io")


def test_docker_desktop_mirrors_docker_hub_alone() -> None:
    said = engine_mirrors.limit(_info("28.5.2", "containerd", desktop=True), [GITHUB])
    assert said.startswith("Docker Desktop: ")
    assert "builds" not in said


def test_podman_at_docker_s_socket_mirrors_all_by_its_own_file() -> None:
    assert "registries.conf.d" in engine_mirrors.limit(_info("4.3.1", product=PODMAN), [GITHUB])
    assert "in place of" not in engine_mirrors.limit(_info("4.3.1", product=PODMAN), [GITHUB])


@pytest.mark.parametrize("mirrors", [[], [HUB]])
def test_with_docker_hub_alone_there_is_nothing_to_say(mirrors: list[Mirror]) -> None:
    assert engine_mirrors.limit(_info("20.10.24"), mirrors) == ""


@pytest.mark.parametrize(
    ("version", "later"),
    [("20.10.24+dfsg1", True), ("24.0.9", True), ("25.0.0", False), ("28.5.2", False), ("", False)],
)
def test_builds_of_docker_before_25_ask_the_mirror_of_docker_hub_after_a_restart(version: str, *, later: bool) -> None:
    assert engine_mirrors.builds_with_restart(_info(version), [HUB, GITHUB]) is later
    assert not engine_mirrors.builds_with_restart(_info(version), [GITHUB])
    assert not engine_mirrors.builds_with_restart(_info(version, product=PODMAN), [HUB])
