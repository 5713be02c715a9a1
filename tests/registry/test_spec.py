"""One description of the container, for the Engine API and for people: both must say the same."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import ROOT
from trusted_registry.instance import spec as specs
from trusted_registry.instance.spec import Mount, Spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeSettings


@pytest.fixture(params=["tls", "tls on one address", "tls on IPv6", "tls with a shell", "plain", "plain on the LAN"])
def spec(request: pytest.FixtureRequest, make_settings: MakeSettings) -> Spec:
    """Each container that there can be."""
    listen = {"tls on one address": "192.168.0.12", "tls on IPv6": "fd00::12"}.get(request.param, "")
    settings = make_settings(listen=listen)
    own = specs.OFFICIAL_ENTRYPOINT if request.param.endswith(("shell", "LAN")) else ()
    if request.param.startswith("tls"):
        return specs.tls(settings, "registry:3", own)
    return specs.plain(settings, "registry:3", own, lan=request.param.endswith("LAN"))


def _options(argv: list[str]) -> dict[str, list[str]]:
    """Return what was typed by option; all options of `docker run` here but two take a value."""
    found: dict[str, list[str]] = {}
    words: Iterator[str] = iter(argv[2:])
    for word in words:
        if not word.startswith("--"):
            found["image"] = [word]
            found["command"] = list(words)
        else:
            found.setdefault(word, []).append("" if word in ("--detach", "--read-only") else next(words))
    return found


def _as_api(options: dict[str, list[str]]) -> dict[str, object]:
    """Return what was typed in the words of the Engine API."""
    host, _, published = options["--publish"][0].rpartition(":")
    listen, _, port = host.rpartition(":") if ":" in host else ("", "", host)
    volume, _, store = options["--volume"][0].partition(":")
    mounts: list[dict[str, object]] = [{"Type": "volume", "Source": volume, "Target": store}]
    for typed in options.get("--mount", []):
        said = dict(part.partition("=")[::2] for part in typed.split(","))
        mounts.append(
            {"Type": said["type"], "Source": said["source"], "Target": said["target"], "ReadOnly": "readonly" in said}
        )
    pairs = {name: dict(it.split("=", 1) for it in options[name]) for name in ("--env", "--label")}
    return {
        "image": options["image"][0],
        "entrypoint": options.get("--entrypoint"),
        "command": options["command"],
        "name": options["--name"][0],
        "restart_policy": {"Name": options["--restart"][0]},
        "ports": {f"{published}/tcp": (listen.strip("[]"), int(port)) if listen else int(port)},
        "mounts": mounts,
        "environment": pairs["--env"],
        "read_only": "--read-only" in options,
        "cap_drop": options["--cap-drop"],
        "cap_add": options.get("--cap-add", []),
        "security_opt": options["--security-opt"],
        "mem_limit": options["--memory"][0],
        "pids_limit": int(options["--pids-limit"][0]),
        "labels": pairs["--label"],
    }


def test_what_a_person_would_type_and_what_the_engine_is_told_are_the_same(spec: Spec) -> None:
    assert _as_api(_options(specs.argv(spec))) == specs.arguments(spec)


def test_the_log_settings_that_are_typed_are_the_spec_s(spec: Spec) -> None:
    options = _options(specs.argv(spec))
    assert (options["--log-opt"], options["--log-driver"]) == ([f"{k}={v}" for k, v in spec.log_options], ["json-file"])


def test_the_authority_s_key_is_mounted_nowhere_and_neither_is_its_folder(spec: Spec) -> None:
    assert not {mount.source.name for mount in spec.mounts} & {"ca.key", "certs"}
    assert "ca.key" not in " ".join(specs.argv(spec))


def test_every_mount_of_a_file_is_read_only(spec: Spec) -> None:
    mounts: Any = specs.arguments(spec)["mounts"]
    assert [mount["ReadOnly"] for mount in mounts if mount["Type"] == "bind"] == [True] * len(spec.mounts)


def test_the_container_is_given_no_rights_that_it_needs_not(spec: Spec) -> None:
    given = specs.arguments(spec)
    assert [given[key] for key in ("read_only", "cap_drop", "security_opt")] == [True, ["ALL"], ["no-new-privileges"]]


def test_the_configuration_is_passed_by_path_to_the_registry_itself(spec: Spec) -> None:
    assert spec.command[-2:] == ("serve", "/config/registry.yml")
    assert "/config/registry.yml" in [mount.target for mount in spec.mounts]


def test_an_image_with_a_shell_mends_its_store_and_then_becomes_what_it_would_have_been(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings()
    spec = specs.tls(settings, "registry:3", ("/entrypoint.sh",))
    assert specs.arguments(spec)["entrypoint"] == ["/bin/sh"]
    assert spec.command == ("/config/start.sh", "/entrypoint.sh", "serve", "/config/registry.yml")
    assert spec.config_files == {
        settings.folder / "registry.yml": spec.config,
        settings.folder / "start.sh": spec.start_script,
    }


def test_an_image_without_a_shell_starts_what_it_starts(make_settings: MakeSettings) -> None:
    settings = make_settings()
    spec = specs.tls(settings, "registry:3")
    assert (specs.arguments(spec)["entrypoint"], spec.command) == (None, ("serve", "/config/registry.yml"))
    assert spec.config_files == {settings.folder / "registry.yml": spec.config}


def test_what_runs_before_the_registry_is_the_golden_file(make_settings: MakeSettings) -> None:
    spec = specs.plain(make_settings(), "registry:3", specs.OFFICIAL_ENTRYPOINT, lan=False)
    assert spec.start_script == (ROOT / "tests/golden/start.sh").read_text()


def test_the_registry_gives_requests_up_before_the_engine_gives_up_the_registry(make_settings: MakeSettings) -> None:
    assert f"draintimeout: {specs.STOP_SECONDS - 2}s" in specs.tls(make_settings(), "registry:3").config


def test_the_container_comes_back_after_a_crash_and_a_restart_of_the_engine(spec: Spec) -> None:
    assert specs.arguments(spec)["restart_policy"] in ({"Name": "always"}, {"Name": "always"})


def test_the_container_is_marked_as_ours_with_what_it_was_made_from(spec: Spec) -> None:
    assert spec.labels == {"trusted-registry.role": spec.role, "trusted-registry.spec": spec.digest}


def test_plain_http_listens_on_loopback_alone(make_settings: MakeSettings) -> None:
    assert specs.plain(make_settings(), "registry:3", lan=False).listen == "127.0.0.1"


def test_plain_http_on_the_lan_listens_where_the_settings_say(make_settings: MakeSettings) -> None:
    assert specs.plain(make_settings(), "registry:3", lan=True).listen == ""


def test_plain_http_needs_no_certificate_and_no_key(make_settings: MakeSettings) -> None:
    spec = specs.plain(make_settings(), "registry:3", lan=True)
    assert ([mount.source.name for mount in spec.mounts], "tls" in spec.config) == (["registry-plain.yml"], False)


def test_both_registries_share_one_volume_so_that_images_stay(make_settings: MakeSettings) -> None:
    settings = make_settings()
    assert specs.tls(settings, "registry:3").volume == specs.plain(settings, "registry:3", lan=False).volume


@pytest.mark.parametrize(("owner", "expected"), [(0, ()), (1000, ("DAC_OVERRIDE",))])
def test_a_key_that_root_does_not_own_takes_a_capability_to_read(
    owner: int, expected: tuple[str, ...], make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: owner)
    assert specs.tls(make_settings(), "registry:3").capabilities == expected


def test_the_tls_configuration_is_the_golden_file(make_settings: MakeSettings) -> None:
    assert specs.tls(make_settings(), "registry:3").config == (ROOT / "tests/golden/registry.yml").read_text()


def test_the_plain_configuration_is_the_golden_file(make_settings: MakeSettings) -> None:
    found = specs.plain(make_settings(), "registry:3", lan=False).config
    assert found == (ROOT / "tests/golden/registry-plain.yml").read_text()


SPEC = Spec(
    "tls", "registry", "registry:3", ("serve",), "", 443, "data", (Mount(Path("/a"), "/b"),), (), "version: 0.1\n"
)
CHANGES: dict[str, object] = {
    "role": "plain",
    "name": "other",
    "image": "registry:2",
    "command": ("serve", "/config"),
    "listen": "192.168.0.12",
    "port": 8443,
    "volume": "other",
    "mounts": (Mount(Path("/a"), "/c"),),
    "capabilities": ("DAC_OVERRIDE",),
    "config": "version: 0.2\n",
    "start_script": "exec",
    "environment": (),
    "memory": "1g",
    "pids": 100,
    "log_options": (),
}


@pytest.mark.parametrize(("name", "value"), CHANGES.items())
def test_the_digest_changes_when_anything_does(name: str, value: object) -> None:
    assert dataclasses.replace(SPEC, **{name: value}).digest != SPEC.digest  # type: ignore[arg-type]


def test_every_field_is_changed_above() -> None:
    # Whose a container is makes no other one of it: one that was adopted goes on as it is.
    assert {*CHANGES, "installation"} == {field.name for field in dataclasses.fields(Spec)}
    assert dataclasses.replace(SPEC, installation="0").digest == SPEC.digest


def test_the_digest_is_the_same_for_the_same() -> None:
    assert dataclasses.replace(SPEC).digest == SPEC.digest
