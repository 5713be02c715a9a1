"""An archive of a storage with one of each kind of image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.recorder import Recorder
from trusted_registry.archives import saving, source
from trusted_registry.archives.layout import About
from trusted_registry.images import inventory
from trusted_registry.images.volume import VolumeStorage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fake_engine import FakeEngine
    from tests.images.storages import MadeStorage

ABOUT = About(1.0, "192.0.2.9", "0" * 32, "f" * 64)


def fill(made: MadeStorage) -> dict[str, str]:
    """Put images that share a layer, an index, signatures, and a manifest without a tag; return digests."""
    one = made.image("app", "1", "a")
    made.image("app", "same", "a")
    children = {"amd64": made.image("multi", "", "c"), "arm64": made.image("multi", "", "d")}
    return {
        "one": one,
        **children,
        "index": made.index("multi", "1", children),
        "alone": made.image("team/app", "", "e"),
        "shared": made.image("other", "1", "a"),
        "signature": made.signature("app", one, tagged=True),
        "subject": made.signature("app", one, tagged=False),
    }


def found(engine: FakeEngine) -> inventory.Inventory:
    """Return all images of a fake engine's registry."""
    return inventory.find(VolumeStorage("registry", engine), sizes=True)


def save(path: Path, made: MadeStorage, engine: FakeEngine, base: frozenset[str] = frozenset()) -> saving.Selection:
    """Save all images."""
    every = found(engine)
    chosen = saving.select(every.images, every, base)
    about = About(ABOUT.made, ABOUT.registry, ABOUT.installation, ABOUT.authority, chosen.elsewhere)
    with Recorder().progress("Reading") as progress:
        saving.save(path, chosen, source.Files(made.root), about, progress)
    return chosen


@pytest.fixture
def archive(made: MadeStorage, engine: FakeEngine, tmp_path: Path) -> Path:
    """An archive with one of each."""
    fill(made)
    save(tmp_path / "images.tar", made, engine)
    return tmp_path / "images.tar"
