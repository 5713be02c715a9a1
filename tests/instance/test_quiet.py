"""What `up` says where nobody watches: a dozen lines of what was done, a proof each time, and commands on request."""

from __future__ import annotations

import dataclasses
import io
import shutil
import textwrap
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.fake_engine import FakeEngine
from tests.fake_images import IMAGE
from trusted_registry import address, run_log, terminal
from trusted_registry.certificate import issue
from trusted_registry.engine import engine as engines
from trusted_registry.engine import membership
from trusted_registry.errors import RegistryError
from trusted_registry.instance import ports
from trusted_registry.registry import prove
from trusted_registry.run import Run
from trusted_registry.tasks import cert, lifecycle
from trusted_registry.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.settings import Settings

MOST = 13
"""Rows, of 15 that are promised: two are spare, one of them for a login."""
COLUMNS = 80


NAME = "registry-of-ours.example.org"
"""This machine's own name, of which a new authority tells."""
FIRST = ("certificate: made", f"own name: the authority may vouch for {NAME}")
"""Beginnings of what only the first `up` says."""


@pytest.fixture(autouse=True)
def engine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine on which nothing runs yet."""
    made = FakeEngine(settings.folder / "domain.crt", images=(IMAGE, settings.front_image))
    monkeypatch.setattr(engines, "connect", lambda *_, **__: made)
    monkeypatch.setattr(address, "own_addresses", lambda: (settings.address,))
    monkeypatch.setattr(address, "own_name", lambda: NAME)
    monkeypatch.setattr(terminal, "_SAY_AFTER", 600.0)  # a busy machine makes a key for longer, which is a line more
    monkeypatch.setattr(prove, "forget", lambda *_, **__: None)  # the fake's images are at no server
    yield made
    made.end()


def _up(settings: Settings, *, echo: bool = False, log: run_log.RunLog | None = None) -> list[str]:
    out = io.StringIO()
    lifecycle.up(Run(settings, Terminal(out=out, echo=echo, log=log)))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("front", [True, False], ids=["behind a front", "alone"])
@pytest.mark.parametrize("entered", ["", "yes"], ids=["any shell", "a shell older than the membership"])
@pytest.mark.parametrize("bare", [True, False], ids=["nothing was made yet", "there is a certificate"])
def test_up_is_few_rows_of_80_columns_and_proves_each_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, entered: str, *, bare: bool, front: bool
) -> None:
    monkeypatch.setenv(membership.ENTERED, entered)
    if front:
        kept = {"front": "on"}
        settings = dataclasses.replace(settings, front=True, saved_flags=kept)
    monkeypatch.chdir(settings.root)  # as a person does: paths are short
    if bare:
        shutil.rmtree(settings.folder)
    for made in (bare, False):
        said = _up(settings)
        settings = dataclasses.replace(settings, saved_flags_before=settings.saved_flags if front else {})
        rows = [row for line in said for row in textwrap.wrap(line, COLUMNS) or [""]]
        assert (len(rows) <= MOST, [line.partition(" ")[0] for line in said].count("proof:")) == (True, 1), said
        assert not [line for line in said if line.startswith("$ ") or "│" in line]
        assert [any(line.startswith(start) for line in said) for start in FIRST] == [made, made], said
    assert "Nothing had to be changed." in said


def test_an_up_after_one_that_was_cut_short_looks_for_containers_that_the_engine_lost(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, engine: FakeEngine
) -> None:
    monkeypatch.setattr(ports, "lost_containers", lambda _engine: [678])
    _up(settings)
    engine.remove(settings.container)
    (settings.folder / lifecycle.UNPROVED).touch()
    with pytest.raises(RegistryError, match="lost it"):
        _up(settings)
    assert engine.container is None
    monkeypatch.setattr(ports, "lost_containers", lambda _engine: [])
    assert "proof:" in "".join(_up(settings))


def test_a_first_up_whose_certificate_fails_leaves_nothing_to_purge(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, engine: FakeEngine
) -> None:
    def fail(_: Run) -> NoReturn:
        raise RegistryError("no certificate", cure="")

    shutil.rmtree(settings.folder)
    monkeypatch.setattr(issue, "bring_up_to_date", fail)
    with pytest.raises(RegistryError, match="no certificate"):
        _up(settings)
    assert (engine.container, engine.files) == (None, {})
    assert not (settings.folder / lifecycle.UNPROVED).exists()


def test_the_commands_come_with_echo_and_the_log_has_the_same(settings: Settings) -> None:
    log = run_log.RunLog()
    log.begin("up", settings.folder)
    shown = [line.removeprefix("$ ") for line in _up(settings, echo=True, log=log) if line.startswith("$ ")]
    log.save()
    kept = (settings.folder / run_log.NAME).read_text().splitlines()
    assert shown
    assert [line for line in kept if not line.startswith("#")] == shown


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("192.168.0.12",), "192.168.0.12"),
        (("192.168.0.12", "a.local"), "192.168.0.12, a.local"),
        (("192.168.0.12", "a.local", "registry.example.org", "b"), "192.168.0.12, a.local and 2 more"),
        (("x" * 60, "b"), f"{'x' * 60} and 1 more"),
    ],
)
def test_as_many_names_are_told_as_fit_in_a_line(names: tuple[str, ...], shown: str) -> None:
    assert cert.shortened(names) == shown
