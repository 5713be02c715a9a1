"""Lists that are typed as one word, with commas: no task takes several words."""

from __future__ import annotations


def split(text: str) -> tuple[str, ...]:
    """Return the parts of a list, without the spaces around them; none for an empty text."""
    return tuple(part.strip(" ") for part in text.split(",")) if text else ()
