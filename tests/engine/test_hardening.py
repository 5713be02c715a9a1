"""What the running registry may not do: as the engine says it, and as the kernel and a client find it."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import forge, loopback
from tests.engine.conftest import NAME, PORT, Host, clear
from trusted_registry import program
from trusted_registry.registry import probe

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module", params=["authority", pytest.param("self-signed", marks=pytest.mark.long)])
def hardened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, client: docker.DockerClient
) -> Iterator[Host]:
    """A registry with the default certificate, or the document's single one; for tests that change nothing of it."""
    folder = tmp_path_factory.mktemp(request.param)
    made = Host(folder, folder / "state", port=PORT + 2, name=f"{NAME}-hardened")
    clear(made, client)
    made.inv("cert", *(["--self-signed"] if request.param == "self-signed" else []))
    made.inv("up")
    assert (made.certs / "ca.crt").exists() is (request.param == "authority")
    yield made
    clear(made, client)


@pytest.fixture(scope="module")
def inspected(hardened: Host, client: docker.DockerClient) -> dict[str, Any]:
    """What `docker inspect` says of it."""
    attributes: dict[str, Any] = client.containers.get(hardened.name).attrs
    return attributes


@pytest.fixture(scope="module")
def process(inspected: dict[str, Any]) -> Path:
    """The registry's process, from outside its container."""
    return Path("/proc", str(inspected["State"]["Pid"]))


def _as_root(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*program.sudo(), *argv], capture_output=True, text=True, check=False)


def _read(path: Path) -> str:
    done = _as_root("cat", str(path))
    assert done.returncode == 0, done.stderr
    return done.stdout


# As the engine says it


def test_the_engine_was_told_of_every_limit(inspected: dict[str, Any]) -> None:
    limits = inspected["HostConfig"]
    assert limits["ReadonlyRootfs"] is True
    assert limits["Privileged"] is False
    assert limits["CapDrop"] == ["ALL"]
    assert limits["SecurityOpt"] == ["no-new-privileges"]
    assert (limits["Memory"], limits["PidsLimit"]) == (512 << 20, 200)
    assert limits["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}
    assert (limits["NetworkMode"], limits["PidMode"], limits["UsernsMode"]) in (
        ("default", "", ""),
        ("bridge", "", ""),
    )
    assert not limits["Devices"]


def test_no_capability_is_added_whoever_owns_the_key(inspected: dict[str, Any]) -> None:
    assert not inspected["HostConfig"]["CapAdd"]


def test_nothing_but_the_images_can_be_written(inspected: dict[str, Any]) -> None:
    writable = [mount["Destination"] for mount in inspected["Mounts"] if mount["RW"]]
    assert writable == ["/var/lib/registry"]
    assert "/var/run/docker.sock" not in {mount["Source"] for mount in inspected["Mounts"]}


# As the kernel has it


def test_the_process_has_no_capability_and_can_gain_none(process: Path) -> None:
    status = dict(re.findall(r"(?m)^(\w+):\s+(.*)$", _read(process / "status")))
    for kind in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, kind
    assert status["NoNewPrivs"] == "1"


def test_a_process_beside_it_has_what_it_lacks() -> None:
    """The twin: the same reading of the test's own process finds what is taken away there."""
    status = dict(re.findall(r"(?m)^(\w+):\s+(.*)$", _as_root("cat", "/proc/self/status").stdout))
    assert int(status["CapEff"], 16)
    assert int(status["CapBnd"], 16)


def test_the_process_s_system_calls_are_filtered(process: Path, client: docker.DockerClient) -> None:
    filtered = re.search(r"(?m)^Seccomp:\s+(\d)$", _read(process / "status"))
    assert filtered
    if any("seccomp" in it for it in client.info()["SecurityOptions"]):
        assert filtered.group(1) == "2"


def test_its_root_is_read_only_to_root_itself(process: Path) -> None:
    for place in ("evil", "etc/evil", "config/domain.key", "config/start.sh", "tmp/evil", "lib/evil"):
        done = _as_root("sh", "-c", 'exec 3>>"$1"', "sh", f"{process}/root/{place}")
        assert done.returncode != 0, place
        assert re.search("Read-only file system|Directory nonexistent|No such file", done.stderr), done.stderr
    assert "Read-only file system" in _as_root("touch", f"{process}/root/evil").stderr


def test_its_images_are_where_it_may_write(process: Path) -> None:
    done = _as_root("sh", "-c", 'touch "$1" && rm "$1"', "sh", f"{process}/root/var/lib/registry/a-look")
    assert done.returncode == 0, done.stderr


def test_the_authority_s_key_is_nowhere_in_what_it_sees(hardened: Host, process: Path) -> None:
    seen = _as_root("find", f"{process}/root/config", "-type", "f", "-printf", "%P\n").stdout.split()
    assert sorted(seen) == ["domain.crt", "domain.key", "registry.yml", "start.sh"]
    assert _as_root("test", "-e", f"{process}/root{hardened.certs}").returncode != 0


def _limit(process: Path, controller: str, names: tuple[str, str]) -> int:
    """Return a limit of the process's control group: of version 1's controller, or of version 2."""
    for line in _read(process / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") or not controllers:
            for tree in (f"/sys/fs/cgroup/{controllers}", f"/sys/fs/cgroup/{controller}", "/sys/fs/cgroup"):
                for name in names:
                    file = Path(f"{tree}{path}/{name}")
                    if file.exists():
                        return int(_read(file))
    pytest.fail(f"the kernel has no {controller} for {process}")


def test_the_kernel_bounds_its_processes_and_its_memory(process: Path) -> None:
    assert _limit(process, "pids", ("pids.max", "pids.max")) == 200
    assert _limit(process, "memory", ("memory.max", "memory.limit_in_bytes")) == 512 << 20


def test_whoever_fills_its_log_fills_three_files_of_ten_megabytes_and_no_more(
    hardened: Host, inspected: dict[str, Any]
) -> None:
    folder = Path(inspected["LogPath"]).parent
    at, trust = probe.Endpoint(hardened.address, hardened.port), probe.context(hardened.certs / "domain.crt")
    if (hardened.certs / "ca.crt").exists():
        trust = probe.context(hardened.certs / "ca.crt")
    written = 0
    while written < 45 << 20:  # each request is told of more than once
        written += 2 * 500_000
        probe.request(at, "GET", "/v2/", trust, {"User-Agent": "x" * 500_000})
    found = _as_root("find", str(folder), "-name", "*-json.log*", "-printf", "%s\n").stdout.split()
    sizes = sorted(map(int, found))
    assert len(sizes) == 3
    assert sizes[-1] <= 11 << 20
    assert sizes[1] > 9 << 20


# As a client finds it


def _offered(version: str, at: str) -> subprocess.CompletedProcess[str]:
    """Shake hands with one version of TLS, as lax as OpenSSL can be made."""
    argv = ["openssl", "s_client", "-connect", at, f"-{version}", "-cipher", "ALL:@SECLEVEL=0"]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize("version", ["tls1", "tls1_1"])
def test_an_old_tls_is_refused(version: str, hardened: Host) -> None:
    done = _offered(version, f"{hardened.address}:{hardened.port}")
    assert done.returncode != 0
    assert re.search(r"alert protocol version|unsupported protocol", done.stderr)
    assert "Cipher is (NONE)" in done.stdout


def test_tls_1_2_and_1_3_are_accepted(hardened: Host) -> None:
    assert _offered("tls1_2", f"{hardened.address}:{hardened.port}").returncode == 0
    argv = ["openssl", "s_client", "-connect", f"{hardened.address}:{hardened.port}", "-tls1_3"]
    assert subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def test_the_same_client_does_speak_the_old_tls_to_a_server_that_does(tmp_path: Path) -> None:
    """The twin: without it, a client that cannot would pass for a registry that will not."""
    certificate = forge.save(forge.server(None), tmp_path, "old")
    port = loopback.free_port()
    argv = ["openssl", "s_server", "-accept", f"{loopback.HOST}:{port}", "-cert", str(certificate), "-key"]
    argv += [str(certificate.with_suffix(".key")), "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-quiet"]
    server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection((loopback.HOST, port), timeout=1):
                break
            time.sleep(0.05)
        assert _offered("tls1_1", f"{loopback.HOST}:{port}").returncode == 0
    finally:
        server.kill()
        server.wait()
