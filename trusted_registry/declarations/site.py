"""A site without a network, in one file."""

from __future__ import annotations

from trusted_registry.declarations.flag import FILE, REFERENCES, YES, switch, words
from trusted_registry.declarations.task import Task

pack = Task(
    "site.pack",
    "Pack all that a site without a network needs.",
    "site.pack",
    FILE,
    REFERENCES,
    words("python", "Versions of Python there, if another one than here: 3.11,3.13.", value="VERSION,VERSION"),
    switch("trust", "Keys and users too, encrypted: the same authority there."),
    YES,
    example="./inv site.pack site.tar",
)
