"""Pulls are remembered past the container's log, and nothing that only looks like one counts."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests.fake_engine import NAME, container
from tests.recorder import Recorder
from trusted_registry.errors import RegistryError
from trusted_registry.images import history
from trusted_registry.images.history import History, Pulls
from trusted_registry.images.volume import VolumeStorage
from trusted_registry.instance import pulls
from trusted_registry.registry.prove import REPOSITORY as PROOF
from trusted_registry.run import Run

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from tests.fake_engine import FakeEngine
    from tests.images.storages import MadeStorage

pytestmark = pytest.mark.process

LINE = (
    'time="2026-11-27T03:0{minute}:00.123456789Z" level=info msg="response completed" go.version=go1.19.8 '
    "http.request.host=192.168.0.12 http.request.id=0ca5 http.request.method={method} "
    'http.request.remoteaddr="{client}:40000" http.request.uri="/v2/{path}" '
    'http.request.useragent="{agent}" http.response.contenttype=x http.response.duration=1ms '
    "http.response.status={status} http.response.written=9 service=registry version=2.8.2\n"
)
BEGUN = 'time="2026-11-27T03:00:00.5Z" level=info msg="listening on [::]:5000, tls"\n'
DIGEST = f"sha256:{'1' * 64}"


def _line(minute: int = 1, **changes: object) -> str:
    usual = {"method": "GET", "client": "10.0.0.1", "path": "app/manifests/1", "agent": "docker/20.10", "status": 200}
    return LINE.format(minute=minute, **{**usual, **changes})


@pytest.fixture
def run(make_settings: MakeSettings) -> Run:
    """A run of the settings that name the fake's registry."""
    return Run(make_settings(), Recorder())


def _look(log: str, run: Run, engine: FakeEngine, *, id_: str = "1", ends: bool = False) -> History:
    engine.container = container(id=id_)
    engine.containers[NAME].log = log
    assert engine.container
    return history.updated(engine.container, run, engine, ends=ends)


def test_pulls_outlive_the_log_and_the_container(run: Run, engine: FakeEngine) -> None:
    first = _look(BEGUN + _line(1) + _line(2, client="10.0.0.2"), run, engine)
    pulls = first.pulls_of("app", "1")
    assert pulls
    assert (pulls.count, pulls.clients) == (2, ("10.0.0.1", "10.0.0.2"))
    again = _look(BEGUN + _line(1) + _line(2, client="10.0.0.2") + _line(3), run, engine, ends=True)
    last = _look(_line(5), run, engine, id_="2")
    counted = [it.pulls_of("app", "1") for it in (again, last)]
    assert [it.count for it in counted if it] == [3, 4]
    assert first.since == again.since == last.since > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"status": 404},
        {"method": "PUT"},
        {"path": "app/blobs/sha256:11"},
        {"path": f"{PROOF}/manifests/1"},
        {"agent": ""},
        {"path": "app/tags/list"},
    ],
)
def test_what_is_no_pull_does_not_count(changes: dict[str, object], run: Run, engine: FakeEngine) -> None:
    assert _look(BEGUN + _line(1, **changes), run, engine).pulls == {}


def test_a_question_is_a_last_use_and_no_pull(run: Run, engine: FakeEngine) -> None:
    found = _look(BEGUN + _line(1) + _line(2, method="HEAD"), run, engine).pulls_of("app", "1")
    assert found
    assert (found.count, found.last) == (1, history.time_of(_line(2)))


def test_nobody_forges_another_s_pull_or_has_a_line_take_long(run: Run, engine: FakeEngine) -> None:
    inside = 'x http.request.uri=\\"/v2/other/manifests/1\\" http.response.status=200 http.request.method=GET '
    forged = _line(1, path="", status=404, agent=inside * 20)
    long = _line(2, agent="http.request.method=GET " * 40_000)
    begun = time.process_time()
    assert _look(BEGUN + forged + long, run, engine).pulls == {}
    assert time.process_time() - begun < 1


def test_pulls_of_what_is_gone_are_forgotten(run: Run, engine: FakeEngine, made: MadeStorage) -> None:
    made.image("app", "1")
    log = BEGUN + _line(1) + _line(2, path="app/manifests/2") + _line(3, path="gone/manifests/1")
    engine.container = container()
    engine.containers[NAME].log = log
    found = history.updated(container(), run, engine, VolumeStorage(NAME, engine).files())
    assert {name: list(named) for name, named in found.pulls.items()} == {"app": ["1"]}
    assert len(found.sizes) == 1


def test_a_file_that_is_no_history_is_kept_beside(run: Run, engine: FakeEngine, made: MadeStorage) -> None:
    (made.folder / history.FILE).write_bytes(b'{"pulls": {"app"')
    found = _look(BEGUN + _line(1), run, engine)
    assert found.pulls
    assert (made.folder / f"{history.FILE}.old").read_bytes() == b'{"pulls": {"app"'
    assert history.parse((made.folder / history.FILE).read_bytes()) == found


def test_where_it_cannot_be_kept_it_is_shown_all_the_same(
    run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise RegistryError("no space left on device", cure="")

    monkeypatch.setattr(engine, "put_files", refuse)
    assert _look(BEGUN + _line(1), run, engine).pulls
    assert isinstance(run.console, Recorder)
    assert ["no space left" in it for it in run.console.warned] == [True]


def test_a_user_is_one_client_wherever_they_are(run: Run, engine: FakeEngine) -> None:
    lines = [_line(it, client=f"10.0.0.{it}").replace(" go.version", " auth.user.name=ada go.version") for it in (1, 2)]
    found = _look(BEGUN + "".join(lines), run, engine).pulls_of("app", "1")
    assert found
    assert found.clients == ("ada",)


@pytest.mark.parametrize("ended", [True, False])
def test_a_gap_in_what_is_known_is_a_gap(ended: bool, run: Run, engine: FakeEngine) -> None:  # noqa: FBT001 - pytest's
    before = _look(BEGUN + _line(1), run, engine, ends=ended)
    after = _look(_line(5), run, engine, id_="2")
    assert (after.since == before.since) is ended
    cut = _look(_line(7), run, engine, id_="2")
    assert cut.since > after.since, "the log's begin is gone"
    assert cut.pulls_of("app", "1"), "what was known stays known"


def test_a_tag_s_pulls_are_those_of_its_digest_too() -> None:
    known = History(pulls={"app": {"1": Pulls(5.0, 1, ("a",)), DIGEST: Pulls(7.0, 2, ("a", "b"))}})
    assert known.pulls_of("app", "1", DIGEST) == Pulls(7.0, 3, ("a", "b"))
    assert known.pulls_of("app", "2") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"pulls": 7, "sizes": {"a": 1}, "since": "x"}',
        b'{"pulls": {"app": {"1": {"last": -1, "count": "x", "clients": [1]}}}, "sizes": [[1], [1, 2, 3], ["a", 1]]}',
        b'{"since": 1e400, "until": true}',
    ],
)
def test_a_file_that_anybody_wrote_is_read_as_far_as_it_can_be_one(content: bytes) -> None:
    found = history.parse(content)
    assert (found.since, found.until, found.sizes) == (0.0, 0.0, ())


def test_what_is_written_is_read_again(run: Run, engine: FakeEngine, made: MadeStorage) -> None:
    found = _look(BEGUN + _line(1), run, engine)
    path = made.folder / history.FILE
    assert history.parse(path.read_bytes()) == found
    before = path.stat().st_mtime_ns
    _look(BEGUN + _line(1), run, engine)
    assert path.stat().st_mtime_ns == before, "nothing was new"
    assert json.loads(path.read_bytes())["pulls"]["app"]["1"]["count"] == 1


def test_growth_is_known_after_a_day() -> None:
    day, now = 24 * 3600, time.time()
    assert History(sizes=((now - day + 1, 100), (now, 900))).growth == 0
    assert History(sizes=((now - 2 * day, 100), (now - day, 300), (now, 900))).growth == pytest.approx(400)
    assert History(sizes=((now - 9 * day, 100), (now - 4 * day, 900))).growth == 0, "that is long ago"


def test_sizes_of_two_weeks_are_kept_an_hour_apart(run: Run, engine: FakeEngine, made: MadeStorage) -> None:
    day, now = 24 * 3600, time.time()
    made.image("app", "1")
    sizes = [[now - 20 * day, 1], [now - 3 * day, 2], [now + day, 3]]
    (made.folder / history.FILE).write_text(json.dumps({"sizes": sizes}))
    engine.containers[NAME].log = ""
    found = history.updated(container(), run, engine, VolumeStorage(NAME, engine).files())
    assert [it[1] for it in found.sizes][:1] == [2]
    assert len(found.sizes) == 2
    again = history.updated(container(), run, engine, VolumeStorage(NAME, engine).files())
    assert again.sizes == found.sizes


def test_what_the_engine_says_is_not_taken_for_the_file(
    run: Run, engine: FakeEngine, made: MadeStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    _look(BEGUN + _line(1), run, engine)
    kept = (made.folder / history.FILE).read_bytes()
    monkeypatch.setattr(engine, "stream", lambda *_: iter([b"OCI runtime exec failed"]))
    with pytest.raises(RegistryError, match="OCI runtime exec failed"):
        _look(BEGUN + _line(2), run, engine)
    pulls.keep(container(), run, engine)
    assert isinstance(run.console, Recorder)
    assert len(run.console.warned) == 1
    assert (made.folder / history.FILE).read_bytes() == kept


def test_what_cannot_be_noted_stops_nothing(run: Run, engine: FakeEngine) -> None:
    engine.container = container()
    engine.retire(NAME)
    pulls.keep(container(), run, engine)
    assert isinstance(run.console, Recorder)
    assert ["were not noted" in it for it in run.console.warned] == [True]
