"""daemon.json gains one value and loses it again; everything else in it is another's."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import cast

import pytest

from tests.fake_engine import FakeEngine
from trusted_registry.errors import RegistryError
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.specifics import daemon_json
from trusted_registry.trust.specifics.daemon_json import INSECURE, LISTS, MIRRORS, DaemonList

PATH = Path("/etc/docker/daemon.json")
REGISTRY, OTHER, URL = "192.168.0.12:5000", "10.0.0.1:5000", "https://192.168.0.12:5500"
FULL = '{\n    "zeta": {"deep": [1, 2]},\n    "log-driver": "journald",\n    "alpha": "é"\n}\n'


@pytest.fixture(params=LISTS, ids=[it.key for it in LISTS])
def listed(request: pytest.FixtureRequest) -> DaemonList:
    """Each list."""
    return cast("DaemonList", request.param)


def test_an_engine_that_runs_as_root_has_it_in_etc() -> None:
    assert daemon_json.config_file(rootless=False) == machines.current().root / "etc/docker/daemon.json"


@pytest.mark.parametrize(
    ("configured", "expected"), [("", "/home/me/.config"), ("/conf", "/conf"), ("rel", "/home/me/.config")]
)
def test_an_engine_without_root_has_it_in_its_user_s_configuration(
    configured: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CONFIG_HOME", configured)
    assert daemon_json.config_file(rootless=True) == Path(expected) / "docker" / "daemon.json"


@pytest.mark.parametrize("text", ["", "  \n", "{}"])
def test_an_empty_one_gains_the_list(text: str, listed: DaemonList) -> None:
    assert json.loads(listed.added(text, REGISTRY, PATH)) == {listed.key: [REGISTRY]}


def test_a_full_one_keeps_every_key_in_its_order_and_gains_the_list_at_the_end(listed: DaemonList) -> None:
    found = json.loads(listed.added(FULL, REGISTRY, PATH))
    assert list(found.items()) == [*json.loads(FULL).items(), (listed.key, [REGISTRY])]


@pytest.mark.parametrize("indent", ["  ", "    ", "\t"])
def test_the_indentation_stays(indent: str, listed: DaemonList) -> None:
    text = json.dumps({"a": {"b": 1}}, indent=indent)
    assert listed.added(text, REGISTRY, PATH).splitlines()[1:3] == [f'{indent}"a": {{', f'{indent}{indent}"b": 1']


def test_letters_beyond_ascii_stay_readable(listed: DaemonList) -> None:
    assert '"é"' in listed.added(FULL, REGISTRY, PATH)


def test_the_list_that_is_there_gains_the_registry_at_its_end(listed: DaemonList) -> None:
    text = json.dumps({listed.key: [OTHER], "a": 1})
    assert json.loads(listed.added(text, REGISTRY, PATH)) == {listed.key: [OTHER, REGISTRY], "a": 1}


def test_a_registry_that_is_listed_already_changes_no_byte(listed: DaemonList) -> None:
    text = f'{{"{listed.key}":["192.168.0.12:5000"]   }}'
    assert listed.added(text, REGISTRY, PATH) == text


def test_taking_it_out_leaves_what_was_there_before(listed: DaemonList) -> None:
    assert json.loads(listed.removed(listed.added(FULL, REGISTRY, PATH), REGISTRY, PATH)) == json.loads(FULL)


def test_taking_it_out_leaves_other_registries(listed: DaemonList) -> None:
    text = json.dumps({listed.key: [OTHER, REGISTRY]})
    assert json.loads(listed.removed(text, REGISTRY, PATH)) == {listed.key: [OTHER]}


def test_taking_out_all_that_there_was_leaves_nothing(listed: DaemonList) -> None:
    assert listed.removed(listed.added("", REGISTRY, PATH), REGISTRY, PATH) == ""


def test_taking_out_what_is_not_there_changes_no_byte(listed: DaemonList) -> None:
    assert listed.removed(FULL, REGISTRY, PATH) == FULL


def test_the_list_can_be_left_empty_for_an_engine_that_would_keep_what_it_had(listed: DaemonList) -> None:
    text = json.dumps({listed.key: [REGISTRY], "a": 1})
    assert json.loads(listed.without(text, REGISTRY, PATH)) == {listed.key: [], "a": 1}


@pytest.mark.parametrize("change", ["added", "removed", "without", "has"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n  "a": 1\n  "b": 2\n}', "not valid JSON, line 3"),
        ('{\n  // comment\n  "a": 1}', "not valid JSON, line 2"),
        ("[]", "not what the engine expects"),
        ('"text"', "not what the engine expects"),
        ('{"KEY": "a"}', "not what the engine expects"),
        ('{"KEY": null}', "not what the engine expects"),
    ],
)
def test_one_that_is_not_understood_is_refused_with_its_line_and_a_cure(
    change: str, text: str, said: str, listed: DaemonList
) -> None:
    with pytest.raises(RegistryError, match=f"{PATH} is {said}.*left as it is") as caught:
        getattr(listed, change)(text.replace("KEY", listed.key), REGISTRY, PATH)
    assert str(PATH) in caught.value.cure


@pytest.mark.parametrize(
    ("listed", "value", "same", "other"),
    [
        (INSECURE, REGISTRY, [REGISTRY, f"http://{REGISTRY}", f"HTTPS://{REGISTRY}"], [f"ftp://{REGISTRY}", OTHER]),
        (MIRRORS, URL, [URL, f"{URL}/"], [URL.replace("https", "http"), f"{URL}0", f"{URL}/v2"]),
    ],
    ids=["insecure-registries", "registry-mirrors"],
)
def test_each_form_in_which_the_engine_means_a_value_is_that_value(
    listed: DaemonList, value: str, same: list[str], other: list[str]
) -> None:
    for entry, expected in [*((it, True) for it in same), *((it, False) for it in other)]:
        assert listed.has(json.dumps({listed.key: [entry]}), value, PATH) is expected, entry


def test_an_engine_s_own_words_tell_whether_it_goes_by_a_value() -> None:
    info = FakeEngine().said
    assert not MIRRORS.is_in_use(info, URL)
    assert MIRRORS.is_in_use(dataclasses.replace(info, mirrors=(f"{URL}/",)), URL)
    assert not MIRRORS.is_in_use(dataclasses.replace(info, insecure=(URL,)), URL)
    assert INSECURE.is_in_use(dataclasses.replace(info, insecure=(REGISTRY,)), REGISTRY)


def test_each_list_has_a_store_of_its_own_in_the_ledger_and_no_store_of_the_table_s() -> None:
    assert [daemon_json.of_store(it.store) for it in LISTS] == list(LISTS)
    assert {it.store for it in LISTS}.isdisjoint(it.key for it in client_stores.STORES)
    assert daemon_json.of_store("docker") is None
