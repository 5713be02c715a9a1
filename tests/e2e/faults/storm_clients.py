"""Eight clients that push and pull while the registry dies under them; runs on a host of the lab.

storm_clients.py push REGISTRY IMAGES CLIENTS SECONDS: makes tiny images, each unlike all others, and has clients push
each until it is acknowledged, then pull it. storm_clients.py pull REGISTRY CLIENTS SECONDS: pulls every image that
/srv/acknowledged names, with its digest. Both say what came of it, as JSON.

Most clients are skopeo, every tenth image is docker's. What a client is told to have failed is repeated, and counted.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from trusted_registry.registry import upload

DOCKERS = 10
"""Every so many-th image goes by docker, the others by skopeo."""

PAUSE = 0.3
"""Seconds before what failed is repeated."""

UNLIKE = re.compile(r"[\w%+/=-]{24,}|[0-9a-f]{8,}|\d+")
"""What differs in messages that say the same."""


class Clients:
    """What the clients did, counted from several threads."""

    def __init__(self, registry: str, seconds: float) -> None:
        self.registry = registry
        self.folder = Path(tempfile.mkdtemp(prefix="storm-"))
        self.ends = time.monotonic() + seconds
        self.counts = dict.fromkeys(("pushes repeated", "pulls", "pulls repeated"), 0)
        self.acknowledged: dict[str, str] = {}
        self.late: list[str] = []
        self.unequal: list[str] = []
        self.missing: list[str] = []
        self.words: dict[str, int] = {}
        self._lock = threading.Lock()

    def reference(self, name: str) -> str:
        """Return by which name clients know an image."""
        return f"{self.registry}/storm/{name}:1"

    def push(self, name: str) -> None:
        """Push a new image until its client says that it is there, then pull it."""
        argv, digest = self._docker_image(name) if name.startswith("docker") else self._skopeo_image(name)
        said = self._until(argv, "pushes repeated")
        if said is None:
            with self._lock:
                self.late.append(name)
            return
        with self._lock:
            self.acknowledged[name] = digest or _digest(said)
        self.pull(name, self.acknowledged[name])

    def pull(self, name: str, digest: str) -> None:
        """Pull an image until that works, and compare its digest."""
        if name.startswith("docker"):
            self._run(["docker", "rmi", "--force", self.reference(name)])
            said = self._until(["docker", "pull", self.reference(name)], "pulls repeated")
            found = said and _digest(said)
        else:
            place = self.folder / f"pulled-{name}"
            shutil.rmtree(place, ignore_errors=True)
            argv = ["skopeo", "copy", "--quiet", f"docker://{self.reference(name)}", f"dir:{place}"]
            said = self._until(argv, "pulls repeated")
            found = said if said is None else _hashed((place / "manifest.json").read_bytes())
        with self._lock:
            self.counts["pulls"] += found is not None
            if found is None:
                self.missing.append(name)
            elif found != digest:
                self.unequal.append(name)

    def _until(self, argv: list[str], counted: str) -> str | None:
        """Run a command until it works; None when the time is over before."""
        while time.monotonic() < self.ends:
            done = self._run(argv)
            if done.returncode == 0:
                return done.stdout
            last = UNLIKE.sub("…", done.stderr.strip()).splitlines()[-1:] or ["nothing"]
            with self._lock:
                self.counts[counted] += 1
                self.words[last[0][-60:]] = self.words.get(last[0][-60:], 0) + 1
            time.sleep(PAUSE)
        return None

    def _run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        left = max(1.0, self.ends - time.monotonic())
        try:
            return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=left)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(argv, 1, "", "the time was over")

    def _skopeo_image(self, name: str) -> tuple[list[str], str]:
        """Make an image as a folder of files, and return the command that pushes it and its digest."""
        image = upload.tiny()
        place = self.folder / name
        place.mkdir()
        (place / "version").write_text("Directory Transport Version: 1.1\n")
        (place / "manifest.json").write_bytes(image.manifest)
        for blob in (image.config, image.layer):
            (place / hashlib.sha256(blob).hexdigest()).write_bytes(blob)
        return ["skopeo", "copy", "--quiet", f"dir:{place}", f"docker://{self.reference(name)}"], image.digest

    def _docker_image(self, name: str) -> tuple[list[str], str]:
        """Make an image in the engine, and return the command that pushes it; its digest is the registry's to say."""
        archive = self.folder / f"{name}.tar"
        (self.folder / name).write_text(name)
        subprocess.run(["tar", "--create", "--file", archive, "--directory", self.folder, name], check=True)
        made = subprocess.run(["docker", "import", archive, self.reference(name)], check=True, capture_output=True)
        assert made.stdout
        return ["docker", "push", self.reference(name)], ""


def _digest(said: str) -> str:
    return str(re.findall(r"sha256:[0-9a-f]{64}", said)[-1])


def _hashed(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def main(verb: str, registry: str, *given: str) -> None:
    """Push all or pull all, side by side, and say what came of it."""
    if verb == "push":
        images, workers, seconds = map(int, given)
        clients = Clients(registry, seconds)
        names = [f"docker-{at}" if at % DOCKERS == 0 else f"skopeo-{at}" for at in range(images)]
        with ThreadPoolExecutor(max_workers=workers) as pool:
            list(pool.map(clients.push, names))
    else:
        workers, seconds = map(int, given)
        clients = Clients(registry, seconds)
        known = json.loads(Path("/srv/acknowledged").read_text())
        with ThreadPoolExecutor(max_workers=workers) as pool:
            list(pool.map(clients.pull, known.keys(), known.values()))
    shutil.rmtree(clients.folder, ignore_errors=True)
    said = {name: vars(clients)[name] for name in ("counts", "acknowledged", "late", "unequal", "missing", "words")}
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
