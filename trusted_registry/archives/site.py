"""Site: files that a place without a network needs besides images: this checkout, its wheels, the registry's image."""

from __future__ import annotations

import json
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from trusted_registry import files, program
from trusted_registry.archives import tar
from trusted_registry.archives.tar import Archive
from trusted_registry.console import Console
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.images import reference
from trusted_registry.images.manifest import json_object

CHECKOUT = tar.CHECKOUT
"""Folder of the checkout in an archive, which a person unpacks with tar."""
WHEELS = "wheels"
"""Folder in the checkout from which `inv` installs, if it is there, and from nowhere else."""
IMAGE, ABOUT_IMAGE = "site/registry.tar", "site/registry.json"
"""Files of the registry's image: as `docker save` made it, and what this project knows of it."""

_TREES = ("trusted_registry", "templates", "docs", "tests", "bench")
_FILES = ("inv", "tasks.py", "noxfile.py", "pyproject.toml", "invoke.yaml", ".gitignore", "certs/.gitignore")
_DOCUMENTS = ("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
_GLIBC = ("2_17", "2_28", "2_34")
"""Tags of wheels that run with the C library of Debian 12, and with later ones (PEP 600)."""
_MOST = 1 << 16


@dataclass(frozen=True)
class SiteImage:
    """Image of the registry: its name, the name that it stands in for, and whether it surely has a shell."""

    name: str
    instead_of: str
    with_shell: bool


def checkout(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a checkout, without generated ones."""
    for name in (*_FILES, *_DOCUMENTS):
        if files.exists(root / name):
            yield f"{CHECKOUT}/{name}", root / name
    for tree in _TREES:
        for path in sorted((root / tree).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{CHECKOUT}/{path.relative_to(root)}", path


def fetch_wheels(folder: Path, root: Path, pythons: Sequence[str], console: Console) -> None:
    """Fetch the packages that the checkout needs.

    Args:
        folder: Where they go.
        root: The checkout.
        pythons: Versions of Python that they must suit, such as 3.11; the one that runs by default.
        console: Where commands are shown.

    Raises:
        RegistryError: pip cannot have one of them.
    """
    machine, running = platform.machine(), sys.version_info[:2]
    fetch = ["-I", "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    fetch += ["--dest", str(folder), "--only-binary", ":all:", *_required(root)]
    for python in pythons or ("",):
        there = [word for it in _GLIBC for word in ("--platform", f"manylinux_{it}_{machine}")]
        if python and _version(python) < running:  # pip asks which packages are needed of the Python that runs it
            program.run([_older(python), *fetch], console)
        else:
            suits = ["--python-version", python, "--platform", f"linux_{machine}", *there] if python else []
            program.run([sys.executable, *fetch, *suits], console)


def _version(python: str) -> tuple[int, ...]:
    if not re.fullmatch(r"3\.[0-9]{1,2}(\.[0-9]+)?", python):
        raise SettingError(f"{python!r} is no version of Python.", cure="--python 3.11,3.13")
    return tuple(map(int, python.split(".")[:2]))


def _older(python: str) -> str:
    """Return the program of an older Python.

    Raises:
        RegistryError: This machine lacks that program.
    """
    name = "python" + ".".join(python.split(".")[:2])
    if not (found := shutil.which(name)):
        cure = f"Install {name}, or make the file on a machine that has it."
        raise RegistryError(f"Only {name} itself knows which packages it needs, and it is not here.", cure=cure)
    return found


def _required(root: Path) -> list[str]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    found = tomllib.loads((root / "pyproject.toml").read_text())
    return [*found["build-system"]["requires"], *found["project"]["dependencies"]]


def described(image: SiteImage) -> bytes:
    """Return the file that describes an image."""
    return json.dumps(asdict(image)).encode()


def image_in(archive: Archive) -> SiteImage | None:
    """Return the image of the registry in an archive; None if there is none.

    Raises:
        RegistryError: The archive describes the image wrongly.
    """
    if IMAGE not in archive.places:
        return None
    found = json_object(archive.read(ABOUT_IMAGE, _MOST))
    name, instead_of, with_shell = (found.get(key) for key in ("name", "instead_of", "with_shell"))
    if not isinstance(name, str) or not isinstance(instead_of, str) or not isinstance(with_shell, bool):
        raise tar.unusable(archive.path, f"{ABOUT_IMAGE} in it is damaged")
    if not (reference.is_image(name) and reference.is_image(instead_of)):
        raise tar.unusable(archive.path, f"{ABOUT_IMAGE} in it names no image")
    return SiteImage(name, instead_of, with_shell)


def files_of(root: Path, wheels: Path, image: Path, about: SiteImage) -> Mapping[str, bytes | Path]:
    """Return the files of an archive for a site, besides its images."""
    more: dict[str, bytes | Path] = dict(checkout(root))
    more |= {f"{CHECKOUT}/{WHEELS}/{it.name}": it for it in sorted(wheels.iterdir())}
    return {**more, IMAGE: image, ABOUT_IMAGE: described(about)}
