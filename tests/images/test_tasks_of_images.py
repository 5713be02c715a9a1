"""The tasks: what a person reads, what JSON has, how each ends, and what it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import loopback
from tests.docs.test_json import assert_is_as_the_page_says
from tests.fake_engine import NAME, container
from tests.images.storages import Served
from tests.recorder import Recorder
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.images import inventory, usage, words
from trusted_registry.images.listing import TRASH
from trusted_registry.images.volume import VolumeStorage
from trusted_registry.registry import users
from trusted_registry.registry.users import Login
from trusted_registry.run import Run
from trusted_registry.tasks import images, images_check, trust_serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeSettings
    from tests.fake_engine import FakeEngine
    from tests.images.storages import MadeStorage
    from trusted_registry.report import Report

pytestmark = pytest.mark.process

PULL = (
    'time="2026-11-27T03:01:00.1Z" level=info msg="response completed" http.request.method=GET '
    'http.request.remoteaddr="10.0.0.1:4" http.request.uri="/v2/app/manifests/1" http.request.useragent="docker/20" '
    "http.response.status=200 \n"
)


@pytest.fixture
def run(make_settings: MakeSettings, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose engine has the fake's registry, and that is this installation's."""
    monkeypatch.setattr("trusted_registry.engine.engine.connect", lambda _: engine)
    monkeypatch.setattr("trusted_registry.engine.engine.connect_if_available", lambda *_, **__: engine)
    monkeypatch.setattr("trusted_registry.instance.ownership.container", lambda _, engine: engine.find(NAME))
    return Run(make_settings(), Recorder())


def _all(made: MadeStorage, engine: FakeEngine) -> str:
    one = made.image(
        "app", "1", "a", config={"Entrypoint": ["/run"], "Cmd": ["-v"], "User": "me", "Labels": {"a": "b"}}
    )
    made.image("app", "2", "b", annotations={"org.example": "yes"})
    made.image("app", "", "c")
    made.index("multi", "1", {"amd64": made.image("multi", "", "d"), "arm64": made.image("multi", "", "e")})
    made.signature("app", one, tagged=False)
    (made.repository("bare") / "_layers").mkdir(parents=True)
    engine.containers[NAME].log = PULL
    return one


def _printed(report: Report) -> Any:  # noqa: ANN401 - JSON
    return json.loads(json.dumps(report.content))


def _rows(report: Report) -> list[list[str]]:
    return [list(row) for row in report.table.rows] if report.table else []


def test_the_list_has_everything_and_says_since_when_pulls_are_known(
    made: MadeStorage, engine: FakeEngine, run: Run
) -> None:
    one = _all(made, engine)
    report = images.list_images(run, match="")
    assert_is_as_the_page_says("images.list", _printed(report))
    rows = {row[0]: row for row in _rows(report)}
    assert rows["app:1"][1:3] == ["image", "linux/amd64"]
    assert rows["app:1"][5:7] == [words.minute("2026-11-27T03:01:00Z"), "1"]
    assert rows["app:2"][5:7] == ["", ""]
    assert rows["bare"][1] == "empty"
    assert [row[1] for name, row in rows.items() if "signature" in row[1]] == [f"signature of {one[:19]}"]
    assert report.lines[0].startswith("Pulls are known since 2026-11-27")
    assert [row[0] for row in _rows(images.list_images(run, match="multi:*"))] == ["multi:1"]


def test_behind_a_front_clients_are_not_counted(made: MadeStorage, engine: FakeEngine, run: Run) -> None:
    _all(made, engine)
    engine.container = container(port=None, volume=NAME)
    report = images.list_images(run, match="app:1")
    assert [it["clients"] for it in _printed(report)] == [None]
    assert "Behind a front" in report.lines[0]


@pytest.mark.parametrize(("reference", "parts"), [("app:1", 1), ("multi:1", 2), ("192.0.2.10/multi:1", 2)])
def test_one_image_is_shown_with_all_that_it_has(
    reference: str, parts: int, made: MadeStorage, engine: FakeEngine, run: Run
) -> None:
    one = _all(made, engine)
    reference = reference.replace("192.0.2.10", run.settings.registry_host)
    content = _printed(images.show(run, reference=reference))
    assert len(content["parts"]) == parts
    assert len(content["signatures"]) == (1 if reference == "app:1" else 0)
    if reference == "app:1":
        whole = {**content, "annotations": ["a=b"], "platforms": ["x"]}
        assert_is_as_the_page_says("images.show", whole)
        assert (content["parts"][0]["entrypoint"], content["parts"][0]["labels"]) == (["/run"], ["a=b"])
        assert _printed(images.show(run, reference=f"app@{one}"))["digest"] == one


@pytest.mark.parametrize("reference", ["app:none", f"app@sha256:{'1' * 64}", "nothing"])
def test_what_is_not_there_is_an_error_with_a_cure(
    reference: str, made: MadeStorage, engine: FakeEngine, run: Run
) -> None:
    _all(made, engine)
    with pytest.raises(RegistryError, match="There is no") as failure:
        images.show(run, reference=reference)
    assert failure.value.cure.startswith("./inv images --match ")


@pytest.mark.parametrize("reference", ["", "App:1", "other.host/app:1:2", "app@sha256:12", "a b", "app:\n1"])
def test_what_is_no_reference_is_refused_before_anything_is_asked(reference: str, run: Run) -> None:
    with pytest.raises(SettingError):
        images.show(run, reference=reference)


def test_usage_has_its_page_s_shape_and_one_line_for_each_rest(made: MadeStorage, engine: FakeEngine, run: Run) -> None:
    _all(made, engine)
    made.upload("app", "11111111", b"x" * 10_000)
    made.blob(b"needed by nobody")
    kept = made.image(f"{TRASH}/1", "", "removed")
    report = images.show_usage(run, match="")
    assert_is_as_the_page_says("images.usage", _printed(report))
    assert [line.partition(":")[0] for line in report.lines] == ["total", "untagged", "unneeded", "undo", "uploads"]
    undo = usage.measure(inventory.find(VolumeStorage(NAME, engine))).undo
    content = json.loads(made.path(kept).read_bytes())
    parts = [kept, content["config"]["digest"], *(it["digest"] for it in content["layers"])]
    assert undo == sum(made.path(it).stat().st_blocks * 512 + 4096 for it in parts)
    assert "multi:1" not in [row[0] for row in _rows(report)]
    assert [row[0] for row in _rows(images.show_usage(run, match="multi"))] == ["multi", "multi:1"]


@pytest.fixture
def filled(made: MadeStorage) -> MadeStorage:
    """A storage with two images."""
    made.image("app", "1", "a")
    made.image("app", "2", "b")
    return made


@pytest.fixture
def answering(filled: MadeStorage, engine: FakeEngine) -> Iterator[Served]:
    """A registry without TLS on loopback that gives the tags of the storage."""
    port = loopback.free_port()
    engine.container = container(role="plain", port=port)
    served = Served(filled)
    with loopback.registry(None, port=port, held=served):
        yield served


@pytest.mark.usefixtures("answering")
def test_nothing_is_broken_only_once_the_registry_gave_every_tag(run: Run) -> None:
    report = images_check.check(run, fix=False)
    assert (report.content, report.failure) == ([], None)
    assert "nothing is broken" in report.lines[-1]


@pytest.mark.parametrize("hidden", ["manifest", "layer"])
def test_a_tag_that_the_registry_does_not_give_is_told_though_its_files_are_well(
    hidden: str, filled: MadeStorage, run: Run, answering: Served
) -> None:
    digest = filled.image("app", "3", "c")
    paths = {"manifest": "/v2/app/manifests/3", "layer": f"/v2/app/blobs/{filled.layer_of(digest)}"}
    answering.hidden.add(paths[hidden])
    report = images_check.check(run, fix=False)
    assert [(it["kind"], it["subject"]) for it in _printed(report)] == [("refused", "app:3")]
    assert report.failure
    assert "nothing is broken" not in "".join(report.lines)


@pytest.mark.usefixtures("answering")
def test_what_is_mended_is_said_after_another_look(filled: MadeStorage, run: Run) -> None:
    filled.tag_link("app", "1").write_text("")
    broken = images_check.check(run, fix=False)
    assert broken.failure
    assert broken.failure.cure == "./inv images.check --fix"
    assert filled.tag_link("app", "1").read_text() == ""
    report = images_check.check(run, fix=True)
    assert [(it["kind"], it["mended"]) for it in _printed(report)] == [("tag", True)]
    assert report.failure is None
    assert "mended: 1 place" in report.lines
    assert filled.tag_link("app", "1").read_text().startswith("sha256:")


@pytest.mark.usefixtures("answering")
def test_what_must_be_pushed_is_named_and_ends_with_1(filled: MadeStorage, run: Run) -> None:
    digest = filled.tag_link("app", "1").read_text()
    filled.path(filled.layer_of(digest)).write_bytes(b"")
    report = images_check.check(run, fix=True)
    content = [it for it in _printed(report) if it["push"]]
    assert_is_as_the_page_says("images.check", content)
    assert content[0]["push"] == ["app:1"]
    assert report.failure
    assert "app:1" in report.failure.message


@pytest.mark.usefixtures("answering")
def test_nobody_s_storage_is_mended_against_their_will(filled: MadeStorage, run: Run) -> None:
    filled.tag_link("app", "1").write_text("")
    asked = Recorder(answer=False)
    with pytest.raises(RegistryError, match="Nothing was mended"):
        images_check.check(Run(run.settings, asked), fix=True)
    assert filled.tag_link("app", "1").read_text() == ""


@pytest.mark.parametrize("state", ["exited", "absent"])
def test_a_registry_that_does_not_run_is_an_error_with_a_cure(state: str, engine: FakeEngine, run: Run) -> None:
    engine.container = container(state=state) if state != "absent" else None
    for task in (images.list_images, images.show_usage):
        with pytest.raises(RegistryError) as failure:
            task(run, match="")
        assert failure.value.cure == "./inv up starts it."


def test_another_machine_s_images_are_not_looked_for_here(run: Run) -> None:
    run.settings.folder.mkdir()
    (run.settings.folder / "ca.crt").write_text("another machine's")
    with pytest.raises(RegistryError, match="is on another machine") as failure:
        images.list_images(run, match="")
    assert failure.value.cure == "Run this task in the checkout on that machine."


def test_a_registry_that_does_not_answer_is_one_error_and_not_one_for_each_tag(
    filled: MadeStorage, engine: FakeEngine, run: Run
) -> None:
    engine.container = container(role="plain", port=loopback.free_port())
    assert filled.root.exists()
    filled.path(filled.layer_of(filled.tag_link("app", "1").read_text())).write_bytes(b"")
    report = images_check.check(run, fix=True)
    assert report.failure
    assert "does not answer at localhost" in report.failure.message
    assert "push again, since a part is lost: app:1" in report.lines, "what was found is told all the same"


@pytest.mark.usefixtures("answering")
def test_one_fix_mends_what_a_lost_link_hid(filled: MadeStorage, run: Run) -> None:
    digest = filled.tag_link("app", "1").read_text()
    filled.revision_link("app", digest).unlink()
    filled.layer_link("app", filled.layer_of(digest)).unlink()
    report = images_check.check(run, fix=True)
    assert (report.failure, [it["mended"] for it in _printed(report)]) == (None, [True, True])


def test_the_page_lists_images_where_there_is_no_login(made: MadeStorage, engine: FakeEngine, run: Run) -> None:
    _all(made, engine)
    assert [name for name, _ in trust_serve._images(run)] == ["app:1", "app:2", "multi:1"]
    users.save(run.settings.folder, Login("ada", "enough for me"))
    assert trust_serve._images(run) == []
