"""Whatever a person can type passes through settings once, and comes out usable or not at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from invoke.vendor import yaml

from tests.conftest import ADDRESS, ROOT
from trusted_registry.defaults import DEFAULTS
from trusted_registry.errors import SettingError
from trusted_registry.settings import KEY_KINDS, TOOLS, Settings, check_keys, load
from trusted_registry.values import host, whole_number

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings

NO_ADDRESSES = (
    "999.1.1.1",
    "1.2.3",
    "192.168.0.12\nDNS.9 = evil",
    "192.168.0.12\n",
    "192.168.0.12 evil",
    "../192.168.0.12",
    "../../etc/passwd",
    "$(reboot)",
    "`reboot`",
    "192.168.0.12,192.168.0.13",
    "[alt_names]",
    "fe80::1%eth0",
    "fe80::1%../..",
    "fd00::zz",
    "[fd00::12",
    "300." * 75,
    "a" * 300,
    "a.b-.c",
    "-a.example",
    "under_score.example",
    "ex\x00ample",
    "bücher.example",
    "a..b",
    "192.168.0.12:5000",
    "https://192.168.0.12",
    "192.168.0.12/24",
    "٣.1.1.1",
    "224.0.0.1",
)
NOT_REACHABLE = ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "a.localhost", "LOCALHOST", "0.0.0.0", "::")  # noqa: S104 - refused


def _load(**flags: str) -> Settings:
    return load(
        DEFAULTS, root=ROOT, find_address=lambda: ADDRESS, flags={k.replace("__", "."): v for k, v in flags.items()}
    )


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_an_address_that_is_none_is_refused_by_its_setting_s_name(text: str, make_settings: MakeSettings) -> None:
    with pytest.raises(SettingError, match=r"registry\.address is"):
        make_settings(address=text)


@pytest.mark.parametrize("text", NOT_REACHABLE)
def test_an_address_that_no_other_machine_can_reach_is_refused(text: str, make_settings: MakeSettings) -> None:
    with pytest.raises(SettingError, match=r"registry\.address is"):
        make_settings(address=text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.168.0.12", "192.168.0.12"),
        (" 192.168.0.12 ", "192.168.0.12"),
        ("FD00:0::12", "fd00::12"),
        ("[fd00::12]", "fd00::12"),
        ("Registry.Local", "registry.local"),
        ("box", "box"),
        ("1password.example", "1password.example"),
        (".".join(["a" * 63] * 3 + ["b" * 61]), ".".join(["a" * 63] * 3 + ["b" * 61])),
    ],
)
def test_an_address_or_a_name_comes_out_in_its_canonical_form(
    text: str, expected: str, make_settings: MakeSettings
) -> None:
    assert make_settings(address=text).address == expected


@pytest.mark.parametrize("text", [*(it for it in NO_ADDRESSES if "," not in it), ",", "a,,b", "a,"])
def test_a_list_of_names_with_one_that_is_none_is_refused(text: str, make_settings: MakeSettings) -> None:
    with pytest.raises(SettingError, match=r"registry\.names is"):
        make_settings(names=f"registry.local,{text}")


def test_a_list_of_names_keeps_its_order_and_loses_its_spaces(make_settings: MakeSettings) -> None:
    assert make_settings(names="b.example, fd00:0::1,192.168.0.13").names == ("b.example", "fd00::1", "192.168.0.13")


def test_hosts_are_the_address_and_the_names_each_once(make_settings: MakeSettings) -> None:
    assert make_settings(names=f"registry.local,{ADDRESS},registry.local").hosts == (ADDRESS, "registry.local")


def test_without_an_address_this_machine_s_own_is_looked_for() -> None:
    assert load(DEFAULTS, root=ROOT, find_address=lambda: "10.0.0.7").address == "10.0.0.7"


def test_with_an_address_this_machine_s_own_is_not_looked_for(make_settings: MakeSettings) -> None:
    assert make_settings(address="10.0.0.8").address == "10.0.0.8"  # make_settings fails a look


@pytest.mark.parametrize("key", ["port", "plain_port"])
@pytest.mark.parametrize(
    "text", ["0", "-1", "65536", "70000", "abc", "443.0", "4_43", "٤٤٣", "0x1bb", "1e3", "443\n", "9" * 400]
)
def test_a_port_that_is_none_is_refused_with_the_bounds(key: str, text: str, make_settings: MakeSettings) -> None:
    with pytest.raises(SettingError, match=rf"registry\.{key} is") as caught:
        make_settings(**{key: text})
    assert caught.value.cure == "Use a whole number from 1 to 65535."


@pytest.mark.parametrize("text", ["1", "443", "65535"])
def test_a_port_within_the_bounds_is_taken(text: str, make_settings: MakeSettings) -> None:
    assert make_settings(port=text).port == int(text)


@pytest.mark.parametrize(
    ("key", "text", "most"),
    [
        ("days", "0", 397),
        ("days", "-1", 397),
        ("days", "398", 397),
        ("days", "5000", 397),
        ("authority_days", "0", 3650),
        ("authority_days", "-1", 3650),
        ("authority_days", "5000", 3650),
        ("renew_before", "-1", 397),
        ("renew_before", "5000", 397),
    ],
)
def test_a_span_out_of_bounds_is_refused_with_them(key: str, text: str, most: int, make_settings: MakeSettings) -> None:
    with pytest.raises(SettingError, match=rf"certificate\.{key} is '{text}'") as caught:
        make_settings(**{key: text})
    assert caught.value.cure.endswith(f"to {most}.")


@pytest.mark.parametrize("kind", KEY_KINDS)
def test_every_kind_of_key_is_taken(kind: str, make_settings: MakeSettings) -> None:
    assert make_settings(key=kind).key == kind


@pytest.mark.parametrize(
    "kind", ["rsa", "rsa:1024", "rsa:4096\n", "ec:P-521", "ed25519", "EC:P-256", "dsa:2048", "ec:"]
)
def test_an_unknown_kind_of_key_is_refused_with_the_known_ones(kind: str, make_settings: MakeSettings) -> None:
    with pytest.raises(SettingError, match=r"certificate\.key is") as caught:
        make_settings(key=kind)
    assert caught.value.cure == f"Use one of: {', '.join(KEY_KINDS)}."


def test_an_unknown_tool_is_refused_with_the_known_ones(make_settings: MakeSettings) -> None:
    with pytest.raises(SettingError, match=r"certificate\.tool is 'cfssl'") as caught:
        make_settings(tool="cfssl")
    assert caught.value.cure == f"Use one of: {', '.join(TOOLS)}."


@pytest.mark.parametrize("key", ["container", "volume"])
@pytest.mark.parametrize("text", ["../up", "a b", "-a", "a\n", "a" * 129, "a;b", "a/b", "é"])
def test_a_docker_name_that_is_none_is_refused(key: str, text: str, make_settings: MakeSettings) -> None:
    with pytest.raises(SettingError, match=rf"registry\.{key} is"):
        make_settings(**{key: text})


@pytest.mark.parametrize("text", ["-registry", "registry 3", "registry:3\n", "$(x)", "a" * 256, "reg,istry"])
def test_an_image_that_is_none_is_refused(text: str, make_settings: MakeSettings) -> None:
    with pytest.raises(SettingError, match=r"registry\.image is"):
        make_settings(image=text)


@pytest.mark.parametrize(
    "text", ["registry:2", "192.168.0.9:5000/a/registry:3", "[fd00::1]:5000/registry", "registry@sha256:00"]
)
def test_an_image_reference_is_taken(text: str, make_settings: MakeSettings) -> None:
    assert make_settings(image=text).image == text


@pytest.mark.parametrize("key", ["folder", "archive"])
@pytest.mark.parametrize("text", ["a\nb", "a\x00b", "\x1b[31m", "a\x7f"])
def test_a_path_with_a_control_character_is_refused(key: str, text: str, make_settings: MakeSettings) -> None:
    with pytest.raises(SettingError, match=rf"{key} is .*") as caught:
        make_settings(**{key: text})
    assert "\x1b" not in caught.value.message


def test_a_relative_folder_starts_at_the_checkout(make_settings: MakeSettings, tmp_path: Path) -> None:
    assert make_settings(folder="other place").folder == tmp_path / "other place"


def test_a_folder_with_dots_is_the_folder_it_means_by_one_path_alone(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    (tmp_path / "far" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/sub")
    assert make_settings(folder="certs/../keys").folder == tmp_path / "keys"
    assert make_settings(folder="link/../keys").folder == tmp_path / "far" / "keys"
    assert make_settings(folder="link/keys").folder == tmp_path / "link" / "keys"


def test_a_folder_may_start_at_a_person_s_home(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert make_settings(folder="~/certs").folder == tmp_path / "me" / "certs"


def test_no_archive_is_none_rather_than_the_checkout(make_settings: MakeSettings) -> None:
    assert make_settings(archive="").archive is None


def test_an_archive_is_a_path_from_the_checkout(make_settings: MakeSettings, tmp_path: Path) -> None:
    assert make_settings(archive="registry.tar").archive == tmp_path / "registry.tar"


@pytest.mark.parametrize("text", ["registry.local", "999.1.1.1", "fe80::1%eth0", "224.0.0.1"])
def test_an_address_to_listen_on_that_is_none_is_refused(text: str, make_settings: MakeSettings) -> None:
    with pytest.raises(SettingError, match=r"registry\.listen is"):
        make_settings(listen=text)


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "192.168.0.12"])
def test_an_address_to_listen_on_may_be_any_of_this_machine(text: str, make_settings: MakeSettings) -> None:
    assert make_settings(listen=text).listen == text


def test_a_flag_goes_before_the_configuration() -> None:
    config = {"registry": {"address": "10.0.0.1", "port": "8443"}}
    found = load(config, root=ROOT, find_address=str, flags={"registry.port": "9443"})
    assert (found.address, found.port) == ("10.0.0.1", 9443)


def test_an_empty_flag_does_not_go_before_the_configuration() -> None:
    config = {"registry": {"address": "10.0.0.1"}}
    assert load(config, root=ROOT, find_address=str, flags={"registry.address": ""}).address == "10.0.0.1"


def test_a_number_that_yaml_read_as_one_is_taken() -> None:
    assert load({"registry": {"address": ADDRESS, "port": 8443}}, root=ROOT, find_address=str).port == 8443


@pytest.mark.parametrize("key", ["address", "names", "listen"])
def test_a_key_without_a_value_in_invoke_yaml_is_not_the_name_none(key: str) -> None:
    found = load({"registry": {key: None}}, root=ROOT, find_address=lambda: ADDRESS)
    assert "none" not in (*found.hosts, found.listen)


def test_defaults_pass_every_check() -> None:
    assert _load().port == 443


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        _load().port = 80  # type: ignore[misc]


@pytest.mark.parametrize(
    ("config", "said", "nearest"),
    [
        ({"registry": {"prot": "1"}}, "registry.prot", "registry.port"),
        ({"certificate": {"keys": "1"}}, "certificate.keys", "certificate.key"),
        ({"registri": {}}, "registri", "registry"),
        ({"certificate": {"authority-days": "9"}}, "certificate.authority-days", "certificate.authority_days"),
    ],
)
def test_a_misspelt_key_names_the_nearest_right_one(config: dict[str, object], said: str, nearest: str) -> None:
    with pytest.raises(SettingError, match=f"There is no .* '{re.escape(said)}'") as caught:
        check_keys(config, [])
    assert caught.value.cure.startswith(f"Did you mean {nearest}?")


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("INVOKE_REGISTRY_PROT", "INVOKE_REGISTRY_PORT"),
        ("INVOKE_PORT", "INVOKE_REGISTRY_PORT"),
        ("INVOKE_CERTIFICATE_KEYS", "INVOKE_CERTIFICATE_KEY"),
        ("INVOKE_REGISTRY_ADRESS", "INVOKE_REGISTRY_ADDRESS"),
    ],
)
def test_a_misspelt_variable_names_the_nearest_right_one(variable: str, nearest: str) -> None:
    with pytest.raises(SettingError, match=f"There is no variable '{variable}'") as caught:
        check_keys({}, [variable])
    assert caught.value.cure.startswith(f"Did you mean {nearest}?")


@pytest.mark.parametrize("variable", ["INVOKE_REGISTRY_PORT", "INVOKE_RUN_ECHO", "INVOKE_DEBUG", "PATH", "INVOKER"])
def test_a_variable_that_means_something_or_is_not_ours_is_let_through(variable: str) -> None:
    with pytest.raises(SettingError, match="There is no variable 'INVOKE_NONSENSE'"):
        check_keys({}, [variable, "INVOKE_NONSENSE"])


@pytest.mark.parametrize("value", ["text", None, 3, ["a"]])
def test_a_section_without_keys_is_refused(value: object) -> None:
    with pytest.raises(SettingError, match=r"registry in invoke\.yaml has no keys"):
        check_keys({"registry": value}, [])


def test_a_refused_number_is_named_by_the_flag_that_it_came_from() -> None:
    with pytest.raises(SettingError, match="--lines is 'many'"):
        whole_number("--lines", "many", 1, 9)


def test_a_name_of_digits_and_dots_is_judged_as_an_address() -> None:
    with pytest.raises(SettingError, match="no IP address"):
        host("registry.names", "1.2.3.4.5")


def test_invoke_yaml_holds_the_defaults_and_nothing_else() -> None:
    written = yaml.safe_load(  # type: ignore[no-untyped-call]  # Invoke's own copy of PyYAML
        (ROOT / "invoke.yaml").read_text()
    )
    assert written.pop("tasks") == {"executor_class": "trusted_registry.invoking.TaskExecutor"}
    assert written == DEFAULTS


def test_invoke_yaml_has_a_comment_on_every_setting() -> None:
    lines = (ROOT / "invoke.yaml").read_text().splitlines()
    assert [line for line in lines if re.match(r"  \w+:", line) and not re.search(r"  # \S.*\S", line)] == []
