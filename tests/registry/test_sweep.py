"""What runs before each start of the registry: it takes away what a kill left empty, and nothing else."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from trusted_registry.registry.spec import STORE, SWEEP

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

SHELLS = [["sh"], *([["busybox", "sh"]] if shutil.which("busybox") else [])]
NOTHING = hashlib.sha256().hexdigest()
MANIFEST = "blobs/sha256/ab/abcd/data"
LINK = "repositories/app/_manifests/tags/1/current/link"


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request: pytest.FixtureRequest) -> list[str]:
    """Each shell that this machine has of those that an image may have."""
    return list(request.param)


def _start(shell: list[str], folder: Path, *then: str) -> subprocess.CompletedProcess[str]:
    """Sweep in a folder that stands for the volume, then start what is to be started."""
    script = SWEEP.replace(STORE, str(folder))
    argv = [*shell, "-c", script, "registry", *(then or ("echo", "serves"))]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)


def _put(folder: Path, path: str, content: str = "") -> Path:
    file = folder / "docker/registry/v2" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


@pytest.mark.parametrize("path", [MANIFEST, LINK, "repositories/app/_layers/sha256/abcd/link"])
def test_what_was_left_empty_is_removed_and_named(path: str, shell: list[str], tmp_path: Path) -> None:
    file = _put(tmp_path, path)
    done = _start(shell, tmp_path)
    assert (file.exists(), done.stdout.split()) == (False, [str(file), "serves"])


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (MANIFEST, "{}"),
        (LINK, "sha256:abcd"),
        (f"blobs/sha256/e3/{NOTHING}/data", ""),
        ("repositories/app/_uploads/1/data", ""),
        ("repositories/app/_uploads/1/hashstates/sha256/0", ""),
        ("repositories/data/_manifests/a note", ""),
    ],
    ids=["a manifest", "a link", "the empty blob", "an upload", "its state", "another's"],
)
def test_what_has_content_or_is_rightly_empty_stays(path: str, content: str, shell: list[str], tmp_path: Path) -> None:
    file = _put(tmp_path, path, content)
    done = _start(shell, tmp_path)
    assert (file.read_text(), done.stdout.split()) == (content, ["serves"])


def test_an_image_whose_name_is_data_or_link_keeps_its_folder(shell: list[str], tmp_path: Path) -> None:
    file = _put(tmp_path, "repositories/data/link/_manifests/tags/1/current/link", "sha256:abcd")
    _start(shell, tmp_path)
    assert file.exists()


def test_nothing_outside_the_registry_s_tree_is_looked_at(shell: list[str], tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert _start(shell, tmp_path).stdout == "serves\n"
    assert (tmp_path / "data").exists()


def test_a_volume_that_is_new_and_one_that_cannot_be_read_start_all_the_same(shell: list[str], tmp_path: Path) -> None:
    done = _start(shell, tmp_path / "gone")
    assert (done.returncode, done.stdout, done.stderr) == (0, "serves\n", "")


def test_what_is_started_takes_the_shell_s_place_with_its_words_as_they_are(shell: list[str], tmp_path: Path) -> None:
    done = _start(shell, tmp_path, "sh", "-c", 'echo "$0 $1"; exit 3', "$HOME", "two  words")
    assert (done.returncode, done.stdout) == (3, "$HOME two  words\n")
