"""What containerd says of its configuration, and what of it keeps trust from being read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.programs import put
from trusted_registry.errors import RegistryError
from trusted_registry.trust.specifics import containerd, containerd_file

DUMPS = Path(__file__).parent / "dumps"
OLD, NEW = ("1.6", "1.7"), ("2.1",)
SET = 'config_path = "/etc/containerd/certs.d"'
BOTH = "config_path = '/etc/containerd/certs.d:/etc/docker/certs.d'"

every_version = pytest.mark.parametrize("version", [*OLD, *NEW])


def _dump(version: str, config_path: str = "", more: str = "") -> str:
    """Return what `containerd config dump` of that version really printed, with one setting changed or lines added."""
    text = (DUMPS / f"containerd-{version}.toml").read_text()
    head = containerd_file.HEADS[3 if version in NEW else 2]
    before, registry = text.split(head)
    if config_path:
        registry = registry.replace('config_path = ""', config_path, 1).replace("config_path = ''", config_path, 1)
    return f"{before}{head}{registry}{more.replace('[registry.', head.removesuffix(']') + '.')}"


def _mirrors(version: str) -> str:
    """Return endpoints as the CRI plugin once had them; 1.x prints an empty table for them already."""
    return _dump(version, SET, '\n[registry.mirrors."docker.io"]\n  endpoint = ["https://mirror.example"]\n')


@every_version
def test_a_config_path_that_is_not_set_is_named_with_the_lines_that_set_it(version: str) -> None:
    (found,) = containerd.advice(_dump(version))
    assert "config_path is not set" in found.wrong
    plugin = "io.containerd.cri.v1.images" if version in NEW else "io.containerd.grpc.v1.cri"
    assert plugin in found.lines[0]
    assert found.lines[1].strip() == SET
    assert found.words().endswith("; then: systemctl restart containerd")


def test_on_a_node_the_restart_is_one_of_that_node() -> None:
    (found,) = containerd.advice(_dump("1.7"))
    words = found.words(prefix=("docker", "exec", "kind-worker"))
    assert words.endswith("; then: docker exec kind-worker systemctl restart containerd")


@every_version
def test_a_config_path_that_is_set_needs_no_advice(version: str) -> None:
    assert containerd.advice(_dump(version, SET)) == ()


@every_version
def test_a_config_path_elsewhere_is_named(version: str) -> None:
    (found,) = containerd.advice(_dump(version, 'config_path = "/cfg/certs.d"'))
    assert "does not read /etc/containerd/certs.d: its config_path is /cfg/certs.d" in found.wrong


@every_version
def test_mirrors_beside_a_config_path_keep_the_plugin_from_loading(version: str) -> None:
    (found,) = containerd.advice(_mirrors(version))
    assert "does not load with registry.mirrors beside config_path" in found.wrong
    assert "Take registry.mirrors out" in found.cure


@every_version
def test_certificates_by_registry_beside_a_config_path_do_so_too(version: str) -> None:
    tls = '\n[registry.configs."a.example".tls]\n  ca_file = "/a.crt"\n'
    (found,) = containerd.advice(_dump(version, SET, tls))
    assert "registry.configs with tls" in found.wrong


@every_version
def test_passwords_by_registry_do_not(version: str) -> None:
    assert containerd.advice(_dump(version, SET, '\n[registry.configs."a.example".auth]\n  username = "me"\n')) == ()


@every_version
def test_mirrors_without_a_config_path_would_be_in_its_way(version: str) -> None:
    unset, in_the_way = containerd.advice(_mirrors(version).replace(SET, 'config_path = ""'))
    assert "config_path is not set" in unset.wrong
    assert "would no longer load while registry.mirrors is there" in in_the_way.wrong


def test_two_paths_joined_by_a_colon_are_one_to_the_transfer_service() -> None:
    (found,) = containerd.advice(_dump("2.1", BOTH))
    assert "takes its config_path, /etc/containerd/certs.d:/etc/docker/certs.d, for one folder" in found.wrong
    assert found.lines[1].strip() == SET


@pytest.mark.parametrize("local", ["use_local_image_pull", "discard_unpacked_layers"])
def test_without_the_transfer_service_they_are_two(local: str) -> None:
    assert containerd.advice(_dump("2.1", BOTH).replace(f"{local} = false", f"{local} = true")) == ()


def test_before_2_1_there_was_no_transfer_service() -> None:
    assert containerd.advice(_dump("2.1", BOTH).replace("    use_local_image_pull = false\n", "")) == ()


@pytest.mark.parametrize("version", OLD)
def test_to_containerd_1_they_are_two(version: str) -> None:
    assert containerd.advice(_dump(version, BOTH)) == ()


@every_version
@pytest.mark.parametrize("name", ["cri", "io.containerd.grpc.v1.cri"])
def test_a_disabled_plugin_needs_no_more_than_being_named(version: str, name: str) -> None:
    text = _dump(version).replace("disabled_plugins = []", f'disabled_plugins = ["{name}"]')
    (found,) = containerd.advice(text)
    assert "CRI plugin is disabled" in found.words()
    assert found.cure == ""


def test_a_containerd_without_the_plugin_needs_no_advice() -> None:
    assert containerd.advice("version = 2\n[plugins]\n") == ()


@pytest.mark.process
@pytest.mark.parametrize(("there", "said"), [(False, "the defaults"), (True, "")])
def test_without_a_file_the_defaults_are_what_containerd_goes_by(
    there: bool,  # noqa: FBT001 - a column
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As 1.6 and 1.7 do: they dump nothing where there is no file, and nothing where it is broken."""
    put("containerd", '[ "$2" = default ] && echo the defaults', tmp_path, monkeypatch)
    config = tmp_path / "config.toml"
    if there:
        config.write_text("broken")
    argv = [word.replace(containerd.CONFIG, str(config)) for word in containerd.ASK]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode == 0) == (said, not there)


def test_what_is_not_toml_is_named_with_its_line() -> None:
    with pytest.raises(RegistryError, match="containerd config dump, line 2, is not valid TOML"):
        containerd.advice("version = 2\nplugins = [\n")


def test_what_is_no_configuration_of_containerd_is_an_error_and_no_traceback() -> None:
    with pytest.raises(RegistryError, match="where there should be a table"):
        containerd.advice('plugins = "none"\n')
