"""Places of a registry's images, a volume and a bucket, that are asked by other programs than this project's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tests.e2e import s3
from tests.e2e.checkout import HOME
from tests.e2e.test_images import DATA, ROOT
from trusted_registry.images import history

if TYPE_CHECKING:
    from tests.e2e.hosts import Host
    from tests.e2e.s3 import Server

FORGET = """
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
path.write_text(json.dumps({**json.loads(path.read_text()), "pulls": {}}))
"""
_BUCKET = """
import boto3, json, sys
from botocore.config import Config
endpoint, authority, key, bucket, path = sys.argv[1:]
known = dict(zip(("aws_access_key_id", "aws_secret_access_key"), json.load(open(key)).values()))
plain = Config(request_checksum_calculation="when_required", s3={"addressing_style": "path"})
s3 = boto3.client("s3", endpoint_url=endpoint, verify=authority, region_name="any", config=plain, **known)
"""
_SIZE = f"""{_BUCKET}
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=path)
print(sum(it["Size"] for page in pages for it in page.get("Contents", ())))
"""
_FORGET_THERE = f"""{_BUCKET}
at = {{"Bucket": bucket, "Key": path}}
found = json.loads(s3.get_object(**at)["Body"].read())
s3.put_object(**at, Body=json.dumps({{**found, "pulls": {{}}}}).encode())
"""


class Place(Protocol):
    """Place in which a registry keeps its images."""

    def up(self, *flags: str) -> None:
        """Start the registry."""

    def size(self, below: str = "") -> int:
        """Return the bytes in a folder of the registry's."""

    def clear_pulls(self) -> None:
        """Have the pulls be forgotten that a test made, as if they were long ago."""


@dataclass(frozen=True)
class Volume:
    """Volume of the registry's machine."""

    registry: Host

    def up(self, *flags: str) -> None:
        """Start the registry."""
        self.registry.inv("up", *flags)

    def size(self, below: str = "") -> int:
        """Return the bytes in a folder of the registry's."""
        return int(self.registry.does("du", "-s", "-B1", f"{ROOT}/{below}").out.split()[0])

    def clear_pulls(self) -> None:
        """Have the pulls be forgotten that a test made, as if they were long ago."""
        self.registry.inv("images")
        self.registry.does("python3", "-c", FORGET, f"{DATA}/{history.FILE}")


@dataclass(frozen=True)
class Bucket:
    """Bucket on another machine, of which the registry's has the credentials."""

    registry: Host
    server: Server

    def up(self, *flags: str) -> None:
        """Start the registry."""
        s3.install_boto3(self.registry)
        self.registry.inv("registry.storage", s3.AT, *self.server.flags())
        self.registry.inv("up", *flags)

    def size(self, below: str = "") -> int:
        """Return the bytes in a folder of the registry's."""
        return int(self._asked(_SIZE, f"docker/registry/v2/{below}"))

    def clear_pulls(self) -> None:
        """Have the pulls be forgotten that a test made, as if they were long ago."""
        self.registry.inv("images")
        self._asked(_FORGET_THERE, history.FILE)

    def _asked(self, script: str, path: str) -> str:
        words = (self.server.endpoint, s3.AUTHORITY, s3.CREDENTIALS, s3.BUCKET, f"{s3.PREFIX}/{path}")
        return self.registry.does(f"{HOME}/.venv/bin/python", "-c", script, *words, user="dev").out
