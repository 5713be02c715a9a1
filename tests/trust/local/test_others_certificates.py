"""A file of others that has the authority, as clients read files: by its certificates, not by its bytes."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.fake_engine import nobody
from tests.recorder import Recorder
from tests.trust import others
from tests.trust.boxes import DOCKER, SPELLINGS, Box
from tests.trust.local.uninstalls import remove
from tests.trust.sample import CERTIFICATE
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.trust.local import install, leftovers, trust_status
from trusted_registry.trust.local.install import StoreSelection
from trusted_registry.trust.local.state import State

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.settings import Settings
    from trusted_registry.trust.model import TrustAnchor

PEM = CERTIFICATE.decode()
accepted = pytest.mark.parametrize("form", others.accepted(PEM))
refused = pytest.mark.parametrize("form", others.refused(PEM))
CA = f"{DOCKER}/{SPELLINGS[0]}/ca.crt"


@accepted
def test_what_a_client_takes_the_certificate_from_trusts(
    form: str, box: Box, ours: TrustAnchor, tmp_path: Path
) -> None:
    path = box.file(CA, others.accepted(ours.content.decode())[form])
    (first, second) = box.look("docker", ours)
    assert (first.state, first.by_others, second.state) == (State.TRUSTED, True, State.ABSENT)
    reader = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    reader.load_verify_locations(path)  # so says OpenSSL too
    assert ours.der in reader.get_ca_certs(binary_form=True)
    assert tmp_path in path.parents


@refused
def test_what_no_client_takes_it_from_is_foreign(form: str, box: Box, ours: TrustAnchor) -> None:
    box.file(CA, others.refused(ours.content.decode())[form])
    assert box.look("docker", ours)[0].state is State.FOREIGN


def test_our_own_file_is_not_another_s(box: Box, ours: TrustAnchor) -> None:
    box.file(CA, ours.content)
    assert not box.look("docker", ours)[0].by_others


@pytest.mark.usefixtures("docker_podman_k3s")
@accepted
def test_it_is_listed_as_another_s_and_neither_written_nor_taken_away(form: str, box: Box, settings: Settings) -> None:
    path = box.file(CA, others.accepted(issue.trust_anchor(settings.folder).path.read_text())[form])
    before = snapshot(box.root / "etc")
    run, selection = Run(settings, Recorder()), StoreSelection(only=("docker",))
    assert [it.key for it in install.trust(run, nobody(), selection).written] == ["docker"]  # the other spelling
    assert [it.state for it in trust_status.find(settings, nobody(), selection)] == [
        "trusted, by somebody else's file",
        "trusted",
    ]
    for everyone in (False, True):
        console = Recorder()
        remove(settings, console, everyone=everyone)
        assert snapshot(box.root / "etc") == before
        assert console.warned == []
    assert [it.place for it in leftovers.find(run, nobody())] == [str(path)]


def test_neither_a_pipe_nor_a_file_without_an_end_is_read(box: Box, ours: TrustAnchor) -> None:
    path = box.file(CA)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RegistryError, match="is no file"):
        box.look("docker", ours)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(RegistryError, match="is larger than 16 MB"):
        box.look("docker", ours)
    path.unlink()  # other tests read all that is in the folder of temporary files
