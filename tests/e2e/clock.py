"""Notices when this machine's clock is set back: what was made just before then begins in the future for a while."""

from __future__ import annotations

import time
from collections import deque

LATELY = 60.0
"""Seconds for which a clock that was set back is remembered: whoever asks does so at each command, many a second."""

LEAST = 0.05
"""Seconds; a clock that is only slowed down to meet the right time is off by less within that while (adjtimex(8))."""


class Clock:
    """The wall clock beside one that nobody sets."""

    def __init__(self) -> None:
        self._ahead: deque[tuple[float, float]] = deque()

    def set_back(self) -> float:
        """Return by how many seconds the wall clock was set back lately; 0.0 where it was not."""
        now, ahead = time.monotonic(), time.time() - time.monotonic()
        self._ahead.append((now, ahead))
        while now - self._ahead[0][0] > LATELY:
            self._ahead.popleft()
        back = max(seen for _, seen in self._ahead) - ahead
        return back if back > LEAST else 0.0
