"""References that are fetched ahead: as docker reads them, with the Docker Hub where none is named."""

from __future__ import annotations

import pytest

from trusted_registry.errors import SettingError
from trusted_registry.images.manifest import Descriptor
from trusted_registry.mirror import filling, pull

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("alpine:3.20", "docker.io/library/alpine:3.20"),
        ("org/app", "docker.io/org/app:latest"),
        ("index.docker.io/alpine", "docker.io/library/alpine:latest"),
        ("ghcr.io/org/app:1", "ghcr.io/org/app:1"),
        ("registry.k8s.io/pause:3.9", "registry.k8s.io/pause:3.9"),
        (f"quay.io/a/b@{DIGEST}", f"quay.io/a/b@{DIGEST}"),
        (f"quay.io/a/b:1@{DIGEST}", f"quay.io/a/b@{DIGEST}"),
        ("registry.example.com:8443/app", "registry.example.com:8443/app:latest"),
    ],
)
def test_a_reference_is_read_as_docker_reads_it(typed: str, read: str) -> None:
    assert str(filling.parse(typed)) == read


@pytest.mark.parametrize(
    "typed",
    ["", "ghcr.io/", "ghcr.io", "App", "ghcr.io/a/../b", "a b", "a:b:c", "a@sha256:12", "https://ghcr.io/a", "a;id"],
)
def test_what_is_none_is_refused(typed: str) -> None:
    if typed == "ghcr.io":  # a repository of that name, as docker has it
        assert str(filling.parse(typed)) == "docker.io/library/ghcr.io:latest"
        return
    with pytest.raises(SettingError):
        filling.parse(typed)


def _child(platform: str, number: int, *, attests: bool = False) -> Descriptor:
    notes = {"vnd.docker.reference.type": "attestation-manifest"} if attests else {}
    return Descriptor(f"sha256:{number:064x}", 1, platform=platform, annotations=notes)


def test_of_an_index_the_images_for_machines_like_this_one_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    children = (
        _child("linux/amd64", 1),
        _child("linux/arm64/v8", 2),
        _child("unknown/unknown", 3, attests=True),
        _child("windows/arm64", 4),
    )
    assert pull.fitting(children) == [children[1]]
    assert pull.fitting((children[0], children[2])) == [children[0]]
    assert pull.fitting(()) == []
