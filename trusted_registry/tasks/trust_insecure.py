"""Plain HTTP on the LAN, as the document's first registry needs it: allowed to the engine, and taken back."""

from __future__ import annotations

import dataclasses

from trusted_registry import address
from trusted_registry.engine import engine as engines
from trusted_registry.engine.protocol import Engine
from trusted_registry.run import Run
from trusted_registry.tasks.cert import say_done
from trusted_registry.trust.local import daemon, daemon_lists, owned, uninstall, unverified
from trusted_registry.trust.specifics.daemon_json import INSECURE


def allow(run: Run, *, remove: bool = False) -> None:
    """Allow the engine plain HTTP on the LAN address, or disallow that again."""
    if remove:
        _disallow_plain(run, engines.connect_if_available(run.console))
        return
    changed = daemon_lists.allow_plain(run, engines.connect(run.console))
    registry = address.registry_host(run.settings.address, run.settings.plain_port)
    state = "now" if changed else "already"
    ours = run.console.dry or any(
        it.store == INSECURE.store and it.value == registry for it in owned.entries(run.settings)
    )
    ends = f"{'./inv trust.insecure --remove' if ours else daemon.removal_by_hand()} ends that"
    say_done(run.console, f"trust: plain HTTP on {registry} is {state} allowed; nobody verifies it. {ends}")


def _disallow_plain(run: Run, engine: Engine) -> None:
    """Disallow plain HTTP that this checkout allowed, and warn of registry hosts that stay unverified."""
    freed = uninstall.disallow_plain(run, engine)
    for place in freed:
        say_done(run.console, f"removed: {place}")
    if not freed:
        run.console.say("trust: this checkout allows no plain HTTP here")
    if run.console.dry:
        return
    plain = dataclasses.replace(run.settings, port=run.settings.plain_port)
    found = [*unverified.find(run.settings, engine), *unverified.find(plain, engine)]
    left = ", ".join(dict.fromkeys(it.registry_host for it in found if not it.is_loopback))
    if left:
        by_hand = daemon.removal_by_hand()
        run.console.warn(f"the engine still verifies nothing at {left}, allowed by somebody else: {by_hand}")
