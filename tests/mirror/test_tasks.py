"""Tasks of mirrors by their words: each failure of an answer is told as that, and nothing is said that is not so."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.fake_engine import FakeEngine, container
from tests.recorder import Recorder
from trusted_registry import installation
from trusted_registry.engine import engine as engines
from trusted_registry.errors import AnswerError, LoginRequiredError, RegistryError
from trusted_registry.installation import NotedMirror
from trusted_registry.instance import ownership
from trusted_registry.instance.model import mirror_name
from trusted_registry.mirror import filling, pull, reach, serving
from trusted_registry.mirror.reach import Reach, State
from trusted_registry.mirror.upstream import Upstream
from trusted_registry.registry.api import RegistryClient
from trusted_registry.run import Run
from trusted_registry.tasks import mirror, mirror_beside, mirror_holdings, trust
from trusted_registry.trust.local import daemon, daemon_lists, overruled
from trusted_registry.trust.model import Mirror

if TYPE_CHECKING:
    from tests.conftest import MakeSettings

HUB = Upstream("docker.io")
IMAGE = "docker.io/library/alpine:3"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """The engine that answers."""
    made = FakeEngine()
    monkeypatch.setattr(engines, "connect", lambda *_: made)
    return made


@pytest.fixture
def run(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run with a mirror of Docker Hub, which nobody asks."""
    made = Run(make_settings(), Recorder())
    installation.ensure(made.settings.folder, made.console)
    installation.note_mirror(made.settings.folder, HUB.name, NotedMirror(5500))
    monkeypatch.setattr(pull, "client", lambda at, *_: RegistryClient(at, None))
    return made


def _raising(error: BaseException) -> object:
    def fail(*_: object, **_named: object) -> NoReturn:
        raise error

    return fail


def _refused(run: Run) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        mirror.fill(run, references=[IMAGE], every_machine=False)
    return caught.value


# Filling


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("status", "state", "told"),
    [
        (404, State.ANSWERS, f"docker.io has no {IMAGE}"),
        (404, State.AWAY, f"{IMAGE} is not in the mirror, and docker.io does not answer"),
        (503, State.AWAY, f"{IMAGE} is not in the mirror, and docker.io does not answer"),
        (429, State.ANSWERS, "of its own"),
        (0, State.ANSWERS, "of its own"),
        (403, State.ANSWERS, "a mirror has none: it holds public images"),
    ],
)
def test_only_what_an_upstream_does_not_have_is_told_as_absent(
    status: int, state: State, told: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "fill", _raising(AnswerError("of its own", cure="", status=status)))
    monkeypatch.setattr(reach, "find", lambda *_: Reach(HUB, state))
    assert told in _refused(run).message


@pytest.mark.usefixtures("engine")
def test_a_private_image_is_told_as_one_and_no_login_to_the_mirror_is_advised(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "fill", _raising(LoginRequiredError("x wants a login.", cure="docker login")))
    error = _refused(run)
    assert "a mirror has none: it holds public images" in error.message
    assert "docker login" not in error.cure


@pytest.mark.usefixtures("engine")
def test_a_mirror_that_goes_while_it_is_asked_why_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "fill", _raising(AnswerError("none", cure="", status=404)))
    monkeypatch.setattr(reach, "find", _raising(ConnectionRefusedError("refused")))
    error = _refused(run)
    assert (error.message, error.cure) == (
        "The mirror of docker.io does not answer: refused",
        "./inv mirror.up docker.io",
    )


# Cleaning


@pytest.fixture
def cleaned(run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Upstreams whose mirrors are cleaned, of Docker Hub's, which runs, and of two that do not."""
    for name, used in (("ghcr.io", True), ("quay.io", False)):
        installation.note_mirror(run.settings.folder, name, NotedMirror(5501, used=used))
    engine.put(mirror_name(run.settings.container, HUB.name), container())
    monkeypatch.setattr(ownership, "container", lambda of, engine: engine.find(of.settings.container))
    done: list[str] = []
    monkeypatch.setattr(mirror_holdings, "_clean", lambda of, *_: done.append(of.name))
    return done


def test_of_all_mirrors_those_that_run_are_cleaned_and_the_others_named(run: Run, cleaned: list[str]) -> None:
    mirror_holdings.clean(run, older="30", upstreams=[])
    assert cleaned == [HUB.name]
    assert isinstance(run.console, Recorder)
    assert [it.partition(" ")[0] for it in run.console.warned] == ["ghcr.io", "quay.io"]
    assert run.console.warned[0].endswith("to start it: ./inv mirror.up ghcr.io")


def test_one_that_was_named_and_does_not_run_is_an_error(run: Run, engine: FakeEngine) -> None:
    assert not engine.containers
    with pytest.raises(RegistryError, match=r"docker\.io does not run"):
        mirror_holdings.clean(run, older="30", upstreams=[HUB.name])


# Renewal


def test_of_mirrors_that_cannot_be_renewed_each_is_told(
    run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine.available
    errors = [
        RegistryError(f"The mirror of {it}: no.", cure=f"Mend {it}.") for it in ("docker.io", "ghcr.io", "quay.io")
    ]
    monkeypatch.setattr(serving, "refresh", lambda *_: ([], errors))
    with pytest.raises(RegistryError, match=r"The mirror of docker\.io: no"):
        mirror_beside.renew(run)
    assert isinstance(run.console, Recorder)
    assert run.console.warned == [f"The mirror of {it}: no. Mend {it}." for it in ("ghcr.io", "quay.io")]


# Start and stop


@pytest.fixture
def started(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Steps of tasks, in which mirrors start and stop, clients are told, and nothing is proved."""
    assert engine.available
    steps: list[str] = []

    def up(of: Upstream, run: Run, *_: object, port: int) -> bool:
        if not run.console.dry:
            installation.note_mirror(run.settings.folder, of.name, NotedMirror(port))
        return True

    def told(run: Run, *_: object, **_named: object) -> None:
        used = [name for name, it in installation.known(run.settings.folder).mirrors.items() if it.used]
        steps.append(f"told of {', '.join(used)}")

    monkeypatch.setattr(overruled, "check", lambda *_: None)
    monkeypatch.setattr(serving, "up", up)
    monkeypatch.setattr(serving, "stop", lambda of, *_, **_named: steps.append(f"stopped {of.name}"))
    monkeypatch.setattr(serving, "down", lambda *_, **_named: True)
    monkeypatch.setattr(trust, "install_trust", told)
    monkeypatch.setattr(mirror, "_prove", lambda *_: None)
    return steps


def test_clients_that_were_told_before_one_could_not_be_are_told_anew(
    run: Run, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, refusal = trust.install_trust, RegistryError("read-only", cure="")

    def fail_first(*given: object, **named: object) -> None:
        told(*given, **named)  # type: ignore[arg-type]
        if len(started) == 1:
            raise refusal

    monkeypatch.setattr(trust, "install_trust", fail_first)
    with pytest.raises(RegistryError, match="read-only"):
        mirror.up(run, upstreams=["ghcr.io"])
    assert started == ["told of docker.io, ghcr.io", "told of docker.io", "stopped ghcr.io"]
    assert isinstance(run.console, Recorder)
    assert "the mirror of ghcr.io, so it is taken back" in run.console.warned[0]


@pytest.mark.usefixtures("started")
def test_the_first_error_is_raised_whatever_fails_while_a_mirror_is_taken_back(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "install_trust", _raising(RegistryError("read-only", cure="")))
    monkeypatch.setattr(serving, "stop", _raising(RegistryError("the engine is gone", cure="Start it.")))
    with pytest.raises(RegistryError, match="read-only"):
        mirror.up(run, upstreams=["ghcr.io"])
    assert isinstance(run.console, Recorder)
    assert [it.partition(":")[0] for it in run.console.warned[1:]] == [
        "some clients may still be told of it",
        "the mirror of ghcr.io still runs",
    ]


@pytest.mark.usefixtures("started")
def test_a_dry_run_says_nothing_that_is_not_so_and_that_a_certificate_is_wanted(run: Run) -> None:
    console = Recorder(dry=True)
    mirror.up(Run(run.settings, console), upstreams=["ghcr.io"])
    mirror.down(Run(run.settings, console), upstreams=["docker.io"], purge=False)
    assert (console.said, console.warned) == ([], ["There is no certificate yet. ./inv cert makes one."])


def test_a_mirror_that_clients_cannot_be_told_to_leave_runs_on_as_before(
    run: Run, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = installation.known(run.settings.folder).mirrors
    assert before["docker.io"].used
    monkeypatch.setattr(trust, "install_trust", _raising(RegistryError("holds something else", cure="")))
    monkeypatch.setattr(serving, "down", lambda of, *_, **_named: started.append(f"down {of.name}"))
    with pytest.raises(RegistryError, match="holds something else"):
        mirror.down(run, upstreams=["docker.io"], purge=False)
    assert (installation.known(run.settings.folder).mirrors, started) == (before, [])


@pytest.mark.usefixtures("started")
def test_who_stops_a_mirror_learns_how_to_start_it_again_and_that_other_machines_still_ask_it(run: Run) -> None:
    mirror.down(run, upstreams=["docker.io"], purge=False)
    assert isinstance(run.console, Recorder)
    stopped, again, others, back = run.console.said
    assert stopped == "mirror: docker.io is stopped; what it holds and its port are kept"
    assert again.startswith("to start again: ./inv mirror.up docker.io; ")
    assert again.endswith("to remove what is held: ./inv mirror.down docker.io --purge")
    assert "still ask here first, and then the upstream" in others
    assert "./inv trust.serve" in back
    assert "./inv trust.kit" in back
    assert back.count(" --mirrors") == 2


@pytest.mark.usefixtures("started")
def test_of_one_that_is_purged_nothing_can_be_kept_or_told_by_a_new_kit(run: Run) -> None:
    mirror.down(run, upstreams=["docker.io"], purge=True)
    assert isinstance(run.console, Recorder)
    assert run.console.said[0] == "mirror: docker.io is stopped; what it held is gone"
    assert run.console.said[-1] == "to take that back there: the kit with --remove, then the kit anew"
    assert "mirror.up" not in " ".join(run.console.said)
    assert installation.known(run.settings.folder).mirrors == {}


@pytest.mark.usefixtures("started")
def test_what_another_name_stands_for_and_who_may_pull_at_which_port_is_said(run: Run) -> None:
    mirror.up(run, upstreams=["hub.docker.com", "GHCR.io"])
    assert isinstance(run.console, Recorder)
    assert run.console.said[0] == "hub.docker.com means docker.io"
    ports = [str(it.port) for it in installation.known(run.settings.folder).mirrors.values()]
    assert len(set(ports)) == len(ports) > 1
    open_to = f"mirror: no login: whoever reaches port {' or '.join(ports)} can pull what it holds; public images only"
    assert open_to in run.console.said
    assert not any("GHCR" in it for it in run.console.said)


def test_a_build_that_needs_a_restart_is_told_with_what_that_stops(
    run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_lists, "builds_with_restart", lambda *_: True)
    monkeypatch.setattr(daemon, "restart", lambda _: "sudo systemctl restart docker")
    mirror._say_limits([Mirror("docker.io", "192.168.0.12:5500")], run, engine)
    assert isinstance(run.console, Recorder)
    (said,) = run.console.said
    assert "asks the mirror only after a restart of the engine. That restart stops every container that runs: " in said
    assert said.endswith("sudo systemctl restart docker")
