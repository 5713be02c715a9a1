"""The fake engine under the names of tests that are being rewritten; what is here goes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fake_engine import FakeEngine, container
from tests.fake_images import IMAGE
from trusted_registry.errors import PortTakenError

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.engine.protocol import Engine

__all__ = ["IMAGE", "FakeImages", "OnLoopback", "as_engine", "container"]


class OnLoopback(FakeEngine):
    """An engine whose port, and whose volumes, others can be said to hold."""

    shows_before: Path | None = None

    def __init__(self, shows: Path | None = None, holder: str | None = None, users: Path | None = None) -> None:
        super().__init__(shows, users=users)
        self.held: dict[str, list[str]] = {}
        self._holder = holder

    @property
    def port_is_taken(self) -> bool:
        """Whether the port is refused, though no container of this engine has it."""
        return bool(self.refuses)

    @port_is_taken.setter
    def port_is_taken(self, taken: bool) -> None:
        self.refuses = PortTakenError("Port is in use.", cure="") if taken else None

    def publisher_of(self, port: int) -> str | None:
        return self._holder or super().publisher_of(port)

    def holders(self, volume: str) -> list[str]:
        return [*super().holders(volume), *self.held.get(volume, [])]


def as_engine(engine: FakeEngine) -> Engine:
    """Return the engine."""
    return engine


class FakeImages(FakeEngine):
    """An engine with images by name or id, and what each other source would give."""

    def __init__(self, *present: str, pulls: bool = False, loads: tuple[str, ...] = ()) -> None:
        super().__init__(images=(), remote=(IMAGE,) if pulls else ())
        self.images = {name: name for name in present}
        self._loads = loads

    def load(self, archive: Path) -> list[str]:
        self.done.append(f"load {archive.name}")
        return list(self._loads)
