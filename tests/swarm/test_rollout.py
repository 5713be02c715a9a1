"""The proof of hosts: each is asked by TLS, an image pushed at one is pulled at the others, and a wait has its end."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from typing import TYPE_CHECKING

import pytest

from tests import loopback
from tests.fake_swarm import node
from tests.marks import on_linux
from tests.swarm.conftest import BUCKET
from trusted_registry import installation
from trusted_registry.bucket import opening, proofs
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError
from trusted_registry.registry import probe, users
from trusted_registry.registry.api import RegistryClient
from trusted_registry.run import Run
from trusted_registry.swarm import proof_login, rollout
from trusted_registry.tasks import swarm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import MakeSettings
    from tests.recorder import Recorder
    from tests.swarm.conftest import Place

HOSTS = ("127.0.0.1", "127.0.0.2")
pytestmark = on_linux


@pytest.fixture
def run(certified: MakeSettings, console: Recorder, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose certificate names two addresses of loopback."""
    monkeypatch.setattr(opening, "opened", lambda _settings: "bucket")
    monkeypatch.setattr(proofs, "clear", lambda _bucket, digest: console.say(f"cleared {digest[:7]}"))
    settings = certified(names=",".join(HOSTS), **BUCKET)
    installation.ensure(settings.folder, console)
    return Run(settings, console)


@pytest.fixture
def serving(run: Run) -> Iterator[Callable[[dict[str, bytes], dict[str, bytes]], int]]:
    """A starter of a registry at each of the two, with contents of its own; returns their port."""
    with contextlib.ExitStack() as stack:

        def start(one: dict[str, bytes], two: dict[str, bytes]) -> int:
            folder, port = run.settings.folder, loopback.free_port()
            with_login = folder if users.is_login_required(folder) else None
            for host, held in zip(HOSTS, (one, two), strict=True):
                server = loopback.registry(folder / "domain.crt", host=host, port=port, held=held, users=with_login)
                stack.enter_context(server)
            return port

        yield start


def test_what_is_pushed_at_one_is_pulled_at_the_other_and_nothing_stays(
    run: Run, console: Recorder, serving: Callable[..., int]
) -> None:
    bucket: dict[str, bytes] = {}
    port = serving(bucket, bucket)
    rollout.check_served(HOSTS, port, run)
    rollout.show(HOSTS, port, run)
    assert console.said[0] == "cleared sha256:"
    assert console.said[1].startswith(f"proof: pushed at 127.0.0.1, pulled at 127.0.0.1, 127.0.0.2, port {port}")
    assert [it for it in bucket if "/manifests/" in it] == []


def test_hosts_that_do_not_share_their_storage_are_found(run: Run, serving: Callable[..., int]) -> None:
    with pytest.raises(RegistryError, match=r"127\.0\.0\.2:\d+ did not give the manifest"):
        rollout.show(HOSTS, serving({}, {}), run)


def _client(login: users.Login, host: str, port: int, run: Run) -> RegistryClient:
    """Return a client by the users that the hosts have, and not by those on disk, which the servers here read."""
    tls = probe.context(issue.trust_anchor(run.settings.folder).path)
    return RegistryClient(probe.Endpoint(host, port), tls, login)


def test_with_users_the_proof_has_its_own_login_and_nobody_else_has_that(
    run: Run, serving: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run.settings.folder
    users.save(folder, users.Login("ada", "correct horse"), 4)
    path, bucket = users.users_file(folder), dict[str, bytes]()
    port, known = serving(bucket, bucket), path.read_bytes()
    login = proof_login.login(installation.known(folder).http_secret, known)
    monkeypatch.setattr(rollout, "client", functools.partial(_client, login))
    path.write_bytes(known + proof_login.line(installation.known(folder).http_secret, known))
    rollout.check_served(HOSTS, port, run)
    rollout.show(HOSTS, port, run)
    path.write_bytes(known)
    with pytest.raises(RegistryError, match="wants a login"):
        rollout.show(HOSTS, port, run)


def test_a_host_that_serves_another_certificate_is_found(run: Run, serving: Callable[..., int]) -> None:
    port = serving({}, {})
    issue.renew(run)
    with pytest.raises(RegistryError, match="shows another certificate"):
        rollout.check_served(HOSTS, port, run)


def test_a_host_at_which_nobody_listens_is_found(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trusted_registry.registry.probe.ANSWER_SECONDS", 0.1)
    with loopback.silence() as port, pytest.raises(RegistryError, match="The proof was cut short"):
        rollout.show(HOSTS, port, run)


def test_a_host_that_never_runs_its_registry_ends_the_wait(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "HOST_SECONDS", 0.0)
    place.up()
    labelled = place.swarm.members["192.168.0.13"]
    place.swarm.members["192.168.0.13"] = node("192.168.0.13")
    monkeypatch.setattr(place.swarm, "label", lambda *_: None)
    with pytest.raises(RegistryError, match=r"does not run on node-192\.168\.0\.13: no reason is told"):
        place.up()
    place.swarm.members["192.168.0.13"] = labelled
    place.up()
    assert place.console.said[-2].startswith("registry: https://")


def test_another_host_goes_on_when_one_goes_down_meanwhile(place: Place) -> None:
    place.up()
    gone = place.swarm.members["192.168.0.14"]

    def goes_down() -> None:
        place.swarm.members[gone.address] = dataclasses.replace(gone, state="down")

    place.swarm.asked_of_tasks = goes_down
    swarm.renew(place.run, if_expiring="")
    assert "the node node-192.168.0.14 at 192.168.0.14 went down: it follows when it is back" in place.console.warned
    assert place.asked[-1] == "192.168.0.12,192.168.0.13 5443"
    assert len([it for it in place.swarm.files if "domain.key" in it]) == 2


def test_an_update_that_waits_for_a_host_that_went_down_is_begun_anew(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.up()
    monkeypatch.setattr(rollout, "STALL_SECONDS", -1.0)
    place.swarm.stuck = True
    swarm.renew(place.run, if_expiring="")
    assert "push trusted-registry_registry" in place.swarm.done


def test_an_update_that_runs_everywhere_is_waited_for_until_it_is_taken_back_no_more(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.up()
    monkeypatch.setattr(rollout, "MONITOR_SECONDS", 1000.0)
    place.swarm.monitored = 20
    swarm.renew(place.run, if_expiring="")
    assert (place.swarm.monitored, place.console.said[-1].partition(" by ")[0]) == (0, "registry: served")
    assert [it for it in place.swarm.done if it.startswith("push")] == []


def test_one_that_makes_progress_is_left_to_itself(place: Place) -> None:
    place.up()
    swarm.renew(place.run, if_expiring="")
    assert [it for it in place.swarm.done if it.startswith("push")] == []
