"""A real S3 store, SeaweedFS, over TLS by an authority of its own, with identities of different rights."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sysconfig
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.hazmat.primitives import serialization

from tests import forge
from tests.loopback import free_port
from trusted_registry.bucket.client import Bucket
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.bucket.location import Location
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET, ABSENT = "images", "absent"
"""The bucket that is there, and none."""
PROGRAM = Path(sysconfig.get_path("scripts")) / "weed"
RIGHTS = {
    "all": ["Read", "Write", "List", "Tagging"],
    "other": ["Read", "Write", "List", "Tagging"],
    "reader": ["Read", "List"],
    "writer": ["Write"],
    "stranger": [],
}
"""Identities by name; an administrator's first write would make any bucket, so that none of them is one."""
_ADMIN = Credentials("admin", "admin-secret")
_STARTS, _POLL = 240, 0.2
"""Seconds."""


def address() -> str:
    """Return this machine's address on the engine's bridge, which containers reach; loopback where there is no engine.

    The engine takes another network for its bridge where this machine has an address in the usual one, 172.17.0.0/16.
    """
    bridge = psutil.net_if_addrs().get("docker0", ())
    return next((it.address for it in bridge if it.family == socket.AF_INET), "127.0.0.1")


@dataclass
class S3Store:
    """A store that can be killed and started again with all that it has."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """URL by which containers and this machine reach it."""
        return f"https://{address()}:{self.port}"

    @property
    def authority(self) -> Path:
        """File of the authority that vouches for it."""
        return self.folder / "authority.crt"

    def location(self, prefix: str = "", bucket: str = BUCKET) -> Location:
        """Return a place in the store."""
        return Location(bucket, prefix, self.endpoint, authority=self.authority)

    def bucket(self, prefix: str = "", identity: str = "all", bucket: str = BUCKET) -> Bucket:
        """Return what is under a prefix, as an identity may see it."""
        return Bucket(self.location(prefix, bucket), Credentials(identity, f"{identity}-secret"))

    def keys(self, identity: str = "all") -> Path:
        """Return a file with the access key of an identity, as a person gets one."""
        path = self.folder / f"{identity}.json"
        path.write_text(json.dumps({"access_key": identity, "secret_key": f"{identity}-secret"}))
        return path

    def flags(self, identity: str = "all") -> tuple[str, ...]:
        """Return the flags of a task that name the store and an access key."""
        return (
            *("--endpoint", self.endpoint, "--ca", str(self.authority)),
            *("--credentials", str(self.keys(identity))),
        )

    def start(self) -> None:
        """Start it, and wait until it takes an object."""
        argv = [str(PROGRAM), f"-logdir={self.folder}", "server", "-s3", f"-dir={self.folder}", "-ip=127.0.0.1"]
        argv += ["-ip.bind=0.0.0.0", "-volume.max=200", "-master.telemetry=false", f"-s3.config={self._config()}"]
        argv += [
            f"-s3.port.https={self.port}",
            f"-s3.cert.file={self.folder}/s3.crt",
            f"-s3.key.file={self.folder}/s3.key",
        ]
        parts = [
            f"-{it}" for part in ("master", "volume", "filer", "s3") for it in (f"{part}.port", f"{part}.port.grpc")
        ]
        argv += [f"{flag}={free_port()}" for flag in parts]
        argv += ["-s3.port.iceberg=0", "-s3.port.lance=0"]  # or a second store would end at a port that is taken
        null = subprocess.DEVNULL
        self.process = subprocess.Popen(argv, stdin=null, stdout=null, stderr=null)
        end = time.monotonic() + _STARTS
        while not self._takes():
            assert time.monotonic() < end, "the store does not start"
            time.sleep(_POLL)

    def kill(self) -> None:
        """Kill it in the middle of whatever it does."""
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def _config(self) -> Path:
        """Write what it reads: its certificate, once, and its identities."""
        if not self.authority.exists():
            root = forge.authority(permitted=None)
            forge.save(forge.server(root, subject=address(), names=(address(),)), self.folder, "s3")
            self.authority.write_bytes(root.certificate.public_bytes(serialization.Encoding.PEM))
        actions = {
            name: [f"{it}:{bucket}" for it in rights for bucket in (BUCKET, ABSENT)] for name, rights in RIGHTS.items()
        }
        identities = [
            {"name": name, "credentials": [{"accessKey": name, "secretKey": f"{name}-secret"}], "actions": rights}
            for name, rights in {**actions, "admin": ["Admin"]}.items()
        ]
        path = self.folder / "s3.json"
        path.write_text(json.dumps({"identities": identities}))
        return path

    def _takes(self) -> bool:
        admin = Bucket(self.location(), _ADMIN)
        with contextlib.suppress(ClientError, BotoCoreError):
            admin._client.create_bucket(Bucket=BUCKET)
        with contextlib.suppress(RegistryError):
            self.bucket("starts").write("there", b"yes")
            return True
        return False


@pytest.fixture(scope="session")
def s3_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Store]:
    """A store with a bucket; each test has a prefix of its own."""
    made = S3Store(tmp_path_factory.mktemp("s3"))
    try:
        made.start()
        yield made
    finally:
        made.kill()


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """A prefix of a test's own."""
    return f"{request.node.name[:40].partition('[')[0]}-{time.time_ns()}"
