"""Root with another user's variables, as `su` without `-` keeps them: nothing of that user's is followed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.marks import by_root
from tests.trust.remote.kits import Disk, hand_over

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.process, by_root]

VARIABLES = {"XDG_CONFIG_HOME": "docker/certs.d", "DOCKER_CONFIG": "buildx"}


def _theirs(folder: Path) -> Path:
    theirs = folder / "theirs"
    (theirs / "buildx" / "instances").mkdir(parents=True)
    (theirs / "docker" / "certs.d").mkdir(parents=True)
    return theirs


@pytest.mark.parametrize("how", ["owned", "below", "linked", "writable"])
@pytest.mark.parametrize("variable", VARIABLES)
def test_root_writes_into_no_folder_of_another_user_s_that_a_variable_names(
    variable: str, how: str, open_path: Path
) -> None:
    disk, theirs = Disk(open_path), _theirs(open_path)
    named = theirs
    if how == "linked":
        named = open_path / "link"
        named.symlink_to(theirs)
        os.chown(named, 1234, 1234, follow_symlinks=False)
    elif how == "writable":
        theirs.chmod(0o777)
    else:
        hand_over(theirs)
        named = theirs / "root-s" if how == "below" else theirs
        (named / "buildx" / "instances").mkdir(parents=True, exist_ok=True)
    before = snapshot(theirs)
    store = "docker-rootless" if variable == "XDG_CONFIG_HOME" else "buildkit"
    disk.run("--user", "--only", store, user=None, **{variable: str(named)})
    assert snapshot(theirs) == before


@pytest.mark.parametrize("variable", VARIABLES)
def test_root_s_own_folder_that_a_variable_names_is_used(variable: str, open_path: Path) -> None:
    disk, own = Disk(open_path), _theirs(open_path)
    before = snapshot(own)
    store = "docker-rootless" if variable == "XDG_CONFIG_HOME" else "buildkit"
    disk.run("--user", "--only", store, user=None, **{variable: str(own)})
    assert snapshot(own) != before
    assert (open_path / "var lib/trusted-registry/kit").exists()


def test_root_uses_no_home_that_anybody_may_change(open_path: Path) -> None:
    disk = Disk(open_path)
    (disk.home / ".docker/desktop").mkdir(parents=True)
    disk.home.chmod(0o777)
    before = snapshot(disk.home)
    done = disk.run("--user")
    assert "which is another user's to change" in done.stderr
    assert snapshot(disk.home) == before
