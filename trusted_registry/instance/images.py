"""Sources of the registry's own image: the engine, a pull, an archive, or the distribution's package."""

from __future__ import annotations

import contextlib
import io
import platform
import re
import shutil
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from trusted_registry import files, installation, program
from trusted_registry.console import Operator, pasteable
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import INSTEAD_LABEL, ORIGIN_LABEL, SHELL_LABEL, Container
from trusted_registry.errors import RegistryError
from trusted_registry.installation import MadeImage
from trusted_registry.instance.model import Image
from trusted_registry.run import Run
from trusted_registry.settings import Settings

PACKAGE = "docker-registry"
"""Debian's and Ubuntu's package of the same registry, built from the same source."""

SHELL_PACKAGE = "busybox-static"
"""Package of the official images' shell, for the script that runs before the registry (roles.START_SCRIPT)."""

NAMESPACE = f"trusted-registry/{PACKAGE}:"
"""Begin of the name of an image that was made here; a name proves nothing, so another one under it does not run."""

_BINARY = "usr/bin/docker-registry"
_SHELL = "bin/sh"
_SHELLS = ("usr/bin/busybox", "bin/busybox")
_APPLETS = ("find", "grep", "head", "ls", "rm", "rmdir", "sleep", "tail", "timeout")
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")


def ensure(
    run: Run, engine: Engine, package: Callable[[Run, Engine], str] | None = None, *, what: str = "the registry"
) -> Image:
    """Get an image of the registry into the engine, and return its name and id.

    The first source that works is used.

    Args:
        run: Settings with the image that is wanted.
        engine: The engine.
        package: Makes one of a package of the distribution; that of the registry by default.
        what: The program in the image, for the message.

    Raises:
        RegistryError: No source has an image; the message lists each one's reason.
    """
    if found := engine.image_id(run.settings.image):
        return Image(run.settings.image, found)
    if run.settings.archive is None and (noted := _noted(run.settings, engine)):
        return _made_before(noted, run, engine)
    reasons = []
    for source in (_from_registry, _from_archive, package or _from_package):
        try:
            name = source(run, engine)
            return Image(name, engine.image_id(name) or "")
        except RegistryError as error:
            reasons.append(error.message)
    pull = pasteable(["docker", "pull", run.settings.image])
    save = pasteable(["docker", "save", "--output", "registry.tar", run.settings.image])
    load = "docker load --input registry.tar" if package else "INVOKE_REGISTRY_ARCHIVE=registry.tar ./inv up"
    raise RegistryError(
        f"There is no image of {what}. {' '.join(reasons)}",
        cure=f"On a machine with a network: {pull} && {save}; then here: {load}",
    )


def chosen(run: Run, engine: Engine) -> Image:
    """Return the image that is set, which is pulled or loaded if missing; no other one stands in.

    Raises:
        RegistryError: The image can be neither pulled nor loaded.
    """
    if found := engine.image_id(run.settings.image):
        return Image(run.settings.image, found)
    source = _from_archive if run.settings.archive else _from_registry
    name = source(run, engine)
    return Image(name, engine.image_id(name) or "")


def named(settings: Settings, container: Container) -> Image:
    """Return the image of a container by the name that a person knows, if there is one."""
    made = installation.known(settings.folder).images.get(container.image_id)
    return Image(made.reference if made else container.image, container.image_id)


def say_change(image: Image, container: Container, run: Run) -> None:
    """Say that a container runs another image than the wanted one, where that is so."""
    if container.image_id and image.id not in ("", container.image_id):
        was, now = (it.removeprefix("sha256:")[:12] for it in (container.image_id, image.id))
        run.console.say(f"image: {image.name} is now {now}; it replaces {was}, which runs")


def _noted(settings: Settings, engine: Engine) -> str:
    """Return the id of the image that was made here last in place of the one that is set; "" if the engine has none."""
    images = installation.known(settings.folder).images.items()
    made = [id_ for id_, image in images if image.instead_of == settings.image and engine.has_image(id_)]
    return made[-1] if made else ""


def _made_before(noted: str, run: Run, engine: Engine) -> Image:
    """Return the image that was made here; by its id where its name stands for something else by now."""
    made = installation.known(run.settings.folder).images[noted]
    now = engine.image_id(made.reference)
    if now not in (None, noted) and engine.image_content(now) == engine.image_content(noted):
        installation.note_image(run.settings.folder, now, made)
        return Image(made.reference, now)
    run.console.say(f"image: {made.reference.rpartition('/')[2]}, made here in place of {run.settings.image}")
    return Image(made.reference if now == noted else noted, noted)


def _from_registry(run: Run, engine: Engine) -> str:
    engine.pull(run.settings.image)
    return run.settings.image


def _from_archive(run: Run, engine: Engine) -> str:
    if run.settings.archive is None:
        raise RegistryError("No archive is set.", cure="")
    if not run.settings.archive.is_file():
        raise RegistryError(f"There is no archive {run.settings.archive}.", cure="")
    names = engine.load(run.settings.archive)
    if run.settings.image not in names:
        held = ", ".join(names) or "no named image"
        raise RegistryError(f"{run.settings.archive} holds {held} and not {run.settings.image}.", cure="")
    return run.settings.image


def _from_package(run: Run, engine: Engine) -> str:
    """Make an image of the distribution's package.

    The image has the registry's binary, the libraries that the binary names, and a shell.
    """
    if platform.system() != "Linux" or not shutil.which("apt-get"):
        raise RegistryError("This system has no package docker-registry to make one from.", cure="")
    with files.temp_folder() as root, run.console.progress(f"Fetching the package {PACKAGE}"):
        program.run(["apt-get", "download", PACKAGE], run.console, cwd=root)
        with contextlib.suppress(RegistryError):  # the registry runs without a shell too, and `instance` warns
            program.run(["apt-get", "download", SHELL_PACKAGE], run.console, cwd=root)
        if run.console.dry:
            return run.settings.image
        for package in sorted(root.glob("*.deb")):
            program.run(["dpkg-deb", "--extract", package.name, "tree"], run.console, cwd=root)
        version = next(root.glob(f"{PACKAGE}_*.deb")).name.split("_")[1].replace("%3a", ":")
        shell = next((root / "tree" / path for path in _SHELLS if files.exists(root / "tree" / path)), None)
        members = _members(root / "tree" / _BINARY, shell)
        tar = archive(members)
    reference = f"{NAMESPACE}{re.sub(r'[^A-Za-z0-9_.-]', '-', version)}"
    origin = f"the package {PACKAGE} {version} of {distribution()}"
    labels = f'LABEL {ORIGIN_LABEL}="{origin}" {INSTEAD_LABEL}="{run.settings.image}"'
    labels += f' {SHELL_LABEL}="/bin/sh"' if shell else ""
    made = engine.import_image(reference, tar, ('ENTRYPOINT ["/bin/registry"]', labels), typed=typed(members, root))
    noted = MadeImage(reference, origin, run.settings.image, with_shell=shell is not None)
    installation.note_image(run.settings.folder, made, noted)
    run.console.say(f"image: package {PACKAGE} {version}, as {run.settings.image} cannot be pulled")
    return reference


def _members(binary: Path, shell: Path | None) -> dict[str, Path]:
    """Return the files of an image: the registry, a shell with this system's flock, and the libraries that they need.

    Each library has the path at which the binary looks for one.
    """
    lock = shutil.which("flock") if shell else None
    programs = {"bin/registry": str(binary), **({"bin/flock": lock} if lock else {})}
    needed = [path for program_ in programs.values() for path in libraries(program.capture(["ldd", program_]).out)]
    members = {**programs, **{path.lstrip("/"): path for path in needed}, **({_SHELL: str(shell)} if shell else {})}
    return {name: Path(path) for name, path in members.items()}


def archive(members: Mapping[str, Path]) -> bytes:
    """Return a tar of files and, beside a shell, of the names by which that is a program of its own each."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in _folders(members):  # an engine without root makes those that are missing for root alone
            folder = tarfile.TarInfo(name)
            folder.type = tarfile.DIRTYPE
            tar.addfile(_as_root(folder))
        for name, path in members.items():
            tar.add(path.resolve(), name, filter=_as_root)
        for applet in _APPLETS if _SHELL in members else ():
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "sh"
            tar.addfile(link)
    return buffer.getvalue()


def _folders(names: Iterable[str]) -> list[str]:
    """Return all folders above some files, each after its parent."""
    parents = [str(folder) for name in names for folder in reversed(PurePosixPath(name).parents[:-1])]
    return list(dict.fromkeys(parents))


def typed(members: Mapping[str, Path], root: Path) -> list[str]:
    """Return the commands that make such a tar of the packages that were unpacked in the current folder."""
    copies = [
        ["install", "-D", str(path).removeprefix(f"{root}/"), f"image/{name}", Operator("&&")]
        for name, path in members.items()
    ]
    links = f"for name in {' '.join(_APPLETS)}; do ln -s sh image/bin/$name; done &&"
    linked = [Operator(links)] if _SHELL in members else []
    return [*(word for copy in copies for word in copy), *linked, "tar", "-C", "image", "-c", "."]


def libraries(output: str) -> list[str]:
    """Return the library paths in ldd's output; none for a static binary."""
    return _LIBRARY.findall(output)


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return an entry of an archive that belongs to root and that everybody may run."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755
    return member


def distribution() -> str:
    """Return the name of this machine's distribution."""
    try:
        return re.sub(r"[^A-Za-z0-9 ./()-]", "", platform.freedesktop_os_release().get("PRETTY_NAME", "this system"))
    except OSError:
        return "this system"
