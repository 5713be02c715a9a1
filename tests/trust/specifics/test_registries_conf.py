"""registries.conf: lines about an upstream are found in both of its formats, and none about another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trust.boxes import Box
from trusted_registry.errors import RegistryError
from trusted_registry.trust.specifics import registries_conf

PATH = Path("/etc/containers/registries.conf.d/10-theirs.conf")
FIRST_VERSION = """\
[registries.search]
registries = ['docker.io']

[registries.{key}]
registries = [
  'quay.io',
  '{name}',
]
"""


def _numbers(text: str, upstream: str = "docker.io") -> list[int]:
    return registries_conf.lines_about(upstream, PATH, text)


@pytest.mark.parametrize(
    "name",
    [
        *("docker.io", "DOCKER.IO", "docker.io/library", "docker.io/library/x:1", "docker.io/library/x@sha256:0"),
        *("*.docker.io", "*.io", "*"),
    ],
)
@pytest.mark.parametrize("key", ["prefix", "location"])
def test_a_registry_that_means_the_upstream_or_a_part_of_it_is_one(key: str, name: str) -> None:
    text = f'# docker.io\n[[registry]]\nlocation = "quay.io"\n\n[[registry]]\nblocked = true\n{key} = "{name}"\n'
    assert _numbers(text) == [7]


@pytest.mark.parametrize(
    "name",
    ["quay.io", "docker.io.example.com", "my-docker.io", "docker.io:5000", "docker.iox", "*.example.com", "docker", ""],
)
@pytest.mark.parametrize("key", ["prefix", "location"])
def test_a_registry_of_another_name_is_none(key: str, name: str) -> None:
    assert _numbers(f'[[registry]]\n{key} = "{name}"\nlocation = "{name}"\n'.partition("location = ")[0]) == []


def test_a_registry_that_only_leads_to_the_upstream_or_is_mirrored_by_it_is_none() -> None:
    text = (
        '[[registry]]\nprefix = "a.example/x"\nlocation = "docker.io/x"\n[[registry.mirror]]\nlocation = "docker.io"\n'
    )
    assert _numbers(text) == []


@pytest.mark.parametrize("upstream", ["registry.example:8443"])
@pytest.mark.parametrize("name", ["registry.example", "registry.example:8443", "*.example"])
def test_a_host_stands_for_all_of_its_ports(name: str, upstream: str) -> None:
    assert _numbers(f'[[registry]]\nlocation = "{name}"\n', upstream) == [2]


def test_each_table_has_its_own_line_though_names_repeat() -> None:
    text = '[[registry]]\nprefix = "docker.io/a"\n[[ "registry" ]]\n# docker.io\nlocation = "docker.io"\n'
    assert _numbers(text) == [2, 5]


def test_tables_in_one_line_have_that() -> None:
    assert _numbers('unqualified-search-registries = ["x.io"]\nregistry = [{location = "docker.io"}]\n') == [2]


@pytest.mark.parametrize("key", ["block", "insecure"])
@pytest.mark.parametrize("name", ["docker.io", "docker.io/library", "*"])
def test_the_format_s_first_version_counts_too(name: str, key: str) -> None:
    assert _numbers(FIRST_VERSION.format(key=key, name=name)) == [2 if name == "docker.io" else 7]


def test_short_names_are_no_word_about_the_upstream() -> None:
    assert _numbers(FIRST_VERSION.format(key="block", name="example.com")) == []
    assert _numbers('unqualified-search-registries = ["docker.io"]\n[aliases]\nx = "docker.io/library/x"\n') == []


@pytest.mark.parametrize("text", ["registry = 1", "[registry]\nx = 1", "[[registry]]\nprefix = 3", "registries = []"])
def test_a_form_that_podman_refuses_says_nothing(text: str) -> None:
    assert _numbers(text) == []


def test_a_file_that_is_no_toml_is_refused_with_its_line() -> None:
    with pytest.raises(RegistryError, match=f"{PATH}, line 2, is not valid TOML"):
        _numbers('[[registry]]\nlocation = docker.io"\n')


def test_files_of_the_system_and_of_the_user_are_read_and_only_those_that_podman_reads(tmp_path: Path) -> None:
    box = Box(tmp_path)
    wanted = [
        box.file("/usr/share/containers/registries.conf.d/00.conf"),
        box.file("/etc/containers/registries.conf"),
        box.file("/etc/containers/registries.conf.d/000-shortnames.conf"),
        box.file("/etc/containers/registries.conf.d/below/50.conf"),
        box.file("{home}/.config/containers/registries.conf.d/x.conf"),
    ]
    box.file("/etc/containers/registries.conf.d/README")
    assert registries_conf.files(box.machine) == wanted
    assert registries_conf.hiding(box.machine) is None
    own = box.file("{home}/.config/containers/registries.conf")
    assert registries_conf.hiding(box.machine) == own
