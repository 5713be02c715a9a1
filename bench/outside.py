"""A client outside of this host: a process in a network of its own, which a cable joins to this machine's.

Cable and network end with the process, and the process with its standard input: a bench that is killed leaves nothing.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from bench.stand import as_root, environment, quietly
from bench.timing import BenchError
from trusted_registry import program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.stand import Stand

_CLIENT = Path(__file__).with_name("client.py")
_HERE, _THERE = "169.254.214.1", "169.254.214.2"
"""Link-local (RFC 3927): no network routes them, and no certificate of ours names them."""
_CABLE = "tr-bench"


@dataclass(frozen=True)
class Download:
    """A blob that is fetched meanwhile.

    Args:
        path: Its path in the registry's API.
        digest: Its digest.
        rate: Bytes a second that are read of it.
    """

    path: str
    digest: str
    rate: float


@dataclass(frozen=True)
class Seen:
    """What a client saw.

    Args:
        answered: When it was answered, by `time.monotonic`.
        digest: Digest of the bytes that it downloaded; "" where it did not.
    """

    answered: tuple[float, ...]
    digest: str

    def gap(self, since: float) -> tuple[float, float]:
        """Return when the longest time without an answer began that ended after a moment, and its seconds.

        Raises:
            BenchError: Nothing was answered before, or after.
        """
        spans = [(later - earlier, earlier) for earlier, later in pairwise(self.answered) if later > since]
        if not spans or self.answered[0] > since:
            raise BenchError("the client outside was not answered all along")
        seconds, begun = max(spans)
        return begun, seconds


class Client:
    """A client that asks until it is told to end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def end(self) -> Seen:
        """Have it end, and return what it saw.

        Raises:
            BenchError: It failed.
        """
        said, errors = self._process.communicate("end\n")
        if self._process.returncode:
            raise BenchError(f"the client outside failed: {errors.strip().splitlines()[-1][:300]}")
        seen = json.loads(said)
        return Seen(tuple(seen["answered"]), seen["digest"])


@contextlib.contextmanager
def client(here: Stand, download: Download | None = None) -> Iterator[Client]:
    """Lend a client outside of this host that asks a registry, and perhaps downloads from it, until it is told to end.

    Raises:
        BenchError: There can be none.
    """
    argv = [*program.sudo(), "unshare", "--net", sys.executable, "-I", "-S", str(_CLIENT)]
    argv += [here.host, str(here.port), str(here.certificates / "ca.crt")]
    argv += [download.path, str(download.rate)] if download else []
    with subprocess.Popen(
        argv,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        told, said = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        try:
            _join(said.readline().strip())
            told.write("begin\n")
            told.flush()
            if not said.readline():
                raise BenchError("the client outside was not answered")
            yield Client(process)
        finally:
            with contextlib.suppress(OSError, ValueError):
                told.close()
            # The kernel takes it away as well, a moment after the process.
            quietly([*program.sudo(), "ip", "link", "delete", _CABLE])


def _join(pid: str) -> None:
    """Join the network of a process with this machine's."""
    if not pid.isdecimal():
        raise BenchError("the client outside did not start")
    as_root("ip", "link", "add", _CABLE, "type", "veth", "peer", "name", "eth0", "netns", pid)
    as_root("ip", "address", "add", f"{_HERE}/30", "dev", _CABLE)
    as_root("ip", "link", "set", _CABLE, "up")
    within = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip"]
    as_root(*within, "address", "add", f"{_THERE}/30", "dev", "eth0")
    as_root(*within, "link", "set", "eth0", "up")
    as_root(*within, "route", "add", "default", "via", _HERE)
