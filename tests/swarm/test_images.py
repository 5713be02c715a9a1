"""Images of a registry on a swarm: seen in the bucket, removed, brought back, and freed while no host takes a push."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.images.memory_bucket import KilledError, Memory
from tests.images.storages import CONFIGS, MANIFEST, OCI
from tests.recorder import Recorder
from tests.swarm.conftest import BUCKET, HOSTS
from trusted_registry import saved_flags
from trusted_registry.bucket import opening
from trusted_registry.errors import RegistryError
from trusted_registry.images import disposal, history, listing, pulling
from trusted_registry.images.objects import FOLDER
from trusted_registry.instance import collection
from trusted_registry.instance.model import FILES_FOLDER, mover_name
from trusted_registry.instance.roles import CONFIG
from trusted_registry.swarm import rollout
from trusted_registry.swarm.stack import FRONT, REGISTRY
from trusted_registry.tasks import images, images_apply, images_change, images_check, swarm, swarm_images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tests.swarm.conftest import Place
    from trusted_registry.engine.protocol import Engine
    from trusted_registry.engine.types import Container
    from trusted_registry.run import Run

CLEAN: dict[str, Any] = {"keep": "", "older": "", "untagged": False, "match": "", "now": True, "count": ""}
READ_ONLY = b"readonly"


@dataclass
class Registry:
    """Registry of a host, as a client meets one: refuses pushes if the swarm has that run such a configuration."""

    host: str
    site: Site

    @property
    def at(self) -> str:
        """Its place, in messages."""
        return f"{self.host}:5443"

    def _answers(self) -> None:
        if self.host in self.site.silent:
            raise ConnectionRefusedError

    def ping(self) -> int:
        """Answer."""
        self._answers()
        return 200

    def is_read_only(self, _repository: str) -> bool:
        """Whether the configuration that the service reads forbids changes."""
        self._answers()
        return self.host not in self.site.stubborn and READ_ONLY in self.site.config()


@dataclass
class Site:
    """Registry on a swarm, whose bucket has two images.

    Args:
        place: The swarm, and the checkout.
        bucket: The bucket, in memory.
        silent: Hosts whose registry does not answer.
        stubborn: Hosts whose registry takes pushes, whatever its configuration.
        collections: What each collection found: whether each host refused pushes, and what the collector read.
        fails: Reason for which the collector fails.
    """

    place: Place
    bucket: Memory
    silent: set[str] = field(default_factory=set)
    stubborn: set[str] = field(default_factory=set)
    collections: list[tuple[list[bool], bool]] = field(default_factory=list)
    fails: BaseException | None = None

    @property
    def mover(self) -> str:
        """Name of the collector's container."""
        return mover_name(self.place.settings.container)

    def config(self) -> bytes:
        """Return the configuration that the registries read."""
        reads = self.place.swarm.running[REGISTRY][1]["reads"]
        (name,) = [it for it in reads if f"-{CONFIG}-" in it]
        return self.place.swarm.files[name][1]

    def collect(self, _container: Container, run: Run, engine: Engine, name: str, _program: tuple[str, ...]) -> None:
        """Collect as a registry's collector does: what no manifest with a link needs, goes."""
        refuses = [it.is_read_only("") for it in (Registry(host, self) for host in HOSTS)]
        reads = engine.read_files(name, FILES_FOLDER)
        self.collections.append((refuses, READ_ONLY in reads[CONFIG] and "domain.key" not in reads))
        if self.fails:
            raise self.fails
        linked = {content.decode() for path, (content, _) in self.bucket.held.items() if "_manifests/revisions" in path}
        needed = {it for digest in linked for it in _parts(self.bucket, digest)} | linked
        for path in [it for it in self.bucket.held if it.startswith(f"{FOLDER}blobs/")]:
            if not any(path.endswith(listing.path_of(it)) for it in needed):
                del self.bucket.held[path]
        assert run.settings.folder

    def sleep(self, seconds: float) -> None:
        """Have time go on for the bucket alone."""
        self.bucket.now += seconds

    def pushes(self) -> list[bool]:
        """Return whether each host takes pushes."""
        return [not it.is_read_only("") for it in (Registry(host, self) for host in HOSTS)]

    def tags(self) -> set[str]:
        """Return the tags that are in the bucket."""
        folder = f"{FOLDER}repositories/app/_manifests/tags/"
        return {it[len(folder) :].partition("/")[0] for it in self.bucket.held if it.startswith(folder)}


def _parts(bucket: Memory, digest: str) -> list[str]:
    manifest = json.loads(bucket.held[FOLDER + listing.path_of(digest)][0])
    return [it["digest"] for it in (manifest["config"], *manifest["layers"])]


def _blob(bucket: Memory, content: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    bucket.write(FOLDER + listing.path_of(digest), content)
    return {"digest": digest, "size": len(content)}


def _push(bucket: Memory, tag: str) -> None:
    """Put an image of one layer, as a push does."""
    bucket.now += 100
    config = _blob(bucket, json.dumps({"os": "linux", "architecture": "amd64", "seed": tag}).encode())
    layer = _blob(bucket, tag.encode() * 10_000)
    described = {
        "config": {**config, "mediaType": CONFIGS[MANIFEST]},
        "layers": [{**layer, "mediaType": f"{OCI}.layer.v1.tar"}],
    }
    content = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, **described}).encode()
    digest = _blob(bucket, content)["digest"]
    folder = f"{FOLDER}repositories/app"
    linked = digest.replace(":", "/")
    tags = f"{folder}/_manifests/tags/{tag}"
    paths = [f"{folder}/_layers/{it['digest'].replace(':', '/')}/link" for it in (config, layer)]
    for path, target in zip(paths, (config, layer), strict=True):
        bucket.write(path, str(target["digest"]).encode())
    for path in (f"{folder}/_manifests/revisions/{linked}/link", f"{tags}/index/{linked}/link", f"{tags}/current/link"):
        bucket.write(path, digest.encode())


@pytest.fixture
def site(place: Place, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Hosts with a registry, and two images."""
    made = Site(place, Memory())
    place.engine.starts = ("/entrypoint.sh",)
    place.up()
    flags = saved_flags.read(place.settings.folder)
    names = tuple(flags["names"].split(","))
    place.settings = dataclasses.replace(place.settings, names=names, saved_flags=flags, saved_flags_before=flags)
    place.swarm.done.clear()
    for tag in ("1", "2"):
        _push(made.bucket, tag)
    made.bucket.now += 1000
    monkeypatch.setattr(opening, "opened", lambda _settings: made.bucket)
    monkeypatch.setattr(rollout, "client", lambda host, _port, _run: Registry(host, made))
    monkeypatch.setattr(swarm_images, "_TAKES_OVER", 0.0)
    monkeypatch.setattr(time, "sleep", made.sleep)
    monkeypatch.setattr(collection, "collect", made.collect)
    monkeypatch.setattr(pulling, "refused", lambda *_arguments: {})
    monkeypatch.setattr(pulling, "present", lambda *_arguments: [])
    monkeypatch.setattr(disposal, "SETTLES", 0.0)
    return made


def _content(site: Site) -> list[dict[str, Any]]:
    found: Any = images.list_images(site.place.run, match="").content
    return list(found)


def test_images_are_listed_shown_and_measured_as_they_are_in_the_bucket(site: Site) -> None:
    assert [(it["repository"], it["tag"]) for it in _content(site)] == [("app", "1"), ("app", "2")]
    shown: Any = images.show(site.place.run, reference="app:1").content
    assert shown["platforms"] == ["linux/amd64"]
    used: Any = images.show_usage(site.place.run, match="").content
    assert used["repositories"][0]["bytes"] > 20_000
    assert site.place.swarm.done == []


def test_a_check_asks_a_host_that_answers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refused(_images: object, _found: object, client: Registry, _progress: object) -> dict[str, str]:
        asked.append(client.host)
        return {}

    monkeypatch.setattr(pulling, "refused", refused)
    site.silent.add(HOSTS[0])
    report = images_check.check(site.place.run, fix=False)
    assert (report.failure, asked) == (None, [HOSTS[1]])


def test_a_check_of_hosts_of_which_none_answers_names_them(site: Site) -> None:
    site.silent.update(HOSTS)
    failure = images_check.check(site.place.run, fix=False).failure
    assert failure
    assert all(it in failure.message for it in HOSTS)


def test_on_a_swarm_nobody_knows_who_pulled_so_an_image_may_have_been_pulled_just_now(site: Site) -> None:
    known = {"since": 1.0, "until": 2.0, "container": "1", "ended": True, "pulls": {}, "sizes": []}
    site.bucket.write(history.FILE, json.dumps(known).encode())
    _content(site)
    kept = history.parse(site.bucket.held[history.FILE][0])
    assert (kept.since, kept.ended) == (0.0, False)
    images_change.clean(site.place.run, **{**CLEAN, "older": "1"})
    assert site.tags() == {"1", "2"}


def test_an_image_that_is_removed_comes_back_and_no_host_is_touched(site: Site) -> None:
    images_change.remove(site.place.run, references=["app:1"], now=False)
    assert site.tags() == {"2"}
    images_change.undo(site.place.run)
    assert site.tags() == {"1", "2"}
    assert (site.place.swarm.done, site.collections) == ([], [])


def test_bytes_are_freed_while_every_host_refuses_pushes_and_then_all_take_them(site: Site) -> None:
    before = len(site.bucket.held)
    images_change.remove(site.place.run, references=["app:1"], now=True)
    assert site.collections == [([True, True, True], True)]
    assert site.pushes() == [True, True, True]
    assert len(site.bucket.held) < before
    assert any("freed: " in it and "pushes were refused for" in it for it in site.place.console.said)
    assert site.place.engine.find(site.mover) is None
    assert [it for it in site.place.engine.files if "-files-" in it] == []
    assert len([it for it in site.place.swarm.files if f"-{CONFIG}-" in it]) == 1
    images_change.remove(site.place.run, references=["app:2"], now=True)
    assert len(site.collections) == 2


def test_the_fronts_go_on_while_bytes_are_freed(site: Site) -> None:
    before = site.place.swarm.running[FRONT][0].labels
    images_change.remove(site.place.run, references=["app:1"], now=True)
    assert site.place.swarm.running[FRONT][0].labels == before


def test_while_a_host_is_away_nothing_is_freed_since_its_registry_may_take_pushes(site: Site) -> None:
    node = site.place.swarm.members[HOSTS[1]]
    site.place.swarm.members[HOSTS[1]] = dataclasses.replace(node, state="down")
    images_change.remove(site.place.run, references=["app:1"], now=False)
    with pytest.raises(RegistryError, match=f"{HOSTS[1]} is away"):
        images_change.clean(site.place.run, **CLEAN)
    assert (site.collections, site.place.swarm.done, site.pushes()) == ([], [], [True, True, True])
    images_change.undo(site.place.run)
    assert site.tags() == {"1", "2"}
    site.place.swarm.members[HOSTS[1]] = node
    images_change.remove(site.place.run, references=["app:1"], now=True)
    assert len(site.collections) == 1


def test_a_host_that_is_lost_while_the_others_come_to_refuse_pushes_may_take_some_and_nothing_is_collected(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy = site.place.swarm.deploy

    def deployed(name: str, text: str) -> None:
        deploy(name, text)
        node = site.place.swarm.members[HOSTS[1]]
        site.place.swarm.members[HOSTS[1]] = dataclasses.replace(node, state="down")

    monkeypatch.setattr(site.place.swarm, "deploy", deployed)
    with pytest.raises(RegistryError, match=f"{HOSTS[1]} is away"):
        images_change.remove(site.place.run, references=["app:1"], now=True)
    assert (site.collections, site.pushes()) == ([], [True, True, True])


def test_a_host_that_goes_on_taking_pushes_is_named_and_nothing_is_collected(site: Site) -> None:
    site.stubborn.add(HOSTS[2])
    with pytest.raises(RegistryError, match=f"{HOSTS[2]}:5443 takes pushes still"):
        images_change.remove(site.place.run, references=["app:1"], now=True)
    assert (site.collections, site.pushes()) == ([], [True, True, True])


def test_a_collector_that_fails_leaves_registries_that_take_pushes(site: Site) -> None:
    site.fails = RegistryError("The garbage collector failed: x", cure="./inv images.check")
    with pytest.raises(RegistryError, match="garbage collector failed"):
        images_change.remove(site.place.run, references=["app:1"], now=True)
    assert site.pushes() == [True, True, True]
    assert site.place.engine.find(site.mover) is None


def test_after_a_run_that_was_killed_the_next_one_frees_and_has_pushes_taken(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.fails = KilledError()
    with _dies_before_pushes_are_taken(monkeypatch), pytest.raises(KilledError):
        images_change.remove(site.place.run, references=["app:1"], now=True)
    assert site.pushes() == [False, False, False]
    assert site.place.engine.find(site.mover)
    site.fails = None
    images_change.clean(site.place.run, **{**CLEAN, "keep": "10"})
    assert site.collections[1:] == [([True, True, True], True)]
    assert site.pushes() == [True, True, True]
    assert site.place.engine.find(site.mover) is None


@contextlib.contextmanager
def _dies_before_pushes_are_taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the run end, as a killed one does, with every registry refusing pushes and the collector at work."""
    roll = swarm_images._roll

    def until_then(*those: Any, refuses: bool) -> None:  # noqa: ANN401 - handed on
        if not refuses:
            raise KilledError
        roll(*those, refuses=True)

    with monkeypatch.context() as patch:
        patch.setattr(swarm_images, "_roll", until_then)
        yield


def _read_only(site: Site) -> AbstractContextManager[None]:
    run, engine = site.place.run, site.place.engine
    container = images.there(run, engine)
    assert container
    return swarm_images.read_only(container, Registry(HOSTS[0], site), run, engine)  # type: ignore[arg-type]


def test_after_a_run_that_was_killed_an_undo_has_pushes_taken_and_frees_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    images_change.remove(site.place.run, references=["app:2"], now=False)
    with _dies_before_pushes_are_taken(monkeypatch), pytest.raises(KilledError), _read_only(site):
        pass
    assert site.pushes() == [False, False, False]
    images_change.undo(site.place.run)
    assert (site.tags(), site.collections) == ({"1", "2"}, [])
    assert site.pushes() == [True, True, True]


def test_down_ends_a_collector_that_a_killed_run_left_since_up_takes_pushes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _dies_before_pushes_are_taken(monkeypatch), pytest.raises(KilledError), _read_only(site):
        pass
    assert site.place.engine.find(site.mover)
    site.place.down()
    assert (site.place.engine.find(site.mover), site.place.swarm.running) == (None, {})


@pytest.mark.parametrize("task", ["up", "renew"])
def test_other_tasks_end_a_collector_that_a_killed_run_left_before_pushes_are_taken(
    task: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _dies_before_pushes_are_taken(monkeypatch), pytest.raises(KilledError), _read_only(site):
        pass
    assert site.place.engine.find(site.mover)
    deploy, seen = site.place.swarm.deploy, []

    def deployed(name: str, text: str) -> None:
        seen.append(site.place.engine.find(site.mover))
        deploy(name, text)

    monkeypatch.setattr(site.place.swarm, "deploy", deployed)
    if task == "up":
        site.place.up()
    else:
        swarm.renew(site.place.run, if_expiring="")
    assert seen == [None]
    assert site.pushes() == [True, True, True]


def test_in_a_dry_run_images_of_a_swarm_are_shown_as_those_that_would_go(site: Site) -> None:
    site.place.console = Recorder(dry=True)
    images_change.remove(site.place.run, references=["app:1"], now=True)
    assert [it for it in site.place.console.said if it.startswith("goes: app:1")]
    assert (site.tags(), site.place.swarm.done) == ({"1", "2"}, [])


def test_without_a_swarm_images_are_those_of_this_machine(place: Place) -> None:
    assert swarm_images.there(place.run) is None
    with pytest.raises(RegistryError, match="is not there"):
        images.there(place.run, place.engine)


def test_images_of_a_swarm_are_in_the_bucket_that_is_set(site: Site) -> None:
    found = images.there(site.place.run, site.place.engine)
    assert found
    assert (found.bucket, found.volume, found.behind) == (BUCKET["storage"], "", True)
    assert images_apply.Change(found, site.place.run, site.place.engine).is_read_only is False
