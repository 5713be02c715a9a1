"""Storage of the registry: a bucket instead of the volume, tried before it is remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trusted_registry import saved_flags
from trusted_registry.bucket import opening
from trusted_registry.bucket.location import MOVE
from trusted_registry.console import pasteable
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.images import listing
from trusted_registry.images.objects import Objects
from trusted_registry.images.storage import Storage
from trusted_registry.images.volume import VolumeStorage
from trusted_registry.instance import ownership, run_lock
from trusted_registry.run import Run
from trusted_registry.swarm import noted


def choose(  # noqa: PLR0913 - all that leads to a bucket
    run: Run, *, to: str, endpoint: str, region: str, ca: str, credentials: str, insecure_storage: bool
) -> None:
    """Have the registry keep its images in a bucket from the next `up` on.

    Raises:
        RegistryError: The registry has images already, or the bucket does not do as it should: nothing was changed.
    """
    insecure = "on" if insecure_storage else ""
    told = {"storage_endpoint": endpoint, "storage_region": region, "storage_insecure": insecure}
    goal = opening.chosen(run, to, told)
    with run_lock.held(run):
        engine = engines.connect(run.console)
        container = ownership.claimed(run, engine)
        if run.console.dry:
            run.console.command(["aws", "s3", "ls", f"{opening.location(goal.settings)}"])
            return
        if noted.read(run.settings.folder).hosts:
            _check_swarm(goal)
        else:
            _check_left(goal, run, container, engine, ca)
        bucket = opening.tried(goal, credentials, ca)
        saved_flags.save(goal)
    run.console.say(f"storage: {bucket.location} takes, gives, lists and removes objects")
    run.console.say("./inv up has the registry keep its images there")


def _check_swarm(goal: Run) -> None:
    """Refuse another bucket than that of a swarm's hosts, which would have no images there.

    Raises:
        RegistryError: It is another one.
    """
    from trusted_registry.tasks import swarm_plan  # by which one machine need not be slowed down

    note = swarm_plan.require_note(goal)
    if note.storage and note.storage != swarm_plan.storage(goal.settings):
        wrong = f"The registry is on a swarm, whose hosts have the images in {note.storage[0]}."
        raise RegistryError(wrong, cure="First ./inv swarm.down, which keeps them; then ./inv registry.move")


def _check_left(goal: Run, run: Run, container: Container | None, engine: Engine, ca: str) -> None:
    """Refuse to leave images behind, which a registry elsewhere would not have.

    Raises:
        RegistryError: There are some, or nobody can tell.
    """
    if before := run.settings.storage:
        if before != goal.settings.storage and _has_images(Objects(opening.opened(run.settings))):
            raise _left(before, goal, ca, "./inv registry.move --to volume && ")
    elif container and container.volume:
        if container.state != "running":
            wrong = "Whether the volume has images is not known: the registry does not run."
            raise RegistryError(wrong, cure="./inv up  # then repeat the command")
        if _has_images(VolumeStorage(run.settings.container, engine)):
            raise _left(f"the volume {container.volume}", goal, ca)
    elif container is None and engine.volume(run.settings.volume):
        raise _left(f"the volume {run.settings.volume}", goal, ca, "./inv up && ")


def _has_images(storage: Storage) -> bool:
    held = storage.files().repositories.items()
    return any(not listing.is_ours(name) and (it.tags or it.revisions) for name, it in held)


def _left(place: str, goal: Run, ca: str, first: str = "") -> RegistryError:
    at = replace(opening.location(goal.settings), authority=Path(ca) if ca else None, task=MOVE)
    move = pasteable([*at.command, "--credentials", "FILE"])
    return RegistryError(f"The registry has images in {place}, which would stay there.", cure=f"{first}{move}")
