"""What is in a store's way is refused and named, with a cure that can be pasted, and never followed."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from tests.trust.boxes import SPELLINGS, Box, anchor, store_of
from trusted_registry.errors import NeedsRootError, RegistryError
from trusted_registry.trust.local import state as states
from trusted_registry.trust.local.state import State
from trusted_registry.trust.machine import Machine
from trusted_registry.trust.model import TrustAnchor

if TYPE_CHECKING:
    from pathlib import Path


DOCKER = "/etc/docker/certs.d"
REGISTRIES = "/etc/rancher/k3s/registries.yaml"
THEIRS = b"another's certificate"


@pytest.mark.parametrize("link", [SPELLINGS[0], f"{SPELLINGS[0]}/ca.crt"])
@pytest.mark.parametrize("leads_to", ["something", "nothing"])
def test_a_link_is_refused_and_not_followed(
    link: str, leads_to: str, box: Box, ours: TrustAnchor, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    if leads_to == "something":
        target.mkdir()
    path = box.machine.path(f"{DOCKER}/{link}")
    path.parent.mkdir(parents=True)
    path.symlink_to(target)
    with pytest.raises(RegistryError, match=f"{path} is a link to {target}") as caught:
        box.look("docker", ours)
    assert caught.value.cure.endswith(f": rm {path}")


@pytest.mark.parametrize(("key", "template"), [("k3s", REGISTRIES), ("buildkit", "/etc/buildkit/buildkitd.toml")])
def test_a_shared_file_that_is_a_link_is_refused_and_not_replaced(
    key: str, template: str, box: Box, ours: TrustAnchor, tmp_path: Path
) -> None:
    (tmp_path / "theirs").write_text("")
    box.file(template).unlink()
    box.machine.path(template).symlink_to(tmp_path / "theirs")
    with pytest.raises(RegistryError, match="is a link to"):
        box.look(key, ours)


@pytest.mark.parametrize(("stray", "missing"), [("client.key", ".cert"), ("client.cert", ".key")])
@pytest.mark.parametrize("key", ["docker", "docker-rootless", "containers"])
def test_half_a_client_s_pair_on_which_every_pull_fails_is_refused(
    key: str, stray: str, missing: str, box: Box, ours: TrustAnchor
) -> None:
    folder = box.machine.path(store_of(key).files(ours)[0].path).parent
    folder.mkdir(parents=True)
    (folder / stray).write_bytes(b"")
    with pytest.raises(RegistryError, match=f"has no {missing} beside it") as caught:
        box.look(key, ours)
    assert caught.value.cure == f"Take it away: rm {folder / stray}"


def test_a_key_in_another_registry_s_folder_is_none_of_ours(box: Box, ours: TrustAnchor) -> None:
    box.file(f"{DOCKER}/other.example/client.key")
    assert [it.state for it in box.look("docker", ours)] == [State.ABSENT, State.ABSENT]


def test_a_cure_can_be_pasted_though_a_name_has_brackets(box: Box, tmp_path: Path) -> None:
    ours = anchor(tmp_path / "six", registry_hosts=("[fd00::12]",))
    path = box.file(f"{DOCKER}/[fd00::12]/client.key")
    with pytest.raises(RegistryError) as caught:
        box.look("docker", ours)
    assert shlex.split(caught.value.cure.removeprefix("Take it away: ")) == ["rm", str(path)]


def test_a_pem_file_that_no_client_reads_is_told(box: Box, ours: TrustAnchor) -> None:
    path = box.file(f"{DOCKER}/{SPELLINGS[1]}/ca.pem", THEIRS)
    box.file(f"{DOCKER}/other.example/ca.pem", THEIRS)
    assert states.ignored_certificates(box.look("docker", ours)) == [path]


def test_a_pem_file_in_the_system_s_folder_is_read_there_and_not_told(box: Box, ours: TrustAnchor) -> None:
    box.file("/etc/pki/ca-trust/source/anchors/theirs.pem", THEIRS)
    assert states.ignored_certificates(box.look("system-rhel", ours)) == []


@pytest.mark.parametrize(
    ("key", "template", "says", "cure"),
    [
        ("docker", f"{DOCKER}/{SPELLINGS[0]}/ca.crt", "is a folder", "Take it away: mv {0} {0}.unused"),
        ("k3s", REGISTRIES, "cannot be read: Is a directory", "Look: ls -ld {0}"),
    ],
    ids=["file", "shared"],
)
def test_a_folder_in_a_file_s_place_is_an_error_with_a_cure(  # noqa: PLR0913, PLR0917 - a case has as many parts
    key: str, template: str, says: str, cure: str, box: Box, ours: TrustAnchor
) -> None:
    path = box.folder(template)
    with pytest.raises(RegistryError, match=says) as caught:
        box.look(key, ours)
    assert (type(caught.value), caught.value.cure) == (RegistryError, cure.format(path))


def test_a_file_in_a_folder_s_place_is_an_error_with_a_cure(box: Box, ours: TrustAnchor) -> None:
    box.file(f"{DOCKER}/{SPELLINGS[0]}")
    with pytest.raises(RegistryError, match="is not a folder: every pull from") as caught:
        box.look("docker", ours)
    assert caught.value.cure


@pytest.mark.parametrize("key", ["docker", "docker-rootless", "containers", "containerd", "k3s", "buildx", "buildkit"])
def test_what_may_not_be_looked_into_takes_root(key: str, forbidden: Path) -> None:
    machine = Machine(forbidden, forbidden, forbidden, forbidden, forbidden, root=forbidden)
    ours = TrustAnchor(b"our certificate", "ab" * 32, SPELLINGS)
    with pytest.raises(NeedsRootError, match="may be read by root alone") as caught:
        states.find([store_of(key)], ours, machine, [])
    assert caught.value.cure.startswith("See whose it is: sudo ls -l ")


def test_a_shared_file_that_is_no_text_is_left_with_a_cure(box: Box, ours: TrustAnchor) -> None:
    path = box.file(REGISTRIES, b"mirrors:\n  \xff\xfe\n")
    with pytest.raises(RegistryError, match=r"is not text\. It was left as it is") as caught:
        box.look("k3s", ours)
    assert caught.value.cure == f"See what it is: file {path}"
