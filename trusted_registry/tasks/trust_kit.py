"""What is carried to machines without a checkout: a script, and a page that says what it does."""

from __future__ import annotations

import dataclasses
import ssl
from pathlib import PurePath
from typing import TYPE_CHECKING

from trusted_registry import address, files
from trusted_registry import settings as checked
from trusted_registry.errors import RegistryError
from trusted_registry.trust.local import trust_anchor
from trusted_registry.trust.remote import kit, page

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.console import Console
    from trusted_registry.settings import Settings
    from trusted_registry.trust.model import TrustAnchor

EXECUTABLE = 0o755


def load_anchor(settings: Settings, *, dry: bool = False) -> TrustAnchor:
    """Return what other machines are to trust, and by which names.

    The certificate is written anew from what was read of its file: nothing else that the file may hold travels on.
    In a dry run, what an earlier run left unfinished stays so, and is an error.

    Raises:
        RegistryError: There is no certificate, it is no authority's, or it has expired.
    """
    found = trust_anchor.load(settings, dry=dry, required=True)
    return dataclasses.replace(found, content=ssl.DER_cert_to_PEM_cert(found.der).encode())


def load_anchor_or_none(settings: Settings, console: Console, what: str = "kit") -> TrustAnchor | None:
    """Return the same; in a dry run without it, say why, as `what` would, and return None.

    Raises:
        RegistryError: As for `load_anchor`, outside of a dry run.
    """
    try:
        return load_anchor(settings, dry=console.dry)
    except RegistryError as error:
        if not console.dry:
            raise
        console.say(f"{what}: {error.message}")
        return None


def write(settings: Settings, console: Console, *, out: str = "") -> tuple[Path, ...]:
    """Write the kit and its page into a folder, the certificates' by default; return where, or nothing in a dry run.

    Raises:
        RegistryError: There is no certificate to trust, or the folder cannot be written.
        SettingError: The folder's name cannot be one.
    """
    folder = settings.root / checked.path("--out", out) if out else settings.folder
    registry_host = address.registry_host(settings.address, settings.port)
    wanted = load_anchor_or_none(settings, console)
    if wanted is None:
        return ()
    script, name = kit.render(wanted, registry_host), kit.file_name(wanted, registry_host)
    shown = page.render(wanted, registry_host, kit=script, kit_name=name)
    scripted, paged = folder / name, folder / PurePath(name).with_suffix(".html")
    if not console.dry:
        files.write(scripted, script, EXECUTABLE)
        files.write(paged, shown)
        console.say(f"kit: {scripted}, for any Linux machine; {paged.name} beside it tells of the others")
    console.say(f"authority: SHA-256 {wanted.fingerprint}")
    console.say("For each machine: --check changes nothing and says what the kit holds, to be compared with that.")
    console.command(["scp", str(scripted), "HOST:"])
    console.command(["ssh", "HOST", "sh", name, "--check"])
    console.command(["ssh", "-t", "HOST", "sudo", "sh", name])
    return () if console.dry else (scripted, paged)
