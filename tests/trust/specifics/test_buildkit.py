"""Builders that must be made anew: which, and by which commands, from what buildx really wrote down."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from trusted_registry.errors import RegistryError
from trusted_registry.trust.client_stores import STORES
from trusted_registry.trust.model import TrustAnchor
from trusted_registry.trust.specifics import buildkit

if TYPE_CHECKING:
    from pathlib import Path

PEM = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
SUBJECT = TrustAnchor(PEM, "ab" * 32, ("192.168.0.12:443", "192.168.0.12"))
ALWAYS = "--allow-insecure-entitlement=network.host"

# As docker-buildx 0.13 and 0.29 wrote them, both alike.
PLAIN = (
    '{"Name":"plain","Driver":"docker-container","Nodes":[{"Name":"plain0","Endpoint":"unix:///var/run/docker.sock",'
    f'"Platforms":null,"DriverOpts":null,"Flags":["{ALWAYS}"],"Files":null}}],"Dynamic":false}}'
)
TWO = (
    '{"Name":"mine","Driver":"docker-container","Nodes":[{"Name":"mine0","Endpoint":"unix:///var/run/docker.sock",'
    '"Platforms":[{"architecture":"amd64","os":"linux"},{"architecture":"arm","os":"linux","variant":"v7"}],'
    '"DriverOpts":{"env.NO_PROXY":"a,b","env.X":"\\"q\\"","network":"host"},'
    f'"Flags":["--debug","{ALWAYS}","a b"],"Files":null}},{{"Name":"other","Endpoint":"tcp://10.0.0.3:2376",'
    f'"Platforms":null,"DriverOpts":{{"network":"host"}},"Flags":["{ALWAYS}"],"Files":null}}],"Dynamic":false}}'
)
REMOTE = (
    '{"Name":"rem","Driver":"remote","Nodes":[{"Name":"rem0","Endpoint":"tcp://10.0.0.9:1234","Platforms":null,'
    '"DriverOpts":null,"Flags":null,"Files":null}],"Dynamic":false}'
)
CURRENT = '{"Key":"unix:///var/run/docker.sock","Name":"%s","Global":%s}'
CONFIG = """debug = true

[registry]

  [registry."192.168.0.12"]
    ca = ["/etc/buildkit/certs/192.168.0.12/trusted-registry-abababababababab.crt"]

  [registry."192.168.0.12:443"]
    ca = ["/etc/buildkit/certs/192.168.0.12_443/trusted-registry-abababababababab.crt"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "instances").mkdir()
    return tmp_path


def _put(folder: Path, text: str, files: dict[str, bytes] | None = None) -> buildkit.Builder:
    said: dict[str, Any] = json.loads(text)
    if files is not None:
        said["Nodes"][0]["Files"] = {name: base64.b64encode(content).decode() for name, content in files.items()}
    (folder / "instances" / said["Name"]).write_text(json.dumps(said))
    return next(it for it in buildkit.find(folder) if it.name == said["Name"])


def _files(config: str = CONFIG, pem: bytes = PEM) -> dict[str, bytes]:
    names = ("192.168.0.12", "192.168.0.12_443")
    certificates = {f"certs/{name}/trusted-registry-abababababababab.crt": pem for name in names}
    return {"buildkitd.toml": config.encode(), **certificates}


def _file(folder: Path, text: str) -> Path:
    path = folder / "buildkitd.default.toml"
    path.write_text(text)
    return path


def test_builders_with_other_drivers_are_left_alone(folder: Path) -> None:
    (folder / "instances" / "rem").write_text(REMOTE)
    (folder / "instances" / "plain").write_text(PLAIN)
    assert [builder.name for builder in buildkit.find(folder)] == ["plain"]


def test_without_buildx_there_are_no_builders(tmp_path: Path) -> None:
    assert buildkit.find(tmp_path / "buildx") == ()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"Name": "x", "Driver": "docker-container", "Nodes": [{}]}', '"x"'])
def test_a_file_that_buildx_did_not_write_is_named(folder: Path, text: str) -> None:
    (folder / "instances" / "odd").write_text(text)
    with pytest.raises(RegistryError, match="instances/odd is no builder"):
        buildkit.find(folder)


def test_a_builder_that_was_made_with_the_certificate_trusts(folder: Path) -> None:
    assert buildkit.trusts(_put(folder, PLAIN, _files()), SUBJECT)


@pytest.mark.parametrize(
    "files",
    [
        None,
        _files(pem=b"another"),
        _files(CONFIG.partition('  [registry."192.168.0.12:443"]')[0]),
        {"buildkitd.toml": CONFIG.encode()},
        _files("debug = true\n"),
    ],
    ids=["no configuration", "another authority", "one spelling", "no certificate", "other settings alone"],
)
def test_a_builder_that_was_made_without_does_not(folder: Path, files: dict[str, bytes] | None) -> None:
    assert not buildkit.trusts(_put(folder, PLAIN, files), SUBJECT)


def test_a_builder_of_two_containers_trusts_when_both_do(folder: Path) -> None:
    assert not buildkit.trusts(_put(folder, TWO, _files()), SUBJECT)


def test_a_plain_builder_is_made_anew_with_the_configuration(folder: Path) -> None:
    file = _file(folder, "")
    assert buildkit.rebuild_commands(_put(folder, PLAIN), file) == (
        ("docker", "buildx", "rm", "--keep-state", "plain"),
        (
            *("docker", "buildx", "create", "--name", "plain", "--driver", "docker-container", "--node", "plain0"),
            *("--buildkitd-flags", ALWAYS, "--buildkitd-config", str(file), "unix:///var/run/docker.sock"),
        ),
    )


def test_a_builder_keeps_its_containers_platforms_options_and_flags(folder: Path) -> None:
    file = _file(folder, "")
    _, first, second = buildkit.rebuild_commands(_put(folder, TWO), file)
    assert first == (
        *("docker", "buildx", "create", "--name", "mine", "--driver", "docker-container", "--node", "mine0"),
        *("--platform", "linux/amd64,linux/arm/v7"),
        *("--driver-opt", '"env.NO_PROXY=a,b"', "--driver-opt", '"env.X=""q"""', "--driver-opt", "network=host"),
        *("--buildkitd-flags", f"--debug {ALWAYS} 'a b'"),
        *("--buildkitd-config", str(file), "unix:///var/run/docker.sock"),
    )
    assert second == (
        *("docker", "buildx", "create", "--name", "mine", "--append", "--node", "other"),
        *("--driver-opt", "network=host", "--buildkitd-flags", ALWAYS),
        *("--buildkitd-config", str(file), "tcp://10.0.0.3:2376"),
    )


def test_what_buildx_adds_to_the_flags_by_itself_does_not_add_up(folder: Path) -> None:
    twice = PLAIN.replace(f'"{ALWAYS}"', f'"--debug","{ALWAYS}","{ALWAYS}"')
    assert f"--debug {ALWAYS}" in buildkit.rebuild_commands(_put(folder, twice), None)[1]


def test_the_builder_in_use_is_in_use_again(folder: Path) -> None:
    (folder / "current").write_text(CURRENT % ("mine", "false"))
    _, first, second = buildkit.rebuild_commands(_put(folder, TWO), None)
    assert ("--use" in first, "--use" in second) == (True, False)


def test_the_builder_of_every_engine_is_that_again(folder: Path) -> None:
    (folder / "current").write_text(CURRENT % ("plain", "true"))
    *_, last = buildkit.rebuild_commands(_put(folder, PLAIN), None)
    assert last == ("docker", "buildx", "use", "--global", "plain")


def test_the_default_builder_of_an_engine_is_that_again(folder: Path) -> None:
    (folder / "current").write_text(CURRENT % ("other", "false"))
    (folder / "defaults").mkdir()
    (folder / "defaults" / "0a1b").write_text("plain")
    *_, last = buildkit.rebuild_commands(_put(folder, PLAIN), None)
    assert last == ("docker", "buildx", "use", "--default", "plain")


def test_a_configuration_that_says_as_much_takes_the_old_one_s_place(folder: Path) -> None:
    builder = _put(folder, PLAIN, _files())
    file = _file(folder, CONFIG.replace("/etc/buildkit/certs/", "/home/me/").replace("debug = true", "debug = true\n"))
    assert buildkit.rebuild_commands(builder, file)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        '[registry."docker.io"]\n  mirrors = ["mirror.example"]\n',
        '[registry."a.example"]\n  ca = ["/etc/buildkit/certs/a.example/ca.crt"]\n',
        "[worker]\n  [worker.oci]\n    gc = false\n",
    ],
)
def test_a_builder_whose_settings_would_be_lost_is_left_with_the_command(folder: Path, config: str) -> None:
    builder = _put(folder, PLAIN, _files(config))
    with pytest.raises(RegistryError, match="made with settings that are not in") as caught:
        buildkit.rebuild_commands(builder, _file(folder, '[registry."192.168.0.12"]\nca = []\n'))
    assert "docker buildx create --name plain" in caught.value.cure


@pytest.mark.parametrize("store", [store for store in STORES if store.name == "buildkit"], ids=lambda store: store.key)
def test_no_line_of_ours_has_a_name_that_buildkit_cannot_read(store: Any) -> None:  # noqa: ANN401 - a row of the table
    anchor = TrustAnchor(PEM, "ab" * 32, ("[fd00::12]:443", "[fd00::12]", "registry.local"))
    assert [block.registry_host for block in store.blocks(anchor)] == ["registry.local"]
