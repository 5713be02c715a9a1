"""Notices when this machine's clock is set back: what was made just before then begins in the future for a while."""

from __future__ import annotations

import re
import time
from collections import deque

LATELY = 60.0
"""Seconds for which a clock that was set back is remembered."""

LEAST = 0.05
"""Seconds; two clocks that are read one after the other differ by less."""

FUTURE = re.compile(r"(?<!expired or is )not yet valid|current time \S+ is before")
"""What clients say of a certificate that begins later than now."""


class Clock:
    """The wall clock beside one that nobody sets; to be looked at before and after what is to be judged."""

    def __init__(self) -> None:
        self._ahead: deque[tuple[float, float]] = deque()

    def look(self) -> None:
        """Remember how the clocks stand, and the last that is older than a while."""
        now = time.monotonic()
        self._ahead.append((now, time.time() - now))
        while len(self._ahead) > 1 and now - self._ahead[1][0] > LATELY:
            self._ahead.popleft()

    def set_back(self) -> float:
        """Return by how many seconds the wall clock was set back lately; 0.0 where it was not."""
        self.look()
        back = max(seen for _, seen in self._ahead) - self._ahead[-1][1]
        return back if back > LEAST else 0.0
