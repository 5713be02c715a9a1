"""Files that belong to others: what they say stays, what they cannot be read as is named with its line."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from trusted_registry.errors import RegistryError
from trusted_registry.trust.client_stores import STORES
from trusted_registry.trust.managed_blocks import editing, merging, toml
from trusted_registry.trust.model import TrustAnchor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trusted_registry.trust.model import ManagedBlock

SUBJECT = TrustAnchor(b"", "ab" * 32, ("192.168.0.12:443", "192.168.0.12"))
K3S, BUILDKIT = (next(it for it in STORES if it.key == key).blocks(SUBJECT) for key in ("k3s", "buildkit"))
AUTHORITY = f"/etc/rancher/k3s/{SUBJECT.name}.crt"
REGISTRIES = "/etc/rancher/k3s/registries.yaml"

# The forms of docs.k3s.io/installation/private-registry, and what people do to them.
SOUND = {
    "empty": "",
    "one empty line": "\n",
    "comments alone": "# mirrors:\n\n# configs:\n",
    "start of a document": "---\nmirrors:\n  docker.io:\n    endpoint:\n      - https://registry.example.com:5000\n",
    "mirror": 'mirrors:\n  registry.example.com:\n    endpoint:\n      - "https://registry.example.com:5000"\n',
    "rewrite": (
        'mirrors:\n  docker.io:\n    endpoint:\n      - "https://registry.example.com:5000"\n'
        '    rewrite:\n      "^rancher/(.*)": "mirrorproject/rancher-images/$1"\n'
    ),
    "wildcard": (
        'mirrors:\n  "*":\n    endpoint:\n      - "https://registry.example.com:5000"\n'
        'configs:\n  "docker.io":\n  "*":\n    tls:\n      insecure_skip_verify: true\n'
    ),
    "with authentication": (
        "configs:\n  registry.example.com:5000:\n    auth:\n      username: xxxxxx # this is the registry username\n"
        "      password: xxxxxx\n    tls:\n      cert_file: # path\n      key_file:  # path\n      ca_file:   # path\n"
        'mirrors:\n  docker.io:\n    endpoint:\n      - "https://registry.example.com:5000"\n'
    ),
    "four spaces": "mirrors:\n    docker.io:\n        endpoint:\n            - https://mirror.example\nconfigs:\n",
    "one space": "mirrors:\n a.example:\n  endpoint: [https://a.example]\n",
    "flow style inside": 'mirrors:\n  docker.io: {endpoint: ["https://mirror.example"]}\nconfigs:\n  x.example: {}\n',
    "anchors": (
        "mirrors:\n  a.example: &one\n    endpoint: [https://mirror.example]\n  b.example: *one\n"
        "  c.example:\n    <<: *one\n    rewrite: {a: b}\n"
    ),
    "comments between": "# ours\nmirrors: # of images\n# first\n\n   # second\n   a.example: {} # last\n# end\n",
    "carriage returns": "mirrors:\r\n\r\n    a.example:\r\n      endpoint: [https://b.example]\r\nconfigs:\r\n",
    "no final newline": "mirrors:\n  a.example:\n    endpoint: [https://b.example]",
    "another port of the same address": "mirrors:\n  192.168.0.12:5000:\n    endpoint: [http://192.168.0.12:5000]\n",
    "keys of other programs": 'debug: true\nmirrors:\n  "a.example": {}\nother:\n  - 192.168.0.12\n',
    "a text over lines": "other: |\n  mirrors:\n    a\n\n  b\nconfigs:\n  a.example:\n    auth: {password: 'x: # y'}\n",
}

# With the line that is named, and a word of the reason.
UNSOUND = {
    "mirrors:\n  a.example:\n\tendpoint: []\n": (3, "not valid YAML"),
    "mirrors:\n  a.example: {\n": (3, "not valid YAML"),
    "mirrors: {}\n\nmirrors:\n  a: {}\n": (3, "'mirrors' a second time"),
    "configs:\n  a.example:\n    auth: {password: secret, password: geheim}\n": (3, "'password' a second time"),
    "a: 1\n---\nmirrors:\n": (2, "not valid YAML"),
    "a: &a [*a]\n": (1, "not valid YAML"),
    "- mirrors\n": (1, "registries by name"),
    "mirrors\n": (1, "registries by name"),
    "configs:\nmirrors:\n- a.example\n": (3, "registries by name"),
    "configs: none\n": (1, "registries by name"),
    # sound, and yet nothing can be added under a key by the margin alone
    "\ufeffmirrors:\n  a.example: {}\n": (1, "byte order mark"),
    "{mirrors: {a.example: {}}}\n": (1, "block form"),
    "mirrors: {a.example: {}}\n": (1, "block form"),
    "mirrors: &all\n  a.example: {}\n": (1, "block form"),
    "configs:\n\n'mirrors':\n  a.example: {}\n": (3, "block form"),
    "  mirrors:\n    a.example: {}\n": (1, "block form"),
    "? mirrors\n: a.example: {}\n": (1, "block form"),
    "a: {\nmirrors: {}\n}\n": (2, "block form"),
    "mirrors:\n  a.example: {}\n...\n": (3, "block form"),
    "mirrors:\n  '192.168.0.12':\n    endpoint: []\n": (2, "already has an entry for 192.168.0.12"),
    "configs:\n\n  192.168.0.12:443: {}\n": (3, "already has an entry for 192.168.0.12:443"),
}

SOUND_TOML = {
    "empty": "",
    "comment": "# debug\n",
    "settings": "debug = true\n[worker.oci]\n  gc = true # keep\n[[worker.oci.gcpolicy]]\n  all = true\n",
    "mirror": '[registry."docker.io"]\n  mirrors = ["mirror.example"]\n',
    "no final newline": "debug = true",
    "carriage returns": "debug = true\r\n[registry]\r\n",
    "another port of the same address": '[registry."192.168.0.12:5000"]\n  http = true\n',
    "lines in a text": 'a = """\n[registry."b"]\n"""\n',
}
UNSOUND_TOML = {
    "debug = yes\n": (1, "not valid TOML"),
    "[worker]\n\n[worker]\n": (3, "not valid TOML"),
    "debug = true\n[registry\n": (2, "not valid TOML"),
    "a = '''\n\n": (2, "not valid TOML"),
    "\ufeffdebug = true\n": (1, "not valid TOML"),
    '\t[registry."192.168.0.12"] # theirs\nhttp = true\n': (1, "already has an entry"),
    "[registry.'192.168.0.12']\nca = ['a']\n": (1, "already has an entry"),
    '[registry]\n"192.168.0.12" = {http = true}\n': (2, "already has an entry"),
    "registry = {}\n": (1, "in a form to which none can be added"),
    '# a\nregistry."docker.io".http = true\n': (2, "in a form to which none can be added"),
    '[registry]\n"192.168.0.1\\u0032" = {http = true}\n': (2, "in a form to which none can be added"),
    '["reg\\u0069stry"."192.168.0.12"]\n': (1, "in a form to which none can be added"),
    '[[registry."192.168.0.12".keypair]]\n': (1, "already has an entry"),
}


def _without(text: str, added: Sequence[ManagedBlock]) -> str:
    for block in added:
        text = editing.removed(text, block)
    return text


def _refusal(text: str, added: Sequence[ManagedBlock]) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        merging.merge(text, added)
    assert caught.value.cure
    return caught.value


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_what_k3s_reads_is_what_it_read_before_and_our_entries(text: str) -> None:
    read = YAML(typ="safe", pure=True).load
    before, after = read(text) or {}, read(merging.merge(text, K3S))
    for section in ("mirrors", "configs"):
        before[section] = before.get(section) or {}
    for registry_host in SUBJECT.registry_hosts:
        assert after["mirrors"].pop(registry_host) == {"endpoint": [f"https://{registry_host}"]}
        assert after["configs"].pop(registry_host) == {"tls": {"ca_file": AUTHORITY}}
    assert after == before


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_removal_gives_registries_yaml_back_byte_for_byte(text: str) -> None:
    assert _without(merging.merge(text, K3S), K3S) == (text if not text or text.endswith("\n") else f"{text}\n")


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND)
def test_a_second_merge_changes_nothing(text: str) -> None:
    once = merging.merge(text, K3S)
    assert merging.merge(once, K3S) == once


@pytest.mark.parametrize("text", UNSOUND)
def test_registries_yaml_that_cannot_be_added_to_is_refused_with_its_line(text: str) -> None:
    line, reason = UNSOUND[text]
    message = _refusal(text, K3S).message
    assert message.startswith(f"{REGISTRIES}, line {line}")
    assert reason in message
    assert message.endswith("It was left as it is.")


def test_a_refusal_shows_no_password() -> None:
    refused = _refusal("configs:\n  a.example:\n    auth: {password: secret, password: geheim}\n", K3S)
    assert "secret" not in f"{refused.message} {refused.cure}"
    assert "geheim" not in f"{refused.message} {refused.cure}"


@pytest.mark.parametrize("text", SOUND_TOML.values(), ids=SOUND_TOML)
def test_what_buildkitd_reads_is_what_it_read_before_and_our_entries(text: str) -> None:
    before, after = toml.read("", text), toml.read("", merging.merge(text, BUILDKIT))
    for registry_host in SUBJECT.registry_hosts:
        assert after["registry"].pop(registry_host) == {"ca": [f"/etc/buildkit/{SUBJECT.name}.crt"]}
    assert after == {"registry": {}, **before}


@pytest.mark.parametrize("text", SOUND_TOML.values(), ids=SOUND_TOML)
def test_removal_gives_buildkitd_toml_back_byte_for_byte(text: str) -> None:
    merged = merging.merge(text, BUILDKIT)
    assert _without(merged, BUILDKIT) == (text if not text or text.endswith("\n") else f"{text}\n")


@pytest.mark.parametrize("text", UNSOUND_TOML)
def test_buildkitd_toml_that_cannot_be_added_to_is_refused_with_its_line(text: str) -> None:
    line, reason = UNSOUND_TOML[text]
    message = _refusal(text, BUILDKIT).message
    assert message.startswith(f"/etc/buildkit/buildkitd.toml, line {line}")
    assert reason in message


def test_what_would_no_longer_be_toml_with_our_lines_is_left_with_the_lines_to_add() -> None:
    refused = _refusal(f"{editing.MARK} other\nregistry = {{}}\n{editing.END}\n", BUILDKIT)
    assert "would be invalid" in refused.message
    assert '[registry."192.168.0.12"]' in refused.cure


def test_what_would_mean_something_else_with_our_lines_is_left_with_the_lines_to_add() -> None:
    theirs = 'configs:\n  a:\n    auth: {password: "x\n  192.168.0.12:\n  y: z"}\n'
    assert "would be invalid" in _refusal(theirs, K3S).message


def test_what_was_ours_of_another_authority_is_replaced_where_it_stood() -> None:
    older = TrustAnchor(b"", "cd" * 32, SUBJECT.registry_hosts)
    blocks_before = next(it for it in STORES if it.key == "k3s").blocks(older)
    text = SOUND["with authentication"]
    merged = merging.merge(merging.merge(text, blocks_before), K3S)
    assert older.name not in merged
    assert _without(merged, K3S) == text


def test_a_block_without_its_closing_mark_takes_nothing_of_others_with_it() -> None:
    lines = merging.merge(SOUND["mirror"], K3S).splitlines(keepends=True)
    lines.remove(f"  {editing.END}\n")  # the first block's: the next mark opens another
    text = "".join(lines)
    assert editing.removed(text, K3S[2]) == text
    assert "in lines 2 to 2, holds something" in _refusal(text, K3S).message


def test_a_key_that_was_added_for_us_stays_where_others_have_used_it_since() -> None:
    merged = merging.merge("", K3S).replace("\nconfigs:", "\n# theirs\n  a.example: {}\nconfigs:", 1)
    assert _without(merged, K3S) == f"mirrors: {editing.MARK[:-1]}\n# theirs\n  a.example: {{}}\n"


@pytest.mark.parametrize("path", ["registries.yaml", "buildkitd.toml", "daemon.json"])
def test_an_empty_file_is_valid(path: str) -> None:
    merging.check(path, "")


def test_an_anchor_may_be_given_twice() -> None:
    text = "a: &a [1]\nb: &a [2]\n"
    assert merging.merge(text, K3S).startswith(text)


def test_files_of_other_kinds_are_not_read() -> None:
    merging.check("daemon.json", "mirrors: [")


def test_depth_is_no_reason_for_a_traceback() -> None:
    for path, key in ((REGISTRIES, "a: "), ("buildkitd.toml", "a = ")):
        with pytest.raises(RegistryError, match="not valid"):
            merging.check(path, key + "[" * 9999)


def test_two_hundred_random_files_keep_what_they_say_and_come_back() -> None:
    chance = random.Random(4)  # noqa: S311 - the same files each time
    for _ in range(200):
        text = _random_registries(chance)
        merged = merging.merge(text, K3S)
        read = YAML(typ="safe", pure=True).load
        assert set(SUBJECT.registry_hosts) <= set(read(merged)["mirrors"]), merged
        assert _without(merged, K3S) == text


def _random_registries(chance: random.Random) -> str:
    """Return a file of k3s's form as people write them: any margin, comments and empty lines anywhere."""
    lines = ["---"] if chance.random() < 0.2 else []
    for section in chance.sample(["mirrors:", "configs:", "other:"], k=chance.randint(0, 3)):
        margin = " " * chance.randint(1, 5)
        lines += [section + chance.choice(["", "  ", " # why"])]
        for entry in range(chance.randint(0, 3)):
            quote = chance.choice(["", '"', "'"])
            lines += [f"{margin}{quote}host-{entry}.example:{chance.choice(['5000', '443'])}{quote}:"]
            lines += [f"{margin * 2}endpoint:", f"{margin * 2}- https://192.168.0.12:{entry}"]
            lines += chance.choice([[], ["# left"], [""], [f"{margin}# deep"], ["   "]])
    ending = chance.choice(["\n", "\r\n"])
    return "".join(f"{line}{ending}" for line in lines)
