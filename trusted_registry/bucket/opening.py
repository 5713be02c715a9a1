"""Opening of the bucket that the settings name: its place, its access key, and its trial before anything is started."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from trusted_registry import files, installation
from trusted_registry.bucket import credentials, marker, trial
from trusted_registry.bucket.client import Bucket
from trusted_registry.bucket.credentials import Credentials
from trusted_registry.bucket.location import Location
from trusted_registry.errors import SettingError
from trusted_registry.run import Run
from trusted_registry.settings import Settings
from trusted_registry.values import check_endpoint, storage


def location(settings: Settings) -> Location:
    """Return the place that the settings name."""
    bucket, _, prefix = settings.storage.removeprefix("s3://").partition("/")
    authority = Path(settings.storage_ca) if settings.storage_ca else None
    return Location(bucket, prefix, settings.storage_endpoint, settings.storage_region, authority)


def chosen(run: Run, to: str, told: Mapping[str, str]) -> Run:
    """Return a run whose images are in a bucket, as flags say that are remembered.

    Args:
        run: The run of the task.
        to: The bucket.
        told: Further settings by name, each checked here; those of "" stay as they are.

    Raises:
        SettingError: A value cannot be used, or the endpoint is without TLS and nobody agreed to that.
    """
    flags = {name: storage(name, value) for name, value in {**told, "storage": to}.items() if value}
    if not flags.get("storage"):
        raise SettingError("No bucket is named.", cure="./inv registry.storage s3://BUCKET/PREFIX")
    if authority := flags.get("storage_ca"):
        flags["storage_ca"] = str(Path.cwd() / Path(authority).expanduser())
    run = run.with_settings(**flags, saved_flags={**run.settings.saved_flags, **flags})
    check_endpoint(run.settings.storage_endpoint, run.settings.storage_insecure)
    return run


def opened(settings: Settings, keys: Credentials | None = None) -> Bucket:
    """Return the bucket of a registry.

    Args:
        settings: The registry's settings.
        keys: Its access key; the one that is kept by default.

    Raises:
        RegistryError: There is no access key, its file or the authority's cannot be read, or boto3 is missing.
    """
    at, keys = location(settings), keys or credentials.read(settings.folder)
    if keys is None:
        wrong = f"There is no access key of {at}."
        raise SettingError(wrong, cure=f"./inv registry.storage {at} --credentials FILE")
    if at.authority:
        _check_authority(at.authority, at)
    return Bucket(at, keys)


def prove(run: Run, keys: Credentials | None = None, *, is_new: bool = True) -> Bucket:
    """Return the bucket of a registry once it was tried, and belongs to this installation.

    Args:
        run: Settings, and the console.
        keys: Its access key; the one that is kept by default.
        is_new: Whether all that a registry does is tried; otherwise the marker alone is read.

    Raises:
        RegistryError: It cannot be opened, does not do as it should, or is somebody else's.
    """
    bucket = opened(run.settings, keys)
    if is_new:
        run.console.command(["aws", "s3", "cp", "-", f"{bucket.location}/{trial.PREFIX}…"])
        trial.carry_out(bucket)
    marker.claim(bucket, installation.ensure(run.settings.folder, run.console).id)
    return bucket


def _check_authority(path: Path, at: Location) -> None:
    """Insist on a file of certificates, of which boto3 would say less."""
    with files.explained(path, "read"):
        content = path.read_bytes()
    try:
        ssl.create_default_context(cadata=content.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        cure = f"./inv registry.storage {at} --ca FILE, in PEM form."
        raise SettingError(f"{path} has no certificate of an authority: {error}", cure=cure) from error
