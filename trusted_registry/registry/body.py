"""Body of a request that is sent piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Stream:
    """Body of a request that comes in chunks, of as many bytes as were said before."""

    size: int
    chunks: Iterable[bytes]

    def __len__(self) -> int:
        """Return its bytes."""
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        """Yield the chunks, once."""
        return iter(self.chunks)
