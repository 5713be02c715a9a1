"""Known faults of the registry's versions that concern a registry as this project runs one."""

from __future__ import annotations

import re
from dataclasses import dataclass

DATE = "2026-11-25"
"""Day on which the table was last compared with the project's releases."""

_DISTRIBUTION = "https://github.com/distribution/distribution"
_NUMBERS = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Fault:
    """A fault of versions from one up to another, the first in which the fault is mended; "" if none is known yet."""

    since: str
    until: str
    what: str
    link: str


KNOWN = (
    Fault(
        "2",
        "3.1.0",
        "a kill can leave a manifest empty; pushing again does not repair it, but this project's start script does",
        f"{_DISTRIBUTION}/issues/4489",
    ),
    Fault(
        "2",
        "3.1.0",
        "the time of an answer tells whether there is a user of that name",
        f"{_DISTRIBUTION}/commit/7ed654e0a",
    ),
    Fault(
        "3",
        "",
        "the catalog can lack a repository if another's name begins with its name",
        f"{_DISTRIBUTION}/commit/77e035196",
    ),
)


def find(version: str) -> list[Fault]:
    """Return the known faults of a version, such as 2.8.2+ds1; none of an unknown one."""
    number = _number(version)
    if not number:
        return []
    return [it for it in KNOWN if _number(it.since) <= number and (not it.until or number < _number(it.until))]


def _number(version: str) -> tuple[int, ...]:
    """Return the first three numbers of a version; a distribution's additions are left out."""
    return tuple(map(int, _NUMBERS.findall(re.split(r"[+~-]", version)[0])[:3]))
