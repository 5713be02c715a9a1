"""Certificates of a folder: those present, the reasons to replace them, and new ones: all of them or none."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from trusted_registry import address, files
from trusted_registry.certificate import handed, imported, inspect, make, profile, public_suffixes, signer, unsent
from trusted_registry.certificate.make import CertificateKind
from trusted_registry.console import Operator, pasteable
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.settings import Settings, registry_flags

FORCE = signer.FORCE


@dataclass(frozen=True)
class Issued:
    """The certificates of a folder.

    Args:
        server: The server's.
        authority: The one that clients trust; None where the server's is self-signed.
        issuers: Those between the two, nearest to the server first; the server sends them behind its own.
    """

    server: inspect.Certificate
    authority: inspect.Certificate | None
    issuers: tuple[inspect.Certificate, ...] = ()

    @property
    def anchor(self) -> inspect.Certificate:
        """The certificate that clients must trust."""
        return self.authority or self.server

    @property
    def signers(self) -> tuple[inspect.Certificate, ...]:
        """The certificates above the server's, nearest first; none of a self-signed one."""
        return (*self.issuers, self.authority) if self.authority else ()

    def allowed(self, hosts: Iterable[str]) -> tuple[str, ...]:
        """Return those of the hosts that every signer may vouch for."""
        return functools.reduce(lambda left, it: inspect.allowed(it, left), self.signers, tuple(hosts))

    def signers_days_left(self) -> int:
        """Return the days until the first of the signers ends."""
        return min(it.days_left(inspect.now()) for it in self.signers)


def find(folder: Path, *, dry: bool = False) -> Issued | None:
    """Return a folder's certificates, or None without any certificate or key.

    A change that a killed run left unfinished is finished first, unless this is a dry run.

    Raises:
        RegistryError: The keys and certificates do not fit together; nothing is changed.
    """
    files.recover(folder, dry=dry)
    present = {name for name in (*signer.FILES, "domain.key", "domain.crt") if files.exists(folder / name)}
    if not present:
        return None
    _check_complete(folder, present)
    server, *issuers = inspect.read_chain(folder / "domain.crt")
    authority = inspect.read(folder / "ca.crt") if "ca.crt" in present else None
    if authority is None and not server.self_issued:
        cure = _cure("ca.crt", present)
        raise RegistryError(f"{server.path} was signed by an authority that is not here.", cure=cure)
    signer.check_own_pair(folder / "domain.key", (server, *issuers))
    if authority is None:
        return Issued(server, None)
    if "issuer.crt" in present:
        issuers = _sent(server, issuers, inspect.read(folder / "issuer.crt"))
    for key in (folder / name for name in signer.KEYS if name in present):
        signer.check_pair(key, inspect.read(key.with_suffix(".crt")), f"Put the right one back. {FORCE}")
    signer.check_signed([server, *issuers, authority])
    return Issued(server, authority, tuple(issuers))


def _sent(
    server: inspect.Certificate, sent: list[inspect.Certificate], issuer: inspect.Certificate
) -> list[inspect.Certificate]:
    """Return the issuers that a server sends, of which the one here bears the name of its own file.

    Raises:
        RegistryError: The server sends none, though this one signed its certificate.
    """
    if not sent and inspect.signed_by(server, issuer):
        wrong = f"{server.path} lacks its issuer, which no client has: all of them would refuse it."
        raise RegistryError(wrong, cure=unsent.cure(server, issuer))
    return [replace(it, path=issuer.path) if it.fingerprint == issuer.fingerprint else it for it in sent]


def _check_complete(folder: Path, present: set[str]) -> None:
    handed.check_own(folder)
    needs = (("ca.key", "ca.crt"), ("issuer.key", "issuer.crt"), ("issuer.crt", "ca.crt"))
    for name, other in (*needs, ("domain.key", "domain.crt"), ("domain.crt", "domain.key")):
        if name in present and other not in present:
            raise RegistryError(f"{folder / name} has no {other} beside it.", cure=_cure(other, present))
    if "domain.crt" not in present:
        message = f"{folder} holds an authority and no server certificate."
        raise RegistryError(message, cure="./inv cert.renew makes one.")


def _cure(missing: str, present: set[str]) -> str:
    if missing == "ca.crt":
        return f"Put ca.crt back from a machine that trusts it. {FORCE}"
    if missing == "issuer.crt":
        return f"Put issuer.crt back; domain.crt holds it too, behind the server's own. {FORCE}"
    if missing == "domain.crt" and "ca.crt" not in present:
        return f"Put domain.crt back. {FORCE}"
    return f"Put {missing} back, or make a new pair under the same authority: ./inv cert.renew"


def trust_anchor(folder: Path, *, dry: bool = False) -> inspect.Certificate:
    """Return the certificate that clients must trust; no key is needed.

    That is ca.crt, or domain.crt if self-signed.

    Raises:
        RegistryError: The folder holds neither.
    """
    files.recover(folder, dry=dry)
    for name in ("ca.crt", "domain.crt"):
        if files.exists(folder / name):
            certificate = inspect.read(folder / name)
            if name == "ca.crt" or certificate.self_issued:
                return certificate
    cure = "./inv up makes one and runs the registry, ./inv cert makes it alone; "
    cure += "or copy certs/ca.crt here from the registry's machine."
    if keeps_keys(folder):
        cure = f"Put the ca.crt back that belongs to the keys here. {FORCE}"
    raise RegistryError(f"{folder} holds no certificate to trust.", cure=cure)


def keeps_keys(folder: Path) -> bool:
    """Whether a folder holds keys of its own: another machine's ca.crt there would be the end of their authority."""
    return any(os.path.lexists(folder / name) for name in (*signer.KEYS, "domain.key"))


def misfit(issued: Issued, settings: Settings, *, days: int | None = None) -> str | None:
    """Return the reason to replace a server certificate, or None.

    Args:
        issued: The certificates present.
        settings: The names that the certificate must carry.
        days: Days that must be left; the setting's by default.
    """
    now = inspect.now()
    if begins := next(filter(None, (it.begins(now) for it in (issued.server, *issued.signers))), ""):
        return f"is not valid before {begins}"
    left = issued.server.days_left(now)
    if left < 0:
        return f"expired on {issued.server.not_after:%Y-%m-%d}"
    # A certificate cannot outlive its signers: one that lives to their last whole day would not live longer made anew.
    can_gain = imported.is_foreign(issued) or not issued.signers or left + 1 < issued.signers_days_left()
    if left < (settings.renew_before if days is None else days) and can_gain:
        return f"expires in {left} days"
    if missing := issued.server.missing(settings.hosts):
        return f"does not name {', '.join(missing)}"
    # What a company's certificate names besides is its authority's choice.
    left_over = [] if imported.is_foreign(issued) else _unwanted(issued.server, settings)
    return f"still names {', '.join(left_over)}" if left_over else None


def _unwanted(server: inspect.Certificate, settings: Settings) -> list[str]:
    """Return the dropped names still in a certificate, but the machine's own."""
    if not settings.dropped_names:
        return []
    own = (*address.own_addresses(), address.own_name(), *profile.OWN_TO_ALL)
    return [name for name in settings.dropped_names if name in (*server.dns, *server.addresses) and name not in own]


def ensure(run: Run, *, self_signed: bool = False, force: bool = False) -> bool:
    """Make the authority and the server certificate unless they exist.

    With `self_signed`, the document's single certificate is made instead.

    Returns:
        True if certificates were made (or would be, in a dry run).

    Raises:
        RegistryError: The files present do not fit together or not the settings; they are left as they were.
    """
    folder = run.settings.folder
    with contextlib.nullcontext() if run.console.dry else files.locked(folder):
        issued = None if force else find(folder, dry=run.console.dry)
        if issued is None:
            _make(run, CertificateKind.SELF_SIGNED if self_signed else CertificateKind.AUTHORITY)
            return True
    if self_signed and issued.authority:
        cure = "./inv cert --self-signed --force replaces both."
        raise RegistryError(f"{folder} holds an authority and what it signed.", cure=cure)
    if not self_signed and not issued.authority:
        run.console.warn("The certificate here is the self-signed one; ./inv cert --force makes an authority instead.")
    reason = misfit(issued, run.settings, days=0)
    if reason:
        raise RegistryError(f"{issued.server.path} {reason}.", cure=renewal(issued, run.settings))
    return False


def renewal(issued: Issued, settings: Settings) -> str:
    """Return the command that makes a certificate fit for these settings."""
    missing = issued.server.missing(settings.hosts)
    if imported.is_foreign(issued):
        return imported.CURE
    if refused := set(missing) - set(issued.allowed(missing)):
        public_suffixes.check(settings, refused)
        return f"The authority may not vouch for that. {signer.CHANGE} Or: {FORCE}"
    if not missing and settings.dropped_names:
        return './inv cert.renew --names ""'
    return f"./inv cert.renew --names {','.join(missing)}" if missing else "./inv cert.renew"


def renew(run: Run) -> None:
    """Make a new server key and certificate under the same authority.

    A self-signed certificate is replaced by another self-signed one.

    Raises:
        RegistryError: The authority's key is not here, or may not vouch for a name in the settings.
    """
    folder = run.settings.folder
    imported.check_renewable(folder, dry=run.console.dry)
    with contextlib.nullcontext() if run.console.dry else files.locked(folder):
        signing = signer.check(folder, run.settings) if files.exists(folder / "ca.crt") else None
        if signing is None:
            _check_self_signed(folder, dry=run.console.dry)
            run.console.warn("Clients trust a self-signed certificate itself: every client must trust the new one.")
        kind = CertificateKind.SERVER if signing else CertificateKind.SELF_SIGNED
        _make(run, kind, signing, names_of(folder / "domain.crt", run.settings))


def _make(
    run: Run, kind: CertificateKind, signing: inspect.Certificate | None = None, own_names: tuple[str, ...] = ()
) -> None:
    wanted = make.plan(run.settings, kind, signing, own_names)
    form_flag = "--self-signed " if kind is CertificateKind.SELF_SIGNED else ""
    flags = pasteable(registry_flags(run.settings.address, names=run.settings.names))
    run.console.command([Operator(run.settings.command(f"cert.config {form_flag}{flags}"))])
    if kind is CertificateKind.AUTHORITY and (told := public_suffixes.told(run.settings.hosts)):
        run.console.say(told)
    make.make(wanted, kind, run.settings.folder, run.console, tool=run.settings.tool)


def names_of(certificate: Path, settings: Settings) -> tuple[str, ...]:
    """Return the names to keep from a certificate about to be replaced.

    Somebody types each of them; dropped names are left out.
    """
    with contextlib.suppress(RegistryError):
        found = inspect.read(certificate)
        return tuple(name for name in (*found.dns, *found.addresses) if name not in settings.dropped_names)
    return ()


def _check_self_signed(folder: Path, *, dry: bool) -> None:
    """Check that the folder holds a self-signed certificate to renew.

    Its key may be missing or another's, since both are made anew.
    """
    certificate = folder / "domain.crt"
    keyless = not any(files.exists(folder / name) for name in signer.KEYS)
    if files.exists(certificate) and inspect.read(certificate).self_issued and keyless:
        return
    if find(folder, dry=dry) is None:
        raise RegistryError(f"{folder} holds nothing to renew.", cure="./inv cert makes the first certificate.")


def is_due(settings: Settings, days: int) -> bool:
    """Return whether a renewal is due.

    A renewal is due with fewer than `days` left, with a name missing, or for a pair that does not fit.
    """
    with contextlib.suppress(RegistryError):
        issued = find(settings.folder)
        return issued is None or misfit(issued, settings, days=days) is not None
    return True


def bring_up_to_date(run: Run) -> bool:
    """Make the first certificate, or renew one that expires or lacks a name.

    Returns:
        True if a certificate was made.
    """
    issued = find(run.settings.folder, dry=run.console.dry)
    if issued is None:
        return ensure(run)
    if issued.authority and issued.signers_days_left() < run.settings.renew_before:
        run.console.warn(f"The authority ends on {issued.authority.not_after:%Y-%m-%d}. {imported.change(issued)}")
    reason = misfit(issued, run.settings)
    if reason is None:
        return False
    if imported.is_foreign(issued):
        imported.report(issued, reason, run.console)
        return False
    run.console.say(f"certificate: the one here {reason}; a new one is made")
    renew(run)
    return True
