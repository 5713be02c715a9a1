"""The client of the HTTP API meets a real registry: what it gives is there, page by page, until it is taken away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from trusted_registry.errors import AnswerError
from trusted_registry.registry import api, probe, upload
from trusted_registry.registry.api import MANIFESTS, Manifest, RegistryClient

if TYPE_CHECKING:
    from tests.engine.conftest import Host

pytestmark = pytest.mark.engine


@pytest.fixture
def registry(standing: Host) -> RegistryClient:
    """A client of the registry that stands here."""
    at = probe.Endpoint(standing.address, standing.port)
    return RegistryClient(at, probe.context(standing.certs / "ca.crt"))


def test_what_is_given_to_a_registry_is_there_until_it_is_taken_away(
    registry: RegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "PAGE", 1)
    image, repositories = upload.tiny(), {"api/a", "api/b", "api/c"}
    for repository in repositories:
        upload.put(image, registry.at, repository, ["1", "2"], registry.tls)
    assert repositories <= set(registry.catalog())
    assert sorted(registry.tags("api/a")) == ["1", "2"]
    assert registry.manifest("api/a", "1") == Manifest(MANIFESTS[0], image.digest, image.manifest)
    for blob in (image.config, image.layer):
        size = registry.blob_size("api/a", api.digest(blob))
        assert b"".join(registry.blob("api/a", api.digest(blob), size)) == blob
    for repository in repositories:
        assert registry.delete_manifest(repository, image.digest)
    assert list(registry.tags("api/a")) == []
    with pytest.raises(AnswerError, match="MANIFEST_UNKNOWN") as caught:
        registry.manifest("api/a", "1")
    assert caught.value.status == 404


def test_an_index_is_given_as_what_it_is(registry: RegistryClient) -> None:
    image = upload.tiny()
    upload.put(image, registry.at, "api/index", [], registry.tls)
    child = Manifest(MANIFESTS[0], image.digest, image.manifest)
    registry.put_manifest("api/index", image.digest, child)
    entry = {"mediaType": child.kind, "digest": child.digest, "size": len(child.content)}
    for number, kind in enumerate((MANIFESTS[1], MANIFESTS[3])):
        content = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [entry]}).encode()
        index = Manifest(kind, api.digest(content), content)
        registry.put_manifest("api/index", f"of-{number}", index)
        assert registry.manifest("api/index", f"of-{number}") == index, "not the image that it names"
        assert registry.delete_manifest("api/index", index.digest)
    assert registry.manifest("api/index", image.digest) == child


def test_a_large_blob_arrives_whole(registry: RegistryClient) -> None:
    blob = bytes(range(256)) * (1 << 15)  # 8 MiB: more than any other answer may have
    registry.upload("api/large", blob)
    digest = api.digest(blob)
    assert b"".join(registry.blob("api/large", digest, registry.blob_size("api/large", digest))) == blob
