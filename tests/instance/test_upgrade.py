"""Another image takes the place only if it shows every image as the one before does; and the way back is the same."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from tests import loopback
from tests.fake_engine import FakeEngine
from tests.fake_images import IMAGE, sha256
from tests.recorder import Recorder
from trusted_registry import saved_flags, status
from trusted_registry.engine import engine as engines
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.instance import running
from trusted_registry.registry import faults, holdings, users
from trusted_registry.registry.api import RegistryClient, digest
from trusted_registry.registry.probe import Endpoint
from trusted_registry.run import Run
from trusted_registry.settings import saved
from trusted_registry.tasks import registry_upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trusted_registry.settings import Settings

HAPROXY, OTHER = "haproxy:lts", "registry:3.1.1"
ONE, TWO = "/v2/app/manifests/1", "/v2/team/app/manifests/2"


@pytest.fixture(params=[False, True], ids=["alone", "behind a front"])
def settings(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """The settings of a registry on loopback, with a front and without."""
    return dataclasses.replace(settings, front=request.param)


@pytest.fixture
def engine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    """An engine whose registry has two images, and which has another image of the registry too."""
    made = FakeEngine(settings.folder / "domain.crt", users=settings.folder, images=(IMAGE, HAPROXY, OTHER))
    made.stored[settings.volume] = {ONE: b"one", TWO: b"two"}
    monkeypatch.setattr(engines, "connect", lambda *_: made)
    running.run_tls(Run(settings, Recorder()), made)
    made.done.clear()
    yield made
    made.end()


@pytest.fixture
def run(settings: Settings, console: Recorder) -> Run:
    """A run with the other image."""
    return Run(settings, console).with_settings(image=OTHER, saved_flags={"image": OTHER})


def _image(engine: FakeEngine) -> str:
    return engine.container.image if engine.container else ""


SAME = "image: all 2 manifests in 2 repositories are the same with both"


def test_an_image_that_shows_the_same_takes_the_place_and_stays_chosen(
    engine: FakeEngine, run: Run, console: Recorder
) -> None:
    registry_upgrade.upgrade(run, check=False)
    assert (_image(engine), SAME in console.said) == (OTHER, True)
    assert console.said[-1] == f"registry: runs {OTHER} now; to go back: ./inv registry.upgrade --image {IMAGE}"
    assert saved_flags.read(run.settings.folder) == {"image": OTHER}
    registry_upgrade.upgrade(
        run.with_settings(image=IMAGE, saved_flags={}, saved_flags_before={"image": OTHER}), check=False
    )
    assert (_image(engine), saved_flags.read(run.settings.folder)) == (IMAGE, {})


def test_to_check_compares_and_changes_nothing(engine: FakeEngine, run: Run, console: Recorder) -> None:
    before, files = engine.container, [*engine.files]
    registry_upgrade.upgrade(run, check=True)
    assert (engine.container, [*engine.files], SAME in console.said) == (before, files, True)
    assert (engine.done, saved_flags.read(run.settings.folder)) == (["start rehearsal", "kill rehearsal"], {})


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(("lost", "named"), [(ONE, "app:1"), (TWO, "team/app:2")])
def test_one_that_lacks_a_manifest_is_refused_and_the_one_before_goes_on(
    lost: str, named: str, engine: FakeEngine, run: Run, *, check: bool
) -> None:
    before = engine.container
    engine.loses[sha256(OTHER)] = lost
    with pytest.raises(RegistryError, match=f"1 of 2 manifests differ: {named}.*goes on"):
        registry_upgrade.upgrade(run, check=check)
    assert (engine.container, saved_flags.read(run.settings.folder)) == (before, {})


def test_up_with_another_image_is_compared_too(engine: FakeEngine, run: Run) -> None:
    engine.loses[sha256(OTHER)] = ONE
    with pytest.raises(RegistryError, match="1 of 2 manifests differ"):
        running.run_tls(run, engine)
    engine.loses.clear()
    assert running.run_tls(run, engine)
    assert _image(engine) == OTHER


def test_another_storage_is_compared_too(engine: FakeEngine, run: Run, console: Recorder) -> None:
    run = run.with_settings(image=IMAGE)
    assert engine.container
    engine.container = dataclasses.replace(engine.container, volume="", bucket="s3://images/lan", digest="0")
    both, engine.stored[run.settings.volume] = engine.stored[run.settings.volume], {ONE: b"one"}
    wrong = r"With the other storage, 1 of 2 manifests differ: team/app:2\..*goes on"
    with pytest.raises(RegistryError, match=wrong) as caught:
        running.run_tls(run, engine)
    assert "registry.move" in caught.value.cure
    engine.stored[run.settings.volume] = dict(both)
    assert running.run_tls(run, engine)
    assert "storage: all 2 manifests in 2 repositories are the same with both" in console.said


def test_with_users_both_are_asked_by_a_login_that_is_gone_afterwards(
    engine: FakeEngine, run: Run, console: Recorder
) -> None:
    users.save(run.settings.folder, users.Login("ada", "enough for me"))
    running.run_tls(run.with_settings(image=IMAGE), engine)
    registry_upgrade.upgrade(run, check=False)
    assert (SAME in console.said, [*users.read(run.settings.folder)]) == (True, ["ada"])
    held = engine.read_files("registry", "/config")["htpasswd"].decode()
    assert (held.count("\n"), held.startswith("ada:")) == (1, True)


def test_an_image_that_is_no_registry_is_refused(engine: FakeEngine, run: Run) -> None:
    before, engine.dies = engine.container, True
    with pytest.raises(RegistryError, match="goes on"):
        registry_upgrade.upgrade(run, check=False)
    assert engine.container == before


def test_an_image_that_cannot_be_had_is_told_and_nothing_stands_in_for_it(engine: FakeEngine, run: Run) -> None:
    with pytest.raises(RegistryError, match="Pulling registry:9 failed"):
        registry_upgrade.upgrade(run.with_settings(image="registry:9"), check=False)
    assert engine.done == ["pull registry:9"]


def test_the_one_that_runs_is_no_upgrade(engine: FakeEngine, run: Run, console: Recorder) -> None:
    registry_upgrade.upgrade(run.with_settings(image=IMAGE), check=False)
    assert (engine.done, console.said[-1]) == ([], f"image: {IMAGE} runs already")


def test_without_a_registry_there_is_nothing_to_upgrade(engine: FakeEngine, run: Run) -> None:
    running.stop(run, engine, purge=False)
    with pytest.raises(RegistryError, match="No TLS registry runs here"):
        registry_upgrade.upgrade(run, check=True)


def test_the_faults_of_the_version_that_runs_are_told(
    engine: FakeEngine, run: Run, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine.container
    monkeypatch.setattr(status, "version", lambda *_: "2.8.2+ds1")
    registry_upgrade.upgrade(run, check=True)
    told = [it for it in console.said if it.startswith("version 2.8.2+ds1")]
    assert [it.rpartition("; ")[2] for it in told] == [it.link for it in faults.find("2.8.2+ds1")]


# What is compared


def test_an_index_leads_to_its_images_and_a_manifest_that_is_lost_has_no_digest() -> None:
    image = b'{"schemaVersion": 2}'
    index = json.dumps({"manifests": [{"digest": digest(image)}, {"digest": digest(b"lost")}]}).encode()
    held = {"/v2/app/manifests/1": index, f"/v2/app/manifests/{digest(image)}": image}
    with loopback.registry(None, held=held) as port:
        found = holdings.find(RegistryClient(Endpoint(loopback.HOST, port), None))
    wanted = {"1": digest(index), digest(image): digest(image), digest(b"lost"): holdings.UNREADABLE}
    assert found == {("app", name): known for name, known in wanted.items()}


@pytest.mark.parametrize(
    ("version", "count"),
    [("2.8.2+ds1", 2), ("2.8.3", 2), ("3.0.0", 3), ("3.0.0~rc1", 3), ("3.1.0", 1), ("3.1.1", 1), ("", 0), ("dev", 0)],
)
def test_the_faults_of_a_version_are_those_from_one_up_to_the_first_without(version: str, count: int) -> None:
    assert len(faults.find(version)) == count


@pytest.mark.parametrize(("key", "text"), [("image", "a b"), ("image", ""), ("front", "maybe"), ("front", "")])
def test_a_saved_flag_is_checked_as_a_typed_one(key: str, text: str) -> None:
    with pytest.raises(SettingError):
        saved(key, text)
    assert (saved("image", OTHER), saved("front", "off")) == (OTHER, "off")


def test_what_was_chosen_is_told_with_what_takes_it_back(engine: FakeEngine, run: Run, console: Recorder) -> None:
    assert engine
    kept = {"image": OTHER, "front": "on"}
    saved_flags.announce(run.with_settings(front=True, saved_flags=kept, saved_flags_before=kept))
    assert console.said == [
        f'settings: --image {OTHER}, remembered; to forget it: ./inv registry.upgrade --image ""',
        'settings: --front on, remembered; to forget them: ./inv up --front ""',
    ]
