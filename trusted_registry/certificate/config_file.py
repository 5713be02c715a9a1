"""The configuration of openssl, openssl.cnf, as a file in the folder of certificates."""

from __future__ import annotations

from pathlib import Path

from trusted_registry import files
from trusted_registry.certificate import inspect, make, openssl, profile, signer
from trusted_registry.certificate.make import CertificateKind
from trusted_registry.console import here_document
from trusted_registry.run import Run


def write(run: Run, *, self_signed: bool = False) -> Path:
    """Render openssl.cnf, without names that the authority there may not vouch for; return its path."""
    signing = signer.path(run.settings.folder)
    authority = inspect.read(signing) if files.exists(signing) and not self_signed else None
    kind = CertificateKind.SELF_SIGNED if self_signed else CertificateKind.SERVER
    text = profile.config(make.plan(run.settings, kind, authority))
    path = run.settings.folder / openssl.CONFIG
    run.console.command(["tee", str(path), here_document(text)])
    if not run.console.dry:
        files.write(path, text.encode())
    return path
