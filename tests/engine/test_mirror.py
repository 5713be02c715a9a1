"""A mirror on a real engine: it serves while its upstream is away, is proved, listed, filled, cleaned and renewed."""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.engine import upstreams, worlds
from tests.engine.test_up import wait_for
from tests.engine.upstreams import SAMPLE, Source, StandIn
from tests.recorder import Recorder
from trusted_registry import address, installation
from trusted_registry.certificate import issue
from trusted_registry.engine.docker_engine import DockerEngine
from trusted_registry.errors import PortTakenError, RegistryError
from trusted_registry.images import history
from trusted_registry.images.history import FILE
from trusted_registry.installation import MadeImage
from trusted_registry.instance import mirror_role
from trusted_registry.instance.model import IMAGES_FOLDER, SHELL, File
from trusted_registry.mirror import proving, pull, reach, serving, upstream
from trusted_registry.mirror.upstream import Sample, Upstream
from trusted_registry.registry import probe, users
from trusted_registry.registry.api import RegistryClient, digest
from trusted_registry.registry.probe import Request
from trusted_registry.run import Run
from trusted_registry.tasks import mirror, mirror_beside, mirror_holdings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import docker

    from tests.conftest import MakeSettings
    from trusted_registry.registry import upload

pytestmark = [
    pytest.mark.engine,
    # The docker package leaves sockets of programs and logs to the garbage.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

AWAY = Upstream("nobody.invalid")
"""An upstream whose name nobody knows (RFC 6761)."""
DAY = 24 * 3600


@pytest.fixture
def engine(client: docker.DockerClient) -> DockerEngine:
    """The engine."""
    return DockerEngine(client, Recorder())


@pytest.fixture
def run(
    make_settings: MakeSettings,
    registry_image: str,
    client: docker.DockerClient,
    engine: DockerEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Run]:
    """A run on a real engine, with a certificate whose authority mirrors trust their upstreams by."""
    settings = make_settings(
        address=address.own_address(), container=worlds.NAME, volume=worlds.NAME, image=registry_image
    )
    made = Run(settings, Recorder())
    issue.ensure(made)
    installation.ensure(settings.folder, made.console)
    id_ = str(client.images.get(registry_image).id)
    installation.note_image(
        settings.folder, id_, MadeImage(registry_image, "a package", registry_image, with_shell=True)
    )
    monkeypatch.setattr(mirror_role, "BUNDLES", (settings.folder / "ca.crt",))
    yield made
    for it in serving.noted(made):
        serving.down(it, made, engine, purge=True)


@pytest.fixture
def source(run: Run, engine: DockerEngine, registry_image: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    """An upstream with a small image that is known, and its mirror, which runs."""
    with upstreams.source(run, registry_image, engine) as made:
        monkeypatch.setitem(upstream._SAMPLES, made.upstream.name, SAMPLE)
        made.put(SAMPLE.repository, SAMPLE.tag)
        _up(made.upstream, run, engine)
        yield made


def _up(of: Upstream, run: Run, engine: DockerEngine) -> bool:
    """Have a mirror run at the port that is chosen for it, as the task does."""
    return serving.up(of, run, engine, port=serving.choose_ports([of], run, engine)[of.name])


def _client(of: Upstream, run: Run) -> RegistryClient:
    return pull.client(serving.endpoint(of, run), run.settings)


def _asked(of: Upstream, run: Run, method: str, path: str) -> int:
    """Ask a mirror as a program with a name does, and return the status."""
    client = _client(of, run)
    asked = Request(method, path, {"User-Agent": "somebody/1"}, limit=8 << 20)
    return probe.send(probe.connect(client.at, client.tls), client.at, asked).status


def _answered(of: Upstream, run: Run, path: str) -> int:
    """Ask a mirror that may not listen yet; 0 then."""
    try:
        return _asked(of, run, "GET", path)
    except OSError:
        return 0


def _found(of: Upstream, run: Run, engine: DockerEngine) -> reach.Reach:
    return reach.find(of, _client(of, run), serving.of(of, run).settings.container, engine)


def _said(run: Run) -> list[str]:
    assert isinstance(run.console, Recorder)
    return run.console.said


def _warned(run: Run) -> list[str]:
    assert isinstance(run.console, Recorder)
    return run.console.warned


# Start, stop, and the port


def test_it_starts_while_its_upstream_is_away_and_a_second_run_changes_nothing(run: Run, engine: DockerEngine) -> None:
    assert _up(AWAY, run, engine)
    before = engine.find(serving.of(AWAY, run).settings.container)
    port = installation.known(run.settings.folder).mirrors[AWAY.name]
    assert (_asked(AWAY, run, "GET", "/v2/"), _asked(AWAY, run, "POST", "/v2/app/blobs/uploads/")) == (200, 405)
    assert not _up(AWAY, run, engine)
    after = engine.find(serving.of(AWAY, run).settings.container)
    assert before
    assert after
    assert before.id == after.id
    assert serving.down(AWAY, run, engine, purge=False)
    assert _up(AWAY, run, engine)
    assert installation.known(run.settings.folder).mirrors[AWAY.name] == port
    assert serving.down(AWAY, run, engine, purge=True)
    serving.forget(AWAY, run)
    assert not serving.down(AWAY, run, engine, purge=True)
    assert installation.known(run.settings.folder).mirrors == {}


def test_beside_a_registry_with_users_it_asks_for_no_login(run: Run, engine: DockerEngine) -> None:
    path = users.users_file(run.settings.folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("ada:$2y$05$" + "a" * 53 + "\n")
    assert users.is_login_required(run.settings.folder)
    assert _up(AWAY, run, engine)
    assert not _up(AWAY, run, engine)
    assert _asked(AWAY, run, "GET", "/v2/") == 200


@pytest.mark.long
def test_a_port_that_somebody_took_meanwhile_is_told_with_whom(run: Run, engine: DockerEngine) -> None:
    _up(AWAY, run, engine)
    serving.down(AWAY, run, engine, purge=False)
    port = serving.endpoint(AWAY, run).port
    whom = re.escape(psutil.Process().name())
    with (
        socket.create_server(("", port)),
        pytest.raises(PortTakenError, match=rf"Port {port}.* mirror of nobody.invalid.* {whom}") as caught,
    ):
        _up(AWAY, run, engine)
    assert "mirror.down nobody.invalid --purge" in caught.value.cure
    other = Upstream("other.invalid")
    with socket.create_server(("", port)):  # one that is new takes the next port
        assert _up(other, run, engine)
        started, errors = serving.refresh(run, engine, anew=True)
        assert (started, "The mirror of nobody.invalid: Port" in errors[0].message) == ([], True)
        assert mirror_beside.start(run, engine) is False  # `up` goes on
        with pytest.raises(PortTakenError):
            _up(Upstream("nobody.invalid"), run, engine)
    assert serving.endpoint(other, run).port != port
    assert _up(AWAY, run, engine)  # once it is free
    serving.down(AWAY, run, engine, purge=True)
    serving.forget(AWAY, run)
    third = Upstream("third.invalid")  # machines may still be told of the one that is gone
    assert port not in (chosen := serving.choose_ports([third, other], run, engine)).values()
    assert len(set(chosen.values())) == len({third, other})
    assert serving.choose_ports([AWAY], run, engine)[AWAY.name] == port
    with socket.create_server(("", port)):
        assert serving.choose_ports([AWAY], run, engine)[AWAY.name] not in {port, chosen[other.name]}


def test_a_renewal_has_it_show_the_new_certificate_and_one_that_does_not_run_stays_so(
    run: Run, engine: DockerEngine
) -> None:
    _up(AWAY, run, engine)
    before = probe.fingerprint(serving.endpoint(AWAY, run))
    assert serving.refresh(run, engine) == ([], [])
    issue.renew(run)
    mirror_beside.renew(run)
    after = probe.fingerprint(serving.endpoint(AWAY, run))
    assert before != after
    assert _said(run)[-1].startswith("mirror: nobody.invalid by ")
    serving.stop(AWAY, run, engine)
    mirror_beside.renew(run)
    assert engine.find(serving.of(AWAY, run).settings.container) is None
    assert mirror_beside.start(run, engine)
    assert probe.fingerprint(serving.endpoint(AWAY, run)) == after
    mirror_beside.stop(run, engine)
    mirror_beside.purge(run, engine)
    assert engine.volume(serving.of(AWAY, run).settings.volume) is None


# Whether the upstream answers


@pytest.mark.parametrize(
    ("answer", "states"),
    [
        ("well", [reach.State.ANSWERS] * 2),
        ("login", [reach.State.UNSURE, reach.State.LOGIN]),
        ("denied", [reach.State.UNSURE, reach.State.LOGIN]),
        ("limit", [reach.State.LIMIT] * 2),
        ("broken", [reach.State.ERROR] * 2),
        ("page", [reach.State.STRANGE] * 2),
        ("elsewhere", [reach.State.STRANGE] * 2),
    ],
)
def test_each_trouble_of_an_upstream_is_told_from_the_others(
    answer: str, states: list[reach.State], run: Run, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StandIn(run).answering() as stand_in:
        _up(stand_in.upstream, run, engine)
        stand_in.answer = upstreams.ANSWERS[answer]
        found = [_found(stand_in.upstream, run, engine).state]
        monkeypatch.setitem(upstream._SAMPLES, stand_in.upstream.name, SAMPLE)
        found.append(_found(stand_in.upstream, run, engine).state)  # of an image that surely is there
    assert found == states


def test_an_upstream_that_is_away_or_not_trusted_is_told_while_what_is_held_is_served(
    run: Run, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _up(AWAY, run, engine)
    away = _found(AWAY, run, engine)
    assert (away.state, "nobody.invalid" in away.reason) == (reach.State.AWAY, True)
    name = serving.of(AWAY, run).settings.container
    end = time.monotonic() + 3 * mirror_role.TRIAL_SECONDS
    shown = [SHELL, "-c", 'cat "$1"', "sh", mirror_role.TRIAL_OUTPUT]
    while engine.execute(name, shown).code and time.monotonic() < end:
        time.sleep(0.2)
    assert "nobody.invalid" in engine.execute(name, shown).out
    later = _found(AWAY, run, engine)  # by the last that was tried, however old its start is
    assert (later.state, "nobody.invalid" in later.reason) == (reach.State.AWAY, True)
    monkeypatch.setattr(mirror_role, "BUNDLES", ())
    with StandIn(run).answering() as stand_in:
        _up(stand_in.upstream, run, engine)
        found = _found(stand_in.upstream, run, engine)
        assert found.state is reach.State.DISTRUST
        assert "x509" in found.reason


# The proof


def test_the_proof_pulls_through_it_and_what_it_holds_where_the_upstream_is_away(
    source: Source, run: Run, engine: DockerEngine
) -> None:
    assert proving.prove(source.upstream, run, engine).is_up
    name = f"{source.upstream.name}/library/small:1"
    assert _said(run)[-1] == f"proof: {name} comes through the mirror"
    mirror.fill(run, references=[name], every_machine=False)
    source.go_away()
    assert not proving.prove(source.upstream, run, engine).is_up
    assert _said(run)[-1] == f"proof: the mirror gives {name}, which it holds; 1 such in all"
    assert "does not answer" in _warned(run)[-1]
    assert "what the mirror holds is served" in _warned(run)[-1]


def test_with_nothing_held_and_the_upstream_away_that_is_said_and_is_no_failure(run: Run, engine: DockerEngine) -> None:
    _up(AWAY, run, engine)
    proving.prove(AWAY, run, engine)
    assert _said(run)[-1] == (
        "not proved: nobody.invalid cannot be reached and the mirror holds nothing yet; once it can: "
        "./inv mirror.up nobody.invalid"
    )
    serving.stop(AWAY, run, engine)
    with pytest.raises(RegistryError, match="does not answer"):
        proving.prove(AWAY, run, engine)


def test_where_the_sample_is_gone_what_is_held_is_the_proof_and_with_neither_it_fails(
    source: Source, run: Run, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(upstream._SAMPLES, source.upstream.name, Sample(SAMPLE.repository, "gone"))
    with pytest.raises(RegistryError, match=r"answers, and .*:gone does not come through the mirror"):
        proving.prove(source.upstream, run, engine)
    mirror.fill(run, references=[f"{source.upstream.name}/library/small:1"], every_machine=False)
    assert proving.prove(source.upstream, run, engine).is_up
    assert "which it holds" in _said(run)[-1]
    assert ":gone does not come through" in _warned(run)[-1]


# Filling, listing, cleaning


def test_what_is_fetched_ahead_is_given_while_the_upstream_is_away_and_nothing_else(source: Source, run: Run) -> None:
    made = source.put("library/app", "1")
    mirror.fill(run, references=[f"{source.upstream.name}/library/app:1"], every_machine=True)
    with pytest.raises(RegistryError, match=r"has no .*library/other:1"):
        mirror.fill(run, references=[f"{source.upstream.name}/library/other:1"], every_machine=False)
    source.go_away()
    paths = [f"manifests/{made.digest}", f"blobs/{digest(made.layer)}", f"blobs/{digest(made.config)}"]
    assert [_asked(source.upstream, run, "GET", f"/v2/library/app/{it}") for it in paths] == [200] * 3
    assert _asked(source.upstream, run, "GET", "/v2/library/small/manifests/1") == 404
    with pytest.raises(RegistryError, match=r"is not in the mirror, and .* does not answer"):
        mirror.fill(run, references=[f"{source.upstream.name}/library/small:1"], every_machine=False)
    with pytest.raises(RegistryError, match=r"no mirror of quay\.io") as caught:
        mirror.fill(run, references=["quay.io/podman/hello"], every_machine=False)
    assert caught.value.cure == "./inv mirror.up quay.io"


def _listed(run: Run) -> dict[str, Any]:
    (content,) = json.loads(json.dumps(mirror_holdings.show(run).content))
    return dict(content)


@pytest.mark.long
def test_the_list_counts_what_came_from_the_disk_and_says_whether_the_upstream_answers(
    source: Source, run: Run
) -> None:
    before = _listed(run)
    assert (before["images"], before["hits"], before["misses"], before["reach"]) == (0, 0, 0, "answers")
    made = source.put("library/app", "1")
    for _ in range(3):
        for it in (f"manifests/{made.digest}", f"blobs/{digest(made.layer)}"):
            assert _asked(source.upstream, run, "GET", f"/v2/library/app/{it}") == 200
        time.sleep(1.1)  # of a second's first and last moment files cannot tell
    source.go_away()
    after = _listed(run)
    assert (after["images"], after["hits"], after["misses"], after["reach"]) == (1, 4, 2, "away")
    assert after["bytes"] > before["bytes"]
    assert "refused" in after["reason"]


def _age(name: str, run: Run, of: Upstream, engine: DockerEngine, days: int) -> None:
    """Have the links of a repository be some days old, and pulls be known since before that."""
    container = serving.of(of, run).settings.container
    folder = f"{IMAGES_FOLDER}/docker/registry/v2/repositories/{name}"
    stamp = time.strftime("%Y%m%d%H%M", time.gmtime(time.time() - days * DAY))
    script = 'find "$1" -name link -exec touch -t "$2" {} +'
    assert engine.execute(container, [SHELL, "-c", script, "sh", folder, stamp]).code == 0
    there = engine.find(container)
    assert there
    known = history.updated(there, serving.of(of, run), engine)
    known = dataclasses.replace(known, since=time.time() - 120 * DAY)
    content = json.dumps(dataclasses.asdict(known)).encode()
    engine.put_files(container, IMAGES_FOLDER, [File(FILE, Path(FILE), content)])


def test_what_nobody_pulled_for_long_goes_and_the_rest_is_given_with_the_upstream_away(
    source: Source, run: Run, engine: DockerEngine
) -> None:
    names = ("library/old", "library/old/inner", "library/pulled")
    made = {it: source.put(it, "1", size=1 << 20) for it in names[:1]} | {it: source.put(it, "1") for it in names[1:]}
    mirror.fill(run, references=[f"{source.upstream.name}/{it}:1" for it in names], every_machine=False)
    assert _asked(source.upstream, run, "GET", f"/v2/library/pulled/manifests/{made['library/pulled'].digest}") == 200
    source.go_away()
    mirror_holdings.clean(run, older="30", upstreams=[])
    assert _said(run)[-1] == f"{source.upstream.name}: nothing was unused for 30 days"
    for it in ("library/old", "library/pulled"):
        _age(it, run, source.upstream, engine, 60)
    _age("library/old/inner", run, source.upstream, engine, 1)
    mirror_holdings.clean(run, older="30", upstreams=[])
    said = "\n".join(_said(run))
    assert f"goes: {source.upstream.name}/library/old\n" in said
    assert "proof: the mirror gives all 6 parts of what stays" in said
    status = {it: _asked(source.upstream, run, "GET", f"/v2/{it}/manifests/{made[it].digest}") for it in names}
    assert status == {"library/old": 404, "library/old/inner": 200, "library/pulled": 200}
    assert isinstance(run.console, Recorder)
    assert "MB?" in run.console.asked[-1]


def test_a_container_in_its_place_that_a_killed_run_left_gives_way(
    source: Source, run: Run, engine: DockerEngine
) -> None:
    from trusted_registry.mirror import cleaning

    instance = serving.instance_of(source.upstream, run, engine)
    serving.stop(source.upstream, run, engine)
    engine.run(cleaning._cleaner(instance))
    assert _up(source.upstream, run, engine)
    assert _found(source.upstream, run, engine).is_up


def _have_disk(size: int, of: Upstream, run: Run, client: docker.DockerClient) -> None:
    """Have a mirror that is not there yet keep what it holds on a disk of this size, in KiB."""
    client.volumes.create(
        serving.of(of, run).settings.volume,
        driver_opts={"type": "tmpfs", "device": "tmpfs", "o": f"size={size}k"},
        labels={installation.LABEL: installation.known(run.settings.folder).id},
    )


def test_a_client_gets_its_image_all_the_same_when_the_disk_is_full(
    run: Run, engine: DockerEngine, registry_image: str, client: docker.DockerClient
) -> None:
    with upstreams.source(run, registry_image, engine) as source:
        _have_disk(512, source.upstream, run, client)
        made = source.put("library/large", "1", size=4 << 20)
        _up(source.upstream, run, engine)
        through = _client(source.upstream, run)
        assert through.manifest("library/large", "1").digest == made.digest
        came = b"".join(through.blob("library/large", digest(made.layer), len(made.layer)))
        assert came == made.layer
        assert _asked(source.upstream, run, "GET", "/v2/") == 200


def _leave_empty(made: upload.Image, run: Run, of: Upstream, engine: DockerEngine) -> str:
    """Have a mirror's link to a layer be empty, as a kill or a full disk leaves it; return the layer's path."""
    layer = digest(made.layer)
    link = f"{IMAGES_FOLDER}/docker/registry/v2/repositories/library/left/_layers/sha256/{layer.split(':')[1]}/link"
    done = engine.execute(serving.of(of, run).settings.container, [SHELL, "-c", ': >"$1"', "sh", link])
    assert done.code == 0, done
    return f"/v2/library/left/blobs/{layer}"


def test_a_link_that_a_kill_left_empty_fails_pulls_until_the_mirror_starts_again(
    source: Source, run: Run, engine: DockerEngine
) -> None:
    made = source.put("library/left", "1")
    mirror.fill(run, references=[f"{source.upstream.name}/library/left:1"], every_machine=False)
    path = _leave_empty(made, run, source.upstream, engine)
    assert _asked(source.upstream, run, "GET", path) == 500
    engine.restart(serving.of(source.upstream, run).settings.container)
    assert wait_for(lambda: _answered(source.upstream, run, path) == 200)


def test_a_link_that_a_full_disk_left_empty_fails_pulls_for_seconds(
    run: Run, engine: DockerEngine, registry_image: str, client: docker.DockerClient
) -> None:
    with upstreams.source(run, registry_image, engine) as source:
        _have_disk(4096, source.upstream, run, client)
        made = source.put("library/left", "1")
        large = source.put("library/large", "1", size=8 << 20)
        _up(source.upstream, run, engine)
        mirror.fill(run, references=[f"{source.upstream.name}/library/left:1"], every_machine=False)
        path = _leave_empty(made, run, source.upstream, engine)
        time.sleep(3)
        assert _asked(source.upstream, run, "GET", path) == 500  # with room left nothing is looked through
        b"".join(_client(source.upstream, run).blob("library/large", digest(large.layer), len(large.layer)))
        assert wait_for(lambda: _asked(source.upstream, run, "GET", path) == 200)


@pytest.mark.parametrize(
    "left", ["", r"\0\0", '{"library/left@sha256:0":{"Key":"library/l', '{"a":{"Key":"a","EntryType":0}']
)
def test_notes_of_ages_that_a_kill_left_cut_do_not_keep_a_mirror_from_its_upstream(
    left: str, source: Source, run: Run, engine: DockerEngine
) -> None:
    container = serving.of(source.upstream, run).settings.container
    state = f"{IMAGES_FOLDER}/scheduler-state.json"
    assert engine.execute(container, [SHELL, "-c", 'printf "$2" >"$1"', "sh", state, left]).code == 0
    engine.restart(container)
    made = source.put("library/fresh", "1")
    assert wait_for(lambda: _answered(source.upstream, run, f"/v2/library/fresh/manifests/{made.digest}") == 200, 20)
