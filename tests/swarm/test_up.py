"""swarm.up, on a swarm in memory: all of it, a second time, after a kill at any step, and what it refuses."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import ADDRESS
from tests.fake_engine import container
from tests.fake_swarm import NO_LEADER, node
from tests.mine import Killed
from tests.swarm.conftest import HOSTS, STOPS, VIRTUAL
from trusted_registry import address, installation, saved_flags
from trusted_registry.bucket import opening
from trusted_registry.certificate import inspect
from trusted_registry.errors import NotNowError, RegistryError, SettingError
from trusted_registry.installation import LABEL as INSTALLATION
from trusted_registry.swarm import machines, noted
from trusted_registry.swarm.model import Service
from trusted_registry.swarm.noted import Note
from trusted_registry.swarm.stack import FRONT, REGISTRY
from trusted_registry.tasks import swarm_hosts, swarm_plan, swarm_status, swarm_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.swarm.conftest import Place
    from trusted_registry.settings import Settings

CHECK_VIRTUAL = machines.check_virtual
DEPLOYED = "deploy registry front"


def _own(place: Place) -> str:
    return installation.known(place.settings.folder).id


def _with_address(place: Place, virtual: str) -> None:
    flags = {**place.settings.saved_flags, "address": virtual}
    place.settings = dataclasses.replace(place.settings, address=virtual, saved_flags=flags)


# All of it


def test_every_host_has_the_label_the_services_and_the_images_and_its_clients_are_told(place: Place) -> None:
    report = place.up()
    assert report.failure is None
    assert {it.labels.get(INSTALLATION) for it in place.swarm.members.values()} == {_own(place)}
    assert sorted(place.swarm.running) == sorted([REGISTRY, FRONT])
    scripts = [name.split("-")[0] for name, hosts in place.carried if hosts == HOSTS]
    assert scripts == ["inspect.sh", "load.sh", "load.sh", "trust"]
    assert place.asked == [f"{','.join(HOSTS)} 5443", f"{','.join(HOSTS)} 443", "proof 5443"]


def test_the_certificate_names_every_host_and_the_run_remembers_them(place: Place) -> None:
    place.up()
    assert inspect.read(place.settings.folder / "domain.crt").missing(HOSTS) == ()
    assert noted.read(place.settings.folder) == Note(
        HOSTS, "", 1024, tuple(f"id{it}" for it in HOSTS), swarm_plan.storage(place.settings)
    )
    assert saved_flags.read(place.settings.folder)["names"] == ",".join(HOSTS[1:])


def test_a_second_run_changes_nothing(place: Place) -> None:
    place.up()
    files, before = dict(place.swarm.files), list(place.swarm.done)
    for host in HOSTS:
        place.facts[host] = {"image": place.engine.image_id("haproxy:lts") or ""}
    place.up(())
    assert (place.swarm.done, place.swarm.files) == (before, files)
    assert "Nothing had to be changed." in place.console.said


def test_an_image_goes_only_to_the_hosts_that_lack_it(place: Place) -> None:
    place.facts[HOSTS[0]] = {"image": place.engine.image_id("haproxy:lts") or ""}
    place.up()
    assert [hosts for name, hosts in place.carried if name == "load.sh"] == [HOSTS, HOSTS[1:]]


def test_a_host_that_is_left_out_loses_its_label_and_its_name(place: Place) -> None:
    place.up()
    place.up(HOSTS[:2])
    assert place.swarm.members[HOSTS[2]].labels == {}
    assert noted.read(place.settings.folder).hosts == HOSTS[:2]


def test_a_machine_whose_ports_take_no_right_gives_the_front_none(place: Place) -> None:
    for host in HOSTS:
        place.facts[host] = {"unprivileged": "0"}
    place.up()
    assert "cap_add" not in place.swarm.running[FRONT][1]


def test_one_host_whose_ports_take_a_right_is_enough_for_it(place: Place) -> None:
    place.facts[HOSTS[0]] = {"unprivileged": "0"}
    place.up()
    assert place.swarm.running[FRONT][1]["cap_add"] == ["NET_BIND_SERVICE"]


def test_a_node_that_has_another_address_is_asked_at_that_of_its_host(place: Place) -> None:
    place.swarm.members[HOSTS[1]] = node("10.9.0.13")
    place.facts[HOSTS[1]] = {"node": "id10.9.0.13"}
    place.up()
    assert place.asked[0] == f"{','.join(HOSTS)} 5443"


def test_a_label_that_another_installation_left_behind_is_written_over(place: Place) -> None:
    place.swarm.members[HOSTS[1]] = node(HOSTS[1], labels={INSTALLATION: "1" * 32})
    place.swarm.members["192.168.0.77"] = node("192.168.0.77", labels={INSTALLATION: "2" * 32})
    place.up()
    assert place.swarm.members[HOSTS[1]].labels == {INSTALLATION: _own(place)}
    assert place.swarm.members["192.168.0.77"].labels == {INSTALLATION: "2" * 32}


def test_a_node_that_changes_meanwhile_is_labelled_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    label, busy = place.swarm.label, [NotNowError("The swarm is busy.", cure="x")]

    def refuse_once(*given: Any) -> None:  # noqa: ANN401 - as label takes
        if busy:
            raise busy.pop()
        label(*given)

    monkeypatch.setattr(place.swarm, "label", refuse_once)
    place.up()
    assert {it.labels.get(INSTALLATION) for it in place.swarm.members.values()} == {_own(place)}


# The virtual address


def test_a_virtual_address_is_tried_given_and_in_the_certificate(place: Place) -> None:
    _with_address(place, VIRTUAL)
    place.up()
    assert f"virtual {VIRTUAL}" in place.asked
    assert f"{','.join(HOSTS)},{VIRTUAL} 443" in place.asked
    assert inspect.read(place.settings.folder / "domain.crt").missing([VIRTUAL, *HOSTS]) == ()
    assert ("address.sh", HOSTS) in place.carried
    assert noted.read(place.settings.folder).address == VIRTUAL


def test_an_address_of_a_host_is_no_virtual_one(place: Place) -> None:
    place.up()
    assert [name for name, _ in place.carried if name == "address.sh"] == []


def test_one_that_is_ours_already_is_not_tried_again(place: Place) -> None:
    _with_address(place, VIRTUAL)
    place.up()
    place.up()
    assert place.asked.count(f"virtual {VIRTUAL}") == 1


def test_a_host_that_is_left_out_gives_the_address_up(place: Place) -> None:
    _with_address(place, VIRTUAL)
    place.up()
    place.carried.clear()
    place.up(HOSTS[:2])
    assert [hosts for name, hosts in place.carried if name == "address.sh"] == [HOSTS[2:], HOSTS[:2]]


def test_a_host_that_is_gone_for_good_is_left_out_though_it_cannot_be_told(place: Place) -> None:
    _with_address(place, VIRTUAL)
    place.up()
    place.fails["address.sh", HOSTS[2]] = "No route to host"
    place.swarm.members[HOSTS[2]] = dataclasses.replace(place.swarm.members[HOSTS[2]], state="down")
    place.up(HOSTS[:2])
    assert f"{HOSTS[2]} may keep the address {VIRTUAL}: No route to host; {STOPS}" in place.console.warned
    assert noted.read(place.settings.folder).hosts == HOSTS[:2]


def test_a_host_that_is_left_out_is_told_before_the_note_forgets_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_address(place, VIRTUAL)
    place.up()
    with monkeypatch.context() as patch:
        patch.setattr(swarm_hosts, "carry", _dying(place.carry, [1]))
        with pytest.raises(Killed):
            place.up(HOSTS[:2])
    assert noted.read(place.settings.folder).hosts == HOSTS
    place.carried.clear()
    place.up(HOSTS[:2])
    assert ("address.sh", HOSTS[2:]) in place.carried


def test_a_slow_host_is_not_taken_for_one_whose_clock_is_behind() -> None:
    assert machines._outside(100.0, 90.0, 200.0) == 0
    assert (machines._outside(20.0, 90.0, 200.0), machines._outside(290.0, 90.0, 200.0)) == (-70, 90)


# A swarm that is made


def test_init_makes_a_swarm_here_and_the_others_join_as_managers(place: Place) -> None:
    place.swarm.members.clear()
    place.up(init=True)
    assert place.swarm.done[0] == f"init {ADDRESS}"
    assert [(it.address, it.manager) for it in place.swarm.members.values()] == [(it, True) for it in HOSTS]


def test_a_host_that_has_just_joined_is_waited_for(place: Place) -> None:
    place.swarm.members.clear()
    place.swarm.news = 5
    place.up(init=True)
    assert {it.labels.get(INSTALLATION) for it in place.swarm.members.values()} == {_own(place)}


def test_of_two_hosts_one_manages_since_two_would_bear_no_loss(place: Place) -> None:
    place.swarm.members.clear()
    place.up(HOSTS[:2], init=True)
    assert [it.manager for it in place.swarm.members.values()] == [True, False]


def test_the_secret_by_which_a_host_joins_is_shown_nowhere(place: Place) -> None:
    place.swarm.members.clear()
    place.up(init=True)
    assert b"SWMTKN-manager" in place.scripts["join.sh"]
    assert "SWMTKN" not in str((place.console.typed, place.console.said, place.console.warned))


def test_a_manager_that_is_none_of_the_hosts_has_the_first_join_too(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "own_addresses", lambda: ("192.168.0.99",))
    place.swarm.members = {"192.168.0.99": node("192.168.0.99", leader=True, manager=True)}
    place.settings = dataclasses.replace(place.settings, saved_flags={"address": HOSTS[0]})
    place.up(init=True)
    assert [hosts for name, hosts in place.carried if name == "join.sh"] == [(it,) for it in HOSTS]
    assert [it for it in place.swarm.done if it.startswith("init")] == []


def test_a_host_that_was_made_anew_joins_as_the_manager_that_it_was(place: Place) -> None:
    place.up()
    gone = place.swarm.members.pop(HOSTS[2])
    place.swarm.members = {key: dataclasses.replace(it, manager=True) for key, it in place.swarm.members.items()}
    place.swarm.members["former"] = dataclasses.replace(gone, id="former", state="down", manager=True)
    place.facts[HOSTS[2]] = {"state": machines.INACTIVE, "node": ""}
    with pytest.raises(RegistryError, match="no node of the swarm") as caught:
        place.up()
    assert caught.value.cure.endswith(f"./inv swarm.up --init --hosts {','.join(HOSTS)}")
    place.up(init=True)
    assert place.swarm.members[HOSTS[2]].manager
    told = [it for it in place.console.warned if HOSTS[2] in it]
    assert [it.endswith("docker node demote former && docker node rm former") for it in told] == [True]


def test_a_bucket_is_tried_once_and_no_look_at_the_status_marks_it_anew(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, bool]] = []
    monkeypatch.setattr(opening, "prove", lambda *_arguments, **options: asked.append(options))
    place.up()
    place.up()
    swarm_status.status(place.run)
    assert asked == [{"is_new": True}, {"is_new": False}, {"is_new": False, "known": True}]


def test_hosts_that_another_run_added_meanwhile_stay(place: Place) -> None:
    place.up(HOSTS[:2])

    def reread() -> Settings:
        note = noted.read(place.settings.folder)
        noted.save(place.settings.folder, dataclasses.replace(note, hosts=HOSTS, nodes=(*note.nodes, "id3")))
        return place.settings

    run = dataclasses.replace(place.run, reread=reread)
    swarm_up.up(run, hosts=(), init=False, user="", ask_become_pass=False)
    assert noted.read(place.settings.folder).hosts == HOSTS


def test_a_virtual_address_that_the_hosts_have_already_is_not_in_use_by_others(place: Place) -> None:
    _with_address(place, VIRTUAL)
    place.facts[HOSTS[1]] = {"address": VIRTUAL}
    place.up()
    assert f"virtual {VIRTUAL}" not in place.asked


def test_nobody_joins_at_a_manager_that_tells_no_address(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "own_addresses", lambda: ("192.168.0.99",))
    place.swarm.members = {"": node("", leader=True, manager=True)}
    place.settings = dataclasses.replace(place.settings, saved_flags={"address": HOSTS[0]})
    with pytest.raises(RegistryError, match="no address at which a host could join"):
        place.up(init=True)
    assert [name for name, _ in place.carried if name == "join.sh"] == []


def test_a_host_that_clients_come_by_is_not_left_out_and_made_a_virtual_address(place: Place) -> None:
    place.up()
    place.settings = dataclasses.replace(place.settings, saved_flags={"address": HOSTS[0]})
    with pytest.raises(SettingError, match="a host that is to be none any more") as caught:
        place.up(HOSTS[1:])
    assert caught.value.cure == f"./inv swarm.up --hosts {HOSTS[1]},{HOSTS[2]} --address {HOSTS[1]}"
    assert noted.read(place.settings.folder).hosts == HOSTS


def test_without_init_and_a_swarm_the_way_to_one_is_told(place: Place) -> None:
    place.swarm.members.clear()
    with pytest.raises(RegistryError, match="manages no swarm") as caught:
        place.up()
    assert "swarm.up --init --hosts" in caught.value.cure
    assert not (place.settings.folder / noted.FILE).exists()


@pytest.mark.parametrize("facts", [{"taken": "443"}, {"state": "active", "node": "x"}, {"engine": "19.03"}])
def test_what_is_refused_is_refused_before_there_is_a_swarm(facts: dict[str, str], place: Place) -> None:
    place.swarm.members.clear()
    place.facts[HOSTS[1]] = facts
    with pytest.raises(RegistryError):
        place.up(init=True)
    assert (place.swarm.done, [name for name, _ in place.carried]) == ([], ["inspect.sh"])


def test_a_virtual_address_that_is_taken_is_refused_before_there_is_a_swarm(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.swarm.members.clear()
    _with_address(place, VIRTUAL)
    monkeypatch.setattr(address, "own_addresses", lambda: (ADDRESS, VIRTUAL))
    monkeypatch.setattr(machines, "check_virtual", CHECK_VIRTUAL)
    with pytest.raises(SettingError, match="in use by this machine"):
        place.up(init=True)
    assert place.swarm.done == []


def test_a_manager_that_has_no_leader_yet_is_asked_for_the_secret_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.swarm.members.clear()
    token, leaderless = place.swarm.token, [NO_LEADER]

    def leaderless_once(*, manager: bool) -> str:
        if leaderless:
            raise leaderless.pop()
        return token(manager=manager)

    monkeypatch.setattr(place.swarm, "token", leaderless_once)
    place.up(init=True)
    assert len(place.swarm.members) == 3


# A single registry before


def test_a_registry_on_this_machine_goes_on_until_those_of_the_hosts_are_proved(place: Place) -> None:
    place.engine.container = container(bucket="s3://images/lan", installation=_made(place))
    place.facts[ADDRESS] = {"taken": "443"}
    place.up()
    assert place.engine.find("registry") is None
    assert [it for it in place.swarm.done if it.startswith("deploy")] == ["deploy registry", DEPLOYED]
    assert place.asked[:2] == [f"{','.join(HOSTS)} 5443", "proof 5443"]
    assert [it for it in place.console.said if "moved over; no answer here for" in it]
    assert place.asked.count("pulls are forgotten") == 1


def test_of_the_ports_of_one_its_own_alone_may_be_taken(place: Place) -> None:
    place.engine.container = container(bucket="s3://images/lan", installation=_made(place))
    place.settings = dataclasses.replace(place.settings, port=8443)
    place.facts[ADDRESS] = {"taken": "8443"}
    with pytest.raises(RegistryError, match=f"Port 8443 of {ADDRESS} is in use"):
        place.up()
    assert (place.engine.find("registry") is None, place.swarm.running) == (False, {})


def test_one_whose_images_are_in_a_volume_is_refused_with_the_way(place: Place) -> None:
    place.engine.container = container(volume="trusted-registry", installation=_made(place))
    with pytest.raises(RegistryError, match="in the volume trusted-registry") as caught:
        place.up()
    assert "registry.move --to s3://images/lan" in caught.value.cure
    assert (place.engine.find("registry") is not None, place.swarm.done) == (True, [])


def test_one_whose_images_are_in_another_bucket_is_refused_with_the_way(place: Place) -> None:
    place.engine.container = container(bucket="s3://images/other", installation=_made(place))
    with pytest.raises(RegistryError, match="in s3://images/other"):
        place.up()
    assert (place.engine.find("registry") is not None, place.swarm.done) == (True, [])


def _made(place: Place) -> str:
    return installation.ensure(place.settings.folder, place.console).id


# What is refused, before anything is changed


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"engine": "19.03.15"}, "older than 20.10"),
        ({"engine": "dev"}, "older than 20.10"),
        ({"time": "1000000000"}, "behind of this one"),
        ({"taken": "443"}, "Port 443 of 192.168.0.13 is in use"),
        ({"taken": "5443"}, "Port 5443 of 192.168.0.13 is in use"),
        ({"unprivileged": "many"}, "does not tell of itself"),
    ],
)
def test_a_host_that_will_not_do_is_named_and_nothing_is_changed(
    facts: dict[str, str], reason: str, place: Place
) -> None:
    place.facts[HOSTS[1]] = facts
    with pytest.raises(RegistryError, match=reason) as caught:
        place.up()
    assert caught.value.cure
    assert (place.swarm.done, noted.read(place.settings.folder).hosts) == ([], ())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"state": "down"}, "is down"), ({"availability": "drain"}, "is drain")],
)
def test_a_node_that_is_away_is_named(changes: dict[str, str], reason: str, place: Place) -> None:
    place.swarm.members[HOSTS[1]] = node(HOSTS[1], **changes)
    with pytest.raises(RegistryError, match=reason):
        place.up()
    assert place.swarm.done == []


def test_a_host_of_another_swarm_is_told_from_one_of_none(place: Place) -> None:
    del place.swarm.members[HOSTS[1]]
    with pytest.raises(RegistryError, match="is no node of the swarm here"):
        place.up()
    place.facts[HOSTS[1]] = {"state": "active", "node": "other"}
    with pytest.raises(RegistryError, match="is in another swarm"):
        place.up()


def test_a_host_that_ssh_does_not_reach_is_named_with_its_reason(place: Place) -> None:
    place.fails["inspect.sh", HOSTS[2]] = "No route to host"
    with pytest.raises(RegistryError, match=r"192\.168\.0\.14: No route to host"):
        place.up()
    assert place.swarm.done == []


def test_a_node_that_is_listed_twice_counts_by_the_one_that_works(place: Place) -> None:
    place.swarm.members["old"] = node(HOSTS[1], id="old", state="down")
    place.up()
    assert place.swarm.members["old"].labels == {}


@pytest.mark.parametrize(
    ("hosts", "reason"),
    [
        ((), "needs the addresses"),
        (("web1",), "no IPv4 address"),
        (("fd00::1",), "no IPv4 address"),
        (("127.0.0.1",), "--hosts is"),
        (("1.2.3.4\nx",), "--hosts is"),
        (("-oProxyCommand=id",), "--hosts is"),
    ],
)
def test_hosts_are_addresses_that_others_reach(hosts: tuple[str, ...], reason: str, place: Place) -> None:
    with pytest.raises(SettingError, match=reason):
        place.up(hosts)
    assert place.carried == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"port": 5443}, "registry.port is 5443"),
        ({"storage": ""}, "need a bucket"),
        ({"listen": "127.0.0.1"}, "registry.listen is 127"),
        ({"metrics": 9000}, "registry.metrics is 9000"),
        ({"address": "fd00::9", "saved_flags": {"address": "fd00::9"}}, "is no IPv4 address"),
    ],
)
def test_settings_that_will_not_do_are_refused(changes: dict[str, object], reason: str, place: Place) -> None:
    place.settings = dataclasses.replace(place.settings, **changes)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=reason):
        place.up()
    assert place.carried == []


def test_a_machine_that_is_no_host_needs_an_address_for_clients(place: Place) -> None:
    place.settings = dataclasses.replace(place.settings, saved_flags={}, address="192.168.0.99")
    with pytest.raises(SettingError, match="none of the hosts"):
        place.up(HOSTS[1:])
    assert place.carried == []


def test_an_address_outside_the_authority_s_limits_is_refused_with_the_cure(place: Place) -> None:
    place.swarm.members["203.0.113.7"] = node("203.0.113.7")
    with pytest.raises(RegistryError, match=r"may not vouch for 203\.0\.113\.7") as caught:
        place.up((*HOSTS, "203.0.113.7"))
    assert "cert.renew-authority" in caught.value.cure
    assert (place.swarm.done, noted.read(place.settings.folder)) == ([], noted.NONE)


def test_services_of_somebody_else_are_left_alone(place: Place) -> None:
    place.swarm.running[REGISTRY] = (Service(REGISTRY, {INSTALLATION: "1" * 32}), {"reads": [], "labels": {}})
    with pytest.raises(RegistryError, match="another installation's"):
        place.up()
    assert place.swarm.done == []


def test_a_service_that_does_not_start_is_named_with_the_swarm_s_reason(place: Place) -> None:
    place.swarm.breaks[REGISTRY] = "update rolled back due to failure"
    with pytest.raises(RegistryError, match=r"trusted-registry_registry .* update rolled back") as caught:
        place.up()
    assert caught.value.cure == "See why: docker service ps --no-trunc trusted-registry_registry"


# No leader, and kills


def test_without_a_leader_for_a_moment_the_run_says_so_once_and_goes_on(place: Place) -> None:
    place.swarm.leaderless = 3
    place.up()
    assert [it for it in place.console.warned if "no leader" in it] == [
        "The swarm has no leader. It is asked again, for up to 120 seconds."
    ]
    assert sorted(place.swarm.running) == sorted([REGISTRY, FRONT])


def test_without_a_leader_for_long_that_is_the_error(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trusted_registry.swarm.rollout.LEADER_SECONDS", 0.0)
    place.swarm.leaderless = 1000
    with pytest.raises(RegistryError, match="no leader"):
        place.up()
    assert place.swarm.running == {}


def _dying(call: Callable[..., object], left: list[int]) -> Callable[..., object]:
    def act(*arguments: object, **options: object) -> object:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return call(*arguments, **options)

    return act


@pytest.mark.parametrize("step", range(9))
def test_a_run_that_is_killed_at_any_step_is_gone_on_with_by_the_next(
    step: int, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [step]
    with monkeypatch.context() as patch:
        for name in ("label", "keep", "deploy", "drop"):
            patch.setattr(place.swarm, name, _dying(getattr(place.swarm, name), left))
        with pytest.raises(Killed):
            place.up()
    place.up()
    assert sorted(place.swarm.running) == sorted([REGISTRY, FRONT])
    assert {name.rpartition("-")[2] for name in place.swarm.files} == {"1"}


def test_a_dry_run_shows_the_stack_and_changes_nothing(place: Place) -> None:
    place.console.dry = True
    place.up()
    assert (place.carried, noted.read(place.settings.folder).hosts) == ([], ())


def test_a_dry_run_shows_how_hosts_join_and_get_images(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[str, tuple[str, ...]]] = []

    def carry(name: str, _script: bytes, hosts: Sequence[str], *_arguments: object, **_options: object) -> tuple[()]:
        shown.append((name, tuple(hosts)))
        return ()

    monkeypatch.setattr(swarm_hosts, "carry", carry)
    place.swarm.members.clear()
    place.console.dry = True
    place.up(init=True)
    assert [it for it in shown if it[1]][:4] == [
        ("inspect.sh", HOSTS),
        ("join.sh", HOSTS[1:]),
        ("load.sh", HOSTS),
        ("load.sh", HOSTS),
    ]


def test_a_dry_run_labels_no_other_node_than_those_of_the_hosts(place: Place) -> None:
    place.swarm.members["192.168.0.77"] = node("192.168.0.77")
    place.console.dry = True
    place.up()
    assert {it.split()[1] for it in place.swarm.done if it.startswith("label")} == set(HOSTS)
