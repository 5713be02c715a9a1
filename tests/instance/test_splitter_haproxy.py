"""A real haproxy splits as the first user needs it: who began without a login goes on, others meet the successor."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests import loopback
from tests.fake_engine import container
from tests.instance.test_front_haproxy import until
from tests.programs import on_host, real
from trusted_registry.instance import first_login, roles
from trusted_registry.instance.model import FILES_FOLDER, PORT, TRIAL_PORT, Image, Role
from trusted_registry.registry import probe, users

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trusted_registry.engine.types import Container
    from trusted_registry.settings import Settings

pytestmark = [pytest.mark.process, on_host("haproxy")]

LOGIN = users.Login("ada", "enough for me")
MANIFEST = "/v2/app/manifests/1"


@dataclasses.dataclass
class Splitter:
    """haproxy by our own configuration, before two registries at ports of loopback."""

    at: probe.Endpoint
    counts: Container
    process: subprocess.Popen[bytes]

    def asked(self, path: str, login: users.Login | None = None) -> tuple[int, bytes]:
        """Return status and body of an answer by a connection of its own."""
        answer = probe.request(self.at, "GET", path, probe.unverified(), login.header if login else {})
        return answer.status, answer.body


@contextlib.contextmanager
def _registries(settings: Settings) -> Iterator[tuple[int, int]]:
    """Lend the ports of a registry that asks for no login, and of one with the same certificate that does."""
    certificate = settings.folder / "domain.crt"
    users.save(settings.folder, LOGIN)
    with (
        loopback.registry(certificate, held={MANIFEST: b"before"}) as old,
        loopback.registry(certificate, users=settings.folder, held={MANIFEST: b"after"}) as new,
    ):
        yield old, new


@pytest.fixture
def splitter(settings: Settings, tmp_path: Path) -> Iterator[Splitter]:
    """A splitter between the two."""
    with _registries(settings) as ports, _standing(settings, tmp_path, *ports) as standing:
        yield standing


@contextlib.contextmanager
def _standing(settings: Settings, folder: Path, old: int, new: int, deadline: int = 1 << 33) -> Iterator[Splitter]:
    image = Image("haproxy", "")
    instance = roles.splitter(settings, image, roles.tls(settings, image), f"s{old}", f"s{new}", deadline)
    config = re.sub(
        rf" s(\d+):{PORT}$", rf" {loopback.HOST}:\1", instance.files[0].content.decode(), flags=re.MULTILINE
    )
    ports = {PORT: loopback.free_port(), TRIAL_PORT: loopback.free_port()}
    for inner, outer in ports.items():
        config = config.replace(f"bind :{inner}", f"bind {loopback.HOST}:{outer}")
    path = folder / "splitter.cfg"
    path.write_text(config.replace(FILES_FOLDER, str(settings.folder)))
    with path.with_suffix(".log").open("wb") as log:
        argv = [real("haproxy"), *instance.command[:-1], str(path)]
        with subprocess.Popen(argv, stdout=log, stderr=log) as process:
            try:
                at = probe.Endpoint(loopback.HOST, ports[PORT])
                until(lambda: _answers(at))
                counts = container(role=Role.SPLITTER, port=None, trial=ports[TRIAL_PORT])
                yield Splitter(at, counts, process)
            finally:
                process.kill()


def _answers(at: probe.Endpoint) -> bool:
    with contextlib.suppress(OSError):
        return bool(probe.fingerprint(at))
    return False


def test_who_asks_whether_there_is_a_login_is_told_so_and_who_has_one_meets_the_successor(splitter: Splitter) -> None:
    assert splitter.asked("/v2/")[0] == 401
    assert splitter.asked("/v2/", LOGIN)[0] == 200
    assert splitter.asked("/v2/", users.Login("ada", "another one"))[0] == 401
    assert splitter.asked(MANIFEST, LOGIN) == (200, b"after")


def test_who_began_without_a_login_goes_on_at_the_registry_before(splitter: Splitter) -> None:
    assert splitter.asked(MANIFEST) == (200, b"before")


def test_after_its_deadline_nobody_is_let_in_without_a_login(settings: Settings, tmp_path: Path) -> None:
    deadline = int(time.time()) + 3
    with _registries(settings) as ports, _standing(settings, tmp_path, *ports, deadline) as splitter:
        # On a busy machine haproxy may answer only after the deadline: what it does before is asked above, without one.
        until(lambda: splitter.asked(MANIFEST)[1] == b"after")
        assert time.time() >= deadline


def test_it_counts_what_has_no_login_and_nothing_else(splitter: Splitter) -> None:
    until(lambda: not first_login._is_busy(splitter.counts))
    splitter.asked(MANIFEST, LOGIN)
    splitter.asked("/v2/")
    assert not first_login._is_busy(splitter.counts)
    splitter.asked(MANIFEST)
    assert first_login._is_busy(splitter.counts)
    until(lambda: not first_login._is_busy(splitter.counts))


def test_told_to_stop_it_ends_when_what_is_under_way_has_ended(splitter: Splitter) -> None:
    with probe.connect(splitter.at, probe.unverified()) as kept:
        kept.sendall(b"PUT /v2/app/manifests/2 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
        until(lambda: not _answers(splitter.at), lambda: splitter.process.send_signal(signal.SIGUSR1))
        kept.sendall(b"x")
        assert kept.recv(1 << 10).split()[1] == b"201"
    assert splitter.process.wait(20) == 0


def test_its_log_says_which_registry_a_request_was_led_to(splitter: Splitter, tmp_path: Path) -> None:
    splitter.asked(MANIFEST)
    log = tmp_path / "splitter.log"
    line = re.compile(rf"^{loopback.HOST}:\d+ \[\S+\] before \d+ ms 200 GET$", re.MULTILINE)
    until(lambda: line.search(log.read_text()) is not None)
