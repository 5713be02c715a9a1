"""What a flag said stays until it is taken back, and gives way to what is set explicitly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.recorder import Recorder
from trusted_registry import saved_flags, settings
from trusted_registry.defaults import DEFAULTS
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.settings import Settings

OWN = "10.0.0.7"


def load(
    folder: Path, config: dict[str, str] | None = None, environ: tuple[str, ...] = (), /, **flags: str
) -> Settings:
    """Return the settings of one run."""
    return settings.load(
        {**DEFAULTS, "registry": {**DEFAULTS["registry"], **(config or {})}},
        root=folder,
        find_address=lambda: OWN,
        flags={f"registry.{key}": value for key, value in flags.items()},
        find_saved_flags=saved_flags.read,
        environ=environ,
    )


def run(folder: Path, console: Recorder | None = None, /, **flags: str) -> list[str]:
    """Have a run keep what its flags say, and return what it says."""
    console = console or Recorder()
    found = load(folder, **flags)
    saved_flags.announce(Run(found, console))
    saved_flags.save(Run(found, console))
    return console.said


@pytest.mark.parametrize("key", ["address", "names", "port"])
def test_what_a_flag_said_once_counts_for_the_next_run_which_says_so(key: str, tmp_path: Path) -> None:
    value = {"address": "registry.local", "names": "b.local,10.0.0.9", "port": "8443"}[key]
    assert run(tmp_path, **{key: value}) == []
    found = load(tmp_path)
    assert str({"address": found.address, "names": ",".join(found.names), "port": found.port}[key]) == value
    assert run(tmp_path) == [f'settings: --{key} {value}, remembered; to forget them: ./inv up --{key} ""']


def test_what_is_so_without_any_flag_is_not_said(tmp_path: Path) -> None:
    run(tmp_path, port="8443")
    run(tmp_path, port="443")
    assert run(tmp_path) == []


@pytest.mark.parametrize("key", ["address", "names", "port"])
def test_an_empty_flag_takes_back_what_the_same_flag_said(key: str, tmp_path: Path) -> None:
    run(tmp_path, address="registry.local", names="b.local", port="8443")
    run(tmp_path, **{key: ""})
    found = load(tmp_path)
    default = {"address": found.address == OWN, "names": found.names == (), "port": found.port == 443}
    assert [name for name, is_default in default.items() if is_default] == [key]


def test_names_add_up_each_once_and_in_one_spelling(tmp_path: Path) -> None:
    run(tmp_path, names="b.local")
    run(tmp_path, names="C.local, B.local")
    assert load(tmp_path, names="d.local").names == ("b.local", "c.local", "d.local")


def test_a_second_address_or_port_takes_the_place_of_the_first(tmp_path: Path) -> None:
    run(tmp_path, address="10.0.0.1", port="8443")
    run(tmp_path, address="10.0.0.2", port="9443")
    found = load(tmp_path)
    assert (found.address, found.port) == ("10.0.0.2", 9443)


def test_a_variable_goes_before_what_a_flag_said_once_though_it_names_the_default(tmp_path: Path) -> None:
    run(tmp_path, port="8443")
    assert load(tmp_path, {"port": "443"}, ("INVOKE_REGISTRY_PORT",)).port == 443
    assert load(tmp_path, None, ("INVOKE_REGISTRY_NAMES",)).port == 8443


def test_invoke_yaml_goes_before_what_a_flag_said_once_and_a_flag_before_both(tmp_path: Path) -> None:
    run(tmp_path, port="8443")
    assert load(tmp_path, {"port": "9443"}).port == 9443
    assert load(tmp_path, {"port": "9443"}, port="10443").port == 10443


def test_names_of_invoke_yaml_stand_beside_those_that_flags_gave_and_are_not_kept(tmp_path: Path) -> None:
    run(tmp_path, names="b.local")
    assert load(tmp_path, {"names": "a.local"}, names="c.local").names == ("a.local", "b.local", "c.local")
    assert load(tmp_path).names == ("b.local",)


def test_names_that_are_taken_back_are_named_but_not_one_that_invoke_yaml_has_too(tmp_path: Path) -> None:
    run(tmp_path, names="a.local,b.local")
    assert load(tmp_path, {"names": "a.local"}, names="").dropped_names == ("b.local",)
    (said,) = run(tmp_path, names="")
    assert said.startswith("names: a.local, b.local forgotten;")
    assert list((tmp_path / "certs").iterdir()) == []


def test_a_dry_run_keeps_nothing(tmp_path: Path) -> None:
    run(tmp_path, Recorder(dry=True), names="b.local")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "value", "elsewhere"), [("address", "registry.local", "10.0.0.9"), ("port", "8443", "9443")]
)
def test_what_a_flag_said_is_not_said_to_count_where_something_goes_before_it(
    key: str, value: str, elsewhere: str, tmp_path: Path
) -> None:
    run(tmp_path, names="b.local", **{key: value})
    console = Recorder()
    saved_flags.announce(Run(load(tmp_path, {key: elsewhere}), console))
    assert console.said == ['settings: --names b.local, remembered; to forget them: ./inv up --names ""']


HOSTILE = [
    '{"port": 1}',
    '{"port": "8443; rm -rf /"}',
    '{"port": ""}',
    '{"address": "127.0.0.1"}',
    '{"address": "../../etc"}',
    '{"names": "a b"}',
    '{"names": "$(id)"}',
    '{"container": "x"}',
]


@pytest.mark.parametrize("content", ["{", "[]", "[" * 100_000, "\udcff", *HOSTILE])
def test_what_something_else_wrote_there_is_refused_by_name(content: str, tmp_path: Path) -> None:
    path = tmp_path / "certs" / saved_flags.FILE
    path.parent.mkdir()
    path.write_text(content, errors="surrogateescape")
    with pytest.raises(SettingError, match=r"given\.json, which keeps what flags said, cannot be used") as caught:
        load(tmp_path)
    assert caught.value.cure.endswith(f"rm {path}")


def test_what_it_may_not_say_is_named_and_refused_though_a_flag_or_a_variable_goes_before_it(tmp_path: Path) -> None:
    path = tmp_path / "certs" / saved_flags.FILE
    path.parent.mkdir()
    path.write_text(json.dumps({"port": "x;y"}))
    with pytest.raises(SettingError, match=r"given\.json.*registry\.port is 'x;y'"):
        load(tmp_path, {"port": "443"}, ("INVOKE_REGISTRY_PORT",))
    path.write_text(json.dumps({"names": "a b"}))
    with pytest.raises(SettingError, match=r"given\.json.*registry\.names is 'a b'"):
        load(tmp_path, names="")


def test_a_file_where_its_folder_should_be_is_left_to_who_needs_the_folder(tmp_path: Path) -> None:
    (tmp_path / "certs").touch()
    assert load(tmp_path).saved_flags == {}


def test_one_that_this_user_may_not_read_is_not_to_be_taken_away(tmp_path: Path) -> None:
    (tmp_path / "certs" / saved_flags.FILE).mkdir(parents=True)  # root may read every file
    with pytest.raises(RegistryError, match=r"given\.json cannot be read: Is a directory") as caught:
        load(tmp_path)
    assert caught.value.cure.startswith("See who owns it")
