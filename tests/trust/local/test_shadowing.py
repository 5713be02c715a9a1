"""The folders that podman and its kin read, asked of the real skopeo: the first that exists, even empty."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from tests.fake_engine import nobody
from tests.programs import on_host
from tests.recorder import Recorder
from tests.trust.boxes import Box, states
from trusted_registry.run import Run
from trusted_registry.trust.local import install, uninstall
from trusted_registry.trust.local.install import StoreSelection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

pytestmark = [on_host("skopeo"), pytest.mark.process, pytest.mark.usefixtures("this_machine")]

# A mount namespace of its own, in which another folder is /etc/containers; the real one is never touched.
ASK = 'mount --bind "$1" /etc/containers && HOME="$2" exec skopeo list-tags "docker://$3/app"'
PODMAN = StoreSelection(only=("podman",))


@pytest.fixture
def box(box: Box) -> Box:
    """The same, with skopeo's own configuration on it."""
    shutil.copytree("/etc/containers", box.machine.path("/etc/containers"))
    return box


@pytest.fixture
def settings(make_settings: MakeSettings, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a registry that answers on loopback, which skopeo verifies like any other."""
    made = make_settings()
    authority = forge.authority()
    forge.save(authority, made.folder, "ca")
    shown = forge.save(forge.server(authority, names=(loopback.HOST, "registry.local")), tmp_path, "domain")
    with loopback.registry(shown) as port:
        yield dataclasses.replace(made, address=loopback.HOST, port=port)


def _trusts(box: Box, settings: Settings) -> bool:
    """Whether skopeo accepts the registry; a 404 for the image is acceptance."""
    unshare = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else [])]
    places = [str(box.machine.path("/etc/containers")), str(box.home), f"{settings.address}:{settings.port}"]
    done = subprocess.run(
        [*unshare, "sh", "-c", ASK, "sh", *places], capture_output=True, text=True, check=False, timeout=60
    )
    refused = "signed by unknown authority" in done.stderr
    assert refused or "404" in done.stderr, done.stderr
    return not refused


def _trust(settings: Settings) -> None:
    install.trust(Run(settings, Recorder()), nobody(), PODMAN)


def test_skopeo_accepts_after_trust_and_refuses_before_and_after_removal(box: Box, settings: Settings) -> None:
    assert not _trusts(box, settings)
    _trust(settings)
    assert _trusts(box, settings)
    uninstall.remove(Run(settings, Recorder()), nobody())
    assert not _trusts(box, settings)


def test_an_empty_folder_of_the_user_hides_the_system_s_until_it_is_written_too(box: Box, settings: Settings) -> None:
    _trust(settings)
    folder = box.folder(f"{{home}}/.config/containers/certs.d/{settings.address}:{settings.port}")
    assert not _trusts(box, settings)
    assert "shadowed" in {state.value for state in states(settings, nobody(), PODMAN).values()}
    _trust(settings)
    assert _trusts(box, settings)
    uninstall.remove(Run(settings, Recorder()), nobody())
    assert list(folder.iterdir()) == []


def test_another_registry_s_folder_of_the_user_hides_nothing(box: Box, settings: Settings) -> None:
    box.folder("{home}/.config/containers/certs.d/other.example")
    _trust(settings)
    assert _trusts(box, settings)


@pytest.mark.parametrize("stray", ["client.key", "client.cert"])
def test_half_a_client_s_pair_makes_skopeo_fail_as_is_said(stray: str, box: Box, settings: Settings) -> None:
    _trust(settings)
    box.file(f"/etc/containers/certs.d/{settings.address}:{settings.port}/{stray}")
    with pytest.raises(AssertionError, match="missing"):
        _trusts(box, settings)


def test_a_pem_file_counts_for_nothing(box: Box, settings: Settings) -> None:
    box.file(
        f"/etc/containers/certs.d/{settings.address}:{settings.port}/ca.pem", (settings.folder / "ca.crt").read_bytes()
    )
    assert not _trusts(box, settings)
