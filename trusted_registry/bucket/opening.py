"""Opening of the bucket that the settings name: its place, its access key, and its trial before anything is started."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from trusted_registry import files, installation
from trusted_registry.bucket import credentials, marker, trial
from trusted_registry.bucket.client import Bucket
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.bucket.location import STORAGE, Location
from trusted_registry.console import pasteable
from trusted_registry.defaults import DEFAULTS
from trusted_registry.errors import SettingError
from trusted_registry.run import Run
from trusted_registry.saved_flags import STORAGE_CA
from trusted_registry.settings import Settings
from trusted_registry.values import STORAGES, check_endpoint, storage


def location(settings: Settings) -> Location:
    """Return the place that the settings name."""
    bucket, _, prefix = settings.storage.removeprefix("s3://").partition("/")
    ca_file = settings.folder / STORAGE_CA
    authority = ca_file if files.exists(ca_file) else None
    return Location(bucket, prefix, settings.storage_endpoint, settings.storage_region, authority)


def driver(settings: Settings) -> dict[str, str]:
    """Return the values that the registry's configuration has of a bucket; a dry run may have no access key yet."""
    at, keys = location(settings), credentials.read(settings.folder) or Credentials("", "")
    return {
        "bucket": at.bucket,
        "prefix": at.prefix,
        "endpoint": at.endpoint,
        "region": at.region,
        "secure": "false" if at.endpoint.startswith("http://") else "true",
        "access_key": keys.access_key,
        "secret_key": keys.secret_key,
        "token": keys.token,
    }


def chosen(run: Run, to: str, told: Mapping[str, str]) -> Run:
    """Return a run whose images are in a bucket, as flags say that are remembered.

    Args:
        run: The run of the task.
        to: The bucket.
        told: Further settings by name, each checked here. Those of "" stay as they are for the bucket that is
            remembered, and are as by default for another one.

    Raises:
        SettingError: A value cannot be used, or the endpoint is without TLS and nobody agreed to that.
    """
    flags = {name: storage(name, value) for name, value in {**told, "storage": to}.items() if value}
    if not flags.get("storage"):
        raise SettingError("No bucket is named.", cure="./inv registry.storage s3://BUCKET/PREFIX")
    before = dict(run.settings.saved_flags)
    stale = [name for name in STORAGES if name in before and before.get("storage") != flags["storage"]]
    default = {name: DEFAULTS["registry"][name] for name in stale}
    saved = {**{name: it for name, it in before.items() if name not in stale}, **flags}
    run = run.with_settings(**{**default, **flags}, saved_flags=saved)
    check_endpoint(run.settings.storage_endpoint, run.settings.storage_insecure)
    return run


def tried(run: Run, keys: str, authority: str, task: tuple[str, ...] = STORAGE) -> Bucket:
    """Return the bucket of a registry once it was tried, and belongs to this installation; keep what leads to it.

    Args:
        run: Settings, and the console.
        keys: File with its access key, or "-" for standard input; "" for the one that is kept.
        authority: File of the authority of its endpoint; "" for the one that is kept, if that is of this bucket.
        task: Words of the task that does this, for cures.

    Raises:
        RegistryError: A file cannot be used, or the bucket; what is kept stays then.
    """
    settings, folder, before = run.settings, run.settings.folder, run.settings.saved_flags_before
    known = before.get("storage") == settings.storage
    at, read_keys = replace(location(settings), task=task), credentials.read_named(keys) if keys else None
    if authority or not known:
        at = replace(at, authority=Path(authority).expanduser() if authority else None)
    moved = known and before.get("storage_endpoint", "") != settings.storage_endpoint
    bucket = prove(run, _bucket(at, read_keys or credentials.read(folder)), known=moved)
    if read_keys:
        read_keys.keep(folder)
    if at.authority:
        files.write(folder / STORAGE_CA, at.authority.read_bytes())
    else:
        files.remove(folder / STORAGE_CA, keep=folder)
    return bucket


def opened(settings: Settings) -> Bucket:
    """Return the bucket of a registry.

    Raises:
        RegistryError: There is no access key, its file or the authority's cannot be read, or boto3 is missing.
    """
    return _bucket(location(settings), credentials.read(settings.folder))


def _bucket(at: Location, keys: Credentials | None) -> Bucket:
    if keys is None:
        wrong = f"There is no access key of {at}."
        raise SettingError(wrong, cure=f"{pasteable(at.command)} --credentials FILE")
    if at.authority:
        _check_authority(at.authority, at)
    return Bucket(at, keys)


def prove(run: Run, bucket: Bucket, *, is_new: bool = True, known: bool = False) -> Bucket:
    """Return a bucket once it was tried, and belongs to this installation.

    Args:
        run: Settings, and the console.
        bucket: The bucket.
        is_new: Whether all that a registry does is tried; otherwise the marker alone is read.
        known: Whether the images are said to be there already, by another way.

    Raises:
        RegistryError: It does not do as it should, or is somebody else's.
    """
    if is_new:
        run.console.command(["aws", "s3", "cp", "-", f"{bucket.location}/{trial.PREFIX}…"])
        trial.carry_out(bucket)
    marker.claim(bucket, installation.ensure(run.settings.folder, run.console).id, known=known)
    return bucket


def _check_authority(path: Path, at: Location) -> None:
    """Insist on a file of certificates, of which boto3 would say less."""
    with files.explained(path, "read"):
        content = path.read_bytes()
    try:
        ssl.create_default_context(cadata=content.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        cure = f"{pasteable(replace(at, authority=None).command)} --ca FILE  # in PEM form"
        raise SettingError(f"{path} has no certificate of an authority: {error}", cure=cure) from error
