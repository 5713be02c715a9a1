"""One trial as image_trial's, of a registry whose images are in a bucket. Runs on a host of the lab, as root."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

from tests.e2e.faults import image_trial
from tests.e2e.faults.states import CERTS, KEPT
from trusted_registry import saved_flags
from trusted_registry.bucket import marker, times
from trusted_registry.bucket.client import Bucket
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.bucket.location import Location
from trusted_registry.images.listing import TRASH

MADE = Path("/srv/made")
"""Where files are made that pushes would make."""


class InBucket(image_trial.Volume):
    """The registry's bucket, which is brought into the states that trials begin in; the marker stays there."""

    def __init__(self) -> None:
        flags = json.loads((CERTS / saved_flags.FILE).read_bytes())
        name, _, prefix = flags["storage"].removeprefix("s3://").partition("/")
        keys = json.loads((CERTS / saved_flags.STORAGE_KEY).read_bytes())
        at = Location(name, prefix, flags["storage_endpoint"], authority=CERTS / saved_flags.STORAGE_CA)
        self.bucket = Bucket(at, Credentials(keys["access_key"], keys["secret_key"]))

    def fill(self) -> None:
        """Fill the storage."""
        image_trial.fill(MADE)
        self._put(MADE)

    def damage(self) -> None:
        """Damage the storage, as `fill` made that."""
        image_trial.damage(MADE)
        self._put(MADE)

    def keep(self, state: str) -> None:
        """Keep all objects, each with the time of its push."""
        shutil.rmtree(KEPT / state, ignore_errors=True)
        known = times.read(self.bucket)
        for it in self._objects():
            path = KEPT / state / it
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.bucket.read(it) or b"")
        for found in self.bucket.objects():
            path = KEPT / state / found.path
            if path.exists():
                os.utime(path, (times.timed(found, known).changed,) * 2)

    def begin(self, state: str) -> None:
        """Have the bucket be as it was kept."""
        self.bucket.remove(self._objects())
        self._put(KEPT / state)

    def records(self) -> list[str]:
        """Return the records of the removals."""
        return [(self.bucket.read(it) or b"").decode() for it in self._objects(TRASH) if it.endswith("/record.json")]

    def _objects(self, path: str = "") -> list[str]:
        return [it.path for it in self.bucket.objects(path) if it.path not in {marker.NAME, times.NAME}]

    def _put(self, folder: Path) -> None:
        """Write the files of a folder, and note their times as a move does."""
        found = {str(it.relative_to(folder)): it for it in folder.rglob("*") if it.is_file()}
        for path, file in found.items():
            self.bucket.write(path, file.read_bytes())
        links = [it for it in self.bucket.objects() if "/_manifests/" in it.path and it.path in found]
        self.bucket.remove([times.NAME])
        times.add(
            self.bucket,
            {it.path: (int(it.changed), min(int(it.changed), int(found[it.path].stat().st_mtime))) for it in links},
        )
        time.sleep(1.1)  # the store's seconds tell a push from those of before


if __name__ == "__main__":
    sys.exit(image_trial.main(sys.argv[1:], InBucket()))
