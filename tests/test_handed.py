"""A checkout on a client's machine means the registry that it was told to trust; one with keys means its own."""

from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from tests.fake_engine import FakeEngine, nobody
from trusted_registry import installation, saved_flags, status
from trusted_registry.certificate import handed, inspect, issue
from trusted_registry.defaults import DEFAULTS
from trusted_registry.doctor import checks, gather
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError
from trusted_registry.instance import checks as instance_checks
from trusted_registry.run import Run
from trusted_registry.settings import load
from trusted_registry.tasks import doctor, trust
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import install, trust_anchor
from trusted_registry.trust.local.install import InstallResult

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings
    from tests.recorder import Recorder
    from trusted_registry.settings import Settings

OTHER = "registry.invalid"


@pytest.fixture
def own(certified: MakeSettings) -> Settings:
    """A checkout with a registry of its own."""
    return certified()


@pytest.fixture
def client(own: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A checkout on another machine, which was handed ca.crt, and on which somebody types --address."""
    monkeypatch.setattr("trusted_registry.engine.engine.connect_if_available", lambda *_, **__: nobody())
    monkeypatch.setattr(trust, "install_trust", lambda *_: InstallResult((), (), ()))
    monkeypatch.setattr(trust_anchor, "check_serves", lambda _: "")
    folder = tmp_path / "client"
    folder.mkdir()
    shutil.copy(own.folder / "ca.crt", folder)
    return _typed(folder, address=OTHER, port="8443")


def _typed(folder: Path, **flags: str) -> Settings:
    """Return the settings of a task with flags, as they are read from its folder."""
    said = {"certificate.folder": str(folder), **{f"registry.{name}": value for name, value in flags.items()}}
    return load(
        DEFAULTS,
        root=folder.parent,
        find_address=lambda: "192.168.0.99",
        flags=said,
        find_saved_flags=saved_flags.read,
    )


def test_the_registry_that_was_trusted_is_meant_from_then_on(client: Settings, console: Recorder) -> None:
    assert _typed(client.folder).registry_host == "192.168.0.99"
    trust.linux(Run(client, console))
    assert _typed(client.folder).registry_host == f"{OTHER}:8443"
    trust.linux(Run(_typed(client.folder, address="second.invalid", port=""), console))
    assert _typed(client.folder).registry_host == "second.invalid"
    trust.linux(Run(_typed(client.folder, address=""), console))
    assert _typed(client.folder).registry_host == "192.168.0.99"


def test_trust_that_failed_is_not_kept(client: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RegistryError("cannot be written", cure="")

    monkeypatch.setattr(trust, "install_trust", fail)
    with pytest.raises(RegistryError):
        trust.linux(Run(client, console))
    assert saved_flags.read(client.folder) == {}


@pytest.mark.usefixtures("client")
def test_a_checkout_with_keys_goes_on_meaning_its_own(own: Settings, console: Recorder) -> None:
    trust.linux(Run(_typed(own.folder, address=OTHER), console))
    assert _typed(own.folder).address == "192.168.0.99"


def test_two_folders_keep_two_registries(client: Settings, own: Settings, console: Recorder) -> None:
    trust.linux(Run(client, console))
    saved_flags.save(Run(dataclasses.replace(own, saved_flags={"port": "9443"}), console))
    assert (_typed(client.folder).registry_host, _typed(own.folder).registry_host) == (
        f"{OTHER}:8443",
        "192.168.0.99:9443",
    )
    ids = [installation.ensure(folder, console).id for folder in (client.folder, own.folder)]
    assert len({*ids}) == 2  # each takes back what it wrote


def test_status_is_that_of_the_other_machine_s_registry(client: Settings, own: Settings) -> None:
    with loopback.registry(own.folder / "domain.crt") as port:
        found = status.find(dataclasses.replace(client, address=loopback.HOST, port=port), nobody())
    assert (found.registry.state, found.registry.health) == (status.REMOTE, "answers")
    assert found.certificate.problem is None
    assert found.certificate.authority == inspect.read(own.folder / "ca.crt").fingerprint
    table = status.report(found).table
    assert table
    assert ["registry", f"{status.REMOTE}; answers"] in table.rows
    with loopback.silence() as port:
        silent = status.find(dataclasses.replace(client, address=loopback.HOST, port=port), nobody())
    assert silent.registry.health.startswith("does not answer: ")


def test_status_says_where_another_authority_s_registry_answers(client: Settings, tmp_path: Path) -> None:
    signer = forge.authority()
    forge.save(signer, tmp_path, "another")
    forge.save(forge.server(signer, names=(loopback.HOST,)), tmp_path, "shown")
    with loopback.registry(tmp_path / "shown.crt") as port:
        found = status.find(dataclasses.replace(client, address=loopback.HOST, port=port), nobody())
    assert found.registry.health.startswith("shows a certificate that ca.crt did not sign")


def test_explain_fills_in_the_registry_that_was_trusted(client: Settings) -> None:
    assert doctor._local_context(client).registry == f"{OTHER}:8443"


def test_no_registry_is_run_for_it(client: Settings, own: Settings, console: Recorder) -> None:
    with pytest.raises(RegistryError, match="another machine's registry"):
        instance_checks.check_address(Run(client, console), nobody())
    instance_checks.check_address(Run(dataclasses.replace(own, address="registry.example"), console), nobody())


@pytest.mark.parametrize("name", ["ca.key", "issuer.crt", "issuer.key", "domain.key", "domain.crt"])
def test_a_folder_with_anything_of_a_registry_s_own_is_not_handed(name: str, client: Settings) -> None:
    assert handed.is_handed(client.folder)
    (client.folder / name).touch()
    assert not handed.is_handed(client.folder)


# doctor --remote


@pytest.fixture
def _stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the signs of four clients be on this machine."""
    machine = machines.current()
    for path in ("/var/lib/docker", "/etc/crio", "/etc/containerd/certs.d", "/var/lib/rancher/k3s"):
        machine.path(path).mkdir(parents=True)
    monkeypatch.setattr(engines, "connect", lambda *_, **__: FakeEngine())


@pytest.mark.usefixtures("_stores")
def test_a_registry_that_no_client_trusts_is_one_fault_with_one_cure(client: Settings, own: Settings) -> None:
    with loopback.registry(own.folder / "domain.crt") as port:
        (finding,) = checks.judge(gather.remote(client, nobody(), loopback.HOST, port))
    assert finding.cure == (f"./inv trust.linux --address {loopback.HOST} --port {port}",)
    assert all(name in finding.evidence for name in ("docker", "podman", "containerd", "k3s"))


@pytest.mark.usefixtures("_stores")
@pytest.mark.parametrize("whose", ["own", "none"])
def test_one_of_an_authority_that_nobody_here_knows_is_one_fault(whose: str, own: Settings, tmp_path: Path) -> None:
    signer = forge.authority()
    forge.save(forge.server(signer, names=(loopback.HOST,)), tmp_path, "shown")
    settings = own if whose == "own" else dataclasses.replace(own, folder=tmp_path / "empty")
    with loopback.registry(tmp_path / "shown.crt") as port:
        (finding,) = checks.judge(gather.remote(settings, nobody(), loopback.HOST, port))
    assert (finding.check, finding.fix) == ("chain", None)
    assert finding.cure[0].startswith("./inv trust.serve  # on the registry's machine")


@pytest.mark.usefixtures("_stores")
def test_one_that_the_kit_made_trusted_is_judged_by_what_the_kit_wrote(own: Settings, tmp_path: Path) -> None:
    signer = forge.authority()
    forge.save(signer, tmp_path, "another")
    forge.save(forge.server(signer, names=(loopback.HOST, "registry.local")), tmp_path, "shown")
    with loopback.registry(tmp_path / "shown.crt") as port:
        there = dataclasses.replace(own, address=loopback.HOST, names=(), port=port)
        for store in install.select_stores(nobody(), install.ALL_STORES):
            if store.name == "docker":
                for registry_host in there.registry_hosts:
                    place = machines.current().path(f"/etc/docker/certs.d/{registry_host}/ca.crt")
                    place.parent.mkdir(parents=True)
                    shutil.copy(tmp_path / "another.crt", place)
        facts = gather.remote(own, nobody(), loopback.HOST, port, client="docker")
        assert checks.judge(facts) == []
        (finding,) = checks.judge(gather.remote(own, nobody(), loopback.HOST, port))
    assert finding.fix is None, "this checkout's own authority is none of that registry's"
    assert finding.cure[0].startswith("./inv trust.serve")


@pytest.mark.parametrize("moved", [1, 2, 3])
def test_a_first_set_of_which_a_killed_run_moved_a_part_is_finished_and_no_client_s(
    moved: int, own: Settings, console: Recorder
) -> None:
    ready = own.folder / ".ready"
    ready.mkdir(mode=0o700)
    names = ["ca.crt", "domain.crt", "domain.key", "issuer.crt", "issuer.key"]
    before = [(own.folder / name).read_bytes() for name in names]
    for name in names[moved:]:
        (own.folder / name).rename(ready / name)
    handed.check_own(own.folder)
    issue.ensure(Run(own, console))
    assert ([(own.folder / name).read_bytes() for name in names], ready.exists()) == (before, False)
