"""The role of a mirror: its proxies, whose passwords nobody sees, and the authorities of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trusted_registry.instance import creation, mirror_role, model
from trusted_registry.instance.model import Image, Instance
from trusted_registry.mirror.upstream import Upstream

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

UPSTREAM = Upstream("registry.example.com:8443")
PROXY = "http://ada:s3cret'$(id)@proxy.lan:3128"


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """Settings of a registry."""
    return make_settings()


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that names no proxy."""
    for name in mirror_role.PROXIES:
        monkeypatch.delenv(name, raising=False)


def _mirror(settings: Settings) -> Instance:
    return mirror_role.mirror(settings, Image("registry:3", "sha256:00"), ("/entrypoint.sh",), UPSTREAM, 5500)


def _proxies(instance: Instance) -> list[model.File]:
    return [it for it in instance.files if it.name == mirror_role.PROXIES_FILE]


def test_a_proxy_s_password_is_in_a_file_of_root_s_and_nowhere_else(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("no_proxy", "10.0.0.0/8,.company.com")
    instance = _mirror(settings)
    (file,) = _proxies(instance)
    quoted = "'http://ada:s3cret'\"'\"'$(id)@proxy.lan:3128'"
    assert file.content.decode() == f"export HTTPS_PROXY={quoted}\nexport no_proxy=10.0.0.0/8,.company.com\n"
    assert (file.secret, file.made) == (True, True)
    assert "s3cret" not in " ".join([*model.argv(instance), str(creation.arguments(instance)), repr(instance)])
    assert instance.files[-1].name == "start.sh"


def test_a_run_without_the_variables_keeps_the_proxy_and_an_empty_one_takes_it_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _proxies(_mirror(settings)) == []
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    (file,) = _proxies(_mirror(settings))
    file.source.parent.mkdir(parents=True)
    file.source.write_bytes(file.content)
    monkeypatch.delenv("HTTPS_PROXY")
    assert _proxies(_mirror(settings)) == [file]
    monkeypatch.setenv("HTTPS_PROXY", "")
    assert _proxies(_mirror(settings)) == []


def test_the_first_bundle_of_this_machine_is_what_it_trusts_its_upstream_by(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "second.pem").write_text("second")
    monkeypatch.setattr(mirror_role, "BUNDLES", (tmp_path / "first.pem", tmp_path / "second.pem"))
    found = {it.name: it.content for it in _mirror(settings).files}
    assert found[mirror_role.AUTHORITIES] == b"second"


def test_a_port_of_the_upstream_makes_no_name_that_an_engine_refuses(settings: Settings) -> None:
    instance = _mirror(settings)
    assert not set(instance.name + instance.storage.volume) & set(":/")
    assert mirror_role.folder_of(settings, UPSTREAM).name == "registry.example.com_8443"


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("http://127.0.0.1:3128", True),
        ("localhost:3128", True),
        ("http://user:word@[::1]:3128", True),
        ("http://127.9.9.9", True),
        ("http://192.0.2.7:3128", False),
        ("http://proxy.company.com:3128", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_a_proxy_on_loopback_is_none_that_a_container_reaches(proxy: str, said: bool) -> None:  # noqa: FBT001
    found = mirror_role.unreachable_proxies({"HTTPS_PROXY": proxy, "NO_PROXY": "127.0.0.1"})
    assert found == (["HTTPS_PROXY"] if said else [])
