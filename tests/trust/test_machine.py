"""This user's folders and the programs of this machine: found where the environment and the system have them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trusted_registry.trust import machine as machines


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ("/home/me/.config", "/home/me/.local/share", f"/run/user/{os.getuid()}", "/home/me/.docker")),
        (
            {"XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "/d", "XDG_RUNTIME_DIR": "/r", "DOCKER_CONFIG": "/k"},
            ("/c", "/d", "/r", "/k"),
        ),
        (
            {"XDG_CONFIG_HOME": "c", "XDG_DATA_HOME": "", "DOCKER_CONFIG": "k"},
            ("/home/me/.config", "/home/me/.local/share", f"/run/user/{os.getuid()}", "/home/me/.docker"),
        ),
    ],
    ids=["nothing said", "all said", "relative"],
)
def test_a_user_s_folders_are_where_the_environment_says(
    variables: dict[str, str], expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    found = machines.current(variables, Path("/home/me"))
    assert tuple(str(it) for it in (found.config, found.data, found.run, found.docker)) == expected


def test_system_programs_are_seen_where_path_does_not_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert Path("/usr/sbin") in machines.current({"PATH": "/nowhere"}, Path("/home/me")).programs
