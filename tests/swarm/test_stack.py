"""The stack as a value: numbers by content, what calls for new containers, and its YAML and front's configuration."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT
from tests.rendered import rendered
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.installation import LABEL as INSTALLATION
from trusted_registry.instance.model import File, Image
from trusted_registry.registry import users
from trusted_registry.swarm import proof_login, stack
from trusted_registry.swarm.model import Held
from trusted_registry.swarm.stack import FRONT, REGISTRY, Stack

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.conftest import MakeSettings

OWN, SECRET = "0" * 32, "ab" * 32
HOSTS = ("192.168.0.12", "192.168.0.13", "192.168.0.14")
BUCKET = {"storage": "s3://images/lan", "storage_endpoint": "https://192.168.0.9:8333"}


@pytest.fixture
def make(certified: MakeSettings) -> Any:  # noqa: ANN401 - a function with many defaults
    """A maker of stacks."""

    def make(hosts: Iterable[str] = HOSTS, held: Iterable[Held] = (), unprivileged: int = 1024, **given: str) -> Stack:
        settings = certified(**{**BUCKET, **given})
        Credentials("access", "hidden").keep(settings.folder)
        images = (Image("registry:3", "sha256:00"), Image("haproxy:lts", "sha256:01"))
        return stack.made(settings, tuple(hosts), *images, ("/entrypoint.sh",), OWN, SECRET, held, unprivileged)

    return make


def _held(of: Stack) -> list[Held]:
    return [Held(it.name, it.name, it.file.secret, it.labels(OWN)) for it in of.files]


def _read(made: Stack) -> Any:  # noqa: ANN401 - YAML
    return YAML(typ="safe").load(stack.render(made).replace("$$", "$"))


# Numbers


def _file(name: str, content: bytes, path: Path) -> File:
    return File(name, path / name, content, secret=True)


def test_a_content_that_is_kept_keeps_its_number_and_another_gets_the_next(tmp_path: Path) -> None:
    first = stack.number([(REGISTRY, _file("domain.key", b"one", tmp_path))], [], OWN)
    held = [Held("1", it.name, secret=True, labels=it.labels(OWN)) for it in first]
    again = stack.number([(REGISTRY, _file("domain.key", b"one", tmp_path))], held, OWN)
    other = stack.number([(REGISTRY, _file("domain.key", b"two", tmp_path))], held, OWN)
    names = [it[0].name for it in (first, again, other)]
    assert names == ["trusted-registry-domain.key-1", "trusted-registry-domain.key-1", "trusted-registry-domain.key-2"]


def test_a_number_is_never_one_that_is_taken_by_another_content(tmp_path: Path) -> None:
    every = [stack.Numbered(_file("a", bytes([it]), tmp_path), it, REGISTRY) for it in (2, 9, 10)]
    held = [Held("1", it.name, secret=True, labels=it.labels(OWN)) for it in every]
    assert stack.number([(REGISTRY, _file("a", b"new", tmp_path))], held, OWN)[0].number == 11
    assert stack.number([(REGISTRY, _file("a", bytes([9]), tmp_path))], held, OWN)[0].number == 9


def test_a_config_of_the_same_content_is_no_secret(tmp_path: Path) -> None:
    kept = stack.Numbered(_file("a", b"x", tmp_path), 1, REGISTRY)
    held = [Held("1", kept.name, secret=False, labels=kept.labels(OWN))]
    assert stack.number([(REGISTRY, kept.file)], held, OWN)[0].number == 2


def test_a_name_that_another_installation_has_is_not_taken_for_one_s_own(make: Any) -> None:  # noqa: ANN401
    made = make()
    foreign = [dataclasses.replace(it, labels={**it.labels, INSTALLATION: "1" * 32}) for it in _held(made)]
    assert {it.number for it in make(held=foreign).files} == {2}
    assert {it.number for it in make(held=_held(made)).files} == {1}


def test_another_name_with_the_same_beginning_is_no_number(tmp_path: Path) -> None:
    held = [Held("1", "trusted-registry-domain.key-backup-7", secret=True, labels={})]
    assert stack.number([(REGISTRY, _file("domain.key", b"one", tmp_path))], held, OWN)[0].number == 1


# What calls for new containers


def test_the_same_settings_and_files_make_the_same_stack(make: Any) -> None:  # noqa: ANN401
    made = make()
    again = make(held=_held(made))
    assert stack.render(again) == stack.render(made)


def test_another_certificate_is_a_matter_of_the_registries_alone(make: Any) -> None:  # noqa: ANN401
    made = make()
    files = tuple(
        dataclasses.replace(it, number=2) if it.file.name in {"domain.crt", "domain.key"} else it for it in made.files
    )
    other = dataclasses.replace(made, files=files)
    assert (other.spec(REGISTRY) != made.spec(REGISTRY), other.spec(FRONT) == made.spec(FRONT)) == (True, True)


def test_another_host_is_a_matter_of_the_fronts_alone(make: Any) -> None:  # noqa: ANN401
    made = make()
    other = make(hosts=(*HOSTS, "192.168.0.15"), held=_held(made))
    assert (other.spec(REGISTRY) == made.spec(REGISTRY), other.spec(FRONT) != made.spec(FRONT)) == (True, True)


def test_another_image_of_the_same_name_calls_for_new_containers(make: Any) -> None:  # noqa: ANN401
    made = make()
    image = Image("registry:3", "sha256:02")
    other = dataclasses.replace(made, registry=dataclasses.replace(made.registry, image=image))
    assert other.spec(REGISTRY) != made.spec(REGISTRY)


# YAML


def test_containers_are_made_of_ids_so_that_no_node_asks_a_registry_for_a_name(make: Any) -> None:  # noqa: ANN401
    said = _read(make())["services"]
    assert [it["image"] for it in said.values()] == ["sha256:00", "sha256:01"]
    assert said["front"]["labels"]["trusted-registry.image"] == "haproxy:lts"


def test_every_front_is_the_same_user_s_since_no_other_may_share_the_port(make: Any) -> None:  # noqa: ANN401
    users_ = [_read(make(port=it))["services"]["front"]["user"] for it in ("443", "8443")]
    assert users_ == ["0:0", "0:0"]


def test_no_content_of_a_secret_is_in_the_text(make: Any) -> None:  # noqa: ANN401
    made = make()
    text = stack.render(made)
    secrets = [it.file.content.decode() for it in made.files if it.file.secret]
    assert (len(secrets), [it for it in secrets if it in text], "hidden" in text) == (2, [], False)
    assert "hidden" in "".join(secrets)


def test_what_is_secret_of_a_registry_s_files_is_a_secret_and_the_rest_are_configs(make: Any, tmp_path: Path) -> None:  # noqa: ANN401
    users.save(tmp_path / "certs", users.Login("ada", "correct horse"), 4)
    made = make()
    said = _read(made)["services"]["registry"]
    assert {it["source"] for it in said["secrets"]} == {"domain.key", "registry.yml", "htpasswd"}
    assert {it["source"] for it in said["configs"]} == {"domain.crt", "start.sh"}
    assert {it["mode"] for it in said["secrets"]} == {0o400}
    assert {it["target"] for it in (*said["secrets"], *said["configs"])} <= set(" ".join(said["command"]).split()) | {
        f"/config/{it}" for it in ("domain.key", "domain.crt", "htpasswd")
    }


def test_the_users_of_a_swarm_have_the_login_of_proofs_beside_them(make: Any, tmp_path: Path) -> None:  # noqa: ANN401
    users.save(tmp_path / "certs", users.Login("ada", "correct horse"), 4)
    (held,) = [it.file for it in make().files if it.file.name == users.FILE]
    names = dict(line.split(":") for line in held.content.decode().splitlines())
    login = proof_login.login(SECRET, users.users_file(tmp_path / "certs").read_bytes())
    assert list(names) == ["ada", login.name]
    assert bcrypt.checkpw(login.password.encode(), names[login.name].encode())
    assert not bcrypt.checkpw(proof_login.login(SECRET, b"").password.encode(), names[login.name].encode())
    assert users.read(tmp_path / "certs").keys() == {"ada"}


def test_a_file_of_users_that_was_edited_by_hand_and_ends_without_a_newline_keeps_its_last_user(
    make: Any,  # noqa: ANN401
    tmp_path: Path,
) -> None:
    users.save(tmp_path / "certs", users.Login("ada", "correct horse"), 4)
    path = users.users_file(tmp_path / "certs")
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    (held,) = [it.file for it in make().files if it.file.name == users.FILE]
    login = proof_login.login(SECRET, path.read_bytes())
    names = dict(line.split(":") for line in held.content.decode().splitlines())
    assert bcrypt.checkpw(b"correct horse", names["ada"].encode())
    assert bcrypt.checkpw(login.password.encode(), names[login.name].encode())


def test_without_users_there_is_no_login_of_proofs(make: Any) -> None:  # noqa: ANN401
    assert users.FILE not in {it.file.name for it in make().files}


@pytest.mark.parametrize(
    ("port", "unprivileged", "right"), [("443", 1024, True), ("443", 0, False), ("8443", 1024, False)]
)
def test_a_front_has_the_right_to_its_port_only_where_that_takes_one(
    port: str,
    unprivileged: int,
    right: bool,  # noqa: FBT001
    make: Any,  # noqa: ANN401
) -> None:
    said = _read(make(unprivileged=unprivileged, port=port))["services"]["front"]
    assert (said["cap_drop"], said.get("cap_add"), said.get("user")) == (
        ["ALL"],
        ["NET_BIND_SERVICE"] if right else None,
        "0:0",
    )


def test_a_registry_has_no_right_at_all(make: Any) -> None:  # noqa: ANN401
    said = _read(make())["services"]["registry"]
    assert (said["cap_drop"], "cap_add" in said, said["read_only"]) == (["ALL"], False, True)


def test_the_health_of_a_registry_is_no_matter_of_its_storage(make: Any) -> None:  # noqa: ANN401
    test = _read(make())["services"]["registry"]["healthcheck"]["test"]
    assert test[:3] == ["CMD", "/bin/sh", "-c"]
    assert re.search(r"^grep -qs '.*:1388 .* 0A ' /proc/net/tcp /proc/net/tcp6$", test[3])


def test_without_a_shell_there_is_no_question_of_health(certified: MakeSettings) -> None:
    settings = certified(**BUCKET)
    images = (Image("a", "sha256:00"), Image("b", "sha256:01"))
    said = _read(stack.made(settings, HOSTS, *images, (), OWN, SECRET, (), 1024))["services"]["registry"]
    assert (said["healthcheck"], "entrypoint" in said) == ({"disable": True}, False)


def test_registries_alone_are_deployed_before_a_port_is_free_for_the_fronts(make: Any) -> None:  # noqa: ANN401
    said = _read(dataclasses.replace(make(), with_front=False))
    assert (list(said["services"]), "networks" in said, "haproxy.cfg" in said["configs"]) == (
        ["registry"],
        False,
        False,
    )


def test_the_registry_drains_as_long_as_the_swarm_lets_it(make: Any) -> None:  # noqa: ANN401
    (held,) = [it.file.content.decode() for it in make().files if it.file.name == "registry.yml"]
    assert "draintimeout: 20s" in held
    assert _read(make())["services"]["registry"]["stop_grace_period"] == "45s"


def test_only_values_are_put_into_the_stack_and_the_front_s_configuration(make: Any) -> None:  # noqa: ANN401
    made = make()
    text = re.sub(r'"trusted-registry.spec": "[0-9a-f]{16}"', '"trusted-registry.spec": "…"', stack.render(made))
    golden = ROOT / "tests/golden"
    assert rendered(text, "stack.yml") == (golden / "stack.yml.rendered").read_text()
    (config,) = [it.file.content.decode() for it in made.files if it.service == FRONT]
    assert config == (golden / "swarm-front.cfg").read_text()
