"""Kit for machines without a checkout: a script, and a page that explains the script."""

from __future__ import annotations

import dataclasses
import ssl
from pathlib import Path, PurePath

from trusted_registry import files, values
from trusted_registry.certificate import inspect
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.trust.local import trust_anchor
from trusted_registry.trust.model import TrustAnchor
from trusted_registry.trust.remote import kit, page

EXECUTABLE = 0o755


def load_anchor(settings: Settings, *, dry: bool = False, mirrors: bool = False) -> TrustAnchor:
    """Return the trust anchor for other machines, on request with the mirrors here.

    The parsed certificate is encoded anew, so that nothing else in its file is passed on. In a dry run,
    committed moves of a killed run are an error.

    Raises:
        RegistryError: The certificate is absent, expired or not an authority's; or the server's does not name the
            registry; or mirrors are wanted, and there are none.
    """
    _check_names(settings)
    found = trust_anchor.load(settings, dry=dry, required=True)
    if mirrors and not found.mirrors and not found.retired:
        raise RegistryError("There is no mirror here to tell others of.", cure="./inv mirror.up docker.io")
    told = found if mirrors else dataclasses.replace(found, mirrors=(), retired=())
    return _encoded(dataclasses.replace(told, beside=_encoded(found.beside) if found.beside else None))


def _check_names(settings: Settings) -> None:
    """Refuse a name of the registry that its certificate, where it is here, does not have: no client accepts it."""
    path = settings.folder / "domain.crt"
    missing = inspect.read(path).missing(settings.hosts) if files.exists(path) else ()
    if missing:
        named = pasteable(["./inv", "up", *settings.flags])
        raise RegistryError(
            f"{path} does not name {', '.join(missing)}: no client would accept the registry by that.",
            cure=f"Look at what you typed; or have the certificate name it: {named}",
        )


def _encoded(anchor: TrustAnchor) -> TrustAnchor:
    return dataclasses.replace(anchor, content=ssl.DER_cert_to_PEM_cert(anchor.der).encode())


def load_anchor_or_none(run: Run, what: str = "kit", *, mirrors: bool = False) -> TrustAnchor | None:
    """Return the trust anchor for other machines; in a dry run without one, print the reason and return None.

    Raises:
        RegistryError: As for `load_anchor`, except in a dry run.
    """
    try:
        return load_anchor(run.settings, dry=run.console.dry, mirrors=mirrors)
    except RegistryError as error:
        if not run.console.dry:
            raise
        run.console.say(f"{what}: {error.message}")
        return None


def write(run: Run, *, out: str = "", mirrors: bool = False) -> tuple[Path, ...]:
    """Write the kit and its page into a folder, by default the certificates'; return the paths, none in a dry run.

    Raises:
        RegistryError: There is no certificate to trust, no mirror to tell of, or the folder cannot be written.
        SettingError: The folder's name is not valid.
    """
    folder = run.settings.root / values.path("--out", out) if out else run.settings.folder
    registry_host = run.settings.registry_host
    wanted = load_anchor_or_none(run, mirrors=mirrors)
    if wanted is None:
        return ()
    script, name = kit.render(wanted, registry_host), kit.file_name(wanted, registry_host)
    shown = page.render(wanted, registry_host, kit=script, kit_name=name)
    scripted, paged = folder / name, folder / PurePath(name).with_suffix(".html")
    if not run.console.dry:
        files.write(scripted, script, EXECUTABLE)
        files.write(paged, shown)
        run.console.say(f"kit: {scripted}, for any Linux machine; for others, {paged.name} beside it")
    run.console.say(f"page: code {page.code(shown)}, the beginning of its SHA-256, which covers all that is in it")
    run.console.say(f"authority: SHA-256 {wanted.fingerprint}")
    run.console.say("For each machine, compare that with what --check prints; --check changes nothing.")
    run.console.advise(["scp", str(scripted), "HOST:"])
    run.console.advise(["ssh", "HOST", "sh", name, "--check"])
    run.console.advise(["ssh", "-t", "HOST", "sudo", "sh", name])
    return () if run.console.dry else (scripted, paged)
