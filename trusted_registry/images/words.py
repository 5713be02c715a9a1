"""Words for people: bytes and times as they are written in tables, and times as they stand in JSON."""

from __future__ import annotations

import datetime

_STEP = 1000
_UNITS = ("kB", "MB", "GB", "TB", "PB")


def size(count: float) -> str:
    """Return a number of bytes in units of a thousand, as docker writes them."""
    if count < _STEP:
        return f"{count:.0f} B"
    for unit in _UNITS:
        count /= _STEP
        if count < _STEP or unit == _UNITS[-1]:
            break
    return f"{count:.3g} {unit}" if count < _STEP else f"{count:.0f} {unit}"


def when(seconds: float | None) -> str:
    """Return a time on this machine's clock, to the minute; "" for none."""
    return f"{datetime.datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M}" if seconds else ""


def iso(seconds: float | None) -> str | None:
    """Return a time in UTC for JSON (RFC 3339); None for none."""
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}" if seconds else None


def plural(count: int, one: str, many: str = "") -> str:
    """Return a number with its word: 1 tag, 2 tags."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def minute(time: str | None) -> str:
    """Return a time of JSON on this machine's clock, to the minute; "" for none."""
    if not time:
        return ""
    return when(datetime.datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp())
