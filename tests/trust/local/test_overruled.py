"""What an administrator said of an upstream is not overruled: it is named with its line, and nothing is changed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.disk import snapshot
from tests.fake_engine import FakeEngine
from tests.recorder import Recorder
from tests.trust.engines import RootlessEngine
from tests.trust.mirrors import DROP_IN, GITHUB, HUB, HUB_URL, beside, note, trust
from trusted_registry.engine import engine as engines
from trusted_registry.engine.types import PODMAN
from trusted_registry.errors import RegistryError
from trusted_registry.mirror import serving
from trusted_registry.run import Run
from trusted_registry.tasks import mirror
from trusted_registry.trust.local import daemon, overruled

if TYPE_CHECKING:
    from tests.trust.boxes import Box
    from trusted_registry.settings import Settings

pytestmark = pytest.mark.usefixtures("this_machine")

REGISTRY = '# theirs\n[[registry]]\nlocation = "{}"\nblocked = true\n'
TOML = '# theirs\n\n[host."https://mirror.example"]\n'
K3S = 'mirrors:\n  "{}":\n    endpoint: ["https://mirror.example"]\n'
BUILDKIT = 'debug = true\n[registry."{}"]\n  mirrors = ["mirror.example"]\n'
WORDS = {
    "/etc/docker/certs.d/{}/hosts.toml": (TOML, 3),
    "/etc/containerd/certs.d/{}/hosts.toml": (TOML, 3),
    "/var/snap/microk8s/current/args/certs.d/{}/hosts.toml": (TOML, 3),
    "/etc/containers/registries.conf": (REGISTRY, 3),
    "/etc/containers/registries.conf.d/10-theirs.conf": (REGISTRY, 3),
    "/usr/share/containers/registries.conf.d/10-theirs.conf": (REGISTRY, 3),
    "{home}/.config/containers/registries.conf": (REGISTRY, 3),
    "{home}/.config/containers/registries.conf.d/10-theirs.conf": (REGISTRY, 3),
    "/etc/rancher/k3s/registries.yaml": (K3S, 2),
    "/etc/rancher/rke2/registries.yaml": (K3S, 2),
    "/etc/buildkit/buildkitd.toml": (BUILDKIT, 2),
    "{docker}/buildx/buildkitd.default.toml": (BUILDKIT, 2),
}


@pytest.fixture
def engine(box: Box, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """Root's engine, on a machine with every other client."""
    for program in ("podman", "nerdctl", "k3s", "rke2", "microk8s", "buildkitd"):
        box.program(program)
    box.folder("{docker}/buildx/instances")
    stand_in = RootlessEngine()
    stand_in.said = dataclasses.replace(stand_in.said, rootless=False)
    config = box.machine.path("/etc/docker/daemon.json")
    monkeypatch.setattr(daemon, "reload", lambda *_arguments: stand_in.reload(config))
    return stand_in


def _check(settings: Settings, engine: FakeEngine, *upstreams: str) -> Recorder:
    console = Recorder()
    overruled.check(upstreams or (HUB,), Run(settings, console), engine)
    return console


def _put(box: Box, place: str, upstream: str) -> Path:
    home = place.startswith(("{home}", "{docker}"))
    text = WORDS[place][0].replace("{}", upstream)
    return box.file(place if home else place.format(upstream), text)


@pytest.mark.parametrize("place", WORDS)
def test_each_word_about_an_upstream_is_named_with_its_line_and_nothing_is_changed(
    place: str, settings: Settings, engine: FakeEngine, box: Box
) -> None:
    path, number = _put(box, place, HUB), WORDS[place][1]
    line = path.read_text().splitlines()[number - 1].strip()
    before = snapshot(box.root)
    with pytest.raises(RegistryError) as caught:
        _check(settings, engine, GITHUB, HUB)
    assert f"{path}:{number}: {line}" in caught.value.message
    assert HUB in caught.value.message
    assert GITHUB not in caught.value.message
    assert f"editor +{number} {path}" in caught.value.cure
    assert snapshot(box.root) == before


def test_no_mirror_is_started_where_somebody_has_said_something(
    settings: Settings, engine: FakeEngine, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr(engines, "connect", lambda _console: engine)
    monkeypatch.setattr(serving, "up", lambda it, *_, **_named: started.append(it.name))
    path = _put(box, "/etc/containers/registries.conf", HUB)
    with pytest.raises(RegistryError, match=f"{path}:3"):
        mirror.up(Run(settings, Recorder()), upstreams=[GITHUB, HUB])
    assert started == []
    path.unlink()
    with contextlib.suppress(RegistryError):  # of the proof: nothing was started
        mirror.up(Run(settings, Recorder()), upstreams=[GITHUB, HUB])
    assert started == [GITHUB, HUB]


EVERY = {
    "/etc/docker/certs.d/_default/hosts.toml": (TOML, 3),
    "/etc/containerd/certs.d/_default/hosts.toml": (TOML, 3),
    "/etc/rancher/k3s/registries.yaml": (K3S.format("*"), 2),
    "/etc/rancher/rke2/registries.yaml": (K3S.format("*").replace('"', "'"), 2),
}


@pytest.mark.parametrize("place", EVERY)
def test_a_word_about_every_upstream_is_one_about_each(
    place: str, settings: Settings, engine: FakeEngine, box: Box
) -> None:
    text, number = EVERY[place]
    path = box.file(place, text)
    before = snapshot(box.root)
    with pytest.raises(RegistryError) as caught:
        _check(settings, engine, GITHUB, HUB)
    assert f"{path}:{number}: {text.splitlines()[number - 1].strip()}" in caught.value.message
    assert f"where {GITHUB}, {HUB} comes from" in caught.value.message
    assert f"editor +{number} {path}" in caught.value.cure
    assert snapshot(box.root) == before


@pytest.mark.parametrize("folder", ["/etc/docker/certs.d", "/etc/containerd/certs.d"])
@pytest.mark.parametrize("name", ["ca.crt", "corp.crt", "client.cert", "client.key"])
def test_what_does_not_count_beside_a_hosts_toml_is_a_word(
    folder: str, name: str, settings: Settings, engine: FakeEngine, box: Box
) -> None:
    path = box.file(f"{folder}/{HUB}/{name}", "theirs\n")
    before = snapshot(box.root)
    with pytest.raises(RegistryError) as caught:
        _check(settings, engine, GITHUB, HUB)
    assert f"{path}: does not count any more once a hosts.toml is beside it" in caught.value.message
    assert f"where {HUB} comes from" in caught.value.message
    assert f"mv {path} {path}.before; then" in caught.value.cure
    assert snapshot(box.root) == before
    path.rename(f"{path}.before")
    _check(settings, engine, GITHUB, HUB)


def test_a_key_that_this_user_may_not_read_is_a_word_too(
    settings: Settings, engine: FakeEngine, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = box.file(f"/etc/docker/certs.d/{HUB}/client.key", "theirs\n")
    real = Path.read_bytes

    def refused(it: Path) -> bytes:
        if it == path:
            raise PermissionError(13, "Permission denied")
        return real(it)

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(RegistryError, match=f"{path}: "):
        _check(settings, engine)


def test_this_registry_s_own_authority_beside_a_hosts_toml_is_no_word(
    settings: Settings, engine: FakeEngine, box: Box
) -> None:
    note(settings, HUB)
    trust(settings, engine)
    content = (settings.folder / "ca.crt").read_text()
    path = box.file(f"/etc/docker/certs.d/{HUB}/ca.crt", content)
    _check(settings, engine, HUB)
    path.write_text("theirs\n")
    with pytest.raises(RegistryError, match=f"{path}: "):
        _check(settings, engine, HUB)


@pytest.mark.parametrize("place", WORDS)
def test_a_word_about_another_upstream_is_none(place: str, settings: Settings, engine: FakeEngine, box: Box) -> None:
    _put(box, place, "quay.io")
    _check(settings, engine, HUB, GITHUB)


def test_every_word_is_named_at_once(settings: Settings, engine: FakeEngine, box: Box) -> None:
    paths = [_put(box, place, GITHUB) for place in WORDS]
    with pytest.raises(RegistryError) as caught:
        _check(settings, engine, HUB, GITHUB)
    assert [it for it in paths if str(it) not in caught.value.message] == []


@pytest.mark.parametrize(
    ("place", "text", "said"),
    [
        ("/etc/containers/registries.conf.d/10-theirs.conf", "[[registry]\n", ", line 1, is not valid TOML"),
        ("/etc/rancher/k3s/registries.yaml", "mirrors: [\n", ", line 2, is not valid YAML"),
        ("/etc/buildkit/buildkitd.toml", "x = \n", ", line 1, is not valid TOML"),
        ("/etc/docker/daemon.json", "{", " is not valid JSON, line 1"),
        ("/etc/docker/daemon.json", '{"registry-mirrors": 1}', " is not what the engine expects"),
        ("/etc/docker/daemon.json", '{"registry-mirrors": null}', " is not what the engine expects"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_refused(  # noqa: PLR0913, PLR0917 - one case, and its machine
    place: str, text: str, said: str, settings: Settings, engine: FakeEngine, box: Box
) -> None:
    path = box.file(place, text)
    with pytest.raises(RegistryError, match=re.escape(f"{path}{said}")):
        _check(settings, engine)


def test_a_client_that_is_not_here_is_told_nothing_and_so_its_files_are_in_nobody_s_way(
    settings: Settings, box: Box
) -> None:
    for place in WORDS:
        if "registries.conf" in place:
            _put(box, place, HUB)
    _check(settings, RootlessEngine())


# The engine's own list


@pytest.mark.parametrize("upstream", [HUB, GITHUB])
def test_mirrors_of_others_in_daemon_json_are_in_the_way_of_docker_hub_alone(
    upstream: str, settings: Settings, engine: FakeEngine, box: Box
) -> None:
    text = '{\n  "proxies": {"http-proxy": "http://me:secret@p"}, "registry-mirrors": ["https://mirror.example"]\n}\n'
    path = box.file("/etc/docker/daemon.json", text)
    if upstream == GITHUB:
        _check(settings, engine, upstream)
        return
    with pytest.raises(RegistryError) as caught:
        _check(settings, engine, upstream)
    assert f'{path}:2: "registry-mirrors": ["https://mirror.example"]' in caught.value.message
    assert "secret" not in caught.value.message
    assert caught.value.cure.endswith(f"editor +2 {path} && {daemon.restart(engine)}; then repeat this")


def test_a_mirror_by_a_flag_of_the_engine_is_in_the_way(
    settings: Settings, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "flags", lambda *_: {"--registry-mirror": "https://mirror.example"})
    with pytest.raises(RegistryError, match=r"dockerd: --registry-mirror https://mirror\.example") as caught:
        _check(settings, engine)
    assert "/lib/systemd/system" in caught.value.cure


def test_the_file_that_a_flag_names_is_the_one_that_is_read(
    settings: Settings, engine: FakeEngine, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = box.file("/srv/docker.json", '{"registry-mirrors": ["https://mirror.example"]}')
    monkeypatch.setattr(daemon, "flags", lambda *_: {"--config-file": str(path)})
    with pytest.raises(RegistryError, match=f"{path}:1: "):
        _check(settings, engine)


def test_a_mirror_that_an_engine_kept_and_no_file_has_is_in_the_way(settings: Settings, engine: RootlessEngine) -> None:
    engine.asks_mirrors("https://mirror.example/")
    with pytest.raises(RegistryError, match=r"Registry Mirrors: https://mirror\.example/") as caught:
        _check(settings, engine)
    assert daemon.restart(engine) in caught.value.cure


@pytest.mark.parametrize(
    ("rootless", "command"), [(False, "sudo systemctl restart docker"), (True, "systemctl --user restart docker")]
)
def test_the_restart_is_that_of_the_engine_under_systemd(
    rootless: bool,  # noqa: FBT001 - one of two
    command: str,
    settings: Settings,
    engine: RootlessEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(daemon, "_systemd", lambda: True)
    engine.said = dataclasses.replace(engine.said, rootless=rootless)
    engine.asks_mirrors("https://mirror.example/")
    with pytest.raises(RegistryError) as caught:
        _check(settings, engine)
    assert caught.value.cure == f"If that is not wanted any more: {command}; then repeat this"


@pytest.mark.parametrize("changes", [{"product": PODMAN}, {"desktop": True}])
def test_the_file_of_no_docker_of_this_machine_is_not_read(
    changes: dict[str, object], settings: Settings, engine: FakeEngine, box: Box
) -> None:
    box.file("/etc/docker/daemon.json", '{"registry-mirrors": ["https://mirror.example"]}')
    engine.said = dataclasses.replace(engine.said, **changes)  # type: ignore[arg-type]
    _check(settings, engine)


# What is this installation's own is in nobody's way


def test_what_was_written_here_is_in_nobody_s_way(settings: Settings, engine: FakeEngine, box: Box) -> None:
    _check(settings, engine, HUB, GITHUB)
    note(settings, HUB)
    trust(settings, engine)
    assert HUB_URL in box.machine.path("/etc/docker/daemon.json").read_text()
    _check(settings, engine, HUB, GITHUB)
    note(settings, GITHUB)
    _check(settings, engine, HUB, GITHUB)
    trust(settings, engine)
    _check(settings, engine, HUB, GITHUB)
    note(settings, HUB, offset=10)
    _check(settings, engine, HUB, GITHUB)


def test_what_another_checkout_wrote_is_named_with_that_checkout(
    settings: Settings, engine: FakeEngine, box: Box
) -> None:
    another = beside(settings)
    note(another, HUB)
    trust(another, engine)
    with pytest.raises(RegistryError) as caught:
        _check(settings, engine, HUB)
    for place in (
        "/etc/docker/daemon.json",
        DROP_IN,
        "/etc/docker/certs.d/docker.io/hosts.toml",
        "/etc/rancher/k3s/registries.yaml",
        "/etc/buildkit/buildkitd.toml",
    ):
        assert f"{box.machine.path(place)}:" in caught.value.message
    assert f"cd {another.root} && ./inv mirror.down docker.io" in caught.value.cure
    assert "editor" not in caught.value.cure
    _check(another, engine, HUB)


def test_the_one_drop_in_is_not_taken_from_another_checkout(settings: Settings, engine: FakeEngine, box: Box) -> None:
    another, path = beside(settings), box.machine.path(DROP_IN)
    note(another, GITHUB)
    trust(another, engine)
    before = snapshot(box.root)
    with pytest.raises(RegistryError) as caught:
        _check(settings, engine, HUB)
    assert caught.value.message == (
        f"{path} is another installation's, {another.root}, for ghcr.io. Mirrors for podman and the like are in that "
        "one file; nothing was changed."
    )
    assert caught.value.cure == (
        f"If they are not wanted any more: cd {another.root} && ./inv mirror.down ghcr.io; then repeat this"
    )
    assert snapshot(box.root) == before


def test_a_drop_in_of_an_installation_that_is_not_known_is_told_to_be_one(
    settings: Settings, engine: FakeEngine, box: Box
) -> None:
    text = '[[registry]]\nlocation = "{0}"\n\n[[registry.mirror]]\nlocation = "192.168.0.13:5500"\n'
    path = box.file(DROP_IN, text.format(GITHUB) + "\n" + text.format("quay.io"))
    with pytest.raises(RegistryError) as caught:
        _check(settings, engine, HUB)
    assert f"{path} is another installation's, for ghcr.io, quay.io. " in caught.value.message
    assert caught.value.cure.startswith("In that installation: ./inv mirror.down ghcr.io,quay.io; or, if it is no more")
    assert f"rm {path}" in caught.value.cure
    with pytest.raises(RegistryError, match=f"Somebody else has said where {GITHUB} comes from"):
        _check(settings, engine, GITHUB)


def test_a_drop_in_of_ours_that_was_changed_is_told_to_be_one(settings: Settings, engine: FakeEngine, box: Box) -> None:
    note(settings, HUB)
    trust(settings, engine)
    path = box.machine.path(DROP_IN)
    path.write_text("# theirs\n")
    with pytest.raises(RegistryError) as caught:
        _check(settings, engine, HUB)
    assert f"{path} was changed since it was written here, and is now for no upstream." in caught.value.message
    assert caught.value.cure.endswith(f"rm {path}; then repeat this")


def test_what_somebody_added_to_ours_is_theirs(settings: Settings, engine: FakeEngine, box: Box) -> None:
    note(settings, HUB)
    trust(settings, engine)
    path = box.machine.path(DROP_IN)
    path.write_text(path.read_text() + "insecure = true\n")
    config = box.machine.path("/etc/docker/daemon.json")
    config.write_text(json.dumps({"registry-mirrors": [HUB_URL, "https://mirror.example"]}))
    with pytest.raises(RegistryError) as caught:
        _check(settings, engine)
    assert str(path) in caught.value.message
    assert f'{config}:1: "registry-mirrors": ["https://mirror.example"]' in caught.value.message


# A file that is told of


def test_a_user_s_file_that_hides_the_drop_in_is_told_of_with_a_cure(
    settings: Settings, engine: FakeEngine, box: Box
) -> None:
    assert _check(settings, engine).warned == []
    path = box.file("{home}/.config/containers/registries.conf", 'unqualified-search-registries = ["docker.io"]\n')
    (told,) = _check(settings, engine).warned
    assert f"mv {path} {path.parent}/registries.conf.d/00-own.conf" in told
