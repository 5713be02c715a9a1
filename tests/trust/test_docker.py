"""The Docker Engine's trust: which file makes it trust, what stands there now, what is written and taken away."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.disk import snapshot
from trusted_registry import files
from trusted_registry.errors import RegistryError
from trusted_registry.files import Remove, Write
from trusted_registry.trust import docker
from trusted_registry.trust import plan as plans
from trusted_registry.trust.docker import Place, State
from trusted_registry.trust.ledger import Entry, digest

OURS, OLD, THEIRS = b"our certificate", b"our old certificate", b"another's certificate"
SPELLINGS = ("192.168.0.12", "192.168.0.12:443")


def _entry(path: Path, content: bytes) -> Entry:
    return Entry("docker", str(path), digest(content), "", "/checkout", "2026-01-02T03:04:05Z")


def _stand(certs_d: Path, content: bytes, spelling: str = SPELLINGS[0]) -> Path:
    path = certs_d / spelling / "ca.crt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _find(certs_d: Path, *ledger: Entry) -> list[State]:
    return [place.state for place in docker.find(certs_d, SPELLINGS, OURS, ledger)]


def test_an_engine_that_runs_as_root_looks_in_etc() -> None:
    assert docker.folder(rootless=False) == Path("/etc/docker/certs.d")


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        ("", "/home/me/.config/docker/certs.d"),
        ("/conf", "/conf/docker/certs.d"),
        ("relative", "/home/me/.config/docker/certs.d"),
    ],
)
def test_an_engine_without_root_looks_in_its_user_s_configuration(configured: str, expected: str) -> None:
    environ = {"XDG_CONFIG_HOME": configured}
    assert docker.folder(rootless=True, environ=environ, home=Path("/home/me")) == Path(expected)


def test_nothing_there_is_absent(tmp_path: Path) -> None:
    assert _find(tmp_path / "certs.d") == [State.ABSENT, State.ABSENT]


def test_this_very_certificate_is_trusted_and_only_in_its_own_spelling(tmp_path: Path) -> None:
    _stand(tmp_path, OURS)
    assert _find(tmp_path) == [State.TRUSTED, State.ABSENT]


def test_an_older_certificate_that_we_wrote_is_stale(tmp_path: Path) -> None:
    path = _stand(tmp_path, OLD)
    assert _find(tmp_path, _entry(path, OLD))[0] is State.STALE


def test_a_certificate_that_the_ledger_does_not_know_is_foreign(tmp_path: Path) -> None:
    _stand(tmp_path, THEIRS)
    assert _find(tmp_path)[0] is State.FOREIGN


def test_a_certificate_that_replaced_ours_is_foreign(tmp_path: Path) -> None:
    path = _stand(tmp_path, THEIRS)
    assert _find(tmp_path, _entry(path, OLD))[0] is State.FOREIGN


def test_our_old_certificate_in_another_place_is_foreign(tmp_path: Path) -> None:
    _stand(tmp_path, OLD)
    assert _find(tmp_path, _entry(tmp_path / "elsewhere", OLD))[0] is State.FOREIGN


@pytest.mark.parametrize("link", ["192.168.0.12", "192.168.0.12/ca.crt"])
def test_a_link_is_refused_and_not_followed(link: str, tmp_path: Path) -> None:
    certs_d, target = tmp_path / "certs.d", tmp_path / "target"
    target.mkdir()
    (certs_d / link).parent.mkdir(parents=True)
    (certs_d / link).symlink_to(target)
    with pytest.raises(RegistryError, match="is a link to") as caught:
        _find(certs_d)
    assert (caught.value.cure, list(target.iterdir())) == (f"Remove it: rm {certs_d / link}", [])


def test_a_folder_in_the_file_s_place_is_an_error_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / SPELLINGS[0] / "ca.crt").mkdir(parents=True)
    with pytest.raises(RegistryError, match="cannot be read") as caught:
        _find(tmp_path)
    assert caught.value.cure


def test_a_file_in_the_folder_s_place_is_an_error_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / SPELLINGS[0]).write_bytes(b"")
    with pytest.raises(RegistryError) as caught:
        _find(tmp_path)
    assert caught.value.cure


def test_what_may_not_be_looked_at_is_an_error_with_a_cure(forbidden: Path) -> None:
    with pytest.raises(RegistryError, match="Permission denied") as caught:
        _find(forbidden)
    assert caught.value.cure


def _places(*states: State) -> list[Place]:
    return [Place(spelling, Path(f"/certs.d/{spelling}/ca.crt"), state) for spelling, state in zip(SPELLINGS, states)]  # noqa: B905 - strict= needs no saying here


@pytest.mark.parametrize("state", [State.ABSENT, State.STALE])
def test_what_is_absent_or_stale_is_written(state: State) -> None:
    plan = docker.plan("docker", _places(state, State.TRUSTED), Path("certs/ca.crt"), OURS)
    assert plan.operations == (Write(Path("/certs.d/192.168.0.12/ca.crt"), OURS, 0o644),)


def test_what_is_trusted_already_needs_nothing() -> None:
    plan = docker.plan("docker", _places(State.TRUSTED, State.TRUSTED), Path("certs/ca.crt"), OURS)
    assert (plan.operations, plan.typed) == ((), ())


def test_another_s_certificate_is_refused_before_anything_is_planned() -> None:
    with pytest.raises(RegistryError, match="was not written here; nothing was changed") as caught:
        docker.plan("docker", _places(State.ABSENT, State.FOREIGN), Path("certs/ca.crt"), OURS)
    assert "/certs.d/192.168.0.12:443/ca.crt" in caught.value.cure


def test_the_command_that_a_person_would_type_makes_folder_file_and_mode() -> None:
    plan = docker.plan("docker", _places(State.ABSENT), Path("certs/ca.crt"), OURS)
    assert plan.typed == (("install", "-D", "-m", "0644", "certs/ca.crt", "/certs.d/192.168.0.12/ca.crt"),)


def test_what_was_written_is_taken_back_with_its_folders_and_no_further(tmp_path: Path) -> None:
    path = _stand(tmp_path / "docker" / "certs.d", OURS)
    (tmp_path / "docker" / "daemon.json").write_bytes(b"{}")
    plan, changed = docker.removal("docker", [_entry(path, OURS)])
    files.carry_out(list(plan.operations))
    assert (changed, set(snapshot(tmp_path))) == ([], {"docker", "docker/daemon.json"})


def test_removal_leaves_another_registry_s_folder_alone(tmp_path: Path) -> None:
    path = _stand(tmp_path / "docker" / "certs.d", OURS)
    other = _stand(tmp_path / "docker" / "certs.d", THEIRS, "other.example")
    plan, _ = docker.removal("docker", [_entry(path, OURS)])
    files.carry_out(list(plan.operations))
    assert (path.exists(), other.read_bytes()) == (False, THEIRS)


def test_what_was_changed_since_it_was_written_stays_and_is_named(tmp_path: Path) -> None:
    path = _stand(tmp_path, THEIRS)
    plan, changed = docker.removal("docker", [_entry(path, OURS)])
    assert (plan.operations, changed) == ((), [path])


def test_what_is_gone_already_needs_no_removal(tmp_path: Path) -> None:
    plan, changed = docker.removal("docker", [_entry(tmp_path / "gone", OURS)])
    assert (plan.operations, changed) == ((), [])


def test_removal_of_what_may_not_be_looked_at_is_an_error(forbidden: Path) -> None:
    with pytest.raises(RegistryError, match="Permission denied"):
        docker.removal("docker", [_entry(forbidden / SPELLINGS[0] / "ca.crt", OURS)])


def test_the_command_that_takes_it_back_names_file_and_folder() -> None:
    path = Path("/certs.d/192.168.0.12/ca.crt")
    plan = plans.removal("docker", (Remove(path, keep=Path("/")),))
    assert plan.typed[0] == ("rm", str(path))
    assert plan.typed[1][0] == "rmdir"
