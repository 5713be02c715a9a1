"""A real haproxy leads to the registries of all hosts: to replace one costs no connection, nor does another front."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests import loopback
from tests.instance.test_front_haproxy import until
from tests.programs import on_host, real
from tests.swarm.conftest import BUCKET
from trusted_registry.certificate import issue
from trusted_registry.registry import probe
from trusted_registry.swarm import stack
from trusted_registry.swarm.stack import REGISTRY_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

pytestmark = [pytest.mark.process, on_host("haproxy")]

HOSTS = ("127.0.0.2", "127.0.0.3")
MANY = 200
PACE_SECONDS = 0.3


@pytest.fixture
def settings(certified: MakeSettings) -> Settings:
    """Settings whose certificate names loopback."""
    return certified(**BUCKET)


@pytest.fixture
def front(settings: Settings, tmp_path: Path) -> tuple[Path, int, int]:
    """The front's configuration, its port, and that of the registries."""
    port, inner = loopback.free_port(), loopback.free_port()
    config = stack._front_config(settings, HOSTS).content.decode()
    config = config.replace(f"bind :{settings.port}\n", f"bind {loopback.HOST}:{port}\n")
    path = tmp_path / "haproxy.cfg"
    path.write_text(config.replace(f":{REGISTRY_PORT}\n", f":{inner}\n"))
    return path, port, inner


@contextlib.contextmanager
def standing(path: Path, stderr: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
    """Have a front stand."""
    argv = [real("haproxy"), "-W", "-db", "-f", str(path)]
    with subprocess.Popen(argv, stderr=stderr, start_new_session=True) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _asker(settings: Settings, port: int) -> Callable[[], bool]:
    tls, at = probe.context(issue.trust_anchor(settings.folder).path), probe.Endpoint(loopback.HOST, port)

    def ask() -> bool:
        with contextlib.suppress(*probe.NO_ANSWER):
            return probe.request(at, "GET", "/v2/", tls).status in probe.READY_STATUSES
        return False

    return ask


def test_a_registry_that_is_replaced_costs_no_connection(settings: Settings, front: tuple[Path, int, int]) -> None:
    path, port, inner = front
    ask, certificate = _asker(settings, port), settings.folder / "domain.crt"
    with loopback.registry(certificate, host=HOSTS[0], port=inner), standing(path):
        with loopback.registry(certificate, host=HOSTS[1], port=inner):
            until(ask)
            assert [ask() for _ in range(MANY)] == [True] * MANY
        assert [ask() for _ in range(MANY)] == [True] * MANY
        with loopback.registry(certificate, host=HOSTS[1], port=inner):
            assert [ask() for _ in range(MANY)] == [True] * MANY


def test_without_any_registry_nobody_is_answered(settings: Settings, front: tuple[Path, int, int]) -> None:
    path, port, _inner = front
    with standing(path):
        assert not _asker(settings, port)()


def test_a_front_that_another_one_follows_costs_no_connection(settings: Settings, front: tuple[Path, int, int]) -> None:
    path, port, inner = front
    ask, certificate = _asker(settings, port), settings.folder / "domain.crt"
    with (
        loopback.registry(certificate, host=HOSTS[0], port=inner),
        loopback.registry(certificate, host=HOSTS[1], port=inner),
        standing(path) as before,
    ):
        until(ask)
        with standing(path):
            until(ask)
            before.send_signal(signal.SIGUSR1)
            assert [ask() for _ in range(MANY)] == [True] * MANY
            assert before.wait(20) == 0
            assert ask()


@contextlib.contextmanager
def _slowly_read(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Have a front stand that, once it does, waits at each message until the one before has been read."""
    end, written = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)
    fcntl.fcntl(written, fcntl.F_SETPIPE_SZ, 1)  # one page, which is one message (pipe(2), O_DIRECT)
    stands = threading.Event()

    def read() -> None:
        while said := os.read(end, 65536):
            if stands.is_set():
                time.sleep(PACE_SECONDS)
            elif b"Loading success" in said:
                stands.set()

    reader = threading.Thread(target=read)
    with standing(path, written) as process:
        os.close(written)
        reader.start()
        assert stands.wait(20)
        yield process
    reader.join()
    os.close(end)


def test_every_front_ends_although_its_messages_are_read_slowly(front: tuple[Path, int, int]) -> None:
    path, port, _inner = front
    with contextlib.ExitStack() as all_:
        fronts = []
        for at in range(8):
            config = path.with_name(f"{at}.cfg")
            config.write_text(path.read_text().replace(f":{port}\n", f":{loopback.free_port()}\n"))
            fronts.append(all_.enter_context(_slowly_read(config)))
        time.sleep(1)  # a worker that has just been started hears nothing yet
        for process in fronts:
            process.send_signal(signal.SIGUSR1)
        end = time.monotonic() + 30
        while time.monotonic() < end and any(it.poll() is None for it in fronts):
            time.sleep(0.1)
        assert [it.poll() for it in fronts] == [0] * len(fronts)
