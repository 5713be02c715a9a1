"""What still trusts after a removal is seen in the stores themselves, and named with the command that takes it."""

from __future__ import annotations

import dataclasses
import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import forge
from tests.disk import snapshot
from tests.fake_engine import FakeEngine, nobody
from tests.fake_images import IMAGE
from tests.recorder import Recorder
from tests.trust.boxes import ANCHORS, DOCKER, SPELLINGS, USERS, Box
from tests.trust.local.uninstalls import FILES, remove, trust
from trusted_registry import installation
from trusted_registry.engine import engine as engines
from trusted_registry.registry import prove
from trusted_registry.run import Run
from trusted_registry.tasks import lifecycle
from trusted_registry.tasks import trust as task
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import ledger, leftovers, owned, trust_anchor
from trusted_registry.trust.local.install import StoreSelection
from trusted_registry.trust.remote import kit

if TYPE_CHECKING:
    from trusted_registry.settings import Settings
    from trusted_registry.trust.local.leftovers import Left

pytestmark = pytest.mark.usefixtures("this_machine")


def _found(settings: Settings) -> list[Left]:
    return leftovers.find(Run(settings, Recorder()), nobody())


def _authority(settings: Settings) -> bytes:
    found = owned.authority(settings)
    assert found
    return found.content


def test_nothing_is_left_where_all_was_taken_back(settings: Settings) -> None:
    trust(settings)
    assert _found(settings)
    remove(settings)
    assert _found(settings) == []


def test_without_a_certificate_there_is_nothing_to_look_for(settings: Settings) -> None:
    trust(settings)
    (settings.folder / "ca.crt").unlink()
    (settings.folder / "domain.crt").unlink()
    assert _found(settings) == []


@pytest.mark.parametrize(
    "place",
    [
        f"{DOCKER}/{SPELLINGS[0]}/ca.crt",
        f"{DOCKER}/a-name-of-before/ca.crt",
        f"/etc/containers/certs.d/{SPELLINGS[1]}/ca.crt",
        f"{USERS}/{SPELLINGS[0]}/ca.crt",
        f"/etc/containerd/certs.d/{SPELLINGS[0]}/ca.crt",
        f"{{config}}/docker/certs.d/{SPELLINGS[0]}/ca.crt",
        f"{{home}}/.docker/certs.d/{SPELLINGS[0]}/ca.crt",
    ],
)
def test_the_authority_is_found_wherever_a_client_reads_it_and_another_s_is_not(
    place: str, box: Box, settings: Settings
) -> None:
    path = box.file(place, b"# ours\n" + _authority(settings))
    assert str(path) in [it.place for it in _found(settings)]
    forge.save(forge.authority(), path.parent, "ca")
    assert _found(settings) == []
    path.write_text("no certificate")
    assert _found(settings) == []


@pytest.mark.parametrize("folder", [ANCHORS, "/etc/pki/ca-trust/source/anchors"])
def test_the_system_s_store_is_looked_at_unasked(folder: str, box: Box, settings: Settings) -> None:
    trusted = owned.authority(settings)
    assert trusted
    suffix = ".crt" if folder == ANCHORS else ".pem"
    path = box.file(f"{folder}/{trusted.name}{suffix}", trusted.content)
    assert [it.place for it in _found(settings)] == [str(path)]


def test_lines_in_a_shared_file_are_found(box: Box, settings: Settings) -> None:
    trust(settings, StoreSelection(only=("k3s", "buildkit")))
    ledger.path().unlink()
    shared = ("/etc/rancher/k3s/registries.yaml", "{docker}/buildx/buildkitd.default.toml")
    assert {str(box.machine.path(it)) for it in shared} < {it.place for it in _found(settings)}


def test_what_root_wrote_is_told_to_another_user_with_the_command_of_root(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(settings, FILES)
    ledger.path().unlink()  # it is root's: this user has none
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(leftovers, "_is_roots", lambda _path: True)
    assert {it.command.partition(";")[0] for it in _found(settings)} == {"sudo ./inv trust.remove"}


def _closed(monkeypatch: pytest.MonkeyPatch, *closed: Path) -> None:
    """Have this user be one who may not read these files."""
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path in closed:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(leftovers, "_is_roots", lambda _path: True)


@pytest.mark.parametrize("name", ["k3s", "rke2"])
def test_what_root_alone_may_read_hides_nothing_beside_it_and_is_told_with_the_command_of_root(
    name: str, box: Box, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As sudo ./inv trust.linux --only k3s leaves it, of a file with passwords; a user's ledger knows nothing of it."""
    path = box.file(f"/etc/rancher/{name}/registries.yaml", "configs:\n  a: {auth: {password: b}}\n", 0o600)
    trust(settings, StoreSelection(only=(name,)))
    ledger.path().unlink()  # it is root's
    (certificate,) = path.parent.glob("*.crt")
    _closed(monkeypatch, path)
    console = Recorder()
    (left,) = leftovers.find(Run(settings, console), nobody())
    assert left.place == str(certificate)
    by_hand = f"sudo editor {path} && sudo rm {certificate}"
    assert left.command == f"sudo ./inv trust.remove; or by hand: {by_hand}"
    (line,) = console.warned
    assert line.endswith(f"{path} may be read by root alone. To look there too: sudo ./inv trust.remove")
    assert task.say_left(Run(settings, console), nobody())


def test_a_store_in_use_that_root_alone_may_read_is_told_and_one_that_is_not_is_not(
    box: Box, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [box.file(f"{DOCKER}/{it}/ca.crt", "closed") for it in SPELLINGS]
    _closed(monkeypatch, *paths)
    for sign, told in (("/srv", 0), ("/var/lib/docker", 1)):
        box.folder(sign)
        console = Recorder()
        assert leftovers.find(Run(settings, console), nobody()) == []
        assert len(console.warned) == told


def test_what_another_checkout_wrote_is_told_with_that_checkout_s_command(box: Box, settings: Settings) -> None:
    client = settings.root / "a client"
    (client / "certs").mkdir(parents=True)
    (client / "certs" / "ca.crt").write_bytes(_authority(settings))
    (client / "tasks.py").touch()
    trust(dataclasses.replace(settings, root=client, folder=client / "certs"), StoreSelection(only=("docker",)))
    assert remove(settings) == []
    assert {it.command for it in _found(settings)} == {f"cd '{client}' && ./inv trust.remove"}
    assert len(_found(settings)) == len(SPELLINGS)
    assert box.root.exists()


def test_what_nobody_is_known_to_have_written_is_told_with_what_takes_it_by_hand(box: Box, settings: Settings) -> None:
    trust(settings, StoreSelection(only=("containerd",)))
    ledger.path().unlink()
    folder = box.machine.path(f"/etc/containerd/certs.d/{SPELLINGS[0]}")
    assert f"rm {folder}/ca.crt {folder}/hosts.toml" in [it.command for it in _found(settings)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root looks into another's home")
def test_root_looks_into_the_home_of_the_user_whose_checkout_it_is(
    box: Box, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = box.root / "home" / "ada"
    path = home / ".config/docker/certs.d/192.168.0.12/ca.crt"
    path.parent.mkdir(parents=True)
    path.write_bytes(_authority(settings))
    os.chown(settings.root, 1000, 1000)
    ada = pwd.struct_passwd(("ada", "", 1000, 1000, "", str(home), ""))
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: ada)
    own = dataclasses.replace(box.machine, home=home, config=home / ".config")
    monkeypatch.setattr(machines, "current", lambda _environ=None, of=None: own if of else box.machine)
    assert [(it.place, it.command) for it in _found(settings)] == [(str(path), "as ada: ./inv trust.remove")]


# What people are told


def test_trust_remove_says_that_there_is_none_only_where_there_is_none(
    box: Box, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "connect_if_available", lambda _: nobody())
    path = box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", _authority(settings))
    told, dry, after = Recorder(), Recorder(dry=True), Recorder()
    task.remove(Run(settings, told), all=False)
    task.remove(Run(settings, dry), all=False)
    assert ("trust: there is nothing to remove" in told.said, [str(path) in it for it in told.warned]) == (
        False,
        [True],
    )
    assert dry.warned == []
    path.unlink()
    task.remove(Run(settings, after), all=False)
    assert (after.said, after.warned) == (["trust: there is nothing to remove"], [])


def _purge(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    volumes: dict[str, str] | None = None,
    images: tuple[str, ...] = (IMAGE,),
) -> Recorder:
    engine, console = FakeEngine(settings.folder / "domain.crt", images=images), Recorder()
    engine.volumes = volumes or {}
    monkeypatch.setattr(engines, "connect_if_available", lambda _: engine)
    monkeypatch.setattr(prove, "refusal", lambda *_: None)
    lifecycle.down(Run(settings, console), purge=True)
    return console


@pytest.mark.parametrize(
    ("front", "images", "kept"),
    [
        (True, (IMAGE, "haproxy:lts"), [IMAGE, "haproxy:lts"]),
        (True, (IMAGE,), [IMAGE]),
        (False, (IMAGE, "haproxy:lts"), [IMAGE]),
    ],
)
def test_a_purge_names_the_images_that_stay(
    *, front: bool, images: tuple[str, ...], kept: list[str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = _purge(dataclasses.replace(settings, front=front), monkeypatch, images=images)
    assert console.said[-1] == f"Kept, as others may need them: {', '.join(['Docker itself', *kept, '.venv'])}"


def test_a_purge_says_gone_of_what_is_gone_and_keeps_the_id_by_which_the_rest_is_found(
    box: Box, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = installation.ensure(settings.folder, Recorder()).id
    path = box.file(f"{DOCKER}/{SPELLINGS[0]}/ca.crt", _authority(settings))
    console = _purge(settings, monkeypatch)
    assert [str(path) in line for line in console.warned] == [True]
    assert next(line for line in console.said if "gone" in line).startswith("Images, keys and certificates are gone.")
    assert console.said[-1] == "Kept, as others may need them: Docker itself, registry:3, .venv"
    assert installation.known(settings.folder).id == id_
    assert not (settings.folder / "issuer.key").exists()
    path.unlink()
    again = _purge(settings, monkeypatch)
    assert again.warned == []
    assert next(line for line in again.said if "gone" in line).startswith("Images, trust, keys and certificates")
    assert not (settings.folder / installation.FILE).exists()


def test_a_purge_names_a_volume_of_another_name_that_stays(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = installation.ensure(settings.folder, Recorder()).id
    console = _purge(
        settings, monkeypatch, {"trusted-registry": id_, "second": id_, "theirs": "", "another's": "f" * 32}
    )
    told = "the volume second stays, with its images: INVOKE_REGISTRY_VOLUME=second ./inv registry.stop --purge"
    assert console.warned == [told]
    assert next(line for line in console.said if "gone" in line).startswith("Trust, keys and certificates are gone.")
    assert installation.known(settings.folder).id == id_


@pytest.mark.parametrize("address", ["192.168.0.12", "registry.example.org", "fd00::12"])
def test_a_purge_names_the_kit_of_this_registry_among_those_of_other_machines(
    address: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(settings, address=address)
    anchor = trust_anchor.load(settings)
    said = _purge(settings, monkeypatch).said
    told = f"sudo sh /var/lib/trusted-registry/{kit.file_name(anchor, settings.registry_host)} --remove"
    assert f"or, if the script was run there: {told}" in said
    assert not [line for line in said if "*" in line], "two files there would be two words of one command"


def test_a_purge_without_a_certificate_names_no_kit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ca.crt", "domain.crt"):
        (settings.folder / name).unlink()
    (settings.folder / lifecycle.UNPROVED).touch()
    said = _purge(settings, monkeypatch).said
    assert any(line.endswith("are gone. On other machines: ./inv trust.remove.") for line in said)
    assert not [line for line in said if "script" in line]


def test_a_dry_purge_changes_nothing(box: Box, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    trust(settings)
    before = snapshot(settings.root), snapshot(box.root), snapshot(Path.home())
    monkeypatch.setattr(engines, "connect_if_available", lambda _: engines.unavailable(Recorder(dry=True)))
    lifecycle.down(Run(settings, Recorder(dry=True)), purge=True)
    assert (snapshot(settings.root), snapshot(box.root), snapshot(Path.home())) == before


def test_a_purge_without_an_engine_does_not_say_that_images_are_gone_and_keeps_the_id(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = installation.ensure(settings.folder, Recorder()).id
    console = Recorder()
    monkeypatch.setattr(engines, "connect_if_available", lambda _: engines.unavailable(console))
    lifecycle.down(Run(settings, console), purge=True)
    assert next(line for line in console.said if "gone" in line).startswith("Trust, keys and certificates are gone.")
    assert installation.known(settings.folder).id == id_
