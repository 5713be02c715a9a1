"""Changeover to another authority: the new root is handed out, the server is switched over, the old root is taken back.

No server can show two chains, so clients hold both roots for a while. Two names in the certificates' folder tell
how far a changeover has come: the folder `next` with the new certificates, then `ca-old.crt`, the root before.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from pathlib import Path

from trusted_registry import files
from trusted_registry.certificate import imported, inspect, issue, make, openssl, signer
from trusted_registry.certificate.inspect import Certificate
from trusted_registry.certificate.make import CertificateKind
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run

NEXT = "next"
OLD = "ca-old.crt"
FILES = (OLD, *(f"{NEXT}/{name}" for name in (*signer.FILES, "domain.crt", "domain.key", openssl.CONFIG)))
"""Files of a changeover, beside those of the certificates that count."""
KEYS = tuple(name for name in FILES if name.endswith(".key"))

TASK = "./inv cert.renew-authority"


class Stage(enum.Enum):
    """How far a changeover has come."""

    NONE = ""
    HANDED_OUT = "the new root is handed out, and the registry still shows the old one's certificates"
    SWITCHED = "the registry shows the new root's certificates, and the old root is still to be removed"


def stage(folder: Path) -> Stage:
    """Return how far a folder's changeover has come."""
    if next_root(folder):
        return Stage.HANDED_OUT
    return Stage.SWITCHED if files.exists(folder / OLD) else Stage.NONE


def next_root(folder: Path) -> Certificate | None:
    """Return the root that clients are to hold beside the one that counts; None outside of a changeover.

    Raises:
        RegistryError: Its file holds no certificate.
    """
    path = folder / NEXT / "ca.crt"
    if not files.exists(path):
        return None
    root = inspect.read(path)
    # A run that was killed right after the switch left what it had put in place.
    return None if root.fingerprint == inspect.read(folder / "ca.crt").fingerprint else root


def old_root(folder: Path) -> Certificate | None:
    """Return the root before, or None once taken back."""
    return inspect.read(folder / OLD) if files.exists(folder / OLD) else None


@contextlib.contextmanager
def _alone(run: Run) -> Iterator[None]:
    """Lock the folder for one run, and finish the moves that a killed run had decided; a dry run does neither."""
    folder = run.settings.folder
    with contextlib.nullcontext() if run.console.dry else files.locked(folder):
        files.recover(folder / NEXT, dry=run.console.dry)
        yield


def begin(run: Run) -> bool:
    """Make the new root and its issuer beside those that count, unless that was done.

    Returns:
        True if they were made (or would be, in a dry run).

    Raises:
        RegistryError: There is no authority that was made here, or a changeover before this one has not ended.
    """
    folder = run.settings.folder
    with _alone(run):
        if stage(folder) is Stage.HANDED_OUT:
            return False
        if stage(folder) is Stage.SWITCHED:
            raise RegistryError("The last changeover is not finished.", cure=f"{TASK} --finish")
        issued = issue.find(folder, dry=True)
        if issued is None or issued.authority is None:
            cure = "./inv cert makes one." if issued is None else "./inv cert --force makes one."
            raise RegistryError(f"{folder} holds no authority.", cure=cure)
        if imported.is_foreign(issued):
            wrong = f"{issued.authority.path} is {issued.authority.subject}, which was not made here."
            raise RegistryError(wrong, cure=imported.change(issued))
        made = make.plan(
            run.settings, CertificateKind.AUTHORITY, own_names=issue.names_of(issued.server.path, run.settings)
        )
        if not run.console.dry:
            files.make_folder(folder / NEXT, files.PRIVATE_FOLDER)
        make.make(made, CertificateKind.AUTHORITY, folder / NEXT, run.console, tool=run.settings.tool)
    return True


def switch(run: Run) -> bool:
    """Put the new certificates in the place of those that count, and keep the old root, unless that was done.

    Returns:
        True if they were put there (or would be, in a dry run).

    Raises:
        RegistryError: No changeover has begun, or the new authority may not vouch for a name in the settings.
    """
    folder = run.settings.folder
    with _alone(run):
        if stage(folder) is Stage.NONE:
            raise RegistryError("No changeover has begun.", cure=f"{TASK} begins one.")
        if stage(folder) is Stage.SWITCHED:
            files.remove_folder(folder / NEXT)
            return False
        # Names and dates are those of today: the one made with its root may be weeks old.
        by = signer.check(folder / NEXT, run.settings)
        names = issue.names_of(folder / NEXT / "domain.crt", run.settings)
        made = make.plan(run.settings, CertificateKind.SERVER, by, names)
        make.make(made, CertificateKind.SERVER, folder / NEXT, run.console, tool=run.settings.tool)
        if not run.console.dry:
            _replace(folder)
    return True


def _replace(folder: Path) -> None:
    with files.staging(folder) as staged:
        for path in (folder / NEXT).iterdir():
            if path.suffix in (".crt", ".key", ".cnf"):
                private = files.PRIVATE_FILE if path.suffix == ".key" else files.PUBLIC_FILE
                files.write(staged / path.name, path.read_bytes(), private)
        files.write(staged / OLD, (folder / "ca.crt").read_bytes())
        if files.exists(folder / "ca.key"):
            (staged / "ca.key").touch()
        files.install(staged, folder, {**make.MODES, OLD: files.PUBLIC_FILE})
    files.remove_folder(folder / NEXT)


def forget(run: Run) -> None:
    """Forget the files of a changeover beside the certificates that count: the new root before the switch, the old one.

    Clients are then told to give either of them back.
    """
    folder = run.settings.folder
    for path in (folder / name for name in FILES):
        if files.exists(path):
            run.console.command(["rm", str(path)])
            if not run.console.dry:
                files.remove(path, keep=folder)
