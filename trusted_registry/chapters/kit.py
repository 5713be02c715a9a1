"""What is carried to machines without a checkout: a script, and a page that says what it does."""

from __future__ import annotations

import dataclasses
import ssl
from pathlib import PurePath
from typing import TYPE_CHECKING

from trusted_registry import address, files
from trusted_registry import settings as checked
from trusted_registry.errors import RegistryError
from trusted_registry.trust.elsewhere import kit, page
from trusted_registry.trust.local import anchor

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.edge import Edge
    from trusted_registry.settings import Settings
    from trusted_registry.trust.row import Subject

RUNNABLE = 0o755


def subject(settings: Settings, *, dry: bool = False) -> Subject:
    """Return what other machines are to trust, and by which names.

    The certificate is written anew from what was read of its file: nothing else that the file may hold travels on.
    In a dry run, what an earlier run left unfinished stays so, and is an error.

    Raises:
        RegistryError: There is no certificate, it is no authority's, or it has expired.
    """
    found = anchor.subject(settings, dry=dry, required=True)
    return dataclasses.replace(found, content=ssl.DER_cert_to_PEM_cert(found.der).encode())


def subject_or_none(settings: Settings, edge: Edge, what: str = "kit") -> Subject | None:
    """Return the same; in a dry run without it, say why, as `what` would, and return None.

    Raises:
        RegistryError: As for `subject`, outside of a dry run.
    """
    try:
        return subject(settings, dry=edge.dry)
    except RegistryError as error:
        if not edge.dry:
            raise
        edge.say(f"{what}: {error.message}")
        return None


def write(settings: Settings, edge: Edge, *, out: str = "") -> tuple[Path, ...]:
    """Write the kit and its page into a folder, the certificates' by default; return where, or nothing in a dry run.

    Raises:
        RegistryError: There is no certificate to trust, or the folder cannot be written.
        SettingError: The folder's name cannot be one.
    """
    folder = settings.root / checked.path("--out", out) if out else settings.folder
    reference = address.reference(settings.address, settings.port)
    wanted = subject_or_none(settings, edge)
    if wanted is None:
        return ()
    script, name = kit.render(wanted, reference), kit.file_name(wanted, reference)
    shown = page.render(wanted, reference, kit=script, kit_name=name)
    scripted, paged = folder / name, folder / PurePath(name).with_suffix(".html")
    if not edge.dry:
        files.write(scripted, script, RUNNABLE)
        files.write(paged, shown)
        edge.say(f"kit: {scripted}, for any Linux machine; {paged.name} beside it tells of the others")
    edge.say(f"authority: SHA-256 {wanted.fingerprint}")
    edge.say("For each machine: --check changes nothing and says what the kit holds, to be compared with that.")
    edge.command(["scp", str(scripted), "HOST:"])
    edge.command(["ssh", "HOST", "sh", name, "--check"])
    edge.command(["ssh", "-t", "HOST", "sudo", "sh", name])
    return () if edge.dry else (scripted, paged)
