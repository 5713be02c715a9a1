"""Proof of trust by a pull with each client."""

from __future__ import annotations

from collections.abc import Sequence

from trusted_registry.errors import RegistryError
from trusted_registry.report import Report, Table
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.trust.local import check
from trusted_registry.trust.specifics import pulls
from trusted_registry.values import one_of


def check_pulls(run: Run, *, only: Sequence[str] = ()) -> Report:
    """Pull with every client of this machine, or with the named ones, and report the pulls; none in a dry run.

    Raises:
        SettingError: A name is no client's.
    """
    for name in only:
        one_of("--only", name, pulls.NAMES)
    found = check.check(run, only)
    return report(found, run.settings) if found else Report([])


def report(found: Sequence[check.PullResult], settings: Settings) -> Report:
    """Report pulls, and whether each client that should trust did pull."""
    return Report([_as_dict(pull) for pull in found], _table(found, settings), _remarks(found), _failure(found))


def _table(rows: Sequence[check.PullResult], settings: Settings) -> Table:
    """Return a table with equal results for several registry hosts in one row."""
    merged: dict[tuple[str, ...], list[str]] = {}
    for pull in rows:
        if pull.verdict is not pulls.Verdict.ABSENT or pull.bad:
            key = (f"{pull.client} {pull.version}".strip(), pull.verdict.value, _why(pull))
            merged.setdefault(key, []).append(pull.registry_host)
    shown = [[who, ", ".join(filter(None, hosts)), result, why] for (who, result, why), hosts in merged.items()]
    return Table(f"Pulls from {settings.registry_host}", ["Client", "Registry", "Result", "Why, and what to do"], shown)


def _why(pull: check.PullResult) -> str:
    if pull.verdict is pulls.Verdict.REFUSED and not pull.counts:
        return f"nobody asked for it: {pull.cure}"
    return "\n".join(filter(None, (pull.reason, pull.cure)))


def _remarks(rows: Sequence[check.PullResult]) -> list[str]:
    """Return remarks for below the table: absent clients, and those whose result does not count."""
    away = [pull for pull in rows if pull.verdict is pulls.Verdict.ABSENT and not pull.bad]
    unasked: dict[str, list[str]] = {}
    for pull in away:
        unasked.setdefault(pull.reason, []).append(pull.client)
    absent = unasked.pop("", [])
    uncounted = [pull for pull in rows if not pull.counts and pull.verdict is not pulls.Verdict.ABSENT]
    idle = list(dict.fromkeys(pull.client for pull in uncounted))
    lines = [f"not here: {', '.join(absent)}"] if absent else []
    lines += [f"not asked: {', '.join(names)}: {reason}" for reason, names in unasked.items()]
    if any(pull.verdict in (pulls.Verdict.REFUSED, pulls.Verdict.FAILED) for pull in uncounted):
        names, counts = ", ".join(idle), f"--only {idle[0]} makes it count"
        lines.append(f"{names}: not set up to trust it, so they do not count; {counts}")
    return lines


def _as_dict(pull: check.PullResult) -> dict[str, object]:
    return {
        "client": pull.client,
        "version": pull.version,
        "registry": pull.registry_host,
        "result": pull.verdict.value,
        "counts": pull.counts,
        "reason": pull.reason,
        "cure": pull.cure,
    }


def _failure(rows: Sequence[check.PullResult]) -> RegistryError | None:
    """Return the error if a client that should trust did not pull, or no client should."""
    bad = list(dict.fromkeys(pull.client for pull in rows if pull.bad))
    if bad:
        first = next(pull for pull in rows if pull.bad)
        cure = first.cure or f"See why: ./inv trust.check --only {first.client}"
        return RegistryError(f"These should have pulled and did not: {', '.join(bad)}.", cure=cure)
    if any(pull.counts and pull.verdict is pulls.Verdict.ACCEPTED for pull in rows):
        return None
    if skipped := next((pull for pull in rows if pull.counts and pull.verdict is pulls.Verdict.UNVERIFIED), None):
        why = f"the engine verifies nothing at {skipped.registry_host}: {skipped.reason}"
        cure = skipped.cure or "./inv trust.insecure --remove"
        return RegistryError(f"No pull here proves trust: {why}.", cure=cure)
    cure = "./inv trust.linux; --system for curl and its like"
    return RegistryError("No client here is set up to trust the registry.", cure=cure)
