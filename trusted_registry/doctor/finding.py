"""What a check returns: something that is wrong, why, what cures it, and what of that can be done here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class ChmodFix:
    """Take bits from the mode of a file that this project made."""

    path: Path
    mode: str


@dataclass(frozen=True)
class RestartFix:
    """Restart our own container, so that it serves the certificate that is on disk."""


@dataclass(frozen=True)
class StartFix:
    """Have our own registry run, as the settings say."""


@dataclass(frozen=True)
class RenewFix:
    """Make a new server certificate under the same authority, and serve it."""


@dataclass(frozen=True)
class TrustFix:
    """Write a store's trust, by the store's name; what is another's is refused there."""

    store: str


Fix = ChmodFix | RestartFix | StartFix | RenewFix | TrustFix


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Args:
        check: Key of the check that found it.
        evidence: What was seen, and where.
        cause: Why that is a fault, and who suffers from it.
        cure: Lines for a shell, in order; what to know of one is a comment behind it.
        fix: What --fix does about it; None where that is a person's to do.
        asks: Whether --fix asks first: it changes more than it restores.
        client: Name of the store of trust that it is about; "" is every client.
        instead: Lines, each of which would do in place of the cure.
    """

    check: str
    evidence: str
    cause: str
    cure: tuple[str, ...]
    fix: Fix | None = None
    asks: bool = False
    client: str = ""
    instead: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        said = asdict(self)
        del said["fix"], said["asks"]
        return said | {"fixable": self.fix is not None}
