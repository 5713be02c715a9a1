"""Result of a check: a fault with its evidence, cause and cure, and the fix that doctor can make."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class ChmodFix:
    """Remove permission bits from a file or folder that this project made."""

    path: Path
    mode: str


@dataclass(frozen=True)
class RestartFix:
    """Restart our own container, so that the registry serves the certificate on disk."""


@dataclass(frozen=True)
class StartFix:
    """Start our own registry, as the settings say."""


@dataclass(frozen=True)
class RenewFix:
    """Issue a new server certificate under the same authority, and serve the new one."""


@dataclass(frozen=True)
class TrustFix:
    """Install trust in the named store, or in all that are found; foreign contents are refused at that point."""

    store: str


@dataclass(frozen=True)
class MirrorFix:
    """Run the mirror of an upstream, with the certificate on disk."""

    upstream: str


Fix = ChmodFix | RestartFix | StartFix | RenewFix | TrustFix | MirrorFix


@dataclass(frozen=True)
class Finding:
    """A fault in the path to the registry.

    Args:
        check: Key of the check that found the fault.
        evidence: Observed state, with its place.
        cause: Reason why that is a fault, and the clients that suffer.
        cure: Shell lines in order; a remark follows its line as a comment.
        fix: Repair that --fix makes; None if only a person can make one.
        asks: Whether --fix asks first, because the repair does more than restore.
        client: Name of the affected trust store; "" for every client.
        instead: Alternative shell lines, each of which replaces the whole cure.
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
        """Return the finding as a dict for JSON."""
        said = asdict(self)
        del said["fix"], said["asks"]
        return said | {"fixable": self.fix is not None}
