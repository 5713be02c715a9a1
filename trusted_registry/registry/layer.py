"""The layer of the project's own tiny images: random, so that no registry has a copy yet."""

from __future__ import annotations

import io
import secrets
import tarfile

TYPED = ("tar", "-C", "/etc", "-c", "hosts")
"""A command that makes a layer of one small file: by hand it need not be random."""


def random_tar() -> bytes:
    """Return a tar of one file of 64 random bytes.

    Nothing that was pushed before can answer in its place.
    """
    content = secrets.token_bytes(64)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("proof")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
