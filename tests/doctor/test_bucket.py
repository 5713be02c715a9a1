"""Facts about a bucket: its clock, the first thing that it refuses, and a server that is away or silent."""

from __future__ import annotations

import contextlib
import email.utils
import http.server
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from trusted_registry.bucket.location import Location
from trusted_registry.doctor import bucket
from trusted_registry.errors import RegistryError
from trusted_registry.registry import probe

if TYPE_CHECKING:
    from collections.abc import Iterator

DENIED = RegistryError("s3://images/lan refuses to delete", cure="Give its access key that right.")


@contextlib.contextmanager
def _served(ahead: float) -> Iterator[Location]:
    """Yield a bucket whose server has another time, as no real one does here: a container has its machine's clock."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(403)
            self.send_header("Date", email.utils.formatdate(time.time() + ahead, usegmt=True))
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield Location("images", "lan", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def _denied() -> None:
    raise DENIED


@pytest.mark.parametrize("ahead", [0.0, 1200.0, -1200.0])
def test_the_clock_of_its_server_is_compared_with_this_machine_s(ahead: float) -> None:
    with _served(ahead) as location:
        found = bucket.gather(location, lambda: None)
    assert (found.location, found.error) == ("s3://images/lan", None)
    assert found.skew == pytest.approx(-ahead, abs=2)


def test_what_it_refuses_is_told_beside_its_clock() -> None:
    with _served(0) as location:
        found = bucket.gather(location, _denied)
    assert found.error is DENIED
    assert found.skew == pytest.approx(0, abs=2)


def test_one_that_is_away_is_told_so_and_asked_for_nothing_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = bucket.gather(Location("images", "", f"https://127.0.0.1:{port}"), _denied)
    assert found.error
    assert found.error.message.startswith("s3://images does not answer: ")
    assert f"127.0.0.1:{port}" in found.error.cure


def test_one_that_is_silent_takes_no_longer_than_any_other_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_ANSWER", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        found = bucket.gather(Location("images", "", f"https://127.0.0.1:{silent.getsockname()[1]}"), _denied)
    assert found.error
    assert found.error is not DENIED
    assert time.monotonic() - begun < 2
