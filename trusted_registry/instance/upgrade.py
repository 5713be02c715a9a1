"""Upgrade: a registry of another image takes over only if every image looks the same in both registries."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from trusted_registry.certificate import issue
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.instance import contents, front, proof
from trusted_registry.instance.model import Instance, Role
from trusted_registry.registry import probe, users
from trusted_registry.run import Run

_CURES = {
    "image": "./inv registry.upgrade --check --image IMAGE compares another one.",
    "storage": "./inv registry.move --to s3://BUCKET/PREFIX, or volume, takes all images along.",
}
_NAMED = 3
"""Images that a refusal names."""


def is_due(instance: Instance, container: Container | None) -> bool:
    """Whether a registry that runs is to be replaced by one of another image or storage, and both have TLS."""
    if container is None or container.state != "running" or {container.role, instance.role} != {Role.TLS}:
        return False
    if container.bucket != instance.storage.location:
        return True
    return bool(container.image_id) and instance.image.id not in ("", container.image_id)


def rehearse(instance: Instance, container: Container | None, run: Run, engine: Engine) -> None:
    """Try an instance beside the one that runs; one of another image or storage is compared, manifest by manifest.

    Raises:
        RegistryError: The instance does not start, does not answer properly, or shows an image otherwise.
    """
    if container is None or run.console.dry or not is_due(instance, container):
        proof.rehearse_beside(instance, container, run, engine)
        return
    met = front.as_met(container, run.settings, engine)
    current = probe.Endpoint(met.listen or run.settings.address, met.port or run.settings.port)
    other = "image" if instance.image.id not in ("", container.image_id) else "storage"
    with _login(instance, run, engine) as login:
        proof.rehearse_beside(instance, container, run, engine, lambda at: _compare(current, at, login, run, other))


@contextlib.contextmanager
def _login(instance: Instance, run: Run, engine: Engine) -> Iterator[users.Login | None]:
    """Yield a login that both registries take until the context ends; None without users."""
    immediate = [it for it in instance.files if it.immediate]

    def share() -> None:
        contents.share_users(run, engine)
        contents.share(instance, immediate, run, engine)

    with contextlib.ExitStack() as stack:
        if immediate:
            stack.callback(share)
        login = stack.enter_context(users.temporary_login(run.settings.folder, run.console))
        if immediate:
            share()
        yield login


def _compare(current: probe.Endpoint, there: probe.Endpoint, login: users.Login | None, run: Run, other: str) -> None:
    from trusted_registry.registry import holdings
    from trusted_registry.registry.api import RegistryClient

    tls = probe.context(issue.trust_anchor(run.settings.folder).path)
    before, after = RegistryClient(current, tls, login), RegistryClient(there, tls, login)
    if login:
        before.admits()
    try:
        held = holdings.find(before)
    except (RegistryError, *probe.NO_ANSWER) as error:
        run.console.warn(f"the running registry does not list its images, so they were not compared: {error}")
        return
    shown = holdings.find(after)
    # Clients push meanwhile: what differs is asked for once more.
    names = [it for it in sorted({*held, *shown}) if held.get(it) != shown.get(it)]
    if lost := holdings.differing(before, after, names):
        named = ", ".join(f"{repository}:{reference}" for repository, reference in lost[:_NAMED])
        more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
        wrong = f"With the other {other}, {len(lost)} of {len(held)} manifests differ: {named}{more}."
        raise RegistryError(wrong, cure=_CURES[other])
    repositories = len({it[0] for it in held})
    run.console.say(f"{other}: all {len(held)} manifests in {repositories} repositories are the same with both")
