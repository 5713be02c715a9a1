"""First login: a registry that asks for one takes over from one that did not, and no transfer under way notices.

docker asks `/v2/` whether there is a login, opens a connection for each further request, and goes on as it began
(moby, registry/auth.go). So for some seconds a splitter stands between the front and both registries: requests with a
login, and that question, go to the successor, and all others to the registry before.
"""

from __future__ import annotations

import contextlib
import re
import time

from trusted_registry.engine.protocol import Engine
from trusted_registry.engine.types import Container
from trusted_registry.errors import RegistryError
from trusted_registry.instance import contents, proof
from trusted_registry.instance.model import LOOPBACK, Instance
from trusted_registry.registry import probe
from trusted_registry.run import Run

QUIET = 2.0
"""Seconds without a request that has no login, after which nothing is under way that began without one."""
MOST = 30.0
"""Seconds after which such requests are refused whatever is under way: whoever adds a user wants a closed registry."""
_SWITCHES = 30.0
"""Seconds that it takes at most to lead to a splitter, and past it: then it closes by itself, if nobody has."""
_PAUSE = 0.1

_CHATTER = 16 << 10
"""Bytes to or from a registry, in the time of QUIET, that are no transfer."""
_COUNTS = re.compile(r"^ *(?!lo:)[^ :]+:" + r" *(\d+)" + r" +\d+" * 7 + r" +(\d+)", re.MULTILINE)
"""Bytes that an interface received, and sent (proc(5), /proc/net/dev)."""


def is_due(container: Container, run: Run, engine: Engine) -> bool:
    """Whether a registry that is to be replaced asks for no login, though there are users by now."""
    return not run.console.dry and proof.is_open(container, run.settings, engine)


def deadline() -> int:
    """Return when a splitter that starts now lets nobody in any more without a login, in seconds since the epoch."""
    return int(time.time() + MOST + _SWITCHES)


def stand(splitter: Instance, run: Run, engine: Engine) -> Container:
    """Start a splitter, to which the front may lead then.

    Raises:
        RegistryError: The splitter does not start.
    """
    contents.share(splitter, splitter.files, run, engine)
    engine.run(splitter)
    there = engine.find(splitter.name)
    if there is None or there.trial is None:
        raise RegistryError(f"{splitter.name} ended as soon as it was started.", cure="./inv doctor")
    return there


def await_end(splitter: Container, run: Run, engine: Engine) -> None:
    """Wait until nothing is under way that began without a login, or for MOST seconds.

    Connections to the registry before that are older than the splitter do not pass that: their bytes are counted in the
    registry's own network.

    Raises:
        RegistryError, OSError, http.client.HTTPException: The splitter does not tell.
    """
    name, told = run.settings.container, False
    begun = quiet_since = time.monotonic()
    carried = _carried(name, engine)
    while (now := time.monotonic()) < begun + MOST:
        if not (busy := _is_busy(splitter)) and now - quiet_since > QUIET:
            before, carried = carried, _carried(name, engine)
            if carried - before < _CHATTER:
                return
            busy = True
        if busy:
            quiet_since = now
            if not told:
                run.console.say(f"registry: what began without a login is finished first, for {MOST:.0f} s at most")
                told = True
        time.sleep(_PAUSE)
    run.console.warn("something still pulls or pushes without a login; it is refused from now on")


def _is_busy(splitter: Container) -> bool:
    """Whether requests without a login are under way, or were within the last second."""
    counts = probe.request(probe.Endpoint(LOOPBACK, splitter.trial or 0), "GET", "/", None).body.split()
    if not counts or not all(it.isdigit() for it in counts):
        raise RegistryError("The splitter does not count what is under way.", cure="./inv doctor")
    return any(map(int, counts))


def _carried(container: str, engine: Engine) -> int:
    """Return the bytes that a container received and sent so far; 0 if the container does not tell."""
    with contextlib.suppress(RegistryError):
        counted = _COUNTS.findall(engine.execute(container, ["cat", "/proc/net/dev"]).out)
        return sum(int(received) + int(sent) for received, sent in counted)
    return 0
