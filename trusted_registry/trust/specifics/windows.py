"""Trust on Windows: PowerShell commands to paste, from the table of stores. Nothing here was run on Windows."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable

from trusted_registry.trust import client_stores
from trusted_registry.trust.model import Database, Store, TrustAnchor

WHOSE = ("machine", "user")
_FILE = "$path"
_BARE = re.compile(r"-?[A-Za-z][A-Za-z0-9]*\Z|[0-9A-F]{40}\Z")
_QUOTES = re.compile("(['\u2018\u2019\u201a\u201b])")
"""Quotes that end a single-quoted string, typographic ones included (PowerShell Language Specification, 2.3.5.2)."""


def store(whose: str) -> Store:
    """Return a store of Windows: machine or user."""
    return client_stores.store(f"windows-{whose}")


def literal(text: str) -> str:
    """Quote a text for PowerShell: nothing is expanded between single quotes."""
    return "'" + _QUOTES.sub(r"\1\1", text) + "'"


def add(anchor: TrustAnchor, whose: str) -> str:
    """Return one statement that checks a fingerprint and trusts the authority.

    One statement, since each pasted line runs even if the line before failed.

    Args:
        anchor: Trust anchor to add.
        whose: machine, which takes an administrator, or user, whom Windows asks in a window.
    """
    pem, expected = ssl.DER_cert_to_PEM_cert(anchor.der), colons(anchor.fingerprint)
    refused = "certutil refused." + (" Is this PowerShell run as administrator?" if whose == "machine" else "")
    return f"""& {{
  $ErrorActionPreference = 'Stop'
  $path = Join-Path ([IO.Path]::GetTempPath()) {literal(f"{anchor.name}.crt")}
  Set-Content -LiteralPath $path -Encoding ascii -Value @'
{pem}'@
  try {{
    $certificate = New-Object System.Security.Cryptography.X509Certificates.X509Certificate2 -ArgumentList $path
    $hash = [Security.Cryptography.SHA256]::Create().ComputeHash($certificate.RawData)
    $found = [BitConverter]::ToString($hash) -replace '-', ':'
    $expected = {literal(expected)}
    if ($found -ne $expected) {{ throw "This is another certificate: $found" }}
    {_typed(_database(whose).add, anchor)}
    if ($LASTEXITCODE -ne 0) {{ throw {literal(refused)} }}
    "Trusted: $found"
  }} finally {{ Remove-Item -LiteralPath $path }}
}}
"""


def script(anchor: TrustAnchor, registry_host: str, whose: str) -> str:
    """Return the commands to paste, with later steps as comments.

    Those steps are comments because they are no part of the trust itself.
    """
    scope, whom = {
        "machine": ("a PowerShell that runs as administrator", "all users of this machine"),
        "user": ("an ordinary PowerShell, and say yes in the window that opens", "you alone"),
    }[whose]
    restart = store(whose).restart
    after = f"# Docker Desktop {restart.why}: {restart.command}\n" if restart else ""
    back = "".join(f"#   {line}\n" for line in remove(anchor, whose).splitlines())
    return (
        f"# Paste this into {scope}: {whom} will trust the registry {registry_host}.\n"
        f"# Authority, SHA-256: {colons(anchor.fingerprint)}\n"
        f"{add(anchor, whose)}{after}"
        f"# To see whether it is trusted:\n#   {find(anchor, whose)}\n# To undo it:\n{back}"
    )


def find(anchor: TrustAnchor, whose: str) -> str:
    """Return the command that shows whether the authority is trusted."""
    return _typed(_database(whose).find, anchor)


def remove(anchor: TrustAnchor, whose: str) -> str:
    """Return the commands that remove the trust, one a line."""
    return "\n".join(_typed(argv, anchor) for argv in _database(whose).remove)


def colons(fingerprint: str) -> str:
    """Return a fingerprint in hex in openssl's notation: AB:CD:…."""
    return ":".join(fingerprint[at : at + 2] for at in range(0, len(fingerprint), 2)).upper()


def _database(whose: str) -> Database:
    database = store(whose).database
    assert database  # noqa: S101 - both are
    return database


def _typed(argv: Iterable[str], anchor: TrustAnchor) -> str:
    filled = (word.format(file=_FILE, sha1=anchor.sha1, name=anchor.name) for word in argv)
    return " ".join(word if word == _FILE or _BARE.match(word) else literal(word) for word in filled)
