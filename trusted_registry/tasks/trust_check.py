"""Proof of trust by a pull with each client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trusted_registry import address
from trusted_registry.errors import RegistryError
from trusted_registry.report import Report, Table
from trusted_registry.trust.local import check
from trusted_registry.trust.specifics import pulls
from trusted_registry.trust.specifics.pulls import Verdict
from trusted_registry.values import one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trusted_registry.run import Run
    from trusted_registry.settings import Settings
    from trusted_registry.trust.local.check import PullResult


def check_pulls(run: Run, *, only: Sequence[str] = ()) -> Report:
    """Pull with every client of this machine, or with the named ones, and report the pulls; none in a dry run.

    Raises:
        SettingError: A name is no client's.
    """
    for name in only:
        one_of("--only", name, pulls.NAMES)
    found = check.check(run, only)
    return report(found, run.settings) if found else Report([])


def report(found: Sequence[PullResult], settings: Settings) -> Report:
    """Report pulls, and whether each client that should trust did pull."""
    return Report([_as_dict(pull) for pull in found], _table(found, settings), _remarks(found), _failure(found))


def _table(rows: Sequence[PullResult], settings: Settings) -> Table:
    """Return a table with equal results for several registry hosts in one row."""
    merged: dict[tuple[str, ...], list[str]] = {}
    for pull in rows:
        if pull.verdict is not Verdict.ABSENT or pull.bad:
            key = (f"{pull.client} {pull.version}".strip(), pull.verdict.value, _why(pull))
            merged.setdefault(key, []).append(pull.registry_host)
    shown = [
        [who, ", ".join(filter(None, registry_hosts)), result, why]
        for (who, result, why), registry_hosts in merged.items()
    ]
    title = f"Pulls from {address.registry_host(settings.address, settings.port)}"
    return Table(title, ["Client", "Registry", "Result", "Why, and what to do"], shown)


def _why(pull: PullResult) -> str:
    if pull.verdict is Verdict.REFUSED and not pull.counts:
        return f"nobody asked for it: {pull.cure}"
    return "\n".join(filter(None, (pull.reason, pull.cure)))


def _remarks(rows: Sequence[PullResult]) -> list[str]:
    """Return remarks for below the table: absent clients, and those whose result does not count."""
    away = [pull for pull in rows if pull.verdict is Verdict.ABSENT and not pull.bad]
    absent = [pull.client for pull in away if not pull.reason]
    unasked: dict[str, list[str]] = {}
    for pull in away:
        if pull.reason:
            unasked.setdefault(pull.reason, []).append(pull.client)
    idle = list(dict.fromkeys(pull.client for pull in rows if not pull.counts and pull.verdict is not Verdict.ABSENT))
    lines = [f"not here: {', '.join(absent)}"] if absent else []
    lines += [f"not asked: {', '.join(names)}: {reason}" for reason, names in unasked.items()]
    if any(not pull.counts and pull.verdict in (Verdict.REFUSED, Verdict.FAILED) for pull in rows):
        lines.append(f"{', '.join(idle)}: trust was not asked for, so they do not count; --only {idle[0]} would insist")
    return lines


def _as_dict(pull: PullResult) -> dict[str, object]:
    return {
        "client": pull.client,
        "version": pull.version,
        "registry": pull.registry_host,
        "result": pull.verdict.value,
        "counts": pull.counts,
        "reason": pull.reason,
        "cure": pull.cure,
    }


def _failure(rows: Sequence[PullResult]) -> RegistryError | None:
    """Return the error if a client that should trust did not pull, or no client should."""
    bad = list(dict.fromkeys(pull.client for pull in rows if pull.bad))
    if bad:
        first = next(pull for pull in rows if pull.bad)
        cure = first.cure or f"See why: ./inv trust.check --only {first.client}"
        return RegistryError(f"These should have pulled, and did not: {', '.join(bad)}.", cure=cure)
    if any(pull.counts and pull.verdict is Verdict.ACCEPTED for pull in rows):
        return None
    if skipped := next((pull for pull in rows if pull.counts and pull.verdict is Verdict.UNVERIFIED), None):
        return RegistryError(
            f"No pull here proves trust: the engine verifies nothing at {skipped.registry_host}: {skipped.reason}.",
            cure=skipped.cure or "./inv trust.insecure --remove",
        )
    return RegistryError(
        "No client here was asked to trust the registry.", cure="./inv trust.linux; --system for curl and its like"
    )
