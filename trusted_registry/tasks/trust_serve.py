"""Offers for other machines: page, kit and certificate over the LAN, and commands for Windows."""

from __future__ import annotations

import time

from trusted_registry import address
from trusted_registry.certificate import issue
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.tasks import trust_kit
from trusted_registry.tasks.cert import say_done
from trusted_registry.trust.model import TrustAnchor
from trusted_registry.trust.remote import kit_server, page
from trusted_registry.trust.remote.kit_server import Offer
from trusted_registry.trust.specifics import windows as powershell
from trusted_registry.values import whole_number

MOST_MINUTES = 24 * 60


def serve(run: Run, *, minutes: str, at: str) -> None:
    """Serve page, kit and certificate for some minutes, then end.

    Raises:
        RegistryError: There is no certificate to serve, or the port cannot be opened.
        SettingError: A flag is no number within its bounds.
    """
    lasts, port = whole_number("--minutes", minutes, 1, MOST_MINUTES), whole_number("--at", at, 1, 65535)
    anchor = trust_kit.load_anchor_or_none(run, "trust")
    if anchor is None:
        return
    offered = kit_server.offers(anchor, run.settings.registry_host)
    took: list[Offer] = []

    def taken(client: str, offer: Offer) -> None:
        took.append(offer)
        run.console.say(f"{client} took {offer.name or 'the page'}")

    if run.console.dry:
        _announce(run, port, anchor, offered)
        return
    with kit_server.listen(_own_address(run.settings), port, offered, taken) as server:
        _announce(run, port, anchor, offered)
        end = time.strftime("%H:%M", time.localtime(time.time() + 60 * lasts))
        run.console.say(f"Until {end}; Ctrl-C ends it before.")
        server.offer_for(60 * lasts)
    say_done(run.console, f"serve: the time is over, nothing is offered any more; downloads: {len(took)}")


def _own_address(settings: Settings) -> str:
    """Return where to offer it: on this machine, where the registry's address is a router's that leads to it."""
    behind = address.is_elsewhere(settings.address) and issue.keeps_keys(settings.folder)
    return address.own_address() if behind else settings.address


def _announce(run: Run, port: int, anchor: TrustAnchor, offered: tuple[Offer, Offer, Offer]) -> None:
    host, console = _own_address(run.settings), run.console
    at = kit_server.base(host, port)
    console.say(f"Offered to whoever reaches {host}, without a password: {at}/ and, below it, the kit and ca.crt.")
    console.say(f"Code of all that is offered: {page.code(offered[0].content)}")
    console.say(f"The authority's SHA-256: {powershell.colons(anchor.fingerprint)}")
    console.say(
        "Nothing else is. On the other machine, type one of these; each checks what came before it believes it:"
    )
    for machine, line in kit_server.download_commands(at, offered).items():
        console.say(f"\n{machine}:\n  {line}")
    console.say("\nOn Linux, --check at the line's end only looks, and --remove takes it back.")
    if anchor.beside:
        console.warn("The page's own steps are for the present root alone: they are repeated after --switch.")
    console.say(
        "\nThe page, for Windows, kind, k3s, and by hand: save it, and open the saved file once what the line prints "
        "begins with the code above. Read the code out, or type it: what comes with the page may be changed with it."
    )
    for machine, line in kit_server.page_commands(at).items():
        console.say(f"\n{machine}:\n  {line}")
    console.say("")


def windows(run: Run, *, user: bool) -> None:
    """Print the PowerShell commands that install trust on Windows."""
    anchor = trust_kit.load_anchor_or_none(run, "trust")
    for it in anchor.all if anchor else ():  # both, while the registry changes over to another authority
        script = powershell.script(it, run.settings.registry_host, "user" if user else "machine")
        run.console.say(script.rstrip("\n"))
