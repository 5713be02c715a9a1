"""Encryption with a passphrase, in the form that the program age reads (age-encryption.org/v1, C2SP/age.md).

Encryption is written here to save memory: pyrage, which decrypts, takes half a gibibyte to encrypt, a fixed amount.
"""

from __future__ import annotations

import base64
import os
import re

from trusted_registry.errors import RegistryError

_VERSION = b"age-encryption.org/v1"
_WORK = 16
"""Logarithm of scrypt's cost: 64 MiB, a tenth of a second (OWASP, Password Storage Cheat Sheet)."""
_MOST_WORK = 18
"""The same of a file that is read, which is what age itself chooses: 256 MiB."""
_CHUNK = 64 << 10
_SCRYPT = re.compile(_VERSION + rb"\n-> scrypt [A-Za-z0-9+/]{22} ([1-9][0-9]?)\n")


def encrypt(content: bytes, words: str) -> bytes:
    """Encrypt a content with a passphrase."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    key, salt, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
    wrapping = Scrypt(salt=_VERSION + b"/scrypt" + salt, length=32, n=1 << _WORK, r=8, p=1).derive(words.encode())
    wrapped = ChaCha20Poly1305(wrapping).encrypt(bytes(12), key, None)
    header = b"\n".join((_VERSION, b"-> scrypt %s %d" % (_base64(salt), _WORK), _base64(wrapped), b"---"))
    return b"%s %s\n%s" % (
        header,
        _base64(_mac(key, header)),
        nonce + _payload(content, _derived(key, nonce, b"payload")),
    )


def _mac(key: bytes, header: bytes) -> bytes:
    import hashlib
    import hmac

    return hmac.new(_derived(key, b"", b"header"), header, hashlib.sha256).digest()


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(hashes.SHA256(), length=32, salt=salt, info=info).derive(key)


def _payload(content: bytes, key: bytes) -> bytes:
    """Return the chunks, each with a number, and the last with a mark, so that none can be left out or moved."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    cipher = ChaCha20Poly1305(key)
    chunks = [content[at : at + _CHUNK] for at in range(0, len(content), _CHUNK)] or [b""]
    numbered = (
        (number.to_bytes(11, "big") + bytes([number == len(chunks) - 1]), it) for number, it in enumerate(chunks)
    )
    return b"".join(cipher.encrypt(nonce, it, None) for nonce, it in numbered)


def _base64(content: bytes) -> bytes:
    return base64.b64encode(content).rstrip(b"=")


def decrypt(content: bytes, words: str) -> bytes | None:
    """Return the decrypted content; None if the passphrase is another one, or the file was changed.

    Raises:
        RegistryError: The content was not encrypted with a passphrase, or takes more memory to decrypt than a backup.
    """
    import pyrage

    found = _SCRYPT.match(content)
    if not found:
        raise RegistryError("What is encrypted in the archive has no passphrase.", cure="age --decrypt secrets.age")
    if int(found[1]) > _MOST_WORK:
        wrong = f"To try its passphrase takes {1 << int(found[1]) - 10} MiB of memory, more than a backup needs."
        raise RegistryError(wrong, cure="Use a backup that you made yourself.")
    try:
        return bytes(pyrage.passphrase.decrypt(content, words))
    except pyrage.DecryptError:
        return None
