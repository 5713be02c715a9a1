"""What a kit does once it has written: it keeps a copy of itself for the removal, and proves that a pull would work."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from tests.disk import snapshot
from tests.forge import authority
from tests.loopback import free_port, registry
from tests.programs import on_host, put
from tests.trust.remote.kits import Disk, anchor, hand_over, last
from trusted_registry.tasks import trust_kit
from trusted_registry.trust.model import TrustAnchor

if TYPE_CHECKING:
    from trusted_registry.settings import Settings

pytestmark = pytest.mark.process

ABSENT = "Error response from daemon: manifest for 192.168.0.12/trusted-registry-proof:none not found: manifest unknown"
X509 = 'Error response from daemon: Get "https://192.168.0.12/v2/": x509: certificate signed by unknown authority'
DENIED = "permission denied while trying to connect to the Docker daemon socket"


@pytest.fixture
def rootless(open_path: Path) -> Disk:
    """A user's home with an engine of that user's, and a kit."""
    (open_path / "run/docker.sock").mkdir(parents=True)
    return Disk(open_path, anchor(registry_hosts=("192.168.0.12",)))


def run(disk: Disk, *flags: str, script: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a kit for one user, with what is first on PATH."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(disk.home), "XDG_RUNTIME_DIR": str(disk.folder / "run")}
    return subprocess.run(
        ["sh", str(script or disk.script), "--user", *flags],
        env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=60, user=hand_over(disk.folder), cwd=disk.folder,
    )  # fmt: skip


def programs(disk: Disk, monkeypatch: pytest.MonkeyPatch, curl: str, docker: str = ABSENT) -> None:
    """Put a curl on PATH that does this, and a docker that says this."""
    put("curl", curl, disk.folder, monkeypatch)
    put("docker", f"echo '{docker}' >&2; exit 1", disk.folder, monkeypatch)


def test_a_copy_stays_that_removes_all_when_the_first_one_is_gone(
    rootless: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(rootless, monkeypatch, "printf 200")
    before = snapshot(rootless.home)
    done = run(rootless)
    copy = rootless.home / ".local/state/trusted-registry" / rootless.script.name
    assert last(done) == (0, "changed"), done
    assert f"To remove this later: sh '{copy}' --user --remove\n" in done.stdout
    assert copy.read_bytes() == rootless.script.read_bytes()
    rootless.script.unlink()
    removed = run(rootless, "--remove", script=copy)
    assert (last(removed), snapshot(rootless.home)) == ((0, "changed"), before), removed


def test_a_look_and_a_dry_run_keep_no_copy_and_prove_nothing(rootless: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    programs(rootless, monkeypatch, "touch asked; printf 200")
    before = snapshot(rootless.home)
    for flags in (("--check",), ("--dry-run",), ("--remove",)):
        assert "proof" not in run(rootless, *flags).stdout
    assert (snapshot(rootless.home), (rootless.folder / "asked").exists()) == (before, False)


@pytest.mark.parametrize(("status", "login"), [("200", []), ("401", ["now: docker login 192.168.0.12"])])
def test_a_proof_ends_it_and_what_to_type_next(
    status: str, login: list[str], rootless: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(rootless, monkeypatch, f"printf {status}")
    lines = run(rootless).stdout.splitlines()
    assert lines[-3 - len(login) :] == [
        "proof: 192.168.0.12 is accepted by docker",
        *login,
        "now: docker pull 192.168.0.12/IMAGE",
        "trusted-registry: changed",
    ]


@pytest.mark.parametrize(
    ("says", "told", "ended"),
    [
        (("exit 7", ABSENT), "note: 192.168.0.12 does not answer, so nothing is proved.", (0, "changed")),
        (("exit 28", ABSENT), "note: 192.168.0.12 does not answer, so nothing is proved.", (0, "changed")),
        (("printf 502", ABSENT), "note: 192.168.0.12 answers with status 502, so nothing is proved.", (0, "changed")),
        (("exit 60", ABSENT), "error: 192.168.0.12 shows a certificate that this authority did not", (1, "failed")),
        (("printf 200", X509), "error: docker still refuses 192.168.0.12: Error response from daemon", (1, "failed")),
    ],
)
def test_nothing_is_called_a_proof_that_is_none(
    says: tuple[str, str], told: str, ended: tuple[int, str], rootless: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(rootless, monkeypatch, *says)
    done = run(rootless)
    assert (last(done), told in done.stderr, "proof:" in done.stdout) == (ended, True, False), done


@pytest.mark.parametrize(
    "reason",
    [
        DENIED,
        "Cannot connect to the Docker daemon. Is the docker daemon running?",
        'error getting credentials - err: exec: "docker-credential-desktop": executable file not found in $PATH',
        'Error: cannot set up namespace: exec: "newuidmap": executable file not found in $PATH',
        "error getting credentials - err: exit status 1, out: `The stub received bad data`",
        'Error response from daemon: Get "https://192.168.0.12/v2/": dial tcp: lookup proxy.example: host not found',
    ],
)
def test_a_docker_that_could_not_ask_is_no_part_of_the_proof(
    reason: str, rootless: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(rootless, monkeypatch, "printf 200", reason)
    done = run(rootless)
    assert "\nproof: 192.168.0.12 answers with a certificate that this authority signed\n" in done.stdout
    assert f": {reason}" in done.stderr


@pytest.mark.parametrize(
    "reason",
    [
        "failed to resolve reference: 192.168.0.12/trusted-registry-proof:none: not found",
        "Error: initializing source docker://192.168.0.12/trusted-registry-proof:none: manifest unknown",
        'Get "https://192.168.0.12/v2/trusted-registry-proof/manifests/none": no basic auth credentials',
        "unauthorized: authentication required",
    ],
)
def test_a_client_that_got_an_answer_of_the_registry_is_part_of_it(
    reason: str, rootless: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(rootless, monkeypatch, "printf 401", reason)
    assert "\nproof: 192.168.0.12 is accepted by docker\n" in run(rootless).stdout


@on_host("curl", "wget")
@pytest.mark.parametrize("program", ["curl", "wget"])
def test_the_registry_itself_is_asked_and_one_that_is_off_is_told_in_two_seconds(
    program: str, rootless: Disk, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("docker", f"echo '{ABSENT}' >&2; exit 1", rootless.folder, monkeypatch)
    if program == "wget":
        monkeypatch.setenv("PATH", _without_curl(rootless.folder))
    trusted = trust_kit.load_anchor(settings)
    with registry(settings.folder / "domain.crt") as port:
        at = f"127.0.0.1:{port}"
        disk = rootless.of(dataclasses.replace(trusted, registry_hosts=(at,)))
        assert f"\nproof: {at} is accepted by docker\n" in run(disk).stdout
        (rootless.home / ".curlrc").write_text("insecure\n")
        (rootless.home / ".wgetrc").write_text("check_certificate=off\n")
        assert last(run(rootless.of(_another(at)))) == (1, "failed"), "whatever these say"
    begun = time.monotonic()
    off = f"127.0.0.1:{free_port()}"
    assert f"note: {off} does not answer" in run(rootless.of(anchor(registry_hosts=(off,)))).stderr
    assert time.monotonic() - begun < 10


def _another(registry_host: str) -> TrustAnchor:
    made = authority().certificate
    return TrustAnchor(made.public_bytes(Encoding.PEM), made.fingerprint(hashes.SHA256()).hex(), (registry_host,))


def _without_curl(folder: Path) -> str:
    """Return a PATH with every program that is here but curl."""
    made = folder / "no curl"
    made.mkdir()
    for place in map(Path, reversed(os.environ["PATH"].split(os.pathsep))):
        for path in (it for it in place.iterdir() if it.name != "curl"):
            (made / path.name).unlink(missing_ok=True)
            (made / path.name).symlink_to(path)
    return str(made)
