"""The kit's removal on whole disks, by every shell: what it takes back, what it leaves, after whatever was killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.trust.remote.kits import REGISTRIES, Disk, anchor, last
from trusted_registry.trust.local import ledger

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process


def _bare(_: Disk) -> None:
    pass


def _empty_folders(disk: Disk) -> None:
    (disk.root / "etc/docker/certs.d").mkdir(parents=True, mode=0o700)
    (disk.root / "etc/containers/certs.d/192.168.0.12").mkdir(parents=True)
    (disk.root / "var/lib/trusted-registry").mkdir(parents=True)


def _others(disk: Disk) -> None:
    disk.put("etc/docker/certs.d/other:5000/ca.crt", "another's", 0o600)
    disk.put("etc/docker/certs.d/192.168.0.12/client.cert", "a client's")
    disk.put("etc/docker/certs.d/192.168.0.12/client.key", "and its key", 0o600)
    disk.put("etc/rancher/k3s/registries.yaml", REGISTRIES, 0o600)
    disk.put("etc/buildkit/buildkitd.toml", "debug = true\n[worker.oci]\n  max-parallelism = 4", 0o640)


def _strange(disk: Disk) -> None:
    disk.put("etc/rancher/k3s/registries.yaml", "")
    disk.put("etc/buildkit/buildkitd.toml", "debug = true\r\n\r\n")


@pytest.mark.parametrize("before", [_bare, _empty_folders, _others, _strange])
def test_removal_leaves_the_disk_as_it_was(disk: Disk, before: object) -> None:
    assert callable(before)
    before(disk)
    as_it_was = snapshot(disk.root)
    assert last(disk.here()) == (0, "changed")
    done = disk.here("--remove")
    assert last(done) == (0, "changed"), done
    left = snapshot(disk.root)
    left.setdefault("var/lib/trusted-registry", as_it_was.get("var/lib/trusted-registry", (0, b"")))
    left = {path: it for path, it in left.items() if path in as_it_was or it[0]}
    assert left == as_it_was
    assert last(disk.here("--remove")) == (0, "absent")
    assert last(disk.here("--check")) == (1, "absent")


def test_removal_of_some_leaves_the_others(one: Disk) -> None:
    one.here()
    assert last(one.here("--remove", "--only", "docker")) == (0, "changed")
    assert last(one.here("--check", "--only", "docker")) == (1, "absent")
    assert last(one.here("--check", "--skip", "docker")) == (0, "trusted")


def test_a_folder_that_another_hand_made_after_a_removal_is_theirs(one: Disk) -> None:
    one.here()
    one.here("--remove", "--only", "docker")
    theirs = one.root / "etc/docker/certs.d"
    theirs.mkdir(parents=True)
    assert last(one.here("--remove")) == (0, "changed")
    assert theirs.is_dir()


def test_removal_leaves_what_was_changed_since(one: Disk) -> None:
    one.here()
    changed = one.put("etc/docker/certs.d/192.168.0.12/ca.crt", "mine now")
    done = one.here("--remove")
    assert last(done) == (0, "changed")
    assert f"note: {changed} was changed since" in done.stderr
    assert changed.read_text() == "mine now"
    assert not (one.root / "etc/docker/certs.d/registry.local").exists()


def test_removal_leaves_what_another_hand_wrote_and_says_that_it_still_counts(one: Disk) -> None:
    theirs = one.put("etc/docker/certs.d/192.168.0.12/ca.crt", one.anchor.content.decode())
    assert last(one.here()) == (0, "changed")
    done = one.here("--remove")
    assert last(done) == (1, "failed")
    assert f"To remove that as well: rm '{theirs}'" in done.stderr
    assert theirs.exists()


@pytest.fixture
def told_by_linux(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout by which trust.linux has a user's Docker Desktop trust the registry."""
    monkeypatch.setattr(os, "environ", {**os.environ, "HOME": str(disk.home), "XDG_STATE_HOME": ""})
    checkout = disk.folder / "my checkout"
    checkout.mkdir()
    for inv in (checkout / "inv", disk.folder / "inv"):
        inv.write_text("#!/bin/sh\n")
        inv.chmod(0o755)
    (disk.home / ".docker/desktop").mkdir(parents=True)
    for registry_host in disk.anchor.registry_hosts:
        path = disk.home / ".docker/certs.d" / registry_host / "ca.crt"
        ledger.record(ledger.path(), [ledger.entry("docker-desktop", path, b"an earlier one", by=disk.folder)])
        ledger.record(ledger.path(), [ledger.entry("docker-desktop", path, disk.anchor.content, by=checkout)])
        path.parent.mkdir(parents=True)
        path.write_bytes(disk.anchor.content)
    return checkout


def test_what_trust_linux_wrote_is_left_to_its_checkout(disk: Disk, told_by_linux: Path) -> None:
    before = snapshot(disk.home)
    done = disk.run("--user", "--remove", "--only", "docker")
    assert (last(done), snapshot(disk.home)) == ((1, "failed"), before)
    assert done.stderr == (
        f"error: {told_by_linux}/inv trust.linux has this machine trust the registry too.\n"
        f"   do: cd '{told_by_linux}' && ./inv trust.remove\n"
    )


@pytest.mark.parametrize("how", ["the checkout is gone", "the ledger knows another content", "it is no ledger"])
def test_what_no_checkout_takes_back_is_left_with_the_command(how: str, disk: Disk, told_by_linux: Path) -> None:
    written = ledger.path()
    if how == "the checkout is gone":
        shutil.rmtree(told_by_linux)
    elif how == "it is no ledger":
        written.write_text('"by": "/"\n')
    else:
        mine = ledger.digest(disk.anchor.content)
        ledger.forget(written, [it for it in ledger.read(written) if it.sha256 == mine])
    done = disk.run("--user", "--remove", "--only", "docker")
    assert (last(done), "trust.linux" in done.stderr) == ((1, "failed"), False)
    assert done.stderr.count("To remove that as well: rm ") == len(disk.anchor.registry_hosts)


def test_another_authority_s_kit_replaces_what_the_first_one_wrote(disk: Disk) -> None:
    before, other = snapshot(disk.root), disk.of(anchor("another"))
    disk.here()
    assert last(other.here()) == (0, "changed")
    expected = other.expected()
    assert {path: path.read_bytes() for path in expected} == expected
    assert last(disk.here("--remove")) == (0, "changed")
    assert last(other.here("--check")) == (0, "trusted")
    assert last(other.here("--remove")) == (0, "changed")
    assert snapshot(disk.root) == before


def test_a_kit_with_other_names_takes_back_what_the_first_one_wrote(one: Disk) -> None:
    before, other = snapshot(one.root), one.of(anchor(registry_hosts=("10.0.0.1:8443",)))
    one.here()
    assert last(other.here("--remove")) == (0, "changed")
    assert snapshot(one.root) == before


@pytest.mark.parametrize("steps", range(1, 40, 3))
def test_a_run_that_is_killed_is_finished_or_taken_back(one: Disk, steps: int) -> None:
    one.put("etc/rancher/k3s/registries.yaml", REGISTRIES)
    before = snapshot(one.root)
    killed(one, steps)
    killed(one, steps // 2, "--remove")
    if steps % 2:
        assert last(cured(one))[1] in ("changed", "already trusted")
        assert last(one.here("--check")) == (0, "trusted")
    assert last(cured(one, "--remove"))[0] == 0
    left = snapshot(one.root)
    assert {path: it for path, it in left.items() if path != "var/lib"} == {
        path: it for path, it in before.items() if path != "var/lib"
    }


def cured(disk: Disk, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run a kit, and again after the cure that it names where a run was killed while it broke a dead run's lock."""
    (disk.folder / "sleep").write_text("#!/bin/sh\n")
    (disk.folder / "sleep").chmod(0o755)
    path = f"{disk.folder}:{os.environ['PATH']}"
    done = disk.here(*flags, PATH=path)
    if "has been at work" in done.stderr:
        (cure,) = re.findall(r"rm -f .*", done.stderr)
        subprocess.run(["sh", "-c", cure], check=True)
        done = disk.here(*flags, PATH=path)
    return done


def killed(disk: Disk, steps: int, *flags: str) -> None:
    """Run a kit and kill it, and all that it started, when it is about to change the disk for the n-th time."""
    stubs = disk.folder / f"stubs-{steps}{''.join(flags)}"
    stubs.mkdir()
    for name in ("mv", "mkdir", "rm", "rmdir"):
        (stubs / name).write_text(
            f'#!/bin/sh\necho >>"{stubs}/steps"\n[ "$(wc -l <"{stubs}/steps")" -le {steps} ] || kill -9 0\n'
            f'PATH=${{PATH#*:}}\nexec {name} "$@"\n'
        )
        (stubs / name).chmod(0o755)
    done = subprocess.run(
        [*disk.shell, str(disk.script), "--root", str(disk.root), *flags],
        env={"PATH": f"{stubs}:{os.environ['PATH']}", "HOME": str(disk.home)},
        start_new_session=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (-signal.SIGKILL, 0), done
