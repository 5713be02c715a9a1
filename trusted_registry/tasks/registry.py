"""Registry: plain HTTP and TLS, proof by push and pull, stop and logs."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from trusted_registry import address, saved_flags
from trusted_registry.certificate import issue
from trusted_registry.console import Console
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import PODMAN, Container
from trusted_registry.errors import RegistryError
from trusted_registry.instance import checks, contents, ownership, run_lock, running
from trusted_registry.instance import front as fronts
from trusted_registry.instance.model import Role, front_name
from trusted_registry.registry import probe, prove, users
from trusted_registry.run import Run
from trusted_registry.tasks.cert import say_done
from trusted_registry.values import whole_number

_KEEPS_NAMED = 23
"""Major version of the engine from which on a prune of volumes leaves those with a name, unless it is told --all
(docs.docker.com/engine/release-notes/23.0)."""


def engine(console: Console) -> None:
    """Report the engine that answers; install or start one if none."""
    from trusted_registry.engine import install as engine_install

    engine_install.ensure(console)
    found = engines.connect(console)
    if found.available:
        info = found.info()
        kind = "rootless" if info.rootless else "root"
        console.say(f"engine: {info.title} on {info.system}, {info.socket}, {kind}, images in {info.store}")


def basic(run: Run, *, lan: bool) -> None:
    """Run the plain HTTP registry."""
    engine = engines.connect(run.console)
    with run_lock.held(run):
        changed = running.run_plain(run, engine, lan=lan)
    port, state = run.settings.plain_port, "running" if changed else "already running"
    everywhere = run.settings.listen or "every address of this machine, for anyone to push to"
    listening = f"on {everywhere}, port {port}" if lan else f"on localhost:{port} alone"
    say_done(run.console, f"registry: {state}, plain HTTP {listening}; ./inv registry.test tries it")


def alone(run: Run, engine: Engine | None = None, *, nat: bool = False) -> None:
    """Run the TLS registry and nothing else beside."""
    engine = engine or engines.connect(run.console)
    checks.check_address(run, engine, nat=nat)
    with run_lock.held(run):
        tls(run, engine)


def tls(
    run: Run,
    engine: Engine,
    meanwhile: Callable[[], None] = lambda: None,
    *,
    prepare: Callable[[], None] = lambda: None,
) -> bool:
    """Run the TLS registry; return whether the container was (re)started."""
    changed = running.run_tls(run, engine, meanwhile, prepare=prepare)
    saved_flags.save(run)
    listening = f"on {run.settings.listen} alone" if run.settings.listen else "on every address"
    state = "running" if changed else "already running"
    say_done(run.console, f"registry: {state}, https://{run.settings.registry_host}, {listening}")
    return changed


def test(run: Run, *, image: str, lan: bool) -> None:
    """Prove the registry on this machine, or the one at the configured address if none runs here."""
    engine = engines.connect(run.console)
    container = engine.find(run.settings.container)
    if not run.console.dry:
        _check_runs(container, lan=lan)
    local = container is not None and (run.console.dry or ownership.is_own(container, run.settings, engine))
    if container and container.role == Role.PLAIN:
        if lan and container.listen.startswith("127."):
            raise RegistryError("The plain registry listens on loopback alone.", cure="./inv registry.basic --lan")
        host = run.settings.address if lan else "localhost"
        target = Target(probe.Endpoint(host, container.port or run.settings.plain_port), None, local)
    else:
        met = fronts.as_met(container, run.settings, engine) if container else None
        target = tls_target(run, port=met.port if met else None, local=local)
    reference = prove.pack(address.registry_host(target.at.host, target.at.port), engine, image=image)
    prove_push_and_pull(reference, target, run, engine)


def _check_runs(container: Container | None, *, lan: bool) -> None:
    """Refuse a proof of a registry that does not run here; without --lan, another machine's may be meant.

    Raises:
        RegistryError: The registry's container is stopped, or absent although --lan means one here.
    """
    if container and container.ours and container.state != "running":
        plain = "./inv registry.basic --lan" if lan else "./inv registry.basic"
        cure = plain if container.role == Role.PLAIN else "./inv up"
        raise RegistryError(f"The registry here does not run: its container is {container.state}.", cure=cure)
    if container is None and lan:
        cure = "./inv registry.basic --lan starts one without TLS, ./inv up one with it."
        raise RegistryError("No registry runs here.", cure=cure)


@dataclass(frozen=True)
class Target:
    """Endpoint of a registry, TLS context to verify the server, and whether it is that of this checkout."""

    at: probe.Endpoint
    tls: ssl.SSLContext | None
    local: bool = False


def tls_target(run: Run, *, port: int | None = None, local: bool = True) -> Target:
    """Return the target of the TLS registry, without a TLS context in a dry run."""
    tls = None if run.console.dry else probe.context(issue.trust_anchor(run.settings.folder).path)
    return Target(probe.Endpoint(run.settings.address, port or run.settings.port), tls, local)


@contextlib.contextmanager
def temporary_login(run: Run, engine: Engine) -> Iterator[users.Login | None]:
    """Yield a login that the registry here takes until the context ends; None where it asks for none."""
    with contextlib.ExitStack() as stack:
        if users.is_login_required(run.settings.folder) and not run.console.dry:
            stack.callback(contents.share_users, run, engine)
        login = stack.enter_context(users.temporary_login(run.settings.folder, run.console))
        if login:
            contents.share_users(run, engine)
        yield login


def prove_push_and_pull(reference: str, target: Target, run: Run, engine: Engine) -> None:
    """Push a packed image, pull it back, compare digests, and clean up.

    If the registry has users, push and pull use a temporary login, which is then removed.
    """
    from trusted_registry.registry.api import RegistryClient

    with temporary_login(run, engine) if target.local else contextlib.nullcontext() as login:
        if login and not RegistryClient(target.at, target.tls, login).admits():
            prove.discard(reference, engine)
            message = f"{target.at} does not accept a login that was just made."
            raise RegistryError(message, cure="./inv registry.logs says why.")

        def forget(proof: prove.Proof) -> None:
            if prove.forget(proof, target.at, target.tls, login) and target.local:
                with contextlib.suppress(RegistryError):  # it was proved; what is left goes later
                    engine.clear_proofs(run.settings.container)
                    _clear_bucket(proof, run)

        proof = prove.prove(reference, engine, run.console, login, forget)
    if proof:
        same = f"{proof.digest[:19]}…, {proof.seconds:.1f} s"
        run.console.say(f"proof: pushed to {proof.registry} and pulled back, {same}")
    if proof and login:
        run.console.say("proof: that used a temporary login, gone now; without a login it answers 401")


def _clear_bucket(proof: prove.Proof, run: Run) -> None:
    """Remove what a deleted proof leaves in a bucket, whose registry does not do so."""
    if run.settings.storage and proof.repository == prove.REPOSITORY:
        from trusted_registry.bucket import opening, proofs

        proofs.clear(opening.opened(run.settings), proof.digest)


def stop(run: Run, *, purge: bool) -> None:
    """Stop the registry, and remove its images when purging."""
    engine = engines.connect(run.console)
    if purge:
        ownership.claimed(run, engine)
    stays = f" Those in {run.settings.storage} stay." if run.settings.storage else ""
    if purge and not run.console.ask(f"Remove the volume {run.settings.volume} and every image in it?{stays}"):
        raise RegistryError("Nothing was removed.", cure="./inv registry.stop without --purge keeps the images.")
    with run_lock.held(run, to_end=True):
        changed = running.stop(run, engine, purge=purge)
    fate = f"kept in {run.settings.storage or f'the volume {run.settings.volume}'}"
    images = "removed" if purge and not run.settings.storage else fate
    say_done(run.console, f"registry: {'stopped' if changed else 'was not running'}; images {images}")
    if not purge:
        say_prune(run, engine)


def say_prune(run: Run, engine: Engine) -> None:
    """Say what would take the images of a registry that is stopped: only a container keeps a volume in use."""
    volume = run.settings.volume
    if run.console.dry or not engine.available or engine.volume(volume) is None or engine.holders(volume):
        return
    info = engine.info()
    major = info.version.partition(".")[0]
    every = info.product == PODMAN or (major.isdecimal() and int(major) < _KEEPS_NAMED)
    command = f"{info.product.lower()} volume prune{'' if every else ' --all'}"
    run.console.warn(f"until ./inv up, {command} would delete the volume {volume} with its images")


def say_volumes(run: Run, engine: Engine) -> bool:
    """Name further volumes of this installation, and the commands that take them; return whether there are any."""
    found = [] if run.console.dry else ownership.volumes(run.settings, engine)
    for name in found:
        holder = next(iter(engine.holders(name)), run.settings.container)
        purge = run.settings.command("registry.stop --purge", container=holder, volume=name)
        run.console.warn(f"the volume {name} stays, with its images: {purge}")
    return bool(found)


def logs(run: Run, *, follow: bool, lines: str, front: bool = False) -> None:
    """Show the last lines of the registry's log or of its front's, and new ones when following."""
    count, name = whole_number("--lines", lines, 1, 100_000), run.settings.container
    name = front_name(name) if front else name
    engine = engines.connect(run.console)
    run.console.command(["docker", "logs", *(["--follow"] if follow else []), "--tail", str(count), name])
    if run.console.dry:
        return
    if front and not engine.find(name):
        raise RegistryError("There is no front here.", cure="./inv up --front on puts one before the registry.")
    if not engine.find(name):
        raise RegistryError("No registry runs here.", cure="./inv registry.tls starts one.")
    for text in engine.follow(name, lines=count) if follow else (engine.log(name, lines=count),):
        run.console.say(text.rstrip())
