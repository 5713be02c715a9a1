"""The registry is let stand only if it is what it claims to be, and nobody else's container is touched."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

import psutil
import pytest

from tests import forge, loopback
from tests.fake_engine import FakeEngine, container
from tests.instance.engines import HANDED_OVER, REPLACED
from tests.recorder import Recorder
from trusted_registry import address, templates
from trusted_registry.certificate import issue
from trusted_registry.engine import engine as engines
from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.instance import checks, model, ports, proof, roles, running
from trusted_registry.instance.model import Image
from trusted_registry.registry import probe
from trusted_registry.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from trusted_registry.settings import Settings

FOREIGN = container(role=None, digest=None, image="nginx")
PROCESSES = psutil.process_iter
"""As it is without the fixture that hides what runs below a process of a test."""


@pytest.fixture
def engine(settings: Settings) -> Iterator[FakeEngine]:
    """An engine whose registry shows the certificate that is on disk."""
    made = FakeEngine(settings.folder / "domain.crt")
    yield made
    made.end()


def _tls(settings: Settings, engine: FakeEngine, console: Recorder) -> bool:
    return running.run_tls(Run(settings, console), engine)


def test_a_registry_that_proves_itself_stands(settings: Settings, engine: FakeEngine, console: Recorder) -> None:
    assert _tls(settings, engine, console)
    assert (engine.done, engine.container is not None) == (["start"], True)


def test_its_configuration_is_on_disk_before_it_starts(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    _tls(settings, engine, console)
    made = [it for it in roles.tls(settings, Image("registry:3", ""), model.OFFICIAL_ENTRYPOINT).files if it.made]
    assert [(it.source.name, it.source.read_bytes()) for it in made] == [(it.name, it.content) for it in made]
    assert (len(made), console.warned) == (2, [])


def test_an_image_without_a_shell_runs_and_what_that_means_is_said_once(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.starts = ()
    _tls(settings, engine, console)
    _tls(settings, engine, console)
    assert [line.partition(",")[0] for line in console.warned] == ["registry:3 may have no shell"]
    assert not (settings.folder / "start.sh").exists()


def _noting(engine: FakeEngine, seen: list[str]) -> Callable[[], None]:
    """Return a call that notes the state of the registry's container."""

    def note() -> None:
        found = engine.find("registry")
        seen.append(found.state if found else "absent")

    return note


@pytest.mark.parametrize("state", ["", "exited", "dead", "running"])
def test_a_registry_is_started_while_something_else_is_done(
    state: str, settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.container = container(digest="other", state=state) if state else None
    seen: list[str] = []
    assert running.run_tls(Run(settings, console), engine, _noting(engine, seen))
    assert not running.run_tls(Run(settings, console), engine, _noting(engine, seen))
    assert seen == ["created"]


def test_the_first_registry_is_started_while_its_certificate_is_made_and_its_files_are_rendered_and_taken(
    settings: Settings, engine: FakeEngine, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {name: (settings.folder / name).read_bytes() for name in ("domain.crt", "domain.key")}
    seen: list[str] = []
    fill, render, note = engine.fill, templates.render, _noting(engine, seen)

    def rendered(name: str, **values: object) -> str:
        note()
        return render(name, **values)

    def noted(*arguments: Any) -> None:  # noqa: ANN401 - those of fill
        note()
        fill(*arguments)

    def prepare() -> None:
        note()
        for name, content in made.items():
            (settings.folder / name).write_bytes(content)

    for name in made:
        (settings.folder / name).unlink()
    monkeypatch.setattr(templates, "render", rendered)
    monkeypatch.setattr(engine, "fill", noted)
    assert running.run_tls(Run(settings, console), engine, prepare=prepare)
    assert (seen, engine.done) == (
        ["created"] * 4,
        ["start"],
    )  # the last as its volume is filled
    assert engine.container
    taken = engine.files[engine.container.files_volume]
    assert {name: taken[name].content for name in made} == made


def test_where_the_image_must_be_fetched_the_certificate_comes_first(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.remote[settings.image] = engine.images.pop(settings.image)
    seen: list[str] = []
    assert running.run_tls(Run(settings, console), engine, prepare=_noting(engine, seen))
    assert seen == ["absent"]


@pytest.mark.parametrize("fails", ["prepare", "fill"])
def test_a_first_registry_without_its_files_is_not_there(
    fails: str, settings: Settings, engine: FakeEngine, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        assert engine.container
        raise RegistryError("no room", cure="make some")

    if fails == "fill":
        monkeypatch.setattr(engine, "fill", fail)
    with pytest.raises(RegistryError, match="no room") as caught:
        running.run_tls(Run(settings, console), engine, prepare=fail if fails == "prepare" else lambda: None)
    assert (caught.value.cure, engine.container, engine.files) == ("make some", None, {})


def test_a_registry_that_cannot_wait_for_its_files_is_started_when_they_are_there(
    settings: Settings, engine: FakeEngine, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.starts = ()
    seen: list[str] = []
    fill, note = engine.fill, _noting(engine, seen)

    def noted(*arguments: Any) -> None:  # noqa: ANN401 - those of fill
        fill(*arguments)
        note()

    monkeypatch.setattr(engine, "fill", noted)
    running.run_tls(Run(settings, console), engine)
    assert (seen, engine.done) == (["absent"], ["start"])


def test_what_is_shown_meanwhile_has_its_place(settings: Settings) -> None:
    console = Recorder(dry=True)
    engine = engines.unavailable(console)
    running.run_tls(Run(settings, console), engine, lambda: console.command(["later"]))
    shown = list(dict.fromkeys(words[-1] if len(words) == 1 else words[1] for words in console.commands))
    assert shown == ["pull", "volume", "create", "cp", "rm", "run", "later"]


def test_the_second_time_nothing_is_started(settings: Settings, engine: FakeEngine, console: Recorder) -> None:
    _tls(settings, engine, console)
    assert (_tls(settings, engine, console), engine.done) == (False, ["start"])


def test_where_a_registry_serves_an_old_certificate_another_takes_over(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    _tls(settings, engine, console)
    issue.renew(Run(settings, console))
    assert (_tls(settings, engine, console), engine.done) == (True, ["start", *HANDED_OVER])


def test_one_that_does_not_answer_as_it_should_though_nothing_was_changed_is_restarted(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.shows = _another_authority_s(settings, settings.root / "other")
    with pytest.raises(RegistryError):
        _tls(settings, engine, console)
    engine.shows = settings.folder / "domain.crt"
    _tls(settings, engine, console)
    engine.containers["registry"].serving.close()
    engine.done.clear()
    assert (_tls(settings, engine, console), engine.done) == (True, ["restart"])


@pytest.mark.parametrize(
    "act",
    [_tls, lambda settings, engine, console: running.stop(Run(settings, console), engine, purge=True)],
    ids=["tls", "stop"],
)
def test_another_checkout_s_registry_is_left_alone(
    act: Callable[[Settings, FakeEngine, Recorder], bool], settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.container = container(digest="other")
    engine.given = [settings.root / "other" / "certs" / "domain.crt"]
    engine.given[0].parent.mkdir(parents=True)
    with pytest.raises(RegistryError, match=r"another checkout's: it serves what is in .*/other/certs"):
        act(settings, engine, console)
    assert engine.done == []
    engine.given = [settings.folder / "domain.crt"]
    assert act(settings, engine, console)


def test_a_registry_of_other_settings_is_made_anew(settings: Settings, engine: FakeEngine, console: Recorder) -> None:
    engine.container = container(digest="other")
    assert (_tls(settings, engine, console), engine.done) == (True, REPLACED)


def test_the_plain_registry_gives_way_and_says_so(settings: Settings, engine: FakeEngine, console: Recorder) -> None:
    engine.container = container(role="plain")
    _tls(settings, engine, console)
    assert (engine.done, "gives way" in " ".join(console.said)) == (REPLACED, True)


def _another_authority_s(settings: Settings, folder: Path) -> Path:
    assert settings.folder != folder
    return forge.save(forge.server(None, names=(loopback.HOST, "192.168.0.12")), folder, "domain")


def _another_of_the_same(settings: Settings, folder: Path) -> Path:
    names = (loopback.HOST, "localhost", "192.168.0.12")
    issuer = forge.load(settings.folder, "issuer")
    return forge.save(forge.server(issuer, names=names), folder, "domain", issuer)


@pytest.mark.parametrize(
    ("other", "said"), [(_another_authority_s, "The handshake failed"), (_another_of_the_same, "another certificate")]
)
def test_a_registry_that_shows_another_certificate_is_stopped_again_with_its_last_words(
    other: Callable[[Settings, Path], Path],
    said: str,
    settings: Settings,
    engine: FakeEngine,
    console: Recorder,
) -> None:
    engine.shows = other(settings, settings.root / "other")
    with pytest.raises(RegistryError, match=f"{said}.*stopped again"):
        _tls(settings, engine, console)
    assert (engine.container, console.warned) == (None, ["the end of its log: last words"])


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("10.9.9.9", "10.9.9.9 is none of this machine's (192.168.0.12)"),
        ("192.168.0.12", ""),
        (loopback.HOST, ""),
        ("a.b", ""),
    ],
)
def test_an_address_of_another_machine_is_named_where_that_one_answers(
    host: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address, "own_addresses", lambda: ("192.168.0.12",))
    found = checks.another_machine_s(host)
    assert (said in found, bool(found)) == (True, bool(said))


def test_without_a_certificate_nothing_is_started(settings: Settings, engine: FakeEngine, console: Recorder) -> None:
    shutil.rmtree(settings.folder)
    with pytest.raises(RegistryError, match="no certificate yet"):
        _tls(settings, engine, console)
    assert engine.done == []


def test_plain_http_starts_and_answers(settings: Settings, engine: FakeEngine, console: Recorder) -> None:
    engine.shows = None
    assert running.run_plain(Run(settings, console), engine, lan=False)
    assert engine.done == ["start"]


def test_plain_http_does_not_take_the_tls_registry_s_place(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.container = container(role="tls")
    with pytest.raises(RegistryError, match="a step back"):
        running.run_plain(Run(settings, console), engine, lan=False)
    assert engine.done == []


@pytest.mark.parametrize("task", ["tls", "plain", "stop"])
def test_a_foreign_container_with_our_name_is_named_and_left_alone(
    task: str, settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.container = FOREIGN
    acts: dict[str, Callable[[], bool]] = {
        "tls": lambda: _tls(settings, engine, console),
        "plain": lambda: running.run_plain(Run(settings, console), engine, lan=False),
        "stop": lambda: running.stop(Run(settings, console), engine, purge=True),
    }
    with pytest.raises(RegistryError, match=r"image nginx.*did not make it") as caught:
        acts[task]()
    assert (engine.done, engine.container, "INVOKE_REGISTRY_CONTAINER" in caught.value.cure) == ([], FOREIGN, True)


def test_a_port_that_a_container_holds_is_named_with_it(settings: Settings, console: Recorder) -> None:
    engine = FakeEngine()
    engine.put("web", container(role=None, port=settings.port))
    with pytest.raises(RegistryError, match=f"Port {settings.port} is in use by the container web") as caught:
        _tls(settings, engine, console)
    plain = f"INVOKE_REGISTRY_PLAIN_PORT={settings.port + 1} ./inv registry.basic"
    assert caught.value.cure == f"docker stop web; or use another port: {plain}"
    both = dataclasses.replace(settings, plain_port=5000)
    assert ports.taken_error(settings.port, both, engine).cure.endswith(f" ./inv up --port {settings.port + 1}")


def test_a_port_that_a_process_holds_is_named_with_it(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    with (
        socket.create_server((loopback.HOST, settings.port)),
        pytest.raises(RegistryError, match=rf"in use by .*\(process {os.getpid()}\)"),
    ):
        _tls(settings, engine, console)


def test_a_port_that_docker_keeps_for_nobody_is_told_as_such_with_the_engine_s_restart(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    engine.refuses = PortTakenError(f"Port {settings.port} is in use.", cure="")
    with pytest.raises(RegistryError, match="Docker keeps port") as caught:
        _tls(settings, engine, console)
    assert "sudo service docker restart" in caught.value.cure


def _named(name: str) -> str:
    """Return a program that listens on a port of its own under a name, tells the port, and waits."""
    told = "import socket,sys; it = socket.create_server(('127.0.0.1', 0)); print(it.getsockname()[1], flush=True)"
    return f'exec -a {name} {sys.executable} -c "{told}; sys.stdin.read()" -host-port 443 -container-port 5000'


@pytest.mark.process
@pytest.mark.parametrize(("name", "said"), [("/usr/bin/docker-proxy", "Docker keeps"), ("docker-web", "in use by")])
def test_a_proxy_of_docker_that_outlived_its_container_is_known_by_the_port_that_it_holds_itself(
    name: str, said: str, settings: Settings
) -> None:
    home = {**os.environ, "PYTHONHOME": sys.base_prefix}  # which Python looks for beside its name
    command, pipe = ["bash", "-c", _named(name)], subprocess.PIPE
    with subprocess.Popen(command, env=home, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        assert said in ports.taken_error(port, settings, FakeEngine()).message
        with socket.create_server((loopback.HOST, 0)) as another:  # a proxy elsewhere is not to blame for this one
            own = another.getsockname()[1]
            assert f"(process {os.getpid()})" in ports.taken_error(own, settings, FakeEngine()).message
        process.communicate("")


ID = "932b240dd950"


@contextlib.contextmanager
def _container_process(namespace: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """Run a program below one that looks like what containerd runs for each of a user's containers."""
    monkeypatch.setattr(psutil, "process_iter", PROCESSES)
    waits, pipe = "bash -c 'echo $$; read -r line'; true", subprocess.PIPE
    shim = ["bash", "-c", waits, "-namespace", namespace, "-id", ID]
    with subprocess.Popen(shim, stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        if process.poll() is None:
            process.communicate("\n")


def _number(process: subprocess.Popen[str]) -> int:
    assert process.stdout
    return int(process.stdout.readline())


def _rootless(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine be this user's, as the processes are that a test starts."""
    info = dataclasses.replace(engine.info(), rootless=True)
    monkeypatch.setattr(engine, "info", lambda **_: info)


@pytest.mark.process
@pytest.mark.parametrize("state", ["created", "exited"])
def test_a_container_that_runs_and_that_the_engine_counts_as_stopped_is_lost(
    state: str, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _rootless(engine, monkeypatch)
    monkeypatch.setattr(ports, "_START_SECONDS", 0)
    monkeypatch.setattr(engine, "find", lambda name: container(state=state) if name == ID else None)
    with _container_process("moby", monkeypatch) as process:
        number = _number(process)
        assert number in ports.lost_containers(engine)
    assert number not in ports.lost_containers(engine)


@pytest.mark.process
@pytest.mark.parametrize(
    ("state", "namespace", "user"),
    [
        ("running", "moby", 0),
        ("paused", "moby", 0),
        ("", "moby", 0),
        ("created", "k8s.io", 0),
        ("created", "moby", 12345),
    ],
    ids=["it runs", "it is paused", "another engine's", "Kubernetes'", "another user's"],
)
def test_what_the_engine_counts_and_what_is_another_s_is_not_lost(
    state: str, namespace: str, user: int, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _rootless(engine, monkeypatch)
    monkeypatch.setattr(ports, "_START_SECONDS", 0)
    user = user or os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(engine, "find", lambda name: container(state=state) if state and name == ID else None)
    with _container_process(namespace, monkeypatch) as process:
        assert _number(process) not in ports.lost_containers(engine)


@pytest.mark.process
def test_a_container_that_the_engine_counts_soon_after_is_not_lost(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _rootless(engine, monkeypatch)
    states = {ID: "created"}
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        states[ID] = "running"

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(engine, "find", lambda name: container(state=states[name]) if name in states else None)
    with _container_process("moby", monkeypatch) as process:
        assert _number(process) not in ports.lost_containers(engine)
        assert waited == [ports._START_SECONDS]


def test_a_dry_run_looks_for_no_lost_containers(
    settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    console.dry = True
    monkeypatch.setattr(ports, "lost_containers", lambda _engine: pytest.fail("it looked"))
    checks.check_lost_containers(Run(settings, console), FakeEngine())


def test_no_registry_is_started_beside_containers_that_the_engine_lost(
    settings: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "lost_containers", lambda _engine: [678, 679])
    with pytest.raises(RegistryError, match=r"process 678, 679") as caught:
        checks.check_lost_containers(Run(settings, console), FakeEngine())
    assert caught.value.cure.startswith("sudo kill -KILL 678 679; then ./inv up")


def test_a_registry_that_does_not_answer_and_whose_log_has_no_error_comes_with_what_is_left_to_do(
    settings: Settings, console: Recorder
) -> None:
    silent = RegistryError("The registry did not answer within 30 seconds.", cure="./inv registry.logs says why.")
    at = probe.Endpoint(settings.address, settings.port)
    with pytest.raises(RegistryError, match="It was stopped again") as caught:
        proof.stop_again(silent, "registry", at, Run(settings, console), FakeEngine())
    assert "restart the engine" in caught.value.cure


@pytest.mark.parametrize(("found", "look"), [([None], "sudo ss -ltnp 'sport = :443'"), (None, "sudo lsof ")])
def test_a_port_that_another_user_s_process_holds_comes_with_what_names_it(
    found: list[None] | None, look: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "listening_pids", lambda _port: found)
    error = ports.taken_error(443, settings, FakeEngine())
    assert (error.message, error.cure.startswith(look)) == ("Port 443 is in use by a process of another user.", True)


@pytest.mark.parametrize(
    ("listen", "by", "expected"),
    [
        ("", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("192.168.0.12", "", True),
        ("192.168.0.12", "127.0.0.1", False),
    ],
)
def test_a_port_is_taken_where_the_registry_is_to_listen_or_everywhere(listen: str, by: str, *, expected: bool) -> None:
    port = loopback.free_port()
    with socket.create_server((by, port)):
        assert ports.is_taken(listen, port) is expected
    assert not ports.is_taken(listen, port)


def test_a_taken_port_is_refused_before_anything_is_made_and_the_registry_s_own_is_not(
    settings: Settings, engine: FakeEngine, console: Recorder
) -> None:
    checks.check_port(Run(settings, console), engine)
    with socket.create_server((loopback.HOST, settings.port)):
        with pytest.raises(RegistryError, match=rf"in use by .*\(process {os.getpid()}\)"):
            checks.check_port(Run(settings, console), engine)
        checks.check_port(Run(settings, Recorder(dry=True)), engine)
        engine.container = dataclasses.replace(container(), port=settings.port)
        checks.check_port(Run(settings, console), engine)
        engine.rename("registry", "registry-before")  # as a run that was killed half way leaves it
        checks.check_port(Run(settings, console), engine)
        engine.rename("registry-before", "registry")
        engine.container = dataclasses.replace(engine.container, state="exited")
        with pytest.raises(RegistryError, match="in use by"):
            checks.check_port(Run(settings, console), engine)


def test_a_port_that_nobody_holds_has_no_listener() -> None:
    with loopback.silence() as port:
        assert ports.listening_process(port) is None


@pytest.mark.parametrize(("purge", "volumes"), [(False, {"trusted-registry": ""}), (True, {})])
def test_stopping_keeps_the_images_unless_they_are_purged(
    settings: Settings, engine: FakeEngine, console: Recorder, *, purge: bool, volumes: dict[str, str]
) -> None:
    engine.container, engine.volumes = container(volume="trusted-registry"), {"trusted-registry": ""}
    assert running.stop(Run(settings, console), engine, purge=purge)
    assert (engine.done, engine.volumes) == (["remove"], volumes)


def test_stopping_what_does_not_run_changes_nothing(settings: Settings, engine: FakeEngine, console: Recorder) -> None:
    assert (running.stop(Run(settings, console), engine, purge=False), engine.done) == (False, [])
