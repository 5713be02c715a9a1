"""Proof of a mirror: an image comes through, judged by its content and by the mirror's own log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import AnswerError, LoginRequiredError, RegistryError
from trusted_registry.images import history, inventory
from trusted_registry.images.inventory import Inventory
from trusted_registry.images.manifest import Kind, Manifest
from trusted_registry.images.volume import VolumeStorage
from trusted_registry.mirror import holdings, pull, reach, serving
from trusted_registry.mirror.reach import Reach, State
from trusted_registry.mirror.upstream import DOCKER_HUB, Sample, Upstream
from trusted_registry.registry import probe
from trusted_registry.registry.api import RegistryClient
from trusted_registry.run import Run

_ENGINE = "docker/"
"""First part of the name by which Docker asks (moby, dockerversion.DockerUserAgent)."""
_LOGGED = 5.0
"""Seconds in which the engine hands a container's log on."""
_PAUSE = 0.2


def prove(upstream: Upstream, run: Run, engine: Engine, *, by_engine: bool = False) -> Reach:
    """Prove a mirror by an image of its upstream or, if that does not answer, by one that the mirror holds.

    Args:
        upstream: The upstream.
        run: Settings, and the console that is told.
        engine: The engine that runs the mirror.
        by_engine: Whether the engine was told of the mirror, and is to pull too.

    Raises:
        RegistryError: The mirror does not give the image.
    """
    name = serving.of(upstream, run).settings.container
    client = pull.client(serving.endpoint(upstream, run), run.settings)
    try:
        found = reach.find(upstream, client, name, engine)
        if not found.is_up:
            run.console.warn(f"{upstream.name} {found.words}. {found.cure}")
        sample = upstream.sample if found.is_up else None
        refusal = _prove_by(sample, upstream, client, run) if sample else None
        if not sample or refusal:
            _prove_otherwise(found, refusal, client, run, engine)
        if sample and not refusal and by_engine and upstream.name == DOCKER_HUB:
            prove_by_engine(sample, client, name, run, engine)
    except probe.NO_ANSWER as error:
        cure = serving.command([upstream.name])
        raise RegistryError(f"The mirror of {upstream.name} does not answer: {error}", cure=cure) from error
    return found


def _prove_otherwise(
    found: Reach, refusal: RegistryError | None, client: RegistryClient, run: Run, engine: Engine
) -> None:
    """Prove a mirror by an image in its own storage, where none of its upstream comes.

    Raises:
        RegistryError: Its upstream answers, and the mirror neither gives that image nor holds one.
    """
    proved = _prove_held(found.upstream, client, run, engine)
    if refusal and not proved:
        raise refusal
    if refusal:
        run.console.warn(refusal.message)
    if not proved:
        run.console.say(f"not proved: {_unproved(found)}")


def _unproved(found: Reach) -> str:
    """Return why nothing was proved of a mirror that holds nothing, and the command for a later proof."""
    name, again = found.upstream.name, serving.command([found.upstream.name])
    if found.is_up:
        return f"{name} answers, and the mirror holds no image of it yet; once one was pulled: {again}"
    if found.state is State.AWAY:
        return f"{name} cannot be reached and the mirror holds nothing yet; once it can: {again}"
    return f"{name} gives the mirror nothing now, which holds nothing yet; once it does: {again}"


def _prove_by(sample: Sample, upstream: Upstream, client: RegistryClient, run: Run) -> RegistryError | None:
    """Pull a small image's manifest and its smallest part through a mirror.

    Returns:
        None if both come; else why they do not, which is warned of where the mirror can be proved otherwise.
    """
    reference = f"{upstream.name}/{sample.repository}:{sample.tag}"
    try:
        *_, made = pull.manifests(client, sample.repository, sample.tag)
        if part := pull.smallest(made):
            pull.fetch(client, sample.repository, part)
    except (AnswerError, LoginRequiredError) as error:
        wrong = f"{upstream.name} answers, and {reference} does not come through the mirror: {error.message}"
        return RegistryError(wrong, cure=f"./inv mirror.list; then once more: {serving.command([upstream.name])}")
    run.console.say(f"proof: {reference} comes through the mirror")
    return None


def _prove_held(upstream: Upstream, client: RegistryClient, run: Run, engine: Engine) -> bool:
    """Pull the smallest image that a mirror holds.

    Returns:
        Whether the mirror holds any image.

    Raises:
        RegistryError: The mirror does not give that image.
    """
    found = inventory.find(VolumeStorage(serving.of(upstream, run).settings.container, engine))
    complete = _complete(found)
    if not complete:
        return False
    repository, made = min(complete, key=lambda it: sum(part.size for part in it[1].blobs))
    client.manifest(repository, made.digest)
    for part in made.blobs:
        pull.fetch(client, repository, part)
    named = _named(repository, made, found)
    run.console.say(f"proof: the mirror gives {upstream.name}/{named}, which it holds; {len(complete)} such in all")
    return True


def _complete(found: Inventory) -> list[tuple[str, Manifest]]:
    """Return the images of which a mirror holds every part, with their repositories."""
    held = {name: frozenset(digests) for name, digests in holdings.held(found).items()}
    every = [
        (name, found.manifests[it])
        for name in held
        for it in found.listing.repositories[name].revisions
        if it in found.manifests
    ]
    return [
        (name, it) for name, it in every if it.kind is Kind.IMAGE and {part.digest for part in it.blobs} <= held[name]
    ]


def _named(repository: str, made: Manifest, found: Inventory) -> str:
    """Return a reference to an image, by a tag if one leads there."""
    tags = (it for it in found.images if it.repository == repository and it.is_tagged)
    tag = next((it.name for it in tags if made.digest in found.needed(it.digest)), "")
    return f"{repository}:{tag}" if tag else f"{repository}@{made.digest[:19]}…"


def prove_by_engine(sample: Sample, client: RegistryClient, name: str, run: Run, engine: Engine) -> None:
    """Have the engine pull a small image by its unchanged name, and look for the requests in the mirror's log.

    An image that is there already stays, and then the engine asks for the tag alone.

    Args:
        sample: Repository and tag.
        client: Client of the mirror.
        name: The mirror's container.
        run: The console that is told.
        engine: The engine.
    """
    reference = f"{DOCKER_HUB}/{sample.repository}:{sample.tag}"
    short = f"{sample.repository.removeprefix('library/')}:{sample.tag}"
    wanted = {it.digest for made in pull.manifests(client, sample.repository, sample.tag) for it in made.blobs}
    had, since = engine.has_image(short), time.time()
    try:
        engine.try_pull(reference)
    except RegistryError as error:
        run.console.warn(f"docker: it does not pull {reference}: {error.message}")
        return
    if not had:
        engine.untag(short)
    asked = _asked_by(sample, set() if had else wanted, name, since, engine)
    if f"manifests/{sample.tag}" not in asked:
        run.console.warn(f"docker: it pulled {reference} past the mirror, whose log does not have it")
        run.console.advise(["./inv", "doctor"])
        return
    parts = len(asked & {f"blobs/{it}" for it in wanted})
    all_ = "every part" if parts == len(wanted) else f"{parts} of {len(wanted)} parts, since it had the others"
    run.console.say(f"proof: by {reference} the engine asks the mirror, as its log says, for the tag and {all_}")


def _asked_by(sample: Sample, wanted: set[str], name: str, since: float, engine: Engine) -> set[str]:
    """Return the parts that the engine asked a mirror for, as soon as the log has all wanted ones, or in the end."""
    end = time.monotonic() + _LOGGED
    every = {f"manifests/{sample.tag}", *(f"blobs/{it}" for it in wanted)}
    while True:
        asked = set(_asked(engine.log_since(name, since), sample.repository))
        if every <= asked or time.monotonic() > end:
            return asked
        time.sleep(_PAUSE)


def _asked(lines: Iterable[str], repository: str) -> Iterator[str]:
    """Yield the manifests and blobs of a repository that Docker asked for, and got."""
    start = f"/v2/{repository}/"
    for line in lines:
        said = history.fields(line) if 'msg="response completed"' in line else {}
        uri = said.get("http.request.uri", "").partition("?")[0]  # containerd adds the upstream, ?ns=docker.io
        if uri.startswith(start) and said.get("http.request.useragent", "").startswith(_ENGINE):
            yield uri.removeprefix(start)
