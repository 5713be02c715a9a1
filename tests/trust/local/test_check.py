"""Trust is proved by what clients pull: real ones here, from a real TLS server, and by what each is told to trust."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from tests import forge, loopback, programs
from tests.disk import as_client
from tests.recorder import Recorder
from tests.trust.boxes import Box
from trusted_registry.engine import connection
from trusted_registry.errors import AccessDeniedError, RegistryError
from trusted_registry.registry import users
from trusted_registry.run import Run
from trusted_registry.trust import machine as machines
from trusted_registry.trust.local import check
from trusted_registry.trust.specifics import pulls
from trusted_registry.trust.specifics.pulls import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeSettings
    from trusted_registry.settings import Settings

OF_SYSTEM = ("curl", "python3", "openssl")
NAMES = (loopback.HOST, "registry.local")
X509 = "x509: certificate signed by unknown authority"

pytestmark = [pytest.mark.process, programs.on_host("curl")]


@pytest.fixture(autouse=True)
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A machine with no engine, and no clients but those that every one has; a test puts others here."""
    made = Box(tmp_path)
    for name in ("curl", "openssl", "sleep", "mkdir", "rmdir"):
        (made.programs / name).symlink_to(programs.real(name))
    # not the python3 on PATH, which may be a script that looks for others there
    (made.programs / "python3").symlink_to(Path(sys.executable).resolve())
    monkeypatch.setenv("PATH", str(made.programs))
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    monkeypatch.setattr(machines, "current", lambda: made.machine)
    monkeypatch.setattr(connection, "client", _nobody)
    return made


def _nobody(**_: bool) -> NoReturn:
    raise RegistryError("No Docker Engine answers on this machine.", cure="./inv engine")


def _denied(**_: bool) -> NoReturn:
    raise AccessDeniedError("You may not use the Docker Engine.", cure="sudo usermod …")


@pytest.fixture
def held() -> dict[str, bytes]:
    """What the registry holds."""
    return {}


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """Settings with an authority in their folder, and a server certificate that it signed."""
    made = make_settings()
    authority = forge.authority()
    forge.save(forge.server(authority, names=NAMES), made.folder, "domain")
    forge.save(authority, made.folder, "ca")
    return made


@pytest.fixture
def there(settings: Settings, held: dict[str, bytes]) -> Iterator[Settings]:
    """The same, where the registry answers: on loopback, which Settings itself would refuse."""
    with loopback.registry(settings.folder / "domain.crt", held=held) as port:
        yield dataclasses.replace(settings, address=loopback.HOST, port=port)


def _by_client(rows: list[check.PullResult]) -> dict[str, check.PullResult]:
    return {pull.client: pull for pull in rows}


def _put(name: str, script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a client here that writes down what it is asked, and return where."""
    programs.put(name, f'echo "$@" >> {tmp_path}/{name}.asked\n{script}', tmp_path, monkeypatch)
    return tmp_path / f"{name}.asked"


def test_real_clients_are_accepted_where_they_trust_the_authority(
    there: Settings, held: dict[str, bytes], console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(there.folder / "ca.crt"))
    rows = _by_client(check.check(Run(there, console)))
    assert {name: rows[name].verdict for name in OF_SYSTEM} == dict.fromkeys(OF_SYSTEM, Verdict.ACCEPTED)
    assert not [path for path in held if "/manifests/" in path], "the image is gone again"


def test_real_clients_are_refused_where_they_do_not_and_nobody_is_blamed_who_was_not_asked(
    there: Settings, held: dict[str, bytes], console: Recorder
) -> None:
    rows = _by_client(check.check(Run(there, console)))
    for name in OF_SYSTEM:
        pull = rows[name]
        assert (pull.verdict, pull.counts, pull.bad) == (Verdict.REFUSED, False, False)
        assert "unable to get local issuer certificate" in pull.reason or "self-signed" in pull.reason
        assert pull.cure == "./inv trust.linux --only system"
    assert not [path for path in held if "/manifests/" in path]


def test_who_is_named_must_trust_and_nobody_else_is_asked(there: Settings, console: Recorder) -> None:
    (pull,) = check.check(Run(there, console), ("curl",))
    assert (pull.client, pull.counts, pull.bad) == ("curl", True, True)


def test_who_is_named_and_not_here_is_no_success(there: Settings, console: Recorder) -> None:
    (pull,) = check.check(Run(there, console), ("skopeo",))
    assert (pull.verdict, pull.bad) == (Verdict.ABSENT, True)


def test_who_is_not_here_is_told_as_such(there: Settings, console: Recorder) -> None:
    rows = check.check(Run(there, console))
    assert [pull.client for pull in rows] == list(pulls.NAMES)
    assert {
        pull.client: pull.reason for pull in rows if pull.reason and not pull.bad and pull.client not in OF_SYSTEM
    } == {"docker": "no engine answers"}
    assert {pull.client for pull in rows if pull.verdict is Verdict.ABSENT} == set(pulls.NAMES) - set(OF_SYSTEM)
    assert not any(pull.bad for pull in rows)


def test_a_client_of_images_counts_by_being_here_and_is_asked_by_each_spelling(
    there: Settings, tmp_path: Path, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _put("podman", f'[ "$1" = rmi ] || {{ echo "Error: {X509}" >&2; exit 125; }}', tmp_path, monkeypatch)
    rows = [it for it in check.check(Run(there, console)) if it.client == "podman"]
    assert [pull.registry_host for pull in rows] == [f"{loopback.HOST}:{there.port}"]
    assert [(pull.verdict, pull.bad, pull.reason) for pull in rows] == [(Verdict.REFUSED, True, X509)]
    assert rows[0].cure == "./inv trust.linux --only podman"
    version, pull, rmi = asked.read_text().splitlines()
    assert version == "--version"
    assert pull.removeprefix("pull ") == rmi.removeprefix("rmi ") == console.commands[0][2]


def test_what_was_pulled_is_removed_though_the_client_hangs(
    there: Settings, tmp_path: Path, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "_PATIENCE", 0.3)
    asked = _put("podman", '[ "$1" != pull ] || exec sleep 60', tmp_path, monkeypatch)
    (pull,) = check.check(Run(there, console), ("podman",))
    assert (pull.verdict, pull.bad) == (Verdict.FAILED, True)
    assert "did not end within" in pull.reason
    assert asked.read_text().splitlines()[-1].startswith("rmi ")


def test_clients_that_share_their_images_take_turns(
    there: Settings, tmp_path: Path, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("podman", "buildah"):
        _put(name, f"mkdir {tmp_path}/storage && sleep 0.1 && rmdir {tmp_path}/storage", tmp_path, monkeypatch)
    rows = check.check(Run(there, console), ("podman", "buildah"))
    assert [pull.verdict for pull in rows] == [Verdict.ACCEPTED] * 2


def test_a_client_whose_service_does_not_run_is_not_asked(
    there: Settings, box: Box, tmp_path: Path, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _put("ctr", "exit 0", tmp_path, monkeypatch)
    pull = _by_client(check.check(Run(there, console)))["ctr"]
    at = box.machine.path("/run/containerd/containerd.sock")
    assert (pull.verdict, pull.reason) == (Verdict.ABSENT, f"its service does not run: there is no {at}")
    assert not asked.exists()
    box.file("/run/containerd/containerd.sock", mode=0o666)
    assert _by_client(check.check(Run(there, console)))["ctr"].verdict is Verdict.ACCEPTED
    said = asked.read_text()
    assert said.index("images pull") < said.index("images remove --sync") < said.index("namespaces remove")


def test_a_client_that_takes_root_is_told_how_where_sudo_would_ask_for_a_password(
    there: Settings, box: Box, tmp_path: Path, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.file("/run/containerd/containerd.sock", mode=0o600)
    _put("ctr", "exit 0", tmp_path, monkeypatch)
    _put("sudo", 'echo "sudo: a password is required" >&2; exit 1', tmp_path, monkeypatch)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.access", lambda path, _: "containerd.sock" not in str(path))
    (pull,) = check.check(Run(there, console), ("ctr",))
    assert (pull.verdict, pull.cure) == (Verdict.FAILED, "sudo -v && ./inv trust.check")
    assert pull.reason == "sudo: a password is required"


def test_an_engine_that_lets_nobody_in_is_a_failure_and_not_an_absence(
    there: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "client", _denied)
    rows = _by_client(check.check(Run(there, console)))
    pull = rows["docker"]
    assert (pull.verdict, pull.bad, pull.cure) == (Verdict.FAILED, True, "sudo usermod …")
    assert rows["skopeo"].verdict is Verdict.ABSENT


def test_a_disk_that_takes_nothing_temporary_is_named_with_a_cure(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(RegistryError, match="cannot be written: No such file"):
        check.check(Run(settings, Recorder()))


def test_a_dry_run_shows_every_command_and_asks_nobody(settings: Settings, tmp_path: Path) -> None:
    console = Recorder(dry=True)
    assert check.check(Run(settings, console)) == []
    assert [command[0] for command in console.commands] == list(OF_SYSTEM)
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".asked"]


def test_a_dry_run_shows_how_an_image_is_removed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put("podman", "exit 0", tmp_path, monkeypatch)
    console = Recorder(dry=True)
    check.check(Run(settings, console), ("podman",))
    assert [command[:2] for command in console.commands] == [["podman", "pull"], ["podman", "rmi"]] * 2


def test_a_registry_that_does_not_answer_is_one_error(settings: Settings, console: Recorder) -> None:
    with loopback.silence() as port:
        silent = dataclasses.replace(settings, address=loopback.HOST, port=port)
        with pytest.raises(RegistryError, match="No registry answers at") as caught:
            check.check(Run(silent, console))
    assert "./inv up" in caught.value.cure


def test_a_registry_of_another_authority_is_one_error(
    there: Settings, held: dict[str, bytes], console: Recorder
) -> None:
    forge.save(forge.authority(), there.folder, "ca")
    with pytest.raises(RegistryError, match="is not the authority of the registry"):
        check.check(Run(there, console))
    assert not held


def test_a_registry_whose_certificate_nobody_can_accept_is_one_error(settings: Settings, console: Recorder) -> None:
    expired = forge.server(forge.load(settings.folder, "ca"), names=NAMES, age=30, days=29)
    served = forge.save(expired, settings.folder / "served", "domain")
    with loopback.registry(served) as port:
        late = dataclasses.replace(settings, address=loopback.HOST, port=port)
        with pytest.raises(RegistryError, match=r"No client can accept .* expired") as caught:
            check.check(Run(late, console))
    assert "cert.renew" in caught.value.cure


def test_without_a_certificate_to_trust_nothing_is_asked(make_settings: MakeSettings, console: Recorder) -> None:
    with pytest.raises(RegistryError, match="holds no certificate to trust"):
        check.check(Run(make_settings(), console))
    assert not console.commands


def test_no_key_is_needed(there: Settings, console: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    as_client(there.folder)
    monkeypatch.setenv("SSL_CERT_FILE", str(there.folder / "ca.crt"))
    assert _by_client(check.check(Run(there, console)))["curl"].verdict is Verdict.ACCEPTED


def test_a_registry_that_wants_a_login_is_asked_as_far_as_that_goes(
    settings: Settings, console: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users.save(tmp_path, users.Login("someone", "secret"))
    monkeypatch.setenv("SSL_CERT_FILE", str(settings.folder / "ca.crt"))
    with loopback.registry(settings.folder / "domain.crt", users=tmp_path) as port:
        there = dataclasses.replace(settings, address=loopback.HOST, port=port)
        rows = check.check(Run(there, console), ("curl", "python3"))
        monkeypatch.delenv("SSL_CERT_FILE")
        refused = check.check(Run(there, console), ("curl", "python3"))
    assert [pull.verdict for pull in rows] == [Verdict.ACCEPTED] * 2
    assert all("login" in pull.reason for pull in rows)
    assert [pull.verdict for pull in refused] == [Verdict.REFUSED] * 2


@pytest.mark.parametrize(
    ("name", "reason", "system", "said"),
    [
        ("podman", X509, "Linux", "./inv trust.linux --only podman"),
        (
            "curl",
            "SSL certificate problem: unable to get local issuer certificate",
            "Linux",
            "./inv trust.linux --only system",
        ),
        ("java", "PKIX path building failed", "Linux", "./inv trust.linux --only java"),
        ("docker", X509, "Darwin", "./inv trust.macos"),
        ("docker", "x509: certificate has expired", "Linux", "./inv cert.renew"),
        ("docker", "server gave HTTP response to HTTPS client", "Linux", "./inv up"),
    ],
)
def test_a_refusal_comes_with_its_cure(
    name: str, reason: str, system: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    client = next(client for client in pulls.CLIENTS if client.name == name)
    assert check.pull_cure(client, reason).startswith(said)
