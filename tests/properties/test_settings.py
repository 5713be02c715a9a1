"""Whatever is typed for a setting, a host or a name: refused with a cure, or taken."""

from __future__ import annotations

import contextlib
import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.inputs import GIVEN, HOSTS, ODD, PIECES, ROOT, load, typed
from trusted_registry import address, values
from trusted_registry import settings as every
from trusted_registry.defaults import DEFAULTS
from trusted_registry.errors import SettingError


def test_every_setting_is_tried() -> None:
    assert GIVEN.keys() == {f"{section}.{key}" for section, keys in DEFAULTS.items() for key in keys}


@given(data=st.data(), key=st.sampled_from(sorted(GIVEN)))
def test_a_setting_is_taken_or_refused_by_its_name_in_one_line_that_no_terminal_obeys(
    data: st.DataObject, key: str
) -> None:
    try:
        load(**{key: data.draw(GIVEN[key])})
    except SettingError as refused:
        _is_one_safe_line(refused, key)


def _is_one_safe_line(refused: SettingError, key: str) -> None:
    assert key in refused.message
    assert refused.message.isprintable()
    assert refused.cure.isprintable()


@given(
    key=st.sampled_from(sorted(GIVEN)),
    value=st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | typed(), st.lists, max_leaves=3),
)
def test_whatever_yaml_makes_of_a_value_is_taken_or_refused(key: str, value: object) -> None:
    section, _, name = key.partition(".")
    with contextlib.suppress(SettingError):
        every.load({section: {name: value}}, root=ROOT, find_address=lambda: "192.168.0.12")


@given(
    config=st.dictionaries(typed(), st.none() | st.dictionaries(typed(), typed(), max_size=2), max_size=3),
    variables=st.lists(typed().map("INVOKE_{}".format), max_size=3),
)
def test_keys_and_variables_that_mean_nothing_are_refused_at_most(config: dict[str, Any], variables: list[str]) -> None:
    with contextlib.suppress(SettingError):
        every.check_keys(config, variables)


@given(text=HOSTS | typed())
def test_a_host_that_is_taken_is_an_address_or_plain_ascii_labels(text: str) -> None:
    with contextlib.suppress(SettingError):
        found = values.host("x", text)
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]+", found, re.ASCII)
        assert ".." not in found
        assert values.host("x", found) == found


@given(text=typed())
def test_a_host_name_of_this_machine_is_one_that_could_have_been_typed_or_none(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: text)
        found = address.own_name()
    assert found is None or values.host("x", found) == found


def test_the_examples_hold_what_shells_and_templates_take_for_their_own() -> None:
    assert {"$", "`", "'", '"', "\n", "\\", "{", "[", "\0"} <= set(ODD)
    assert io.StringIO("\n".join(PIECES)).read().count("touch evil") == 4
