"""How many new TLS connections a second a registry takes."""

from __future__ import annotations

import os
import re
import subprocess
import time
from typing import TYPE_CHECKING

from bench.timing import BenchError

if TYPE_CHECKING:
    from bench.stand import Stand

_COUNT = re.compile(r"^(\d+) connections in \d+ real seconds", re.MULTILINE)
_SECONDS = 2
_CLIENTS = max(2, os.cpu_count() or 2)


def rate(stand: Stand) -> float:
    """Return the new connections a second that one registry takes from several clients at once.

    Each is a full handshake (`-new`: no session is resumed) by openssl's own client, the cheapest at hand: it shares
    the processor with the registry, so every bit that it takes is missing there. To this machine's own address only.

    Raises:
        BenchError: A client failed.
    """
    argv = ["openssl", "s_time", "-new", "-time", str(_SECONDS), "-connect", stand.registry]
    argv += ["-CAfile", str(stand.certificates / "ca.crt")]
    begun = time.monotonic()
    clients = [
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(_CLIENTS)
    ]
    said = [client.communicate()[0] for client in clients]
    took = time.monotonic() - begun
    counts = [int(found.group(1)) for text in said if (found := _COUNT.search(text))]
    if len(counts) < _CLIENTS or any(client.returncode for client in clients):
        raise BenchError(f"openssl s_time failed: {said[0].strip().splitlines()[-1][:300]}")
    return sum(counts) / took
