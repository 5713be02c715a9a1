"""The entries of the ledger that are one installation's: by its id, or as a version before ids wrote them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from trusted_registry import files, installation
from trusted_registry.certificate import issue
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.trust.local import ledger, trust_anchor
from trusted_registry.trust.model import TrustAnchor


def entries(settings: Settings) -> list[ledger.Entry]:
    """Return this installation's entries of this user's ledger, oldest first.

    Where no id is left beside the certificates, they are what this checkout wrote.
    """
    known = ledger.read(ledger.path())
    id_ = installation.known(settings.folder).id
    roots = {str(settings.root), *_former_roots(known, settings)}
    return [it for it in known if (it.installation == id_ if it.installation and id_ else it.by in roots)]


def _former_roots(known: Iterable[ledger.Entry], settings: Settings) -> set[str]:
    """Return the paths that this checkout had: it wrote this authority there, and no checkout is there now."""
    trusted = authority(settings)
    if trusted is None:
        return set()
    carried = (ledger.digest(trusted.content), trusted.name, trusted.sha1.lower())
    wrote = {it.by for it in known if not it.installation and (it.sha256 in carried or it.value in carried)}
    return {root for root in wrote if not files.exists(Path(root) / "tasks.py")}


def authority(settings: Settings) -> TrustAnchor | None:
    """Return what clients trust by this installation's doing, expired or not; None where it holds no certificate."""
    with contextlib.suppress(RegistryError, OSError, ValueError):
        return trust_anchor.of(issue.trust_anchor(settings.folder, dry=True), settings)
    return None


def record(run: Run, written: Iterable[ledger.Entry]) -> None:
    """Add this installation's entries to the ledger, before anything is written; a dry run adds none."""
    if not run.console.dry:
        id_ = installation.ensure(run.settings.folder, run.console).id
        ledger.record(ledger.path(), written, installation=id_)


def adopt(run: Run) -> None:
    """Have what a version before ids wrote from this checkout be this installation's, wherever the checkout goes."""
    if not run.console.dry and (own := installation.read(run.settings.folder)):
        ledger.adopt(ledger.path(), by=run.settings.root, installation=own.id)
