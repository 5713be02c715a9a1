"""What was typed reaches the registry's container, its configuration and its users, and means nothing more there."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.properties.inputs import LABEL, share, taken, typed
from tests.recorder import Recorder
from trusted_registry.console import pasteable
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance import creation, model, roles
from trusted_registry.instance.model import OFFICIAL_ENTRYPOINT, Image
from trusted_registry.registry import users

if TYPE_CHECKING:
    from trusted_registry.settings import Settings

# The registry's container and its configuration


@given(settings=taken(), login=st.booleans(), lan=st.booleans())
def test_registry_yml_says_what_it_should_whatever_was_typed(settings: Settings, *, login: bool, lan: bool) -> None:
    image = Image(settings.image, "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users, "is_login_required", lambda _folder: login)
        tls, plain = (roles.tls(settings, image), roles.plain(settings, image, lan=lan))
    said = YAML(typ="safe").load(tls.files[0].content)
    assert said.keys() == {"version", "log", "storage", "http", "health", *(["auth"] if login else [])}
    assert said["http"]["addr"] == ":5000"
    assert said["http"]["tls"] == {
        "certificate": "/config/domain.crt",
        "key": "/config/domain.key",
        "minimumtls": "tls1.2",
    }
    assert said.get("auth", {"htpasswd": {"path": "/config/htpasswd"}})["htpasswd"]["path"] == "/config/htpasswd"
    assert YAML(typ="safe").load(plain.files[0].content)["http"].keys() == {"addr", "secret", "draintimeout", "headers"}


OPTIONS = {"--detach": 0, "--read-only": 0}


def _parsed(argv: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return options with their values, and what follows them, as `docker run` reads its line."""
    words = iter(argv[2:])
    found: list[tuple[str, str]] = []
    for word in words:
        if not word.startswith("-"):
            return found, [word, *words]
        found.append((word, "" if word in OPTIONS else next(words)))
    return found, []


@given(settings=taken(), own=st.sampled_from([(), OFFICIAL_ENTRYPOINT]))
def test_docker_run_gets_the_options_of_the_project_and_what_was_typed_as_their_values(
    settings: Settings, own: tuple[str, ...]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users, "is_login_required", lambda _folder: False)
        instance = roles.tls(settings, Image(settings.image, ""), own)
    options, rest = _parsed(model.argv(instance))
    before = ["-c", roles.AWAIT, "/config/start.sh", *own] if own else []
    assert rest == [settings.image, *before, "serve", "/config/registry.yml"]
    reached = "--network" if settings.front else "--publish"
    known = {"--detach", "--name", "--restart", reached, "--volume", "--env", "--read-only", "--cap-drop"}
    known |= {"--security-opt", "--memory", "--pids-limit", "--log-driver", "--log-opt", "--label", "--stop-signal"}
    assert {option for option, _ in options} == known | ({"--entrypoint"} if own else set())
    assert dict(options)["--name"] == settings.container
    assert dict(options).get("--network") == (f"{settings.container}-front" if settings.front else None)
    *images, read = [value.split(":") for option, value in options if option == "--volume"]
    assert images == ([] if settings.storage else [[settings.volume, "/var/lib/registry"]])
    assert read[1:] == ["/config", "ro"]
    assert re.fullmatch(rf"{re.escape(settings.container)}-files-[0-9a-f]{{16}}", read[0])
    assert not settings.image.startswith("-")
    json.dumps(creation.arguments(instance))


WORDS = st.lists(typed().filter(lambda it: "\0" not in it), min_size=1, max_size=30)


@given(argv=WORDS)
def test_a_command_that_is_shown_is_the_same_words_when_it_is_pasted(argv: list[str]) -> None:
    assert shlex.split(pasteable(argv)) == argv


@pytest.mark.process
@share(20)
@given(argv=WORDS)
def test_a_shell_reads_a_command_that_is_shown_as_those_words_and_runs_nothing(argv: list[str]) -> None:
    argv = [word.encode(errors="replace").decode() for word in argv]
    script = f'printf "%s\\0" {pasteable(argv)}'
    said = subprocess.run(["sh", "-c", script], capture_output=True, check=True, env={"PATH": "/usr/bin:/bin"}).stdout
    assert said.decode().split("\0")[:-1] == argv


# Users


@given(logins=st.lists(st.tuples(LABEL | typed(), typed()), max_size=4))
def test_the_file_of_users_has_one_line_for_each_and_lets_in_exactly_those(logins: list[tuple[str, str]]) -> None:
    expected = {}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(users, "COST", 4)
        for name, password in logins:
            with contextlib.suppress(SettingError):
                users.save(Path(folder), users.Login(users.name(name), users.password(password)))
                expected[name] = password
        path = users.users_file(Path(folder))
        lines = path.read_bytes().decode("ascii").splitlines() if expected else []
        assert {it.name for it in Path(folder).iterdir()} <= {".lock", "users"}
        assert [it.name for it in path.parent.glob("*")] == (["htpasswd"] if expected else [])
    entries = [line.split(":") for line in lines]
    assert [name for name, _ in entries] == list(expected)
    assert all(bcrypt.checkpw(expected[name].encode(), hashed.encode()) for name, hashed in entries)


@given(text=typed())
def test_a_file_of_users_that_somebody_else_wrote_is_read_or_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = users.users_file(Path(folder))
        path.parent.mkdir()
        path.write_bytes(text.encode(errors="replace"))
        with contextlib.suppress(RegistryError), users.temporary_login(Path(folder), Recorder()) as login:
            assert login
            assert sum(line.startswith(f"{login.name}:".encode()) for line in path.read_bytes().splitlines()) == 1
        assert path.exists()
