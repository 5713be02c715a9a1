"""The Engine API reports a failed push or pull inside the stream, after it said 200: no failure may be lost there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import docker.errors
import pytest
import requests.exceptions

from tests import garbage
from tests.recorder import Recorder
from trusted_registry.engine import engine as engines
from trusted_registry.engine import types as engine_types
from trusted_registry.engine.docker_engine import DockerEngine
from trusted_registry.engine.types import split_reference
from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.registry.users import Login

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Events = list[dict[str, Any]]
DIGEST = f"sha256:{'0a' * 32}"
REFERENCE = "192.168.0.12/app:1"

PUSHED: Events = [
    {"status": "The push refers to repository [192.168.0.12/app]"},
    {"status": "Preparing", "progressDetail": {}, "id": "aaa"},
    {"status": "Pushing", "progressDetail": {"current": 512, "total": 2048}, "progress": "[=>  ]", "id": "aaa"},
    {"status": "Pushing", "progressDetail": {"current": 2048, "total": 2048}, "progress": "[==>]", "id": "aaa"},
    {"status": "Pushed", "progressDetail": {}, "id": "aaa"},
    {"status": f"1: digest: {DIGEST} size: 528"},
    {"progressDetail": {}, "aux": {"Tag": "1", "Digest": DIGEST, "Size": 528}},
]
PULLED: Events = [
    {"status": "Pulling from app", "id": "1"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "aaa"},
    {"status": "Downloading", "progressDetail": {"current": 10, "total": 20}, "id": "aaa"},
    {"status": "Extracting", "progressDetail": {"current": 1, "units": "s"}, "id": "aaa"},
    {"status": "Pull complete", "progressDetail": {}, "id": "aaa"},
    {"status": f"Digest: {DIGEST}"},
    {"status": "Status: Downloaded newer image for 192.168.0.12/app:1"},
]
UNTRUSTED = (
    "Get https://192.168.0.12/v2/: tls: failed to verify certificate: x509: certificate signed by unknown authority"
)
FAILED: Events = [
    {"status": "The push refers to repository [192.168.0.12/app]"},
    {"errorDetail": {"message": UNTRUSTED}, "error": UNTRUSTED},
]
SHORT: Events = [{"error": "denied"}]


class _Api:
    """The two calls of the Engine API that stream."""

    def __init__(self, events: Iterable[dict[str, Any]]) -> None:
        self.asked: list[tuple[str, str]] = []
        self.logins: list[dict[str, str] | None] = []
        self._events = events

    def push(
        self, repository: str, *, tag: str, stream: bool, decode: bool, auth_config: dict[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        assert stream
        assert decode
        self.logins.append(auth_config)
        self.asked.append((repository, tag))
        yield from self._events

    pull = push


class _Client:
    def __init__(self, events: Iterable[dict[str, Any]]) -> None:
        self.api = _Api(events)


def _engine(events: Iterable[dict[str, Any]], console: Recorder) -> tuple[DockerEngine, _Api]:
    client = _Client(events)
    return DockerEngine(cast("docker.DockerClient", client), console), client.api


def _silence(error: Exception) -> Iterator[dict[str, Any]]:
    """Stream a little, then break off."""
    yield PULLED[0]
    raise error


both_ways = pytest.mark.parametrize("way", [DockerEngine.push, DockerEngine.pull], ids=["push", "pull"])


def test_a_push_returns_the_digest_that_the_registry_gave(console: Recorder) -> None:
    assert _engine(PUSHED, console)[0].push(REFERENCE) == DIGEST


def test_a_pull_returns_the_digest_that_the_registry_gave(console: Recorder) -> None:
    assert _engine(PULLED, console)[0].pull(REFERENCE) == DIGEST


@both_ways
def test_a_stream_without_a_digest_returns_none_rather_than_a_guess(
    way: Callable[[DockerEngine, str], str | None], console: Recorder
) -> None:
    assert way(_engine(PUSHED[:5], console)[0], REFERENCE) is None


@both_ways
@pytest.mark.parametrize(
    ("events", "said"), [(FAILED, "x509: certificate signed by unknown authority"), (SHORT, "denied")]
)
def test_an_error_in_the_stream_is_raised_in_the_engine_s_own_words(
    events: Events, said: str, way: Callable[[DockerEngine, str], str | None], console: Recorder
) -> None:
    with pytest.raises(RegistryError, match=f"failed: .*{said}"):
        way(_engine(events, console)[0], REFERENCE)


@both_ways
def test_an_error_after_a_digest_is_still_an_error(
    way: Callable[[DockerEngine, str], str | None], console: Recorder
) -> None:
    with pytest.raises(RegistryError, match="denied"):
        way(_engine([*PUSHED, *SHORT], console)[0], REFERENCE)


def test_asking_raises_what_the_engine_thinks_of_a_registry(console: Recorder) -> None:
    with pytest.raises(RegistryError, match="unknown authority"):
        _engine(FAILED, console)[0].try_pull(REFERENCE)


def test_asking_shows_nothing(console: Recorder) -> None:
    _engine(PULLED, console)[0].try_pull(REFERENCE)
    assert (console.commands, console.moved) == ([], [])


@both_ways
@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.ConnectionError("gone"),
        requests.exceptions.ChunkedEncodingError("cut"),
        docker.errors.StreamParseError("cut"),
    ],
)
def test_an_engine_that_stops_half_way_is_an_error_with_a_cure(
    error: Exception, way: Callable[[DockerEngine, str], str | None], console: Recorder
) -> None:
    with pytest.raises(RegistryError, match="stopped answering") as caught:
        way(_engine(_silence(error), console)[0], REFERENCE)
    assert "./inv engine" in caught.value.cure


def test_what_the_engine_refuses_outright_is_quoted(console: Recorder) -> None:
    refusal = docker.errors.APIError("400", explanation="invalid reference format")
    with pytest.raises(RegistryError, match="invalid reference format"):
        _engine(_silence(refusal), console)[0].pull(REFERENCE)


def test_progress_is_reported_layer_by_layer_with_an_unknown_total_as_nought(console: Recorder) -> None:
    _engine([*PUSHED, *PULLED], console)[0].push(REFERENCE)
    assert console.moved == [("aaa", 512, 2048), ("aaa", 2048, 2048), ("aaa", 10, 20), ("aaa", 1, 0)]


@both_ways
def test_the_command_that_a_person_would_type_is_shown(
    way: Callable[[DockerEngine, str], str | None], console: Recorder
) -> None:
    way(_engine(PUSHED, console)[0], REFERENCE)
    assert console.commands == [["docker", way.__name__, REFERENCE]]


@both_ways
def test_a_dry_run_asks_the_engine_nothing(way: Callable[[DockerEngine, str], str | None]) -> None:
    engine, api = _engine(PUSHED, Recorder(dry=True))
    assert (way(engine, REFERENCE), api.asked) == (None, [])


@both_ways
def test_a_login_is_sent_where_one_is_given_and_else_left_to_the_person_s_own_configuration(
    way: Callable[..., str | None], console: Recorder
) -> None:
    engine, api = _engine(PUSHED, console)
    way(engine, REFERENCE, Login("ada", "secret"))
    way(engine, REFERENCE)
    assert api.logins == [{"username": "ada", "password": "secret"}, None]


@both_ways
def test_repository_and_tag_are_sent_apart(way: Callable[[DockerEngine, str], str | None], console: Recorder) -> None:
    engine, api = _engine(PUSHED, console)
    way(engine, "192.168.0.12:5000/app:1")
    assert api.asked == [("192.168.0.12:5000/app", "1")]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("ubuntu", ("ubuntu", "latest")),
        ("registry:3", ("registry", "3")),
        ("192.168.0.12:5000/app", ("192.168.0.12:5000/app", "latest")),
        ("192.168.0.12:5000/app:1", ("192.168.0.12:5000/app", "1")),
        ("[fd00::12]:5000/app", ("[fd00::12]:5000/app", "latest")),
        (f"host/app@{DIGEST}", ("host/app", DIGEST)),
    ],
)
def test_a_reference_is_split_where_its_tag_begins(reference: str, expected: tuple[str, str]) -> None:
    assert split_reference(reference) == expected


# Engines that are not there


left_to_the_garbage = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""The Docker SDK closes a socket that was refused only when it is collected (docker-py, UnixHTTPConnection.connect)."""


@pytest.fixture
def _collected() -> Iterator[None]:
    """Have that happen within the test that caused it."""
    with garbage.collected():
        yield


@left_to_the_garbage
@pytest.mark.usefixtures("_collected")
@pytest.mark.parametrize(
    ("host", "cure"), [("unix:///nowhere/docker.sock", "DOCKER_HOST"), ("tcp://127.0.0.1:9", "DOCKER_HOST")]
)
def test_an_engine_that_does_not_answer_is_named_with_a_cure(
    host: str, cure: str, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(RegistryError, match=f"No Docker Engine answers at {host}") as caught:
        engines.connect(console)
    assert cure in caught.value.cure


@left_to_the_garbage
@pytest.mark.usefixtures("_collected")
@pytest.mark.parametrize("host", ["nonsense", "ftp://a", "tcp://"])
def test_a_docker_host_that_is_none_is_an_error_without_a_traceback(
    host: str, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(RegistryError) as caught:
        engines.connect(console)
    assert caught.value.cure


@left_to_the_garbage
@pytest.mark.usefixtures("_collected")
def test_a_dry_run_needs_no_engine() -> None:
    engine = engines.connect(Recorder(dry=True))
    assert (engine.available, engine.find("registry"), engine.has_image("registry:3")) == (False, None, False)


@pytest.mark.parametrize(
    ("said", "kind", "cure"),
    [
        ("Bind for 0.0.0.0:443 failed: port is already allocated", PortTakenError, "ss --"),
        ("listen tcp4 0.0.0.0:443: bind: address already in use", PortTakenError, "ss --"),
        (
            "error while calling PortManager.AddPort(): cannot expose privileged port 443",
            RegistryError,
            "./inv up --port 8443",
        ),
    ],
)
def test_a_port_that_cannot_be_had_is_told_apart(said: str, kind: type[RegistryError], cure: str) -> None:
    found = engine_types.start_error(RegistryError(said, cure=""), 443)
    assert (type(found), cure in found.cure) == (kind, True)


def test_another_reason_not_to_start_is_passed_on() -> None:
    error = RegistryError("no space left on device", cure="x")
    assert engine_types.start_error(error, 443) is error
