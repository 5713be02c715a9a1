"""What people copy to a client by hand: our authority among others, or in other words, and what only looks like it."""

from __future__ import annotations

import base64
import ssl
import textwrap

from cryptography.hazmat.primitives import serialization

from tests import forge

_BEGIN, _END = f"{ssl.PEM_HEADER}\n", f"{ssl.PEM_FOOTER}\n"


def _another() -> str:
    return forge.authority().certificate.public_bytes(serialization.Encoding.PEM).decode()


def _body(pem: str) -> str:
    return pem.removeprefix(_BEGIN).removesuffix(_END)


def accepted(pem: str) -> dict[str, str]:
    """Return forms that Go and OpenSSL take the certificate from."""
    wide = "".join(_body(pem).split())
    text = "Certificate:\n    Data:\n        Version: 3 (0x2)\n"
    return {
        "ours, then another": pem + _another(),
        "another, then ours": _another() + pem,
        "line ends of Windows": pem.replace("\n", "\r\n"),
        "as openssl x509 -text prints it": text + pem,
        "without the last line end": pem.removesuffix("\n"),
        "blanks after the lines": pem.replace("\n", " \t\n"),
        "a comment and an empty line": f"# from the registry's machine\n\n{pem}\n",
        "76 letters in a line": _BEGIN + "\n".join(textwrap.wrap(wide, 76)) + "\n" + _END,
    }


def refused(pem: str) -> dict[str, bytes]:
    """Return what is not the certificate to a client, though much of it is."""
    der = ssl.PEM_cert_to_DER_cert(pem)
    changed = base64.b64encode(der[:-1] + bytes([der[-1] ^ 1])).decode()
    trusted = pem.replace("BEGIN CERT", "BEGIN TRUSTED CERT").replace("END CERT", "END TRUSTED CERT")
    return {
        "another's": _another().encode(),
        "nothing": b"",
        "DER": der,
        "a byte of it changed": f"{_BEGIN}{changed}\n{_END}".encode(),
        "half of it": pem.encode()[: len(pem) // 2],
        "OpenSSL's own form": trusted.encode(),
        "indented": textwrap.indent(pem, "  ").encode(),
        "a byte order mark before it": f"\ufeff{pem}".encode(),
        "its text in a comment": pem.replace("\n", "\n# ").encode(),
        "with a header": pem.replace(_BEGIN, f"{_BEGIN}Proc-Type: 4,ENCRYPTED\n\n").encode(),
    }
