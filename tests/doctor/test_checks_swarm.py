"""Checks of a swarm: a host, the leader and the contents are told with their cures; where all is well, nothing is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.doctor.conftest import ADDRESS, found, only
from tests.fake_swarm import NO_LEADER, FakeSwarm
from tests.recorder import Recorder
from trusted_registry import installation
from trusted_registry.certificate import inspect, issue
from trusted_registry.doctor import checks, swarm
from trusted_registry.doctor.facts import BucketFacts, SwarmFacts, SwarmHost
from trusted_registry.doctor.finding import RenewFix, StartFix
from trusted_registry.errors import NoLeaderError, RegistryError
from trusted_registry.instance import roles
from trusted_registry.instance.model import DIGEST_LABEL
from trusted_registry.registry import observe
from trusted_registry.registry.observe import Observation
from trusted_registry.swarm import stack
from trusted_registry.swarm.model import SwarmNode, Task
from trusted_registry.swarm.noted import Note

if TYPE_CHECKING:
    from tests.doctor.conftest import DoctorBox
    from trusted_registry.doctor.facts import Facts
    from trusted_registry.settings import Settings

HOSTS = (ADDRESS, "192.168.0.13", "192.168.0.14")
CERTIFICATES = ("domain.crt", "domain.key")


def _host(box: DoctorBox, host: str, **changes: Any) -> SwarmHost:  # noqa: ANN401 - of several types
    """Return a host that is well but for what is changed: fields of its own, or words of its node and containers."""
    assert box.facts.issued
    seen = Observation(host, 5443, certificate=box.facts.issued.server, status=200)
    node = SwarmNode(host, f"node-{host}", host, changes.pop("state", "ready"), changes.pop("availability", "active"))
    state, spec, error = changes.pop("registry", "running"), changes.pop("spec", "a"), changes.pop("error", "")
    registry = Task(stack.REGISTRY, host, "running", state, {DIGEST_LABEL: spec}, error)
    front = Task(stack.FRONT, host, "running", changes.pop("front", "running"), {})
    well = SwarmHost(host, node, labelled=True, registry=registry, front=front, seen=seen, met=seen)
    return replace(well, **changes)


def _facts(box: DoctorBox, *changed: SwarmHost, **changes: Any) -> Facts:  # noqa: ANN401 - of several types
    """Return facts of three hosts, of which some are not well."""
    hosts = {it: _host(box, it) for it in HOSTS} | {it.host: it for it in changed}
    return replace(
        box.facts, container=None, swarm=replace(SwarmFacts(tuple(hosts.values()), f"node-{ADDRESS}"), **changes)
    )


def test_three_hosts_that_are_well_say_nothing_and_nobody_misses_a_container_here(box: DoctorBox) -> None:
    assert checks.judge(_facts(box)) == []
    assert checks.judge(replace(_facts(box), port_holder="haproxy")) == []
    assert found(replace(_facts(box), swarm=SwarmFacts(()))) == []
    assert found(replace(_facts(box), swarm=None)) == ["container"]


SILENT = Observation(HOSTS[1], 5443, connect_error="timed out")
HANGS = Observation(HOSTS[1], 5443, refused="The read operation timed out")


@pytest.mark.parametrize(
    ("changes", "words", "cure"),
    [
        ({"node": None}, "is no node of the swarm", "./inv swarm.up --init"),
        ({"state": "down", "seen": SILENT}, "does not see 192.168.0.13", "ssh 192.168.0.13"),
        ({"state": "down", "seen": HANGS}, "its kernel answers, so it hangs", "ssh 192.168.0.13"),
        ({"availability": "drain"}, "is drain", "docker node update --availability active"),
        ({"labelled": False}, "lacks the label", "./inv swarm.up"),
        ({"registry": "failed", "error": "exit 1"}, "the registry of 192.168.0.13 is failed: exit 1", "docker service"),
        ({"front": ""}, "the front of 192.168.0.13 is absent", "docker service ps"),
        ({"seen": SILENT}, "192.168.0.13:5443: timed out", "ssh 192.168.0.13"),
        ({"seen": HANGS}, "The read operation timed out", "ssh 192.168.0.13"),
        ({"met": SILENT}, "the front of 192.168.0.13: timed out", "docker service ps"),
    ],
)
def test_a_host_that_does_not_serve_is_told_once_with_its_first_cause(
    changes: dict[str, Any], words: str, cure: str, box: DoctorBox
) -> None:
    finding = only(_facts(box, _host(box, HOSTS[1], **changes)), "host")
    assert words in finding.evidence
    assert finding.cure[0].startswith(cure)


def test_without_a_leader_hosts_are_judged_by_their_own_answers_alone(box: DoctorBox) -> None:
    unknown = [_host(box, it, node=None, labelled=False, registry="", front="") for it in HOSTS]
    without = {"leader": "", "manages": False, "error": NoLeaderError("The swarm has no leader.", cure="Wait.")}
    finding = only(_facts(box, *unknown, **without), "leader")
    assert ("no leader" in finding.evidence, "serve on" in finding.cause) == (True, True)
    away = replace(unknown[1], seen=SILENT)
    assert found(_facts(box, unknown[0], away, unknown[2], **without)) == ["leader", "host"]


def test_an_engine_that_left_the_swarm_and_one_that_refuses_are_told(box: DoctorBox) -> None:
    assert "manages no swarm" in only(_facts(box, manages=False), "leader").evidence
    refused = RegistryError("The nodes could not be asked for: x", cure="Do this.")
    finding = only(_facts(box, error=refused, manages=False), "leader")
    assert (finding.evidence, finding.cure) == (refused.message, ("Do this.",))


def test_another_certificate_than_the_one_on_disk_is_told_with_its_hosts(box: DoctorBox) -> None:
    assert box.facts.anchor
    seen = Observation(HOSTS[2], 5443, certificate=box.facts.anchor, status=200)
    finding = only(_facts(box, _host(box, HOSTS[2], seen=seen)), "certificates")
    assert finding.evidence.startswith(HOSTS[2])
    assert HOSTS[1] not in finding.evidence


def test_secrets_that_are_not_those_of_the_others_or_not_those_on_disk_are_told(box: DoctorBox) -> None:
    finding = only(_facts(box, _host(box, HOSTS[0], spec="b")), "secrets")
    assert finding.evidence.startswith(HOSTS[0])
    finding = only(_facts(box, differing=("domain.key",)), "secrets")
    assert "domain.key" in finding.evidence
    # One that is being replaced has no container yet, and tells nothing of that.
    assert found(_facts(box, _host(box, HOSTS[0], spec="b", registry="starting"))) == ["host"]


def test_a_bucket_that_is_away_is_told_and_no_host_for_it(box: DoctorBox) -> None:
    away = RegistryError("s3://images/lan does not answer", cure="See that its server runs.")
    assert found(replace(_facts(box), bucket=BucketFacts("s3://images/lan", away))) == ["bucket"]


def test_cures_are_those_of_a_swarm_and_no_repair_is_that_of_one_machine(box: DoctorBox) -> None:
    assert box.facts.observation
    silent = replace(box.facts.observation, connect_error="refused", certificate=None, status=0)
    alone = checks.judge(replace(box.facts, container=None))
    assert isinstance(alone[0].fix, StartFix)
    finding = only(replace(_facts(box), observation=silent), "served")
    assert finding.cure == ("./inv swarm.up", "docker service logs trusted-registry_registry")
    plain = replace(box.facts.observation, plain=True)
    assert only(replace(_facts(box), observation=plain), "protocol").cure == ("./inv swarm.up",)
    late = replace(_facts(box), now=box.facts.now.replace(year=box.facts.now.year + 3))
    dates = [it for it in checks.judge(late) if it.check == "dates"]
    assert dates
    assert not [it for it in dates if isinstance(it.fix, RenewFix)]
    assert any("swarm.renew" in line for it in dates for line in it.cure)


# What is asked


@pytest.fixture
def asked(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> FakeSwarm:
    """A swarm of three hosts, whose registries show the certificate on disk."""
    shown = inspect.read(settings.folder / "domain.crt")
    monkeypatch.setattr(observe, "ask", lambda at, _anchor, **_more: Observation(at.host, at.port, certificate=shown))
    return FakeSwarm(HOSTS)


def test_the_facts_are_the_swarm_s_and_each_host_s_own_answer(settings: Settings, asked: FakeSwarm) -> None:
    own = installation.known(settings.folder).id
    asked.label(asked.members[HOSTS[0]], installation.LABEL, own)
    asked.members[HOSTS[1]] = replace(asked.members[HOSTS[1]], state="down")
    asked.members[HOSTS[2]] = replace(asked.members[HOSTS[2]], availability="drain")
    facts = swarm.find(settings, Note((*HOSTS, "192.168.0.15")), asked)
    assert [it.node and it.node.word for it in facts.hosts] == ["active", "down", "drain", None]
    assert [it.labelled for it in facts.hosts] == [bool(own), False, False, False]
    assert (facts.manages, facts.error, facts.differing) == (True, None, ())
    assert {it.seen.fingerprint for it in facts.hosts} == {issue.find(settings.folder).server.fingerprint}  # type: ignore[union-attr]


def test_without_a_leader_the_hosts_are_asked_all_the_same(
    settings: Settings, asked: FakeSwarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.leaderless = 1
    facts = swarm.find(settings, Note(HOSTS), asked)
    assert isinstance(facts.error, NoLeaderError)
    assert [bool(it.seen.fingerprint) for it in facts.hosts] == [True] * 3

    def refuses() -> None:
        raise RegistryError(NO_LEADER.message.replace("leader", "certificate"), cure="x")

    monkeypatch.setattr(asked, "nodes", refuses)
    facts = swarm.find(settings, Note(HOSTS), asked)
    assert (facts.error is not None, isinstance(facts.error, NoLeaderError)) == (True, False)


def test_a_file_is_another_one_until_the_swarm_keeps_it_as_it_is_here(settings: Settings, asked: FakeSwarm) -> None:
    own = installation.ensure(settings.folder, Recorder()).id
    for file in (roles.file_of(settings.folder, it, secret=it.endswith("key")) for it in CERTIFICATES):
        asked.keep(stack.Numbered(file, 1, stack.REGISTRY), own)
    assert swarm.find(settings, Note(HOSTS), asked).differing == ()
    (settings.folder / "domain.key").write_bytes(b"another one")
    assert swarm.find(settings, Note(HOSTS), asked).differing == ("domain.key",)
