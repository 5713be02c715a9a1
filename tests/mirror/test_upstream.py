"""Upstreams: public hosts of references, and nothing that only looks like one."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given

from tests.properties.inputs import NAMES, typed
from trusted_registry import installation
from trusted_registry.errors import SettingError
from trusted_registry.instance.model import mirror_name
from trusted_registry.mirror import filling, upstream


@pytest.mark.parametrize(
    ("typed", "name", "url"),
    [
        ("docker.io", "docker.io", "https://registry-1.docker.io"),
        *((it, "docker.io", "https://registry-1.docker.io") for it in ("index.docker.io", "hub.docker.com")),
        *((it, "docker.io", "https://registry-1.docker.io") for it in ("docker.io:443", "index.docker.io:443")),
        ("ghcr.io:443", "ghcr.io", "https://ghcr.io"),
        (" GHCR.io ", "ghcr.io", "https://ghcr.io"),
        ("registry.k8s.io", "registry.k8s.io", "https://registry.k8s.io"),
        ("registry.example.com:8443", "registry.example.com:8443", "https://registry.example.com:8443"),
    ],
)
def test_a_host_of_references_is_one(typed: str, name: str, url: str) -> None:
    found = upstream.parse(typed)
    assert (found.name, found.url) == (name, url)


@pytest.mark.parametrize(
    "typed",
    [
        *(
            "",
            "docker",
            "https://ghcr.io",
            "user@ghcr.io",
            "ghcr.io:x",
            "ghcr.io:0",
            "ghcr.io:08443",
            "ghcr.io:70000",
            "ghcr.io:",
        ),
        *(
            "ghcr..io",
            "-a.io",
            "a" * 130 + ".io",
            "ghcr.io; id",
            "../x.io",
            "\x1b[31m.io",
            "a\n.io",
            "\N{SNOWMAN}.io",
            "registry.\N{KELVIN SIGN}8s.io",
        ),
    ],
)
def test_what_is_none_is_refused(typed: str) -> None:
    with pytest.raises(SettingError):
        upstream.parse(typed)


@pytest.mark.parametrize(
    "typed",
    [
        *("192.0.2.1", "192.0.2.1:5000", "10.0.0.1", "[fd00::1]:5000", "registry", "localhost:5000"),
        *("registry.local", "hub.internal:5000", "a.lan", "a.home.arpa", "a.b.corp", "a.test", "nobody.invalid"),
    ],
)
def test_a_private_one_is_refused_and_it_is_said_that_mirrors_ask_nobody_for_a_login(typed: str) -> None:
    with pytest.raises(SettingError, match=r"no public registry.* no login and has no password"):
        upstream.parse(typed)


@pytest.mark.parametrize(
    ("typed", "cure"),
    [
        ("https://ghcr.io", "Leave out https://: ghcr.io"),
        (" HTTP://GHCR.io/org/app ", "Leave out http://: ghcr.io"),
        ("https://index.docker.io/v1/", "Leave out https://: docker.io"),
    ],
)
def test_of_a_url_the_host_is_named(typed: str, cure: str) -> None:
    with pytest.raises(SettingError, match="is a URL") as caught:
        upstream.parse(typed)
    assert caught.value.cure == cure


@pytest.mark.parametrize("name", ["../x.io", "a b.io", "ghcr.io:443", "hub.docker.com", "GHCR.io", "a.io:99999", ""])
def test_a_name_in_the_installation_s_file_is_one_or_the_file_is_damaged(name: str) -> None:
    def content(upstream: str) -> bytes:
        mirrors = {upstream: {"port": 5500, "used": True}}
        return json.dumps({"version": 1, "id": "a" * 32, "mirrors": mirrors}).encode()

    assert installation.parse(content("ghcr.io")).mirrors
    with pytest.raises(ValueError, match="mirrors"):
        installation.parse(content(name))


@pytest.mark.parametrize("typed", ["ghcr.io/org", "ghcr.io/", "docker.io/library/alpine:3"])
def test_one_with_a_path_is_refused_since_a_mirror_is_of_a_whole_registry(typed: str) -> None:
    with pytest.raises(SettingError, match="has a path"):
        upstream.parse(typed)


def test_the_registry_here_is_refused() -> None:
    own = ("192.168.0.12", "registry.company.com")
    with pytest.raises(SettingError, match="is the registry here"):
        upstream.parse("registry.company.com:5000", own)
    assert upstream.parse("registry2.company.com", own).name == "registry2.company.com"


@pytest.mark.parametrize("name", ["locally.com", "internal.company.com", "test.example.org", "lan.io"])
def test_a_name_that_only_has_such_a_word_in_it_is_public(name: str) -> None:
    assert upstream.parse(name).name == name


def test_a_port_gives_a_name_that_an_engine_takes_and_no_other_upstream_has() -> None:
    names = {mirror_name("registry", it) for it in ("a.io:8443", "a.io-8443", "a.io")}
    assert (len(names), any(":" in it for it in names)) == (3, False)


def test_the_samples_are_of_registries_that_can_be_mirrored() -> None:
    for name, sample in upstream._SAMPLES.items():
        assert upstream.parse(name).sample == sample
    assert upstream.parse("registry.example.com").sample is None


@given(text=typed() | NAMES)
def test_whatever_is_typed_is_a_name_that_is_safe_everywhere_or_refused(text: str) -> None:
    try:
        found = upstream.parse(text)
    except SettingError:
        return
    assert re.fullmatch(r"[a-z0-9.-]+(:[0-9]+)?", found.name)
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", mirror_name("registry", found.name))
    assert upstream.parse(found.name) == found


@given(text=typed() | NAMES)
def test_whatever_reference_is_typed_is_one_that_is_safe_in_a_path_or_refused(text: str) -> None:
    try:
        found = filling.parse(text)
    except SettingError:
        return
    assert re.fullmatch(r"[a-z0-9._/-]+", found.repository)
    assert ".." not in found.repository
    assert re.fullmatch(r"[\w.-]+|sha256:[0-9a-f]{64}", found.name, re.ASCII)
