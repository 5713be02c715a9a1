"""What was typed reaches the clients' files, daemon.json and the kit, and means nothing more there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests import forge
from tests.properties.inputs import has_a_cure, load, share, taken, typed
from trusted_registry import address
from trusted_registry.certificate import native
from trusted_registry.errors import RegistryError
from trusted_registry.trust import machine as machines
from trusted_registry.trust.client_stores import STORES
from trusted_registry.trust.managed_blocks import merging, toml
from trusted_registry.trust.model import TrustAnchor
from trusted_registry.trust.remote import kit
from trusted_registry.trust.specifics.daemon_json import INSECURE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.settings import Settings

# The clients' files

AUTHORITY = forge.authority()
PEM = native.public_pem(AUTHORITY.certificate)
FINGERPRINT = AUTHORITY.certificate.fingerprint(hashes.SHA256()).hex()


@st.composite
def anchors(draw: st.DrawFn) -> TrustAnchor:
    """The registry of settings that were taken, as clients know it."""
    settings = draw(taken("registry.address", "registry.names", "registry.port"))
    return TrustAnchor(PEM, FINGERPRINT, address.registry_hosts(settings.hosts, settings.port))


WHERE = machines.current({}, Path("/home/ada"))


def _files(anchor: TrustAnchor, suffix: str) -> Iterator[tuple[str, str, str]]:
    """Yield path, spelling and text of every file of a kind in the table."""
    for store in STORES:
        for file in store.files(anchor):
            if file.path.endswith(suffix):
                yield file.path, file.registry_host, file.content.decode()


@given(anchor=anchors())
def test_no_name_leads_out_of_its_store_s_folder(anchor: TrustAnchor) -> None:
    plain = TrustAnchor(PEM, FINGERPRINT, tuple(f"a.b{it}" for it in range(len(anchor.registry_hosts))))
    for store in STORES:
        for file, like in zip(store.files(anchor), store.files(plain), strict=True):
            path, expected = WHERE.path(file.path), WHERE.path(like.path)
            assert os.path.normpath(path) == str(path)
            assert len(path.parts) == len(expected.parts)
            assert [part for part in path.parts if part not in expected.parts] in ([], [file.registry_host])


@given(anchor=anchors())
def test_hosts_toml_says_what_was_meant_about_the_registry_that_was_meant(anchor: TrustAnchor) -> None:
    found = list(_files(anchor, "hosts.toml"))
    assert found
    for path, registry_host, text in found:
        authority = f"{PurePosixPath(path).parent}/ca.crt"
        assert toml.read(path, text) == {
            "server": f"https://{registry_host}",
            "ca": authority,
            "host": {
                f"https://{registry_host}": {"capabilities": ["pull", "resolve", "push"], "ca": authority},
            },
        }


def _merged(key: str, path: str, anchor: TrustAnchor) -> str:
    store = next(it for it in STORES if it.key == key)
    return merging.merge("", [block for block in store.blocks(anchor) if block.path.endswith(path)])


@given(anchor=anchors())
def test_registries_yaml_says_what_was_meant_about_the_registries_that_were_meant(anchor: TrustAnchor) -> None:
    assert YAML(typ="safe").load(_merged("k3s", "registries.yaml", anchor)) == {
        "mirrors": {it: {"endpoint": [f"https://{it}"]} for it in anchor.registry_hosts},
        "configs": {it: {"tls": {"ca_file": f"/etc/rancher/k3s/{anchor.name}.crt"}} for it in anchor.registry_hosts},
    }


@given(anchor=anchors())
def test_buildkitd_toml_says_what_was_meant_about_the_registries_that_were_meant(anchor: TrustAnchor) -> None:
    said = toml.read("buildkitd.toml", _merged("buildkit", "buildkitd.toml", anchor))
    assert said.get("registry", {}) == {
        it: {"ca": [f"/etc/buildkit/{anchor.name}.crt"]} for it in anchor.registry_hosts if "[" not in it
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


@given(anchor=anchors(), text=FOREIGN)
@pytest.mark.parametrize(("key", "path"), [("k3s", "registries.yaml"), ("buildkit", "buildkitd.toml")])
def test_lines_of_ours_in_a_file_of_others_add_what_we_mean_and_take_nothing_away(
    key: str, path: str, anchor: TrustAnchor, text: str
) -> None:
    store = next(it for it in STORES if it.key == key)
    blocks = [block for block in store.blocks(anchor) if block.path.endswith(path)]
    try:
        after = merging.merge(text, blocks)
    except RegistryError as refused:
        has_a_cure(refused)
        return
    assert merging.merge(after, blocks) == after
    assert [line for line in text.splitlines() if line not in after.splitlines()] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | typed(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(typed(), inner, max_size=3),
    max_leaves=6,
)


@given(
    before=JSON | st.dictionaries(st.sampled_from([INSECURE.key, "debug", "hosts"]), JSON, max_size=3),
    indent=st.sampled_from([None, 1, 4, "\t"]),
    settings=taken("registry.address", "registry.plain_port"),
)
@example(before={"\ud800\udcff": None}, indent=None, settings=load())
def test_daemon_json_gains_the_registry_and_nothing_else_and_loses_it_again(
    before: object, indent: int | str | None, settings: Settings
) -> None:
    text, registry = json.dumps(before, indent=indent), address.registry_host(settings.address, settings.plain_port)
    before = json.loads(text)  # two halves of a letter, one after the other, come back as the letter
    try:
        after = INSECURE.added(text, registry, Path("daemon.json"))
    except RegistryError as refused:
        has_a_cure(refused)
        return
    assert isinstance(before, dict)
    assert after.encode()
    assert json.loads(after) == {**before, INSECURE.key: [*before.get(INSECURE.key, []), registry]}
    left = INSECURE.removed(after, registry, Path("daemon.json"))
    assert json.loads(left or "{}") == {key: value for key, value in before.items() if key != INSECURE.key or value}


DEEP = {"lists": "[" * 100_000, "objects": '{"a":' * 100_000}
"""By name, so that a failure need not be told by its text."""


@given(text=typed() | st.sampled_from([*DEEP, "\ufeff{}", '{"insecure-registries": "x"}', "[1, {}]", "NaN"]))
def test_a_daemon_json_of_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(RegistryError):
        INSECURE.added(DEEP.get(text, text), "192.168.0.12:5000", Path("daemon.json"))


# The kit


@given(reference=typed())
def test_a_kit_s_file_name_is_one_plain_word(reference: str) -> None:
    found = kit.file_name(TrustAnchor(PEM, FINGERPRINT, ()), reference)
    assert re.fullmatch(r"trust-[A-Za-z0-9.-]*-[0-9a-f]{16}\.sh", found, re.ASCII)
    assert PurePosixPath(found).name == found


@given(reference=typed(), registry_hosts=st.lists(typed(), max_size=3))
@example("$(touch evil)", ["`touch evil`", "a.b"])
@example("a'; touch evil; '", ['a"; touch evil; "', "$(touch evil)"])
@example("a; touch evil", ["EOF", "USAGE", "a b", "*", "~", "-x", "--root"])
@pytest.mark.process
@share(20)
def test_a_kit_runs_nothing_that_a_name_says_and_writes_nowhere_but_where_it_should(
    reference: str, registry_hosts: list[str]
) -> None:
    anchor = TrustAnchor(PEM, FINGERPRINT, tuple(registry_hosts))
    try:
        script = kit.render(anchor, reference)
    except RegistryError as refused:
        has_a_cure(refused)
        return
    with tempfile.TemporaryDirectory() as folder:
        home, root = Path(folder, "home"), Path(folder, "root")
        for path in (home, root / "etc/containerd/certs.d", root / "var/lib/rancher/k3s", root / "etc/buildkit"):
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
