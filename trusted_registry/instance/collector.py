"""Collector: the registry's garbage collector as a process; one whose task was killed goes on until `end`."""

from __future__ import annotations

import time

from trusted_registry.engine.protocol import Engine
from trusted_registry.errors import RegistryError
from trusted_registry.instance.model import SHELL

# The word is in two pieces, so that this shell's own line is none.
_END = r"""for process in /proc/[0-9]*; do
    words=$(tr '\0' ' ' <"$process/cmdline") || continue
    case $words in
    *" garbage-""collect "*) echo "$process" && kill -9 "${process#/proc/}" ;;
    esac
done 2>/dev/null"""
_ENDS = 10.0
_PAUSE = 0.1


def end(name: str, engine: Engine) -> None:
    """End every collector in a registry's container: none may sweep while pushes are taken.

    Raises:
        RegistryError: One does not end.
    """
    since = time.monotonic()
    while engine.execute(name, [SHELL, "-c", _END]).out:
        if time.monotonic() > since + _ENDS:
            raise RegistryError("A garbage collection does not end.", cure="./inv registry.stop && ./inv up")
        time.sleep(_PAUSE)
