"""Facts about a bucket: its clock, the first thing that it refuses, and a server that is away or silent."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.bucket.canned import bucket as canned
from tests.bucket.canned import served
from trusted_registry.bucket import trial
from trusted_registry.doctor import bucket
from trusted_registry.errors import RegistryError, StorageError, StorageFault

if TYPE_CHECKING:
    from trusted_registry.bucket.client import Bucket

DENIED = RegistryError("s3://images/lan refuses to delete", cure="Give its access key that right.")


def _denied(_: Bucket) -> None:
    raise DENIED


@pytest.mark.parametrize("ahead", [0.0, 1200.0, -1200.0])
def test_the_clock_of_its_server_is_compared_with_this_machine_s(ahead: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "carry_out", lambda _: None)
    with served(ahead=ahead) as made:
        found = bucket.ask(made)
    assert (found.location, found.error) == ("s3://images/lan", None)
    assert found.skew == pytest.approx(-ahead, abs=2)


def test_what_it_refuses_is_told_beside_its_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "carry_out", _denied)
    with served() as made:
        found = bucket.ask(made)
    assert found.error is DENIED
    assert found.skew == pytest.approx(0, abs=2)


def _is_away(found: RegistryError | None) -> bool:
    return isinstance(found, StorageError) and found.fault is StorageFault.AWAY


def test_one_that_is_away_is_told_so_and_asked_for_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "carry_out", _denied)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = bucket.ask(canned(f"https://127.0.0.1:{port}", ""))
    assert (_is_away(found.error), found.skew) == (True, None)
    assert found.error
    assert found.error.message.startswith("s3://images does not answer: ")
    assert f"127.0.0.1:{port}" in found.error.message


def test_one_that_is_silent_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "carry_out", _denied)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        found = bucket.ask(canned(f"https://127.0.0.1:{silent.getsockname()[1]}"))
    assert _is_away(found.error)
    assert time.monotonic() - begun < 4
