"""What was written where is remembered, so that exactly that can be taken back."""

from __future__ import annotations

import json
import os
import pwd
import re
from pathlib import Path

import pytest

from tests.disk import mode
from tests.marks import by_root
from trusted_registry.errors import RegistryError
from trusted_registry.trust.local import ledger
from trusted_registry.trust.local.ledger import Entry


def _entry(path: str = "/certs.d/a/ca.crt", sha256: str = "aa", value: str = "") -> Entry:
    return Entry("docker", path, sha256, value, "/checkout", "2026-01-02T03:04:05Z")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger is to be."""
    return tmp_path / "state" / "ledger.json"


@pytest.mark.parametrize(
    ("state", "expected"),
    [("", "/home/me/.local/state"), ("/state", "/state"), ("relative", "/home/me/.local/state")],
)
def test_it_lies_where_xdg_says(state: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_STATE_HOME", state)
    assert ledger.path() == Path(expected) / "trusted-registry" / "ledger.json"


@by_root
@pytest.mark.parametrize("state", ["", "/state"])
def test_root_s_lies_in_root_s_own_home_where_sudo_kept_another_user_s(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", state)
    os.chown(tmp_path, 1234, 1234)
    root_s = pwd.getpwuid(0).pw_dir
    assert ledger.path() == Path(root_s, ".local/state/trusted-registry/ledger.json")


def test_before_anything_was_written_it_is_empty(path: Path) -> None:
    assert ledger.read(path) == []


def test_what_was_recorded_is_read_back_in_order(path: Path) -> None:
    ledger.record(path, [_entry("/b")])
    ledger.record(path, [_entry("/a")])
    assert ledger.read(path) == [_entry("/b"), _entry("/a")]


def test_one_place_is_recorded_once_per_content(path: Path) -> None:
    ledger.record(path, [_entry()])
    ledger.record(path, [_entry()])
    assert ledger.read(path) == [_entry()]


def test_two_values_in_one_shared_file_are_two_entries(path: Path) -> None:
    ledger.record(path, [_entry(value="a:5000")])
    ledger.record(path, [_entry(value="b:5000")])
    assert [entry.value for entry in ledger.read(path)] == ["a:5000", "b:5000"]


def test_the_same_name_in_two_stores_without_a_path_is_two_entries(path: Path) -> None:
    both = [Entry(store, "", "aa", "name", "/checkout", "2026-01-02T03:04:05Z") for store in ("java", "system-java")]
    for it in both:
        ledger.record(path, [it])
    assert ledger.read(path) == both


def test_what_was_taken_back_is_forgotten_and_nothing_else(path: Path) -> None:
    ledger.record(path, [_entry("/a"), _entry("/b")])
    ledger.forget(path, [_entry("/a")])
    assert ledger.read(path) == [_entry("/b")]


def test_nothing_to_record_makes_no_file(path: Path) -> None:
    ledger.record(path, [])
    assert not path.exists()


def test_it_is_its_owner_s_alone(path: Path) -> None:
    ledger.record(path, [_entry()])
    assert mode(path) == 0o600


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", "null", "[" * 9999, '{"version": 1, "entries": 3}'),
        *('{"version": 1, "entries": [{}]}', '{"version": 1, "entries": ["a"]}', '{"version": "1", "entries": []}'),
        '{"version": 1, "entries": [{"store": "a", "path": 3, "sha256": "", "value": "", "by": "", "time": ""}]}',
    ],
)
def test_a_damaged_one_is_named_with_a_cure_and_stays(text: str, path: Path) -> None:
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(RegistryError, match="is damaged") as caught:
        ledger.record(path, [_entry()])
    assert (path.read_text(), caught.value.cure) == (text, f"Move it away: mv {path} {path}.damaged")


def test_one_that_may_not_be_read_is_not_called_damaged(forbidden: Path) -> None:
    with pytest.raises(RegistryError, match="cannot be read: Permission denied") as caught:
        ledger.read(forbidden / "ledger.json")
    assert "ls -l" in caught.value.cure


def test_one_of_a_newer_version_is_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"version": 2, "entries": {}}')
    with pytest.raises(RegistryError, match="newer version"):
        ledger.record(path, [_entry()])
    assert path.read_text() == '{"version": 2, "entries": {}}'


def test_an_entry_from_before_folders_were_remembered_is_still_known(path: Path) -> None:
    ledger.record(path, [_entry()])
    said = json.loads(path.read_text())
    del said["entries"][0]["keep"]
    path.write_text(json.dumps(said))
    assert ledger.read(path) == [_entry()]


def test_what_an_entry_says_beyond_that_is_passed_over(path: Path) -> None:
    ledger.record(path, [_entry()])
    said = json.loads(path.read_text())
    said["entries"][0]["colour"] = "blue"
    path.write_text(json.dumps(said))
    assert ledger.read(path) == [_entry()]


def _record(ledger_path: Path, file: Path, content: bytes = b"") -> Entry:
    ledger.record(ledger_path, [ledger.entry("docker", file, content, by=Path("/checkout"))])
    return ledger.read(ledger_path)[-1]


def test_an_entry_remembers_the_nearest_folder_that_was_there(path: Path, tmp_path: Path) -> None:
    assert _record(path, tmp_path / "certs.d" / "a" / "ca.crt").keep == str(tmp_path)


def test_a_folder_that_an_earlier_write_made_is_not_taken_for_older(path: Path, tmp_path: Path) -> None:
    first, second = (tmp_path / "certs.d" / name / "ca.crt" for name in ("a", "b"))
    _record(path, first)
    first.parent.mkdir(parents=True)
    assert _record(path, second).keep == str(tmp_path)


def test_a_folder_that_somebody_else_made_since_is_not_taken_for_ours(path: Path, tmp_path: Path) -> None:
    _record(path, tmp_path / "certs.d" / "a" / "ca.crt")
    (tmp_path / "other" / "b").mkdir(parents=True)
    assert _record(path, tmp_path / "other" / "b" / "ca.crt").keep == str(tmp_path / "other" / "b")


@pytest.mark.parametrize("content", [b"", b"another"], ids=["the same", "another"])
def test_a_second_write_of_a_file_keeps_what_the_first_one_found(content: bytes, path: Path, tmp_path: Path) -> None:
    file = tmp_path / "certs.d" / "a" / "ca.crt"
    _record(path, file)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    assert _record(path, file, content).keep == str(tmp_path)


def test_its_file_says_its_version(path: Path) -> None:
    ledger.record(path, [_entry()])
    assert json.loads(path.read_text())["version"] == 1


def test_an_entry_names_the_place_the_checkout_and_the_digest_of_the_content() -> None:
    entry = ledger.entry("docker", Path("/a"), b"text", by=Path("/checkout"))
    assert (entry.store, entry.path, entry.by) == ("docker", "/a", "/checkout")
    assert entry.sha256 == "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"


def test_an_entry_s_time_is_utc_and_sorts() -> None:
    entry = ledger.entry("docker", Path("/a"), b"", by=Path("/"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry.time)
