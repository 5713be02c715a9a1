"""What is looked up on a machine: real files, a real git, a real registry on loopback, a fake engine."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from tests.fake_engine import FakeEngine, container, nobody
from tests.fake_images import IMAGE, INFO, sha256
from trusted_registry import address
from trusted_registry.address import Interface
from trusted_registry.doctor import checks, firewall, gather, store_states
from trusted_registry.errors import RegistryError
from trusted_registry.instance import ports, roles
from trusted_registry.instance.model import Image
from trusted_registry.registry import users
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import install, ledger, trust_anchor
from trusted_registry.trust.specifics.daemon_json import INSECURE

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from trusted_registry.doctor.facts import Facts
    from trusted_registry.engine.types import Container, EngineInfo
    from trusted_registry.settings import Settings

ADDRESS = "192.168.0.12"
UNKNOWN = "tls: failed to verify certificate: x509: certificate signed by unknown authority"


def engine_of(settings: Settings, running: Container | None = None, bound: Path | None = None) -> FakeEngine:
    """Return an engine whose images lie on the disk of the checkout, and know no shell."""
    made = FakeEngine()
    made.said = dataclasses.replace(INFO, folder=str(settings.root))
    made.starts = ()
    made.put("registry", running)
    if bound:
        made.put("app", container(role=None))
        made.containers["app"].mounts = {"/mnt": bound}
    return made


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's own addresses, engine and stores out of it."""
    monkeypatch.setattr(address, "interfaces", lambda: [Interface("eth0", (ADDRESS,), bridge=False)])
    monkeypatch.setattr(store_states, "engine_start", lambda _engine: 0.0)
    monkeypatch.setattr(install, "select_stores", lambda *_: [])
    monkeypatch.setattr(firewall, "find", lambda *_: None)


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """A checkout with an authority and a certificate for loopback, which the tests listen on."""
    made = dataclasses.replace(make_settings(), address=loopback.HOST)
    signer = forge.authority()
    forge.save(signer, made.folder, "ca")
    forge.save(forge.server(signer, names=(loopback.HOST, ADDRESS, "registry.local")), made.folder, "domain")
    made.folder.chmod(0o755)
    for key in made.folder.glob("*.key"):
        key.chmod(0o600)
    return made


def running(settings: Settings, **changes: object) -> FakeEngine:
    """Return an engine where the registry that the settings describe runs, and reads what is in the folder."""
    image = Image(IMAGE, sha256(IMAGE))
    wanted = roles.tls(settings, image)
    made = container(image=IMAGE, image_id=image.id, port=settings.port, listen="", digest=wanted.digest)
    described = dataclasses.replace(made, files_volume=wanted.files_volume, **changes)  # type: ignore[arg-type]
    engine = engine_of(settings, described)
    engine.fill(wanted.files_volume, "", IMAGE, wanted.files)
    return engine


def served(settings: Settings, **changes: object) -> tuple[Facts, FakeEngine]:
    """Return what is seen while it really serves."""
    with loopback.registry(settings.folder / "domain.crt") as port:
        engine = running(dataclasses.replace(settings, port=port), **changes)
        return gather.local(settings, engine, None), engine


@pytest.mark.process
def test_a_registry_that_runs_as_it_should_is_seen_whole_and_has_nothing_wrong(settings: Settings) -> None:
    facts, _ = served(settings)
    assert facts.observation
    assert facts.issued
    assert facts.disk
    assert (facts.wanted, facts.edited, facts.settings.port) == (
        facts.container.digest if facts.container else None,
        "",
        facts.observation.port,
    )
    assert checks.judge(facts) == []


@pytest.mark.process
def test_a_registry_that_was_made_by_other_settings_is_seen(settings: Settings) -> None:
    facts, _ = served(settings, digest="other")
    assert [finding.check for finding in checks.judge(facts)] == ["container"]


@pytest.mark.process
@pytest.mark.parametrize("name", ["registry.yml", "domain.key"])
def test_a_file_that_the_registry_reads_otherwise_than_it_is_here_is_seen(name: str, settings: Settings) -> None:
    settings = dataclasses.replace(settings, port=1)
    engine = running(settings)
    assert gather.local(settings, engine, None).edited == ""
    (files,) = engine.files.values()
    files[name] = files[name].with_content(b"mine")
    assert gather.local(settings, engine, None).edited == name
    del files[name]
    assert gather.local(settings, engine, None).edited == name


@pytest.mark.process
def test_the_files_of_a_registry_of_other_settings_are_not_said_to_be_edited(settings: Settings) -> None:
    settings = dataclasses.replace(settings, port=1)
    engine = running(settings, digest="of another version")
    (files,) = engine.files.values()
    files.clear()
    assert gather.local(settings, engine, None).edited == ""


@pytest.mark.process
def test_who_holds_the_port_of_a_registry_that_does_not_run_is_seen(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "listening_process", lambda _port: "nginx (process 7)")
    assert gather.local(settings, engine_of(settings), None).port_holder == "nginx (process 7)"


@pytest.mark.process
def test_certificates_that_do_not_fit_together_are_seen_as_what_they_are(settings: Settings) -> None:
    forge.save(forge.server(None), settings.folder, "other")
    shutil.copy(settings.folder / "other.key", settings.folder / "domain.key")
    facts = gather.local(settings, engine_of(settings), None)
    assert (facts.issued, facts.broken is not None) == (None, True)


@pytest.mark.process
def test_a_client_s_checkout_is_no_registry_s(settings: Settings) -> None:
    for name in gather.MADE_HERE:
        (settings.folder / name).unlink(missing_ok=True)
    facts = gather.local(settings, engine_of(settings), None)
    assert (facts.serves, facts.anchor is not None, facts.broken) == (False, True, None)


def test_modes_of_keys_and_of_the_folder_are_seen_as_they_are(settings: Settings) -> None:
    (settings.folder / "domain.key").chmod(0o644)
    kept = {entry.path.name: entry.mode for entry in gather._file_modes(settings)}
    assert kept == {"certs": 0o755, "ca.key": 0o600, "domain.key": 0o644}


@pytest.mark.process
def test_keys_in_git_are_seen_and_keys_beside_it_are_not(settings: Settings) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(settings.folder), *words], check=True, capture_output=True)

    assert gather._tracked(settings.folder) == ()
    git("init", "--quiet")
    assert gather._tracked(settings.folder) == ()
    git("add", "--force", "ca.key")
    assert gather._tracked(settings.folder) == ("ca.key",)


@pytest.mark.parametrize(
    ("path", "exposed"), [("ca.key", True), ("", True), ("domain.key", False), ("..", True), ("../..", False)]
)
def test_a_container_that_was_given_the_authority_s_key_is_seen(
    path: str,
    exposed: bool,  # noqa: FBT001 - a parameter
    settings: Settings,
) -> None:
    engine = engine_of(settings, bound=Path(os.path.normpath(settings.folder / path)))
    assert bool(gather._key_mounts(settings, engine)) is exposed


def test_the_engine_s_proxy_and_the_shell_s_are_both_seen(settings: Settings) -> None:
    engine = engine_of(settings)
    assert gather._proxies(engine, {}) == ()
    engine.said = dataclasses.replace(engine.said, proxy="http://a:1", no_proxy="b")
    found = gather._proxies(engine, {"https_proxy": "http://c:2", "NO_PROXY": "d"})
    assert [(proxy.whose, proxy.url, proxy.no_proxy) for proxy in found] == [
        ("the engine", "http://a:1", "b"),
        ("this shell", "http://c:2", "d"),
    ]


@pytest.mark.process
def test_users_whose_hash_the_registry_does_not_read_are_seen(settings: Settings) -> None:
    path = users.users_file(settings.folder)
    path.parent.mkdir()
    path.write_text("ann:{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=\nbob:$2y$05$" + "a" * 53 + "\n")
    facts = gather.local(settings, engine_of(settings), None)
    assert (facts.login, facts.unread_users) == (True, ("ann",))


def test_a_disk_is_seen_where_this_user_may_look(settings: Settings) -> None:
    seen = gather._disk(settings, engine_of(settings))
    assert seen
    assert seen.free > 0
    engine = engine_of(settings)
    engine.said = dataclasses.replace(INFO, folder=str(settings.root / "not" / "there"))
    assert gather._disk(settings, engine) is None


def test_another_machine_s_registry_is_seen_from_here(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with loopback.registry(settings.folder / "domain.crt") as port:
        facts = gather.remote(settings, engine_of(settings), loopback.HOST, port)
    assert (facts.remote, facts.serves, facts.observation and facts.observation.status) == (True, False, 200)
    assert checks.judge(facts) == []
    monkeypatch.setattr(address, "resolve", lambda _name: ())
    gone = gather.remote(settings, engine_of(settings), "registry.local", 9)
    assert [finding.check for finding in checks.judge(gone)] == ["dns"]


def test_without_an_engine_everything_else_is_seen(settings: Settings) -> None:
    facts = gather.remote(settings, nobody(), loopback.HOST, 9)
    assert (facts.engine, facts.proxies) == (None, ())


class _Silent(FakeEngine):
    """An engine that answered once, and never again."""

    def info(self, *, fresh: bool = False) -> EngineInfo:
        raise RegistryError(f"silent, {fresh=}", cure="")


def test_an_engine_that_falls_silent_is_no_error_of_the_look(settings: Settings) -> None:
    assert gather.remote(settings, _Silent(), loopback.HOST, 9).engine is None


@pytest.mark.process
def test_what_this_checkout_allowed_here_is_seen_unless_its_plain_registry_runs(settings: Settings) -> None:
    def allow(value: str, by: Path = settings.root, store: str = INSECURE.store) -> ledger.Entry:
        return ledger.entry(store, settings.root / "daemon.json", b"", by=by, value=value)

    mine, another_s = f"{ADDRESS}:5000", "192.168.0.99:5000"  # one that this machine is a client of
    written = [allow(mine), allow(another_s), allow(f"{ADDRESS}:5001", by=settings.root / "another")]
    ledger.record(ledger.path(), [*written, allow(f"{ADDRESS}:5002", store="docker")])
    plain = container(role="plain", port=5000)
    seen = {
        state: gather.local(settings, engine_of(settings, running), None).allowed
        for state, running in (
            ("none", None),
            ("running", plain),
            ("exited", dataclasses.replace(plain, state="exited")),
            ("tls", container(port=1)),
        )
    }
    assert seen == {"none": (mine,), "running": (), "exited": (mine,), "tls": (mine,)}


@pytest.mark.process
@pytest.mark.parametrize("refusal", ["", UNKNOWN])
def test_the_engine_itself_is_asked_where_all_is_as_it_should_be(
    refusal: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = client_stores.store("docker")
    monkeypatch.setattr(install, "select_stores", lambda *_: [docker])
    with loopback.registry(settings.folder / "domain.crt") as port:
        there = dataclasses.replace(settings, port=port)
        anchor, machine = trust_anchor.load(there, dry=True), machines.current()
        for file in docker.files(anchor):
            machine.path(file.path).parent.mkdir(parents=True, exist_ok=True)
            machine.path(file.path).write_bytes(file.content)
        engine = running(there)
        engine.refusal = refusal
        facts = gather.local(there, engine, None)
    assert [it.accepted for it in facts.answers] == [not refusal for _ in there.registry_hosts]
    assert [finding.check for finding in checks.judge(facts)] == (["refused"] if refusal else [])


@pytest.mark.process
def test_nobody_is_asked_about_a_registry_that_does_not_answer_or_is_another_s(settings: Settings) -> None:
    engine = running(dataclasses.replace(settings, port=1))
    assert gather.local(dataclasses.replace(settings, port=1), engine, None).answers == ()
