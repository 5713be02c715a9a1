"""A proof leaves nothing in the storage, and takes nothing of anybody else's with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fake_engine import NAME, FakeEngine, container
from trusted_registry.engine.types import ExecResult
from trusted_registry.images import traces
from trusted_registry.registry.prove import REPOSITORY as PROOF

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.images.storages import MadeStorage

pytestmark = pytest.mark.process


class _Engine(FakeEngine):
    """An engine in whose container this machine's programs run."""

    def run_in(self, name: str, argv: Sequence[str]) -> ExecResult:
        """Run a program where the storage is."""
        said = b"".join(self.stream(name, [*argv[:2], f"(\n{argv[2]}\n)\necho $?", *argv[3:]], bytearray())).decode()
        return ExecResult(int(said.splitlines()[-1]) if said.strip() else 1, said, "")


@pytest.fixture
def engine(made: MadeStorage) -> FakeEngine:
    """An engine whose registry has that storage."""
    found = _Engine()
    found.container = container()
    found.storage = made.folder
    return found


def _files(made: MadeStorage) -> list[Path]:
    return sorted(it for it in made.root.rglob("*") if it.is_file())


def test_nothing_of_a_proof_is_left_and_all_of_others_is(made: MadeStorage, engine: FakeEngine) -> None:
    made.image("app", "1")
    before, folders = _files(made), sorted(it for it in made.root.glob("repositories/*"))
    digest = made.image(PROOF, "0a1b2c3d", "random")
    assert traces.remove(f"192.168.0.12/{PROOF}:0a1b2c3d", digest, NAME, engine)
    assert _files(made) == before
    assert sorted(made.root.glob("repositories/*")) == folders


def test_another_proof_that_is_under_way_is_left_alone(made: MadeStorage, engine: FakeEngine) -> None:
    other = made.image(PROOF, "11111111", "other")
    before = _files(made)
    digest = made.image(PROOF, "0a1b2c3d", "random")
    assert traces.remove(f"192.168.0.12/{PROOF}:0a1b2c3d", digest, NAME, engine)
    assert _files(made) == before
    assert made.revision_link(PROOF, other).is_file()


@pytest.mark.parametrize("digest", ["", f"sha256:{'1' * 64}", f"sha512:{'1' * 128}"])
def test_what_is_not_there_is_not_said_to_be_gone(digest: str, made: MadeStorage, engine: FakeEngine) -> None:
    made.image("app", "1")
    before = _files(made)
    assert not traces.remove(f"192.168.0.12/{PROOF}:0a1b2c3d", digest, NAME, engine)
    assert _files(made) == before


def test_a_registry_that_does_not_run_is_no_error(engine: FakeEngine) -> None:
    engine.retire(NAME)
    assert not traces.remove(f"192.168.0.12/{PROOF}:0a1b2c3d", f"sha256:{'1' * 64}", NAME, engine)
