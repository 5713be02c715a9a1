"""A registry on a swarm: renewed, its users changed, looked at and taken down; and the tasks that are refused."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from invoke.config import Config
from invoke.context import Context

import tasks
from tests.conftest import ADDRESS, ROOT
from tests.docs.test_json import assert_is_as_the_page_says
from tests.fake_images import IMAGE
from tests.fake_swarm import node
from tests.recorder import Recorder
from tests.swarm.conftest import HOSTS, STOPS, VIRTUAL
from trusted_registry import address, installation, saved_flags
from trusted_registry.bucket import marker, opening
from trusted_registry.certificate import imported, inspect, issue
from trusted_registry.declarations import task as declared
from trusted_registry.declarations.task import Task
from trusted_registry.defaults import DEFAULTS
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance import running
from trusted_registry.registry import observe, users
from trusted_registry.registry.api import RegistryClient
from trusted_registry.swarm import machines, noted, proof_login
from trusted_registry.swarm.model import Service
from trusted_registry.swarm.noted import Note
from trusted_registry.swarm.stack import REGISTRY
from trusted_registry.tasks import (
    mirror_beside,
    registry_move,
    registry_storage,
    registry_users,
    swarm,
    swarm_images,
    swarm_status,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.swarm.conftest import Place
    from trusted_registry.run import Run
    from trusted_registry.settings import Settings


REFUSED = observe.Observation("", 5443, connect_error="Connection refused")


@pytest.fixture
def up(place: Place) -> Place:
    """A checkout whose registry is on a swarm."""
    place.up()
    flags = saved_flags.read(place.settings.folder)
    names = tuple(flags["names"].split(","))
    place.settings = dataclasses.replace(place.settings, names=names, saved_flags=flags, saved_flags_before=flags)
    place.carried.clear()
    place.asked.clear()
    place.swarm.done.clear()
    return place


def _kept(place: Place, file: str) -> list[str]:
    return sorted(name for name in place.swarm.files if f"-{file}-" in name)


# swarm.renew


def test_a_renewal_is_a_new_number_for_the_registries_and_nothing_for_the_fronts(up: Place) -> None:
    before = inspect.read(up.settings.folder / "domain.crt").fingerprint
    front = up.swarm.running["trusted-registry_front"][0].labels
    swarm.renew(up.run, if_expiring="")
    assert inspect.read(up.settings.folder / "domain.crt").fingerprint != before
    assert up.asked == [f"{','.join(HOSTS)} 5443"]
    assert _kept(up, "domain.key") == ["trusted-registry-domain.key-2"]
    assert up.swarm.running["trusted-registry_front"][0].labels == front


def test_a_renewal_that_is_not_due_changes_nothing(up: Place) -> None:
    swarm.renew(up.run, if_expiring="30")
    assert up.swarm.done == []
    assert [it.partition(":")[0] for it in up.console.idle] == ["certificate", "registry"]
    assert "served by" not in str(up.console.said)


def test_a_certificate_of_another_authority_is_not_renewed_here(up: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imported, "is_here", lambda _folder: True)
    monkeypatch.setattr(issue, "is_due", lambda *_arguments: True)
    before = inspect.read(up.settings.folder / "domain.crt").fingerprint
    swarm.renew(up.run, if_expiring="30")
    assert inspect.read(up.settings.folder / "domain.crt").fingerprint == before


def test_mirrors_beside_show_the_new_certificate_too(up: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    renewed: list[bytes] = []
    key = up.settings.folder / "domain.key"
    monkeypatch.setattr(mirror_beside, "renew", lambda _run: renewed.append(key.read_bytes()))
    swarm.renew(up.run, if_expiring="")
    assert renewed == [key.read_bytes()]


def test_a_renewal_leaves_the_images_as_they_run(up: Place) -> None:
    before = {name: it.image for name, (it, _) in up.swarm.running.items()}
    up.engine.images |= {"was": up.engine.images[IMAGE], IMAGE: "sha256:ff"}
    swarm.renew(up.run, if_expiring="")
    assert {name: it.image for name, (it, _) in up.swarm.running.items()} == before


def test_without_the_image_here_nobody_knows_how_to_start_it(up: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up.engine, "has_image", lambda _id: False)
    with pytest.raises(RegistryError, match="has no image") as caught:
        swarm.renew(up.run, if_expiring="")
    assert (caught.value.cure, up.swarm.done) == ("./inv swarm.up", [])


def test_without_its_services_there_is_nothing_to_renew(up: Place) -> None:
    up.swarm.running.clear()
    with pytest.raises(RegistryError, match="no services of this registry"):
        swarm.renew(up.run, if_expiring="")


def test_a_certificate_that_breaks_a_host_is_told_with_the_one_that_serves_again(up: Place) -> None:
    up.swarm.breaks[REGISTRY] = "update rolled back"
    with pytest.raises(RegistryError, match="The one before serves again"):
        swarm.renew(up.run, if_expiring="")
    assert len(_kept(up, "domain.key")) == 2


def test_a_host_that_is_away_follows_later_and_its_files_stay(up: Place) -> None:
    up.swarm.members[HOSTS[2]] = dataclasses.replace(up.swarm.members[HOSTS[2]], state="down")
    swarm.renew(up.run, if_expiring="")
    assert [it for it in up.console.warned if "follows when it is back" in it]
    assert len(_kept(up, "domain.key")) == 2


def test_a_host_that_a_new_leader_does_not_know_yet_is_waited_for(up: Place) -> None:
    known = up.swarm.members[HOSTS[2]]
    up.swarm.members[HOSTS[2]] = dataclasses.replace(known, state="unknown")

    def comes() -> None:
        up.swarm.members[HOSTS[2]] = known

    up.swarm.asked_of_tasks = comes
    swarm.renew(up.run, if_expiring="")
    assert (up.asked, up.console.warned) == ([f"{','.join(HOSTS)} 5443"], [])


def test_without_a_swarm_there_is_nothing_to_renew(place: Place) -> None:
    with pytest.raises(RegistryError, match="on no swarm"):
        swarm.renew(place.run, if_expiring="")
    assert place.swarm.done == []


# registry.user.*


@pytest.fixture
def admits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hosts that were asked for a login, with its name."""
    asked: list[str] = []

    def admits(client: RegistryClient) -> bool:
        asked.append(f"{client.at} {client.login.name if client.login else ''}")
        return True

    monkeypatch.setattr(RegistryClient, "admits", admits)
    return asked


def test_a_user_is_known_to_every_host_and_asked_for_at_each(
    up: Place, admits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "connect_if_available", lambda _console: up.engine)
    up.console = Recorder(secret="correct horse")  # noqa: S106 - a test's
    registry_users.add(up.run, name="ada")
    assert admits == [f"{it}:5443 {name}" for it in HOSTS for name in (proof_login.NAME, "ada")]
    (kept,) = _kept(up, "htpasswd")
    assert up.swarm.files[kept][1].startswith(b"ada:$2")
    assert up.swarm.files[kept][0].secret
    assert [it for it in up.console.said if "does not run" in it] == []


def test_without_the_last_user_no_host_has_users_any_more(
    up: Place, admits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    users.save(up.settings.folder, users.Login("ada", "correct horse"), 4)
    monkeypatch.setattr(engines, "connect_if_available", lambda _console: up.engine)
    swarm.users_changed(up.run)
    assert len(_kept(up, "htpasswd")) == 1
    admits.clear()
    registry_users.remove(up.run, name="ada")
    assert (_kept(up, "htpasswd"), admits) == ([], [f"{it}:5443 " for it in HOSTS])


def test_a_removal_that_was_cut_short_is_carried_out_by_the_same_command_again(
    up: Place, admits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ada", "bob"):
        users.save(up.settings.folder, users.Login(name, "correct horse"), 4)
    monkeypatch.setattr(engines, "connect_if_available", lambda _console: up.engine)
    swarm.users_changed(up.run)
    users.remove(up.settings.folder, "bob")
    admits.clear()
    with pytest.raises(RegistryError, match="There is no user 'bob'"):
        registry_users.remove(up.run, name="bob")
    assert [b"bob:" in up.swarm.files[it][1] for it in _kept(up, "htpasswd")] == [False]
    assert admits == [f"{it}:5443 {proof_login.NAME}" for it in HOSTS]


def test_a_host_that_still_knows_a_user_who_was_removed_is_named(up: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ada", "bob"):
        users.save(up.settings.folder, users.Login(name, "correct horse"), 4)
    monkeypatch.setattr(engines, "connect_if_available", lambda _console: up.engine)
    secret = installation.known(up.settings.folder).http_secret
    stale = proof_login.login(secret, users.users_file(up.settings.folder).read_bytes())
    monkeypatch.setattr(RegistryClient, "admits", lambda client: client.login == stale)
    with pytest.raises(RegistryError, match="does not accept the users as they are now"):
        registry_users.remove(up.run, name="bob")


def test_a_host_that_does_not_take_a_new_login_is_named(up: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RegistryClient, "admits", lambda client: client.at.host != HOSTS[1])
    with pytest.raises(RegistryError, match=HOSTS[1]):
        swarm.users_changed(up.run, users.Login("ada", "correct horse"))
    assert up.swarm.done == []


def test_off_a_swarm_users_are_a_matter_of_this_machine(place: Place) -> None:
    assert (registry_users._rolled_out(place.run), place.swarm.done) == (False, [])


# swarm.status


@pytest.fixture
def seen(up: Place, monkeypatch: pytest.MonkeyPatch) -> dict[str, observe.Observation]:
    """What is seen at each host."""
    certificate = inspect.read(up.settings.folder / "domain.crt")
    ports = (5443, up.settings.port)
    sound = observe.Observation("", 5443, certificate=certificate, status=200)
    found = {f"{it}:{port}": sound for it in (*HOSTS, VIRTUAL) for port in ports}
    monkeypatch.setattr(observe, "ask", lambda at, _anchor: found[f"{at.host}:{at.port}"])
    return found


def _problems(place: Place) -> dict[str, str]:
    content = swarm_status.status(place.run).content
    assert isinstance(content, dict)
    return {it["host"]: it["problem"] for it in content["hosts"] if it["problem"]}


def test_a_sound_swarm_has_no_problem(up: Place, seen: dict[str, observe.Observation]) -> None:
    up.swarm.members[ADDRESS] = dataclasses.replace(up.swarm.members[ADDRESS], manager=True, leader=True)
    report = swarm_status.status(up.run)
    assert (report.failure, _problems(up), len(seen)) == (None, {}, 8)
    assert report.table
    assert next(iter(report.table.rows))[:5] == (ADDRESS, "ready leader", "26.1.5", "running", "running")


def test_the_status_has_the_page_s_shape(up: Place, seen: dict[str, observe.Observation]) -> None:
    noted.save(up.settings.folder, dataclasses.replace(noted.read(up.settings.folder), address=VIRTUAL))
    seen[f"{HOSTS[0]}:5443"] = seen[f"{VIRTUAL}:443"] = REFUSED
    for leader in (True, False):
        up.swarm.leaderless = 0 if leader else 100
        assert_is_as_the_page_says("swarm.status", json.loads(json.dumps(swarm_status.status(up.run).content)))


def test_each_fault_of_a_host_is_told(up: Place, seen: dict[str, observe.Observation]) -> None:
    seen[f"{HOSTS[0]}:5443"] = REFUSED
    up.swarm.members[HOSTS[1]] = dataclasses.replace(up.swarm.members[HOSTS[1]], state="down")
    up.swarm.members[HOSTS[2]] = node(HOSTS[2])
    report = swarm_status.status(up.run)
    assert _problems(up) == {
        HOSTS[0]: "Connection refused",
        HOSTS[1]: "its node is down",
        HOSTS[2]: "its front is absent",
    }
    assert report.failure


def test_unequal_certificates_are_told(up: Place, seen: dict[str, observe.Observation]) -> None:
    swarm.renew(up.run, if_expiring="")
    assert set(_problems(up)) == set(HOSTS)
    assert seen


def test_a_front_that_does_not_answer_is_told_though_its_container_runs(
    up: Place, seen: dict[str, observe.Observation]
) -> None:
    seen[f"{HOSTS[1]}:443"] = REFUSED
    assert _problems(up) == {HOSTS[1]: "its front: Connection refused"}


def test_a_virtual_address_and_a_bucket_that_are_away_are_told(
    up: Place, seen: dict[str, observe.Observation], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_arguments: object, **_options: object) -> None:
        raise RegistryError("s3://images/lan does not answer.", cure="x")

    noted.save(up.settings.folder, dataclasses.replace(noted.read(up.settings.folder), address=VIRTUAL))
    seen[f"{VIRTUAL}:443"] = REFUSED
    monkeypatch.setattr(opening, "prove", away)
    report = swarm_status.status(up.run)
    assert report.failure
    assert report.failure.message == "Something is wrong: address, storage."
    wanted = ["address: Connection refused", "storage: s3://images/lan does not answer."]
    assert report.lines[-2:] == wanted


def test_without_a_leader_hosts_are_asked_all_the_same(up: Place, seen: dict[str, observe.Observation]) -> None:
    up.swarm.leaderless = 100
    report = swarm_status.status(up.run)
    assert report.failure
    assert report.failure.message == "Something is wrong: leader."
    assert ([it for it in report.lines if "leader: none" in it] != [], len(seen)) == (True, 8)


# swarm.down


def test_down_leaves_nothing_in_the_swarm_and_the_images(up: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[object] = []
    monkeypatch.setattr(registry_move, "empty", emptied.append)
    up.down()
    assert (up.swarm.running, up.swarm.files, emptied) == ({}, {}, [])
    assert {str(it.labels) for it in up.swarm.members.values()} == {"{}"}
    assert (noted.read(up.settings.folder), "names" in saved_flags.read(up.settings.folder)) == (noted.NONE, False)


def test_down_names_the_hosts_whose_fronts_have_not_ended_one_that_was_left_out_too(up: Place) -> None:
    other = "192.168.0.19"
    up.swarm.members[other] = node(other)
    up.swarm.lingering = (HOSTS[1], other)
    up.down()
    told = [it for it in up.console.warned if "front" in it]
    assert [
        it.startswith(f"the front at {host} has not ended") for it, host in zip(told, up.swarm.lingering, strict=True)
    ]
    assert [it.rpartition(": ")[2] for it in told] == [f"ssh {host} docker ps" for host in up.swarm.lingering]


def test_a_virtual_address_is_forgotten_since_no_machine_has_it_any_more(up: Place) -> None:
    flags = {**up.settings.saved_flags, "address": VIRTUAL}
    up.settings = dataclasses.replace(up.settings, address=VIRTUAL, saved_flags=flags)
    noted.save(up.settings.folder, Note(HOSTS, VIRTUAL))
    up.down()
    assert "address" not in saved_flags.read(up.settings.folder)
    assert ("address.sh", HOSTS) in up.carried


def test_the_images_go_only_when_their_bucket_is_typed(up: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[object] = []
    monkeypatch.setattr(registry_move, "empty", emptied.append)
    monkeypatch.setattr(marker, "claim", lambda *_arguments, **_options: None)
    with pytest.raises(SettingError, match="the images are in s3://images/lan"):
        up.down(purge="s3://images")
    assert (emptied, up.swarm.done) == ([], [])
    up.down(purge="s3://images/lan/")
    assert emptied == ["bucket"]


def test_a_bucket_that_is_somebody_else_s_by_now_is_left_alone_with_all_else(
    up: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_s(*_arguments: object, **_options: object) -> None:
        raise RegistryError("s3://images/lan belongs to another installation.", cure="x")

    emptied: list[object] = []
    monkeypatch.setattr(registry_move, "empty", emptied.append)
    monkeypatch.setattr(marker, "claim", another_s)
    with pytest.raises(RegistryError, match="another installation"):
        up.down(purge="s3://images/lan")
    assert (emptied, up.swarm.done, bool(noted.read(up.settings.folder).hosts)) == ([], [], True)


def test_a_host_that_is_gone_for_good_does_not_hold_up_the_others(up: Place) -> None:
    noted.save(up.settings.folder, Note(HOSTS, VIRTUAL))
    up.fails["address.sh", HOSTS[2]] = "No route to host"
    up.down()
    assert up.console.warned == [f"{HOSTS[2]} may keep the address {VIRTUAL}: No route to host; {STOPS}"]
    assert up.swarm.running == {}


def test_one_that_wants_a_password_is_asked_again_before_anything_goes(up: Place) -> None:
    noted.save(up.settings.folder, Note(HOSTS, VIRTUAL))
    up.fails["address.sh", HOSTS[1]] = "sudo: a password is required"
    with pytest.raises(RegistryError) as caught:
        up.down()
    assert caught.value.cure == "Repeat the command with --ask-become-pass"
    assert (up.swarm.done, noted.read(up.settings.folder).hosts) == ([], HOSTS)


def test_an_engine_that_manages_no_swarm_takes_nothing_down(up: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[object] = []
    monkeypatch.setattr(marker, "claim", lambda *_arguments, **_options: None)
    monkeypatch.setattr(registry_move, "empty", emptied.append)
    up.swarm.members.clear()
    with pytest.raises(RegistryError, match="manages no swarm") as caught:
        up.down(purge=up.settings.storage)
    assert f"rm {up.settings.folder}/swarm.json" in caught.value.cure
    assert (emptied, up.carried, noted.read(up.settings.folder).hosts) == ([], [], HOSTS)


def test_another_swarm_does_not_tell_who_serves_in_that_of_the_hosts(
    up: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied: list[object] = []
    monkeypatch.setattr(marker, "claim", lambda *_arguments, **_options: None)
    monkeypatch.setattr(registry_move, "empty", emptied.append)
    up.swarm.members = {ADDRESS: node(ADDRESS, id="new")}  # the same machine, after leave and init
    up.swarm.running = {}
    with pytest.raises(RegistryError, match="another swarm than that of the hosts"):
        up.down(purge=up.settings.storage)
    assert (emptied, up.carried, noted.read(up.settings.folder).hosts) == ([], [], HOSTS)


@pytest.mark.parametrize("listed", [True, False])
def test_a_host_that_nobody_sees_end_is_not_said_to_be_off(listed: bool, up: Place) -> None:  # noqa: FBT001 - pytest's
    there = up.swarm.members.pop(HOSTS[2])
    up.swarm.members |= {HOSTS[2]: dataclasses.replace(there, state="down")} if listed else {}
    up.down()
    assert [it for it in up.console.warned if HOSTS[2] in it and "nobody knows whether it serves" in it]
    assert up.console.said[-1].startswith(f"registry: off {', '.join(HOSTS[:2])};")


def test_no_bucket_is_emptied_under_a_host_that_may_serve_on(up: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[object] = []
    monkeypatch.setattr(marker, "claim", lambda *_arguments, **_options: None)
    monkeypatch.setattr(registry_move, "empty", emptied.append)
    up.swarm.members[HOSTS[2]] = dataclasses.replace(up.swarm.members[HOSTS[2]], state="down")
    with pytest.raises(RegistryError, match="may take pushes") as caught:
        up.down(purge=up.settings.storage)
    assert (emptied, up.swarm.done, noted.read(up.settings.folder).hosts) == ([], [], HOSTS)
    assert caught.value.cure.endswith(f"./inv swarm.up --hosts {','.join(HOSTS[:2])}")


@pytest.mark.parametrize("task", ["renew", "down", "users", "images", "up"])
def test_hosts_are_led_to_no_other_bucket_than_that_of_their_images(task: str, up: Place) -> None:
    kept = up.settings.storage
    up.settings = dataclasses.replace(up.settings, storage="s3://images/other")
    types: dict[str, Callable[[], object]] = {
        "renew": lambda: swarm.renew(up.run, if_expiring=""),
        "down": lambda: up.down(purge="s3://images/other"),
        "users": lambda: swarm.users_changed(up.run),
        "images": lambda: swarm_images.there(up.run),
        "up": up.up,
    }
    with pytest.raises(SettingError, match=f"have the images in {kept}") as caught:
        types[task]()
    back = f"./inv registry.storage {kept} --endpoint {up.settings.storage_endpoint}"
    assert (up.swarm.done, caught.value.cure.endswith(back)) == ([], True)


def test_settings_that_lead_elsewhere_keep_nobody_from_taking_it_down_or_from_seeing_that(up: Place) -> None:
    kept = up.settings.storage
    up.settings = dataclasses.replace(up.settings, storage_endpoint="https://192.168.0.8:8333")
    assert [it for it in swarm_status.status(up.run).lines if f"storage: The hosts have the images in {kept}" in it]
    up.down()
    assert f"images kept in {kept}" in up.console.said[-1]


@pytest.mark.parametrize(("bucket", "refused"), [("s3://images/lan", False), ("s3://images/other", True)])
def test_hosts_of_a_swarm_are_given_no_other_bucket(
    bucket: str,
    refused: bool,  # noqa: FBT001 - a parameter
    up: Place,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []

    def try_it(goal: Run, *_rest: object) -> SimpleNamespace:
        tried.append(goal.settings.storage)
        return SimpleNamespace(location=bucket)

    monkeypatch.setattr(opening, "tried", try_it)
    monkeypatch.setattr(registry_storage, "_has_images", lambda _bucket: True)
    told = {"endpoint": up.settings.storage_endpoint, "region": "", "ca": "", "credentials": ""}
    with pytest.raises(RegistryError, match="swarm, whose hosts") if refused else contextlib.nullcontext():
        registry_storage.choose(up.run, to=bucket, insecure_storage=False, **told)
    assert tried == ([] if refused else [bucket])


def test_a_note_of_before_that_names_no_bucket_is_no_reason_to_refuse(up: Place) -> None:
    note = noted.read(up.settings.folder)
    said = {key: it for key, it in dataclasses.asdict(note).items() if key != "storage"}
    (up.settings.folder / noted.FILE).write_text(json.dumps(said))
    assert dataclasses.replace(note, storage=()) == noted.read(up.settings.folder)
    swarm.renew(up.run, if_expiring="")


def test_a_renewal_that_no_host_follows_is_no_success(up: Place) -> None:
    up.swarm.members = {key: dataclasses.replace(it, availability="drain") for key, it in up.swarm.members.items()}
    with pytest.raises(RegistryError, match="No host of the registry works"):
        swarm.renew(up.run, if_expiring="")


@pytest.mark.parametrize("task", ["renew", "down"])
def test_hosts_that_another_run_left_out_meanwhile_are_not_waited_for(task: str, up: Place) -> None:
    def reread() -> Settings:
        note = noted.read(up.settings.folder)
        noted.save(up.settings.folder, dataclasses.replace(note, hosts=HOSTS[:2], nodes=note.nodes[:2]))
        return up.settings

    run = dataclasses.replace(up.run, reread=reread)
    if task == "renew":
        swarm.renew(run, if_expiring="")
        assert up.asked == [f"{','.join(HOSTS[:2])} 5443"]
    else:
        swarm.down(run, purge="", user="", ask_become_pass=False)
        assert up.console.said[-1].startswith(f"registry: off {', '.join(HOSTS[:2])};")


def test_services_of_another_installation_stay(up: Place) -> None:
    up.swarm.running[REGISTRY] = (Service(REGISTRY, {}), up.swarm.running[REGISTRY][1])
    with pytest.raises(RegistryError, match="another installation's"):
        up.down()
    assert up.swarm.done == []


# Tasks that would start a second registry


@pytest.mark.parametrize("task", noted.INSTEAD)
def test_a_task_about_this_machine_alone_names_the_one_for_a_swarm(task: str, up: Place) -> None:
    with pytest.raises(RegistryError, match="is on a swarm") as caught:
        noted.check(task, up.settings)
    instead, names = noted.INSTEAD[task], {it.name for it in tasks.CONTENTS}
    assert (task in names, instead in names or instead.startswith("docker service logs")) == (True, True)
    assert caught.value.cure.endswith(instead if instead.startswith("docker") else f"./inv {instead}")


def test_a_task_is_refused_before_it_does_anything(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(declared, "ROOT", tmp_path)
    monkeypatch.setenv("INVOKE_REGISTRY_ADDRESS", ADDRESS)
    noted.save(place.settings.folder, Note(HOSTS))
    done: list[str] = []
    for name in ("up", "cert.show"):
        task = Task(name, "Do it.", "x.y")
        monkeypatch.setattr(task, "find_function", lambda name=name: lambda _run: done.append(name))
        with pytest.raises(RegistryError, match="is on a swarm") if name == "up" else contextlib.nullcontext():
            task(Context(Config(overrides={**DEFAULTS, "run": {"dry": False}})))
    assert done == ["cert.show"]


@pytest.mark.parametrize("task", ["trust.kit", "registry.user.add", "registry.storage", "swarm.up", "cert.show"])
def test_a_task_that_is_right_on_a_swarm_too_is_not_held_up(task: str, up: Place) -> None:
    noted.check(task, up.settings)
    assert task not in noted.INSTEAD


def test_whatever_else_would_start_a_registry_here_is_refused_too(up: Place) -> None:
    with pytest.raises(RegistryError, match="is on a swarm"):
        running.run_tls(up.run, up.engine)
    assert up.engine.find("registry") is None


@pytest.mark.process
def test_users_of_one_machine_load_nothing_of_a_swarm_but_its_note() -> None:
    code = "import sys, trusted_registry.tasks.registry_users; print('trusted_registry.swarm.rollout' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_off_a_swarm_no_task_is_held_up(place: Place) -> None:
    for task in noted.INSTEAD:
        noted.check(task, place.settings)
    assert not (place.settings.folder / noted.FILE).exists()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"hosts": ["x"], "address": "", "unprivileged": 1}', '{"hosts": 1}']
)
def test_a_damaged_note_is_an_error_with_a_cure(content: str, place: Place) -> None:
    (place.settings.folder / noted.FILE).write_text(content)
    with pytest.raises(RegistryError, match="is damaged") as caught:
        noted.read(place.settings.folder)
    assert "swarm.up --hosts" in caught.value.cure


# Whose an address is


def test_an_address_of_this_machine_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "own_addresses", lambda: (VIRTUAL,))
    with pytest.raises(SettingError, match="in use by this machine"):
        machines.check_virtual(VIRTUAL)


@pytest.mark.parametrize(
    ("error", "line", "holder"),
    [
        (ConnectionRefusedError(), "", "a machine that answers"),
        (TimeoutError(), f"{VIRTUAL} 0x1 0x2 aa:bb:cc:dd:ee:ff * eth0", "a machine at aa:bb:cc:dd:ee:ff"),
        (OSError(), f"{VIRTUAL} 0x1 0x0 00:00:00:00:00:00 * eth0", ""),
        (TimeoutError(), "192.168.0.99 0x1 0x2 aa:bb:cc:dd:ee:ff * eth0", ""),
    ],
)
def test_whoever_answers_or_is_a_neighbour_has_an_address(
    error: OSError, line: str, holder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(machines, "_ARP", tmp_path / "arp")
    (tmp_path / "arp").write_text(f"IP address HW type\n{line}\n")
    assert machines._neighbour(VIRTUAL) == holder


def test_secrets_for_keepalived_and_proofs_tell_nothing_of_each_other_or_of_their_source() -> None:
    secret = "ab" * 32
    script = machines.give_address(VIRTUAL, HOSTS, 443, "0" * 32, secret).decode()
    password = proof_login.derived(secret, "keepalived")[:8]
    assert (f"auth_pass {password}\n" in script, secret in script) == (True, False)
    assert password not in proof_login.login(secret, b"").password
    assert "secret" not in repr(proof_login.login(secret, b"")).lower()
