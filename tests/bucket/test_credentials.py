"""Access keys of a bucket: read in either form, kept private, and in no output."""

from __future__ import annotations

import io
import json
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from trusted_registry.bucket import credentials
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.saved_flags import STORAGE_KEY

if TYPE_CHECKING:
    from pathlib import Path

AWS = "[other]\naws_access_key_id = NO\n[default]\naws_access_key_id = KEY\naws_secret_access_key = s/e+c%r=et\n"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"access_key": "KEY", "secret_key": "secret"}', Credentials("KEY", "secret")),
        ('{"access_key": "KEY", "secret_key": "secret", "token": "t", "more": 1}', Credentials("KEY", "secret", "t")),
        ('{"access_key": "KEY", "secret_key": "secret", "token": null}', Credentials("KEY", "secret")),
        (AWS, Credentials("KEY", "s/e+c%r=et")),
        (f"{AWS}aws_session_token = t\n", Credentials("KEY", "s/e+c%r=et", "t")),
    ],
)
def test_a_json_object_and_an_aws_file_are_read(content: str, found: Credentials) -> None:
    assert credentials.parse(content.encode(), "x") == found


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{}", b"[]", b"\xff\xfe", b"{" * 50_000, b'{"access_key": "KEY"}', b"KEY:secret", b"[default]\nx"),
        b'{"access_key": "KEY", "secret_key": 7}',
        b'{"access_key": ["KEY"], "secret_key": "secret"}',
        b'{"access_key": "KEY", "secret_key": "two lines\\nsecret"}',
        b'{"access_key": "KEY", "secret_key": ""}',
        b"[profile other]\naws_access_key_id = KEY\naws_secret_access_key = secret\n",
        b'{"access_key": "KEY", "secret_key": "' + b"s" * 70_000 + b'"}',
    ],
)
def test_what_has_no_access_key_is_refused_without_a_word_of_it(content: bytes) -> None:
    with pytest.raises(SettingError) as caught:
        credentials.parse(content, "key.json")
    assert caught.value.message == "key.json has no access key that can be used."


def test_they_are_kept_for_the_owner_alone_and_read_again(tmp_path: Path) -> None:
    assert credentials.read(tmp_path) is None
    kept = Credentials("KEY", "secret", "token")
    kept.keep(tmp_path)
    assert stat.S_IMODE((tmp_path / STORAGE_KEY).stat().st_mode) == 0o600
    assert credentials.read(tmp_path) == kept
    assert "secret" not in repr(kept)
    assert "token'" not in repr(kept)


def test_they_are_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = io.TextIOWrapper(io.BytesIO(json.dumps({"access_key": "KEY", "secret_key": "secret"}).encode()))
    monkeypatch.setattr(sys, "stdin", typed)
    assert credentials.read_named("-") == Credentials("KEY", "secret")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="cannot be read: No such file"):
        credentials.read_named(str(tmp_path / "absent.json"))
