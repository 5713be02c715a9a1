"""Image of the front: haproxy's official one, or one that is made here of the distribution's package."""

from __future__ import annotations

import platform
import re
import shutil
from pathlib import Path

from trusted_registry import files, installation, program
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import INSTEAD_LABEL, ORIGIN_LABEL
from trusted_registry.errors import RegistryError
from trusted_registry.installation import MadeImage
from trusted_registry.instance import images
from trusted_registry.instance.model import Image
from trusted_registry.run import Run

PACKAGE = "haproxy"
NAMESPACE = f"trusted-registry/{PACKAGE}:"

_BINARY = "usr/sbin/haproxy"
_ROUNDS = 4
"""How far the libraries of libraries are followed: Debian 12 and 13 take two."""
_DEPENDS = re.compile(r"^ *\|?Depends: (lib[a-z0-9.+-]+)$", re.MULTILINE)
_OPTIONS = [f"--no-{it}" for it in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")]


def ensure(run: Run, engine: Engine) -> Image:
    """Get an image of haproxy into the engine, and return its name and id.

    Raises:
        RegistryError: No source has an image; the message lists each one's reason.
    """
    wanted = run.with_settings(image=run.settings.front_image, archive=None)
    return images.ensure(wanted, engine, _from_package, what="haproxy")


def _from_package(run: Run, engine: Engine) -> str:
    """Make an image of the distribution's package: its program, and the libraries that the program names."""
    if platform.system() != "Linux" or not shutil.which("apt-get"):
        raise RegistryError(f"This system has no package {PACKAGE} to make one from.", cure="")
    with files.temp_folder() as root, run.console.progress(f"Fetching the package {PACKAGE}"):
        if not _unpack(root, run):
            return run.settings.image
        version = next(root.glob(f"{PACKAGE}_*.deb")).name.split("_")[1].replace("%3a", ":")
        members = _members(root / "tree")
        tar = images.archive(members)
    reference = f"{NAMESPACE}{re.sub(r'[^A-Za-z0-9_.-]', '-', version)}"
    origin = f"the package {PACKAGE} {version} of {images.distribution()}"
    labels = f'LABEL {ORIGIN_LABEL}="{origin}" {INSTEAD_LABEL}="{run.settings.image}"'
    changes = ('ENTRYPOINT ["/bin/haproxy"]', "USER 65534:65534", labels)
    made = engine.import_image(reference, tar, changes, typed=images.typed(members, root))
    noted = MadeImage(reference, origin, run.settings.image, with_shell=False)
    installation.note_image(run.settings.folder, made, noted)
    run.console.say(f"image: package {PACKAGE} {version}, as {run.settings.image} cannot be pulled")
    return reference


def _unpack(root: Path, run: Run) -> bool:
    """Unpack the package, and those of the libraries that this machine lacks; return False in a dry run.

    Raises:
        RegistryError: A library is in none of them.
    """
    wanted, had = [PACKAGE], {PACKAGE}
    for _ in range(_ROUNDS):
        program.run(["apt-get", "download", *wanted], run.console, cwd=root)
        if run.console.dry:
            return False
        for package in sorted(root.glob("*.deb")):
            if any(package.name.startswith(f"{name}_") for name in wanted):
                program.run(["dpkg-deb", "--extract", package.name, "tree"], run.console, cwd=root)
        if "not found" not in _ldd(root / "tree"):
            return True
        wanted = [name for name in _dependencies(wanted) if name not in had and not _is_installed(name)]
        had.update(wanted)
        if not wanted:
            break
    raise RegistryError(f"The package {PACKAGE} needs a library that is in no package.", cure="")


def _dependencies(packages: list[str]) -> list[str]:
    return _DEPENDS.findall(program.capture(["apt-cache", "depends", *_OPTIONS, *packages]).out)


def _is_installed(package: str) -> bool:
    said = program.capture(["dpkg-query", "--show", "--showformat", "${db:Status-Status}", package])
    return said.out.startswith("installed")


def _ldd(tree: Path) -> str:
    """Return the libraries that the program names, those of the tree first."""
    folders = sorted({str(it.parent) for it in tree.rglob("*.so*")})
    return program.capture(["ldd", str(tree / _BINARY)], env={"LD_LIBRARY_PATH": ":".join(folders)}).out


def _members(tree: Path) -> dict[str, Path]:
    """Return the files of an image: haproxy, and each library with the path at which the program looks."""
    found = {"bin/haproxy": tree / _BINARY}
    for path in map(Path, images.libraries(_ldd(tree))):
        name = path.relative_to(tree) if path.is_relative_to(tree) else path.relative_to("/")
        found[str(name)] = path
    return found
