"""What is lent for a while: private, gone afterwards, and refused in words where there is no room for it."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.disk import mode
from trusted_registry import files
from trusted_registry.errors import RegistryError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.usefixtures("open_umask")
def test_a_folder_that_is_lent_is_private_and_gone_afterwards_with_what_programs_left_in_it() -> None:
    with files.temp_folder() as folder:
        assert mode(folder) == 0o700
        (folder / "left").write_text("by a program")
    assert not folder.exists()


def test_a_disk_that_takes_nothing_temporary_is_named_with_a_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(RegistryError, match="cannot be written: No such file") as caught, files.temp_folder():
        pass
    assert caught.value.cure == "See who owns it, and who you are: ls -ld /tmp; id"
