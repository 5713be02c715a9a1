"""Proof by the engine: its pull of an unchanged name is judged by what the mirror's log has of it since."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.fake_engine import FakeEngine
from tests.mirror.lines import line
from tests.recorder import Recorder
from trusted_registry import installation
from trusted_registry.errors import AnswerError, RegistryError
from trusted_registry.images import inventory
from trusted_registry.images.inventory import Inventory
from trusted_registry.images.listing import Listing
from trusted_registry.images.manifest import Descriptor, Kind, Manifest
from trusted_registry.mirror import proving, pull, reach
from trusted_registry.mirror.reach import Reach, State
from trusted_registry.mirror.upstream import Sample, Upstream
from trusted_registry.registry.api import RegistryClient
from trusted_registry.registry.probe import Endpoint
from trusted_registry.run import Run

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.conftest import MakeSettings

SAMPLE = Sample("library/hello-world")
CLIENT = RegistryClient(Endpoint("192.0.2.1", 5500), None)
CONFIG, LAYER = (f"sha256:{it * 64}" for it in "ab")
TAG = "/v2/library/hello-world/manifests/latest"
PARTS = [f"/v2/library/hello-world/blobs/{it}" for it in (CONFIG, LAYER)]


class Engine(FakeEngine):
    """An engine whose pull leaves lines in a mirror's log."""

    def __init__(self, uris: list[str], *, program: str = "docker/28.5 go/1.24", held: bool = False) -> None:
        super().__init__()
        self.lines = [line(it, time.time(), program=program) for it in uris]
        self.held, self.untagged, self.refusal = held, list[str](), ""

    def has_image(self, reference: str) -> bool:
        """Return whether it has the image from before."""
        return self.held and reference == "hello-world:latest"

    def try_pull(self, reference: str) -> None:
        """Pull."""
        assert reference == "docker.io/library/hello-world:latest"
        if self.refusal:
            raise RegistryError(self.refusal, cure="")

    def log_since(self, name: str, since: float) -> Generator[str, None, None]:
        """Yield the lines."""
        assert name == "mirror"
        assert since <= time.time()
        yield from self.lines

    def untag(self, reference: str) -> None:
        """Keep what was untagged."""
        self.untagged.append(reference)


@pytest.fixture
def run(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run, whose mirror gives an image of two parts."""
    made = Manifest("sha256:0", 1, Kind.IMAGE, config=Descriptor(CONFIG, 1), layers=(Descriptor(LAYER, 1),))
    monkeypatch.setattr(pull, "manifests", lambda *_: iter([made]))
    monkeypatch.setattr(proving, "_LOGGED", 0.0)
    return Run(make_settings(), Recorder())


def _told(run: Run, engine: Engine) -> tuple[list[str], list[str]]:
    proving.prove_by_engine(SAMPLE, CLIENT, "mirror", run, engine)
    assert isinstance(run.console, Recorder)
    return run.console.said, run.console.warned


def test_the_tag_and_every_part_in_the_log_are_the_proof_and_the_image_goes_again(run: Run) -> None:
    engine = Engine([TAG, *PARTS])
    (said,), warned = _told(run, engine)
    assert (said.endswith("for the tag and every part"), warned) == (True, [])
    assert engine.untagged == ["hello-world:latest"]


def test_an_image_that_the_engine_had_stays_and_that_it_asked_for_less_is_said(run: Run) -> None:
    engine = Engine([TAG], held=True)
    (said,), _ = _told(run, engine)
    assert "the tag and 0 of 2 parts, since it had the others" in said
    assert engine.untagged == []


@pytest.mark.parametrize(
    "engine",
    [
        Engine([]),
        Engine(PARTS),
        Engine([TAG, *PARTS], program="podman/5"),
        Engine(["/v2/library/other/manifests/latest"]),
    ],
    ids=["nothing", "parts alone", "another program", "another image"],
)
def test_a_pull_past_the_mirror_is_no_proof(engine: Engine, run: Run) -> None:
    said, (warned,) = _told(run, engine)
    assert (said, "past the mirror" in warned) == ([], True)


def test_a_pull_that_fails_is_told_and_is_no_failure_of_the_mirror(run: Run) -> None:
    engine = Engine([TAG])
    engine.refusal = "toomanyrequests: You have reached your pull rate limit."
    said, (warned,) = _told(run, engine)
    assert (said, "toomanyrequests" in warned) == ([], True)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (State.AWAY, "docker.io cannot be reached and the mirror holds nothing yet; once it can: "),
        (State.LIMIT, "docker.io gives the mirror nothing now, which holds nothing yet; once it does: "),
        (State.ANSWERS, None),
    ],
)
def test_nothing_is_called_a_proof_that_proves_nothing(
    state: State, told: str | None, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _has(state, run, monkeypatch, refused=True)
    if told is None:  # it answers, and gives nothing
        with pytest.raises(RegistryError, match=r"answers, and docker\.io/library/hello-world:latest does not come"):
            proving.prove(Upstream("docker.io"), run, FakeEngine())
        return
    proving.prove(Upstream("docker.io"), run, FakeEngine())
    assert isinstance(run.console, Recorder)
    assert run.console.said == [f"not proved: {told}./inv mirror.up docker.io"]


def test_an_upstream_without_a_known_image_proves_nothing_before_one_was_pulled(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _has(State.ANSWERS, run, monkeypatch, name="registry.example.com")
    proving.prove(Upstream("registry.example.com"), run, FakeEngine())
    assert isinstance(run.console, Recorder)
    (said,) = run.console.said
    assert said.startswith("not proved: registry.example.com answers, and the mirror holds no image of it yet")


def _has(
    state: State, run: Run, monkeypatch: pytest.MonkeyPatch, *, name: str = "docker.io", refused: bool = False
) -> None:
    """Have a mirror hold nothing, and its upstream be in a state and perhaps give nothing."""

    def none(*_: object) -> Iterator[Manifest]:
        raise AnswerError("status 429", cure="", status=429)

    installation.ensure(run.settings.folder, run.console)
    monkeypatch.setattr(pull, "client", lambda *_: CLIENT)
    monkeypatch.setattr(reach, "find", lambda *_: Reach(Upstream(name), state))
    monkeypatch.setattr(inventory, "find", lambda *_: Inventory(Listing()))
    if refused:
        monkeypatch.setattr(pull, "manifests", none)
