"""Reads just enough DER (X.690) to compare two certificates byte by byte, not as some library understands them."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY_IDS = {"551d0e", "551d23"}
"""Subject and authority key identifier (2.5.29.14 and .35): they follow from the keys, which differ."""

_EXTENSIONS = 0xA3
_SUBJECT = 5


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each value in a row of them."""
    while data:
        tag, size, start = data[0], data[1], 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(data[2:start], "big")
        yield tag, data[start : start + size]
        data = data[start + size :]


def _signed(path: Path) -> list[tuple[int, bytes]]:
    """Return the parts of a file's first certificate that its signature covers."""
    first = path.read_text().partition(ssl.PEM_FOOTER)[0] + ssl.PEM_FOOTER
    (_, certificate), *_ = _parts(ssl.PEM_cert_to_DER_cert(first))
    (_, signed), *_ = _parts(certificate)
    return list(_parts(signed))


def extensions(path: Path) -> list[tuple[str, bytes]]:
    """Return each extension's identifier in hex and all the bytes that follow it, criticality included."""
    (row,) = (content for tag, content in _signed(path) if tag == _EXTENSIONS)
    ((_, entries),) = _parts(row)
    found = []
    for _, entry in _parts(entries):
        (_, identifier), *_ = _parts(entry)
        found.append((identifier.hex(), entry[2 + len(identifier) :]))
    return found


def without_key_ids(path: Path) -> list[tuple[str, bytes]]:
    """Return the extensions that do not follow from a key."""
    return [(identifier, content) for identifier, content in extensions(path) if identifier not in KEY_IDS]


def subject(path: Path) -> bytes:
    """Return the bytes of a certificate's subject."""
    return _signed(path)[_SUBJECT][1]
