"""The kit on whole disks, by every shell: what it writes and shows, against the table of stores."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.disk import mode, snapshot
from tests.programs import on_host
from tests.trust.remote.kits import REGISTRIES, Disk, hand_over, last

pytestmark = pytest.mark.process


def test_it_writes_byte_for_byte_what_the_table_says(disk: Disk) -> None:
    disk.put("etc/rancher/k3s/registries.yaml", REGISTRIES)
    before, expected = snapshot(disk.root), disk.expected()
    done = disk.here()
    assert last(done) == (0, "changed"), done
    assert {path: path.read_bytes() for path in expected} == expected
    assert len(expected) == len(disk.anchor.registry_hosts) * 4 + 4
    kept = set(before) | {str(path.relative_to(disk.root)) for path in expected}
    files = {path for path, (_, content) in snapshot(disk.root).items() if content}
    assert files - kept == {"var/lib/trusted-registry/kit"}


def test_whatever_the_umask_everybody_may_read_it(disk: Disk) -> None:
    mask = os.umask(0o077)
    try:
        assert last(disk.here()) == (0, "changed")
    finally:
        os.umask(mask)
    for path in disk.expected():
        assert (mode(path), mode(path.parent)) == (0o644, 0o755), path


def test_it_says_what_it_trusts_and_what_must_be_started_anew(one: Disk) -> None:
    said = one.here().stdout
    assert f"authority: SHA-256 {one.anchor.fingerprint}\n" in said
    names = ", ".join(one.anchor.registry_hosts)
    assert f"docker (Docker Engine): {names}: now trusted\n" in said
    assert "k3s: it reads registries.yaml when it starts, so: systemctl restart k3s" in said
    assert "docker: it" not in said


def test_a_second_run_changes_nothing_and_says_so(disk: Disk) -> None:
    disk.here()
    before = snapshot(disk.root)
    done = disk.here()
    assert last(done) == (0, "already trusted")
    assert "starts" not in done.stdout
    assert snapshot(disk.root) == before


def test_what_is_not_here_is_left_alone(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.program("podman")
    disk.here()
    assert sorted(it.name for it in (disk.root / "etc").iterdir()) == ["containers"]


def test_no_client_at_all_is_said(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    done = disk.here()
    assert last(done) == (1, "failed")
    assert "No registry client was found here" in done.stderr
    assert snapshot(disk.root) == {}


def test_check_says_whether_all_of_them_trust(disk: Disk) -> None:
    before = snapshot(disk.root)
    assert last(disk.here("--check")) == (1, "absent")
    assert snapshot(disk.root) == before
    disk.here()
    assert last(disk.here("--check")) == (0, "trusted")
    (disk.root / "etc/docker/certs.d/registry.local/ca.crt").unlink()
    done = disk.here("--check")
    assert last(done) == (1, "absent")
    assert "docker (Docker Engine): registry.local: absent\n" in done.stdout


def test_a_dry_run_shows_commands_and_changes_nothing(disk: Disk) -> None:
    before = snapshot(disk.root)
    done = disk.here("--dry-run")
    assert last(done) == (0, "would change")
    assert f"$ install -D -m 0644 ca.crt '{disk.root}/etc/docker/certs.d/192.168.0.12/ca.crt'\n" in done.stdout
    assert snapshot(disk.root) == before
    disk.here()
    trusted = snapshot(disk.root)
    assert last(disk.here("--dry-run")) == (0, "already trusted")
    done = disk.here("--dry-run", "--remove")
    assert last(done) == (0, "would change")
    assert f"$ rm '{disk.root}/etc/docker/certs.d/192.168.0.12/ca.crt'\n" in done.stdout
    assert snapshot(disk.root) == trusted


def test_the_commands_of_a_dry_run_do_what_the_run_does(one: Disk) -> None:
    """Those of the stores that are whole files; nobody types into an editor here."""
    only = ("--only", "docker,podman,containerd")
    typed = re.findall(r"^\$ (.*?)\n(?=\$ |\w+ \()", one.here("--dry-run", *only).stdout, re.MULTILINE | re.DOTALL)
    assert len(typed) == 4 * len(one.anchor.registry_hosts)
    (one.folder / "ca.crt").write_bytes(one.anchor.content)
    for command in typed:
        folder = f'mkdir -p "{Path(shlex.split(command)[-2 if "sh -c" in command else -1]).parent}"'
        subprocess.run(["sh", "-c", f"{folder}; {command}"], cwd=one.folder, check=True)
    assert last(one.here("--check", *only)) == (0, "trusted")


def test_only_and_skip_take_names_of_the_table(one: Disk) -> None:
    one.here("--only", "docker,k3s", "--skip=k3s")
    assert not (one.root / "etc/containers").exists()
    assert not (one.root / "etc/rancher/k3s/registries.yaml").exists()
    assert last(one.here("--check", "--only=docker")) == (0, "trusted")
    assert last(one.here("--check", "--skip", "docker")) == (1, "absent")


def test_a_store_that_is_asked_for_is_written_though_nobody_here_seems_to_read_it(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    assert last(disk.here("--only", "podman")) == (0, "changed")
    assert (disk.root / "etc/containers/certs.d/192.168.0.12/ca.crt").exists()
    assert last(disk.here("--remove")) == (0, "changed")
    done = disk.here("--only", "system")
    assert last(done) == (1, "failed")
    assert "No store of the kind system is here" in done.stderr


@pytest.mark.parametrize("sign", ["etc/rancher/k3s/config.yaml", "etc/rancher/k3s/registries.yaml", "usr/bin/k3s"])
def test_a_folder_for_k3s_s_configuration_is_no_k3s_until_there_is_one_in_it(sign: str, tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    (disk.root / "etc/rancher/k3s").mkdir(parents=True)
    done = disk.here("--check")
    assert (last(done), "k3s" in done.stdout) == ((1, "failed"), False)
    disk.put(sign, mode=0o755)
    done = disk.here("--check")
    assert (last(done), "k3s (k3s, k3d): " in done.stdout) == ((1, "absent"), True)


@on_host("skopeo")
def test_a_user_s_own_stores_take_no_root(open_path: Path) -> None:
    disk = Disk(open_path)
    config, docker, hidden = disk.home / "c o n", disk.home / "$dock'er", disk.home / ".config/containers/certs.d"
    (docker / "buildx/instances").mkdir(parents=True)
    (disk.home / ".docker/desktop").mkdir(parents=True)
    (hidden / "192.168.0.12:443").mkdir(parents=True)
    (open_path / "run/docker.sock").mkdir(parents=True)
    before = snapshot(disk.home)
    state = {
        "XDG_CONFIG_HOME": str(config),
        "DOCKER_CONFIG": str(docker),
        "XDG_RUNTIME_DIR": str(open_path / "run"),
        "XDG_STATE_HOME": str(disk.home / "state"),
    }
    who = hand_over(disk.home)
    done = disk.run("--user", user=who, **state)
    assert last(done) == (0, "changed"), done
    for registry_host in disk.anchor.registry_hosts:
        for folder in (config / "docker/certs.d", disk.home / ".docker/certs.d"):
            assert (folder / registry_host / "ca.crt").read_bytes() == disk.anchor.content
    assert [it.name for it in hidden.iterdir()] == ["192.168.0.12:443"]
    assert (hidden / "192.168.0.12:443/ca.crt").read_bytes() == disk.anchor.content
    toml = (docker / "buildx/buildkitd.default.toml").read_text()
    assert f'  ca = ["{docker}/buildx/{disk.anchor.name}.crt"]\n' in toml
    assert last(disk.run("--user", "--remove", user=who, **state)) == (0, "changed")
    assert snapshot(disk.home) == before


def test_lines_of_ours_that_another_hand_changed_are_refused_and_the_cure_is_one(disk: Disk) -> None:
    disk.here()
    changed = [disk.root / it for it in ("etc/rancher/k3s/registries.yaml", "etc/buildkit/buildkitd.toml")]
    for path in changed:
        path.write_text(path.read_text().replace(f"{disk.anchor.name}.crt", "theirs.crt", 1))
    before = {path: path.read_text() for path in changed}
    for flags in ((), ("--check",), ("--dry-run",)):
        done = disk.here(*flags)
        assert last(done) == (1, "failed"), done
        assert {path: path.read_text() for path in changed} == before
    for path, name in zip(changed, ("k3s", "buildkit"), strict=True):
        error = done.stderr.partition(f"error: {path}, between our marks in lines ")[2]
        assert "holds something that was not written here; nothing was changed.\n" in error
        see, _, rest = error.partition("do: See what it is: ")[2].partition("; then remove it: ")
        away, _, instead = rest.partition("\n")[0].partition("; or go on without it: ")
        assert instead == f"--skip {name}"
        shown = subprocess.run(["sh", "-c", see], capture_output=True, text=True, check=True).stdout
        assert ("theirs.crt" in shown, shown.count("# trusted-registry:")) == (True, 2)
        subprocess.run(["sh", "-c", away], check=True)
    assert last(disk.here()) == (0, "changed")
    assert last(disk.here("--check")) == (0, "trusted")
