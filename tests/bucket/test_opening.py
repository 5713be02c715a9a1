"""Settings of a bucket: checked, remembered, and never asked for where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.recorder import Recorder
from trusted_registry import files, installation, saved_flags
from trusted_registry.archives import secrets
from trusted_registry.bucket import faults, marker, opening
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.bucket.location import MOVE, Location
from trusted_registry.bucket.moving import Note
from trusted_registry.certificate import clear
from trusted_registry.errors import RegistryError, SettingError, StorageError, StorageFault
from trusted_registry.run import Run

if TYPE_CHECKING:
    from tests.conftest import MakeSettings
    from tests.s3_store import S3Store

ENDPOINT = "https://192.168.0.9:8333"


def test_a_bucket_is_where_the_settings_say(make_settings: MakeSettings) -> None:
    settings = make_settings(storage="s3://images/a/b/", storage_endpoint=f"{ENDPOINT}/")
    at = Location("images", "a/b", ENDPOINT)
    assert opening.location(settings) == at
    files.write(settings.folder / saved_flags.STORAGE_CA, b"kept")
    assert opening.location(settings).authority == settings.folder / saved_flags.STORAGE_CA
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
        *({"storage_endpoint": f"https://{it}"} for it in ("a..b", "-a", "a-", "[:::::]", "[1]", "x:0", "x:99999")),
        *({"storage_region": it} for it in ("-x", "x-", "7", "x" * 64)),
        *({"storage_endpoint": it} for it in ("ftp://x", "https://x?y", "https://x\n")),
        *({"storage_region": it} for it in ("eu central", "x: y")),
        *({"storage_insecure": "yes"}, {"storage_endpoint": "http://192.168.0.9:8333"}),
    ],
)
def test_what_no_bucket_can_be_is_refused(given: dict[str, str], make_settings: MakeSettings) -> None:
    with pytest.raises(SettingError):
        make_settings(**given)


@pytest.mark.parametrize("it", ["a", "a.b-c.d", "[::1]:8333", "[fd00::1:2]", "192.168.0.9:65535", "x:1"])
def test_an_endpoint_is_a_name_or_an_address_with_a_port_or_without(it: str, make_settings: MakeSettings) -> None:
    made = make_settings(storage="s3://images", storage_endpoint=f"https://{it}")
    Credentials("KEY", "secret").keep(made.folder)
    assert opening.opened(made).location.endpoint == f"https://{it}"


def test_a_cure_names_all_that_leads_to_the_bucket_but_what_is_to_be_given_anew() -> None:
    at = Location("images", "lan", ENDPOINT, "mars", Path("s3 ca.crt"), MOVE)
    whole = f"./inv registry.move --to s3://images/lan --endpoint {ENDPOINT} --region mars --ca 's3 ca.crt'"
    without_ca = f"./inv registry.move --to s3://images/lan --endpoint {ENDPOINT} --region mars"
    told = (StorageFault.EXPIRED, StorageFault.UNTRUSTED, StorageFault.REGION)
    cures = {it: faults.error(it, "no", at, "list").cure for it in told}
    assert cures[StorageFault.EXPIRED].startswith(f"{whole} --credentials FILE")
    assert cures[StorageFault.UNTRUSTED] == f"{without_ca} --ca FILE"
    assert cures[StorageFault.REGION] == f"{whole.replace(' --region mars', '')} --region REGION"
    plain = Location("images", endpoint="http://192.168.0.9:8333")
    assert plain.words[-1] == "--insecure-storage"


def test_an_endpoint_without_tls_is_taken_once_somebody_agrees(make_settings: MakeSettings) -> None:
    settings = make_settings(storage_endpoint="http://192.168.0.9:8333", storage_insecure="on")
    assert settings.storage_endpoint == "http://192.168.0.9:8333"


def test_flags_are_checked_and_remembered(make_settings: MakeSettings) -> None:
    run = Run(make_settings(), Recorder())
    told = {"storage_endpoint": ENDPOINT, "storage_region": "", "storage_insecure": ""}
    goal = opening.chosen(run, "s3://images/a/", told).settings
    flags = {"storage": "s3://images/a", "storage_endpoint": ENDPOINT}
    assert goal.saved_flags == {**run.settings.saved_flags, **flags}
    assert (goal.storage, goal.storage_region) == ("s3://images/a", "us-east-1")
    for to, wrong in (("volume", {}), ("", {}), ("s3://images", {"storage_endpoint": "http://x"})):
        with pytest.raises(SettingError):
            opening.chosen(run, to, wrong)


def test_what_is_not_said_stays_for_the_same_bucket_alone(make_settings: MakeSettings) -> None:
    flags = {"storage": "s3://images/a", "storage_endpoint": ENDPOINT, "storage_region": "mars", "port": "8443"}
    settings = make_settings(storage="s3://images/a", storage_endpoint=ENDPOINT, storage_region="mars")
    run = Run(settings, Recorder()).with_settings(saved_flags=flags, saved_flags_before=flags)
    same = opening.chosen(run, "s3://images/a", {"storage_region": "venus"}).settings
    assert same.saved_flags == {**flags, "storage_region": "venus"}
    assert (same.storage_endpoint, same.storage_region) == (ENDPOINT, "venus")
    other = opening.chosen(run, "s3://images/b", {"storage_region": "venus"}).settings
    assert other.saved_flags == {"storage": "s3://images/b", "storage_region": "venus", "port": "8443"}
    assert (other.storage_endpoint, other.storage_region) == ("", "venus")


def test_a_bucket_without_a_key_and_an_authority_that_is_none_are_told(make_settings: MakeSettings) -> None:
    settings = make_settings(storage="s3://images", storage_endpoint=ENDPOINT)
    with pytest.raises(SettingError, match="There is no access key of s3://images") as caught:
        opening.opened(settings)
    assert caught.value.cure == f"./inv registry.storage s3://images --endpoint {ENDPOINT} --credentials FILE"
    Credentials("KEY", "secret").keep(settings.folder)
    (settings.folder / saved_flags.STORAGE_CA).write_text("no certificate\n")
    with pytest.raises(SettingError, match="has no certificate of an authority"):
        opening.opened(settings)


def test_a_machine_without_boto3_is_told_how_to_get_it(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ["boto3", "botocore", *(it for it in sys.modules if it.startswith("botocore."))]:  # as it was installed
        monkeypatch.setitem(sys.modules, name, None)
    settings = make_settings(storage="s3://images")
    Credentials("KEY", "secret").keep(settings.folder)
    with pytest.raises(RegistryError, match="need the package boto3") as caught:
        opening.opened(settings)
    assert caught.value.cure == ".venv/bin/python -m pip install boto3"


@pytest.mark.process
def test_what_leads_to_a_bucket_is_kept_once_the_bucket_was_tried(
    make_settings: MakeSettings, s3_store: S3Store, prefix: str, tmp_path: Path
) -> None:
    at = s3_store.location(prefix)
    told = {"storage_endpoint": at.endpoint}
    settings = make_settings()
    folder, (key, authority) = settings.folder, (saved_flags.STORAGE_KEY, saved_flags.STORAGE_CA)
    goal = opening.chosen(Run(settings, Recorder()), str(at), told)
    for keys, ca in ((s3_store.keys("reader"), s3_store.authority), (s3_store.keys(), tmp_path / "none")):
        with pytest.raises(RegistryError):
            opening.tried(goal, str(keys), str(ca))
        assert not (folder / key).exists()
        assert not (folder / authority).exists()
    opening.tried(goal, str(s3_store.keys()), str(s3_store.authority))
    assert (folder / authority).read_bytes() == s3_store.authority.read_bytes()
    assert (folder / key).stat().st_mode & 0o777 == files.PRIVATE_FILE
    with pytest.raises(StorageError, match="is not trusted"):  # of another bucket, perhaps another store's
        opening.tried(goal, "", "")
    opening.tried(goal.with_settings(saved_flags_before=goal.settings.saved_flags), "", "")
    assert next(opening.opened(goal.settings).objects())


@pytest.mark.process
def test_a_bucket_of_the_same_name_in_another_store_is_not_taken_for_the_one_with_the_images(
    make_settings: MakeSettings, s3_store: S3Store, prefix: str
) -> None:
    at = s3_store.location(prefix)
    flags = {"storage": str(at), "storage_endpoint": "https://192.168.0.8:8333"}
    run = Run(make_settings(), Recorder()).with_settings(saved_flags=flags, saved_flags_before=flags)
    goal = opening.chosen(run, str(at), {"storage_endpoint": at.endpoint})
    with pytest.raises(StorageError, match=f"at {at.endpoint} is not the one that has the images"):
        opening.tried(goal, str(s3_store.keys()), str(s3_store.authority))
    assert list(s3_store.bucket(prefix).objects()) == []
    marker.claim(s3_store.bucket(prefix), installation.ensure(run.settings.folder, run.console).id)
    assert opening.tried(goal, str(s3_store.keys()), str(s3_store.authority)).location.endpoint == at.endpoint


def test_a_backup_has_what_leads_to_a_bucket_and_a_purge_takes_it_and_the_note_of_a_move(
    make_settings: MakeSettings,
) -> None:
    folder = make_settings().folder
    Credentials("KEY", "secret").keep(folder)
    files.write(folder / saved_flags.STORAGE_CA, b"authority")
    Note("the volume x", "s3://images").save(folder)
    installation.ensure(folder, Recorder())
    assert {saved_flags.STORAGE_KEY, saved_flags.STORAGE_CA} <= secrets.gather(folder, folder.parent).keys()
    clear.remove_all(folder, Recorder())
    assert list(folder.iterdir()) == []


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
