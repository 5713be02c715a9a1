"""What --fix leaves alone in the stores that are written on request: the system's, browsers' and Java's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from tests import forge, programs
from tests.disk import snapshot
from tests.programs import on_host
from tests.recorder import Recorder
from tests.trust.boxes import Box
from trusted_registry import program
from trusted_registry.engine import connection
from trusted_registry.errors import RegistryError
from trusted_registry.run import Run
from trusted_registry.tasks import doctor
from trusted_registry.trust import client_stores
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import trust_anchor

if TYPE_CHECKING:
    from pathlib import Path

    from trusted_registry.doctor.finding import Finding
    from trusted_registry.settings import Settings

pytestmark = pytest.mark.process

ANCHORS = tuple(store for store in client_stores.STORES if store.name == "system" and not store.database)
OTHER = "somebody else's\n"


def _nobody(**_: bool) -> NoReturn:
    raise RegistryError("No Docker Engine answers on this machine.", cure="./inv engine")


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A machine with every family's folder of anchors and without an engine, which every task takes for this one."""
    made = Box(tmp_path / "machine")
    monkeypatch.setattr(machines, "current", lambda: made.machine)
    monkeypatch.setattr(connection, "client", _nobody)
    for store in ANCHORS:
        made.folder(store.signs.paths[0])
        assert store.refresh
        programs.put(store.refresh.command[0], "exit 0", tmp_path, monkeypatch)
    return made


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another's certificate."""
    return forge.save(forge.authority(subject="another authority"), tmp_path, "other")


@pytest.fixture
def browser(box: Box) -> Path:
    """A database of a browser's, made by the real certutil."""
    box.program("certutil")
    folder = box.folder("{home}/.pki/nssdb")
    _typed("certutil", "-N", "-d", f"sql:{folder}", "--empty-password")
    return folder


@pytest.fixture
def java(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A keystore that the real keytool takes for the runtime's."""
    real, keystore = programs.real("keytool"), tmp_path / "cacerts"
    own = f'[ "$word" = -cacerts ] && set -- "$@" -keystore {keystore} || set -- "$@" "$word"'
    programs.put("keytool", f'for word; do shift; {own}; done; exec {real} "$@"', tmp_path, monkeypatch)
    box.program("keytool")
    return keystore


def _typed(*argv: str) -> str:
    result = program.capture(argv)
    assert result.ok, result.err
    return result.out


def _fixed(settings: Settings, client: str) -> tuple[list[Finding], Recorder]:
    """Have doctor mend all it may about a client, a person saying yes to everything; return what is left wrong."""
    console = Recorder()
    found = doctor.examine(Run(settings, console), client=client, remote="", fix=True)
    return [finding for finding in found if finding.client == client], console


def _nss(folder: Path) -> dict[str, tuple[str, str]]:
    """Return trust and certificate by nickname: all that a database says."""
    lines = _typed("certutil", "-L", "-d", f"sql:{folder}").splitlines()[4:]  # a title in two lines between blank ones
    held = [line.rsplit(maxsplit=1) for line in lines]
    named = {name.rstrip(): trust for name, trust in held}
    return {
        name: (trust, _typed("certutil", "-L", "-a", "-d", f"sql:{folder}", "-n", name))
        for name, trust in named.items()
    }


def _nss_add(folder: Path, name: str, trust: str, certificate: Path) -> None:
    _typed("certutil", "-A", "-d", f"sql:{folder}", "-t", trust, "-n", name, "-i", str(certificate))


def _jks(alias: str) -> str:
    return _typed("keytool", "-list", "-rfc", "-cacerts", "-storepass", "changeit", "-alias", alias)


def _jks_add(alias: str, certificate: Path) -> None:
    named = ("-cacerts", "-storepass", "changeit", "-alias", alias)
    _typed("keytool", "-importcert", "-noprompt", *named, "-file", str(certificate))


# The system's anchors


@pytest.mark.parametrize("key", [store.key for store in ANCHORS])
def test_a_foreign_anchor_by_the_very_name_that_ours_would_have_stays_and_no_family_is_written(
    key: str, box: Box, settings: Settings
) -> None:
    (file,) = next(store for store in ANCHORS if store.key == key).files(trust_anchor.load(settings))
    box.file(file.path, OTHER)
    before = snapshot(box.root)
    left, console = _fixed(settings, "system")
    assert snapshot(box.root) == before
    assert any(f"{box.machine.path(file.path)} holds something" in warning for warning in console.warned)
    assert any(finding.fix is None and file.path in finding.evidence for finding in left)


def test_another_s_anchor_beside_ours_stays_as_it_is(box: Box, settings: Settings, other: Path) -> None:
    for store in ANCHORS:
        box.file(f"{store.signs.paths[0]}/theirs.crt", other.read_bytes(), mode=0o640)
    before = snapshot(box.root)
    assert _fixed(settings, "system")[0] == []
    after = snapshot(box.root)
    assert len(after) == len(before) + len(ANCHORS)
    assert {path: after[path] for path in before} == before


# Browsers


@on_host("certutil")
def test_another_s_certificate_by_the_very_nickname_of_ours_stays_and_is_named(
    browser: Path, settings: Settings, other: Path
) -> None:
    name = trust_anchor.load(settings).name
    _nss_add(browser, name, "P,,", other)
    before = _nss(browser)
    assert list(before) == [name]
    left, console = _fixed(settings, "nss")
    assert _nss(browser) == before
    assert (console.asked, [finding.fix for finding in left]) == ([], [None])
    assert (name in left[0].evidence, left[0].cure[0].startswith("certutil -L")) == (True, True)
    assert left[0].cure[1].startswith(f"certutil -D -d sql:{browser} -n {name} && ./inv trust.linux --only nss")


@on_host("certutil")
@pytest.mark.parametrize("trust", [",,", "p,,", "T,c,"])
def test_our_certificate_that_somebody_keeps_under_a_name_and_with_trust_of_his_own_stays_so(
    trust: str, browser: Path, settings: Settings
) -> None:
    _nss_add(browser, "my registry", trust, settings.folder / "ca.crt")
    before = _nss(browser)
    left, _ = _fixed(settings, "nss")
    assert _nss(browser) == before
    assert ["my registry" in finding.evidence and finding.fix is None for finding in left] == [True]


@on_host("certutil")
def test_our_certificate_that_somebody_trusts_under_a_name_of_his_own_is_trusted(
    browser: Path, settings: Settings
) -> None:
    _nss_add(browser, "my registry", "CT,,", settings.folder / "ca.crt")
    before = _nss(browser)
    left, console = _fixed(settings, "nss")
    assert (_nss(browser), left, console.asked) == (before, [], [])


@on_host("certutil")
def test_another_s_certificates_beside_ours_stay_as_they_are(browser: Path, settings: Settings, other: Path) -> None:
    _nss_add(browser, "theirs", "p,,", other)
    before = _nss(browser)
    assert _fixed(settings, "nss")[0] == []
    after = _nss(browser)
    assert (after.pop(trust_anchor.load(settings).name)[0], after) == ("C,,", before)


# Java


@on_host("keytool")
def test_another_s_certificate_by_the_very_alias_of_ours_stays_and_is_named(
    java: Path, settings: Settings, other: Path
) -> None:
    name = trust_anchor.load(settings).name
    _jks_add(name, other)
    before = java.read_bytes()
    left, console = _fixed(settings, "java")
    assert java.read_bytes() == before
    assert (console.asked, [finding.fix for finding in left]) == ([], [None])
    assert left[0].cure[1].startswith("sudo keytool -delete")


@pytest.mark.long
@on_host("keytool")
def test_another_s_certificate_beside_ours_in_java_s_keystore_stays_as_it_is(
    java: Path, settings: Settings, other: Path
) -> None:
    _jks_add("theirs", other)
    before = _jks("theirs")
    assert _fixed(settings, "java")[0] == []
    assert (_jks("theirs"), java.stat().st_size > 0) == (before, True)
    assert "BEGIN CERTIFICATE" in _jks(trust_anchor.load(settings).name)


@pytest.mark.long
@on_host("keytool")
def test_debian_s_own_entry_for_java_that_is_another_s_keeps_the_system_from_being_told(
    java: Path, box: Box, settings: Settings, other: Path
) -> None:
    box.file("/etc/ca-certificates/update.d/jks-keystore")
    _jks_add(f"debian:{trust_anchor.load(settings).name}.pem", other)
    before = (java.read_bytes(), snapshot(box.root))
    left, console = _fixed(settings, "system")
    assert ((java.read_bytes(), snapshot(box.root)), bool(console.warned)) == (before, True)
    assert any(finding.fix is None for finding in left)
