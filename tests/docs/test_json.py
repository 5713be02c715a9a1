"""docs/json.md: the shape of each task's JSON as it comes, key by key, and the words that a key may have."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

import tasks
from tests.docs.pages import ROOT, TEXTS
from trusted_registry.client_messages import catalogue
from trusted_registry.client_messages.message import REGISTRY, THIS_MACHINE, Kind
from trusted_registry.declarations import flag
from trusted_registry.doctor import checks_clients
from trusted_registry.images import damage, manifest
from trusted_registry.instance.model import Role
from trusted_registry.mirror.holdings import CacheUse, Holdings
from trusted_registry.mirror.reach import Reach
from trusted_registry.mirror.reach import State as State_
from trusted_registry.mirror.status import MirrorStatus
from trusted_registry.mirror.upstream import Upstream
from trusted_registry.status import CertificateStatus, RegistryStatus, Status, report
from trusted_registry.tasks import mirror_holdings, trust_check
from trusted_registry.trust.local.check import PullResult
from trusted_registry.trust.local.state import State
from trusted_registry.trust.specifics.pulls import Verdict

if TYPE_CHECKING:
    from tests.conftest import Invoke, MakeSettings

PAGE = TEXTS[ROOT / "docs/json.md"]
TYPES: Mapping[str, type | tuple[type, ...]] = {
    "text": str,
    "text or null": (str, type(None)),
    "number": int,
    "number or null": (int, type(None)),
    "true or false": bool,
}
NOBODY_S = {"INVOKE_REGISTRY_ADDRESS": "192.0.2.77"}
UNKNOWN = "x509: certificate signed by unknown authority"


def _rows(task: str) -> dict[str, tuple[str, str]]:
    """Return type and meaning of each key in the table of a task."""
    section = PAGE.partition(f"\n## {task}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| (.+) \|$", section, re.MULTILINE)
    return {key: (kind, meaning) for key, kind, meaning in found}


def _words(task: str, key: str) -> list[str]:
    return re.findall(r"`([^`]+)`", _rows(task)[key][1])


def _leaves(value: object, at: str = "") -> Iterator[tuple[str, object]]:
    """Yield what is neither an object nor a list, with its key as the page writes it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            name = "*" if at == "trust" else key
            yield from _leaves(inner, f"{at}.{name}" if at else name)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner, f"{at}[]")
    else:
        yield at, value


def assert_is_as_the_page_says(task: str, content: object) -> None:
    """Insist on the page's keys, all of them and no others, and on their types."""
    rows = _rows(task)
    found = list(_leaves(content))
    assert {key for key, _ in found} == set(rows)
    wrong = [(key, value) for key, value in found if not _is(value, rows[key][0])]
    assert wrong == []


def _is(value: object, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and (kind == "true or false" or not isinstance(value, bool))


def test_each_task_that_has_the_flag_has_its_table_and_no_other() -> None:
    declared = [task.name for task in tasks.CONTENTS if flag.JSON in task.flags]
    assert sorted(declared) == sorted(re.findall(r"^## (\S+)$", PAGE, re.MULTILINE))


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["status"], 1),  # there is no registry
        (["doctor"], 1),
        (["explain", UNKNOWN], 0),
        (["trust.list", "--only", "docker,podman"], 0),
    ],
    ids=lambda it: it[0] if isinstance(it, list) else "",
)
def test_what_a_task_prints_is_json_of_the_page_s_shape(words: list[str], code: int, invoke: Invoke) -> None:
    invoke("cert", **NOBODY_S)
    done = invoke(words[0], "--json", *words[1:], **NOBODY_S)
    assert done.returncode == code, done.stderr
    content = json.loads(done.stdout)
    if words[0] == "doctor":  # which fault has another cure than the first depends on the machine
        content.append(content[0] | {"instead": ["./inv up"]})
    if words[0] == "status":  # so does which clients there are
        content["trust"].setdefault("docker: 192.0.2.77", "absent")
        content["mirrors"] = [asdict(MirrorStatus("ghcr.io", "192.0.2.77:5500", "stopped", used=False))]
    assert_is_as_the_page_says(words[0], content)


@pytest.mark.process
@pytest.mark.parametrize(
    ("words", "code", "printed"),
    [
        (["explain", "--json", "no such message"], 1, []),
        (["--dry", "doctor", "--json"], 0, []),
        (["--dry", "trust.check", "--json"], 0, []),
        (["--dry", "images.list", "--json"], 0, []),
        (["--dry", "images.show", "app:1", "--json"], 0, {}),
        (["--dry", "images.usage", "--json"], 0, {}),
        (["--dry", "images.check", "--json"], 0, []),
        (["--dry", "mirror.list", "--json"], 0, []),
        (["mirror.list", "--json"], 0, []),
        (["status", "--json"], 2, None),
        (["trust.check", "--json"], 1, None),
    ],
)
def test_without_an_answer_the_output_is_an_empty_list_or_object_or_nothing_at_all(
    words: list[str], code: int, printed: object, invoke: Invoke
) -> None:
    address = {"INVOKE_REGISTRY_ADDRESS": "no address"} if code == 2 else NOBODY_S
    done = invoke(*words, **address)
    assert (done.returncode, json.loads(done.stdout or "null")) == (code, printed), done.stderr
    assert done.stderr or not code


def test_a_status_with_everything_in_it_has_the_page_s_shape() -> None:
    certificate = CertificateStatus(("192.168.0.12",), 364, "ab" * 32, "cd" * 32, "a misfit", "half way")
    told = ("running", Role.TLS.value, "registry:3", "3.0.0", "pulled", 443, "answers", "haproxy:lts", "stopped")
    registry = RegistryStatus(*told, "s3://images/lan", 1, 2, 3)
    mirrors = (MirrorStatus("ghcr.io", "192.168.0.12:5500", "running", used=True),)
    status = Status("192.168.0.12", certificate, registry, {"docker: 192.168.0.12": "trusted"}, mirrors)
    assert_is_as_the_page_says("status", json.loads(json.dumps(report(status).content)))


PULLS = [
    PullResult("docker", "28.5", "192.168.0.12", Verdict.ACCEPTED, counts=True),
    PullResult("podman", "", "", Verdict.ABSENT, counts=False, reason="no engine answers"),
]


def test_pulls_have_the_page_s_shape(make_settings: MakeSettings) -> None:
    content = trust_check.report(PULLS, make_settings()).content
    assert_is_as_the_page_says("trust.check", json.loads(json.dumps(content)))


@pytest.mark.parametrize(("key", "value"), [("client", 1), ("counts", 1), ("counts", "yes"), ("more", "than listed")])
def test_another_type_or_a_further_key_is_told_from_the_page_s(key: str, value: object) -> None:
    with pytest.raises(AssertionError):
        assert_is_as_the_page_says("trust.check", [trust_check._as_dict(PULLS[0]) | {key: value}])


def test_a_missing_key_is_told_from_the_page_s() -> None:
    content = trust_check._as_dict(PULLS[0])
    del content["reason"]
    with pytest.raises(AssertionError):
        assert_is_as_the_page_says("trust.check", [content])


@pytest.mark.parametrize("held", [Holdings(1, 2, 3, CacheUse(4, 5, 1e9), 1e9, 1e9), None])
def test_mirrors_have_the_page_s_shape(held: Holdings | None) -> None:
    met = Reach(Upstream("ghcr.io"), State_.AWAY, "no route to host") if held else None
    named = {"upstream": "ghcr.io", "mirror": "192.168.0.12:5500", "state": "running"}
    content = [{**named, **mirror_holdings.as_dict(held, met, "it does not answer")}]
    assert_is_as_the_page_says("mirror.list", json.loads(json.dumps(content)))
    assert [it.value for it in State_] == _words("mirror.list", "[].reach")


def _checks() -> set[str]:
    """Return the keys that the checks give to their findings, as their modules write them."""
    found = {checks_clients.KEY}
    for path in (ROOT / "trusted_registry/doctor").glob("checks*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            place = {"Finding": 0, "_untold": 2}.get(ast.unparse(call.func))
            if place is not None and isinstance(call.args[place], ast.Constant):
                found.add(str(ast.literal_eval(call.args[place])))
    return found


def test_the_words_of_a_key_are_those_that_the_page_lists() -> None:
    assert set(_words("doctor", "[].check")) == _checks()
    assert _words("explain", "[].kind") == [kind.value for kind in Kind]
    assert set(_words("explain", "[].cure[].at")) == {THIS_MACHINE, REGISTRY}
    assert set(_words("trust.check", "[].result")) == {verdict.value for verdict in Verdict}
    assert _words("images.list", "[].kind") == [kind.value for kind in manifest.Kind]
    assert _words("images.check", "[].kind") == [kind.value for kind in damage.Kind]
    assert {state.value for state in State} <= set(_words("trust.list", "[].state"))
    assert {role.value for role in Role} - {
        it.value for it in (Role.FRONT, Role.SPLITTER, Role.MIRROR, Role.MOVER)
    } <= set(_words("status", "registry.role"))


def test_the_checks_that_a_message_names_are_doctor_s() -> None:
    (match,) = catalogue.find(UNKNOWN)
    assert set(asdict(match)["look"]) <= set(_words("doctor", "[].check"))


def test_each_state_has_its_meaning_on_the_page_about_clients() -> None:
    text = TEXTS[ROOT / "docs/clients.md"].partition("## What trust.list shows")[2]
    assert {state.value for state in State} <= set(re.findall(r"^\| ([a-z ]+) \|", text, re.MULTILINE))
