"""The swarm of a real engine, as far as none is needed: its answers as values, its refusals, and the commands shown."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests
from docker.errors import APIError

from tests.recorder import Recorder
from trusted_registry import program
from trusted_registry.engine.docker_swarm import DockerSwarm
from trusted_registry.errors import NoLeaderError, NotNowError, RegistryError
from trusted_registry.installation import LABEL as INSTALLATION
from trusted_registry.instance.model import File
from trusted_registry.program import Result
from trusted_registry.swarm.model import Held, SwarmNode, Task
from trusted_registry.swarm.stack import Numbered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LEADER = {
    "ID": "a1",
    "Spec": {"Role": "manager", "Availability": "active", "Labels": {INSTALLATION: "0" * 32}},
    "Description": {"Hostname": "one", "Engine": {"EngineVersion": "20.10.24+dfsg1"}},
    "Status": {"State": "ready", "Addr": "0.0.0.0"},  # noqa: S104 - as engines say
    "ManagerStatus": {"Leader": True, "Reachability": "reachable", "Addr": "192.168.0.12:2377"},
}
WORKER = {
    "ID": "b2",
    "Spec": {"Role": "worker", "Availability": "drain", "Labels": None},
    "Description": {"Hostname": "two\x1b[2J", "Engine": {"EngineVersion": "28.5.2"}},
    "Status": {"State": "down", "Addr": "192.168.0.13"},
}
NODE = SwarmNode("a1", "one", "192.168.0.12", "ready")


def _error(status: int, words: str) -> APIError:
    response = requests.Response()
    response.status_code = status
    return APIError("refused", response, words)


def _raises(error: Exception) -> Callable[..., object]:
    def refuse(*_arguments: object, **_options: object) -> object:
        raise error

    return refuse


def _swarm(console: Recorder | None = None, **api: object) -> DockerSwarm:
    """Return a swarm whose engine's API has these methods."""
    methods = {name: it if callable(it) else (lambda it=it, **_options: it) for name, it in api.items()}
    client: Any = SimpleNamespace(api=SimpleNamespace(**methods))
    return DockerSwarm(client, console or Recorder())


def _numbered(folder: Path, *, secret: bool = True) -> Numbered:
    return Numbered(File("domain.key", folder / "domain.key", b"hidden", secret=secret), 3, "registry")


# Answers


def test_a_leader_is_known_by_the_address_that_it_told_the_others() -> None:
    one, two = _swarm(nodes=[LEADER, WORKER]).nodes()
    assert (one.address, one.leader, one.manager, one.works, one.version) == (
        "192.168.0.12",
        True,
        True,
        True,
        "20.10.24+dfsg1",
    )
    assert (two.address, two.leader, two.works, two.labels) == ("192.168.0.13", False, False, {})


def test_a_name_of_others_commands_no_terminal() -> None:
    assert _swarm(nodes=[WORKER]).nodes()[0].name == "two\\x1b[2J"


@pytest.mark.parametrize("forged", ["'; id; '", "fe80::1%'; id; '", "$(id)", "a host"])
def test_an_address_is_an_address_or_none_since_it_goes_into_scripts(forged: str) -> None:
    assert _swarm(nodes=[{**LEADER, "Status": {"Addr": forged}}]).nodes()[0].address == "192.168.0.12"
    told = {**LEADER, "Status": {"Addr": forged}, "ManagerStatus": {"Addr": f"{forged}:2377"}}
    assert not _swarm(nodes=[told]).nodes()[0].address


@pytest.mark.parametrize(
    ("told", "address"),
    [
        ("[fd00::1]:2377", "fd00::1"),
        ("[fe80::1%eth0]:2377", "192.168.0.12"),
        ("0.0.0.0:2377", "192.168.0.12"),
        ("[::]:2377", "192.168.0.12"),
    ],
)
def test_an_address_at_which_no_other_machine_finds_a_manager_is_none_of_its(told: str, address: str) -> None:
    said = {**LEADER, "Status": {"Addr": "192.168.0.12"}, "ManagerStatus": {"Addr": told}}
    assert _swarm(nodes=[said]).nodes()[0].address == address


@pytest.mark.parametrize("odd", [{}, {"Spec": None}, {"Spec": [], "Status": 3}, {"ManagerStatus": {"Addr": 7}}])
def test_an_odd_answer_is_a_node_of_no_state_and_no_error(odd: dict[str, object]) -> None:
    assert _swarm(nodes=[odd]).nodes()[0].works is False


def test_a_task_has_the_labels_of_its_container_and_its_service_s_name() -> None:
    said = {
        "ServiceID": "s",
        "NodeID": "a1",
        "DesiredState": "running",
        "Spec": {"ContainerSpec": {"Image": "registry:3", "Labels": {"trusted-registry.spec": "x"}}},
        "Status": {"State": "running", "Err": "task: non-zero exit (1)"},
    }
    (task,) = _swarm(tasks=[said], services=[{"ID": "s", "Spec": {"Name": "trusted-registry_registry"}}]).tasks("x")
    assert (task.service, task.runs, task.spec, task.error) == (
        "trusted-registry_registry",
        True,
        "x",
        "task: non-zero exit (1)",
    )
    assert Task("s", "a1", "shutdown", "running").runs is False


def test_a_secret_and_a_config_of_one_name_are_two() -> None:
    said = [{"ID": "1", "Spec": {"Name": "a-1", "Labels": {"k": "v"}}}]
    assert _swarm(secrets=said, configs=said).held() == (
        Held("1", "a-1", secret=True, labels={"k": "v"}),
        Held("1", "a-1", secret=False, labels={"k": "v"}),
    )


# Refusals


def test_an_engine_that_manages_no_swarm_has_no_nodes() -> None:
    none = _raises(_error(503, 'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join"'))
    swarm = _swarm(nodes=none, services=none, tasks=none, secrets=none, configs=none)
    assert (swarm.nodes(), swarm.services("x"), swarm.tasks("x"), swarm.held()) == ((), (), (), ())


@pytest.mark.parametrize(
    "words",
    [
        "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are on",
        "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        "This node is not a swarm manager. Manager is being prepared or has trouble connecting to the cluster.",
        "rpc error: code = Unavailable desc = connection error: connect: connection refused",
        "raft: no elected cluster leader",
    ],
)
def test_managers_without_a_leader_are_an_error_of_their_own(words: str) -> None:
    with pytest.raises(NoLeaderError):
        _swarm(nodes=_raises(_error(503, words))).nodes()
    with pytest.raises(RegistryError) as caught:
        _swarm(nodes=_raises(_error(500, "something else"))).nodes()
    assert not isinstance(caught.value, NoLeaderError)


@pytest.mark.parametrize(
    "words", ["rpc error: code = Unknown desc = update out of sequence", "network trusted-registry_default not found"]
)
def test_of_two_changes_at_once_the_later_one_may_be_made_again(words: str) -> None:
    with pytest.raises(NotNowError) as caught:
        _swarm(nodes=_raises(_error(500, words))).nodes()
    assert not isinstance(caught.value, NoLeaderError)


def test_a_file_of_the_same_name_is_no_error_and_any_other_refusal_is(tmp_path: Path) -> None:
    file = _numbered(tmp_path)
    there = [{"ID": "1", "Spec": {"Name": file.name, "Labels": file.labels("0")}}]
    exists = _raises(_error(409, "secret already exists"))
    _swarm(create_secret=exists, secrets=there, configs=[]).keep(file, "0")
    with pytest.raises(RegistryError, match="already exists"):  # of the same name, and another installation's
        _swarm(create_secret=exists, secrets=there, configs=[]).keep(file, "1")
    with pytest.raises(RegistryError, match="too large"):
        _swarm(create_secret=_raises(_error(400, "secret data too large"))).keep(_numbered(tmp_path), "0")


def test_a_file_that_is_read_stays_and_one_that_is_gone_is_gone() -> None:
    held = Held("1", "a-1", secret=False, labels={})
    assert not _swarm(remove_config=_raises(_error(400, "config 'a-1' is in use by the following service: x"))).drop(
        held
    )
    assert _swarm(remove_config=lambda _id: True).drop(held)
    with pytest.raises(RegistryError):
        _swarm(remove_config=_raises(_error(400, "no"))).drop(held)


@pytest.mark.parametrize("token", ["", "a b", "$(id)", None])
def test_a_token_is_nothing_but_letters_before_a_script_has_it(token: str | None) -> None:
    with pytest.raises(RegistryError, match="tells nothing by which"):
        _swarm(inspect_swarm=lambda: {"JoinTokens": {"Worker": token}}).token(manager=False)
    said = {"JoinTokens": {"Worker": "SWMTKN-1-w", "Manager": "SWMTKN-1-m"}}
    assert _swarm(inspect_swarm=lambda: said).token(manager=True) == "SWMTKN-1-m"


# Changes


def test_a_secret_goes_by_the_api_and_its_content_is_shown_nowhere(tmp_path: Path) -> None:
    got: list[tuple[str, bytes, dict[str, str]]] = []
    console = Recorder()
    _swarm(console, create_secret=lambda *given: got.append(given)).keep(_numbered(tmp_path), "0" * 32)
    ((name, content, labels),) = got
    assert (name, content, labels[INSTALLATION]) == ("trusted-registry-domain.key-3", b"hidden", "0" * 32)
    assert ("hidden" in str(console.typed), console.commands[0][:3]) == (False, ["docker", "secret", "create"])


def test_a_label_leaves_all_else_of_a_node_as_it_is() -> None:
    updated: list[dict[str, Any]] = []
    spec = {"Role": "manager", "Availability": "active", "Labels": {"rack": "7"}}
    found = SimpleNamespace(attrs={"Spec": spec}, update=updated.append)
    client: Any = SimpleNamespace(nodes=SimpleNamespace(get=lambda _id: found))
    DockerSwarm(client, Recorder()).label(NODE, INSTALLATION, "0" * 32)
    DockerSwarm(client, Recorder()).label(NODE, "rack", "")
    assert [it["Labels"] for it in updated] == [{"rack": "7", INSTALLATION: "0" * 32}, {}]
    assert {it["Availability"] for it in updated} == {"active"}


def test_the_stack_is_deployed_by_docker_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], str]] = []

    def capture(argv: list[str], *, text: str = "", **_options: object) -> Result:
        started.append((argv, text))
        return Result(tuple(argv), 0, "", "")

    monkeypatch.setattr(program, "capture", capture)
    _swarm().deploy("trusted-registry", "services:\n")
    words = "docker stack deploy --resolve-image never --compose-file - trusted-registry"
    assert started == [(words.split(), "services:\n")]


def test_a_deployment_without_a_leader_is_told_from_one_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    said = ["Error response from daemon: rpc error: The swarm does not have a leader.", "services.x is not allowed"]
    monkeypatch.setattr(program, "capture", lambda argv, **_options: Result(tuple(argv), 1, "", said.pop(0)))
    with pytest.raises(NoLeaderError):
        _swarm().deploy("x", "")
    with pytest.raises(RegistryError, match="not allowed"):
        _swarm().deploy("x", "")


def test_a_dry_run_without_an_engine_shows_and_asks_nobody(tmp_path: Path) -> None:
    console = Recorder(dry=True)
    swarm = DockerSwarm(None, console)
    assert (swarm.nodes(), swarm.held(), swarm.services("x"), swarm.tasks("x")) == ((), (), (), ())
    swarm.keep(_numbered(tmp_path, secret=False), "0")
    swarm.deploy("x", "services:\n")
    swarm.label(NODE, "a", "b")
    swarm.remove("x")
    swarm.push("x")
    assert [it.partition(" x")[0].split()[1] for it in console.typed] == [
        "config",
        "stack",
        "node",
        "stack",
        "service",
    ]


def _task_of(role: str, node: str, state: str) -> dict[str, Any]:
    container = {"ContainerSpec": {"Labels": {"trusted-registry.role": role}}}
    return {"ID": "t", "NodeID": node, "Spec": container, "Status": {"State": state}}


def test_a_stack_is_gone_when_its_containers_have_ended_and_no_host_that_is_off_holds_that_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    off, front = _task_of("tls", "b2", "running"), _task_of("front", "a1", "running")
    ended = [_task_of("tls", "a1", "complete"), _task_of("front", "a1", "shutdown")]
    looks = [[off, front, _task_of("tls", "a1", "running")], [off, front], [off, *ended]]
    done: list[str] = []
    _swarm(
        nodes=[LEADER, WORKER],
        services=[{"ID": "s", "Spec": {"Name": "trusted-registry_registry"}}],
        tasks=lambda **_: looks.pop(0),
        networks=[{"Id": "n"}],
        remove_service=lambda id_: done.append(f"service {id_}"),
        remove_network=lambda id_: done.append(f"network {id_}, {len(looks)} looks left"),
    ).remove("x")
    assert done == ["service s", "network n, 0 looks left"]


def test_an_engine_that_manages_the_swarm_no_more_does_not_tell_that_all_has_ended() -> None:
    demoted = _raises(_error(503, "This node is not a swarm manager."))
    with pytest.raises(RegistryError, match="manages no swarm any more"):
        _swarm(nodes=demoted, services=demoted, tasks=demoted, networks=demoted).remove("x")


def test_a_registry_that_does_not_end_is_named_and_a_front_is_left_with_what_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setattr("trusted_registry.engine.docker_swarm._GONE_SECONDS", -1.0)
    front = _swarm(nodes=[LEADER], services=[], tasks=[_task_of("front", "a1", "running")], networks=[])
    assert [it.node for it in front.remove("x")] == ["a1"]
    swarm = _swarm(nodes=[LEADER], services=[], tasks=[_task_of("tls", "a1", "running")], networks=[])
    with pytest.raises(RegistryError, match="does not end") as caught:
        swarm.remove("x")
    assert "docker inspect t" in caught.value.cure
