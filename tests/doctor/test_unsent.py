"""A server that does not send its issuer: told from a machine without trust, with a cure for whoever runs it."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

import pytest

from tests import forge, loopback
from tests.doctor.test_gather import engine_of, running
from tests.fake_engine import nobody
from tests.recorder import Recorder
from trusted_registry import address, instance
from trusted_registry.address import Interface
from trusted_registry.certificate import issue
from trusted_registry.doctor import checks, firewall, gather, mend, store_states
from trusted_registry.doctor.finding import RenewFix, RestartFix
from trusted_registry.run import Run
from trusted_registry.trust.local import install

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import MakeSettings
    from trusted_registry.doctor.finding import Finding
    from trusted_registry.settings import Settings

COPY = "copy certs/ca.crt"
MARK = b"-----BEGIN CERTIFICATE-----"


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's own addresses, engine and stores out of it."""
    monkeypatch.setattr(address, "interfaces", lambda: [Interface("eth0", ("192.168.0.12",), bridge=False)])
    monkeypatch.setattr(store_states, "engine_start", lambda _engine: 0.0)
    monkeypatch.setattr(install, "select_stores", lambda *_: [])
    monkeypatch.setattr(firewall, "find", lambda *_: None)


@pytest.fixture
def settings(certified: MakeSettings) -> Settings:
    """A checkout with a root, an issuer and a server certificate for loopback too."""
    return dataclasses.replace(certified(), address=loopback.HOST)


def _cut(folder: Path, to: Path) -> Path:
    """Write a folder's server certificate, with its key and without its issuer, to another folder, or in its place."""
    to.mkdir(exist_ok=True)
    return forge.save(forge.load(folder, "domain"), to, "domain")


@contextlib.contextmanager
def _running(settings: Settings, shown: Path) -> Iterator[list[Finding]]:
    """Have our own registry show a certificate, and find what is wrong."""
    with loopback.registry(shown) as port:
        there = dataclasses.replace(settings, port=port)
        yield checks.judge(gather.local(there, running(there), None))


def _chain(found: list[Finding]) -> Finding:
    (finding,) = (it for it in found if it.check == "chain")
    return finding


def _remote(settings: Settings, shown: Path) -> list[Finding]:
    with loopback.registry(shown) as port:
        return checks.judge(gather.remote(settings, nobody(), loopback.HOST, port))


def _as_client(settings: Settings) -> None:
    for path in settings.folder.iterdir():
        if path.name != "ca.crt":
            path.unlink()


@pytest.mark.process
def test_of_our_own_registry_whose_file_is_whole_it_is_told_that_it_is_to_read_that(
    settings: Settings, tmp_path: Path
) -> None:
    with _running(settings, _cut(settings.folder, tmp_path / "old")) as found:
        finding = _chain(found)
    assert "does not send the certificate of its issuer, trusted-registry issuer " in finding.evidence
    assert (finding.cure, finding.fix, finding.asks) == (("./inv cert.renew --if-expiring 0",), RestartFix(), False)
    with _running(settings, settings.folder / "domain.crt") as found:
        assert found == []


@pytest.mark.process
def test_where_the_file_on_disk_is_cut_a_new_one_is_made_and_no_root_is_asked_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (settings.folder / "domain.crt").read_bytes()
    with _running(settings, _cut(settings.folder, settings.folder)) as found:
        finding = _chain(found)
    assert {it.check for it in found} == {"files", "chain"}
    assert (finding.cure, finding.fix, finding.asks) == (("./inv cert.renew",), RenewFix(), True)
    assert all("./inv cert.renew" in line for it in found for line in it.cure)
    restarted: list[Run] = []
    monkeypatch.setattr(instance.running, "restart", restarted.append)
    run = Run(settings, Recorder())
    assert (mend.apply([finding], run, engine_of(settings)), restarted) == (1, [run])
    assert (settings.folder / "domain.crt").read_bytes().count(MARK) == whole.count(MARK) == 2
    assert issue.find(settings.folder)


@pytest.mark.process
def test_where_the_issuer_s_key_is_elsewhere_its_certificate_is_put_back_without(settings: Settings) -> None:
    (settings.folder / "issuer.key").unlink()
    with _running(settings, _cut(settings.folder, settings.folder)) as found:
        finding = _chain(found)
    assert (finding.fix, "cat - " in finding.cure[0]) == (None, True)


def test_on_a_client_the_cure_is_for_the_registry_s_machine_and_no_other_root_is_asked_for(
    settings: Settings, tmp_path: Path
) -> None:
    shown = _cut(settings.folder, tmp_path / "there")
    _as_client(settings)
    (finding,) = _remote(settings, shown)
    assert (finding.check, finding.fix) == ("chain", None)
    assert "does not send the certificate of its issuer" in finding.evidence
    assert finding.cure[0].startswith("./inv cert.renew  # on the registry's machine")
    assert COPY not in f"{finding.cure}{finding.instead}"


def test_without_the_right_root_a_client_is_still_told_to_copy_it(settings: Settings, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    shown = _cut(settings.folder, there)
    _as_client(settings)
    forge.save(forge.authority(), settings.folder, "ca")
    (settings.folder / "ca.key").unlink()
    (finding,) = _remote(settings, shown)
    assert (finding.check, COPY in finding.cure[0]) == ("chain", True)


@pytest.mark.parametrize("sent", [False, True], ids=["none", "one of two"])
def test_of_a_company_s_server_whoever_runs_that_is_told_what_to_do(
    settings: Settings, tmp_path: Path, *, sent: bool
) -> None:
    root = forge.authority(subject="Company Root", pathlen=None, permitted=None)
    middle = forge.issuer(root, subject="Company Middle", pathlen=None, permitted=None)
    issuer = forge.issuer(middle, subject="Company Issuing", permitted=None)
    server = forge.server(issuer, names=(loopback.HOST, "192.168.0.12"))
    _as_client(settings)
    forge.save(root, settings.folder, "ca")
    (settings.folder / "ca.key").unlink()
    (finding,) = _remote(settings, forge.save(server, tmp_path / "there", "domain", *([issuer] if sent else [])))
    assert f"issuer, {'Company Middle' if sent else 'Company Issuing'}, behind its own" in finding.evidence
    assert (finding.check, "for whoever runs it" in finding.cure[0], finding.fix) == ("chain", True, None)
    assert "--chain FILE" in finding.instead[0]
    whole = forge.save(server, tmp_path / "there", "domain", issuer, middle)
    assert _remote(settings, whole) == []
