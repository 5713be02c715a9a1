"""One description of the container, for the Engine API and for people: both must say the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT
from tests.rendered import rendered
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.instance import collection, creation, mirror_role, model, roles
from trusted_registry.instance.model import File, Image, Instance, Published, Role, Storage
from trusted_registry.mirror.upstream import Upstream
from trusted_registry.registry import users
from trusted_registry.templates import Rendered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeSettings

IMAGE = Image("registry:3", "sha256:00")
SHELL = model.OFFICIAL_ENTRYPOINT


REGISTRIES = ["tls", "tls on one address", "tls on IPv6", "tls with a shell", "plain", "plain on the LAN", "tried"]
FRONTED = ["front", "front on one address", "behind", "tried behind"]
MEASURED = ["tls with metrics", "front with metrics"]
MIRRORS = ["mirror", "mirror on one address"]


@pytest.fixture(params=[*REGISTRIES, *FRONTED, *MEASURED, *MIRRORS])
def instance(request: pytest.FixtureRequest, make_settings: MakeSettings) -> Instance:
    """Each container that there can be."""
    one, v6 = "192.168.0.12", "fd00::12"
    listen = {"tls on one address": one, "front on one address": one, "tls on IPv6": v6, MIRRORS[1]: one}.get(
        request.param, ""
    )
    metrics = "9102" if request.param in MEASURED else ""
    settings = make_settings(
        listen=listen, front="on" if request.param in (*FRONTED, MEASURED[1]) else "off", metrics=metrics
    )
    own = SHELL if request.param.endswith(("shell", "LAN")) else ()
    if request.param.startswith("tls"):
        return dataclasses.replace(roles.tls(settings, IMAGE, own), installation="0" * 32)
    if request.param == "behind":
        return roles.tls(settings, IMAGE, SHELL)
    if request.param.startswith("front"):
        return roles.front(settings, IMAGE, "0123456789ab")
    if request.param.startswith("mirror"):
        return mirror_role.mirror(settings, IMAGE, SHELL, Upstream("ghcr.io"), 5500)
    if request.param.startswith("tried"):
        return roles.tls(settings, IMAGE, own).rehearsal()
    return roles.plain(settings, IMAGE, own, lan=request.param.endswith("LAN"))


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
    ports: dict[str, object] = {}
    for way in options.get("--publish", []):
        host, _, inner = way.rpartition(":")
        listen, _, typed_port = host.rpartition(":") if ":" in host else ("", "", host)
        port = int(typed_port) if typed_port else None
        ports[f"{inner}/tcp"] = (listen.strip("[]"), port) if listen else port
    mounts = []
    for typed in options["--volume"]:
        volume, target, *rights = typed.split(":")
        mounts.append({"Type": "volume", "Source": volume, "Target": target, "ReadOnly": rights == ["ro"]})
    asked = {option.removeprefix("--").replace("-", "_") for option in options}
    pairs = {name: dict(it.split("=", 1) for it in options.get(name, [])) for name in ("--env", "--label")}
    return {
        **{
            name: options[f"--{name.replace('_', '-')}"][0]
            for name in ("network", "stop_signal", "user")
            if name in asked
        },
        **({"dns_opt": options["--dns-option"]} if "dns_option" in asked else {}),
        **({"sysctls": dict(it.split("=", 1) for it in options["--sysctl"])} if "sysctl" in asked else {}),
        "image": options["image"][0],
        "entrypoint": options.get("--entrypoint"),
        "command": options["command"],
        "name": options["--name"][0],
        "restart_policy": {"Name": options["--restart"][0]},
        "ports": ports,
        "mounts": mounts,
        "environment": pairs["--env"],
        "read_only": "--read-only" in options,
        "cap_drop": options["--cap-drop"],
        "security_opt": options["--security-opt"],
        "mem_limit": options["--memory"][0],
        "pids_limit": int(options["--pids-limit"][0]),
        "labels": pairs["--label"],
    }


def test_what_a_person_would_type_and_what_the_engine_is_told_are_the_same(instance: Instance) -> None:
    assert _as_api(_options(model.argv(instance))) == creation.arguments(instance)


def test_creating_alone_takes_the_same_words(instance: Instance) -> None:
    assert model.argv(instance, start=False) == ["docker", "create", *model.argv(instance)[3:]]


def test_the_log_settings_that_are_typed_are_the_instance_s(instance: Instance) -> None:
    options = _options(model.argv(instance))
    typed = [f"{name}={value}" for name, value in instance.log_options]
    assert (options["--log-opt"], options["--log-driver"]) == (typed, ["json-file"])


def test_no_key_of_an_authority_is_among_its_files(instance: Instance) -> None:
    assert "issuer.key" not in {file.name for file in instance.files}
    assert "issuer.key" not in " ".join(model.argv(instance))


def test_nothing_of_this_machine_is_mounted_and_its_files_are_read_only(instance: Instance) -> None:
    mounts: Any = creation.arguments(instance)["mounts"]
    assert [mount["Type"] for mount in mounts] == ["volume"] * (1 if instance.role is Role.FRONT else 2)
    assert {mount["Target"]: mount["ReadOnly"] for mount in mounts}["/config"] is True


def test_the_container_is_given_no_rights(instance: Instance) -> None:
    given = creation.arguments(instance)
    assert [given[key] for key in ("read_only", "cap_drop", "security_opt")] == [True, ["ALL"], ["no-new-privileges"]]
    assert "cap_add" not in given


@pytest.mark.parametrize("instance", [*REGISTRIES, "behind"], indirect=True)
def test_the_configuration_is_passed_by_path_to_the_registry_itself(instance: Instance) -> None:
    assert instance.command[-2:] == ("serve", "/config/registry.yml")
    assert "registry.yml" in {file.name for file in instance.files}


def test_an_image_with_a_shell_starts_by_the_script_and_then_what_it_would_have_started(
    make_settings: MakeSettings,
) -> None:
    instance = roles.tls(make_settings(), IMAGE, SHELL)
    assert creation.arguments(instance)["entrypoint"] == ["/bin/sh"]
    assert instance.command == (
        "-c",
        roles.AWAIT,
        "/config/start.sh",
        "/entrypoint.sh",
        "serve",
        "/config/registry.yml",
    )
    assert [file.name for file in instance.files if file.made] == ["registry.yml", "start.sh"]
    assert instance.files[-1].name == "start.sh"  # who waits for that has all the others


def test_an_image_without_a_shell_starts_what_it_starts(make_settings: MakeSettings) -> None:
    instance = roles.tls(make_settings(), IMAGE)
    assert (creation.arguments(instance)["entrypoint"], instance.command) == (None, ("serve", "/config/registry.yml"))
    assert [file.name for file in instance.files if file.made] == ["registry.yml"]


def _content(instance: Instance, name: str) -> str:
    return next(file.content for file in instance.files if file.name == name).decode()


def test_a_mirror_takes_no_login_and_deletes_nothing(make_settings: MakeSettings) -> None:
    settings = make_settings()
    users.users_file(settings.folder).parent.mkdir(parents=True)
    users.users_file(settings.folder).write_text("ada:$2y$05$" + "a" * 53 + "\n")
    instance = mirror_role.mirror(settings, IMAGE, SHELL, Upstream("docker.io"), 5500)
    for name in (mirror_role.MIRROR_CONFIG, mirror_role.HELD_CONFIG):
        assert "htpasswd" not in _content(instance, name)
        assert "delete:" not in _content(instance, name)
    assert users.FILE not in {it.name for it in instance.files}
    assert "remoteurl: https://registry-1.docker.io\n" in _content(instance, mirror_role.MIRROR_CONFIG)
    assert "readonly:\n      enabled: true\n" in _content(instance, mirror_role.HELD_CONFIG)
    assert "remoteurl" not in _content(instance, mirror_role.HELD_CONFIG)
    assert instance.files[-1].name == roles.START_SCRIPT


@pytest.mark.parametrize("name", ["mirror.yml", "held.yml"])
def test_what_is_made_for_a_mirror_is_the_golden_file(name: str, make_settings: MakeSettings) -> None:
    instance = mirror_role.mirror(make_settings(), IMAGE, SHELL, Upstream("ghcr.io"), 5500)
    assert _content(instance, name) == (ROOT / "tests/golden" / name).read_text()


@pytest.mark.parametrize("name", ["registry.yml", "registry-plain.yml"])
def test_what_is_made_for_it_is_the_golden_file(name: str, make_settings: MakeSettings) -> None:
    settings = make_settings()
    instance = roles.plain(settings, IMAGE, SHELL, lan=False) if "plain" in name else roles.tls(settings, IMAGE, SHELL)
    found = _content(instance, name.replace("-plain", ""))
    assert found == (ROOT / "tests/golden" / name).read_text()


@pytest.mark.parametrize("endpoint", ["https://192.168.0.9:8333", ""], ids=["private", "Amazon"])
def test_what_is_made_for_a_bucket_is_the_golden_file(endpoint: str, make_settings: MakeSettings) -> None:
    settings = make_settings(storage="s3://images/lan", storage_endpoint=endpoint)
    Credentials("KEY", 'se:"cret#', "" if endpoint else "token").keep(settings.folder)
    if endpoint:
        (settings.folder / "storage-ca.crt").write_text("kept")
    instance = roles.tls(settings, IMAGE, SHELL)
    golden = "registry-bucket.yml" if endpoint else "registry-amazon.yml"
    assert _content(instance, "registry.yml") == (ROOT / "tests/golden" / golden).read_text()
    assert instance.storage == Storage("", location="s3://images/lan")
    assert instance.labels["trusted-registry.storage"] == "s3://images/lan"
    assert "trusted-registry.storage" not in roles.tls(make_settings(), IMAGE).labels
    read = dict(instance.environment).get("SSL_CERT_FILE")
    assert (read, "storage-ca.crt" in {it.name for it in instance.files}) == (
        ("/config/storage-ca.crt", True) if endpoint else (None, False)
    )
    assert creation.arguments(instance)["use_config_proxy"] is False
    words = " ".join(model.argv(instance))
    assert "cret" not in words
    assert f":{model.IMAGES_FOLDER}" not in words


@pytest.mark.parametrize(("bucket", "prefix"), [("0123", "007"), ("1e3", "true"), ("null", "no"), ("12.30", "0x1f")])
def test_a_bucket_that_yaml_would_take_for_something_else_is_a_word(
    bucket: str, prefix: str, make_settings: MakeSettings
) -> None:
    settings = make_settings(
        storage=f"s3://{bucket}/{prefix}", storage_endpoint="https://1.2.3.4:8333", storage_region="no"
    )
    Credentials("0755", "12e4").keep(settings.folder)
    read = YAML(typ="safe").load(_content(roles.tls(settings, IMAGE, SHELL), "registry.yml"))["storage"]["s3"]
    assert (read["bucket"], read["rootdirectory"]) == (bucket, f"/{prefix}")
    assert (read["region"], read["accesskey"], read["secretkey"]) == ("no", "0755", "12e4")


@pytest.mark.parametrize("storage", ["", "s3://images/lan"])
def test_a_registry_that_refuses_pushes_for_a_while_has_one_block_of_maintenance(
    storage: str, make_settings: MakeSettings
) -> None:
    settings = make_settings(storage=storage)
    before = _content(roles.tls(settings, IMAGE, SHELL), "registry.yml").encode()
    held = collection.refusing_pushes(before)
    assert held.count(b"  maintenance:\n") == 1
    assert held.count(b"    readonly:\n      enabled: true\n") == 1
    assert collection._taking_pushes(held) == before == collection._taking_pushes(before)


def test_what_is_rendered_of_the_start_script_is_the_golden_file(make_settings: MakeSettings) -> None:
    found = _content(roles.tls(make_settings(), IMAGE, SHELL), "start.sh")
    assert rendered(found, "start.sh") == (ROOT / "tests/golden/start.sh.rendered").read_text()


def test_the_registry_gives_requests_up_before_the_engine_gives_up_the_registry(make_settings: MakeSettings) -> None:
    config = _content(roles.tls(make_settings(), IMAGE), "registry.yml")
    assert f"draintimeout: {model.DRAIN_SECONDS}s" in config
    assert model.DRAIN_SECONDS + model.LINGER_SECONDS < model.STOP_SECONDS


def test_the_container_comes_back_after_a_crash_and_a_restart_of_the_engine(make_settings: MakeSettings) -> None:
    assert creation.arguments(roles.tls(make_settings(), IMAGE))["restart_policy"] == {"Name": "always"}


def test_the_container_is_marked_as_ours_with_what_it_was_made_from(instance: Instance) -> None:
    marked = {"trusted-registry.role": str(instance.role), "trusted-registry.spec": instance.digest}
    assert marked.items() <= instance.labels.items()


def test_what_is_tried_beside_changes_no_image_comes_back_never_and_reads_the_same_files(
    make_settings: MakeSettings,
) -> None:
    instance = roles.tls(make_settings(), IMAGE)
    tried = instance.rehearsal()
    assert (tried.published, tried.restart, tried.storage) == (
        Published("127.0.0.1", 0),
        "no",
        Storage(instance.storage.volume, read_only=True),
    )
    assert (tried.files_volume, tried.files, tried.image) == (instance.files_volume, instance.files, instance.image)
    assert tried.name != instance.name


def test_plain_http_listens_on_loopback_alone(make_settings: MakeSettings) -> None:
    assert roles.plain(make_settings(), IMAGE, lan=False).published.listen == "127.0.0.1"


def test_plain_http_on_the_lan_listens_where_the_settings_say(make_settings: MakeSettings) -> None:
    assert roles.plain(make_settings(), IMAGE, lan=True).published.listen == ""


def test_plain_http_needs_no_certificate_and_no_key(make_settings: MakeSettings) -> None:
    instance = roles.plain(make_settings(), IMAGE, lan=True)
    assert [file.source.name for file in instance.files] == ["registry-plain.yml"]
    assert "tls" not in _content(instance, "registry.yml")


def test_both_registries_share_one_volume_so_that_images_stay(make_settings: MakeSettings) -> None:
    settings = make_settings()
    assert roles.tls(settings, IMAGE).storage == roles.plain(settings, IMAGE, lan=False).storage


def test_what_nobody_else_may_read_is_secret_in_the_container_too(certified: MakeSettings) -> None:
    settings = certified()
    users.save(settings.folder, users.Login("ada", "enough for me"))
    secret = {file.name: file.secret for file in roles.tls(settings, IMAGE, SHELL).files}
    assert secret == {
        "registry.yml": True,  # it has the key by which uploads are signed
        "start.sh": False,
        "domain.crt": False,
        "domain.key": True,
        "htpasswd": True,
    }


FILE = File("registry.yml", Path("/a"), b"version: 0.1\n")
INSTANCE = Instance(Role.TLS, "registry", IMAGE, ("serve",), Published("", 443), Storage("data"), (FILE,))
CHANGES: dict[str, object] = {
    "role": Role.PLAIN,
    "image": Image("registry:3", "sha256:01"),
    "command": ("serve", "/config"),
    "published": Published("192.168.0.12", 443),
    "storage": Storage("data", read_only=True),
    "files": (FILE.with_content(b"version: 0.2\n"),),
    "shell": True,
    "restart": "no",
    "environment": (),
    "memory": "1g",
    "pids": 100,
    "log_options": (),
    "network": "registry-front",
    "behind": True,
    "stop_signal": "SIGUSR1",
    "user": "0:0",
    "metrics": 5002,
    "dns_options": ("timeout:1",),
    "sysctls": (("net.ipv4.tcp_syn_retries", "1"),),
}
SAME: dict[str, object] = {
    # Whose a container is makes no other one of it: one that was adopted goes on as it is.
    "installation": "0",
    # Nor does its name: the engine has one of each.
    "name": "other",
    "image": Image("registry:latest", "sha256:00"),
    "files_of": "others-files",
    "files": (dataclasses.replace(FILE, source=Path("/b")), dataclasses.replace(FILE, name="htpasswd", immediate=True)),
}


@pytest.mark.parametrize(("name", "value"), CHANGES.items())
def test_the_digest_changes_when_anything_does_that_takes_another_container(name: str, value: object) -> None:
    assert dataclasses.replace(INSTANCE, **{name: value}).digest != INSTANCE.digest  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), SAME.items())
def test_the_digest_stays_for_what_takes_none(name: str, value: object) -> None:
    assert dataclasses.replace(INSTANCE, **{name: value}).digest == INSTANCE.digest  # type: ignore[arg-type]


def test_every_field_is_changed_above() -> None:
    assert {*CHANGES, *SAME} == {field.name for field in dataclasses.fields(Instance)}


def test_other_files_come_into_another_volume() -> None:
    other = dataclasses.replace(INSTANCE, files=(FILE.with_content(b""),))
    assert other.files_volume != INSTANCE.files_volume


# A front, and a registry behind one


def test_a_front_alone_is_published_and_leads_to_a_trial_on_loopback_alone(make_settings: MakeSettings) -> None:
    settings = make_settings(front="on", listen="192.168.0.12", port="8443")
    front, registry = roles.front(settings, IMAGE, "0123456789ab"), roles.tls(settings, IMAGE, SHELL)
    assert [str(it) for it in front.ways] == ["192.168.0.12:8443:5000", "127.0.0.1::5001"]
    assert (registry.ways, registry.network) == ((), front.network)
    assert registry.network == front.name == "registry-front"


def test_a_front_has_neither_a_key_nor_images(certified: MakeSettings) -> None:
    front = roles.front(certified(front="on"), IMAGE, "0123456789ab")
    assert ([it.name for it in front.files], front.storage.volume) == (["haproxy.cfg"], "")


def test_where_a_front_leads_takes_no_other_container_of_it(make_settings: MakeSettings) -> None:
    settings = make_settings(front="on")
    one, other = (roles.front(settings, IMAGE, id_, trial) for id_, trial in (("0123", ""), ("4567", "89ab")))
    assert (one.digest, one.files == other.files) == (other.digest, False)
    assert roles.front(make_settings(front="on", port="8443"), IMAGE, "0123").digest != one.digest


@pytest.mark.parametrize(("trial", "name"), [("", "haproxy.cfg"), ("89abcdef0123", "haproxy-trial.cfg")])
def test_what_is_rendered_for_a_front_is_the_golden_file(trial: str, name: str, make_settings: MakeSettings) -> None:
    found = _content(roles.front(make_settings(front="on"), IMAGE, "0123456789ab", trial), "haproxy.cfg")
    assert found == (ROOT / "tests/golden" / name).read_text()


def test_what_is_rendered_for_a_splitter_is_the_golden_file(make_settings: MakeSettings) -> None:
    settings = make_settings(front="on")
    found = roles.splitter(settings, IMAGE, roles.tls(settings, IMAGE), "0123456789ab", "89abcdef0123", 1764230000)
    assert _content(found, "splitter.cfg") == (ROOT / "tests/golden/splitter.cfg").read_text()


def test_a_splitter_reads_the_key_from_its_successor_s_files_and_is_published_on_loopback_alone(
    certified: MakeSettings,
) -> None:
    settings = certified(front="on")
    successor = roles.tls(settings, IMAGE)
    found = roles.splitter(settings, IMAGE, successor, "0123456789ab", "89abcdef0123", 0)
    assert (found.files_volume, found.storage.volume, found.user) == (successor.files_volume, "", "0:0")
    assert [str(it) for it in found.ways] == [f"127.0.0.1::{model.TRIAL_PORT}"]
    assert [it.name for it in found.files] == ["splitter.cfg"]


def test_behind_a_front_a_registry_has_long_for_what_is_under_way_and_a_new_pair_takes_a_new_one(
    certified: MakeSettings,
) -> None:
    settings = certified(front="on", drain="77")
    instance = roles.tls(settings, IMAGE, SHELL)
    assert "draintimeout: 77s" in _content(instance, "registry.yml")
    (settings.folder / "domain.crt").write_bytes(b"another")
    assert roles.tls(settings, IMAGE, SHELL).digest != instance.digest


@pytest.mark.parametrize("front", ["on", "off"])
def test_metrics_are_published_on_loopback_alone_by_whoever_has_the_port(
    front: str, make_settings: MakeSettings
) -> None:
    settings = make_settings(front=front, metrics="9102")
    registry, before = roles.tls(settings, IMAGE, SHELL), roles.front(settings, IMAGE, "0123")
    holder = before if front == "on" else registry
    assert [str(it) for it in holder.ways][-1] == "127.0.0.1:9102:5002"
    assert ('addr: ":5002"' in _content(registry, "registry.yml"), len(registry.ways)) == (
        True,
        0 if front == "on" else 2,
    )
    assert "  server 0123 0123:5002\n" in _content(before, "haproxy.cfg")
    assert registry.rehearsal().ways == (Published("127.0.0.1", 0),)


def test_without_metrics_nothing_listens_for_them(make_settings: MakeSettings) -> None:
    settings = make_settings(front="on")
    registry, front = roles.tls(settings, IMAGE, SHELL), roles.front(settings, IMAGE, "0123")
    texts = (_content(registry, "registry.yml"), _content(front, "haproxy.cfg"))
    assert ["5002" in it for it in texts] == [False, False]
    assert "5002" not in _content(roles.plain(make_settings(metrics="9102"), IMAGE, lan=False), "registry.yml")


def test_a_rendered_file_with_the_content_that_it_has_is_the_same_file_and_with_another_it_is_not() -> None:
    made = File("start.sh", Path("/a"), Rendered("swarm-load.sh", image="one"))
    assert made.with_content(made.content).digest == made.digest
    assert made.with_content(b"another").digest == File("start.sh", Path("/a"), b"another").digest != made.digest
