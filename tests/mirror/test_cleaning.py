"""Plan of a cleaning: what nobody pulled for so many days goes, by repository, and what may have been pulled stays."""

from __future__ import annotations

import pytest

from trusted_registry.images.history import History, Pulls
from trusted_registry.images.inventory import Inventory
from trusted_registry.images.listing import Entry, Listing, Repository
from trusted_registry.mirror import cleaning
from trusted_registry.mirror.cleaning import Plan

DAY = 24 * 3600
NOW = 1000.0 * DAY
SHARED, OWN, ORPHAN = (f"sha256:{it * 64}" for it in "abc")
LONG_AGO = History(since=100 * DAY)


def _found(**days: float) -> Inventory:
    """Return two repositories that share a content, each fetched so many days ago, and a content of none."""
    blobs = {it: Entry(it, 10, 10, 0) for it in (SHARED, OWN, ORPHAN)}
    repositories = {
        name: Repository(revisions={SHARED: Entry("x", 1, 1, int(NOW - ago * DAY))}) for name, ago in days.items()
    }
    if "old" in repositories:
        repositories["old"].layers[OWN] = Entry("y", 1, 1, int(NOW - days["old"] * DAY))
    return Inventory(Listing(blobs=blobs, repositories=repositories))


def test_what_was_fetched_long_ago_goes_and_frees_what_nothing_that_stays_needs() -> None:
    plan = cleaning.plan(_found(old=60, new=2), LONG_AGO, 30, NOW)
    assert (set(plan.goes), set(plan.stays)) == ({"old"}, {"new"})
    assert plan.frees == 20  # its own, and that of none; not the shared one


def test_a_pull_by_tag_or_digest_keeps_a_repository() -> None:
    known = History(since=100 * DAY, pulls={"old": {"1": Pulls(NOW - DAY, 1)}})
    plan = cleaning.plan(_found(old=60), known, 30, NOW)
    assert plan.stays == {"old": "pulled in the last 30 days"}


def test_what_may_have_been_pulled_stays() -> None:
    for since in (0.0, NOW - 10 * DAY):
        plan = cleaning.plan(_found(old=60), History(since=since), 30, NOW)
        assert not plan.goes
        assert plan.stays["old"].startswith("pulls are known only since ")


def test_of_no_days_all_goes_and_of_nothing_only_what_a_kill_left() -> None:
    assert set(cleaning.plan(_found(old=1, new=1), History(), 0, NOW).goes) == {"old", "new"}
    plan = cleaning.plan(_found(new=1), LONG_AGO, 30, NOW)
    assert (plan.goes, plan.is_due) == ({}, True)
    clean = Inventory(Listing())
    assert not cleaning.plan(clean, LONG_AGO, 30, NOW).is_due


@pytest.mark.parametrize(
    ("stays", "said"),
    [
        ({}, "holds nothing"),
        ({"a": "pulled in the last 30 days"}, "nothing was unused for 30 days"),
        (
            {"a": "pulled in the last 30 days", "b": "pulls are known only since 2026-11-20 10:00"},
            "nothing was removed: pulls are known only since 2026-11-20 10:00",
        ),
    ],
)
def test_why_nothing_goes_is_said(stays: dict[str, str], said: str) -> None:
    assert cleaning.idle(Plan(stays=stays), 30) == said
