"""Links in a kit's way: none is followed, and with --root none leads out of it."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.marks import by_root
from tests.programs import real
from tests.trust.remote.kits import Disk, hand_over, last

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process


@pytest.mark.parametrize("path", ["192.168.0.12", "192.168.0.12/ca.crt"])
def test_a_link_is_refused_and_not_followed(disk: Disk, path: str) -> None:
    elsewhere = disk.folder / "elsewhere"
    elsewhere.mkdir()
    link = disk.root / "etc/docker/certs.d" / path
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere if path == "192.168.0.12" else elsewhere / "ca.crt")
    done = disk.here()
    assert last(done) == (1, "failed")
    assert f"error: {link} is a link; it is not followed.\n   do: Remove it: rm '{link}'" in done.stderr
    assert list(elsewhere.iterdir()) == []
    assert not (link.parent.parent / "registry.local").exists()


@pytest.mark.parametrize("path", ["etc", "etc/docker", "etc/docker/certs.d", "etc/rancher", "usr/local/share"])
def test_with_root_no_link_leads_out_of_it(disk: Disk, path: str) -> None:
    elsewhere = disk.folder / "elsewhere"
    (elsewhere / "ca-certificates").mkdir(parents=True)
    link = disk.root / path
    if link.exists():
        link.rename(disk.folder / "as it was")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    before = snapshot(elsewhere)
    only = "system" if "usr" in path else "docker,k3s"
    for flags in ((), ("--remove",), ("--check",)):
        done = disk.here("--only", only, *flags)
        assert snapshot(elsewhere) == before
        assert done.returncode == (0 if "--remove" in flags else 1)
        assert "usr" in path or flags == ("--remove",) or f"error: {link} is a link; it is not followed." in done.stderr


@pytest.mark.parametrize("path", ["var", "var/lib", "var/lib/trusted-registry", "var/lib/trusted-registry/kit"])
def test_with_root_the_record_is_not_led_out_of_it_either(disk: Disk, path: str) -> None:
    elsewhere = disk.folder / "elsewhere"
    elsewhere.mkdir()
    link = disk.root / path
    if link.exists():
        link.rename(disk.folder / "as it was")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    before = snapshot(disk.root / "etc")
    for flags in ((), ("--remove",), ("--check",)):
        done = disk.here(*flags)
        assert last(done) == (1, "failed")
        assert f"error: {link} is a link; it is not followed.\n   do: Remove it: rm '{link}'" in done.stderr
    assert list(elsewhere.iterdir()) == []
    assert snapshot(disk.root / "etc") == before


def test_with_root_no_lock_is_made_elsewhere(disk: Disk) -> None:
    elsewhere = disk.folder / "elsewhere"
    elsewhere.mkdir()
    disk.record.parent.mkdir()
    (disk.record.parent / "lock").symlink_to(elsewhere)
    (disk.folder / "sleep").write_text("#!/bin/sh\n")
    (disk.folder / "sleep").chmod(0o755)
    assert last(disk.here(PATH=f"{disk.folder}:{os.environ['PATH']}")) == (0, "changed")
    assert list(elsewhere.iterdir()) == []


def test_with_root_a_removal_takes_nothing_from_elsewhere(disk: Disk) -> None:
    """Whether a link came later, or a record that is somebody else's says where."""
    disk.here("--only", "docker,k3s")
    elsewhere, mine = disk.folder / "elsewhere", disk.record.read_text()
    for name in ("docker", "rancher"):
        (disk.root / "etc" / name).rename(elsewhere if name == "docker" else elsewhere / name)
        (disk.root / "etc" / name).symlink_to(elsewhere if name == "docker" else elsewhere / name)
    before = snapshot(elsewhere)
    assert last(disk.here("--remove")) == (0, "absent")
    assert snapshot(elsewhere) == before
    beside = disk.folder / f"{disk.root.name} too"
    elsewhere.rename(beside)
    for out in (f"/../{beside.name}", " too"):
        outside = mine.replace("\t/etc/docker", f"\t{out}").replace("\t/etc/rancher", f"\t{out}/rancher")
        disk.put("var/lib/trusted-registry/kit", outside)
        disk.here("--remove")
        assert snapshot(beside) == before


def test_with_root_what_is_elsewhere_is_no_sign(tmp_path: Path) -> None:
    disk, elsewhere = Disk(tmp_path), tmp_path / "elsewhere"
    (elsewhere / "docker.sock").mkdir(parents=True)
    (elsewhere / "podman").write_text("#!/bin/sh\n")
    (elsewhere / "podman").chmod(0o755)
    (disk.root / "usr").mkdir()
    (disk.root / "usr/bin").symlink_to(elsewhere)
    (disk.root / "run").symlink_to(elsewhere)
    assert "No registry client was found here" in disk.here("--dry-run").stderr
    (disk.root / "usr/bin").unlink()
    (disk.root / "usr/bin").mkdir()
    (disk.root / "usr/bin/podman").symlink_to("/etc/alternatives/podman")
    assert "podman (" in disk.here("--dry-run").stdout


def test_a_shared_file_that_is_a_link_is_not_followed(disk: Disk) -> None:
    theirs = disk.folder / "elsewhere.yaml"
    theirs.write_text("mirrors:\n")
    (disk.root / "etc/rancher/k3s").mkdir(parents=True)
    (disk.root / "etc/rancher/k3s/registries.yaml").symlink_to(theirs)
    assert last(disk.here()) == (1, "failed")
    assert theirs.read_text() == "mirrors:\n"
    assert not list((disk.root / "etc/rancher/k3s").glob("*.crt"))


def test_a_link_where_a_kit_puts_what_it_is_about_to_move_is_not_followed(disk: Disk) -> None:
    theirs = disk.folder / "elsewhere"
    theirs.write_text("theirs")
    (disk.root / "etc/docker/certs.d/192.168.0.12").mkdir(parents=True)
    (disk.root / "etc/docker/certs.d/192.168.0.12/.trusted-registry.part").symlink_to(theirs)
    assert last(disk.here()) == (0, "changed")
    assert theirs.read_text() == "theirs"


@pytest.mark.parametrize("what", ["etc/docker/certs.d/192.168.0.12", "etc/rancher/k3s"])
def test_nor_is_one_that_another_hand_puts_there_meanwhile(disk: Disk, what: str) -> None:
    theirs = disk.folder / "elsewhere"
    theirs.write_text("theirs")
    link = disk.put(f"{what}/.trusted-registry.part")
    disk.put("etc/rancher/k3s/registries.yaml", "mirrors:\n", 0o600)
    stub = disk.folder / "stubs/rm"
    stub.parent.mkdir()
    stub.write_text(
        f"#!/bin/sh\nPATH=${{PATH#*:}}\nrm \"$@\"\ncase $PWD/$* in '{link.parent}/'*'./{link.name}')"
        f" ln -s '{theirs}' '{link}' ;; esac\n"
    )
    stub.chmod(0o755)
    done = disk.here(PATH=f"{stub.parent}:{os.environ['PATH']}")
    assert last(done) == (1, "failed")
    assert "cannot be written: " in done.stderr
    assert theirs.read_text() == "theirs"


def test_what_few_may_read_is_never_copied_where_more_may(disk: Disk) -> None:
    path, stub = disk.put("etc/rancher/k3s/registries.yaml", "mirrors:\n", 0o600), disk.folder / "stubs/cp"
    stub.parent.mkdir()
    stub.write_text(f'#!/bin/sh\nPATH=${{PATH#*:}}\nls -l "$3" >>"{disk.folder}/modes"\ncp "$@"\n')
    stub.chmod(0o755)
    assert last(disk.here(PATH=f"{stub.parent}:{os.environ['PATH']}")) == (0, "changed")
    modes = (disk.folder / "modes").read_text().splitlines()
    assert [mode.split()[0] for mode in modes] == ["-rw-------"]
    assert path.stat().st_mode & 0o777 == 0o600


@by_root
def test_a_home_that_is_a_link_is_whose_folder_it_leads_to(open_path: Path) -> None:
    disk = Disk(open_path)
    (disk.home / ".docker/desktop").mkdir(parents=True)
    hand_over(disk.home)
    link = open_path / "a link"
    link.symlink_to(disk.home)
    done = disk.run("--check", "--only", "docker", HOME=str(link))
    assert f"HOME is {link}, which is user 65534's" in done.stderr
    assert "Docker Desktop" not in done.stdout


SWAP = """#!/bin/sh
if [ -e {folder}/swap ] && [ -d {target} ] && [ ! -L {target} ]; then
    {mv} {folder}/swap {folder}/swapped
    {mv} {target} {target}.moved
    {ln} -s {elsewhere} {target}
fi
exec {real} "$@"
"""


def _swapping(disk: Disk, name: str, target: Path) -> dict[str, str]:
    """Have a program swap a folder for a link out of the disk, once, at the moment in which a kit uses that program."""
    programs, elsewhere = disk.folder / "programs", disk.folder / "elsewhere"
    programs.mkdir()
    for path in (".", "certs.d", *(f"certs.d/{it}" for it in disk.anchor.registry_hosts)):
        (elsewhere / path).mkdir()
        (elsewhere / path / "ca.crt").write_text("theirs")
        (elsewhere / path / ".trusted-registry.part").write_text("theirs too")
    words = {"folder": disk.folder, "target": target, "elsewhere": elsewhere, "real": real(name)}
    quoted = {key: shlex.quote(str(value)) for key, value in words.items()}
    (programs / name).write_text(SWAP.format(mv=real("mv"), ln=real("ln"), **quoted))
    (programs / name).chmod(0o755)
    return {"PATH": f"{programs}:{os.environ['PATH']}"}


@pytest.mark.parametrize("name", ["mkdir", "mv", "cmp", "rm", "rmdir", "awk"])
@pytest.mark.parametrize("target", ["etc/docker", "etc/docker/certs.d", "etc/docker/certs.d/192.168.0.12"])
def test_with_root_a_folder_that_becomes_a_link_meanwhile_leads_nowhere_else(one: Disk, name: str, target: str) -> None:
    path = one.root / target
    path.mkdir(parents=True)
    environ = _swapping(one, name, path)
    elsewhere = one.folder / "elsewhere"
    before = snapshot(elsewhere)
    for flags in ((), ("--check",), ("--remove",)):
        (one.folder / "swap").touch()
        one.here("--only", "docker", *flags, user=None, **environ)
        assert snapshot(elsewhere) == before, flags
        if path.is_symlink():
            path.unlink()
            path.with_name(f"{path.name}.moved").rename(path)
