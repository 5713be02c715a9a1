"""Takes away what a run made, and looks afterwards: only what is seen to be gone is said to be gone."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from bench import processes
from bench.stand import NAMES, containers, engine_answers, output, quietly, remove, volumes
from bench.timing import BenchError
from trusted_registry import program
from trusted_registry.defaults import DEFAULTS
from trusted_registry.engine.types import ORIGIN_LABEL
from trusted_registry.errors import RegistryError
from trusted_registry.instance.images import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.journal import Entry
    from bench.namespace import Etc

REGISTRY_IMAGES = (DEFAULTS["registry"]["image"], f"trusted-registry/{PACKAGE}")
"""Names of the images that `up` may get for the registry."""

NAME = "{{.Repository}}:{{.Tag}}"
NO_NAME = "<none>:<none>"
"""Shown of an image whose name another one has taken."""


def take_away(entry: Entry, etc: Etc) -> list[str]:
    """Take away what a run made and return what is left of it nevertheless.

    Each kind is tried, whatever became of the others.
    """
    kinds: tuple[Callable[[], list[str]], ...] = (
        lambda: [f"process {pid}" for pid in processes.kill(entry.folder)],
        lambda: _from_engine(entry),
        lambda: _trust(entry, etc),
        lambda: _made(entry, etc),
        lambda: _folder(entry),
    )
    return [line for kind in kinds for line in _tried(kind)]


def _tried(kind: Callable[[], list[str]]) -> list[str]:
    try:
        return kind()
    except (BenchError, RegistryError, OSError) as error:
        return [f"perhaps more ({error})"]


def _from_engine(entry: Entry) -> list[str]:
    if not entry.engine:
        return []
    if not engine_answers():
        return ["whatever the engine, which does not answer, has of it"]
    remove(NAMES)
    for image in _images(entry):
        # Not by force: one that somebody else uses by now stays.
        quietly(["docker", "rmi", image])
    for id_, _, name in (line.partition(" ") for line in entry.images):
        # An image of the bench may have taken the name; one that somebody else made since, and uses, keeps it.
        if name != NO_NAME and not _listed(NAME, [f"reference={name}"]):
            quietly(["docker", "tag", id_, name])
    left = [f"container {name}" for name in containers(NAMES)] + [f"volume {name}" for name in volumes(NAMES)]
    return left + [f"image {image}" for image in _images(entry)]


def registry_images() -> list[str]:
    """Return the registry's own images that the engine has, each as its id and its name, which a later one may have."""
    named = [f"reference={reference}" for reference in REGISTRY_IMAGES]
    return sorted({*_listed("{{.ID}} " + NAME, named), *_listed("{{.ID}} " + NAME, [f"label={ORIGIN_LABEL}"])})


def _images(entry: Entry) -> list[str]:
    before = {line.partition(" ")[0] for line in entry.images}
    now = dict.fromkeys(line.partition(" ")[0] for line in registry_images())
    theirs = {id_ for id_ in now if output(["docker", "ps", "--all", "--quiet", "--filter", f"ancestor={id_}"])}
    proofs = [f"reference={registry}/*" for registry in entry.registries]
    return [*_listed(NAME, proofs), *(id_ for id_ in now if id_ not in before | theirs)]


def _listed(shown: str, filters: Sequence[str]) -> list[str]:
    words = [word for it in filters for word in ("--filter", it)]
    return output(["docker", "images", "--no-trunc", "--format", shown, *words]).splitlines()


def _trust(entry: Entry, etc: Etc) -> list[str]:
    return [f"/etc/docker/certs.d/{registry}" for registry in entry.registries if not _removed(etc.certs_d / registry)]


def _made(entry: Entry, etc: Etc) -> list[str]:
    """Remove folders that were missing before; one that holds somebody's files by now is no longer the bench's."""
    return [name for name in entry.made if _is_empty(etc.machine(name)) and not _removed(etc.machine(name))]


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _folder(entry: Entry) -> list[str]:
    return [] if _removed(Path(entry.folder)) else [entry.folder]


def _removed(folder: Path) -> bool:
    """Remove a folder, as root where it is root's, and return whether it is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        with contextlib.suppress(RegistryError):  # there is no sudo
            quietly([*program.sudo(), "rm", "-r", str(folder)])
    return not folder.exists()
