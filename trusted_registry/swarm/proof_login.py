"""Login of proofs on a swarm: made from the installation's secret, so that a proof changes no file of the swarm.

Whoever has that secret has every other one beside it. The name is one that no list of users shows.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac

from trusted_registry.registry.users import Login

NAME = "trusted-registry-proof.swarm"
_COST = b"$2b$04$"
"""Form and cost of the hash: the password is 256 bits that nobody guesses."""


def derived(secret: str, purpose: str) -> bytes:
    """Return 256 bits that only those know who have the installation's secret."""
    return hmac.new(secret.encode(), f"swarm {purpose}".encode(), hashlib.sha256).digest()


def login(secret: str) -> Login:
    """Return the login."""
    return Login(NAME, base64.urlsafe_b64encode(derived(secret, "password")).decode())


@functools.cache
def line(secret: str) -> bytes:
    """Return its line in the users' file, the same each time."""
    import bcrypt

    alphabet = bytes.maketrans(
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    )
    # 22 letters of bcrypt's own base64; the last has but two bits.
    salt = base64.b64encode(derived(secret, "salt")[:16]).rstrip(b"=").translate(alphabet)
    return f"{NAME}:{bcrypt.hashpw(login(secret).password.encode(), _COST + salt).decode()}\n".encode()
