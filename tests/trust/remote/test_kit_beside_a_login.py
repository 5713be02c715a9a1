"""A login of the registry's in a client's file: the kit adds trust to it, and takes that back, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.trust.remote.kits import Disk, last

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

REGISTRIES = "etc/rancher/k3s/registries.yaml"
LOGIN = 'configs:\n  "192.168.0.12":\n    auth:\n      username: ada\n      password: secret'
K3S = ("--only", "k3s,rke2,buildkit")


def _certificate(disk: Disk) -> Path:
    return disk.root / f"etc/rancher/k3s/{disk.anchor.name}.crt"


def test_a_login_gains_trust_and_comes_back_to_the_byte(disk: Disk) -> None:
    path = disk.put(REGISTRIES, LOGIN, 0o600)
    disk.put("etc/rancher/rke2/registries.yaml", f"{LOGIN}\n")
    disk.put("etc/buildkit/buildkitd.toml", '[registry."192.168.0.12"]\n  mirrors = ["m"]\n')
    before = snapshot(disk.root)
    expected = disk.expected()
    assert last(disk.here()) == (0, "changed")
    assert path.read_bytes() == expected[path]
    assert '\n  "192.168.0.12":\n    # trusted-registry: configs: 192.168.0.12\n' in path.read_text()
    assert last(disk.here(*K3S, "--check")) == (0, "trusted")
    assert last(disk.here(*K3S)) == (0, "already trusted")
    assert last(disk.here("--remove")) == (0, "changed")
    assert snapshot(disk.root) == before


def test_lines_that_were_added_by_hand_keep_the_certificate_until_they_are_gone(one: Disk) -> None:
    by_hand = f"{LOGIN}\n    tls:\n      ca_file: /etc/rancher/k3s/{one.anchor.name}.crt\n"
    path = one.put(REGISTRIES, by_hand)
    assert last(one.here(*K3S)) == (0, "changed")
    assert _certificate(one).exists()
    done = one.here("--remove")
    assert last(done) == (1, "failed")
    assert f"error: {_certificate(one)} stays: an entry of {path} that this kit did not write names it." in done.stderr
    assert "did not write it" not in done.stderr
    assert (path.read_text(), _certificate(one).exists()) == (by_hand, True)
    path.write_text(LOGIN)
    assert last(one.here("--remove")) == (0, "changed")
    assert not _certificate(one).exists()
    assert not one.record.exists()


def test_a_login_that_came_between_our_marks_stays_with_what_it_needs(one: Disk) -> None:
    one.here(*K3S)
    path = one.root / REGISTRIES
    text = path.read_text()
    at = text.index("    tls:")
    path.write_text(f"{text[:at]}    auth: {{username: ada}}\n{text[at:]}")
    assert last(one.here(*K3S, "--check")) == (0, "trusted")
    assert last(one.here("--remove")) == (1, "failed")
    assert "auth: {username: ada}" in path.read_text()
    assert _certificate(one).exists()


@pytest.mark.parametrize(
    "text",
    [
        'registry."192.168.0.12".http = true\n',
        '[registry]\n"192.168.0.12" = { http = true }\n',
        'registry = { "docker.io" = { mirrors = ["m:5000"] } }\n',
        "'registry'.\"docker.io\".http = true\n",
        "[registry]\n'registry.local'.http = true\n",
        '[[registry]]\n"docker.io" = {}\n',
    ],
)
def test_a_file_of_buildkit_s_that_takes_no_table_more_is_left_to_the_byte(one: Disk, text: str) -> None:
    path = one.put("etc/buildkit/buildkitd.toml", text)
    for flags in ((), ("--check",)):
        done = one.here("--only", "buildkit", *flags)
        assert last(done) == (1, "failed")
        assert f"error: {path}, line " in done.stderr
    assert path.read_text() == text
