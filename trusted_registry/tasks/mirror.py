"""Mirrors: of each upstream one, which every client on this machine uses under unchanged names."""

from __future__ import annotations

import contextlib
import http.client
import os
from collections.abc import Iterable, Iterator, Sequence

from trusted_registry import address
from trusted_registry.certificate import issue
from trusted_registry.console import pasteable
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import AnswerError, LoginRequiredError, RegistryError, SettingError
from trusted_registry.images import reference, words
from trusted_registry.instance import mirror_role, run_lock
from trusted_registry.mirror import filling, proving, pull, reach, serving, upstream
from trusted_registry.mirror.upstream import Upstream
from trusted_registry.registry import probe
from trusted_registry.run import Run
from trusted_registry.tasks import trust
from trusted_registry.trust.local import daemon, daemon_lists, install, overruled
from trusted_registry.trust.local.install import InstallResult
from trusted_registry.trust.model import Mirror
from trusted_registry.trust.specifics import engine_mirrors


def up(run: Run, *, upstreams: Sequence[str]) -> None:
    """Have mirrors run, this machine's clients use them, and prove it; a second run changes nothing.

    Raises:
        RegistryError: One does not start, or what an administrator said of an upstream stands in the way.
        SettingError: One is no registry that can be mirrored.
    """
    if not upstreams:
        raise SettingError("Nothing says what to mirror.", cure="./inv mirror.up docker.io,ghcr.io")
    chosen = _parsed(upstreams, run)
    engine = engines.connect(run.console)
    overruled.check([it.name for it in chosen], run, engine)
    if run.console.dry:
        _say_certificate(run)
    for it in mirror_role.unreachable_proxies(os.environ):
        run.console.warn(f"{it} leads to loopback, which in a mirror's container is the container: name this machine")
    with run_lock.held(run):
        known_before = serving.noted(run, used=True)
        ports = serving.choose_ports(chosen, run, engine)
        started = [it for it in chosen if serving.up(it, run, engine, port=ports[it.name])]
        if not run.console.dry:
            _say_running(chosen, started, run)
        mirrors = [Mirror(it.name, address.registry_host(run.settings.address, ports[it.name])) for it in chosen]
        with _taken_back([it for it in chosen if it not in known_before], run, engine):
            told = trust.install_trust(run, engine, mirrors=mirrors)
        if run.console.dry:
            return
        _say_limits(mirrors, run, engine)
        _prove(chosen, told, run, engine)
        if started:
            serve = pasteable(["./inv", "trust.serve", *run.settings.flags, "--mirrors"])
            run.console.say(f"Pull as ever, by unchanged names. Other machines: {serve}")


def _say_certificate(run: Run) -> None:
    """Say in a dry run why the real one would end at once; its steps are shown all the same."""
    if issue.find(run.settings.folder, dry=True) is None:
        run.console.warn("There is no certificate yet. ./inv cert makes one.")


def _say_running(chosen: Iterable[Upstream], started: Sequence[Upstream], run: Run) -> None:
    for it in chosen:
        state = "running" if it in started else "already running"
        run.console.say(f"mirror: {it.name} by {host_of(it, run)}, {state}")
    if started:
        at = " or ".join(dict.fromkeys(str(serving.endpoint(it, run).port) for it in chosen))
        run.console.say(f"mirror: no login: whoever reaches port {at} can pull what it holds; public images only")


@contextlib.contextmanager
def _taken_back(new: Sequence[Upstream], run: Run, engine: Engine) -> Iterator[None]:
    """Stop new mirrors again where a client cannot be told of them, and have those that were told ask the upstreams.

    The error that led here is the one that is raised, whatever fails afterwards.
    """
    try:
        yield
    except RegistryError:
        if new and not run.console.dry:
            _take_back(new, run, engine)
        raise


def _take_back(new: Sequence[Upstream], run: Run, engine: Engine) -> None:
    names = ", ".join(it.name for it in new)
    run.console.warn(f"not every client can be told of the mirror of {names}, so it is taken back from all")
    for it in new:
        serving.retire(it, run)
    try:
        trust.install_trust(run, engine)
    except RegistryError as error:
        again = pasteable(["./inv", "trust.linux", *run.settings.flags])
        run.console.warn(f"some clients may still be told of it: {error.message} Once that is mended: {again}")
    for it in new:
        try:
            serving.stop(it, run, engine)
        except RegistryError as error:
            run.console.warn(f"the mirror of {it.name} still runs: {error.message} {error.cure}")


def _say_limits(mirrors: Sequence[Mirror], run: Run, engine: Engine) -> None:
    if engine.available:
        if limit := engine_mirrors.limit(engine.info(), mirrors):
            run.console.say(limit)
        if daemon_lists.builds_with_restart(mirrors, engine):
            wrong = f"docker build: {engine.info().title} asks the mirror only after a restart of the engine."
            run.console.say(f"{wrong} That restart stops every container that runs: {daemon.restart(engine)}")


def _parsed(names: Iterable[str], run: Run) -> list[Upstream]:
    """Return upstreams, each once, and say which one another name stands for."""
    found = {it.strip(): upstream.parse(it, run.settings.hosts) for it in names}
    for typed, it in found.items():
        if typed.lower() != it.name:
            run.console.say(f"{typed} means {it.name}")
    return list(dict.fromkeys(found.values()))


def _prove(chosen: Iterable[Upstream], told: InstallResult, run: Run, engine: Engine) -> None:
    own = install.engine_store(engine)
    by_engine = any(store.key == own for store in (*told.written, *told.already))
    for it in chosen:
        proving.prove(it, run, engine, by_engine=by_engine)


def host_of(upstream: Upstream, run: Run) -> str:
    """Return `host:port` of a mirror, as clients are told it."""
    return address.registry_host(run.settings.address, serving.endpoint(upstream, run).port)


def down(run: Run, *, upstreams: Sequence[str], purge: bool) -> None:
    """Have this machine's clients ask the upstreams again, then stop mirrors; what they hold stays, unless purged.

    Raises:
        RegistryError: There is no such mirror, it is another installation's, or a client could not be told.
    """
    chosen = known(upstreams, run)
    engine = engines.connect(run.console)
    names = ", ".join(it.name for it in chosen)
    if purge and not run.console.dry and not run.console.ask(f"Remove what the mirror of {names} holds?"):
        raise RegistryError("Nothing was removed.", cure="./inv mirror.down without --purge only stops it.")
    with run_lock.held(run):
        # Clients first: whoever pulls meanwhile meets the mirror or its upstream, and no closed port.
        used = [it for it in serving.noted(run, used=True) if it in chosen]
        for it in chosen:
            serving.retire(it, run)
        try:
            trust.install_trust(run, engine)
        except RegistryError:
            for it in used:  # they run on, and are renewed with the registry
                serving.use(it, run)
            raise
        for it in chosen:
            serving.down(it, run, engine, purge=purge)
            if purge:
                serving.forget(it, run)
            if not run.console.dry:
                fate = "what it held is gone" if purge else "what it holds and its port are kept"
                run.console.say(f"mirror: {it.name} is stopped; {fate}")
        if not run.console.dry:
            _say_next(chosen, run, purge=purge)


def _say_next(stopped: Sequence[Upstream], run: Run, *, purge: bool) -> None:
    """Say how to start mirrors again or remove them, and that other machines which were told of them still ask them."""
    names, flags = [it.name for it in stopped], run.settings.flags
    if not purge:
        removal = pasteable(["./inv", "mirror.down", ",".join(names), "--purge"])
        run.console.say(f"to start again: {serving.command(names)}; to remove what is held: {removal}")
    run.console.say("other machines that were told still ask here first, and then the upstream, until told anew")
    if purge:  # its note is gone, so that a kit made now knows nothing of it
        run.console.say("to take that back there: the kit with --remove, then the kit anew")
    else:
        serve, script = (pasteable(["./inv", it, *flags, "--mirrors"]) for it in ("trust.serve", "trust.kit"))
        run.console.say(f"to take that back there: {serve}, or the kit anew: {script}")


def known(names: Sequence[str], run: Run) -> list[Upstream]:
    """Return the mirrors of names, all of them without any.

    Raises:
        RegistryError: There is none of a name.
    """
    noted = serving.noted(run)
    chosen = _parsed(names, run) if names else noted
    if not run.console.dry and (missing := [it.name for it in chosen if it not in noted]):
        raise RegistryError(f"There is no mirror of {missing[0]} here.", cure="./inv mirror.list")
    if not chosen and not run.console.dry:
        raise RegistryError("There is no mirror here.", cure="./inv mirror.up docker.io")
    return chosen


def fill(run: Run, *, references: Sequence[str], every_machine: bool) -> None:
    """Have mirrors fetch images ahead, by the names that clients use.

    Raises:
        RegistryError: Its upstream has no mirror, or neither the mirror nor the upstream gives it.
        SettingError: A reference is none.
    """
    wanted = [filling.parse(it) for it in references]
    if run.console.dry:
        for it in wanted:
            at = f"docker://{host_of(Upstream(it.upstream), run)}/{reference.joined(it.repository, it.name)}"
            run.console.command(["skopeo", "copy", at, "dir:/dev/null"])
        return
    noted = {it.name for it in serving.noted(run, used=True)}
    for it in wanted:
        if it.upstream not in noted:
            raise RegistryError(f"There is no mirror of {it.upstream} here.", cure=serving.command([it.upstream]))
    engine = engines.connect(run.console)
    for it in wanted:
        _fill(it, run, engine, every=every_machine)


def _fill(wanted: filling.UpstreamImage, run: Run, engine: Engine, *, every: bool) -> None:
    of = Upstream(wanted.upstream)
    container = serving.of(of, run).settings.container
    try:
        done, digests = _fetched(wanted, container, run, engine, every=every)
    except probe.NO_ANSWER as error:
        wrong = f"The mirror of {of.name} does not answer: {error}"
        raise RegistryError(wrong, cure=serving.command([of.name])) from error
    filling.await_held(wanted, digests, container, engine)
    said = f"{words.plural(done.manifests, 'manifest')}, {words.plural(done.blobs, 'blob')}"
    run.console.say(f"mirror: holds {wanted}: {said}, {words.size(done.bytes)}")


def _fetched(
    wanted: filling.UpstreamImage, container: str, run: Run, engine: Engine, *, every: bool
) -> tuple[filling.Filled, set[str]]:
    """Have a mirror fetch an image.

    Raises:
        RegistryError: It does not: there is no such image, it is not public, or its upstream is away.
        OSError, http.client.HTTPException: The mirror does not answer, then or when it is asked why.
    """
    of = Upstream(wanted.upstream)
    client = pull.client(serving.endpoint(of, run), run.settings)
    try:
        with run.console.progress(f"Fetching {wanted}") as progress:
            return filling.fill(wanted, client, progress, every=every)
    except LoginRequiredError as error:
        raise filling.private(wanted) from error
    except AnswerError as error:
        if error.status == http.client.FORBIDDEN:
            raise filling.private(wanted) from error
        if error.status == http.client.NOT_FOUND or error.status >= http.client.INTERNAL_SERVER_ERROR:
            raise reach.absence(str(wanted), reach.find(of, client, container, engine)) from error
        raise
