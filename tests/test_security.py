"""SECURITY.md's claims lead somewhere: each test that it names is there, each task that it tells to run exists."""

from __future__ import annotations

import re

import pytest

import tasks
from tests import stolen_key
from tests.conftest import ROOT

PAGE = (ROOT / "SECURITY.md").read_text()
TESTS = sorted(set(re.findall(r"`(tests/[\w/]+(?:\.py)?/?)`", PAGE)))
TASKS = sorted(set(re.findall(r"`\./inv ([a-z.]+)", PAGE)))


@pytest.mark.parametrize("path", TESTS)
def test_a_test_that_the_page_names_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("name", TASKS)
def test_a_task_that_the_page_tells_to_run_exists(name: str) -> None:
    assert tasks.ns[name]


def test_every_promise_names_its_test() -> None:
    promises = PAGE.partition("## What is promised")[2].partition("## What is not")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    assert [row for row in rows if "`tests/" not in row] == []


def test_the_page_is_read_at_all() -> None:
    assert {"cert", "trust.remove", "trust.hosts", "registry.user.add"} <= set(TASKS)
    assert "tests/e2e/test_attacks.py" in TESTS


def test_each_certificate_by_a_stolen_key_has_an_answer_of_each_client() -> None:
    rows = stolen_key.table()
    assert tuple(rows) == (*stolen_key.SERVERS, *stolen_key.USES)
    for row, cells in rows.items():
        assert {*cells.values()} <= {stolen_key.ACCEPTED, stolen_key.REFUSED, stolen_key.NOT_ASKED}, row
        assert len({*cells.values()} - {stolen_key.NOT_ASKED}) >= 1, row


def test_whatever_is_accepted_beyond_what_the_key_is_for_stands_out() -> None:
    rows = stolen_key.table()
    meant = [rows.pop(row) for row in stolen_key.MEANT]
    assert all({*cells.values()} == {stolen_key.ACCEPTED, stolen_key.NOT_ASKED} for cells in meant)
    beyond = [(row, client) for row, cells in rows.items() for client in cells if cells[client] == stolen_key.ACCEPTED]
    assert len(beyond) == PAGE.count("| **accepted** ") > 0
