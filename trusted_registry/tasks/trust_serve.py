"""Offers for other machines: page, kit and certificate over the LAN, and commands for Windows."""

from __future__ import annotations

import contextlib
import time

from trusted_registry import address
from trusted_registry.certificate import handed, issue
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.images import inventory, reference, storages, words
from trusted_registry.images.manifest import Kind
from trusted_registry.instance import ownership
from trusted_registry.instance.model import Role
from trusted_registry.registry import users
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.tasks import trust_kit
from trusted_registry.tasks.cert import say_done
from trusted_registry.trust.model import TrustAnchor
from trusted_registry.trust.remote import kit_mirrors, kit_server, page
from trusted_registry.trust.remote.kit_server import Offer
from trusted_registry.trust.specifics import windows as powershell
from trusted_registry.values import whole_number

MOST_MINUTES = 24 * 60


def serve(run: Run, *, minutes: str, at: str, mirrors: bool = False) -> None:
    """Serve page, kit and certificate for some minutes, then end.

    Raises:
        RegistryError: There is no certificate to serve, no mirror to tell of, or the port cannot be opened.
        SettingError: A flag is no number within its bounds.
    """
    lasts, port = whole_number("--minutes", minutes, 1, MOST_MINUTES), whole_number("--at", at, 1, 65535)
    anchor = trust_kit.load_anchor_or_none(run, "trust", mirrors=mirrors)
    if anchor is None:
        return
    base = kit_server.base(_own_address(run.settings), port)
    offered = kit_server.offers(anchor, run.settings.registry_host, base, _images(run))
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


def _images(run: Run) -> list[tuple[str, str]]:
    """Return the tagged images of the registry here with their sizes, which whoever reaches the page may read.

    There are none of a registry that asks for a login, or that is elsewhere.
    """
    if users.is_login_required(run.settings.folder) or handed.is_handed(run.settings.folder) or run.console.dry:
        return []
    try:
        with contextlib.closing(engines.connect_if_available(run.console, quiet=True)) as engine:
            container = ownership.container(run, engine)
            if container is None or container.state != "running" or container.role != Role.TLS:
                return []
            found = inventory.find(storages.of(container, run.settings, engine))
    except RegistryError as error:
        run.console.warn(f"the page lists no images: {error.message}")
        return []
    shown = (it for it in found.images if it.is_tagged and it.kind in {Kind.IMAGE, Kind.INDEX})
    return [(reference.joined(it.repository, it.name), words.size(found.size(it.digest))) for it in shown]


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
    if anchor.mirrors:
        say(f"It also has the clients there use the mirrors of {kit_mirrors.upstreams(anchor)}.")
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
