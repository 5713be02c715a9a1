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
    base = kit_server.base(_own_address(run.settings), port)
    offered = kit_server.offers(anchor, run.settings.registry_host, base)
    took: list[Offer] = []

    def taken(client: str, offer: Offer) -> None:
        took.append(offer)
        run.console.say(f"{client} took {offer.name or 'the page'}")

    if run.console.dry:
        _announce(run, base, anchor, offered)
        run.console.say("This is a dry run: nothing is offered, and these lines do not work yet.")
        return
    with kit_server.listen(_own_address(run.settings), port, offered, taken) as server:
        _announce(run, base, anchor, offered)
        end = time.strftime("%H:%M", time.localtime(time.time() + 60 * lasts))
        run.console.say(f"Offered until {end}, to whoever reaches {base}, without a password. Ctrl-C ends it.")
        server.offer_for(60 * lasts)
    say_done(run.console, f"serve: time is up, nothing is offered any more; downloads: {len(took)}")


def _own_address(settings: Settings) -> str:
    """Return where to offer it: on this machine, where the registry's address is a router's that leads to it."""
    behind = address.is_elsewhere(settings.address) and issue.keeps_keys(settings.folder)
    return address.own_address() if behind else settings.address


def _announce(run: Run, at: str, anchor: TrustAnchor, offered: tuple[Offer, Offer, Offer]) -> None:
    say = run.console.say
    say("On the other machine, paste one of these lines. It checks what it downloads before it uses it.")
    for machine, line in kit_server.download_commands(at, offered).items():
        say(f"\n{machine}:\n  {line}")
    say("\nOn Linux, --check at the end of the line only looks, and --remove undoes it.")
    if anchor.beside:
        run.console.warn("The page's own steps are for the present root alone: repeat them after --switch.")
    say(
        f"\nFor Windows, kind, k3s, or by hand there is a page, {at}/. Save it with one of the lines below, and open "
        "it only if what the line prints begins with the code. Tell people the code by another way than the page: "
        "whoever can change the page can change a code beside it."
    )
    say(f"Code of all that is offered: {page.code(offered[0].content)}")
    say(f"The authority's SHA-256: {powershell.colons(anchor.fingerprint)}")
    for machine, line in kit_server.page_commands(at).items():
        say(f"\nThe page, on {machine}:\n  {line}")
    say("")


def windows(run: Run, *, user: bool) -> None:
    """Print the PowerShell commands that install trust on Windows."""
    anchor = trust_kit.load_anchor_or_none(run, "trust")
    for it in anchor.all if anchor else ():  # both, while the registry changes over to another authority
        script = powershell.script(it, run.settings.registry_host, "user" if user else "machine")
        run.console.say(script.rstrip("\n"))
