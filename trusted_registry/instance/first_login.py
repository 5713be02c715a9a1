"""First login: a registry that asks for one takes over from one that did not, and what is under way does not notice.

docker asks `/v2/` whether there is a login, opens a connection for each further request, and goes on as it began
(moby, registry/auth.go). So for some seconds a splitter stands between the front and both registries: requests with a
login, and that question, go to the successor, and all others to the registry before.
"""

from __future__ import annotations

import contextlib
import time

from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.instance import contents, proof
from trusted_registry.instance.model import LOOPBACK, PORT, SHELL, Instance
from trusted_registry.registry import probe
from trusted_registry.run import Run

QUIET = 2.0
"""Seconds without a request that has no login, after which nothing is under way that began without one."""
MOST = 30.0
"""Seconds after which such requests are refused whatever is under way: whoever adds a user wants a closed registry."""
_SWITCHES = 30.0
"""Seconds that it takes at most to lead to a splitter, and past it: then it closes by itself, if nobody has."""
_PAUSE = 0.1

_MOVING = f"""grep -hs '^ *[0-9]*: [0-9A-F]*:{PORT:04X} [0-9A-F]*:[0-9A-F]* 01 ' /proc/net/tcp /proc/net/tcp6 |
    grep -qv ' 01 00000000:00000000 '"""
"""Whether an established connection has bytes that one side has not taken yet (proc(5), /proc/net/tcp)."""


def is_due(container: Container, run: Run, engine: Engine) -> bool:
    """Whether a registry that is to be replaced asks for no login, though there are users by now."""
    return not run.console.dry and proof.is_open(container, run.settings, engine)


def deadline() -> int:
    """Return when a splitter that starts now lets nobody in any more without a login, in seconds since the epoch."""
    return int(time.time() + MOST + _SWITCHES)


def stand(splitter: Instance, run: Run, engine: Engine) -> Container:
    """Start a splitter, to which the front may lead then.

    Raises:
        RegistryError: It does not start.
    """
    contents.share(splitter, splitter.files, run, engine)
    engine.run(splitter)
    there = engine.find(splitter.name)
    if there is None or there.trial is None:
        raise RegistryError(f"{splitter.name} ended as soon as it was started.", cure="./inv doctor")
    return there


def await_end(splitter: Container, run: Run, engine: Engine) -> None:
    """Wait until nothing is under way that began without a login, or for MOST seconds.

    Raises:
        RegistryError, OSError, http.client.HTTPException: The splitter does not tell.
    """
    begun = quiet_since = time.monotonic()
    while (now := time.monotonic()) < begun + MOST:
        if _is_busy(splitter):
            if quiet_since == begun:
                run.console.say(f"registry: what began without a login is finished first, for {MOST:.0f} s at most")
            quiet_since = now
        elif now - quiet_since > QUIET:
            if not _is_moving(run.settings.container, engine):
                return
            quiet_since = now
        time.sleep(_PAUSE)
    run.console.warn("something still pulls or pushes without a login; it is refused from now on")


def _is_busy(splitter: Container) -> bool:
    """Whether requests without a login are under way, or were within the last second."""
    counts = probe.request(probe.Endpoint(LOOPBACK, splitter.trial or 0), "GET", "/", None).body.split()
    if not counts or not all(it.isdigit() for it in counts):
        raise RegistryError("The splitter does not count what is under way.", cure="./inv doctor")
    return any(map(int, counts))


def _is_moving(container: str, engine: Engine) -> bool:
    """Whether bytes are on their way to or from a registry, to which some connections were led before the splitter."""
    with contextlib.suppress(RegistryError):
        return engine.execute(container, [SHELL, "-c", _MOVING]).code == 0
    return False
