"""A clock that is set back is noticed, one that is not is not, and neither is forgotten or remembered for too long."""

from __future__ import annotations

import time

import pytest

from tests.e2e.clock import FUTURE, LATELY, Clock


class Hands:
    """Both clocks, to be moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.steady = 1_000_000.0, 100.0
        monkeypatch.setattr(time, "time", lambda: self.wall)
        monkeypatch.setattr(time, "monotonic", lambda: self.steady)

    def go(self, seconds: float, *, back: float = 0.0) -> None:
        """Let time pass, and the wall clock be set back meanwhile."""
        self.steady += seconds
        self.wall += seconds - back


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(monkeypatch)


def test_a_clock_that_was_set_back_is_remembered_for_a_while(hands: Hands) -> None:
    clock = Clock()
    clock.look()
    hands.go(1, back=2.5)
    assert clock.set_back() == pytest.approx(2.5)
    hands.go(LATELY / 2)
    assert clock.set_back() == pytest.approx(2.5)
    hands.go(LATELY)
    assert clock.set_back() == pytest.approx(0.0)


def test_a_clock_that_was_set_back_during_a_long_command_is_noticed(hands: Hands) -> None:
    clock = Clock()
    clock.look()
    hands.go(5 * LATELY, back=2.5)
    assert clock.set_back() == pytest.approx(2.5)


@pytest.mark.parametrize("back", [0.0, 0.01, -5.0], ids=["right", "read late", "set forward"])
def test_a_clock_that_goes_on_is_none_that_was_set_back(back: float, hands: Hands) -> None:
    clock = Clock()
    for _ in range(10):
        clock.look()
        hands.go(1, back=back if back < 0 else back / 10)
        assert clock.set_back() == 0.0


@pytest.mark.parametrize(
    "said",
    [
        "x509: certificate has expired or is not yet valid: current time 2026-11-23T22:14:47Z is before 2026-11-23T2…",
        "curl: (60) SSL certificate problem: certificate is not yet valid",
    ],
)
def test_a_certificate_from_the_future_is_known_by_what_clients_say(said: str) -> None:
    assert FUTURE.search(said)


def test_one_of_the_past_is_none() -> None:
    said = "x509: certificate has expired or is not yet valid: current time 2026-11-23T22:14:47Z is after 2026-…"
    assert not FUTURE.search(said)
