"""An engine's answers become values of a type, or an error with a cure: other programs answer on its socket too."""

from __future__ import annotations

import contextlib
import copy
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.recorder import Recorder
from tests.socket_engine import SocketEngine, asking, serving
from trusted_registry.engine import engine as engines
from trusted_registry.engine import install as engine_install
from trusted_registry.engine import responses
from trusted_registry.engine.types import Container, EngineInfo, ListedContainer, Volume
from trusted_registry.errors import RegistryError
from trusted_registry.tasks import registry as registry_tasks
from trusted_registry.trust.local import check
from trusted_registry.trust.specifics.pulls import CLIENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from trusted_registry.engine.docker_engine import DockerEngine

ID = f"sha256:{'0a' * 32}"
INFO = {
    "OperatingSystem": "Debian GNU/Linux 12",
    "ServerVersion": "20.10.24+dfsg1",
    "SecurityOptions": ["name=seccomp,profile=default"],
    "DriverStatus": [["Backing Filesystem", "extfs"]],
    "RegistryConfig": {
        "InsecureRegistryCIDRs": ["127.0.0.0/8"],
        "IndexConfigs": {
            "docker.io": {"Name": "docker.io", "Secure": True},
            "r:5000": {"Name": "r:5000", "Secure": False},
        },
        "Mirrors": ["https://192.168.0.12:5500/"],
    },
    "HttpsProxy": "",
    "DockerRootDir": "/var/lib/docker",
}
CONTAINER = {
    "Id": "c0ffee",
    "Image": ID,
    "State": {"Status": "running"},
    "Config": {
        "Image": "registry:3",
        "Labels": {"trusted-registry": "tls", "trusted-registry.installation": "0a" * 16},
    },
    "HostConfig": {"PortBindings": {"443/tcp": [{"HostIp": "192.168.0.12", "HostPort": "443"}]}},
    "NetworkSettings": {"Ports": {"443/tcp": [{"HostIp": "192.168.0.12", "HostPort": "443"}]}},
    "Mounts": [{"Type": "volume", "Name": "registry", "Destination": "/var/lib/registry"}],
}
LISTED = [
    {
        "Id": "c0ffee",
        "Names": ["/registry"],
        "State": "running",
        "Labels": {"app": "k3d"},
        "Ports": [{"PublicPort": 443, "PrivatePort": 443, "Type": "tcp"}],
        "Mounts": [{"Type": "bind", "Source": "/srv"}, {"Type": "volume", "Name": "registry"}],
    },
    {"Id": "gone", "Names": None, "State": "removing", "Labels": None, "Ports": [{}], "Mounts": [{"Type": "bind"}]},
]
VOLUME = {"Name": "registry", "Labels": {"trusted-registry.installation": "0a" * 16}}
IMAGE = {
    "Id": ID,
    "RepoDigests": [f"registry@{ID}"],
    "Config": {"Entrypoint": ["/entrypoint.sh"], "Env": ["PATH=/bin", "A=1"], "Cmd": None},
    "RootFS": {"Layers": [ID]},
}
SOUND: dict[str, Any] = {
    "/info": INFO,
    "/containers/json": LISTED,
    "/containers/": CONTAINER,
    r"/volumes/\w": VOLUME,
    "/volumes": {"Volumes": [VOLUME], "Warnings": None},
    "/images/": IMAGE,
    "/exec": {"Id": "it", "ExitCode": 0},
}
QUESTIONS: dict[str, tuple[Callable[[DockerEngine], object], object]] = {
    "info": (lambda it: it.info(fresh=True), EngineInfo),
    "find": (lambda it: it.find("registry"), Container),
    "list_containers": (lambda it: it.list_containers(), (ListedContainer("registry", "running", {"app": "k3d"}),)),
    "publisher_of": (lambda it: it.publisher_of(443), "registry"),
    "bind_mounts": (lambda it: it.bind_mounts(), [("registry", "/srv")]),
    "holders": (lambda it: it.holders("registry"), ["registry"]),
    "volume": (lambda it: it.volume("registry"), Volume("registry", "0a" * 16)),
    "volumes_of": (lambda it: it.volumes_of("0a" * 16), ["registry"]),
    "image_id": (lambda it: it.image_id("registry:3"), ID),
    "image_digest": (lambda it: it.image_digest("registry:3"), f"registry@{ID}"),
    "image_content": (lambda it: it.image_content("registry:3"), str),
    "entrypoint": (lambda it: it.entrypoint("registry:3"), ("/entrypoint.sh",)),
    "execute": (lambda it: it.execute("registry", ["true"]).code, 0),
}
ODD: list[object] = [
    None,
    [],
    {},
    "",
    "text",
    0,
    7,
    -1.5,
    True,
    [None],
    [[]],
    [7],
    {"a": None},
    {"Name": []},
    "9" * 400,
]


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[SocketEngine]:
    """An engine on a socket."""
    with serving(tmp_path) as made:
        made.answers = SOUND
        yield made


@pytest.fixture
def engine(behind: SocketEngine) -> Iterator[DockerEngine]:
    """The same one, as the project asks it."""
    with asking(behind) as made:
        yield made


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_sound_answer_is_what_it_says(question: str, engine: DockerEngine) -> None:
    ask, expected = QUESTIONS[question]
    assert isinstance(ask(engine), expected) if isinstance(expected, type) else ask(engine) == expected


def _or_known(ask: Callable[[DockerEngine], object], engine: DockerEngine) -> None:
    with contextlib.suppress(RegistryError):
        ask(engine)


@pytest.mark.parametrize("answer", [*ODD, "no JSON", "{", '{"a": ' * 3], ids=repr)
def test_an_odd_answer_to_any_question_is_a_value_or_an_error_with_a_cure(
    answer: object, behind: SocketEngine, engine: DockerEngine
) -> None:
    behind.answers = {"": answer}
    for ask, _ in QUESTIONS.values():
        _or_known(ask, engine)


def _places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, it in inner:
        yield from _places(it, (*path, key))


def _changed(value: object, path: tuple[Any, ...], to: object) -> Any:  # noqa: ANN401 - whatever JSON is
    if not path:
        return to
    made: Any = copy.deepcopy(value)
    at = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = to
    return made


READERS: list[tuple[Callable[[Any], object], Any]] = [
    (lambda it: responses.info(it, ""), INFO),
    (responses.container, CONTAINER),
    (responses.listed, LISTED),
    (responses.publishers, LISTED),
    (responses.bind_mounts, LISTED),
    (responses.volume, VOLUME),
    (responses.image, IMAGE),
]


@pytest.mark.parametrize(("read", "sound"), READERS)
def test_an_odd_value_in_any_place_is_typed_or_refused(read: Callable[[Any], object], sound: object) -> None:
    for path in _places(sound):
        for to in ODD:
            try:
                found = read(_changed(sound, path, to))
            except (AttributeError, LookupError, TypeError, ValueError):  # those that `errors_explained` explains
                continue
            for one in found if isinstance(found, tuple) else [found]:
                _check_typed(one)


def _check_typed(found: object) -> None:
    for name, value in getattr(found, "__dict__", {}).items():
        fits = int if name == "port" else bool if name in ("rootless", "desktop") else (str, tuple, dict)
        assert value is None or isinstance(value, fits), f"{name}: {value!r}"
        assert not isinstance(value, tuple) or all(isinstance(it, str) for it in value)
        assert not isinstance(value, dict) or all(isinstance(it, str) for pair in value.items() for it in pair)


@pytest.mark.long
def test_an_engine_that_lies_in_a_random_place_is_no_traceback(behind: SocketEngine, engine: DockerEngine) -> None:
    chance = random.Random(14)  # noqa: S311 - the same ones each time
    for _ in range(300):
        path, answer = chance.choice(list(SOUND.items()))
        place = chance.choice(list(_places(answer)))
        behind.answers = {**SOUND, path: _changed(answer, place, chance.choice(ODD))}
        for ask, _ in QUESTIONS.values():
            _or_known(ask, engine)


@pytest.mark.parametrize("port", ["70000", "0x1bb", "²", "-1", "443 ", "9" * 30])
def test_a_port_that_is_none_is_no_answer_of_an_engine(port: str, behind: SocketEngine, engine: DockerEngine) -> None:
    bindings = {"443/tcp": [{"HostIp": "", "HostPort": port}]}
    behind.answers = {"/containers/": {**CONTAINER, "HostConfig": {"PortBindings": bindings}}}
    with pytest.raises(RegistryError, match="is not one of a Docker Engine") as caught:
        engine.find("registry")
    assert "docker version" in caught.value.cure


# What answers as Docker does, and is not


@pytest.mark.parametrize("version", ["4.3.1", "5.4.0-dev", "3.0.1"])
def test_podman_is_called_by_its_name(version: str, behind: SocketEngine, engine: DockerEngine) -> None:
    behind.answers = {**SOUND, "/info": {**INFO, "ServerVersion": version, "BuildahVersion": "1.28.2"}}
    assert engine.info().title == f"Podman {version}"
    client = next(it for it in CLIENTS if it.engine)
    assert check._version(client, engine) == f"by Podman {version}"


def test_docker_is_called_by_its_own(engine: DockerEngine) -> None:
    assert engine.info().title == "Docker 20.10.24+dfsg1"


@pytest.mark.parametrize("more", [{}, {"BuildahVersion": "1.28.2"}])
def test_the_engine_that_is_reported_is_the_one_that_answers(
    more: dict[str, str], behind: SocketEngine, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind.answers = {**SOUND, "/info": {**INFO, **more}}
    monkeypatch.setattr(engine_install, "ensure", lambda _console: None)
    monkeypatch.setattr(engines, "connect", lambda _console: engine)
    console = Recorder()
    registry_tasks.engine(console)
    assert console.said[-1].startswith("engine: Podman " if more else "engine: Docker ")


@pytest.mark.parametrize(
    ("said", "expected"), [({}, ()), ({"Mirrors": None}, ()), ({"Mirrors": ["a/", "b/"]}, ("a/", "b/"))]
)
def test_an_engine_s_mirrors_are_those_that_it_names(said: dict[str, object], expected: tuple[str, ...]) -> None:
    assert responses.info({**INFO, "RegistryConfig": said}, "").mirrors == expected
