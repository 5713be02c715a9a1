"""The pages as a reader meets them: short enough, linked with each other, and typed whole without harm."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import PAGES, README, ROOT, TEXTS, commands, split, tasks

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LINKING = [*PAGES, ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"]
LONGEST = 150
"""Lines of a README that is read in one sitting."""
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
STARTS: dict[str, dict[str, object]] = {
    "up": {"registry": "tls", "trusted": True},
    "registry.tls": {"registry": "tls"},
    "registry.basic": {"registry": "plain"},
    "registry.stop": {"registry": None},
    "down": {"registry": None},
    "trust.linux": {"trusted": True},
    "trust.remove": {"trusted": False, "insecure": False},
    "registry.user.add": {"users": True},
    "registry.user.remove": {"users": False},
}
"""What a task leaves behind, of what a reader cares about at the end of a page."""


def _state_after(lines: Iterable[str]) -> dict[str, object]:
    """Return what a machine is like on which `up` has run and then each of these lines was typed."""
    state: dict[str, object] = {"registry": "tls", "trusted": True, "insecure": False, "users": False}
    for line in lines:
        _, words = split(line)
        for task in [] if "--dry" in words else tasks(words):
            insecure = {"insecure": "--remove" not in words} if task == "trust.insecure" else {}
            state |= STARTS.get(task, {}) | insecure
    return state


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len(TEXTS[README].splitlines()) <= LONGEST


def test_every_page_of_docs_has_its_line_in_the_readme() -> None:
    assert [page.name for page in PAGES[1:] if f"](docs/{page.name})" not in TEXTS[README]] == []


def _anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as a hosting site makes them of their words."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", it.lower()).replace(" ", "-") for it in headings}


@pytest.mark.parametrize("page", LINKING, ids=lambda it: it.name)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    broken = []
    for link in (it for it in LINK.findall(CODE.sub("", page.read_text())) if "://" not in it):
        path, _, anchor = link.partition("#")
        there = page.parent / path if path else page
        if not there.exists() or (anchor and anchor not in _anchors(there.read_text())):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda it: it.name)
def test_who_typed_a_page_from_top_to_bottom_has_the_registry_as_before(page: Path) -> None:
    assert _state_after(commands(page)) == _state_after([])


def test_who_typed_the_readme_from_top_to_bottom_has_a_trusted_registry_with_a_user() -> None:
    assert _state_after(commands(README)) == _state_after([]) | {"users": True}


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("./inv trust.remove", {"trusted": False}),
        ("./inv registry.stop", {"registry": None}),
        ("./inv trust.insecure", {"insecure": True}),
        ("./inv registry.user.add ada", {"users": True}),
    ],
)
def test_a_page_that_ends_with_such_a_line_is_told_from_one_that_does_not(line: str, left: dict[str, object]) -> None:
    assert _state_after([line]) == _state_after([]) | left
    assert _state_after(["./inv --dry up", line.replace("./inv", "./inv --dry")]) == _state_after([])


def test_a_registry_without_tls_is_started_only_where_the_one_before_is_stopped() -> None:
    lines = commands(ROOT / "docs/from-the-document.md")
    plain = [at for at, line in enumerate(lines) if "registry.basic" in line]
    assert [lines[at - 1] for at in plain] == ["./inv registry.stop"] * len(plain)
    assert len(plain) > 1
