"""A registry's client, run as a program: a new TLS connection every 20 ms, and perhaps one long download besides.

It prints its number, begins with the first line of standard input, and says when it is answered for the first time.
With the second line it prints as JSON when it was answered (by `time.monotonic`, one clock for the whole machine) and
what it downloaded; without one it ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import ssl
import sys
import time
from dataclasses import dataclass, field

EVERY = 0.02
_PATIENCE = 3
"""Seconds for one request: a packet that got lost in a network which just went is not sent again for a second."""
_AT_ONCE = 60
"""Seconds that all of it may last at most, whoever forgets to end it."""
_PIECE = 64 << 10
_FAILURES = (OSError, EOFError, asyncio.TimeoutError)


@dataclass
class Client:
    """A client of one registry.

    Args:
        host: Address that the certificate must name.
        port: TCP port.
        tls: The authority that the certificate must be of.
    """

    host: str
    port: int
    tls: ssl.SSLContext
    answered: list[float] = field(default_factory=list)
    digest: str = ""

    async def ask(self) -> None:
        """Make one request over a connection of its own, and note when it was answered."""
        with contextlib.suppress(*_FAILURES):
            await asyncio.wait_for(self._ask(), _PATIENCE)

    async def _ask(self) -> None:
        reader, writer = await self._get("/v2/")
        try:
            status = await reader.readline()
        finally:
            writer.close()
        if status.split()[1:2] == [b"200"]:
            self.answered.append(time.monotonic())
            if len(self.answered) == 1:
                _tell("answered")

    async def keep_asking(self, ended: asyncio.Event) -> None:
        """Ask until the end, and then until an answer comes again."""
        asked = set()
        end = float("inf")
        while not self.answered or self.answered[-1] < end:
            asked.add(asyncio.create_task(self.ask()))
            await asyncio.sleep(EVERY)
            asked = {it for it in asked if not it.done()}
            if ended.is_set() and end == float("inf"):
                end = time.monotonic()
        for it in asked:
            it.cancel()

    async def download(self, path: str, rate: float) -> None:
        """Read a blob, so many bytes a second; without an error its digest is known then, whole or not."""
        read = hashlib.sha256()
        with contextlib.suppress(*_FAILURES):
            reader, writer = await self._get(path)
            # What the kernels hold on the way would be read in no time, and is no download that is under way.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE)
            await reader.readuntil(b"\r\n\r\n")
            begun, size = time.monotonic(), 0
            while piece := await reader.read(_PIECE):
                read.update(piece)
                size += len(piece)
                await asyncio.sleep(begun + size / rate - time.monotonic())
            writer.close()
        self.digest = f"sha256:{read.hexdigest()}"

    async def _get(self, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self.tls, limit=_PIECE)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\nConnection: close\r\n\r\n".encode())
        return reader, writer


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _line() -> str:
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def main(host: str, port: str, authority: str, path: str = "", rate: str = "1") -> None:
    """Be told to begin, ask and download, be told to end, and print what came of it."""
    _tell(str(os.getpid()))
    client = Client(host, int(port), ssl.create_default_context(cafile=authority))
    if not await _line():
        return
    ended = asyncio.Event()
    parts = [client.keep_asking(ended), *([client.download(path, float(rate))] if path else [])]
    seen = asyncio.gather(*parts)
    if not await _line():
        return
    ended.set()
    await asyncio.wait_for(seen, _AT_ONCE)
    _tell(json.dumps({"answered": sorted(client.answered), "digest": client.digest}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
