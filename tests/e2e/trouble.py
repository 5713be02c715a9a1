"""What the lab raises when it cannot do its own work, as opposed to a claim that does not hold."""

from __future__ import annotations


class LabError(Exception):
    """The lab cannot be set up: one sentence says why, and what would help."""
