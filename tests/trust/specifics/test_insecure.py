"""daemon.json gains one registry and loses it again; everything else in it is another's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trusted_registry.errors import RegistryError
from trusted_registry.trust.specifics import insecure

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = Path("/etc/docker/daemon.json")
REGISTRY, OTHER = "192.168.0.12:5000", "10.0.0.1:5000"
FULL = '{\n    "zeta": {"deep": [1, 2]},\n    "log-driver": "journald",\n    "alpha": "é"\n}\n'


def test_an_engine_that_runs_as_root_has_it_in_etc() -> None:
    assert insecure.config_file(rootless=False) == PATH


@pytest.mark.parametrize(
    ("configured", "expected"), [("", "/home/me/.config"), ("/conf", "/conf"), ("rel", "/home/me/.config")]
)
def test_an_engine_without_root_has_it_in_its_user_s_configuration(
    configured: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CONFIG_HOME", configured)
    assert insecure.config_file(rootless=True) == Path(expected) / "docker" / "daemon.json"


@pytest.mark.parametrize("text", ["", "  \n", "{}"])
def test_an_empty_one_gains_the_list(text: str) -> None:
    assert json.loads(insecure.added(text, REGISTRY, PATH)) == {insecure.KEY: [REGISTRY]}


def test_a_full_one_keeps_every_key_in_its_order_and_gains_the_list_at_the_end() -> None:
    found = json.loads(insecure.added(FULL, REGISTRY, PATH))
    assert list(found.items()) == [*json.loads(FULL).items(), (insecure.KEY, [REGISTRY])]


@pytest.mark.parametrize("indent", ["  ", "    ", "\t"])
def test_the_indentation_stays(indent: str) -> None:
    text = json.dumps({"a": {"b": 1}}, indent=indent)
    assert insecure.added(text, REGISTRY, PATH).splitlines()[1:3] == [f'{indent}"a": {{', f'{indent}{indent}"b": 1']


def test_letters_beyond_ascii_stay_readable() -> None:
    assert '"é"' in insecure.added(FULL, REGISTRY, PATH)


def test_the_list_that_is_there_gains_the_registry_at_its_end() -> None:
    text = json.dumps({insecure.KEY: [OTHER], "a": 1})
    assert json.loads(insecure.added(text, REGISTRY, PATH)) == {insecure.KEY: [OTHER, REGISTRY], "a": 1}


def test_a_registry_that_is_listed_already_changes_no_byte() -> None:
    text = '{"insecure-registries":["192.168.0.12:5000"]   }'
    assert insecure.added(text, REGISTRY, PATH) == text


def test_taking_it_out_leaves_what_was_there_before() -> None:
    assert json.loads(insecure.removed(insecure.added(FULL, REGISTRY, PATH), REGISTRY, PATH)) == json.loads(FULL)


def test_taking_it_out_leaves_other_registries() -> None:
    text = json.dumps({insecure.KEY: [OTHER, REGISTRY]})
    assert json.loads(insecure.removed(text, REGISTRY, PATH)) == {insecure.KEY: [OTHER]}


def test_taking_out_all_that_there_was_leaves_nothing() -> None:
    assert insecure.removed(insecure.added("", REGISTRY, PATH), REGISTRY, PATH) == ""


def test_taking_out_what_is_not_there_changes_no_byte() -> None:
    assert insecure.removed(FULL, REGISTRY, PATH) == FULL


def test_the_list_can_be_left_empty_for_an_engine_that_would_keep_what_it_had() -> None:
    text = json.dumps({insecure.KEY: [REGISTRY], "a": 1})
    assert json.loads(insecure.without_registry(text, REGISTRY, PATH)) == {insecure.KEY: [], "a": 1}


@pytest.mark.parametrize("change", [insecure.added, insecure.removed, insecure.without_registry])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n  "a": 1\n  "b": 2\n}', "not valid JSON, line 3"),
        ('{\n  // comment\n  "a": 1}', "not valid JSON, line 2"),
        ("[]", "not what the engine expects"),
        ('"text"', "not what the engine expects"),
        ('{"insecure-registries": "a"}', "not what the engine expects"),
        ('{"insecure-registries": null}', "not what the engine expects"),
    ],
)
def test_one_that_is_not_understood_is_refused_with_its_line_and_a_cure(
    change: Callable[[str, str, Path], str], text: str, said: str
) -> None:
    with pytest.raises(RegistryError, match=f"{PATH} is {said}.*left as it is") as caught:
        change(text, REGISTRY, PATH)
    assert str(PATH) in caught.value.cure
