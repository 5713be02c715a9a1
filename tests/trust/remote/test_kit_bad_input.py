"""What is in a kit's way: each is an error with its cure, and nothing is half-written."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import mounted
from tests.disk import snapshot
from tests.marks import by_root
from tests.trust.remote.kits import Disk, hand_over, last

pytestmark = pytest.mark.process


@by_root
def test_without_root_it_says_how_to_get_it(open_path: Path) -> None:
    disk = Disk(open_path)
    before = snapshot(disk.root)
    done = disk.run(user=hand_over(disk.home))
    assert last(done) == (1, "failed")
    assert f"do: sudo sh {disk.script}" in done.stderr
    assert "--user" in done.stderr
    assert snapshot(disk.root) == before
    done = disk.run("--remove", user=hand_over(disk.home))
    assert "do: sudo sh" in done.stderr


@by_root
def test_looking_takes_no_root_and_what_cannot_be_seen_is_not_called_absent(open_path: Path) -> None:
    disk = Disk(open_path).furnish()
    disk.here()
    assert last(disk.here("--check", user=65534)) == (0, "trusted")
    (disk.root / "etc/docker").chmod(0o700)
    done = disk.here("--check", "--only", "docker", user=65534)
    assert last(done) == (1, "failed")
    assert "cannot be checked" in done.stderr


@by_root
def test_root_writes_nothing_into_another_user_s_home(open_path: Path) -> None:
    disk = Disk(open_path)
    (disk.home / ".docker/desktop").mkdir(parents=True)
    hand_over(disk.home)
    done = disk.run("--check", "--only", "docker")
    assert f"HOME is {disk.home}, which is user 65534's" in done.stderr
    assert "Docker Desktop" not in done.stdout


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--chek",), "There is no flag '--chek'"),
        (("certificate",), "There is no flag 'certificate'"),
        (("--only",), "--only what?"),
        (("--only", "dockr"), "there is no store 'dockr'"),
        (("--skip=docker,$(touch it)",), "there is no store '$(touch it)'"),
        (("--check", "--remove"), "which?"),
        (("--user", "--root", "/"), "which?"),
        (("--root", "no such folder"), "is no folder"),
        (("--root=",), "is no folder"),
    ],
)
def test_a_wrong_flag_is_named_and_ends_with_2(disk: Disk, flags: tuple[str, ...], said: str) -> None:
    before = snapshot(disk.folder)
    done = disk.run(*flags)
    assert last(done) == (2, "failed")
    assert said in done.stderr
    assert "do: " in done.stderr
    assert snapshot(disk.folder) == before


def test_help_names_every_flag_and_store(disk: Disk) -> None:
    done = disk.run("--help")
    assert done.returncode == 0
    for word in (
        "--check",
        "--remove",
        "--dry-run",
        "--only",
        "--skip",
        "--system",
        "--user",
        "--root DIR",
        "java",
        "does not parse",
    ):
        assert word in done.stdout


def test_another_s_certificate_is_never_overwritten_and_the_other_stores_go_on(disk: Disk) -> None:
    theirs = disk.put("etc/docker/certs.d/registry.local/ca.crt", "another's")
    done = disk.here()
    assert last(done) == (1, "failed")
    assert f"error: {theirs} holds something that was not written here; nothing was changed.\n   do: " in done.stderr
    assert "--skip docker" in done.stderr
    assert theirs.read_text() == "another's"
    assert sorted(it.name for it in (disk.root / "etc/docker/certs.d").iterdir()) == ["registry.local"]
    assert last(disk.here("--check", "--skip", "docker")) == (0, "trusted")
    assert last(disk.here("--check")) == (1, "failed")


def test_a_key_alone_is_refused_and_one_with_its_certificate_is_not(disk: Disk) -> None:
    key = disk.put("etc/docker/certs.d/192.168.0.12/client.key", "a key")
    done = disk.here()
    assert last(done) == (1, "failed")
    assert f"{key} has no certificate beside it: with it there, every pull from 192.168.0.12 fails." in done.stderr
    disk.put("etc/docker/certs.d/192.168.0.12/client.cert", "its certificate")
    assert last(disk.here()) == (0, "changed")


def test_a_pem_that_no_client_reads_is_pointed_out(disk: Disk) -> None:
    pem = disk.put("etc/docker/certs.d/192.168.0.12/ca.pem", "in vain")
    done = disk.here()
    assert last(done) == (0, "changed")
    assert f"note: {pem} is ignored" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mirrors: {}\n", "line 1, is not in block form"),
        ("a: 1\nmirrors:\n  192.168.0.12:\n    endpoint: []\n", "line 3, already has an entry for 192.168.0.12"),
        ("mirrors:\n  '192.168.0.12' :\n    endpoint: []\n", "line 2, already has an entry for 192.168.0.12"),
        ("\ufeffmirrors:\n", "line 1, begins with a byte order mark"),
    ],
)
def test_a_shared_file_that_cannot_be_added_to_stays_and_its_line_is_named(disk: Disk, text: str, said: str) -> None:
    path = disk.put("etc/rancher/k3s/registries.yaml", text)
    before = snapshot(disk.root / "etc/rancher")
    done = disk.here()
    assert last(done) == (1, "failed")
    assert f"error: {path}, {said}" in done.stderr
    assert snapshot(disk.root / "etc/rancher") == before


def test_a_file_in_the_way_of_a_folder_is_named(disk: Disk) -> None:
    stands = disk.put("etc/docker", "a file")
    done = disk.here()
    assert last(done) == (1, "failed")
    assert f"{stands} cannot be a folder: a file stands in its way." in done.stderr


@by_root
def test_a_read_only_disk_is_said(disk: Disk) -> None:
    (disk.root / "etc/docker").mkdir(parents=True)
    with mounted(disk.root / "etc/docker", "ro"):
        done = disk.here("--only", "docker")
        assert last(done) == (1, "failed")
        assert "Read-only file system.\n   do: The file system is mounted read-only" in done.stderr
    assert last(disk.here("--remove")) == (0, "absent")


@by_root
def test_a_full_disk_is_said_and_nothing_is_half_written(disk: Disk) -> None:
    folder = disk.root / "etc/docker"
    folder.mkdir(parents=True)
    with mounted(folder, "size=64k,nr_inodes=64") as small:
        (small / "full").write_bytes(b"x" * (64 * 1024 - 2 * 4096))
        done = disk.here("--only", "docker")
        assert last(done) == (1, "failed"), done
        assert "No space left on device.\n   do: Make room on the disk: df -h" in done.stderr
        assert all(path.read_bytes() == disk.anchor.content for path in small.rglob("ca.crt"))
        assert not [path for path in small.rglob("*") if path.is_file() and path.name not in ("ca.crt", "full")]
        assert last(disk.here("--remove"))[0] == 0
        assert [path.name for path in small.iterdir()] == ["full"]


@by_root
def test_a_record_that_cannot_be_written_keeps_the_rest_from_being_written(disk: Disk) -> None:
    (disk.root / "var/lib/trusted-registry").mkdir()
    with mounted(disk.root / "var/lib/trusted-registry", "ro"):
        done = disk.here()
        assert last(done) == (1, "failed")
    assert not (disk.root / "etc/docker").exists()


def test_two_runs_at_once_both_end_well(disk: Disk) -> None:
    before = snapshot(disk.root)
    argv = [*disk.shell, str(disk.script), "--root", str(disk.root)]
    runs = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [run.communicate(timeout=100) for run in runs]
    ends = sorted(out.splitlines()[-1] for out, _ in said)
    assert ends == [*["trusted-registry: already trusted"] * 3, "trusted-registry: changed"], said
    assert last(disk.here("--check")) == (0, "trusted")
    disk.here("--remove")
    assert snapshot(disk.root) == before


def test_another_run_is_waited_for_but_not_forever(one: Disk) -> None:
    state = one.record.parent
    state.mkdir()
    (state / "lock").symlink_to(str(os.getpid()))
    (one.folder / "sleep").write_text("#!/bin/sh\n")
    (one.folder / "sleep").chmod(0o755)
    done = one.here(PATH=f"{one.folder}:{os.environ['PATH']}")
    assert last(done) == (1, "failed")
    assert f"Another run, process {os.getpid()}, has been at work for half a minute." in done.stderr
    assert f"rm -f '{state}/lock'" in done.stderr
    assert (state / "lock").readlink() == Path(str(os.getpid()))
    assert not (one.root / "etc/docker").exists()


def test_a_lock_of_a_run_that_died_is_broken_at_once(disk: Disk) -> None:
    with subprocess.Popen(["true"]) as dead:
        pass
    disk.record.parent.mkdir()
    (disk.record.parent / "lock").symlink_to(str(dead.pid))
    begun = time.monotonic()
    assert last(disk.here()) == (0, "changed")
    assert time.monotonic() - begun < 10
