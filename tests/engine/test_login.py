"""A login: the real docker is let in by the right password alone, and `up` proves what it could before."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.disk import mode
from tests.engine.conftest import NAME, PORT, ROOT, Host, clear
from trusted_registry.registry import probe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import docker

pytestmark = pytest.mark.engine

RIGHT, WRONG = "correct horse battery staple", "Correct horse battery staple"


def _typed(host: Host, *words: str, line: str) -> subprocess.CompletedProcess[str]:
    """Run a task with a line on standard input."""
    argv = [sys.executable, "-m", "invoke", *words]
    environ = {**os.environ, **host.environ}
    return subprocess.run(argv, cwd=ROOT, env=environ, input=line, capture_output=True, text=True, check=False)


def add(host: Host, name: str, password: str = RIGHT) -> str:
    """Add a user, and return what the task said."""
    done = _typed(host, "registry.user.add", name, line=f"{password}\n")
    assert done.returncode == 0, done.stderr
    assert password not in done.stdout + done.stderr
    return done.stdout


def _docker(folder: Path, *words: str, line: str = "") -> subprocess.CompletedProcess[str]:
    """Run the real docker as somebody whose logins are kept in a folder."""
    argv = ["docker", "--config", str(folder), *words]
    return subprocess.run(argv, input=line, capture_output=True, text=True, check=False, timeout=60)


def _login(host: Host, folder: Path, name: str, password: str) -> bool:
    argv = ("login", host.reference, "--username", name, "--password-stdin")
    return _docker(folder, *argv, line=password).returncode == 0


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory, client: docker.DockerClient) -> Iterator[Host]:
    """A registry of this module's own."""
    folder = tmp_path_factory.mktemp("asking")
    made = Host(folder, folder / "state", port=PORT + 3, name=f"{NAME}-asking")
    clear(made, client)
    yield made
    clear(made, client)


@pytest.fixture
def asking(apart: Host) -> Host:
    """A registry that runs and asks for a login; it knows ada."""
    if not (apart.certs / "users" / "htpasswd").exists():
        apart.inv("up")
        add(apart, "ada")
    return apart


def test_a_wrong_password_is_refused_by_docker_and_the_right_one_logs_in_and_pushes(
    asking: Host, tmp_path: Path, client: docker.DockerClient, registry_image: str
) -> None:
    mine = tmp_path / "docker"
    reference = f"{asking.reference}/app:1"
    client.images.get(registry_image).tag(reference)
    try:
        assert "no basic auth credentials" in _docker(mine, "push", reference).stderr
        assert not _login(asking, mine, "ada", WRONG)
        assert not _login(asking, mine, "eve", RIGHT)
        assert _docker(mine, "push", reference).returncode != 0
        assert _login(asking, mine, "ada", RIGHT)
        pushed = _docker(mine, "push", reference)
        assert pushed.returncode == 0, pushed.stderr
        assert _docker(mine, "logout", asking.reference).returncode == 0
        assert _docker(mine, "pull", reference).returncode != 0
    finally:
        client.images.remove(reference)


def test_the_first_user_restarts_the_registry_and_later_ones_count_at_once_without(
    host: Host, tmp_path: Path, client: docker.DockerClient
) -> None:
    host.inv("up")
    before = client.containers.get(host.name).id
    assert "restarted" in add(host, "ada")
    asking = client.containers.get(host.name)
    assert asking.id != before
    assert not _login(host, tmp_path, "bob", RIGHT)
    add(host, "bob")
    assert _login(host, tmp_path, "bob", RIGHT)
    add(host, "bob", "another one")
    assert not _login(host, tmp_path, "bob", RIGHT)
    assert _login(host, tmp_path, "bob", "another one")
    host.inv("registry.user.remove", "bob")
    assert not _login(host, tmp_path, "bob", "another one")
    assert client.containers.get(host.name).id == asking.id
    assert host.inv("registry.user.list") == "ada\n"


def test_up_and_test_prove_a_push_and_a_pull_without_anybody_s_password(asking: Host) -> None:
    before = (asking.certs / "users" / "htpasswd").read_bytes()
    said = asking.inv("registry.test")
    assert f"proof: pushed to {asking.reference} and pulled back" in said
    assert "without a login it answers 401" in said
    assert (asking.certs / "users" / "htpasswd").read_bytes() == before
    again = asking.inv("up")
    assert "Nothing had to be changed." in again
    assert f"docker login {asking.reference}" in again
    asking.inv("down")
    assert "proof: pushed" in asking.inv("up")
    assert asking.status()["registry"]["health"] == "answers, and asks for a login"


@pytest.mark.long
def test_proofs_at_once_take_no_login_from_each_other(asking: Host) -> None:
    with ThreadPoolExecutor(3) as beside:
        done = list(beside.map(lambda _: asking.run("registry.test"), range(6)))
    assert [(it.returncode, it.stderr) for it in done] == [(0, "")] * 6
    assert (asking.certs / "users" / "htpasswd").read_text().count("\n") == 1


def test_the_engine_s_trust_is_proved_though_the_registry_asks_for_a_login(asking: Host) -> None:
    asking.inv("trust.remove")
    assert f"accepts {asking.reference}" in asking.inv("trust.linux")


def test_the_registry_says_401_to_whoever_does_not_log_in_and_never_in_plain_http(asking: Host) -> None:
    at, trust = probe.Endpoint(asking.address, asking.port), probe.context(asking.certs / "ca.crt")
    for path in ("/v2/", "/v2/_catalog", "/v2/app/tags/list"):
        status, headers, _ = probe.request(at, "GET", path, trust)
        assert (status, headers["www-authenticate"].startswith("Basic ")) == (401, True)
    assert not probe.speaks_plain(at)
    assert probe.request(at, "DELETE", "/v2/app/manifests/sha256:00", trust)[0] == 401


def test_the_hashes_are_private_here_and_in_the_container(asking: Host, client: docker.DockerClient) -> None:
    folder = asking.certs / "users"
    assert (mode(folder), mode(folder / "htpasswd")) == (0o700, 0o600)
    container = client.containers.get(asking.name)
    mounts = {it["Destination"]: it for it in container.attrs["Mounts"]}
    assert (mounts["/config"]["Type"], mounts["/config"]["RW"]) == ("volume", False)
    seen = container.get_archive("/config/htpasswd")[1] or {}
    assert stat.S_IMODE(seen["mode"]) == 0o600


def test_the_last_user_stays_until_a_person_says_so_and_then_everybody_is_let_in(asking: Host) -> None:
    at, trust = probe.Endpoint(asking.address, asking.port), probe.context(asking.certs / "ca.crt")
    assert "--yes" in asking.refused("registry.user.remove", "ada")
    assert probe.request(at, "GET", "/v2/", trust)[0] == 401
    asking.inv("registry.user.remove", "ada", "--yes")
    assert probe.request(at, "GET", "/v2/", trust)[0] == 200
    assert asking.status()["registry"]["health"] == "answers"


@pytest.mark.long
def test_over_plain_http_nobody_is_added_and_with_users_nothing_is_served(host: Host) -> None:
    host.inv("registry.basic")
    assert "plain HTTP" in host.refused("registry.user.add", "ada")
    assert not (host.certs / "users").exists()
    host.inv("registry.stop")
    add(host, "ada")
    assert "could read their passwords" in host.refused("registry.basic")


@pytest.mark.parametrize(
    "line",
    [
        "x" * 7 + "\n",
        *(
            pytest.param(line, marks=pytest.mark.long)
            for line in ("", "\n", "x\n", "x" * 73 + "\n", "a\0bcdefgh\n", "\x1b[31mabcdef\n")
        ),
    ],
)
def test_a_password_that_cannot_be_one_is_a_wrong_setting(host: Host, line: str) -> None:
    done = _typed(host, "registry.user.add", "ada", line=line)
    assert (done.returncode, "Traceback" in done.stderr, "The password" in done.stderr) == (2, False, True)
    assert not (host.certs / "users").exists()


@pytest.mark.parametrize(
    "name", ["a:b", *(pytest.param(name, marks=pytest.mark.long) for name in ("a b", "--x", "a/../b", "x" * 65))]
)
def test_a_name_that_cannot_be_one_is_refused_before_a_password_is_asked_for(host: Host, name: str) -> None:
    done = _typed(host, "registry.user.add", f"--name={name}", line="secret\n")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert not (host.certs / "users").exists()


@pytest.mark.long
def test_a_purge_takes_the_users_too(asking: Host) -> None:
    asking.inv("down", "--purge", "--yes")
    assert not (asking.certs / "users").exists()
