"""Images of a large registry: the list beside the same requests by curl, the usage beside du, and ten times as many."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from typing import TYPE_CHECKING, Any

from bench.plot import Line, plot
from bench.report import Compared, Row
from bench.stand import INV, ROOT, output
from bench.timing import BenchError, Side, in_turn, megabytes, seconds
from trusted_registry import program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bench.deadline import Pace
    from bench.stand import Stand
    from bench.timing import Taken

REPOSITORIES, TAGS, FEW = 1000, 10, 100
PICTURE = ROOT / "docs" / "images.svg"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG, _LAYER = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"
_INSIDE = "docker/registry/v2"


def large(here: Stand, pace: Pace, *, picture: bool = False) -> list[Row]:
    """Time the tasks on 1,000 repositories of ten tags each, 21,000 blobs, and the list on a tenth of them.

    Args:
        here: The registry.
        pace: How often each is timed.
        picture: Whether docs/images.svg is drawn.
    """
    fewer = _times(here, pace, FEW, only=("list", "usage"))
    more = _times(here, pace, REPOSITORIES)
    if picture:
        times = {FEW: fewer, REPOSITORIES: more}
        lines = [Line(name, _points(name.rpartition(".")[2], times)) for name in ("images.usage", "images.list")]
        PICTURE.write_text(plot("images: seconds for so many tags", "tags", lines))
    lists, usages = seconds(more["list"]), seconds(more["usage"])
    curl, du = seconds(more["curl"]), seconds(more["du"])
    return [
        Row("./inv images.list, 10,000 tags", "the same by curl", "s", lists, curl, Compared.RATIO, 1.3),
        Row("./inv images.usage, 10,000 tags", "du -s", "s", usages, du, Compared.RATIO, 3),
        Row("./inv images.list, peak memory", "", "MB", megabytes(more["list"]), None, Compared.ALONE, 150),
        Row("./inv images.usage, peak memory", "", "MB", megabytes(more["usage"]), None, Compared.ALONE, 150),
        Row("./inv images.list, 10,000 tags", "1,000 tags", "s", lists, seconds(fewer["list"]), Compared.RATIO, 11),
    ]


def _points(side: str, times: Mapping[int, Mapping[str, Sequence[Taken]]]) -> list[tuple[float, float]]:
    return [(number * TAGS, seconds(taken[side]).median) for number, taken in times.items()]


def _times(here: Stand, pace: Pace, repositories: int, only: Sequence[str] = ()) -> dict[str, list[Taken]]:
    """Return what each side, or some of them, took on a registry of so many repositories."""
    here.clear()
    here.inv("up")
    fill(here, _files(repositories))
    urls = here.folder / "urls"
    urls.write_text("".join(f'url = "{it}"\noutput = "/dev/null"\n' for it in _asked(here, repositories)))
    accepted = ["--header", f"Accept: {_MANIFEST}"]
    curl = ["curl", "--silent", "--fail", "--cacert", str(here.certificates / "ca.crt"), *accepted]
    store = output(["docker", "volume", "inspect", "--format", "{{.Mountpoint}}", here.name])
    sides = {
        "list": Side([INV, "images.list", "--json"], here.env, ROOT),
        "usage": Side([INV, "images.usage", "--json"], here.env, ROOT),
        "curl": Side([*curl, "--config", str(urls)], here.env, ROOT),
        "du": Side([*program.sudo(), "du", "-s", store], here.env, ROOT),
    }
    return in_turn({name: it for name, it in sides.items() if not only or name in only}, pace=pace, warm=True)


def _asked(here: Stand, repositories: int) -> Iterator[str]:
    """Yield what a client asks that wants the same list: catalog, tags, manifests, configurations."""
    base = f"https://{here.registry}/v2"
    for page in range(0, repositories, 100):
        yield f"{base}/_catalog?n=100" + (f"&last={_name(page - 1)}" if page else "")
    for number in range(repositories):
        name = _name(number)
        yield f"{base}/{name}/tags/list"
        yield from (f"{base}/{name}/manifests/{tag}" for tag in range(TAGS))
        yield f"{base}/{name}/blobs/{_digest(_config(number))}"


def _name(number: int) -> str:
    return f"bench/app-{number:04}"


def _config(number: int) -> bytes:
    return json.dumps({"os": "linux", "architecture": "amd64", "number": number}).encode()


def fill(here: Stand, files: Iterable[tuple[str, bytes]]) -> None:
    """Put files, by their paths in the storage, into the registry as it would have written them itself."""
    with tempfile.TemporaryFile(dir=here.folder) as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            folders: set[str] = set()
            for path, content in files:
                _add(tar, path, content, folders)
        file.seek(0)
        argv = ["docker", "cp", "-", f"{here.name}:/var/lib/registry"]
        done = subprocess.run(argv, stdin=file, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise BenchError(f"the storage could not be filled: {done.stderr.strip()[:200]}")


def _files(repositories: int) -> Iterator[tuple[str, bytes]]:
    for number in range(repositories):
        for tag in range(TAGS):
            layer = f"layer {number} {tag}".encode() * 20
            yield from files_of(_name(number), str(tag), _config(number), layer)


def files_of(name: str, tag: str, config: bytes, *layers: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the files of an image in a storage, by their paths."""
    manifest = json.dumps(_manifest(config, layers)).encode()
    for content in (config, *layers, manifest):
        yield from _blob(content)
    for content in (config, *layers):
        yield _layer_link(name, _digest(content))
    yield from _tag(name, tag, _digest(manifest))


def _manifest(config: bytes, layers: Sequence[bytes]) -> dict[str, Any]:
    described = {"mediaType": _CONFIG, "digest": _digest(config), "size": len(config)}
    listed = [{"mediaType": _LAYER, "digest": _digest(it), "size": len(it)} for it in layers]
    return {"schemaVersion": 2, "mediaType": _MANIFEST, "config": described, "layers": listed}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _blob(content: bytes) -> Iterator[tuple[str, bytes]]:
    hexed = _digest(content).partition(":")[2]
    yield f"blobs/sha256/{hexed[:2]}/{hexed}/data", content


def _layer_link(name: str, digest: str) -> tuple[str, bytes]:
    return f"repositories/{name}/_layers/{digest.replace(':', '/')}/link", digest.encode()


def _tag(name: str, tag: str, digest: str) -> Iterator[tuple[str, bytes]]:
    manifests, path = f"repositories/{name}/_manifests", digest.replace(":", "/")
    for link in (f"revisions/{path}", f"tags/{tag}/current", f"tags/{tag}/index/{path}"):
        yield f"{manifests}/{link}/link", digest.encode()


def _add(tar: tarfile.TarFile, path: str, content: bytes, folders: set[str]) -> None:
    parts = f"{_INSIDE}/{path}".split("/")
    for depth in range(1, len(parts)):
        folder = "/".join(parts[:depth])
        if folder not in folders:
            folders.add(folder)
            made = tarfile.TarInfo(folder)
            made.type, made.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(made)
    member = tarfile.TarInfo("/".join(parts))
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
