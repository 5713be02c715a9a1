"""Status of mirrors: the state of each, whose place a cleaning takes for a while."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from trusted_registry import installation
from trusted_registry.installation import NotedMirror
from trusted_registry.mirror import status

if TYPE_CHECKING:
    from tests.conftest import MakeSettings


@pytest.mark.parametrize(
    ("container", "state", "troubles"),
    [
        (SimpleNamespace(state="running", port=5500), "running", 0),
        (SimpleNamespace(state="running", port=49153), "being cleaned", 1),
        (SimpleNamespace(state="exited", port=5500), "exited", 1),
        (None, "stopped", 1),
    ],
)
def test_a_container_that_serves_nobody_is_not_said_to_run(
    container: SimpleNamespace | None, state: str, troubles: int, make_settings: MakeSettings
) -> None:
    settings = make_settings()
    installation.note_mirror(settings.folder, "docker.io", NotedMirror(5500))
    engine: Any = SimpleNamespace(available=True, find=lambda _: container)
    found = status.find(settings, engine)
    assert [it.state for it in found] == [state]
    assert len(status.troubles(found)) == troubles


def test_the_port_of_a_mirror_that_is_gone_stays_its_upstreams(make_settings: MakeSettings) -> None:
    folder = make_settings().folder
    for port in (5500, 5507):
        installation.note_mirror(folder, "docker.io", NotedMirror(port))
        installation.forget_mirror(folder, "docker.io")
    known = installation.known(folder)
    assert (known.mirrors, known.past_ports) == ({}, {"docker.io": (5500, 5507)})
    assert installation.parse(installation.portable(folder)).past_ports == {}
