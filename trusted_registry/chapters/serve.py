"""What other machines are given: the page, the kit and the certificate over the LAN, and Windows its commands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from trusted_registry import address
from trusted_registry.chapters import kit as kits
from trusted_registry.chapters.cert import tell
from trusted_registry.settings import whole
from trusted_registry.trust.clients import windows as powershell
from trusted_registry.trust.elsewhere import serve as serving

if TYPE_CHECKING:
    from trusted_registry.edge import Edge
    from trusted_registry.settings import Settings
    from trusted_registry.trust.elsewhere.serve import Offer
    from trusted_registry.trust.row import Subject

MOST_MINUTES = 24 * 60


def serve(settings: Settings, edge: Edge, *, minutes: str, at: str) -> None:
    """Offer page, kit and certificate for some minutes, then end.

    Raises:
        RegistryError: There is nothing to offer, or no place to offer it.
        SettingError: A flag is no number in its bounds.
    """
    lasts, port = whole("--minutes", minutes, 1, MOST_MINUTES), whole("--at", at, 1, 65535)
    subject = kits.subject_or_none(settings, edge, "trust")
    if subject is None:
        return
    offered = serving.offers(subject, address.reference(settings.address, settings.port))
    took: list[Offer] = []

    def taken(client: str, offer: Offer) -> None:
        took.append(offer)
        edge.say(f"{client} took {offer.name or 'the page'}")

    if edge.dry:
        _explain(settings.address, port, subject, offered, edge)
        return
    with serving.listen(settings.address, port, offered, taken) as server:
        _explain(settings.address, port, subject, offered, edge)
        edge.say(f"Until {time.strftime('%H:%M', time.localtime(time.time() + 60 * lasts))}; Ctrl-C ends it before.")
        server.offer_for(60 * lasts)
    tell(edge, f"serve: the time is over, nothing is offered any more; downloads: {len(took)}")


def _explain(host: str, port: int, subject: Subject, offered: tuple[Offer, Offer, Offer], edge: Edge) -> None:
    at = serving.base(host, port)
    edge.say(f"Offered to whoever reaches {host}, without a password: {at}/ and, below it, the kit and ca.crt.")
    edge.say(f"The authority's SHA-256: {powershell.colons(subject.fingerprint)}")
    edge.say("Nothing else is. On the other machine, type one of these; each checks what came before it believes it:")
    for machine, line in serving.typed(at, offered).items():
        edge.say(f"\n{machine}:\n  {line}")
    edge.say("\nOn Linux, --check at the line's end only looks, and --remove takes it back.")
    edge.say(f"Windows, kind, k3s, by hand: {at}/ and compare the fingerprint with the one above.\n")


def windows(settings: Settings, edge: Edge, *, user: bool) -> None:
    """Print what is pasted into PowerShell."""
    subject = kits.subject_or_none(settings, edge, "trust")
    if subject:
        reference = address.reference(settings.address, settings.port)
        edge.say(powershell.script(subject, reference, "user" if user else "machine").rstrip("\n"))
