"""Scripts are carried by a real Ansible to this machine, which takes no SSH; to others, as trust.hosts does."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests import programs
from tests.programs import on_host
from trusted_registry import address
from trusted_registry.instance.model import Image
from trusted_registry.run import Run
from trusted_registry.swarm import machines
from trusted_registry.tasks import swarm_hosts
from trusted_registry.tasks.swarm_hosts import Access

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings
    from tests.recorder import Recorder

pytestmark = [pytest.mark.process, on_host("ssh")]


def test_this_machine_tells_of_itself_and_takes_an_image_as_it_was_sent(
    make_settings: MakeSettings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = f'case $1 in info) echo "26.1.5 active node1" ;; load) cat > "{tmp_path}/loaded" ;; esac'
    programs.put("docker", says, tmp_path, monkeypatch)
    run, own, since = Run(make_settings(), console), address.own_addresses()[:1], time.time()
    (looked,) = swarm_hosts.carry("inspect.sh", machines.inspection([], ()), own, Access(), run)
    assert machines.facts(looked, since).node == "node1"
    image = os.urandom(3_000_000)
    (loaded,) = swarm_hosts.carry(
        "load.sh", machines.load(Image("registry:3", "sha256:0a"), [image]), own, Access(), run, large=True
    )
    assert (loaded.state, (tmp_path / "loaded").read_bytes() == image) == ("changed", True)


def test_no_host_is_no_run_of_ansible(make_settings: MakeSettings, console: Recorder) -> None:
    assert swarm_hosts.carry("inspect.sh", b"", (), Access(), Run(make_settings(), console)) == ()
    assert console.commands == []
