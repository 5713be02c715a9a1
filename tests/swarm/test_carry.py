"""Scripts are carried by a real Ansible to this machine, which takes no SSH; to others, as trust.hosts does."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import programs
from tests.programs import on_host
from tests.recorder import Recorder
from trusted_registry import address
from trusted_registry.errors import RegistryError
from trusted_registry.instance.model import Image
from trusted_registry.run import Run
from trusted_registry.swarm import machines
from trusted_registry.tasks import swarm_hosts
from trusted_registry.tasks.swarm_hosts import Access
from trusted_registry.trust.remote import hosts

if TYPE_CHECKING:
    from tests.conftest import MakeSettings

WORD = "open sesame"
pytestmark = [pytest.mark.process, on_host("ssh")]


def test_this_machine_tells_of_itself_and_takes_an_image_as_it_was_sent(
    make_settings: MakeSettings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = f'case $1 in info) echo "26.1.5 active node1" ;; load) cat > "{tmp_path}/loaded" ;; esac'
    programs.put("docker", says, tmp_path, monkeypatch)
    run, own, since = Run(make_settings(), console), address.own_addresses()[:1], time.time()
    (looked,) = swarm_hosts.carry("inspect.sh", machines.inspection([], (), ""), own, Access(), run)
    assert machines.facts(looked, since).node == "node1"
    image = os.urandom(3_000_000)
    (loaded,) = swarm_hosts.carry(
        "load.sh", machines.load(Image("registry:3", "sha256:0a"), [image]), own, Access(), run, large=True
    )
    assert (loaded.state, (tmp_path / "loaded").read_bytes() == image) == ("changed", True)


def test_no_host_is_no_run_of_ansible(make_settings: MakeSettings, console: Recorder) -> None:
    assert swarm_hosts.carry("inspect.sh", b"", (), Access(), Run(make_settings(), console)) == ()
    assert console.commands == []


def test_a_password_is_asked_for_once_and_reaches_each_run_by_its_standard_input_and_no_file(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    says = f"echo $* >> {tmp_path}/flags; cat >> {tmp_path}/words; cat {temporary}/*/* >> {tmp_path}/files"
    programs.put("ansible-playbook", says, tmp_path, monkeypatch)
    monkeypatch.setattr(hosts, "program", lambda: "ansible-playbook")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    console = Recorder(secret=WORD)
    access = swarm_hosts.access("", console, ask_become_pass=True)
    for _ in range(2):
        with pytest.raises(RegistryError, match="Ansible did nothing"):
            swarm_hosts.carry("inspect.sh", b"script", ("192.168.0.13",), access, Run(make_settings(), console))
    assert (tmp_path / "words").read_text() == WORD * 2
    assert [it.count("--become-password-file=-") for it in (tmp_path / "flags").read_text().splitlines()] == [1, 1]
    files = (tmp_path / "files").read_text()
    assert ("192.168.0.13" in files, WORD in files) == (True, False)
    assert WORD not in f"{console.commands} {access!r}"


def test_without_the_flag_or_in_a_dry_run_no_password_is_asked_for() -> None:
    assert swarm_hosts.access("ada", Recorder(secret=WORD), ask_become_pass=False) == Access("ada")
    assert swarm_hosts.access("", Recorder(secret=WORD, dry=True), ask_become_pass=True) == Access()
