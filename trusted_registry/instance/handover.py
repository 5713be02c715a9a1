"""Handover: in the same container another registry takes over with changed files, and the one before ends beside it.

The network stays, so new connections are refused for some hundredths of a second, however long a download is under way.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.client
import json
import time
from collections.abc import Callable, Sequence

from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.instance import contents, proof
from trusted_registry.instance.model import FILES_FOLDER, FILES_ROLE, File, Instance
from trusted_registry.registry import probe
from trusted_registry.registry.probe import Endpoint
from trusted_registry.run import Run

BEFORE = "It serves the certificate before again."

_PATIENCE = 10.0
"""Seconds for another registry to take over; a tenth of one is usual."""
_PAUSE = 0.02


def apart(instance: Instance, run: Run, engine: Engine) -> Instance:
    """Return an instance with its files in a volume of their own, since the one that runs has its own as before."""
    read = json.dumps([(it.name, it.digest) for it in instance.files])
    volume = f"{instance.name}-{FILES_ROLE}-{hashlib.sha256(read.encode()).hexdigest()[:16]}"
    made = dataclasses.replace(instance, files_of=volume)
    contents.share(made, made.files, run, engine)
    return made


def make(instance: Instance, changed: Sequence[File], at: Endpoint, run: Run, engine: Engine) -> None:
    """Hand over to a registry that reads changed files, and tell the seconds without an answer.

    Raises:
        RegistryError: The registry does not prove itself: then one with the files before serves again.
    """
    held, shown = engine.read_files(instance.name, FILES_FOLDER), _shown(at)
    before = [it.with_content(held[it.name]) for it in changed if it.name in held]
    try:
        contents.share(instance, changed, run, engine)
        since = time.monotonic()
        # One that dies at each start runs for moments, and answers in none: it can hand over nothing.
        (engine.hand_over if shown else engine.restart)(instance.name)
        _await(lambda: proof.holds(at, run.settings))
        seconds = time.monotonic() - since
        proof.check(instance.role, instance.name, at, run.settings, engine)
    except BaseException as error:
        contents.share(instance, before, run, engine)
        engine.restart(instance.name)
        again = f" {BEFORE}" if shown and _await(lambda: _shown(at) == shown) else ""
        if isinstance(error, (RegistryError, OSError, http.client.HTTPException)):
            reason = error.message if isinstance(error, RegistryError) else f"The handshake failed: {error}."
            raise RegistryError(f"{reason}{again}", cure="./inv registry.logs says why.") from error
        raise
    if shown:
        run.console.say(f"registry: the new one took over; no answer for {seconds:.2f} s")
    else:
        run.console.say("registry: it did not answer, so it was restarted")


def _shown(at: Endpoint) -> str:
    """Return the fingerprint of the certificate shown there, "" where there is none."""
    with contextlib.suppress(OSError):
        return probe.fingerprint(at)
    return ""


def _await(holds: Callable[[], bool]) -> bool:
    """Return whether something holds before long: the registry before may answer for a moment more."""
    end = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(_PAUSE)
    return True
