"""Settings of a bucket: checked, remembered, and never asked for where there is none."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.recorder import Recorder
from trusted_registry.bucket import opening
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.bucket.location import Location
from trusted_registry.errors import RegistryError, SettingError
from trusted_registry.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import MakeSettings

ENDPOINT = "https://192.168.0.9:8333"


def test_a_bucket_is_where_the_settings_say(make_settings: MakeSettings) -> None:
    settings = make_settings(storage="s3://images/a/b/", storage_endpoint=f"{ENDPOINT}/", storage_ca="x/ca.crt")
    at = Location("images", "a/b", ENDPOINT, authority=settings.root / "x/ca.crt")
    assert opening.location(settings) == at
    assert (str(at), at.key("docker/x")) == ("s3://images/a/b", "a/b/docker/x")


@pytest.mark.parametrize(
    "given",
    [
        *({"storage": it} for it in ("images", "s3://", "s3://a", "s3://Images", "s3://images//x", "s3://images/../x")),
        *({"storage": it} for it in ("s3://images/a b", "s3://images/a\nb", "s3://images/é", "https://x/images")),
        *(
            {"storage_endpoint": it}
            for it in ("192.168.0.9", "https://", "https://u:p@x", "https://x/y", "https://x:1:2")
        ),
        *({"storage_endpoint": it} for it in ("ftp://x", "https://x?y", "https://x\n")),
        *({"storage_region": it} for it in ("eu central", "x: y")),
        *({"storage_insecure": "yes"}, {"storage_ca": "a\nb"}, {"storage_endpoint": "http://192.168.0.9:8333"}),
    ],
)
def test_what_no_bucket_can_be_is_refused(given: dict[str, str], make_settings: MakeSettings) -> None:
    with pytest.raises(SettingError):
        make_settings(**given)


def test_an_endpoint_without_tls_is_taken_once_somebody_agrees(make_settings: MakeSettings) -> None:
    settings = make_settings(storage_endpoint="http://192.168.0.9:8333", storage_insecure="on")
    assert settings.storage_endpoint == "http://192.168.0.9:8333"


def test_flags_are_checked_and_remembered(make_settings: MakeSettings) -> None:
    run = Run(make_settings(), Recorder())
    told = {"storage_endpoint": ENDPOINT, "storage_region": "", "storage_ca": "/x/ca.crt", "storage_insecure": ""}
    goal = opening.chosen(run, "s3://images/a/", told).settings
    flags = {"storage": "s3://images/a", "storage_endpoint": ENDPOINT, "storage_ca": "/x/ca.crt"}
    assert goal.saved_flags == {**run.settings.saved_flags, **flags}
    assert (goal.storage, goal.storage_region) == ("s3://images/a", "us-east-1")
    for to, wrong in (("volume", {}), ("", {}), ("s3://images", {"storage_endpoint": "http://x"})):
        with pytest.raises(SettingError):
            opening.chosen(run, to, wrong)


def test_a_bucket_without_a_key_and_an_authority_that_is_none_are_told(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    settings = make_settings(storage="s3://images", storage_endpoint=ENDPOINT)
    with pytest.raises(SettingError, match="There is no access key of s3://images"):
        opening.opened(settings)
    (tmp_path / "ca.crt").write_text("no certificate\n")
    other = make_settings(storage="s3://images", storage_endpoint=ENDPOINT, storage_ca=str(tmp_path / "ca.crt"))
    with pytest.raises(SettingError, match="has no certificate of an authority"):
        opening.opened(other, Credentials("KEY", "secret"))


def test_a_machine_without_boto3_is_told_how_to_get_it(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(RegistryError, match="need the package boto3") as caught:
        opening.opened(make_settings(storage="s3://images"), Credentials("KEY", "secret"))
    assert caught.value.cure == ".venv/bin/python -m pip install boto3"


@pytest.mark.process
def test_a_registry_without_a_bucket_loads_nothing_of_one() -> None:
    tasks = "lifecycle, registry, registry_upgrade, registry_users, trust, cert"
    ask = "[it for it in sys.modules if it.startswith(('trusted_registry.bucket', 'boto'))]"
    script = f"""import sys
from trusted_registry import status, saved_flags
from trusted_registry.tasks import {tasks}
from trusted_registry.instance import checks, roles, running
sys.exit(', '.join({ask}) or 0)"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
