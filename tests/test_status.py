"""How things stand where the engine may not be asked: said as such, and never taken for an answer."""

from __future__ import annotations

import contextlib
import gc
import json
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.disk import as_client, snapshot
from tests.fake_engine import FakeEngine
from tests.recorder import Recorder
from trusted_registry import installation, status
from trusted_registry.engine import connection
from trusted_registry.engine import engine as engines
from trusted_registry.errors import AccessDeniedError, RegistryError
from trusted_registry.run import Run
from trusted_registry.tasks import doctor, lifecycle, registry_users
from trusted_registry.trust.local import ledger

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

unclosed = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # the Docker SDK's, of one refused
JOIN = "See who may use it: ls -l "


@pytest.fixture
def settings(certified: MakeSettings) -> Settings:
    """A checkout with a certificate."""
    return certified()


@pytest.fixture
def denied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the engine's socket belong to others."""

    def client() -> NoReturn:
        raise connection._unreachable(PermissionError(13, "Permission denied"))

    monkeypatch.setattr(connection, "client", client)


@unclosed
def test_a_socket_that_may_not_be_opened_is_told_from_one_that_is_not_there(
    forbidden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{forbidden}/docker.sock")
    with pytest.raises(AccessDeniedError, match="You may not use the Docker Engine") as caught:
        connection.client()
    assert caught.value.cure.startswith(JOIN)
    monkeypatch.setenv("DOCKER_HOST", "unix:///not/there/docker.sock")
    with pytest.raises(RegistryError, match="No Docker Engine answers"):
        connection.client()
    gc.collect()


@pytest.mark.usefixtures("denied")
def test_status_says_that_the_engine_may_not_be_asked_and_what_cures_it(settings: Settings, console: Recorder) -> None:
    found = status.find(settings, engines.connect_if_available(console))
    assert found.registry.state == "not known"
    assert ("You may not use the Docker Engine" in found.registry.health, JOIN in found.registry.health) == (True, True)
    report = status.report(found)
    assert report.table
    assert json.loads(json.dumps(report.content))["registry"]["state"] == "not known"
    assert not any("absent" in " ".join(row) for row in report.table.rows if row[0] == "registry")
    assert [JOIN in line for line in console.warned] == [True]


@unclosed
def test_status_where_no_engine_answers_does_not_say_that_there_is_no_registry(
    settings: Settings, console: Recorder
) -> None:
    found = status.find(settings, engines.connect_if_available(console))
    assert (found.registry.state, "No Docker Engine answers" in found.registry.health) == ("not known", True)
    gc.collect()


@pytest.mark.process
@pytest.mark.usefixtures("denied")
def test_doctor_names_what_keeps_it_from_the_engine_and_does_not_take_it_for_none(
    settings: Settings, console: Recorder
) -> None:
    found = doctor.examine(Run(settings, console), client="", remote="", fix=False)
    (told,) = [finding for finding in found if finding.check == "engine"]
    assert (told.cause.startswith("Whether the registry runs cannot be asked"), told.cure[0].startswith(JOIN)) == (
        True,
        True,
    )
    assert {"container", "served"} & {finding.check for finding in found} == set()


@pytest.mark.usefixtures("denied")
def test_a_client_s_doctor_without_the_engine_still_looks_at_the_registry(
    settings: Settings, console: Recorder
) -> None:
    assert doctor._remote_registry(settings, engines.connect_if_available(console)) is None
    as_client(settings.folder)
    assert doctor._remote_registry(settings, engines.connect_if_available(console)) == (settings.address, settings.port)


@pytest.mark.usefixtures("denied")
def test_what_depends_on_whether_the_registry_runs_is_refused_before_anything_is_changed(settings: Settings) -> None:
    before = snapshot(settings.root)
    with pytest.raises(AccessDeniedError):
        lifecycle.down(Run(settings, Recorder()), purge=False)
    with pytest.raises(AccessDeniedError):
        registry_users.add(Run(settings, Recorder(secret="a long password")), name="ada")  # noqa: S106 - of a test
    assert snapshot(settings.root) == before
    lifecycle.down(Run(settings, Recorder(dry=True)), purge=True)


def _purged(settings: Settings, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Return what a purge said and asked that nobody agreed to."""
    monkeypatch.setattr(engines, "connect_if_available", lambda _console: engine)
    console = Recorder(answer=False)
    with contextlib.suppress(RegistryError):
        lifecycle.down(Run(settings, console), purge=True)
    return console


def test_a_purge_asks_nothing_where_there_is_nothing_to_remove(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = _purged(make_settings(), FakeEngine(), monkeypatch)
    assert (console.asked, [line.startswith("There is nothing to remove") for line in console.said]) == ([], [True])


@pytest.mark.parametrize("left", ["a volume", "certs/ca.crt", "certs/users/htpasswd", "certs/.unproved", "trust"])
def test_a_purge_asks_where_anything_is_left(
    left: str, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    if left.startswith("certs/"):
        (settings.root / left).parent.mkdir(parents=True)
        (settings.root / left).touch()
    if left == "trust":
        monkeypatch.setattr(ledger, "read", lambda _: [ledger.entry("docker", settings.root, b"", by=settings.root)])
    engine = FakeEngine()
    if left == "a volume":
        engine.volumes = {settings.volume: ""}
        installation.adopt(settings.folder, volume=settings.volume)
    assert len(_purged(settings, engine, monkeypatch).asked) == 1


# A verdict

GOOD = status.Status(
    "192.168.0.12",
    status.CertificateStatus(("192.168.0.12",), 300, "0" * 64, "1" * 64),
    status.RegistryStatus("running", "tls", "registry:3", "3.0.0", "pulled as x", 443, "answers"),
    {"docker: 192.168.0.12": "trusted", "docker: 192.168.0.12:443": "trusted", "podman: 192.168.0.12": "not known: no"},
)


def _changed(part: str, **changes: object) -> status.Status:
    return replace(GOOD, **{part: replace(getattr(GOOD, part), **changes)})


def test_a_status_where_all_is_well_is_no_failure() -> None:
    login = _changed("registry", health="answers, and asks for a login")
    plain = replace(
        _changed("certificate", names=(), fingerprint=None, problem="none yet"),
        trust={"docker: 192.168.0.12": "absent"},
    )
    plain = replace(plain, registry=replace(GOOD.registry, role="plain"))
    assert [status.report(it).failure for it in (GOOD, login, plain)] == [None, None, None]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (_changed("certificate", problem="expires in 3 days"), "certificate: expires in 3 days"),
        (_changed("registry", health="does not answer: refused"), "registry: running; does not answer: refused."),
        (_changed("registry", state="exited", health="not running"), "registry: exited; not running."),
        (
            _changed("registry", state="not known", health="No engine answers."),
            "registry: not known; No engine answers.",
        ),
        (_changed("registry", health="answers with status 503"), "registry: running; answers with status 503."),
        (_changed("registry", health="answers everybody, though there are users"), "there are users."),
        (replace(GOOD, trust={"docker: 192.168.0.12": "stale"}), "trust for docker: 192.168.0.12: stale"),
        (replace(GOOD, trust={"docker: 192.168.0.12": "needs a restart"}), "needs a restart"),
    ],
)
def test_a_status_with_something_wrong_is_a_failure_that_names_it(wrong: status.Status, named: str) -> None:
    failure = status.report(wrong).failure
    assert failure
    assert (named in failure.message, failure.code, failure.cure.startswith("./inv doctor")) == (True, 1, True)
    assert ".." not in failure.message
    assert status.report(wrong, judged=False).failure is None


def test_where_nothing_was_made_yet_the_cure_is_to_make_it() -> None:
    failure = status.report(
        status.Status("x", status.CertificateStatus(problem="none yet"), status.RegistryStatus(), {})
    )
    assert (failure.failure.cure if failure.failure else "") == "./inv up"


def test_no_two_rows_have_one_name_and_what_agrees_is_one_row() -> None:
    every = replace(_changed("certificate", problem="expires in 3 days", changeover="both"), trust=GOOD.trust)
    table = status.report(every).table
    assert table
    names = [row[0] for row in table.rows]
    assert sorted(set(names)) == sorted(names)
    assert ["trust for docker: 192.168.0.12, 192.168.0.12:443", "trusted"] in table.rows
    assert all(all(row) for row in table.rows)
