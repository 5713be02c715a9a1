"""Checks of mirrors: each fault is told with its cure, and a mirror that is well says nothing."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from trusted_registry.doctor import checks_mirror
from trusted_registry.doctor.facts import Disk, Facts, MirrorFacts
from trusted_registry.doctor.finding import MirrorFix
from trusted_registry.mirror.reach import Reach, State
from trusted_registry.mirror.upstream import Upstream

if TYPE_CHECKING:
    from trusted_registry.settings import Settings

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
HUB, AT = "docker.io", "192.168.0.12:5500"
ANSWERS, AWAY = (Reach(Upstream(HUB), it, "dial tcp: no route to host") for it in (State.ANSWERS, State.AWAY))
ROOMY, FULL = Disk("the volume x", 50 << 30, 0, 0), Disk("the volume x", 1 << 20, 0, 0)


@pytest.mark.parametrize(
    ("facts", "evidence", "cure"),
    [
        (MirrorFacts(HUB, AT, "exited"), "the mirror of docker.io is exited", "./inv mirror.up docker.io"),
        (MirrorFacts(HUB, AT, "not there"), "is not there, and clients here are told", "./inv mirror.up docker.io"),
        (MirrorFacts(HUB, AT, "running", stale=True), "shows another certificate", "./inv mirror.up docker.io"),
        (MirrorFacts(HUB, AT, "running", error="timed out"), "does not answer: timed out", "./inv mirror.up docker.io"),
        (MirrorFacts(HUB, AT, "running", reach=AWAY), "no route to host", "https://registry-1.docker.io/v2/"),
        (MirrorFacts(HUB, AT, "running", reach=ANSWERS, disk=FULL), "1 MiB are free", "./inv mirror.clean --older 30"),
    ],
)
def test_a_fault_is_told_with_its_cure(facts: MirrorFacts, evidence: str, cure: str, settings: Settings) -> None:
    (found,) = checks_mirror.mirrors(Facts(settings, NOW, mirrors=(facts,)))
    assert (found.check, evidence in found.evidence, cure in found.cure[0]) == ("mirror", True, True)


def test_a_mirror_that_is_well_says_nothing(settings: Settings) -> None:
    well = MirrorFacts(HUB, AT, "running", reach=ANSWERS, disk=ROOMY)
    assert list(checks_mirror.mirrors(Facts(settings, NOW, mirrors=(well,)))) == []
    assert list(checks_mirror.mirrors(Facts(settings, NOW))) == []


def test_what_a_start_mends_can_be_fixed_and_an_upstream_that_is_away_cannot(settings: Settings) -> None:
    every = (MirrorFacts(HUB, AT, "exited"), MirrorFacts(HUB, AT, "running", reach=AWAY))
    found = list(checks_mirror.mirrors(Facts(settings, NOW, mirrors=every)))
    assert [it.fix for it in found] == [MirrorFix(HUB), None]
