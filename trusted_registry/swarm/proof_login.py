"""Login of proofs on a swarm: made from the installation's secret, so that a proof changes no file of the swarm.

Whoever has that secret has every other one beside it. The name is one that no list of users shows.
"""

from __future__ import annotations

import functools
import hashlib
import hmac

from trusted_registry.registry.users import Login

NAME = "trusted-registry-proof.swarm"
_COST = b"$2b$04$"
"""Form and cost of the hash: the password is 256 bits that nobody guesses."""


def derived(secret: str, purpose: str) -> str:
    """Return 256 bits in hex that only those know who have the installation's secret."""
    return hmac.new(secret.encode(), f"swarm {purpose}".encode(), hashlib.sha256).hexdigest()


def login(secret: str, known: bytes) -> Login:
    """Return the login, which only a registry takes that has read the very users' file of some content."""
    return Login(NAME, derived(secret, f"password {hashlib.sha256(known).hexdigest()}"))


@functools.cache
def line(secret: str, known: bytes) -> bytes:
    """Return its line in the users' file, the same each time."""
    import bcrypt

    # Letters of hex are also some of bcrypt's own base64, in which a salt has 22, the last of two bits.
    salt = f"{derived(secret, 'salt')[:21]}.".encode()
    return f"{NAME}:{bcrypt.hashpw(login(secret, known).password.encode(), _COST + salt).decode()}\n".encode()
