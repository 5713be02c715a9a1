"""Doctor asks the swarm that is noted, and none where the registry is on this machine alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.swarm.conftest import HOSTS
from trusted_registry.certificate import inspect
from trusted_registry.doctor import checks, gather
from trusted_registry.doctor.facts import Facts, SwarmFacts
from trusted_registry.engine import connection
from trusted_registry.errors import RegistryError
from trusted_registry.registry import observe
from trusted_registry.registry.observe import Observation
from trusted_registry.swarm import noted
from trusted_registry.tasks import doctor, swarm_plan

if TYPE_CHECKING:
    from tests.swarm.conftest import Place


@pytest.fixture
def given(place: Place, monkeypatch: pytest.MonkeyPatch) -> list[SwarmFacts | None]:
    """Facts of a swarm that were gathered for checks, which find nothing."""
    gathered: list[SwarmFacts | None] = []

    def local(*arguments: object) -> Facts:
        gathered.append(arguments[-1])  # type: ignore[arg-type]
        return Facts(place.settings, inspect.now())

    monkeypatch.setattr(connection, "connect_error", lambda: None)
    monkeypatch.setattr(observe, "ask", lambda at, _anchor, **_more: Observation(at.host, at.port))
    monkeypatch.setattr(gather, "local", local)
    monkeypatch.setattr(checks, "judge", lambda _facts, _client: [])
    return gathered


def test_hosts_of_a_swarm_are_examined(place: Place, given: list[SwarmFacts | None]) -> None:
    place.up()
    doctor.examine(place.run, client="", remote="", fix=False)
    assert given[0]
    for it, host in zip(given[0].hosts, HOSTS, strict=True):
        assert it.node
        assert (it.host, it.node.works, it.labelled, it.registry.state) == (host, True, True, "running")
    assert (given[0].error, given[0].manages, given[0].differing) == (None, True, ())


def test_hosts_that_cannot_be_asked_for_are_no_registry_on_this_machine(
    place: Place, given: list[SwarmFacts | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    place.up()

    def refuses(_run: object) -> None:
        raise RegistryError("No engine answers.", cure="./inv engine")

    monkeypatch.setattr(swarm_plan, "connect", refuses)
    doctor.examine(place.run, client="", remote="", fix=False)
    assert given == [SwarmFacts(())]


def test_without_a_swarm_none_is_asked(place: Place, given: list[SwarmFacts | None]) -> None:
    doctor.examine(place.run, client="", remote="", fix=False)
    assert given == [None]


def test_a_note_that_is_damaged_keeps_doctor_from_nothing_else(place: Place, given: list[SwarmFacts | None]) -> None:
    (place.settings.folder / noted.FILE).write_text("{")
    doctor.examine(place.run, client="", remote="", fix=False)
    assert given == [None]
