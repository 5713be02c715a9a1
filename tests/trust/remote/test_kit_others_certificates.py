"""To the kit too, a file of others that has the authority trusts, and one that only looks like it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.trust import others
from tests.trust.remote.kits import Disk, anchor, last

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

CA = "etc/docker/certs.d/192.168.0.12/ca.crt"
DOCKER = ("--only", "docker")
PEM = anchor().content.decode()


@pytest.mark.parametrize("form", others.accepted(PEM))
def test_what_a_client_takes_the_certificate_from_trusts(form: str, tmp_path: Path) -> None:
    one = Disk(tmp_path).furnish()
    path = one.put(CA, others.accepted(PEM)[form])
    before = snapshot(one.root)
    done = one.here(*DOCKER)
    assert last(done) == (0, "changed")
    assert f"note: {path} has the authority already, by another hand; it stays as it is.\n" in done.stderr
    assert last(one.here(*DOCKER, "--check")) == (0, "trusted")
    done = one.here("--remove")
    assert f"error: {path} vouches for the registry too, and this kit did not write it." in done.stderr
    assert snapshot(one.root) == before


@pytest.mark.parametrize("form", others.refused(PEM))
def test_what_no_client_takes_it_from_is_refused(form: str, tmp_path: Path) -> None:
    one = Disk(tmp_path).furnish()
    one.put(CA).write_bytes(others.refused(PEM)[form])
    before = snapshot(one.root / "etc")
    done = one.here(*DOCKER)
    assert last(done) == (1, "failed")
    assert "ca.crt holds something that was not written here; nothing was changed." in done.stderr
    assert last(one.here(*DOCKER, "--check")) == (1, "failed")
    assert snapshot(one.root / "etc") == before
