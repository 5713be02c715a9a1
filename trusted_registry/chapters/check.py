"""The proof of trust, client by client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trusted_registry import address
from trusted_registry.errors import RegistryError
from trusted_registry.settings import one_of
from trusted_registry.trust.clients import pulls
from trusted_registry.trust.clients.pulls import Verdict
from trusted_registry.trust.local import check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trusted_registry.edge import Edge
    from trusted_registry.settings import Settings
    from trusted_registry.trust.local.check import Row


def pulled(settings: Settings, edge: Edge, only: str) -> list[Row]:
    """Have the clients of this machine pull, all of them or those that are named; nothing in a dry run."""
    names = tuple(one_of("--only", part.strip(), pulls.NAMES) for part in only.split(",")) if only else ()
    return check.check(settings, edge, names)


def table(rows: Sequence[Row], settings: Settings) -> tuple[str, list[str], list[list[str]]]:
    """Return title, columns and rows of a table: what is the same for several spellings is said once."""
    merged: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        if row.verdict is not Verdict.ABSENT or row.bad:
            key = (f"{row.client} {row.version}".strip(), row.verdict.value, _why(row))
            merged.setdefault(key, []).append(row.spelling)
    shown = [[who, ", ".join(filter(None, spellings)), result, why] for (who, result, why), spellings in merged.items()]
    title = f"Pulls from {address.reference(settings.address, settings.port)}"
    return title, ["Client", "Registry", "Result", "Why, and what to do"], shown


def _why(row: Row) -> str:
    if row.verdict is Verdict.REFUSED and not row.counts:
        return f"nobody asked for it: {row.cure}"
    return "\n".join(filter(None, (row.reason, row.cure)))


def remarks(rows: Sequence[Row]) -> list[str]:
    """Return what is to be said under the table: who is not here, and who does not count."""
    away = [row for row in rows if row.verdict is Verdict.ABSENT and not row.bad]
    absent = [row.client for row in away if not row.reason]
    unasked: dict[str, list[str]] = {}
    for row in away:
        if row.reason:
            unasked.setdefault(row.reason, []).append(row.client)
    idle = list(dict.fromkeys(row.client for row in rows if not row.counts and row.verdict is not Verdict.ABSENT))
    said = [f"not here: {', '.join(absent)}"] if absent else []
    said += [f"not asked: {', '.join(names)}: {reason}" for reason, names in unasked.items()]
    if any(not row.counts and row.verdict in (Verdict.REFUSED, Verdict.FAILED) for row in rows):
        said.append(f"{', '.join(idle)}: trust was not asked for, so they do not count; --only {idle[0]} would insist")
    return said


def as_json(rows: Sequence[Row]) -> str:
    """Return the rows as JSON, with a final newline."""
    found = [
        {
            "client": row.client,
            "version": row.version,
            "registry": row.spelling,
            "result": row.verdict.value,
            "counts": row.counts,
            "reason": row.reason,
            "cure": row.cure,
        }
        for row in rows
    ]
    return json.dumps(found, indent=2) + "\n"


def insist(rows: Sequence[Row]) -> None:
    """Insist that every client that should trust does, and that there is one.

    Raises:
        RegistryError: One does not, or there is none.
    """
    bad = list(dict.fromkeys(row.client for row in rows if row.bad))
    if bad:
        first = next(row for row in rows if row.bad)
        cure = first.cure or f"See why: ./inv trust.check --only {first.client}"
        raise RegistryError(f"These should have pulled, and did not: {', '.join(bad)}.", cure=cure)
    if not any(row.counts and row.verdict is Verdict.ACCEPTED for row in rows):
        raise RegistryError(
            "No client here was asked to trust the registry.", cure="./inv trust.linux; --system for curl and its like"
        )
