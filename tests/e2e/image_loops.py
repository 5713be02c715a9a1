"""Pushes from four threads until /srv/enough is there, and pulls what was taken; runs on a host of the lab.

image_loops.py push REGISTRY CA: pushes images of a random layer each, says of each that it was taken, and prints at
the end what was taken, as JSON.
image_loops.py pull REGISTRY CA FILE: pulls what that file names, and prints as JSON what is not whole.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import sys
import threading
from pathlib import Path

from image_clients import MANIFEST, Registry, named  # type: ignore[import-not-found]  # beside it on the host

ENOUGH = Path("/srv/enough")
THREADS = 4


def push(host: str, authority: str) -> dict[str, object]:
    """Push until it is enough, and return what came of it."""
    taken: dict[str, str] = {}
    words: dict[str, int] = {}

    def again(number: int) -> None:
        turn = 0
        while not ENOUGH.exists():
            turn += 1
            name = f"{number}-{turn}"
            try:
                registry = Registry(host, authority)
                config = json.dumps({"os": "linux", "architecture": "amd64", "seed": name}).encode()
                layers = [registry.blob("pushed", os.urandom(1 << 20), "application/vnd.oci.image.layer.v1.tar")]
                content = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": layers}
                content["config"] = registry.blob("pushed", config, "application/vnd.oci.image.config.v1+json")
                registry.put("pushed", name, content)
                taken[name] = named(json.dumps(content).encode())
                sys.stdout.write(f"taken {name}\n")  # whoever waits for so many counts these
                sys.stdout.flush()
            except (AssertionError, OSError, http.client.HTTPException) as error:
                said = str(error)[:120]
                words[said] = words.get(said, 0) + 1

    threads = [threading.Thread(target=again, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"taken": taken, "refused": sum(words.values()), "words": words}


def pull(host: str, authority: str, taken: dict[str, str]) -> list[str]:
    """Return the tags of which the manifest, the configuration or the layer is not given as it was pushed."""
    lost = []
    for name, digest in taken.items():
        registry = Registry(host, authority)
        found = registry.get(f"/v2/pushed/manifests/{name}", MANIFEST)
        parts = json.loads(found or b"{}")
        every = [*parts.get("layers", ()), *([parts["config"]] if "config" in parts else [])]
        whole = [_is_given(registry, it["digest"]) for it in every]
        if named(found) != digest or len(whole) != 2 or not all(whole):
            lost.append(name)
    return lost


def _is_given(registry: Registry, digest: str) -> bool:
    found = registry.get(f"/v2/pushed/blobs/{digest}")
    return f"sha256:{hashlib.sha256(found).hexdigest()}" == digest


def main() -> None:
    """Do what the words say."""
    deed, host, authority, *rest = sys.argv[1:]
    said = push(host, authority) if deed == "push" else pull(host, authority, json.loads(Path(rest[0]).read_text()))
    print(json.dumps(said))  # noqa: T201 - the result


if __name__ == "__main__":
    main()
