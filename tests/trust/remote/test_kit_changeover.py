"""The kit in a changeover: it hands both roots out, then the new one alone, and takes the old one back."""

from __future__ import annotations

import dataclasses

import pytest

from tests.trust.remote.kits import REGISTRIES, Disk, anchor, last

pytestmark = pytest.mark.process

DOCKER = "etc/docker/certs.d/192.168.0.12"
PODMAN = "etc/containers/certs.d/192.168.0.12"
CONTAINERD = "etc/containerd/certs.d/192.168.0.12"
OLD, NEW = anchor("old"), anchor("new")

REMEMBERS = "docker: it may have read the system store before"
"""An engine that is there keeps what it read."""


def _held(disk: Disk, folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (disk.root / folder).glob("*.crt")}


def _begin(disk: Disk) -> Disk:
    assert last(disk.of(OLD).here()) == (0, "changed")
    return disk.of(dataclasses.replace(OLD, beside=NEW))


def test_both_roots_are_handed_out_as_two_files(disk: Disk) -> None:
    both = _begin(disk)
    assert last(both.here()) == (0, "changed")
    wanted = {"ca.crt": OLD.content, "ca-new.crt": NEW.content}
    assert [_held(disk, it) for it in (DOCKER, PODMAN, CONTAINERD)] == [wanted] * 3
    assert (disk.root / CONTAINERD / "hosts.toml").read_text().count("ca-new.crt") == 2
    assert last(both.here()) == (0, "already trusted")
    assert last(both.here("--check")) == (0, "trusted")


def test_the_new_one_alone_takes_the_old_one_s_place_and_nothing_of_that_stays(disk: Disk) -> None:
    disk.put("etc/rancher/k3s/registries.yaml", REGISTRIES, 0o600)
    _begin(disk).here()
    new = disk.of(dataclasses.replace(NEW, before=OLD.fingerprint))
    done = new.here()
    assert last(done) == (0, "changed"), done
    assert [_held(disk, it) for it in (DOCKER, PODMAN, CONTAINERD)] == [{"ca.crt": NEW.content}] * 3
    assert [path for path in disk.root.rglob("*") if path.is_file() and OLD.content in path.read_bytes()] == []
    assert OLD.fingerprint[:16] not in disk.record.read_text()
    registries = (disk.root / "etc/rancher/k3s/registries.yaml").read_text()
    assert (NEW.name in registries, OLD.name in registries) == (True, False)
    assert last(new.here()) == (0, "already trusted")
    assert last(new.here("--check")) == (0, "trusted")


def test_beside_a_login_of_others_it_is_the_same(disk: Disk) -> None:
    login = 'configs:\n  "192.168.0.12":\n    auth:\n      username: ada\n'
    path = disk.put("etc/rancher/k3s/registries.yaml", login, 0o600)
    _begin(disk).here()
    (held,) = path.parent.glob("*.crt")
    assert (held.read_bytes(), held.name in path.read_text()) == (OLD.content + NEW.content, True)
    new = disk.of(dataclasses.replace(NEW, before=OLD.fingerprint))
    assert last(new.here()) == (0, "changed")
    (now,) = path.parent.glob("*.crt")
    assert (now == held, now.read_bytes()) == (False, NEW.content)
    assert (now.name in path.read_text(), held.name in path.read_text()) == (True, False)
    assert last(new.here("--check")) == (0, "trusted")
    assert last(new.here("--remove")) == (0, "changed")
    assert (path.read_text(), list(path.parent.glob("*.crt"))) == (login, [])


def test_a_dry_run_takes_nothing_back(disk: Disk) -> None:
    _begin(disk).here()
    record = disk.record.read_bytes()
    disk.of(dataclasses.replace(NEW, before=OLD.fingerprint)).here("--dry-run")
    assert (_held(disk, DOCKER), disk.record.read_bytes()) == (
        {"ca.crt": OLD.content, "ca-new.crt": NEW.content},
        record,
    )


def test_a_third_authority_s_trust_is_left_alone(disk: Disk) -> None:
    other = anchor("other", registry_hosts=("10.0.0.1",))
    _begin(disk).here()
    assert last(disk.of(other).here()) == (0, "changed")
    disk.of(dataclasses.replace(NEW, before=OLD.fingerprint)).here()
    assert _held(disk, "etc/docker/certs.d/10.0.0.1") == {"ca.crt": other.content}


def test_it_can_be_taken_away_whole_at_each_step(disk: Disk) -> None:
    both = _begin(disk)
    both.here()
    assert last(both.here("--remove")) == (0, "changed")
    assert [_held(disk, it) for it in (DOCKER, PODMAN, CONTAINERD)] == [{}] * 3


def test_the_system_s_store_holds_both_then_the_new_one_alone(disk: Disk) -> None:
    folder = "usr/local/share/ca-certificates"
    (disk.root / folder).mkdir(parents=True)
    assert last(disk.of(OLD).here("--system")) == (0, "changed")
    assert last(disk.of(dataclasses.replace(OLD, beside=NEW)).here("--system")) == (0, "changed")
    assert _held(disk, folder) == {f"{it.name}.crt": it.content for it in (OLD, NEW)}
    new = disk.of(dataclasses.replace(NEW, before=OLD.fingerprint))
    changed = new.here("--system")
    assert (last(changed), changed.stdout.count(REMEMBERS)) == ((0, "changed"), 1)
    assert _held(disk, folder) == {f"{NEW.name}.crt": NEW.content}
    assert last(new.here("--system", "--check")) == (0, "trusted")
    (disk.root / "var/lib/docker").rmdir()
    removed = new.here("--remove")
    assert (last(removed), REMEMBERS in removed.stdout) == ((0, "changed"), False)
    assert _held(disk, folder) == {}
