"""A container that ends while the engine is asked to change it: its end is what was wanted, and no error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.socket_engine import asking, serving
from trusted_registry.engine import ending
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.socket_engine import SocketEngine
    from trusted_registry.engine.docker_engine import DockerEngine

STOPPED = "cannot update a stopped container: unknown"
ENDED = "Container old is not running"


def _state(status: str) -> dict[str, object]:
    return {"Id": "0" * 64, "Name": "/old", "State": {"Status": status}, "Config": {}}


class _Ending(dict[str, object]):
    """Answers of an engine to which a container runs for as long as there is a change to refuse."""

    def __init__(self, there: SocketEngine, after: str) -> None:
        self.there, self.after = there, after

    def items(self) -> Any:  # noqa: ANN401 - as the mapping has them
        """Return the answers of this moment."""
        status = "running" if self.there.refused else self.after
        return {"/json": _state(status), "": {}}.items()


def _asked(
    folder: Path, change: Callable[[DockerEngine], None], *refusals: tuple[str, str], after: str = "exited"
) -> list[str]:
    """Return the changes that an engine was asked for, which refuses some of them, each with its words."""
    with serving(folder) as there, asking(there) as engine:
        there.refused = {f"(?#{number}){path}": words for number, (path, words) in enumerate(refusals)}
        there.answers = _Ending(there, after)
        change(engine)
        return [it.rpartition("/")[2] for it in there.asked if it.startswith("POST")]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "_PAUSE", 0.0)


UPDATE, KILL = ("/update", STOPPED), ("/kill", ENDED)


def test_one_that_ends_while_it_is_to_be_told_is_changed_once_the_engine_knows(tmp_path: Path) -> None:
    told = _asked(tmp_path, lambda it: it.drain("old"), UPDATE, UPDATE)
    assert told == ["update", "update", "update"]


def test_one_that_ends_before_the_signal_needs_none(tmp_path: Path) -> None:
    assert _asked(tmp_path, lambda it: it.drain("old"), KILL) == ["update", "kill"]


def test_one_that_is_to_be_kept_is_stopped_once_the_engine_knows(tmp_path: Path) -> None:
    assert _asked(tmp_path, lambda it: it.retire("old"), UPDATE) == ["update", "update", "stop"]


def test_a_refusal_that_goes_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"could not be told to end: .*a stopped container"):
        _asked(tmp_path, lambda it: it.drain("old"), *[UPDATE] * 40)


def test_a_signal_that_one_that_runs_does_not_take_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="could not be told to end"):
        _asked(tmp_path, lambda it: it.drain("old"), KILL, after="running")
