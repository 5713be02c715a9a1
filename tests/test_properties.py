"""Whatever a person types: refused with a cure, or taken and then meant letter for letter wherever it arrives.

Paths, templates, configuration files, scripts and commands are read back by the parsers that read them in earnest.
`pytest --hypothesis-profile=long` tries 10,000 inputs of each kind; fewer of those that start a program.
"""

from __future__ import annotations

import _ssl
import contextlib
import csv
import ctypes
import io
import ipaddress
import json
import os
import re
import shlex
import subprocess
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import bcrypt
import hypothesis
import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests import forge
from tests.recorder import Recorder
from trusted_registry import address
from trusted_registry import settings as every
from trusted_registry.certificate import native, openssl, profile
from trusted_registry.defaults import DEFAULTS
from trusted_registry.edge import printable
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.registry import spec as specs
from trusted_registry.registry import users
from trusted_registry.trust import whereabouts
from trusted_registry.trust.clients import insecure
from trusted_registry.trust.elsewhere import kit
from trusted_registry.trust.lines import shared, toml
from trusted_registry.trust.row import Subject
from trusted_registry.trust.stores import STORES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trusted_registry.settings import Settings

ROOT = Path("/a/checkout")
ODD = "aZ09.-_:/\\[]@%+=,;#!$`'\"(){}<>|&*?~^ \t\n\r\0\x1b\x7f\x85\u2028\u017f\u212a\u0130\u00e9\udcff\ud800"
"""Letters with which shells, templates, INI, YAML, TOML, JSON, HTML, paths and terminals begin something new, and some
that are ASCII to a careless comparison."""
PIECES = (
    *("192.168.0.12", "registry.local", "fd00::12", "[fd00::12]", "10.0.0.5", "a", "x-1", "443", "8443", "registry:3"),
    *("..", "../", "/etc/passwd", "~", "~root", "\nDNS.9 = evil", "[ alt_names ]", "$(touch evil)", "`touch evil`"),
    *("${HOME}", "; touch evil", "' ; touch evil ; '", '"\nca = "/evil', "{{ 7 * 7 }}", "{% raw %}", "--privileged"),
    *("%s", "-", "#", "\\", ",", ", ", "@", "localhost", "127.0.0.1", "certs", "my certs", 'a,b"c', "EOF", "\nUSAGE\n"),
)


def share(part: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator for a test that gets only a part of the profile's examples, since each starts a program."""
    return hypothesis.settings(max_examples=max(12, hypothesis.settings().max_examples // part))


def typed() -> st.SearchStrategy[str]:
    """What a person, or somebody who writes a person's configuration, may type."""
    pieces = st.lists(st.sampled_from(PIECES) | st.sampled_from(ODD), max_size=5).map("".join)
    return pieces | st.text(ODD, max_size=20) | st.text(max_size=20)


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABEL, min_size=1, max_size=3).map(".".join).filter(lambda it: not re.fullmatch(r"[0-9.]+", it))
HOSTS = st.one_of(
    NAMES,
    st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address).filter(lambda it: not it.is_multicast).map(str),
    st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address).filter(lambda it: not it.is_multicast).map(str),
)
"""What is taken: so that not all examples end at the first check."""
GIVEN: dict[str, st.SearchStrategy[str]] = {
    "registry.address": HOSTS | typed(),
    "registry.names": st.lists(HOSTS | typed(), max_size=4).map(",".join),
    "registry.port": st.integers(-1, 70_000).map(str) | typed(),
    "registry.plain_port": st.integers(-1, 70_000).map(str) | typed(),
    "registry.listen": HOSTS | typed(),
    "registry.container": LABEL | typed(),
    "registry.volume": LABEL | typed(),
    "registry.image": st.sampled_from(["registry:3", "[fd00::12]:443/a/b:1"]) | typed(),
    "registry.archive": typed(),
    "certificate.folder": typed(),
    "certificate.key": st.sampled_from(every.KEY_KINDS) | typed(),
    "certificate.days": st.integers(-1, 5000).map(str) | typed(),
    "certificate.authority_days": st.integers(-1, 5000).map(str) | typed(),
    "certificate.renew_before": st.integers(-1, 5000).map(str) | typed(),
    "certificate.tool": st.sampled_from(every.TOOLS) | typed(),
}


def load(**flags: str) -> Settings:
    """Return checked settings, as `tasks.py` makes them."""
    return every.load(DEFAULTS, root=ROOT, find_address=lambda: "192.168.0.12", flags=flags)


@st.composite
def taken(draw: st.DrawFn, *keys: str) -> Settings:
    """Settings that were taken, whatever was typed for these keys; for each that was refused, its default."""
    flags: dict[str, str] = {}
    for key in keys or GIVEN:
        value = draw(GIVEN[key])
        with contextlib.suppress(SettingError):
            load(**{key: value})
            flags[key] = value
    return load(**flags)


def _has_a_cure(refused: RegistryError) -> None:
    assert refused.cure
    assert refused.message


def test_every_setting_is_tried() -> None:
    assert GIVEN.keys() == {f"{section}.{key}" for section, keys in DEFAULTS.items() for key in keys}


# What is typed


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
        found = every.host("x", text)
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]+", found, re.ASCII)
        assert ".." not in found
        assert every.host("x", found) == found


@given(text=typed())
def test_a_host_name_of_this_machine_is_one_that_could_have_been_typed_or_none(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: text)
        found = address.own_name()
    assert found is None or every.host("x", found) == found


# openssl.cnf


def _sections(text: str, *names: str) -> dict[str, list[tuple[str, str]]]:
    """Return sections of a configuration as OpenSSL's own parser reads them."""
    crypto = ctypes.CDLL(_ssl.__file__)  # whatever libcrypto this Python stands on
    for function in ("NCONF_new", "BIO_new_mem_buf", "NCONF_get_section", "OPENSSL_sk_value"):
        getattr(crypto, function).restype = ctypes.c_void_p
    content = text.encode()
    bio = ctypes.c_void_p(crypto.BIO_new_mem_buf(content, len(content)))
    conf = ctypes.c_void_p(crypto.NCONF_new(None))
    assert crypto.NCONF_load_bio(conf, bio, None) == 1, text
    found = {}
    for name in names:
        stack = ctypes.c_void_p(crypto.NCONF_get_section(conf, name.encode()))
        entries = range(crypto.OPENSSL_sk_num(stack))
        values = [_Value.from_address(crypto.OPENSSL_sk_value(stack, number)) for number in entries]
        found[name] = [(value.name.decode(), value.value.decode()) for value in values]
    crypto.NCONF_free(conf)
    crypto.BIO_free(bio)
    return found


class _Value(ctypes.Structure):
    """CONF_VALUE of openssl/conf.h."""

    _fields_ = (("section", ctypes.c_char_p), ("name", ctypes.c_char_p), ("value", ctypes.c_char_p))


def test_the_parser_of_openssl_sees_what_is_smuggled_in() -> None:
    found = _sections("[ alt_names ]\nDNS.1 = a\nDNS.9 = evil\n", "alt_names")
    assert found == {"alt_names": [("DNS.1", "a"), ("DNS.9", "evil")]}


SECTIONS = ["req", "server_name", "v3_ca", "permitted", "v3_req", "alt_names"]


@given(settings=taken("registry.address", "registry.names", "certificate.key"), machine=st.none() | NAMES)
def test_openssl_cnf_says_the_names_that_were_meant_and_not_a_line_more(
    settings: Settings, machine: str | None
) -> None:
    what = profile.plan(settings, machine=machine, own=("10.0.0.1", "fd00::1"), mark="2030-01-01 aaaa")
    text = profile.config(what)
    found = _sections(text, *SECTIONS)
    dns = [(f"DNS.{number}", name) for number, name in enumerate(what.server.dns, 1)]
    ips = [(f"IP.{number}", ip) for number, ip in enumerate(what.server.addresses, 1)]
    assert found["alt_names"] == dns + ips
    assert found["server_name"] == [("O", "trusted-registry"), ("CN", what.server.subject)]
    assert {value for _, value in found["permitted"]} == {*what.authority.dns, *what.authority.ranges}
    assert (len(found["req"]), len(found["v3_ca"]), len(found["v3_req"])) == (4, 4, 6)
    assert re.findall(r"(?m)^\s*\[\s*(\S+)\s*\]", text) == SECTIONS
    assert set(settings.hosts) <= {value for _, value in dns + ips}


@given(settings=taken("registry.address", "registry.names", "certificate.folder"), machine=st.none() | NAMES)
def test_the_commands_of_openssl_are_what_they_are_whatever_the_names(settings: Settings, machine: str | None) -> None:
    what = profile.plan(settings, machine=machine, own=(), mark="2030-01-01 aaaa")
    folder = settings.folder / "certs"  # more than "/", which every path would be below
    (authority,) = openssl.authority(what.authority, folder)
    request, sign = openssl.server(what.server, folder, authority=folder)
    (alone,) = openssl.self_signed(what.server, folder)
    assert [len(argv) for argv in (authority, request, sign, alone)] == [23, 15, 20, 21]
    subject = authority[authority.index("-subj") + 1]
    assert subject.count("/") == 2
    assert subject.isprintable()
    for argv in (authority, request, sign, alone):
        values = [word for word in argv if str(folder) in word]
        assert all(Path(word).parent == folder for word in values)


# The registry's container and its configuration


@given(settings=taken(), login=st.booleans(), lan=st.booleans())
def test_registry_yml_says_what_it_should_whatever_was_typed(settings: Settings, *, login: bool, lan: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users, "wanted", lambda _folder: login)
        tls, plain = (specs.tls(settings, settings.image), specs.plain(settings, settings.image, lan=lan))
    said = YAML(typ="safe").load(tls.config)
    assert said.keys() == {"version", "log", "storage", "http", "health", *(["auth"] if login else [])}
    assert said["http"]["addr"] == ":5000"
    assert said["http"]["tls"] == {
        "certificate": "/config/domain.crt",
        "key": "/config/domain.key",
        "minimumtls": "tls1.2",
    }
    assert said.get("auth", {"htpasswd": {"path": "/config/users/htpasswd"}})["htpasswd"]["path"].startswith("/config/")
    assert YAML(typ="safe").load(plain.config)["http"].keys() == {"addr", "headers"}


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


@given(settings=taken())
def test_docker_run_gets_the_options_of_the_project_and_what_was_typed_as_their_values(settings: Settings) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users, "wanted", lambda _folder: False)
        spec = specs.tls(settings, settings.image)
    options, rest = _parsed(specs.argv(spec))
    assert rest == [settings.image, "serve", "/config/registry.yml"]
    known = {
        "--detach",
        "--name",
        "--restart",
        "--publish",
        "--volume",
        "--mount",
        "--env",
        "--read-only",
        "--cap-drop",
    }
    known |= {"--security-opt", "--memory", "--pids-limit", "--log-driver", "--log-opt", "--label"}
    assert {option for option, _ in options} == known | ({"--cap-add"} if spec.capabilities else set())
    assert dict(options)["--name"] == settings.container
    assert dict(options)["--volume"].split(":") == [settings.volume, "/var/lib/registry"]
    assert not settings.image.startswith("-")
    for typed_mount, mount in zip((it for name, it in options if name == "--mount"), spec.mounts, strict=True):
        (fields,) = csv.reader([typed_mount])  # as docker reads it (docker/cli, opts/mount.go)
        assert fields == ["type=bind", f"source={mount.source}", f"target={mount.target}", "readonly"]
        assert mount.source.parent == settings.folder
        assert re.fullmatch(r"/config/[a-z.]+", mount.target)
    json.dumps(specs.arguments(spec))


WORDS = st.lists(typed().filter(lambda it: "\0" not in it), min_size=1, max_size=30)


@given(argv=WORDS)
def test_a_command_that_is_shown_is_the_same_words_when_it_is_pasted(argv: list[str]) -> None:
    assert shlex.split(printable(argv)) == argv


@pytest.mark.process
@share(20)
@given(argv=WORDS)
def test_a_shell_reads_a_command_that_is_shown_as_those_words_and_runs_nothing(argv: list[str]) -> None:
    argv = [word.encode(errors="replace").decode() for word in argv]
    script = f'printf "%s\\0" {printable(argv)}'
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
                users.put(Path(folder), users.Login(users.name(name), users.password(password)))
                expected[name] = password
        path = users.place(Path(folder))
        lines = path.read_bytes().decode("ascii").splitlines() if expected else []
        assert {it.name for it in Path(folder).iterdir()} <= {".lock", "users"}
        assert [it.name for it in path.parent.glob("*")] == (["htpasswd"] if expected else [])
    entries = [line.split(":") for line in lines]
    assert [name for name, _ in entries] == list(expected)
    assert all(bcrypt.checkpw(expected[name].encode(), hashed.encode()) for name, hashed in entries)


@given(text=typed())
def test_a_file_of_users_that_somebody_else_wrote_is_read_or_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = users.place(Path(folder))
        path.parent.mkdir()
        path.write_bytes(text.encode(errors="replace"))
        with contextlib.suppress(RegistryError), users.visitor(Path(folder), Recorder()) as login:
            assert login
            assert sum(line.startswith(f"{login.name}:".encode()) for line in path.read_bytes().splitlines()) == 1
        assert path.exists()


# Trust

AUTHORITY = forge.authority()
PEM = native.public_pem(AUTHORITY.certificate)
FINGERPRINT = AUTHORITY.certificate.fingerprint(hashes.SHA256()).hex()


@st.composite
def subjects(draw: st.DrawFn) -> Subject:
    """The registry of settings that were taken, as clients know it."""
    settings = draw(taken("registry.address", "registry.names", "registry.port"))
    return Subject(PEM, FINGERPRINT, address.spellings(settings.hosts, settings.port))


WHERE = whereabouts.here({}, Path("/home/ada"))


def _files(subject: Subject, suffix: str) -> Iterator[tuple[str, str, str]]:
    """Yield path, spelling and text of every file of a kind in the table."""
    for store in STORES:
        for file in store.files(subject):
            if file.path.endswith(suffix):
                yield file.path, file.spelling, file.content.decode()


@given(subject=subjects())
def test_no_name_leads_out_of_its_store_s_folder(subject: Subject) -> None:
    plain = Subject(PEM, FINGERPRINT, ("a.b",) * len(subject.spellings))
    for store in STORES:
        for file, like in zip(store.files(subject), store.files(plain), strict=True):
            path, expected = WHERE.path(file.path), WHERE.path(like.path)
            assert os.path.normpath(path) == str(path)
            assert len(path.parts) == len(expected.parts)
            assert [part for part in path.parts if part not in expected.parts] in ([], [file.spelling])


@given(subject=subjects())
def test_hosts_toml_says_what_was_meant_about_the_registry_that_was_meant(subject: Subject) -> None:
    found = list(_files(subject, "hosts.toml"))
    assert found
    for path, spelling, text in found:
        authority = f"{PurePosixPath(path).parent}/ca.crt"
        assert toml.read(path, text) == {
            "server": f"https://{spelling}",
            "ca": authority,
            "host": {
                f"https://{spelling}": {"capabilities": ["pull", "resolve", "push"], "ca": authority},
            },
        }


def _merged(key: str, path: str, subject: Subject) -> str:
    store = next(it for it in STORES if it.key == key)
    return shared.merged("", [block for block in store.blocks(subject) if block.path.endswith(path)])


@given(subject=subjects())
def test_registries_yaml_says_what_was_meant_about_the_registries_that_were_meant(subject: Subject) -> None:
    assert YAML(typ="safe").load(_merged("k3s", "registries.yaml", subject)) == {
        "mirrors": {it: {"endpoint": [f"https://{it}"]} for it in subject.spellings},
        "configs": {it: {"tls": {"ca_file": f"/etc/rancher/k3s/{subject.name}.crt"}} for it in subject.spellings},
    }


@given(subject=subjects())
def test_buildkitd_toml_says_what_was_meant_about_the_registries_that_were_meant(subject: Subject) -> None:
    said = toml.read("buildkitd.toml", _merged("buildkit", "buildkitd.toml", subject))
    assert said.get("registry", {}) == {
        it: {"ca": [f"/etc/buildkit/{subject.name}.crt"]} for it in subject.spellings if "[" not in it
    }


FOREIGN = st.one_of(
    typed(),
    st.lists(
        st.sampled_from(
            ["mirrors:", "configs: # x", "  a.b:", "    endpoint:", '  "192.168.0.12":', "# c", "", "mirrors: {}"]
        )
        | st.sampled_from(
            ["debug = true", "[registry.'a.b']", "  ca = []", "- x", "\tx: y", "--- ", "...", "a: &a [*a]"]
        ),
        max_size=8,
    ).map(lambda lines: "".join(f"{line}\n" for line in lines)),
)


@given(subject=subjects(), text=FOREIGN)
@pytest.mark.parametrize(("key", "path"), [("k3s", "registries.yaml"), ("buildkit", "buildkitd.toml")])
def test_lines_of_ours_in_a_file_of_others_add_what_we_mean_and_take_nothing_away(
    key: str, path: str, subject: Subject, text: str
) -> None:
    store = next(it for it in STORES if it.key == key)
    blocks = [block for block in store.blocks(subject) if block.path.endswith(path)]
    try:
        after = shared.merged(text, blocks)
    except RegistryError as refused:
        _has_a_cure(refused)
        return
    assert shared.merged(after, blocks) == after
    assert [line for line in text.splitlines() if line not in after.splitlines()] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | typed(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(typed(), inner, max_size=3),
    max_leaves=6,
)


@given(
    before=JSON | st.dictionaries(st.sampled_from([insecure.KEY, "debug", "hosts"]), JSON, max_size=3),
    indent=st.sampled_from([None, 1, 4, "\t"]),
    settings=taken("registry.address", "registry.plain_port"),
)
def test_daemon_json_gains_the_registry_and_nothing_else_and_loses_it_again(
    before: object, indent: int | str | None, settings: Settings
) -> None:
    text, registry = json.dumps(before, indent=indent), address.reference(settings.address, settings.plain_port)
    try:
        after = insecure.added(text, registry, Path("daemon.json"))
    except RegistryError as refused:
        _has_a_cure(refused)
        return
    assert isinstance(before, dict)
    assert after.encode()
    assert json.loads(after) == {**before, insecure.KEY: [*before.get(insecure.KEY, []), registry]}
    left = insecure.removed(after, registry, Path("daemon.json"))
    assert json.loads(left or "{}") == {key: value for key, value in before.items() if key != insecure.KEY or value}


DEEP = {"lists": "[" * 100_000, "objects": '{"a":' * 100_000}
"""By name, so that a failure need not be told by its text."""


@given(text=typed() | st.sampled_from([*DEEP, "\ufeff{}", '{"insecure-registries": "x"}', "[1, {}]", "NaN"]))
def test_a_daemon_json_of_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(RegistryError):
        insecure.added(DEEP.get(text, text), "192.168.0.12:5000", Path("daemon.json"))


# The kit


@given(reference=typed())
def test_a_kit_s_file_name_is_one_plain_word(reference: str) -> None:
    found = kit.file_name(Subject(PEM, FINGERPRINT, ()), reference)
    assert re.fullmatch(r"trust-[A-Za-z0-9.-]*-[0-9a-f]{16}\.sh", found, re.ASCII)
    assert PurePosixPath(found).name == found


@given(reference=typed(), spellings=st.lists(typed(), max_size=3))
@example("$(touch evil)", ["`touch evil`", "a.b"])
@example("a'; touch evil; '", ['a"; touch evil; "', "$(touch evil)"])
@example("a; touch evil", ["EOF", "USAGE", "a b", "*", "~", "-x", "--root"])
@pytest.mark.process
@share(20)
def test_a_kit_runs_nothing_that_a_name_says_and_writes_nowhere_but_where_it_should(
    reference: str, spellings: list[str]
) -> None:
    subject = Subject(PEM, FINGERPRINT, tuple(spellings))
    try:
        script = kit.render(subject, reference)
    except RegistryError as refused:
        _has_a_cure(refused)
        return
    with tempfile.TemporaryDirectory() as folder:
        home, root = Path(folder, "home"), Path(folder, "root")
        for path in (home, root / "etc/containerd/certs.d", root / "etc/rancher/k3s", root / "etc/buildkit"):
            path.mkdir(parents=True)
        (home / "kit.sh").write_bytes(script)
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home)}
        argv = ["sh", "kit.sh", "--root", str(root)]
        for words in (["sh", "-n", "kit.sh"], ["sh", "kit.sh", "--help"], [*argv, "--dry-run"], argv):
            done = subprocess.run(words, cwd=home, env=environ, capture_output=True, check=False, timeout=60)
            assert b"syntax error" not in done.stderr
        assert sorted(path.name for path in home.iterdir()) == ["kit.sh"]
        written = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
        assert all(path.parts[0] in ("etc", "var") for path in written)
        names = {path.name for path in written if path.parts[:3] == ("etc", "containerd", "certs.d")}
        assert names <= {"ca.crt", "hosts.toml"}


def test_the_examples_hold_what_shells_and_templates_take_for_their_own() -> None:
    assert {"$", "`", "'", '"', "\n", "\\", "{", "[", "\0"} <= set(ODD)
    assert io.StringIO("\n".join(PIECES)).read().count("touch evil") == 4
