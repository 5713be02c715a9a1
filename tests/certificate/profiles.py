"""The certificates that the tests of both makers have made."""

from __future__ import annotations

from trusted_registry.certificate import profile

ADDRESS = "192.168.0.12"
NAMES = ("registry.local", "localhost")
ADDRESSES = (ADDRESS, "fd00::12", "203.0.113.7", "127.0.0.1", "::1")
AUTHORITY = profile.Authority(
    subject="trusted-registry authority box 2026-01-02 abcd",
    issuer="trusted-registry issuer box 2026-01-02 abcd",
    dns=("localhost", "local", "registry.example"),
    networks=(*profile.PRIVATE_RANGES, "203.0.113.7/32", "2001:db8::7/128"),
    key="ec:P-256",
    days=3650,
)


def planned(key: str = "ec:P-256") -> profile.Profile:
    """Return what to make, with a server key of some kind."""
    return profile.Profile(profile.Server(ADDRESS, NAMES, ADDRESSES, key, 365), AUTHORITY)
