"""What the kit's awk does to shared files, against what `editing` does: byte for byte, by every awk that is here."""

from __future__ import annotations

import os
import random
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.trust.remote.kits import AWKS, parameters
from trusted_registry.errors import RegistryError
from trusted_registry.trust.client_stores import STORES
from trusted_registry.trust.managed_blocks import editing, merging
from trusted_registry.trust.model import ManagedBlock, TrustAnchor
from trusted_registry.trust.remote import kit_words

pytestmark = pytest.mark.process

PROGRAM = (Path(__file__).parents[3] / "templates" / "kit" / "blocks.awk").read_text()
ADDED, AS_IT_WAS, REFUSED = 0, 3, 4
RANDOM_TEXTS = 120


def _block(key: str, path: str, registry_host: str, ca: str = "/etc/ca.crt") -> ManagedBlock:
    """Return a block of the table, with an authority that lies here."""
    anchor = TrustAnchor(b"", "ab" * 32, (registry_host,))
    (store,) = (it for it in STORES if it.key == key)
    (found,) = (it for it in store.blocks(anchor) if path in (it.under, it.path))
    folder = found.path.rpartition("/")[0]
    lines = tuple(line.replace(f"{folder}/{anchor.name}.crt", ca) for line in found.lines)
    return replace(found, lines=lines)


def mirror(registry_host: str) -> ManagedBlock:
    """Return what k3s is told about a registry."""
    return _block("k3s", "mirrors:", registry_host)


def config(registry_host: str, ca: str = "/etc/ca.crt") -> ManagedBlock:
    """Return what else k3s is told about it."""
    return _block("k3s", "configs:", registry_host, ca)


def table(registry_host: str) -> ManagedBlock:
    """Return what BuildKit is told."""
    return _block("buildkit", "/etc/buildkit/buildkitd.toml", registry_host, "/ca.crt")


YAML = (mirror("10.0.0.1"), config("10.0.0.1"), mirror("10.0.0.1:5000"), config("10.0.0.1:5000"))
TOML = (table("10.0.0.1"), table("r.local:5000"))


@dataclass(frozen=True)
class Woven:
    """How an awk ended: its status, and the text or the reason."""

    status: int
    text: str


@pytest.fixture(params=parameters(AWKS))
def awk(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """An awk."""
    assert isinstance(request.param, tuple)
    return request.param


def weave(
    awk: tuple[str, ...], deed: str, text: str, mine: tuple[ManagedBlock, ...], others: tuple[ManagedBlock, ...] = ()
) -> Woven:
    """Run the program as the kit does."""
    variables = {"deed": deed, "specs": _specs(mine), "others": _specs(others), "LC_ALL": "C"}
    done = subprocess.run(
        [*awk, PROGRAM],
        input=text.encode(),
        capture_output=True,
        env={"PATH": os.environ["PATH"], **variables},
        check=False,
    )
    assert done.stderr == b"", done
    if done.returncode != ADDED:
        return Woven(done.returncode, done.stdout.decode())
    assert done.stdout[-1:] in b".!"
    return Woven(done.returncode, done.stdout[:-1].decode())


def _specs(found: tuple[ManagedBlock, ...]) -> str:
    return "\n".join(kit_words.block_spec(block) for block in found)


def added(text: str, mine: tuple[ManagedBlock, ...]) -> Woven:
    """Return what the other side makes of the same."""
    after = text
    try:
        for block in mine:
            if not editing.has(text, block) and not editing.is_held(text, block):
                editing.check(text, block)
        for block in mine:
            after = editing.added(after, block)
    except RegistryError as error:
        return Woven(REFUSED, re.findall(r"lines? (\d+)", error.message)[0])
    return Woven(AS_IT_WAS, "") if after == text else Woven(ADDED, after)


def removed(text: str, mine: tuple[ManagedBlock, ...]) -> Woven:
    """Return what the other side makes of taking out what is ours as it stands."""
    after = text
    for block in mine:
        if editing.has(after, block):
            after = editing.removed(after, block)
    return Woven(AS_IT_WAS, "") if after == text else Woven(ADDED, after)


def told(found: Woven) -> Woven:
    """Return the same, with only the line of what is refused."""
    if found.status != REFUSED:
        return found
    return Woven(REFUSED, "1" if found.text == "mark" else found.text.split("\t")[1])


TEXTS = {
    "none": "",
    "an empty line": "\n",
    "a comment": "# nothing yet\n",
    "indented by four": 'mirrors:\n    a.example:\n        endpoint:\n            - "https://a"\n',
    "no final newline": "mirrors:\n  a.example:\n    endpoint: []",
    "a comment after the key": "mirrors: # whose?\n\n  # ours\n\n   a.example:\n     endpoint: []\n",
    "key last": "configs:\n  a.example: {}\nmirrors:\n",
    "windows": "mirrors:\r\n  a.example:\r\n    endpoint: []\r\n",
    "marked start": "---\nmirrors:\n  a.example: {}\n",
    "flow": "mirrors: {a.example: {}}\n",
    "quoted key": '"mirrors":\n  a.example: {}\n',
    "flow from the start": "{mirrors: {}}\n",
    "a list": "- mirrors\n",
    "twice": "mirrors:\n  a.example: {}\nmirrors:\n  b.example: {}\n",
    "two documents": "mirrors:\n  a.example: {}\n---\nmirrors:\n",
    "a tab": "mirrors:\n\ta.example: {}\n",
    "foreign": 'x: 1\nmirrors:\n  "10.0.0.1":\n    endpoint: []\n',
    "foreign, bare": "mirrors:\n  10.0.0.1: # theirs\n    endpoint: []\n",
    "foreign, single quotes": "configs:\n  '10.0.0.1:5000':\n    tls: {}\n",
    "not foreign: another port": "mirrors:\n  10.0.0.1:6000:\n    endpoint: []\n",
    "not foreign: another section": "others:\n  10.0.0.1:\n    endpoint: []\n",
    "byte order mark": "\ufeffmirrors:\n",
    "umlauts": "# Größe\nmirrors:\n  ä.example: {}\n",
    "our mark without its end": "mirrors:\n  # trusted-registry: mirrors: 10.0.0.1\n  x: {}\n",
    "our mark within another": (
        "mirrors:\n  # trusted-registry: mirrors: 10.0.0.1\n  x: {}\n"
        "  # trusted-registry: mirrors: 10.0.0.2\n  y: {}\n  # trusted-registry: end\n"
    ),
    "a key of ours alone": "mirrors: # trusted-registry\n  a.example: {}\n",
    "percent": "mirrors:\n  'a%s.example\\n': {}\n",
    "toml": "debug = true\n[worker.oci]\n  enabled = true\n",
    "toml, foreign": 'debug = true\n[registry."10.0.0.1"] # theirs\n  http = true\n',
}


CLAIMED = (
    "mirrors:\n  '10.0.0.1' :\n    endpoint: []\n",
    'mirrors:\n  "10.0.0.1" :\n    endpoint: []\n',
    "mirrors:\n  10.0.0.1 : {}\n",
    'mirrors:\n  "10.0.0.1":{}\n',
    "[registry.'10.0.0.1']\nhttp = true\n",
    '[ "registry" . "10.0.0.1" ]\n  "insecure"=true\n',
    '[registry."10.0.0.1"]# theirs\nca = ["/theirs.crt"]\n',
    '["registry".plain]\n  ca = [\n    "/theirs.crt",\n  ]\n',
    '[registry."10.0.0.1".tls]\n',
    "[registry.'10.0.0.1'.tls]\n",
    '[[registry."10.0.0.1".keypair]]\n',
    "[registry.plain.tls]\n",
    '[registry]\n"10.0.0.1" = { http = true }\n',
    "[registry]\n  '10.0.0.1' . http = true\n",
    "[registry]\nplain.http = true\n",
    'registry."10.0.0.1".http = true\n',
    "debug = true\nregistry . 'docker.io' . http = true\n",
    'registry = { "docker.io" = { mirrors = ["m:5000"] } }\n',
    "'registry' = {}\n",
    '"registry"."docker.io".http = true\n',
    '[[registry]]\n"docker.io" = {}\n',
)
"""All in other words than our own."""
UNCLAIMED = (
    "mirrors:\n  '10.0.0.1:6000' :\n    endpoint: []\n",
    "mirrors:\n  10.0.0.1:6000: {}\n",
    "mirrors:\n  10.0.0.1.example: {}\n",
    "mirrors:\n  a.example:\n    endpoint: ['https://10.0.0.1']\n",
    "[registry.'10.0.0.1:6000']\n",
    "[registry.'10.0.0.1.example']\n",
    '[registry."10.0.0.1.example".tls]\n',
    "[registry.'plain.example']\n",
    "[registry.plainer]\n",
)
ALL = (mirror("10.0.0.1"), table("10.0.0.1"), table("plain"))


CHANGES = {
    "another authority's file": (f"/etc/trusted-registry-{'ab' * 8}.crt", "/etc/theirs.crt"),
    "a file with nearly our name": (f"{'ab' * 8}.crt", f"{'ab' * 8}c.crt"),
    "a name that is no fingerprint": ("abab", "mine"),
    "one thing less": ("    endpoint:\n", ""),
    "another key": ("ca_file", "cert_file"),
    "no end": ("  # trusted-registry: end\n", ""),
}
"""What a person may do to lines of ours."""


_X = '  "10.0.0.1":\n'
ROOM = {
    "a login": f"configs:\n{_X}    auth:\n      username: ada\n      password: secret\n",
    "a login, indented by one": "configs:\n '10.0.0.1': # theirs\n  auth:\n   username: ada\n",
    "a login of Windows": "configs:\r\n  10.0.0.1:\r\n    auth: {username: ada}\r\n",
    "a login, then another registry": f"configs:\n{_X}    auth: {{a: b}}\n  x.example:\n    tls: {{}}\nmirrors:\n",
    "nothing yet": f"configs:\n{_X}  y.example: {{}}\n",
    "nothing at all": f"configs:\n{_X}",
    "comments and blank lines": f"configs:\n{_X}\n    # who?\n    auth: {{}}\n\n",
    "a client's certificate": f"configs:\n{_X}    tls:\n      cert_file: /c\n      key_file: /k\n    auth: {{}}\n",
    "an empty tls": f"configs:\n{_X}    tls: # ?\n    auth: {{}}\n",
    "a mirror of its own": f"mirrors:\n{_X}    endpoint:\n    - https://10.0.0.1\n",
    "mirrors in one line": f"mirrors:\n{_X}    endpoint: ['http://m', \"https://10.0.0.1/v2\"] # both\n",
    "a mirror that only rewrites": f"mirrors:\n{_X}    rewrite:\n      a: b\n",
    "a rewrite with a backslash": f'mirrors:\n{_X}    rewrite:\n      "^a\\\\.b": "c"\n',
    "our file, by hand": f"configs:\n{_X}    tls:\n      ca_file: /etc/ca.crt # ours\n    auth: {{}}\n",
    "our file, in quotes": f"configs:\n{_X}    auth: {{}}\n    'tls':\n      \"ca_file\": '/etc/ca.crt'\n",
    "a table": '[registry."10.0.0.1"]\n  mirrors = ["m"]\n[worker.oci]\n  http = 1\n',
    "a table, single quotes": "debug = true\n[ registry . '10.0.0.1' ] # theirs",
    "a table, quoted throughout": '["registry"."10.0.0.1"]\n[[registry."10.0.0.1".keypair]]\n  key = "k"\n',
    "our file in a table": '[registry."10.0.0.1"]\n  ca = ["/a.crt", \'/ca.crt\']\n',
    "our file in lines": '[registry."10.0.0.1"]\n  ca = [ # two\n    "/a.crt",\n    "/ca.crt",\n  ]\n',
}
"""Entries of others for our registry, with room for trust or with trust in it."""
NO_ROOM = {
    "another authority": f"configs:\n{_X}    tls:\n      ca_file: /theirs.crt\n",
    "a longer path": f"configs:\n{_X}    tls:\n      ca_file: /etc/ca.crt.old\n",
    "not verified": f"configs:\n{_X}    tls:\n      insecure_skip_verify: true\n",
    "one line": f"configs:\n{_X}    {{auth: {{username: ada}}}}\n",
    "in the key's line": "configs:\n  10.0.0.1: {auth: {}}\n",
    "an anchor": "configs:\n  10.0.0.1: &one\n    auth: {}\n",
    "a merge": f"configs:\n{_X}    <<: *one\n    auth: {{}}\n",
    "a list": f"configs:\n{_X}    - auth\n",
    "a value": f"configs:\n{_X}    auth\n",
    "less margin": f"configs:\n{_X}      auth: {{}}\n    tls:\n",
    "said twice": f"configs:\n{_X}    auth: {{}}\n    auth: {{}}\n",
    "tls in one line": f"configs:\n{_X}    tls: {{cert_file: /c}}\n",
    "a mirror elsewhere": f"mirrors:\n{_X}    endpoint: [https://elsewhere]\n",
    "a mirror without TLS": f"mirrors:\n{_X}    endpoint:\n      - http://10.0.0.1\n",
    "a mirror in a comment": f"mirrors:\n{_X}    endpoint:\n      - https://m # https://10.0.0.1\n",
    "a mirror with a longer name": f"mirrors:\n{_X}    endpoint:\n      - https://10.0.0.12\n",
    "another authority in a table": '[registry."10.0.0.1"]\n  ca = ["/theirs.crt"]\n',
    "our file in a comment": '[registry."10.0.0.1"]\n  ca = ["/theirs.crt"] # "/ca.crt"\n',
    "a key behind a question mark": "configs:\n  ? '10.0.0.1'\n  : auth: {}\n",
    "a question mark alone": "configs:\n  ?\n    10.0.0.1\n  : auth: {}\n",
    "a key in escapes": 'configs:\n  "10\\u002e0.0.1":\n    auth: {}\n',
    "a mirror in escapes": 'mirrors:\n    "\\x310.0.0.1": {}\n',
    "a tag before a key": "mirrors:\n  x: {}\n  !!str 10.0.0.1: {}\n",
    "an anchor before a key": "configs:\n  &one 10.0.0.1:\n    auth: {}\n",
    "an entry of another place": "x: &one\n  10.0.0.1: {}\nconfigs:\n  <<: *one\n",
    "all in one line below": "mirrors:\n  {10.0.0.1: {endpoint: [https://elsewhere]}}\n",
    "arrays in an array": '[registry."10.0.0.1"]\nx = [\n  ["a"],\n  ["b"]\n]\nca = ["/theirs.crt"]\n',
    "an array that begins below": "[registry.'10.0.0.1']\nx = [ # theirs\n\n  # of two\n  ['a']\n]\nhttp = true\n",
    "a table in a string": 'x = """\n[registry."10.0.0.1"]\n"""\n',
    "a key in a string": "[registry.\"10.0.0.1\"]\nx = '''\n[y]\n'''\nca = [\"/theirs.crt\"]\n",
    "plain HTTP": '[registry."10.0.0.1"]\n  mirrors = []\n  http = true\n',
    "not verified in a table": "[registry.'10.0.0.1']\n  \"insecure\" = true\n",
}


def _blocks(text: str) -> tuple[ManagedBlock, ...]:
    return (table("10.0.0.1"),) if "registry" in text else (mirror("10.0.0.1"), config("10.0.0.1"))


@pytest.mark.parametrize("name", ROOM)
def test_an_entry_of_others_gains_trust_and_loses_nothing(awk: tuple[str, ...], name: str) -> None:
    text = ROOM[name]
    mine = _blocks(text)
    found = weave(awk, "add", text, mine)
    assert found == added(text, mine)
    assert found.status == (AS_IT_WAS if name.startswith("our file in ") else ADDED)
    after = found.text or text
    assert [line for line in text.splitlines() if line not in after.splitlines()] == []
    assert merging.merge(text, mine) == after  # which parses it, and proves that theirs means what it meant
    back = weave(awk, "remove", after, mine)
    assert (back.text or after) in (text, f"{text}\n")
    assert weave(awk, "add", after, mine).status == AS_IT_WAS


@pytest.mark.parametrize("name", NO_ROOM)
def test_an_entry_of_others_without_room_for_trust_is_refused(awk: tuple[str, ...], name: str) -> None:
    mine = _blocks(NO_ROOM[name])
    assert added(NO_ROOM[name], mine).status == REFUSED
    assert told(weave(awk, "add", NO_ROOM[name], mine)) == added(NO_ROOM[name], mine)


@pytest.mark.parametrize("name", ["a login", "a client's certificate", "a table"])
def test_trust_in_an_entry_of_others_is_replaced_by_that_of_another_authority(awk: tuple[str, ...], name: str) -> None:
    def naming(ca: str) -> tuple[ManagedBlock, ...]:
        return tuple(replace(it, lines=tuple(line.replace(ours, ca) for line in it.lines)) for it in mine)

    text, mine = ROOM[name], _blocks(ROOM[name])
    ours = "/ca.crt" if "registry" in text else "/etc/ca.crt"
    older, newer = (naming(f"/trusted-registry-{digit * 16}.crt") for digit in "ab")
    before = added(text, older).text
    found = weave(awk, "add", before, newer)
    assert found == added(before, newer)
    assert ("a" * 16 in found.text, "b" * 16 in found.text) == (False, True)
    assert weave(awk, "remove", found.text, newer).text == text


@pytest.mark.parametrize("key", ["auth", "other"])
def test_a_login_that_came_into_our_own_entry_stays_and_the_entry_trusts(awk: tuple[str, ...], key: str) -> None:
    mine = (mirror("10.0.0.1"), config("10.0.0.1"))
    text = added("", mine).text.replace("    tls:\n", f"    {key}:\n      username: ada\n    tls:\n")
    assert weave(awk, "add", text, mine) == added(text, mine) == Woven(AS_IT_WAS, "")
    found = weave(awk, "remove", text, mine)
    assert "username: ada" in found.text
    assert found == removed(text, mine)


@pytest.mark.parametrize("text", CLAIMED)
def test_whoever_speaks_of_the_registry_in_other_words_is_heard(awk: tuple[str, ...], text: str) -> None:
    mine = ALL[:1] if text.startswith("mirrors") else ALL[1:]
    assert added(text, mine).status == REFUSED
    assert told(weave(awk, "add", text, mine)) == added(text, mine)


@pytest.mark.parametrize("text", UNCLAIMED)
def test_whoever_speaks_of_another_is_not(awk: tuple[str, ...], text: str) -> None:
    mine = ALL[:1] if text.startswith("mirrors") else ALL[1:]
    assert added(text, mine).status == ADDED
    assert weave(awk, "add", text, mine) == added(text, mine)


@pytest.mark.parametrize("mine", [YAML, TOML, YAML[:1]], ids=["yaml", "toml", "one"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_each_awk_adds_what_blocks_adds_and_refuses_what_it_refuses(
    awk: tuple[str, ...], text: str, mine: tuple[ManagedBlock, ...]
) -> None:
    expected = added(text, mine)
    assert told(weave(awk, "add", text, mine)) == expected
    if expected.status == ADDED:
        assert weave(awk, "add", expected.text, mine).status == AS_IT_WAS
        assert weave(awk, "remove", expected.text, mine) == removed(expected.text, mine)


def test_both_sides_refuse_and_add_something_of_the_corpus() -> None:
    ends = {added(text, mine).status for text in TEXTS.values() for mine in (YAML, TOML)}
    assert ends == {ADDED, REFUSED}


def test_what_was_added_is_taken_out_again_to_the_byte(awk: tuple[str, ...]) -> None:
    for text in TEXTS.values():
        for mine in (YAML, TOML):
            with_ours = weave(awk, "add", text, mine)
            if with_ours.status == ADDED:
                without = weave(awk, "remove", with_ours.text, mine).text
                assert without in (text, f"{text}\n"), text


def test_what_a_block_said_of_an_earlier_authority_is_replaced(awk: tuple[str, ...]) -> None:
    older, newer = (f"/etc/trusted-registry-{digit * 16}.crt" for digit in "a1")
    before = added(TEXTS["indented by four"], (mirror("10.0.0.1"), config("10.0.0.1", older))).text
    mine = (*YAML[:1], config("10.0.0.1", newer))
    found = weave(awk, "add", before, mine)
    assert found == added(before, mine)
    assert (older in found.text, newer in found.text) == (False, True)


@pytest.mark.parametrize("theirs", CHANGES.values(), ids=CHANGES)
def test_what_another_hand_changed_between_the_marks_is_refused(awk: tuple[str, ...], theirs: tuple[str, str]) -> None:
    mine = (mirror("10.0.0.1"), config("10.0.0.1", f"/etc/trusted-registry-{'ab' * 8}.crt"))
    text = added("# theirs\n", mine).text
    assert weave(awk, "add", text, mine).status == AS_IT_WAS
    text = text.replace(*theirs, 1)
    found = weave(awk, "add", text, mine)
    assert found.text.split("\t")[0] == "changed"
    assert told(found) == added(text, mine)
    assert next(filter(None, (editing.changed_lines(text, it) for it in mine))) == tuple(
        map(int, found.text.split("\t")[1:])
    )


def test_lines_that_were_changed_between_the_marks_stay(awk: tuple[str, ...]) -> None:
    text = added("", YAML).text.replace("ca_file", "key_file", 1)
    found = weave(awk, "remove", text, YAML)
    assert found == removed(text, YAML)
    assert "key_file" in found.text


def test_what_another_authority_s_kit_says_too_stays(awk: tuple[str, ...]) -> None:
    others = (mirror("10.0.0.1"), config("10.0.0.1", "/theirs.crt"))
    text = added("", (mirror("10.0.0.1"), config("10.0.0.1"))).text
    found = weave(awk, "remove", text, YAML[:2], others)
    assert found.text == added("", (mirror("10.0.0.1"),)).text


PARTS = (
    "mirrors:", "configs:", "mirrors: # trusted-registry", "  # trusted-registry: mirrors: 10.0.0.1", '  "10.0.0.1":',
    "    endpoint:", '      - "https://10.0.0.1"', "  # trusted-registry: end", "# trusted-registry: end", "", "   ",
    "\t", "# a comment", "    # another", "  other.example:", "    - x", "other: 1", "'configs' :", "---",
    "    deeper:", "# trusted-registry: 10.0.0.1", '[registry."10.0.0.1"]', '  ca = ["/ca.crt"]', "\r", "mirrors:\r",
    "    tls:", '      ca_file: "/etc/ca.crt"', "    auth: {}", "  http = true", "[registry]", "registry.x = 1",
    "    insecure_skip_verify: true", "    - https://10.0.0.1 # why", "    'tls' : # what", "  ca = [", '   "/ca.crt"]',
    "  10.0.0.1:", "  '10.0.0.1' :\t", "  10.0.0.1 :5000:", "[ registry.'10.0.0.1' . x ]", "[registry.'10.0.0.1.x']",
)  # fmt: skip


def test_random_texts_come_out_the_same(awk: tuple[str, ...]) -> None:
    chance = random.Random(20)  # noqa: S311 - the same texts each time
    ends = []
    for _ in range(RANDOM_TEXTS):
        lines = chance.choices(PARTS, k=chance.randrange(9))
        text = "\n".join(lines) + chance.choice(("", "\n"))
        mine = chance.choice((YAML, TOML, YAML[:1], YAML[1:2]))
        expected = added(text, mine)
        assert told(weave(awk, "add", text, mine)) == expected, text
        assert weave(awk, "remove", text, mine) == removed(text, mine), text
        ends.append(expected.status)
    assert {ADDED, REFUSED} <= set(ends)
