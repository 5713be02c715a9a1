"""One run on a machine in a folder, as a process of its own: `python -m tests.trust.one_run FOLDER ACTION NAME`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

from tests.fake_engine import nobody
from tests.recorder import Recorder
from tests.trust.boxes import Box
from trusted_registry.defaults import DEFAULTS
from trusted_registry.run import Run
from trusted_registry.settings import load
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import install, uninstall
from trusted_registry.trust.local.install import StoreSelection

CHOICE = StoreSelection(only=("docker", "podman", "containerd", "k3s"))


def _never() -> NoReturn:
    raise AssertionError


def main(folder: Path, action: str, name: str) -> None:
    """Trust, by one more name, or take all of it back."""
    box = Box(folder / "machine")
    machines.current = lambda *_: box.machine
    flags = {"registry.address": "192.168.0.12", "registry.names": name}
    settings = load(DEFAULTS, root=folder, find_address=_never, flags=flags)
    if action == "trust":
        install.trust(Run(settings, Recorder()), nobody(), CHOICE)
    else:
        uninstall.remove(Run(settings, Recorder()), nobody())


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
