"""Mirrors of docker.io and ghcr.io: each client pulls under unchanged names, also with the cable pulled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e import mirrors
from tests.e2e.mirror_clients import CLASSIC, CLIENTS, CONTAINERD, ENGINES
from tests.e2e.mirrors import UPSTREAMS, files
from tests.e2e.upstreams import GITHUB, HUB, MUTE, REFUSED, SILENT, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.lab import Lab
    from tests.e2e.mirrors import Site
    from tests.e2e.suites import Suite
    from tests.e2e.upstreams import Upstreams


OTHERS = tuple(name for name in CLIENTS if name not in ENGINES)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each scenario the stores that the suite's engine has; those of other clients take one."""
    if "store" not in metafunc.fixturenames:
        return
    has_one = "other" in metafunc.fixturenames or metafunc.config.getoption("--suite", None) == "bookworm"
    metafunc.parametrize("store", [CLASSIC] if has_one else [CLASSIC, CONTAINERD], scope="module")


@pytest.fixture(scope="module")
def site(lab: Lab, suite: Suite, upstreams: Upstreams, store: str) -> Iterator[Site]:
    """A machine with mirrors, the stand-ins for what they mirror, and every client; all scenarios here share them."""
    (host,) = lab.start({f"mirrors-{store}": suite.name})
    yield mirrors.start(host, upstreams, store)
    lab.stop([host.name])


def test_a_build_uses_the_mirror_at_once_and_that_of_docker_20_once_the_engine_is_restarted(site: Site) -> None:
    image, name = site.images[HUB], "docker build"
    if site.host.suite.name == "bookworm":
        site.comes_from_the_upstream(name, image)
        assert "docker build" in site.said, "it says so"
    site.is_ready_for(name)
    site.comes_through_the_mirror(name, image)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_pulls_and_builds_by_the_mirror_also_without_the_upstream_and_by_the_upstream_without_the_mirror(
    site: Site, engine: str
) -> None:
    _takes_each_step(site, engine)


@pytest.mark.parametrize("other", OTHERS)
def test_another_client_pulls_by_the_mirror_also_without_the_upstream_and_by_the_upstream_without_the_mirror(
    site: Site, other: str
) -> None:
    _takes_each_step(site, other)


def _takes_each_step(site: Site, name: str) -> None:
    mirrored = [it for it in site.images.values() if site.mirrors(name, it.upstream)]
    assert mirrored
    site.is_ready_for(name)
    for image in mirrored:
        site.comes_through_the_mirror(name, image)
    with site.upstreams.away(REFUSED):
        for image in mirrored:
            site.comes_through_the_mirror(name, image)
    with site.stopped():
        for image in mirrored:
            site.comes_from_the_upstream(name, image)
        with site.upstreams.away(REFUSED):  # so it was the upstream
            assert site.pull(name, mirrored[0].reference).code


def test_an_engine_that_mirrors_the_hub_alone_reaches_another_upstream_by_the_mirrors_own_name(
    site: Site, store: str
) -> None:
    image, at = site.images[GITHUB], site.address(GITHUB)
    others = [name for name in ENGINES if not site.mirrors(name, GITHUB)]
    assert others or store == CONTAINERD
    for name in others:
        site.comes_from_the_upstream(name, image)
        changed = f"{at}/{image.path}"
        CLIENTS[name].empty(site.host, image.reference)  # with whose layers it would ask for none
        assert site.pull(name, changed).code == 0
        with site.upstreams.away(REFUSED):
            assert site.pull(name, image.reference).code
            assert site.pull(name, changed).code == 0
        CLIENTS[name].empty(site.host, changed)
    if others:
        assert f"{at}/" in site.said, "it names the reference that works"


@pytest.mark.parametrize("cut", [SILENT, REFUSED, UNKNOWN, MUTE])
def test_mirrors_that_are_restarted_while_the_upstreams_are_away_serve_every_client(site: Site, cut: str) -> None:
    names = CLIENTS if site.store == CLASSIC else ENGINES
    for image in site.images.values():
        assert site.pull("skopeo", image.reference).code == 0
    with site.upstreams.away(cut):
        site.restart()
        for name in names:
            site.is_ready_for(name)
            for image in site.images.values():
                if site.mirrors(name, image.upstream):
                    site.comes_through_the_mirror(name, image)
    for image in site.images.values():
        fresh = site.upstreams.publish(image.upstream, f"{image.repository}-{cut}")
        site.awaits(fresh)
        site.comes_through_the_mirror("skopeo", fresh)


def test_a_second_run_changes_nothing_and_proves_by_the_engine_that_it_asks_the_mirror(site: Site) -> None:
    before, running = files(site.host), site.host.containers()
    said = site.host.inv("mirror.up", UPSTREAMS).said
    assert said.count("already running") == len(site.images)
    assert "the engine asks the mirror, as its log says" in said
    assert (files(site.host), site.host.containers()) == (before, running)


def test_after_mirror_down_every_file_is_as_it_was_and_every_client_pulls_from_the_upstream(site: Site) -> None:
    assert files(site.host) != site.before
    pid = site.host.read("/var/run/docker.pid")
    site.host.inv("mirror.down", UPSTREAMS)
    assert files(site.host) == site.before
    assert not json.loads(site.host.does("docker", "info", "--format", "{{json .RegistryConfig.Mirrors}}").out)
    assert site.host.read("/var/run/docker.pid") == pid, "the engine was not restarted"
    for name in CLIENTS if site.store == CLASSIC else ENGINES:
        for image in site.images.values():
            site.comes_from_the_upstream(name, image)
