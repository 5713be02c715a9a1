"""Stores that only a program changes or reads: real certutil, and others' programs argument for argument."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.disk import snapshot
from tests.forge import authority
from tests.marks import by_root
from tests.programs import on_host, real
from tests.trust.remote.kits import Disk, anchor, hand_over, last
from trusted_registry.trust.model import TrustAnchor

pytestmark = pytest.mark.process


def certified() -> TrustAnchor:
    """Return a real authority as what is to be trusted: certutil would take nothing else."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    made = authority().certificate
    return TrustAnchor(made.public_bytes(Encoding.PEM), made.fingerprint(hashes.SHA256()).hex(), ("192.168.0.12",))


class World:
    """A machine of busybox and nothing else, into which a kit is put, and whose root it runs as."""

    def __init__(self, folder: Path, of: TrustAnchor) -> None:
        self.disk = Disk(folder, of)
        self.root = self.disk.root
        (self.root / "bin").mkdir()
        self._bring(Path(real("busybox")))
        for applet in subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
            if not (self.root / "bin" / applet).exists():
                (self.root / "bin" / applet).symlink_to("busybox")
        for path in ("root", "tmp", "var/lib", "etc", "dev"):
            (self.root / path).mkdir(parents=True)
        os.mknod(self.root / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        shutil.copy(self.disk.script, self.root / "kit.sh")

    def _bring(self, program: Path) -> None:
        """Copy a program, with the libraries that it is linked to."""
        shutil.copy(program, self.root / "bin" / program.name)
        linked = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
        for word in linked.split():
            if word.startswith("/"):
                path = self.root / word.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(word, path)

    def program(self, name: str, script: str = "") -> None:
        """Install a program that notes how it was called."""
        path = self.root / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>/tmp/called\n{script}\n')
        path.chmod(0o755)

    @property
    def called(self) -> list[str]:
        """How programs were called since this was asked last."""
        path = self.root / "tmp/called"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def run(self, *flags: str) -> subprocess.CompletedProcess[str]:
        """Run the kit."""
        return subprocess.run(
            [real("chroot"), str(self.root), "/bin/sh", "/kit.sh", *flags],
            env={"PATH": "/bin", "HOME": "/root"}, capture_output=True, text=True, check=False, timeout=100,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A machine of busybox."""
    return World(tmp_path, anchor())


@by_root
@on_host("busybox")
def test_busybox_is_all_that_a_machine_needs(world: World) -> None:
    (world.root / "var/lib/rancher/k3s").mkdir(parents=True)
    (world.root / "var/lib/docker").mkdir(parents=True)
    world.program("podman")
    (world.root / "root/.config/containers/certs.d/192.168.0.12").mkdir(parents=True)
    before = snapshot(world.root)
    expected = world.disk.expected()
    assert last(world.run()) == (0, "changed")
    assert len(expected) > 10
    assert {path: path.read_bytes() for path in expected} == expected
    hidden = world.root / "root/.config/containers/certs.d/192.168.0.12/ca.crt"
    assert hidden.read_bytes() == world.disk.anchor.content
    assert last(world.run("--check")) == (0, "trusted")
    hidden.unlink()
    assert last(world.run("--check", "--only=podman")) == (1, "absent")
    assert last(world.run()) == (0, "changed")
    assert last(world.run("--remove")) == (0, "changed")
    assert snapshot(world.root) == before


@by_root
@on_host("busybox")
def test_the_operating_system_s_store_is_refreshed_once_after_each_change(world: World) -> None:
    (world.root / "usr/local/share/ca-certificates").mkdir(parents=True)
    world.program("update-ca-certificates")
    before = snapshot(world.root)
    assert last(world.run()) == (1, "failed")
    assert last(world.run("--system")) == (0, "changed")
    assert world.called == ["update-ca-certificates "]
    assert last(world.run("--system")) == (0, "already trusted")
    assert world.called == []
    assert last(world.run("--remove")) == (0, "changed")
    assert world.called == ["update-ca-certificates --fresh"]
    assert snapshot(world.root) == before


@by_root
@on_host("busybox")
@pytest.mark.parametrize(
    ("folder", "suffix", "change"),
    [
        ("usr/local/share/ca-certificates", ".crt", "update-ca-certificates "),
        ("etc/pki/ca-trust/source/anchors", ".pem", "update-ca-trust extract"),
        ("etc/ca-certificates/trust-source/anchors", ".crt", "trust extract-compat"),
        ("etc/pki/trust/anchors", ".pem", "update-ca-certificates "),
    ],
)
def test_each_family_has_its_folder_and_its_command(world: World, folder: str, suffix: str, change: str) -> None:
    (world.root / folder).mkdir(parents=True)
    world.program(change.split(maxsplit=1)[0])
    assert last(world.run("--only", "system")) == (0, "changed")
    path = world.root / folder / f"{world.disk.anchor.name}{suffix}"
    assert path.read_bytes() == world.disk.anchor.content
    assert world.called == [change]


@by_root
@on_host("busybox")
def test_a_refresh_that_failed_is_made_up_for(world: World) -> None:
    (world.root / "usr/local/share/ca-certificates").mkdir(parents=True)
    world.program("update-ca-certificates", "echo it is locked; exit 1")
    done = world.run("--system")
    assert last(done) == (1, "failed")
    assert "update-ca-certificates failed: it is locked\n   do: See what it says: update-ca-certificates" in done.stderr
    assert last(world.run("--check", "--system")) == (1, "absent")
    world.program("update-ca-certificates")
    assert last(world.run("--system")) == (0, "changed")
    assert last(world.run("--check", "--system")) == (0, "trusted")


@by_root
@on_host("busybox")
@pytest.mark.parametrize("fault", ["echo it is locked; exit 1", "kill -9 0"], ids=["failed", "killed"])
def test_a_removal_whose_refresh_did_not_end_is_made_up_for(world: World, fault: str) -> None:
    (world.root / "usr/local/share/ca-certificates").mkdir(parents=True)
    world.program("update-ca-certificates")
    before = snapshot(world.root)
    world.run("--system")
    world.program("update-ca-certificates", fault)
    for _ in range(2):
        assert world.run("--remove").returncode not in (0, None)
    assert not (world.root / "usr/local/share/ca-certificates" / f"{world.disk.anchor.name}.crt").exists()
    world.program("update-ca-certificates")
    assert world.called.count("update-ca-certificates --fresh") == 2
    assert last(world.run("--dry-run", "--remove")) == (0, "would change")
    assert last(world.run("--remove", "--skip", "system")) == (0, "absent")
    assert world.called == []
    assert last(world.run("--remove")) == (0, "changed")
    assert world.called == ["update-ca-certificates --fresh"]
    assert last(world.run("--remove")) == (0, "absent")
    assert world.called == []
    assert snapshot(world.root) == before


@by_root
@on_host("busybox")
def test_java_is_told_by_keytool_argument_for_argument(world: World) -> None:
    world.program("keytool", '[ "$1" != -list ] || [ -e /tmp/in ]')
    name = world.disk.anchor.name
    known = f"-cacerts -storepass changeit -alias {name}"
    done = world.run("--only", "java")
    assert last(done) == (0, "changed")
    look, add = (
        f"keytool -list {known}",
        f"keytool -importcert -noprompt {known} -file /var/lib/trusted-registry/ca.crt",
    )
    assert world.called == [look, add]
    assert "java: it reads its certificates when it starts" in done.stdout
    (world.root / "tmp/in").touch()
    assert last(world.run("--check", "--system")) == (0, "trusted")
    assert world.called == [look]
    assert last(world.run("--dry-run", "--remove"))[1] == "would change"
    assert world.called == [look]
    assert last(world.run("--remove")) == (0, "changed")
    assert world.called == [look, f"keytool -delete {known}"]
    assert not (world.root / "var/lib/trusted-registry").exists()


def test_in_an_image_nothing_is_run_and_what_is_left_to_do_is_said(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    (disk.root / "usr/local/share/ca-certificates").mkdir(parents=True)
    done = disk.here("--system", PATH=os.environ["PATH"])
    assert last(done) == (0, "changed")
    assert "this is left to be done:\n$ update-ca-certificates\n" in done.stderr
    done = disk.here("--remove")
    assert "$ update-ca-certificates --fresh\n" in done.stderr
    assert not disk.record.exists()


@on_host("certutil")
def test_a_browser_s_database_gets_it_and_gives_it_back(open_path: Path) -> None:
    disk = Disk(open_path, certified())
    database, other = disk.home / ".pki/nssdb", disk.home / ".mozilla/firefox/a b.default"
    for folder in (database, other):
        folder.mkdir(parents=True)
        _certutil("-N", "--empty-password", "-d", f"sql:{folder}")
    (disk.home / ".mozilla/firefox/no database").mkdir()
    who = hand_over(open_path)
    assert last(disk.run("--user", user=who)) == (1, "failed")
    done = disk.run("--user", "--only", "nss", user=who)
    assert last(done) == (0, "changed"), done
    for folder in (database, other):
        assert f"{disk.anchor.name}" in _certutil("-L", "-d", f"sql:{folder}")
        assert "C,," in _certutil("-L", "-d", f"sql:{folder}")
        assert _certutil("-L", "-a", "-n", disk.anchor.name, "-d", f"sql:{folder}").split() == (
            disk.anchor.content.decode().split()
        )
    assert "nss: it reads its certificates when it starts, so: close the browser" in done.stdout
    assert last(disk.run("--user", "--system", user=who)) == (0, "already trusted")
    assert last(disk.run("--user", "--remove", user=who)) == (0, "changed")
    for folder in (database, other):
        assert disk.anchor.name not in _certutil("-L", "-d", f"sql:{folder}")
    assert last(disk.run("--user", "--system", "--check", user=who)) == (1, "absent")
    assert not (disk.home / ".local").exists()


def _certutil(*arguments: str) -> str:
    return subprocess.run(["certutil", *arguments], capture_output=True, text=True, check=True).stdout


# A changeover to another authority


STUB = """case $1 in
    -list | -L) [ -e "/tmp/in/$name" ] ;;
    -delete | -D) rm "/tmp/in/$name" ;;
    *) mkdir -p /tmp/in && cat "$file" >"/tmp/in/$name" ;;
esac"""
"""A database of certificates in a folder, for keytool and certutil."""
READ = "for it; do case $last in -alias | -n) name=$it ;; -file | -i) file=$it ;; esac; last=$it; done"


def _in_changeover(world: World, *steps: TrustAnchor, flags: tuple[str, ...] = ("--system",)) -> None:
    for step in steps:
        shutil.copy(world.disk.of(step).script, world.root / "kit.sh")
        assert last(world.run(*flags)) == (0, "changed")


@by_root
@on_host("busybox")
def test_a_file_that_both_kits_wrote_stays_when_the_first_one_s_is_taken_back(world: World) -> None:
    folder = world.root / "usr/local/share/ca-certificates"
    folder.mkdir(parents=True)
    world.program("update-ca-certificates")
    old, new = world.disk.anchor, anchor("new")
    _in_changeover(world, old, replace(old, beside=new))
    assert {it.name for it in folder.iterdir()} == {f"{old.name}.crt", f"{new.name}.crt"}
    _in_changeover(world, replace(new, before=old.fingerprint))
    assert [it.name for it in folder.iterdir()] == [f"{new.name}.crt"]
    assert last(world.run("--check", "--system")) == (0, "trusted")
    assert last(world.run("--system")) == (0, "already trusted")
    assert last(world.run("--remove")) == (0, "changed")
    assert list(folder.iterdir()) == []


@by_root
@on_host("busybox")
@pytest.mark.parametrize(("program", "store"), [("keytool", "java"), ("certutil", "nss")])
def test_a_database_holds_both_roots_then_the_new_one_alone(program: str, store: str, world: World) -> None:
    if store == "nss":
        (world.root / "root/.pki/nssdb").mkdir(parents=True)
        (world.root / "root/.pki/nssdb/cert9.db").touch()
    world.program(program, f"{READ}\n{STUB}")
    held = world.root / "tmp/in"
    old, new = world.disk.anchor, anchor("new")
    flags = ("--only", store)
    _in_changeover(world, old, replace(old, beside=new), flags=flags)
    assert {it.name: it.read_bytes() for it in held.iterdir()} == {it.name: it.content for it in (old, new)}
    assert last(world.run("--check", *flags)) == (0, "trusted")
    _in_changeover(world, replace(new, before=old.fingerprint), flags=flags)
    assert [it.name for it in held.iterdir()] == [new.name]
    assert last(world.run("--remove")) == (0, "changed")
    assert list(held.iterdir()) == []


@by_root
@on_host("busybox")
def test_both_roots_of_a_database_are_taken_back_by_the_kit_that_has_both(world: World) -> None:
    world.program("keytool", f"{READ}\n{STUB}")
    old = world.disk.anchor
    _in_changeover(world, replace(old, beside=anchor("new")), flags=("--only", "java"))
    assert len(list((world.root / "tmp/in").iterdir())) == 2
    assert last(world.run("--remove")) == (0, "changed")
    assert list((world.root / "tmp/in").iterdir()) == []
