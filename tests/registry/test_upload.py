"""An image goes into a registry with no engine, and only where TLS proves whose registry it is."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import ssl
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from trusted_registry.errors import LoginRequiredError, RegistryError
from trusted_registry.registry import probe, upload, users
from trusted_registry.registry.probe import Endpoint

if TYPE_CHECKING:
    from pathlib import Path

NAMES = (loopback.HOST, "registry.local")


@pytest.fixture
def anchor(tmp_path: Path) -> Path:
    """An authority's certificate, beside domain.crt that it signed."""
    authority = forge.authority()
    forge.save(forge.server(authority, names=NAMES), tmp_path, "domain")
    return forge.save(authority, tmp_path, "ca")


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _put(image: upload.Image, port: int, anchor: Path, *tags: str) -> None:
    upload.put(image, Endpoint(loopback.HOST, port), "proof", tags, probe.context(anchor))


def test_an_image_arrives_whole_under_each_of_its_tags(anchor: Path) -> None:
    image, held = upload.tiny(), dict[str, bytes]()
    with loopback.registry(anchor.with_name("domain.crt"), held=held) as port:
        _put(image, port, anchor, "one", "two")
    assert held == {
        _digest(image.config): image.config,
        _digest(image.layer): image.layer,
        "/v2/proof/manifests/one": image.manifest,
        "/v2/proof/manifests/two": image.manifest,
    }


def test_an_image_says_of_its_parts_what_they_are() -> None:
    image = upload.tiny("aarch64")
    manifest, config = json.loads(image.manifest), json.loads(image.config)
    assert [part["digest"] for part in (manifest["config"], *manifest["layers"])] == [
        _digest(image.config),
        _digest(image.layer),
    ]
    assert [part["size"] for part in (manifest["config"], *manifest["layers"])] == [len(image.config), len(image.layer)]
    assert config["rootfs"]["diff_ids"] == [_digest(gzip.decompress(image.layer))]
    assert (config["os"], config["architecture"]) == ("linux", "arm64")
    assert image.digest == _digest(image.manifest)
    with tarfile.open(fileobj=io.BytesIO(image.layer)) as tar:
        assert [member.size for member in tar] == [64]


@pytest.mark.parametrize(("machine", "said"), [("x86_64", "amd64"), ("s390x", "s390x"), ("i686", "386")])
def test_a_machine_is_called_as_images_call_it(machine: str, said: str) -> None:
    assert json.loads(upload.tiny(machine).config)["architecture"] == said


def test_no_two_images_are_alike() -> None:
    assert upload.tiny().digest != upload.tiny().digest


def test_nothing_goes_to_a_registry_of_another_authority(anchor: Path, tmp_path: Path) -> None:
    other = forge.save(forge.authority(), tmp_path / "other", "ca")
    held = dict[str, bytes]()
    served = anchor.with_name("domain.crt")
    with loopback.registry(served, held=held) as port, pytest.raises(ssl.SSLCertVerificationError):
        _put(upload.tiny(), port, other, "one")
    assert not held


def test_a_registry_that_wants_a_login_is_told_from_one_that_refuses(anchor: Path, tmp_path: Path) -> None:
    users.save(tmp_path, users.Login("someone", "secret"))
    served = anchor.with_name("domain.crt")
    with loopback.registry(served, users=tmp_path) as port, pytest.raises(LoginRequiredError):
        _put(upload.tiny(), port, anchor, "one")


def test_a_registry_that_refuses_is_an_error_with_its_status(anchor: Path) -> None:
    refused = pytest.raises(RegistryError, match="did not take an image: POST was answered with status 503")
    with loopback.registry(anchor.with_name("domain.crt"), status=503) as port, refused:
        _put(upload.tiny(), port, anchor, "one")
